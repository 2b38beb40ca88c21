//! Laws of resampling, and what it refuses.

use ctl_imaging::volume::{
    Affine, Grid, Interpolation, LabelInterpolation, SampleType, Samples, Scaling, Volume,
};
use num_complex::Complex;
use proptest::prelude::*;
use rstest::rstest;

const ALL: [Interpolation; 3] = [
    Interpolation::Nearest,
    Interpolation::Linear,
    Interpolation::CubicBSpline,
];

fn unit() -> Affine {
    Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()
}

/// An oblique affine of about the given spacing.
fn oblique([x, y, z]: [f64; 3]) -> Affine {
    Affine::new([
        [0.9 * x, -0.3 * y, 0.1 * z, -12.0],
        [0.3 * x, 0.9 * y, 0.2 * z, 30.0],
        [-0.1 * x, -0.2 * y, 0.9 * z, 7.0],
    ])
    .unwrap()
}

/// Numbers without a pattern.
fn noise(count: usize) -> Vec<f32> {
    (0..count)
        .map(|index| ((index * 7919 + 13) % 1009) as f32)
        .collect()
}

/// `2 x − 3 y + 5 z + 1` at every voxel centre.
fn ramp(grid: &Grid) -> Vec<f64> {
    let [width, height, _] = grid.shape();
    (0..grid.voxels())
        .map(|index| {
            [
                index % width,
                index / width % height,
                index / width / height,
            ]
        })
        .map(|at| grid.affine().to_world(at.map(|at| at as f64)))
        .map(|[x, y, z]| 2.0 * x - 3.0 * y + 5.0 * z + 1.0)
        .collect()
}

#[test]
fn a_ramp_stays_a_ramp_on_any_grid_within() {
    let from = Grid::new([8, 9, 7], oblique([1.0, 1.5, 2.0])).unwrap();
    let volume = Volume::new(&[8, 9, 7], Samples::F64(ramp(&from)), *from.affine()).unwrap();
    let corner = from.affine().to_world([2.0, 3.0, 2.0]);
    let rows = [
        [0.3, 0.0, 0.4, corner[0]],
        [0.0, -0.5, 0.1, corner[1]],
        [0.1, 0.1, 0.6, corner[2]],
    ];
    let grid = Grid::new([3, 3, 3], Affine::new(rows).unwrap()).unwrap();
    let moved = volume
        .resampled_to(&grid, Interpolation::Linear, f64::NAN)
        .unwrap();
    for (ours, exact) in moved.to_f64().into_iter().zip(ramp(&grid)) {
        assert!((ours - exact).abs() < 1e-4, "{ours} for {exact}");
    }
}

proptest! {
    #[test]
    fn an_image_on_its_own_grid_is_itself(
        shape in prop::array::uniform3(1_usize..7), spacing in prop::array::uniform3(0.3_f64..4.0),
    ) {
        let samples = Samples::F32(noise(shape.iter().product()));
        let volume = Volume::new(&shape, samples, oblique(spacing)).unwrap();
        for interpolation in ALL {
            let same = volume.resampled_to(&volume.grid(), interpolation, f64::NAN).unwrap();
            for (ours, old) in same.to_f64().into_iter().zip(volume.to_f64()) {
                prop_assert!((ours - old).abs() < 1e-3, "{} for {}", ours, old);
            }
        }
    }

    #[test]
    fn a_grid_of_another_spacing_covers_the_field_of_view(
        shape in prop::array::uniform3(1_usize..40),
        old in prop::array::uniform3(0.3_f64..6.0),
        new in prop::array::uniform3(0.3_f64..6.0),
    ) {
        let grid = Grid::new(shape, oblique(old)).unwrap();
        let other = grid.with_spacing(new).unwrap();
        let old = grid.affine().spacing();
        let middle = |grid: &Grid| {
            grid.affine().to_world(grid.shape().map(|side| 0.5 * (side - 1) as f64))
        };
        for axis in 0..3 {
            let before = shape[axis] as f64 * old[axis];
            let after = other.shape()[axis] as f64 * new[axis];
            prop_assert!(after >= before - 1e-3 * new[axis] - 1e-9);
            prop_assert!(after < before + new[axis] || other.shape()[axis] == 1);
            prop_assert!((middle(&grid)[axis] - middle(&other)[axis]).abs() < 1e-9);
            prop_assert!((other.affine().spacing()[axis] - new[axis]).abs() < 1e-9);
        }
    }

    #[test]
    fn reversing_an_axis_and_resampling_commute(
        shape in prop::array::uniform3(1_usize..7), spacing in prop::array::uniform3(0.35_f64..3.0),
        axis in 0_usize..3,
    ) {
        let samples = Samples::F32(noise(shape.iter().product()));
        let volume = Volume::new(&shape, samples, unit()).unwrap();
        for interpolation in [Interpolation::Linear, Interpolation::CubicBSpline] {
            let resampled = |volume: &Volume| {
                volume.resampled_to_spacing(spacing, interpolation).unwrap()
            };
            let one = resampled(&volume.flipped(axis).unwrap());
            let other = resampled(&volume).flipped(axis).unwrap();
            for (one, other) in one.to_f64().into_iter().zip(other.to_f64()) {
                prop_assert!((one - other).abs() < 2e-3, "{} and {}", one, other);
            }
        }
    }
}

#[test]
fn aligned_grids_and_nearly_aligned_ones_agree() {
    let volume = Volume::new(&[9, 8, 7], Samples::F32(noise(504)), unit()).unwrap();
    let rows = [
        [0.0, 0.0, -0.83, 7.1],
        [0.71, 0.0, 0.0, 0.13],
        [0.0, 1.27, 0.0, 0.21],
    ];
    let mut nearly = rows;
    nearly[1][1] = 1e-8;
    for interpolation in ALL {
        let made = [rows, nearly].map(|rows| {
            let grid = Grid::new([10, 5, 8], Affine::new(rows).unwrap()).unwrap();
            volume
                .resampled_to(&grid, interpolation, 0.0)
                .unwrap()
                .to_f64()
        });
        let [aligned, general] = made;
        for (one, other) in aligned.iter().zip(general) {
            assert!(
                (one - other).abs() < 1e-3,
                "{interpolation:?}: {one} and {other}"
            );
        }
    }
}

#[test]
fn frames_and_components_are_resampled_each_on_its_own() {
    let (shape, voxels) = ([4, 3, 2], 24);
    let images: Vec<Vec<f32>> = (0..6)
        .map(|image| {
            noise(voxels)
                .iter()
                .map(|value| value * (image + 1) as f32)
                .collect()
        })
        .collect();
    // Frame t holds components 2t and 2t + 1 of every voxel.
    let together: Vec<f32> = (0..3)
        .flat_map(|frame| {
            let (one, two) = (&images[2 * frame], &images[2 * frame + 1]);
            one.iter().zip(two).flat_map(|(&one, &two)| [one, two])
        })
        .collect();
    let all = Volume::with_components(&[4, 3, 2, 3], 2, Samples::F32(together), unit()).unwrap();
    for interpolation in ALL {
        let moved = all.resampled_to_spacing([0.8; 3], interpolation).unwrap();
        assert_eq!((moved.frames(), moved.components()), (3, 2));
        let numbers = moved.to_f64();
        let size = moved.voxels() / 3;
        for (image, values) in images.iter().enumerate() {
            let alone = Volume::new(&shape, Samples::F32(values.clone()), unit()).unwrap();
            let alone = alone.resampled_to_spacing([0.8; 3], interpolation).unwrap();
            let start = image / 2 * size * 2 + image % 2;
            let found = numbers[start..].iter().step_by(2).take(size).copied();
            assert!(found.eq(alone.to_f64()), "{interpolation:?}, image {image}");
        }
    }
}

#[test]
fn nearest_keeps_type_and_scaling_and_the_others_give_numbers() {
    let scaling = Scaling {
        slope: 2.0,
        intercept: -1000.0,
    };
    let volume = Volume::new(&[2, 1, 1], Samples::I16(vec![0, 500]), unit()).unwrap();
    let volume = volume.with_scaling(scaling).unwrap();
    let grid = Grid::new([4, 1, 1], unit()).unwrap();
    let nearest = volume
        .resampled_to(&grid, Interpolation::Nearest, -500.0)
        .unwrap();
    assert_eq!(nearest.samples(), &Samples::I16(vec![0, 500, 250, 250]));
    assert_eq!(nearest.scaling(), scaling);
    let linear = volume
        .resampled_to(&grid, Interpolation::Linear, -500.0)
        .unwrap();
    assert_eq!(
        linear.samples(),
        &Samples::F32(vec![-1000.0, 0.0, -500.0, -500.0])
    );
    assert_eq!(linear.scaling(), Scaling::NONE);
}

#[test]
fn a_missing_value_does_not_spread_from_a_centre() {
    let values = vec![1.0, f32::NAN, 3.0, f32::INFINITY, 5.0];
    let volume = Volume::new(&[5, 1, 1], Samples::F32(values), oblique([0.7; 3])).unwrap();
    let same = volume
        .resampled_to(&volume.grid(), Interpolation::Linear, 0.0)
        .unwrap();
    let same = same.to_f64();
    assert_eq!(
        (same[0], same[2], same[3], same[4]),
        (1.0, 3.0, f64::INFINITY, 5.0)
    );
    assert!(same[1].is_nan());
    let error = volume.resampled_to(&volume.grid(), Interpolation::CubicBSpline, 0.0);
    let text = error.unwrap_err().to_string();
    assert_eq!(
        text,
        "values for cubic interpolation: expected finite numbers, found NaN"
    );
}

#[test]
fn the_same_bytes_on_one_thread_and_on_two() {
    let volume = Volume::new(&[19, 18, 17], Samples::F32(noise(19 * 18 * 17)), unit()).unwrap();
    let grid = Grid::new([16, 15, 14], oblique([0.8; 3])).unwrap();
    let made = [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let straight = volume.resampled_to_spacing([0.9; 3], Interpolation::CubicBSpline);
            let slanted = volume.resampled_to(&grid, Interpolation::CubicBSpline, 0.0);
            (straight.unwrap(), slanted.unwrap())
        })
    });
    assert_eq!(made[0], made[1]);
}

#[rstest]
#[case::too_large([1e-4; 3], "grid to resample to")]
#[case::uncountable([1e-9; 3], "spacing")]
#[case::zero([1.0, 0.0, 1.0], "spacing")]
#[case::nan([1.0, 1.0, f64::NAN], "spacing")]
fn ill_spacings_are_refused(#[case] spacing: [f64; 3], #[case] subject: &str) {
    let volume = Volume::new(&[4, 4, 4], Samples::U8(vec![0; 64]), unit()).unwrap();
    for interpolation in ALL {
        let error = volume
            .resampled_to_spacing(spacing, interpolation)
            .unwrap_err();
        assert!(error.to_string().starts_with(subject), "{error}");
    }
}

#[test]
fn a_picture_becomes_no_stack() {
    let picture = Volume::new(&[4, 4], Samples::U8(vec![0; 16]), unit()).unwrap();
    assert!(
        picture
            .resampled_to_spacing([0.5; 3], Interpolation::Linear)
            .is_err()
    );
    let half = picture
        .resampled_to_spacing([0.5, 0.5, 1.0], Interpolation::Linear)
        .unwrap();
    assert_eq!(half.shape(), [8, 8]);
    // Standing upright it shows one row of voxels.
    let upright = [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 1.0],
        [0.0, 1.0, 0.0, 0.0],
    ];
    let grid = Grid::new([4, 1, 1], Affine::new(upright).unwrap()).unwrap();
    for interpolation in ALL {
        let row = picture.resampled_to(&grid, interpolation, 1.0).unwrap();
        assert_eq!(row.to_f64(), [0.0; 4]);
    }
}

#[test]
fn complex_values_are_picked_but_not_mixed() {
    let values = vec![Complex::new(1.0, 2.0), Complex::new(3.0, -4.0)];
    let volume = Volume::new(&[2, 1], Samples::Complex64(values), unit()).unwrap();
    let flipped = volume.flipped(0).unwrap();
    let back = volume
        .resampled_to(&flipped.grid(), Interpolation::Nearest, 0.0)
        .unwrap();
    assert_eq!(back, flipped);
    for interpolation in [Interpolation::Linear, Interpolation::CubicBSpline] {
        assert!(
            volume
                .resampled_to(&volume.grid(), interpolation, 0.0)
                .is_err()
        );
    }
    let grid = volume.grid();
    assert!(
        volume
            .labels_resampled_to(&grid, LabelInterpolation::LinearArgmax, 0)
            .is_err()
    );
}

#[test]
fn a_fill_that_the_type_does_not_have_is_refused() {
    let volume = Volume::new(&[2, 1], Samples::U8(vec![1, 2]), unit()).unwrap();
    let grid = volume.grid();
    assert!(
        volume
            .resampled_to(&grid, Interpolation::Nearest, -1.0)
            .is_err()
    );
    let made = volume
        .resampled_to(&grid, Interpolation::Linear, -1.0)
        .unwrap();
    assert_eq!(made.sample_type(), SampleType::Float32);
}
