//! Simulation of images.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ctl_benches::SEED;
use ctl_phantom::{ChestSpec, simulate_chest};

const SIZE: usize = 64;

/// The smallest cohort: one film from one source site and one from the target.
fn two_chest_films(criterion: &mut Criterion) {
    let spec = ChestSpec {
        size: SIZE,
        images_per_site: 1,
        source_sites: 1,
        seed: SEED,
        ..ChestSpec::default()
    };
    let id = format!("chest-films/2x{SIZE}px-seed{SEED}");
    criterion.bench_function(&id, |bencher| {
        bencher.iter(|| simulate_chest(black_box(&spec)));
    });
}

criterion_group!(benches, two_chest_films);
criterion_main!(benches);
