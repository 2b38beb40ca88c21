//! Metrics over many samples.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ctl_benches::{SEED, scored_labels};
use ctl_metrics::discrimination::auroc;

const SAMPLES: usize = 10_000;

fn auroc_of_many(criterion: &mut Criterion) {
    let (scores, labels) = scored_labels(SAMPLES);
    let id = format!("auroc/n{SAMPLES}-seed{SEED}");
    criterion.bench_function(&id, |bencher| {
        bencher.iter(|| auroc(black_box(&scores), black_box(&labels)));
    });
}

criterion_group!(benches, auroc_of_many);
criterion_main!(benches);
