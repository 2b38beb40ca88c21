//! Resizing against numbers computed independently (`golden/make_resize.py`), and its laws.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

use ctl_imaging::{Filter, ImagingError, Raster};
use proptest::prelude::*;
use rstest::rstest;
use serde::Deserialize;

/// Golden numbers are 64-bit, ours 32-bit.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Case {
    from: [usize; 2],
    to: [usize; 2],
    samples: Vec<f32>,
    area_or_bilinear: Vec<f64>,
    nearest: Vec<f64>,
}

fn assert_close(ours: &[f32], golden: &[f64], what: &str) {
    assert_eq!(ours.len(), golden.len(), "{what}");
    for (position, (&ours, &golden)) in ours.iter().zip(golden).enumerate() {
        let difference = (f64::from(ours) - golden).abs();
        assert!(
            difference <= TOLERANCE,
            "{what}, sample {position}: {ours} for {golden}"
        );
    }
}

#[test]
fn agrees_with_numpy() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/resize.json")).unwrap();
    assert_eq!(cases.len(), 12);
    for Case {
        from,
        to,
        samples,
        area_or_bilinear,
        nearest,
    } in cases
    {
        let raster = Raster::new(1, from[0], from[1], samples).unwrap();
        let what = format!("{from:?} to {to:?}");
        let resized = raster
            .resized(to[0], to[1], Filter::AreaOrBilinear)
            .unwrap();
        assert_close(resized.samples(), &area_or_bilinear, &what);
        let resized = raster.resized(to[0], to[1], Filter::Nearest).unwrap();
        assert_close(resized.samples(), &nearest, &what);
    }
}

#[rstest]
#[case::no_rows(0, 1)]
#[case::no_columns(1, 0)]
#[case::overflow(usize::MAX, usize::MAX)]
#[case::too_large(1 << 20, 1 << 20)]
fn impossible_sizes_are_refused(#[case] height: usize, #[case] width: usize) {
    let raster = Raster::new(1, 1, 1, vec![0.5]).unwrap();
    let error = raster.resized(height, width, Filter::Nearest).unwrap_err();
    assert!(
        matches!(
            error,
            ImagingError::Argument {
                subject: "raster size",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn channels_do_not_mix() {
    let raster = Raster::new(2, 1, 2, vec![0.0, 2.0, 10.0, 30.0]).unwrap();
    let resized = raster.resized(1, 1, Filter::AreaOrBilinear).unwrap();
    assert_eq!(resized.samples(), [1.0, 20.0]);
}

#[test]
fn one_axis_may_shrink_while_the_other_grows() {
    let raster = Raster::new(1, 2, 2, vec![0.0, 4.0, 2.0, 6.0]).unwrap();
    let resized = raster.resized(1, 4, Filter::AreaOrBilinear).unwrap();
    assert_eq!(resized.samples(), [1.0, 2.0, 4.0, 5.0]);
}

fn rasters() -> impl Strategy<Value = Raster> {
    (1_usize..4, 1_usize..20, 1_usize..20).prop_flat_map(|(channels, height, width)| {
        prop::collection::vec(0.0_f32..1.0, channels * height * width)
            .prop_map(move |samples| Raster::new(channels, height, width, samples).unwrap())
    })
}

fn mean(samples: &[f32]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / samples.len() as f64
}

proptest! {
    #[test]
    fn averaging_keeps_the_mean(raster in rasters(), height in 1_usize..20, width in 1_usize..20) {
        let (height, width) = (height.min(raster.height()), width.min(raster.width()));
        let resized = raster.resized(height, width, Filter::AreaOrBilinear).unwrap();
        for channel in 0..raster.channels() {
            let before = mean(raster.channel(channel).unwrap());
            let after = mean(resized.channel(channel).unwrap());
            prop_assert!((before - after).abs() < 1e-6, "{before} became {after}");
        }
    }

    #[test]
    fn a_constant_stays_constant(
        value in -1e3_f32..1e3, from in (1_usize..30, 1_usize..30), to in (1_usize..30, 1_usize..30),
    ) {
        let raster = Raster::new(1, from.0, from.1, vec![value; from.0 * from.1]).unwrap();
        for filter in [Filter::AreaOrBilinear, Filter::Nearest] {
            let resized = raster.resized(to.0, to.1, filter).unwrap();
            prop_assert_eq!(resized.shape(), [1, to.0, to.1]);
            for sample in resized.samples() {
                prop_assert!((sample - value).abs() <= 1e-6 * value.abs(), "{sample} for {value}");
            }
        }
    }

    #[test]
    fn nothing_lies_outside_the_old_range(
        raster in rasters(), height in 1_usize..40, width in 1_usize..40,
    ) {
        let low = raster.samples().iter().copied().fold(f32::INFINITY, f32::min);
        let high = raster.samples().iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let resized = raster.resized(height, width, Filter::AreaOrBilinear).unwrap();
        for sample in resized.samples() {
            prop_assert!((low - 1e-6..=high + 1e-6).contains(sample));
        }
    }

    #[test]
    fn nearest_invents_no_value(
        raster in rasters(), height in 1_usize..40, width in 1_usize..40,
    ) {
        let resized = raster.resized(height, width, Filter::Nearest).unwrap();
        for channel in 0..raster.channels() {
            let old = raster.channel(channel).unwrap();
            prop_assert!(resized.channel(channel).unwrap().iter().all(|new| old.contains(new)));
        }
    }

    #[test]
    fn mirroring_and_resizing_commute(raster in rasters(), width in 1_usize..40) {
        let mirrored = |raster: &Raster| {
            let rows = raster.samples().chunks(raster.width());
            let samples = rows.flat_map(|row| row.iter().rev().copied()).collect();
            Raster::new(raster.channels(), raster.height(), raster.width(), samples).unwrap()
        };
        let resize = |raster: &Raster| {
            raster.resized(raster.height(), width, Filter::AreaOrBilinear).unwrap()
        };
        let (one, other) = (mirrored(&resize(&raster)), resize(&mirrored(&raster)));
        for (one, other) in one.samples().iter().zip(other.samples()) {
            prop_assert!((one - other).abs() < 1e-6);
        }
    }
}
