//! Preprocessing of one image.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ctl_benches::{SEED, uniform};
use ctl_imaging::distance::distance_transform;
use ctl_imaging::morphology::{ComponentOrder, Connectivity, components};
use ctl_imaging::volume::{Affine, Grid, Interpolation, Samples, Volume};
use ctl_imaging::{Filter, Raster};

const FROM: usize = 512;
const TO: usize = 48;

/// Voxels of a volume along each axis, and the millimetres between them.
const SIDE: usize = 96;
const SPACING: [f64; 3] = [0.8, 0.8, 1.2];

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

criterion_group!(benches, area_resize, resample, masks);
criterion_main!(benches);
