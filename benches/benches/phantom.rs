//! Simulation of images.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ctl_benches::SEED;
use ctl_phantom::{Anatomy, PhantomSpec, simulate};

/// One image of each anatomy, at the size that its rate is stated for.
fn one_image(criterion: &mut Criterion) {
    for (name, anatomy, size) in [
        ("chest", Anatomy::Chest, 64),
        ("brain", Anatomy::Brain, 128),
    ] {
        let spec = PhantomSpec {
            anatomy,
            size,
            patients_per_site: 1,
            source_sites: 1,
            seed: SEED,
            ..PhantomSpec::default()
        };
        let Ok(cohort) = simulate(&spec) else {
            continue;
        };
        let id = format!("phantom/{name}-{size}px-seed{SEED}");
        criterion.bench_function(&id, |bencher| {
            bencher.iter(|| black_box(&cohort).image(0));
        });
    }
}

criterion_group!(benches, one_image);
criterion_main!(benches);
