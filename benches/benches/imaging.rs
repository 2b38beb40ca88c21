//! Preprocessing of one image.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ctl_benches::{SEED, uniform};
use ctl_imaging::distance::distance_transform;
use ctl_imaging::kspace::{Complex, Transform, centred_fft};
use ctl_imaging::morphology::{ComponentOrder, Connectivity, components};
use ctl_imaging::preprocess::N4;
use ctl_imaging::volume::{Affine, Grid, Interpolation, Samples, Volume};
use ctl_imaging::{Filter, Raster};

const FROM: usize = 512;
const TO: usize = 48;

/// Voxels of a volume along each axis, and the millimetres between them.
const SIDE: usize = 96;
const SPACING: [f64; 3] = [0.8, 0.8, 1.2];

/// Side of a volume whose bias is corrected, and of one that is transformed.
const SMALL: usize = 64;

fn area_resize(criterion: &mut Criterion) {
    let samples = uniform(FROM * FROM, "raster");
    let samples = samples.into_iter().map(|value| value as f32).collect();
    let raster = Raster::new(1, FROM, FROM, samples).expect("one channel of FROM × FROM samples");
    let id = format!("resize-area/{FROM}to{TO}-seed{SEED}");
    criterion.bench_function(&id, |bencher| {
        bencher.iter(|| black_box(&raster).resized(TO, TO, Filter::AreaOrBilinear));
    });
}

fn resample(criterion: &mut Criterion) {
    let values = uniform(SIDE * SIDE * SIDE, "volume");
    let values = values.iter().map(|value| (value * 2000.0) as i16).collect();
    let affine = Affine::from_spacing(SPACING, [0.0; 3]).expect("spacings above 0");
    let volume = Volume::new(&[SIDE; 3], Samples::I16(values), affine).expect("SIDE³ values");
    let straight = volume.grid().with_spacing([1.0; 3]).expect("1 mm");
    let oblique = oblique_grid();
    let all = [
        ("nearest", Interpolation::Nearest),
        ("linear", Interpolation::Linear),
        ("cubic", Interpolation::CubicBSpline),
    ];
    for (name, interpolation) in all {
        for (way, grid) in [("1mm", &straight), ("oblique", &oblique)] {
            let id = format!("resample-{name}/{SIDE}-{way}-seed{SEED}");
            criterion.bench_function(&id, |bencher| {
                bencher.iter(|| black_box(&volume).resampled_to(grid, interpolation, 0.0));
            });
        }
    }
}

/// A grid of the volume's size, turned by 0.2 about its last axis.
fn oblique_grid() -> Grid {
    let (sin, cos) = 0.2_f64.sin_cos();
    let [x, y, z] = SPACING;
    let affine = Affine::new([
        [cos * x, -sin * y, 0.0, 8.0],
        [sin * x, cos * y, 0.0, -8.0],
        [0.0, 0.0, z, 0.0],
    ]);
    Grid::new([SIDE; 3], affine.expect("a rotation")).expect("SIDE³ voxels")
}

/// A ball with holes in it.
fn holed_ball() -> Vec<bool> {
    let holes = uniform(SIDE * SIDE * SIDE, "mask");
    let middle = 0.5 * (SIDE - 1) as f64;
    let from_middle = |index: usize| -> f64 {
        let at = [index % SIDE, index / SIDE % SIDE, index / SIDE / SIDE];
        at.iter().map(|&at| (at as f64 - middle).powi(2)).sum()
    };
    (0..holes.len())
        .map(|index| from_middle(index).sqrt() < 0.9 * middle && holes[index] > 0.001)
        .collect()
}

fn masks(criterion: &mut Criterion) {
    let mask = holed_ball();
    let id = format!("distance-transform/{SIDE}-seed{SEED}");
    criterion.bench_function(&id, |bencher| {
        bencher.iter(|| distance_transform(black_box(&mask), [SIDE; 3], SPACING));
    });
    let id = format!("components/{SIDE}-seed{SEED}");
    criterion.bench_function(&id, |bencher| {
        let (faces, order) = (Connectivity::Faces, ComponentOrder::Size);
        bencher.iter(|| components(black_box(&mask), [SIDE; 3], faces, order));
    });
}

/// Two tissues in blocks under a field that grows along every axis.
fn biased_volume() -> Volume {
    let noise = uniform(SMALL.pow(3), "volume");
    let values = noise.into_iter().enumerate().map(|(at, noise)| {
        let [i, j, k] = [at % SMALL, at / SMALL % SMALL, at / (SMALL * SMALL)];
        let tissue = if (i / 5 + j / 6 + k / 7) % 2 == 0 {
            100.0
        } else {
            160.0
        };
        let field = 0.5 * (i + j * k / SMALL) as f64 / SMALL as f64;
        ((tissue + 4.0 * noise) * field.exp()) as f32
    });
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).expect("spacings above 0");
    let samples = Samples::F32(values.collect());
    Volume::new(&[SMALL; 3], samples, affine).expect("SMALL³ values")
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
    group.bench_function(format!("n4/{SMALL}-shrink2-3x10-seed{SEED}"), |bencher| {
        bencher.iter(|| n4.correct(black_box(&volume), None));
    });
    let values: Vec<Complex<f32>> = volume.to_f32().into_iter().map(Complex::from).collect();
    group.bench_function(format!("fft/{SMALL}-seed{SEED}"), |bencher| {
        bencher.iter(|| {
            let mut values = values.clone();
            centred_fft(&mut values, &[SMALL; 3], Transform::ToFrequencies)
        });
    });
    group.finish();
}

criterion_group!(benches, area_resize, resample, masks, volumes);
criterion_main!(benches);
