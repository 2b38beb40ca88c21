//! Trains rows of the `ColoredMNIST` tables: `colored_mnist EXPERIMENT MNIST_DIR RESTARTS JOBS OUT`.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::collections::BTreeMap;

use ctl_compute::allocator::CachingAllocator;
use ctl_harness::reproduce::{ReproduceOptions, reproduce, to_markdown};
use ctl_harness::{Event, Observer};

#[global_allocator]
static ALLOCATOR: CachingAllocator = CachingAllocator::new();

/// Prints what has ended.
struct Lines;

impl Observer for Lines {
    fn event(&self, event: &Event<'_>) {
        if let Event::Finished { name, summary } = event {
            println!("{name}: {summary}");
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the environment is changed before any thread exists"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // SAFETY: this is the first statement of `main`; no other thread runs yet.
    unsafe { ctl_compute::runtime::use_one_thread_per_run() };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [experiment, data, restarts, jobs, out] = arguments.as_slice() else {
        return Err("usage: colored_mnist EXPERIMENT MNIST_DIR RESTARTS JOBS OUT".into());
    };
    let options = ReproduceOptions {
        data: data.into(),
        restarts: restarts.parse()?,
        jobs: jobs.parse()?,
        out: out.into(),
        records: None,
        provenance: BTreeMap::new(),
    };
    println!("{}", to_markdown(&reproduce(experiment, &options, &Lines)?));
    Ok(())
}
