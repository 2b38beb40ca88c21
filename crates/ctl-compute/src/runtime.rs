//! Threads: one per training run, or several for one run.
//!
//! The harness trains as many runs at once as there are cores, each on one thread.
//! That uses the machine fully and never oversubscribes it.
//! A single run can have several threads by [`join_threads`]; results do not depend on their number.

use crate::{ComputeError, Result};

/// Makes candle and its matrix products work on the calling thread only.
///
/// candle reads `RAYON_NUM_THREADS` and `CANDLE_NUM_THREADS`; both are set to 1.
/// [`join_threads`] and [`on_every_core`] name their number of threads themselves and are not
/// affected.
///
/// # Safety
/// Call it as the first statement of `main`, before any thread exists: changing the environment
/// while another thread reads it is undefined behaviour on Unix.
#[expect(unsafe_code, reason = "std::env::set_var is unsafe in edition 2024")]
pub unsafe fn use_one_thread_per_run() {
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: the caller guarantees that no other thread runs yet.
        unsafe { std::env::set_var(variable, "1") };
    }
}

/// A pool of threads that the thread which made it belongs to.
#[must_use = "the pool ends when this is dropped"]
pub struct Threads {
    pool: rayon::ThreadPool,
}

impl Threads {
    /// Number of threads, the caller's included.
    pub fn count(&self) -> usize {
        self.pool.current_num_threads()
    }
}

/// Lets the kernels that the calling thread starts use `threads` threads, of which it is one.
///
/// The caller works instead of waiting for others, which for kernels of less than a millisecond is
/// most of what two threads gain.
/// Call [`use_one_thread_per_run`] before: it keeps candle's own pool, whose threads wait in a busy
/// loop, from taking the same cores.
///
/// # Errors
/// When `threads` is 0, the caller already belongs to a pool, or the system refuses a thread.
///
/// # Examples
/// ```
/// use ctl_compute::runtime::join_threads;
///
/// let threads = join_threads(2)?;
/// assert_eq!(threads.count(), 2);
/// assert!(join_threads(2).is_err());
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn join_threads(threads: usize) -> Result<Threads> {
    if threads == 0 {
        return Err(ComputeError::Option {
            op: "threads",
            key: "count",
            expected: "at least 1",
            found: "0".into(),
        });
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread()
        .build()?;
    Ok(Threads { pool })
}

/// Does `work` where everything parallel may use every core, whatever the environment says.
///
/// It is meant for what happens before runs start, such as checking and hashing a cohort.
///
/// # Errors
/// When the system refuses a thread.
///
/// # Examples
/// ```
/// use ctl_compute::runtime::{available_workers, on_every_core};
///
/// let threads = on_every_core(rayon::current_num_threads)?;
/// assert_eq!(threads, available_workers());
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn on_every_core<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(available_workers())
        .build()?;
    Ok(pool.install(work))
}

/// Number of training runs that fit on this machine side by side: one per available core.
pub fn available_workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Names of the vector instruction sets that the processor offers and the kernels may use.
pub fn cpu_features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ];
        found.extend(
            known
                .into_iter()
                .filter_map(|(name, has)| has.then_some(name)),
        );
    }
    found
}
