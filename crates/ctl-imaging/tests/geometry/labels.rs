//! Label maps keep their labels.

use ctl_imaging::volume::{Affine, Grid, Interpolation, LabelInterpolation, Samples, Volume};
use proptest::prelude::*;
use std::collections::BTreeSet;

const OUTSIDE: i64 = 77;

const BOTH: [LabelInterpolation; 2] = [
    LabelInterpolation::Nearest,
    LabelInterpolation::LinearArgmax,
];

fn labels(volume: &Volume) -> BTreeSet<i64> {
    volume
        .to_f64()
        .into_iter()
        .map(|label| label as i64)
        .collect()
}

fn maps() -> impl Strategy<Value = Volume> {
    let label = prop::sample::select(vec![-4_i16, 0, 1, 2, 300]);
    (1_usize..6, 1_usize..6, 1_usize..6)
        .prop_flat_map(move |(x, y, z)| {
            let values = prop::collection::vec(label.clone(), x * y * z);
            (Just([x, y, z]), values, affines())
        })
        .prop_map(|(shape, values, affine)| {
            Volume::new(&shape, Samples::I16(values), affine).unwrap()
        })
}

fn affines() -> impl Strategy<Value = Affine> {
    let spread = prop::array::uniform9(-0.4_f64..0.4);
    let origin = prop::array::uniform3(-3.0_f64..3.0);
    (spread, origin).prop_map(|(m, [x, y, z])| {
        Affine::new([
            [1.3 + m[0], m[1], m[2], x],
            [m[3], 1.2 + m[4], m[5], y],
            [m[6], m[7], -1.4 + m[8], z],
        ])
        .unwrap()
    })
}

proptest! {
    #[test]
    fn a_label_map_never_gains_a_label(
        map in maps(), affine in affines(), shape in prop::array::uniform3(1_usize..7),
    ) {
        let grid = Grid::new(shape, affine).unwrap();
        for interpolation in BOTH {
            let moved = map.labels_resampled_to(&grid, interpolation, OUTSIDE).unwrap();
            let mut gained = &labels(&moved) - &labels(&map);
            gained.remove(&OUTSIDE);
            prop_assert!(gained.is_empty(), "{:?} by {:?}", gained, interpolation);
        }
    }

    #[test]
    fn within_the_field_of_view_there_is_no_outside(
        map in maps(), spacing in prop::array::uniform3(0.5_f64..4.0),
    ) {
        let grid = map.grid().with_spacing(spacing).unwrap();
        for interpolation in BOTH {
            let moved = map.labels_resampled_to(&grid, interpolation, OUTSIDE).unwrap();
            prop_assert!(labels(&moved).is_subset(&labels(&map)));
        }
    }

    #[test]
    fn a_map_on_its_own_grid_is_itself(map in maps()) {
        for interpolation in BOTH {
            let same = map.labels_resampled_to(&map.grid(), interpolation, OUTSIDE).unwrap();
            prop_assert_eq!(&same, &map);
        }
    }

    #[test]
    fn nearest_labels_are_nearest_values(map in maps(), affine in affines()) {
        let grid = Grid::new([4, 3, 5], affine).unwrap();
        let labels = map.labels_resampled_to(&grid, LabelInterpolation::Nearest, OUTSIDE);
        let values = map.resampled_to(&grid, Interpolation::Nearest, OUTSIDE as f64);
        prop_assert_eq!(labels.unwrap(), values.unwrap());
    }

    #[test]
    fn two_labels_are_parted_where_their_share_is_half(
        map in maps(), affine in affines(),
    ) {
        // With two labels the larger share is that above one half.
        let two: Vec<i16> = map.to_f64().iter().map(|&label| i16::from(label > 0.0)).collect();
        let map = Volume::new(map.shape(), Samples::I16(two), *map.affine()).unwrap();
        let grid = Grid::new([4, 3, 5], affine).unwrap();
        let moved = map.labels_resampled_to(&grid, LabelInterpolation::LinearArgmax, 0).unwrap();
        let shares = map.resampled_to(&grid, Interpolation::Linear, 0.0).unwrap();
        for (label, share) in moved.to_f64().into_iter().zip(shares.to_f64()) {
            let clear = (share - 0.5).abs() > 1e-6;
            prop_assert!(!clear || (label > 0.5) == (share > 0.5), "{} of {}", label, share);
        }
    }
}

#[test]
fn a_label_that_does_not_fit_is_refused() {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let map = Volume::new(&[2, 2], Samples::U8(vec![0, 1, 2, 3]), affine).unwrap();
    for interpolation in BOTH {
        let refused = map.labels_resampled_to(&map.grid(), interpolation, 256);
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("for uint8, found 256")
        );
    }
}
