//! One training step of each model that is compared with `PyTorch`.
//!
//! Group `train_step` runs on as many threads as `RAYON_NUM_THREADS` says, two where it says
//! nothing; group `train_step_1` on one.

use std::time::Duration;

use criterion::Criterion;
use ctl_benches::train_step::{Model, TrainStep};
use ctl_compute::allocator::CachingAllocator;
use ctl_compute::runtime::{join_threads, use_one_thread_per_run};

#[global_allocator]
static ALLOCATOR: CachingAllocator = CachingAllocator::new();

const DEFAULT_THREADS: usize = 2;
/// Steps take from milliseconds to half a second.
const SAMPLES: usize = 20;
const TIME: Duration = Duration::from_secs(6);

fn group(criterion: &mut Criterion, name: &str) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(SAMPLES).measurement_time(TIME);
    for model in Model::ALL {
        // Built when the first sample asks for it, so that a filter skips it.
        let mut step = None;
        group.bench_function(model.name(), |bencher| {
            let step = step.get_or_insert_with(|| TrainStep::new(model).expect("sizes are fixed"));
            bencher.iter(|| step.run().expect("sizes are fixed"));
        });
    }
    group.finish();
}

#[expect(
    unsafe_code,
    reason = "the environment is changed before any thread exists"
)]
fn main() {
    let asked = std::env::var("RAYON_NUM_THREADS");
    // SAFETY: no other thread runs yet.
    unsafe { use_one_thread_per_run() };
    let asked = asked.ok().and_then(|threads| threads.parse().ok());
    let threads = asked.filter(|&n| n > 0).unwrap_or(DEFAULT_THREADS);
    let mut criterion = Criterion::default().configure_from_args();
    // First, because a thread that has joined others stays with them.
    group(&mut criterion, "train_step_1");
    let _threads = join_threads(threads).expect("the thread belongs to no pool yet");
    group(&mut criterion, "train_step");
    criterion.final_summary();
}
