//! Threads: one per training run.
//!
//! The harness trains as many runs at once as there are cores, each on one thread.
//! That uses the machine fully, never oversubscribes it, and makes every sum independent of the
//! number of threads.

/// Makes candle and its matrix products work on the calling thread only.
///
/// candle reads `RAYON_NUM_THREADS` and `CANDLE_NUM_THREADS`; both are set to 1.
/// Pools that this toolkit builds for decoding and for concurrent runs name their size themselves
/// and are not affected.
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
