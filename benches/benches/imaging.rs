//! Preprocessing of one image.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ctl_benches::{SEED, uniform};
use ctl_imaging::{Filter, Raster};

const FROM: usize = 512;
const TO: usize = 48;

fn area_resize(criterion: &mut Criterion) {
    let samples = uniform(FROM * FROM, "raster");
    let samples = samples.into_iter().map(|value| value as f32).collect();
    let raster = Raster::new(1, FROM, FROM, samples).expect("one channel of FROM × FROM samples");
    let id = format!("resize-area/{FROM}to{TO}-seed{SEED}");
    criterion.bench_function(&id, |bencher| {
        bencher.iter(|| black_box(&raster).resized(TO, TO, Filter::AreaOrBilinear));
    });
}

criterion_group!(benches, area_resize);
criterion_main!(benches);
