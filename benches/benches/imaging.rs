//! Preprocessing of one image, and of one volume.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ctl_benches::{SEED, uniform};
use ctl_imaging::kspace::{Complex, Transform, centred_fft};
use ctl_imaging::preprocess::N4;
use ctl_imaging::volume::{Affine, Samples, Volume};
use ctl_imaging::{Filter, Raster};

const FROM: usize = 512;
const TO: usize = 48;

/// Side of a volume whose bias is corrected, and of one that is transformed.
const SIDE: usize = 64;

fn area_resize(criterion: &mut Criterion) {
    let samples = uniform(FROM * FROM, "raster");
    let samples = samples.into_iter().map(|value| value as f32).collect();
    let raster = Raster::new(1, FROM, FROM, samples).expect("one channel of FROM × FROM samples");
    let id = format!("resize-area/{FROM}to{TO}-seed{SEED}");
    criterion.bench_function(&id, |bencher| {
        bencher.iter(|| black_box(&raster).resized(TO, TO, Filter::AreaOrBilinear));
    });
}

/// Two tissues in blocks under a field that grows along every axis.
fn biased_volume() -> Volume {
    let noise = uniform(SIDE.pow(3), "volume");
    let values = noise.into_iter().enumerate().map(|(at, noise)| {
        let [i, j, k] = [at % SIDE, at / SIDE % SIDE, at / (SIDE * SIDE)];
        let tissue = if (i / 5 + j / 6 + k / 7) % 2 == 0 {
            100.0
        } else {
            160.0
        };
        let field = 0.5 * (i + j * k / SIDE) as f64 / SIDE as f64;
        ((tissue + 4.0 * noise) * field.exp()) as f32
    });
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).expect("spacings above 0");
    let samples = Samples::F32(values.collect());
    Volume::new(&[SIDE; 3], samples, affine).expect("SIDE³ values")
}

fn volumes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("volume");
    group.sample_size(10);
    let volume = biased_volume();
    // Every level runs to its end, so that the work does not depend on when it converges.
    let n4 = N4 {
        iterations: vec![10; 3],
        convergence: 0.0,
        shrink: 2,
        ..N4::default()
    };
    group.bench_function(format!("n4/{SIDE}-shrink2-3x10-seed{SEED}"), |bencher| {
        bencher.iter(|| n4.correct(black_box(&volume), None));
    });
    let values: Vec<Complex<f32>> = volume.to_f32().into_iter().map(Complex::from).collect();
    group.bench_function(format!("fft/{SIDE}-seed{SEED}"), |bencher| {
        bencher.iter(|| {
            let mut values = values.clone();
            centred_fft(&mut values, &[SIDE; 3], Transform::ToFrequencies)
        });
    });
    group.finish();
}

criterion_group!(benches, area_resize, volumes);
criterion_main!(benches);
