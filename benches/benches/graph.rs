//! Questions to causal diagrams and searches for them, on one thread.
//!
//! Group `graph` times whole workloads, which `peers/graph.py` times in other software; group
//! `graph_scaling` one query of separation in diagrams of growing size.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use ctl_benches::graph::{GraphWork, Workload, shared_inputs, sparse_diagram};
use ctl_compute::runtime::use_one_thread_per_run;
use ctl_graph::separation::separated;
use ctl_graph::{NodeId, NodeSet};

/// Workloads take from a tenth of a millisecond to seconds.
const SAMPLES: usize = 10;
const TIME: Duration = Duration::from_secs(3);
const SIZES: [usize; 4] = [100, 1000, 10_000, 100_000];
const GIVEN: usize = 10;

fn workloads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("graph");
    group.sample_size(SAMPLES).measurement_time(TIME);
    for workload in Workload::ALL {
        // Read when the first sample asks for it, so that a filter skips it.
        let mut work = None;
        group.bench_function(workload.name(), |bencher| {
            let work = work.get_or_insert_with(|| {
                GraphWork::new(workload, &shared_inputs()).expect("inputs are as described")
            });
            bencher.iter(|| work.run().expect("inputs are fit for it"));
        });
    }
    group.finish();
}

/// The first and the last node, given some spread between them.
fn separation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("graph_scaling");
    group.sample_size(SAMPLES).measurement_time(TIME);
    for size in SIZES {
        let mut diagram = None;
        group.bench_function(BenchmarkId::new("separation", size), |bencher| {
            let diagram = diagram
                .get_or_insert_with(|| sparse_diagram(size).expect("edges follow the order"));
            let node = |index| NodeSet::single(NodeId::new(index));
            let given: NodeSet = (1..=GIVEN)
                .map(|i| NodeId::new(i * size / (GIVEN + 2)))
                .collect();
            let (first, last) = (node(0), node(size - 1));
            bencher.iter(|| black_box(separated(diagram, &first, &last, &given)));
        });
    }
    group.finish();
}

#[expect(
    unsafe_code,
    reason = "the environment is changed before any thread exists"
)]
fn main() {
    // SAFETY: no other thread runs yet.
    unsafe { use_one_thread_per_run() };
    let mut criterion = Criterion::default().configure_from_args();
    workloads(&mut criterion);
    separation(&mut criterion);
    criterion.final_summary();
}
