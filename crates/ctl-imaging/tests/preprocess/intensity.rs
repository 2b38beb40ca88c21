//! Steps that change values alone.

use super::{farthest, golden, image, numbers, one, refused, singles, stepped, waves};
use ctl_imaging::preprocess::{
    Clahe, Gamma, HistogramMatch, Mask, MinMax, Nyul, NyulTraining, PercentileRescale, Region,
    Step, Window, ZScore,
};
use ctl_imaging::volume::{Affine, Samples, Scaling, Volume};
use proptest::prelude::*;

const GOLDEN: &str = include_str!("../golden/preprocess.json");

#[test]
fn a_z_score_has_mean_0_and_deviation_1_in_its_region() {
    let volume = image(&[4, 1], vec![2.0, 4.0, 6.0, 100.0]);
    let mask = Mask::new([4, 1, 1], vec![1, 1, 1, 0]).unwrap();
    let step = Step::ZScore(ZScore {
        region: Region::Mask,
    });
    let (scored, told) = one(step).apply(&volume, Some(&mask), 0).unwrap();
    // Mean 4, variance 8/3; the voxel outside is moved along.
    let unit = 1.5_f64.sqrt();
    assert!(farthest(&scored.to_f32(), &[-unit, 0.0, unit, 48.0 * unit]) < 1e-5);
    let measured = &told.steps[0].measured;
    assert_eq!(measured.number("mean"), Some(4.0));
    assert_eq!(
        measured.number("standard-deviation"),
        Some((8.0_f64 / 3.0).sqrt())
    );
}

#[test]
fn a_region_needs_its_mask() {
    let volume = image(&[2, 1], vec![1.0, 2.0]);
    let step = || {
        Step::ZScore(ZScore {
            region: Region::Mask,
        })
    };
    assert!(refused(step(), &volume, None).contains("found none"));
    let empty = Mask::new([2, 1, 1], vec![0, 0]).unwrap();
    assert!(refused(step(), &volume, Some(&empty)).contains("background alone"));
}

#[test]
fn percentiles_are_those_of_numpy() {
    let golden = &golden(GOLDEN)["percentiles"];
    let volume = image(&[37, 1], singles(&golden["image"]));
    let step = Step::PercentileRescale(PercentileRescale {
        percentiles: [3.0, 91.0],
        region: Region::Whole,
    });
    let (scaled, told) = one(step).apply(&volume, None, 0).unwrap();
    assert!(farthest(&scaled.to_f32(), &numbers(&golden["scaled"])) < 1e-6);
    let ends = numbers(&golden["ends"]);
    let measured = &told.steps[0].measured;
    assert!((measured.number("low").unwrap() - ends[0]).abs() < 1e-9);
    assert!((measured.number("high").unwrap() - ends[1]).abs() < 1e-9);
}

#[test]
fn a_window_is_of_scaled_values() {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    // Stored 0 is −1024 Hounsfield units.
    let volume = Volume::new(&[3, 1], Samples::U16(vec![0, 1064, 1164]), affine)
        .and_then(|volume| {
            volume.with_scaling(Scaling {
                slope: 1.0,
                intercept: -1024.0,
            })
        })
        .unwrap();
    let step = Step::Window(Window {
        centre: 40.0,
        width: 400.0,
    });
    assert_eq!(stepped(step, &volume, None), [0.0, 0.5, 0.75]);
}

#[test]
fn smallest_and_largest_value_become_0_and_1() {
    let volume = image(&[3, 1], vec![-2.0, 0.0, 6.0]);
    assert_eq!(
        stepped(Step::MinMax(MinMax::default()), &volume, None),
        [0.0, 0.25, 1.0]
    );
}

#[test]
fn gamma_keeps_the_ends_and_bends_between() {
    let volume = image(&[3, 1], vec![2.0, 4.0, 6.0]);
    let bent = |exponent| stepped(Step::Gamma(Gamma { exponent }), &volume, None);
    assert_eq!(bent(2.0), [2.0, 3.0, 6.0]);
    assert_eq!(bent(1.0), [2.0, 4.0, 6.0]);
    let flat = image(&[2, 1], vec![3.0, 3.0]);
    assert_eq!(
        stepped(Step::Gamma(Gamma { exponent: 2.0 }), &flat, None),
        [3.0, 3.0]
    );
}

#[test]
fn histograms_match_as_those_of_scikit_image() {
    let golden = &golden(GOLDEN)["matching"];
    let source = image(&[6, 5], singles(&golden["source"]));
    let reference = image(&[4, 7], singles(&golden["reference"]));
    let step = HistogramMatch::to(&reference, None, Region::Whole).unwrap();
    let matched = stepped(Step::HistogramMatch(step), &source, None);
    assert!(farthest(&matched, &numbers(&golden["matched"])) < 1e-5);
}

#[test]
fn an_image_matched_to_itself_stays_as_it_is() {
    let volume = waves([6, 5, 4]);
    let step = HistogramMatch::to(&volume, None, Region::Whole).unwrap();
    assert_eq!(
        stepped(Step::HistogramMatch(step), &volume, None),
        volume.to_f32()
    );
}

/// Two images that are linear maps of one another have one standard scale.
#[test]
fn landmarks_of_a_standard_scale_are_means_of_stretched_ones() {
    let training = NyulTraining {
        percentiles: vec![0.0, 50.0, 100.0],
        scale: [0.0, 10.0],
        region: Region::Whole,
    };
    // Stretched to 0–10 the medians are 2 and 6, so that the scale's is 4.
    let one_third = image(&[3, 1], vec![100.0, 120.0, 200.0]);
    let other = image(&[3, 1], vec![0.0, 3.0, 5.0]);
    let scale = training
        .train([(&one_third, None), (&other, None)])
        .unwrap();
    assert_eq!(scale.landmarks, [0.0, 4.0, 10.0]);
    assert_eq!(
        stepped(Step::Nyul(scale.clone()), &other, None),
        [0.0, 4.0, 10.0]
    );
    // Halfway between the landmarks 120 and 200 lies the middle of 4 and 10; the ends go on.
    let range = Nyul {
        percentiles: vec![25.0, 50.0, 75.0],
        landmarks: vec![0.0, 4.0, 10.0],
        region: Region::Whole,
    };
    let volume = image(&[5, 1], vec![90.0, 100.0, 120.0, 200.0, 240.0]);
    assert_eq!(
        stepped(Step::Nyul(range), &volume, None),
        [-2.0, 0.0, 4.0, 10.0, 13.0]
    );
    assert!(training.train([]).is_err());
    assert!(
        training
            .train([(&image(&[2, 1], vec![1.0; 2]), None)])
            .is_err()
    );
}

#[test]
fn coinciding_landmarks_do_not_divide_by_nothing() {
    let scale = Nyul {
        percentiles: vec![0.0, 25.0, 50.0, 100.0],
        landmarks: vec![0.0, 1.0, 2.0, 4.0],
        region: Region::Whole,
    };
    // The first three landmarks are all 5: values above go on from where they meet.
    let volume = image(&[5, 1], vec![5.0, 5.0, 5.0, 7.0, 9.0]);
    assert_eq!(
        stepped(Step::Nyul(scale), &volume, None),
        [2.0, 2.0, 2.0, 3.0, 4.0]
    );
}

fn clahe(tiles: [usize; 3], clip_limit: f64, bins: usize, slices: bool) -> Step {
    Step::Clahe(Clahe {
        tiles,
        clip_limit,
        bins,
        slices,
    })
}

#[test]
fn one_tile_without_a_limit_is_plain_equalisation() {
    let volume = image(&[4, 2], vec![0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 3.9, 4.0]);
    // Four bins of width 1: 3, 1, 2 and 2 voxels; the share up to a voxel's bin is its value.
    let expected = [0.375, 0.375, 0.375, 0.5, 0.75, 0.75, 1.0, 1.0];
    assert_eq!(
        stepped(clahe([1; 3], 1.0, 4, false), &volume, None),
        expected
    );
}

#[test]
fn between_tiles_curves_are_blended() {
    // Two tiles of two voxels with centres at 0.5 and 2.5, two bins.
    let volume = image(&[4, 1], vec![0.0, 4.0, 4.0, 4.0]);
    let equal = stepped(clahe([2, 1, 1], 1.0, 2, false), &volume, None);
    // Bin 0 is ½ on the left and 0 on the right; bin 1 is 1 on both.
    assert_eq!(equal, [0.5, 1.0, 1.0, 1.0]);
    let volume = image(&[4, 1], vec![0.0, 0.0, 0.0, 4.0]);
    let equal = stepped(clahe([2, 1, 1], 1.0, 2, false), &volume, None);
    // Bin 0: 1 left, ½ right. Voxel 1 lies a quarter of the way, voxel 2 three quarters.
    assert_eq!(equal, [1.0, 0.875, 0.625, 1.0]);
}

#[test]
fn slices_are_images_of_their_own() {
    let volume = waves([12, 10, 3]);
    let slices = stepped(clahe([3, 2, 8], 0.05, 64, true), &volume, None);
    let together = stepped(clahe([3, 2, 1], 0.05, 64, false), &volume, None);
    assert_ne!(slices, together);
    let (low, high) = volume
        .to_f32()
        .iter()
        .fold((9.0_f32, -9.0_f32), |(low, high), &v| {
            (low.min(v), high.max(v))
        });
    // A slice that holds both ends of the scale is treated alone as it is among others.
    let mut alone = volume.to_f32()[120..240].to_vec();
    alone[0] = low;
    alone[1] = high;
    let mut all = volume.to_f32();
    all[120..240].copy_from_slice(&alone);
    let among = stepped(
        clahe([3, 2, 8], 0.05, 64, true),
        &image(&[12, 10, 3], all),
        None,
    );
    let single = stepped(
        clahe([3, 2, 1], 0.05, 64, false),
        &image(&[12, 10], alone),
        None,
    );
    assert_eq!(among[120..240], single);
}

#[test]
fn local_contrast_is_close_to_that_of_scikit_image() {
    let golden = &golden(GOLDEN)["clahe"];
    let volume = image(&[64, 64], singles(&golden["image"]));
    let ours = stepped(clahe([4, 4, 1], 0.03, 256, false), &volume, None);
    let theirs = numbers(&golden["thousandths"]);
    let theirs: Vec<f64> = theirs.into_iter().map(|value| value / 1000.0).collect();
    let wide: Vec<f64> = ours.iter().map(|&value| value.into()).collect();
    let related = super::correlation(&wide, &theirs);
    let apart = farthest(&ours, &theirs);
    // Their tile centres lie half a voxel further on, which is a thirty-second of a tile.
    assert!(related > 0.995 && apart < 0.06, "{related} {apart}");
}

proptest! {
    #[test]
    fn equalised_values_are_shares(
        values in prop::collection::vec(-5.0_f32..5.0, 60),
        tiles in 1_usize..8,
        limit in 0.001_f64..1.0,
    ) {
        let equal = stepped(clahe([tiles; 3], limit, 32, false), &image(&[5, 4, 3], values), None);
        prop_assert!(equal.iter().all(|value| (0.0..=1.000_001).contains(value)));
    }

    #[test]
    fn steps_of_one_curve_keep_the_order(
        values in prop::collection::vec(-50.0_f32..50.0, 2..60),
        reference in prop::collection::vec(-1.0_f32..9.0, 2..30),
    ) {
        let volume = image(&[values.len(), 1], values.clone());
        let reference = image(&[reference.len(), 1], reference);
        prop_assume!(values.iter().any(|value| *value != values[0]));
        let matched = HistogramMatch::to(&reference, None, Region::Whole).unwrap();
        let training = NyulTraining { percentiles: vec![0.0, 40.0, 100.0], ..Default::default() };
        let scale = training.train([(&volume, None)]).unwrap();
        for step in [
            Step::HistogramMatch(matched),
            Step::Nyul(scale),
            Step::PercentileRescale(PercentileRescale { percentiles: [0.0, 100.0], region: Region::Whole }),
            Step::Gamma(Gamma { exponent: 0.4 }),
        ] {
            let after = stepped(step, &volume, None);
            for (a, was_a) in after.iter().zip(&values) {
                for (b, was_b) in after.iter().zip(&values) {
                    prop_assert!(was_a > was_b || *a <= b + 1e-4);
                }
            }
        }
    }
}
