//! Laws of the metrics on masks, images and anomaly maps.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of these tests build valid input"
)]

use ctl_metrics::anomaly::AnomalyCurve;
use ctl_metrics::distance_transform::distance_transform;
use ctl_metrics::grid::Grid;
use ctl_metrics::image_quality::{ImagePair, SsimConfig};
use ctl_metrics::segmentation::{ElementDistances, Overlap, SurfaceDistances, surface_voxels};
use proptest::prelude::*;

const CLOSE: f64 = 1e-9;

/// A grid of two or three axes with two masks, each with at least one voxel.
#[derive(Debug, Clone)]
struct Masks {
    shape: Vec<usize>,
    spacing: Vec<f64>,
    prediction: Vec<bool>,
    reference: Vec<bool>,
}

impl Masks {
    fn grid(&self) -> Grid {
        Grid::new(&self.shape, &self.spacing).unwrap()
    }

    fn distances(&self) -> SurfaceDistances {
        SurfaceDistances::between(&self.grid(), &self.prediction, &self.reference).unwrap()
    }

    fn elements(&self) -> ElementDistances {
        ElementDistances::between(&self.grid(), &self.prediction, &self.reference).unwrap()
    }

    fn swapped(&self) -> Self {
        Self {
            prediction: self.reference.clone(),
            reference: self.prediction.clone(),
            ..self.clone()
        }
    }

    fn flipped(&self, axis: usize) -> Self {
        Self {
            prediction: flip(&self.prediction, &self.shape, axis),
            reference: flip(&self.reference, &self.shape, axis),
            ..self.clone()
        }
    }

    fn scaled(&self, factor: f64) -> Self {
        let spacing = self.spacing.iter().map(|length| factor * length).collect();
        Self {
            spacing,
            ..self.clone()
        }
    }
}

fn flip<T: Copy>(values: &[T], shape: &[usize], axis: usize) -> Vec<T> {
    let stride: usize = shape[axis + 1..].iter().product();
    let length = shape[axis];
    (0..values.len())
        .map(|index| {
            let position = index / stride % length;
            values[index - position * stride + (length - 1 - position) * stride]
        })
        .collect()
}

fn masks() -> impl Strategy<Value = Masks> {
    let plane = prop::collection::vec(1_usize..9, 2..=3);
    let spacing = prop::collection::vec(0.2_f64..4.0, 3);
    (plane, spacing, 0.1_f64..0.9).prop_flat_map(|(shape, spacing, density)| {
        let voxels: usize = shape.iter().product();
        let bits = || prop::collection::vec(prop::bool::weighted(density), voxels);
        (bits(), bits(), 0..voxels, 0..voxels).prop_map(move |(mut a, mut b, one, other)| {
            a[one] = true;
            b[other] = true;
            Masks {
                shape: shape.clone(),
                spacing: spacing[..shape.len()].to_vec(),
                prediction: a,
                reference: b,
            }
        })
    })
}

fn numbers(masks: &Masks) -> Vec<f64> {
    let (voxels, elements) = (masks.distances(), masks.elements());
    vec![
        voxels.hausdorff(),
        voxels.hd95(),
        voxels.hausdorff_percentile_pooled(95.0).unwrap(),
        voxels.average_symmetric(),
        voxels.mean_of_directed_means(),
        elements.hausdorff(),
        elements.averages().reference_to_prediction,
        elements.averages().prediction_to_reference,
    ]
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= CLOSE * (1.0 + a.abs())
}

/// A stack of slices large enough for the 11x11 window, with its shape.
fn stacks() -> impl Strategy<Value = ([usize; 3], Vec<f64>, Vec<f64>)> {
    (1_usize..3, 11_usize..15, 11_usize..15).prop_flat_map(|(slices, height, width)| {
        let values = || prop::collection::vec(0.01_f64..100.0, slices * height * width);
        (Just([slices, height, width]), values(), values())
    })
}

fn configs() -> [SsimConfig; 3] {
    [
        SsimConfig::fast_mri(),
        SsimConfig::gaussian(),
        SsimConfig::gaussian_reflect(),
    ]
}

proptest! {
    #[test]
    fn overlap_is_symmetric_and_ordered(masks in masks()) {
        let there = Overlap::of(&masks.prediction, &masks.reference).unwrap();
        let back = Overlap::of(&masks.reference, &masks.prediction).unwrap();
        prop_assert!(near(there.dice(), back.dice()));
        prop_assert!(near(there.iou(), back.iou()));
        prop_assert!(near(there.sensitivity(), back.precision()));
        prop_assert!(near(there.dice(), 2.0 * there.iou() / (1.0 + there.iou())));
        prop_assert!(there.iou() <= there.dice() && there.dice() <= there.volume_similarity() + CLOSE);
    }

    #[test]
    fn distances_are_symmetric(masks in masks()) {
        let (there, back) = (masks.distances(), masks.swapped().distances());
        prop_assert_eq!(there.from_prediction(), back.from_reference());
        prop_assert!(near(there.hausdorff(), back.hausdorff()));
        prop_assert!(near(there.average_symmetric(), back.average_symmetric()));
        prop_assert!(near(there.surface_dice(1.0).unwrap(), back.surface_dice(1.0).unwrap()));
        let (there, back) = (masks.elements(), masks.swapped().elements());
        prop_assert!(near(there.hausdorff(), back.hausdorff()));
        prop_assert!(near(there.surface_dice(1.0).unwrap(), back.surface_dice(1.0).unwrap()));
        let averages = (there.averages(), back.averages());
        prop_assert!(near(averages.0.reference_to_prediction, averages.1.prediction_to_reference));
    }

    #[test]
    fn a_mask_is_at_distance_zero_from_itself(masks in masks()) {
        let same = Masks { prediction: masks.reference.clone(), ..masks };
        prop_assert!(numbers(&same).iter().all(|&number| number == 0.0));
        prop_assert!(near(same.distances().surface_dice(0.0).unwrap(), 1.0));
        prop_assert!(near(same.elements().surface_dice(0.0).unwrap(), 1.0));
    }

    #[test]
    fn flips_change_nothing(masks in masks()) {
        for axis in 0..masks.shape.len() {
            for (a, b) in numbers(&masks).iter().zip(numbers(&masks.flipped(axis))) {
                prop_assert!(near(*a, b), "axis {}: {} and {}", axis, a, b);
            }
        }
    }

    #[test]
    fn spacing_scales_distances(masks in masks(), factor in 0.1_f64..10.0) {
        for (a, b) in numbers(&masks).iter().zip(numbers(&masks.scaled(factor))) {
            prop_assert!(near(factor * a, b), "{} and {}", factor * a, b);
        }
    }

    #[test]
    fn percentiles_and_tolerances_are_monotone(masks in masks(), low in 0.0_f64..50.0) {
        let voxels = masks.distances();
        let at = |percent: f64| voxels.hausdorff_percentile(percent).unwrap();
        prop_assert!(at(low) <= at(low + 50.0) && near(at(100.0), voxels.hausdorff()));
        let within = |tolerance: f64| voxels.surface_dice(tolerance).unwrap();
        prop_assert!(within(low) <= within(low + 1.0));
        prop_assert!(near(within(voxels.hausdorff()), 1.0));
        let elements = masks.elements();
        let at = |percent: f64| elements.robust_hausdorff(percent).unwrap();
        prop_assert!(at(low) <= at(low + 50.0) && near(at(100.0), elements.hausdorff()));
        prop_assert!(near(elements.surface_dice(elements.hausdorff()).unwrap(), 1.0));
    }

    #[test]
    fn distances_are_those_of_the_boundaries(masks in masks()) {
        let grid = masks.grid();
        let ours = surface_voxels(&grid, &masks.prediction).unwrap();
        let theirs = surface_voxels(&grid, &masks.reference).unwrap();
        let to_reference = distance_transform(&grid, &theirs).unwrap();
        let mut expected: Vec<f64> =
            ours.iter().zip(&to_reference).filter(|pair| *pair.0).map(|pair| *pair.1).collect();
        expected.sort_by(f64::total_cmp);
        let found = masks.distances();
        prop_assert_eq!(found.from_prediction().len(), expected.len());
        for (a, b) in found.from_prediction().iter().zip(&expected) {
            prop_assert!(near(*a, *b));
        }
    }

    #[test]
    fn an_image_is_like_itself((shape, values, _) in stacks()) {
        let pair = ImagePair::new(&values, &values, shape).unwrap();
        for config in configs() {
            prop_assert!(near(pair.ssim(pair.data_range(), &config).unwrap(), 1.0));
        }
        prop_assert!(pair.psnr(1.0).unwrap() == f64::INFINITY);
    }

    #[test]
    fn similarity_is_symmetric_bounded_and_free_of_units((shape, a, b) in stacks(), factor in 0.1_f64..50.0) {
        let pair = ImagePair::new(&a, &b, shape).unwrap();
        let swapped = ImagePair::new(&b, &a, shape).unwrap();
        let larger = |values: &[f64]| values.iter().map(|v| factor * v).collect::<Vec<f64>>();
        let (more, most) = (larger(&a), larger(&b));
        let scaled = ImagePair::new(&more, &most, shape).unwrap();
        for config in configs() {
            let value = pair.ssim(100.0, &config).unwrap();
            prop_assert!((-1.0..=1.0).contains(&value));
            prop_assert!(near(value, swapped.ssim(100.0, &config).unwrap()));
            prop_assert!(near(value, scaled.ssim(100.0 * factor, &config).unwrap()));
        }
        prop_assert!(near(pair.psnr(100.0).unwrap(), scaled.psnr(100.0 * factor).unwrap()));
        prop_assert!(near(pair.nmse().unwrap(), scaled.nmse().unwrap()));
        prop_assert!(near(factor * pair.mae(), scaled.mae()));
    }

    #[test]
    fn similarity_ignores_flips((shape, a, b) in stacks()) {
        let pair = ImagePair::new(&a, &b, shape).unwrap();
        for axis in 0..3 {
            let (a, b) = (flip(&a, &shape, axis), flip(&b, &shape, axis));
            let flipped = ImagePair::new(&a, &b, shape).unwrap();
            for config in configs() {
                let (x, y) = (pair.ssim(100.0, &config), flipped.ssim(100.0, &config));
                prop_assert!(near(x.unwrap(), y.unwrap()));
            }
        }
    }

    #[test]
    fn anomaly_curves_ignore_monotone_maps_and_flips(
        pixels in prop::collection::vec((0_u8..9, any::<bool>()), 2 * 4 * 5)
    ) {
        let shape = [2, 4, 5];
        let (scores, masks): (Vec<f64>, Vec<bool>) =
            pixels.into_iter().map(|(score, mask)| (f64::from(score), mask)).unzip();
        let mapped: Vec<f64> = scores.iter().map(|score| score.exp() - 3.0).collect();
        if let Ok(curve) = AnomalyCurve::of(&scores, &masks, shape) {
            let other = AnomalyCurve::of(&mapped, &masks, shape).unwrap();
            let (scores, masks) = (flip(&scores, &shape, 2), flip(&masks, &shape, 2));
            let flipped = AnomalyCurve::of(&scores, &masks, shape).unwrap();
            prop_assert_eq!(curve.regions(), flipped.regions());
            for limit in [0.05, 0.3, 1.0] {
                let value = curve.aupro(limit).unwrap();
                prop_assert!(near(value, other.aupro(limit).unwrap()));
                prop_assert!(near(value, flipped.aupro(limit).unwrap()));
            }
            prop_assert!(near(curve.best_f1().f1, other.best_f1().f1));
            prop_assert!(near(curve.auroc(), flipped.auroc()));
        }
    }
}
