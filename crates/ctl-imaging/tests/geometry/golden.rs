//! Numbers that nibabel and `SciPy` computed.

use ctl_imaging::volume::{Affine, Grid, Interpolation, LabelInterpolation, Samples, Volume};
use serde::Deserialize;
use std::sync::LazyLock;

/// Golden numbers have five digits after the point, ours are in single precision below 1000.
const TOLERANCE: f64 = 4e-5;

#[derive(Deserialize)]
struct Golden {
    orientations: Vec<OrientationCase>,
    images: Vec<ImageCase>,
}

#[derive(Deserialize)]
struct OrientationCase {
    affine: [[f64; 4]; 3],
    shape: [usize; 3],
    /// For each voxel axis the world axis and 1 or −1.
    orientation: [(usize, i32); 3],
    canonical: [[f64; 4]; 3],
    canonical_shape: [usize; 3],
}

#[derive(Deserialize)]
struct ImageCase {
    shape: [usize; 3],
    affine: [[f64; 4]; 3],
    values: Vec<f64>,
    grid_shape: [usize; 3],
    grid_affine: [[f64; 4]; 3],
    fill: f64,
    nearest: Vec<f64>,
    linear: Vec<f64>,
    cubic: Vec<f64>,
}

static GOLDEN: LazyLock<Golden> =
    LazyLock::new(|| serde_json::from_str(include_str!("../golden/geometry.json")).unwrap());

impl ImageCase {
    fn volume(&self, shape: &[usize]) -> Volume {
        let samples = Samples::F64(self.values.clone());
        Volume::new(shape, samples, Affine::new(self.affine).unwrap()).unwrap()
    }

    fn grid(&self) -> Grid {
        Grid::new(self.grid_shape, Affine::new(self.grid_affine).unwrap()).unwrap()
    }

    fn golden(&self, interpolation: Interpolation) -> &[f64] {
        match interpolation {
            Interpolation::Nearest => &self.nearest,
            Interpolation::Linear => &self.linear,
            Interpolation::CubicBSpline => &self.cubic,
        }
    }
}

const ALL: [Interpolation; 3] = [
    Interpolation::Nearest,
    Interpolation::Linear,
    Interpolation::CubicBSpline,
];

fn assert_close(ours: &[f64], golden: &[f64], what: &str) {
    assert_eq!(ours.len(), golden.len(), "{what}");
    for (position, (ours, golden)) in ours.iter().zip(golden).enumerate() {
        let close = (ours - golden).abs() <= TOLERANCE;
        assert!(close, "{what}, voxel {position}: {ours} for {golden}");
    }
}

#[test]
fn orientations_are_those_of_nibabel() {
    assert_eq!(GOLDEN.orientations.len(), 60);
    for case in &GOLDEN.orientations {
        let axes = Affine::new(case.affine).unwrap().orientation().axes();
        let ours = axes.map(|axis| (axis.world, if axis.positive { 1 } else { -1 }));
        assert_eq!(ours, case.orientation, "{:?}", case.affine);
    }
}

#[test]
fn canonical_images_are_those_of_nibabel() {
    for case in &GOLDEN.orientations {
        let affine = Affine::new(case.affine).unwrap();
        let samples = Samples::U8(vec![0; case.shape.iter().product()]);
        let volume = Volume::new(&case.shape, samples, affine).unwrap();
        let canonical = volume.to_canonical().unwrap();
        assert_eq!(canonical.spatial_shape(), case.canonical_shape);
        let ours = canonical.affine().rows();
        let pairs = ours
            .as_flattened()
            .iter()
            .zip(case.canonical.as_flattened());
        for (ours, golden) in pairs {
            assert!((ours - golden).abs() < 1e-8, "{ours} for {golden}");
        }
    }
}

#[test]
fn images_are_those_of_scipy() {
    assert_eq!(GOLDEN.images.len(), 7);
    for (number, case) in GOLDEN.images.iter().enumerate() {
        // A case that lies wholly inside or outside would say little.
        let filled = case
            .linear
            .iter()
            .filter(|&&value| (value - case.fill).abs() < TOLERANCE)
            .count();
        assert!(filled < case.linear.len() * 9 / 10, "image {number}");
        let volume = case.volume(&case.shape);
        for interpolation in ALL {
            let moved = volume.resampled_to(&case.grid(), interpolation, case.fill);
            let what = format!("image {number}, {interpolation:?}");
            assert_close(&moved.unwrap().to_f64(), case.golden(interpolation), &what);
        }
    }
}

#[test]
fn pictures_are_volumes_one_voxel_deep() {
    let flat = |case: &&ImageCase| case.shape[2] == 1 && case.grid_shape[2] == 1;
    let cases: Vec<&ImageCase> = GOLDEN.images.iter().filter(flat).collect();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let picture = case.volume(&case.shape[..2]);
        let volume = case.volume(&case.shape);
        for interpolation in ALL {
            let two = picture.resampled_to(&case.grid(), interpolation, case.fill);
            let three = volume.resampled_to(&case.grid(), interpolation, case.fill);
            let (two, three) = (two.unwrap(), three.unwrap());
            assert_eq!(two.shape(), &case.grid_shape[..2]);
            assert_eq!(two.samples(), three.samples());
        }
        for interpolation in [
            LabelInterpolation::Nearest,
            LabelInterpolation::LinearArgmax,
        ] {
            let two = picture.labels_resampled_to(&case.grid(), interpolation, 0);
            let three = volume.labels_resampled_to(&case.grid(), interpolation, 0);
            assert_eq!(two.unwrap().samples(), three.unwrap().samples());
        }
    }
}
