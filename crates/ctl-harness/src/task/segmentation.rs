//! A class for every pixel.

use candle_core::{Device, Tensor};
use ctl_compute::ops::softmax;
use ctl_imaging::MaskRole;
use ctl_invariance::{Batch, SampleLoss, SegmentationLoss, TargetKind, WeightedTarget};
use ctl_metrics::grid::Grid;
use ctl_metrics::segmentation::{Overlap, SurfaceDistances};
use ctl_nets::{Mode, Network};

use super::figures::{finite_mean, site_mean};
use super::inputs::{Jitter, Selected, network_images};
use super::{Described, Kit, Panel, Scored};
use crate::data::CohortData;
use crate::record::Metrics;
use crate::run::Prediction;
use crate::{HarnessError, Result};

/// Images per forward pass in evaluation.
const CHUNK: usize = 8;
/// Surface distance up to which a boundary counts as right, in millimetres, or in pixels where
/// their side is not known; at least the side of a pixel, below which nothing can be tolerated.
const TOLERANCE: f64 = 2.0;
/// Share of surface distances that the robust Hausdorff distance covers.
const PERCENTILE: f64 = 95.0;
/// What `predictions.csv` says of each image; `nan` where there is nothing to compare.
const COLUMNS: [&str; 5] = ["dice", "hd95", "assd", "nsd", "predicted_share"];
const DICE: usize = 0;
const SHARE: usize = 4;

/// Segmentation of a cohort with masks.
pub(crate) struct Segmentation<'a> {
    cohort: &'a CohortData,
    classes: usize,
}

impl<'a> Segmentation<'a> {
    pub(crate) fn new(cohort: &'a CohortData) -> Result<Self> {
        if cohort.mask_classes.len() < 2 {
            return Err(HarnessError::Config {
                origin: "cohort".into(),
                key: "mask".into(),
                message: "segmentation needs masks with at least two classes, found none".into(),
            });
        }
        Ok(Self {
            cohort,
            classes: cohort.mask_classes.len(),
        })
    }

    fn images(&self, selected: &Selected<'_>, jitter: &Jitter) -> Result<Tensor> {
        let pixels = selected.pixels(selected.view, jitter)?;
        network_images(pixels, selected.samples.len(), self.cohort.images.shape())
    }

    /// Masks of one observer, `[N, H, W]`.
    fn masks(&self, samples: &[usize], role: MaskRole) -> Result<Vec<Vec<u8>>> {
        let masks = self.cohort.images.masks(samples, role)?;
        let named = |(mask, &sample): (Option<Vec<u8>>, &usize)| {
            mask.ok_or_else(|| HarnessError::Config {
                origin: format!("image {}", self.cohort.samples[sample].id),
                key: "mask".into(),
                message: "has no mask of the observer that it is scored by".into(),
            })
        };
        masks.into_iter().zip(samples).map(named).collect()
    }

    /// The class of every pixel of some images.
    fn predicted(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Vec<u8>>> {
        let images = self.images(selected, &Jitter::default())?;
        let logits = network.forward((&images).into(), Mode::Evaluate)?.outputs;
        let shares = softmax(&logits, 1)?.flatten_all()?.to_vec1::<f32>()?;
        if shares.iter().any(|p| !p.is_finite()) {
            return Err(HarnessError::Diverged {
                what: "network".into(),
            });
        }
        let [_, height, width] = self.cohort.images.shape();
        let pixels = height * width;
        let image = |shares: &[f32]| -> Vec<u8> {
            (0..pixels)
                .map(|pixel| {
                    let share = |class: usize| shares[class * pixels + pixel];
                    let better = |best, class| {
                        if share(class) > share(best) {
                            class
                        } else {
                            best
                        }
                    };
                    (0..self.classes).fold(0, better) as u8
                })
                .collect()
        };
        Ok(shares
            .chunks_exact(self.classes * pixels)
            .map(image)
            .collect())
    }

    /// Classes as equal steps from black to white.
    fn shades(&self, mask: &[u8]) -> Vec<f32> {
        let top = (self.classes - 1) as f32;
        mask.iter().map(|&class| f32::from(class) / top).collect()
    }

    /// Figures of one image: means over the foreground classes that it has.
    fn figures(&self, sample: usize, predicted: &[u8], reference: &[u8]) -> Result<Vec<f64>> {
        let [_, height, width] = self.cohort.images.shape();
        let sides = self.cohort.images.pixel_mm(sample)?.unwrap_or([1.0; 2]);
        let grid = Grid::new(&[height, width], &sides)?;
        let tolerance = sides.into_iter().fold(TOLERANCE, f64::max);
        let mut sums = [0.0; COLUMNS.len()];
        let mut present = 0.0;
        for class in 1..self.classes as u8 {
            let of = |mask: &[u8]| -> Vec<bool> { mask.iter().map(|&c| c == class).collect() };
            let (own, truth) = (of(predicted), of(reference));
            if !truth.contains(&true) {
                continue;
            }
            present += 1.0;
            let surfaces = SurfaceDistances::between(&grid, &own, &truth)?;
            let figures = [
                Overlap::of(&own, &truth)?.dice(),
                surfaces.hausdorff_percentile(PERCENTILE)?,
                surfaces.average_symmetric(),
                surfaces.surface_dice(tolerance)?,
            ];
            for (sum, figure) in sums.iter_mut().zip(figures) {
                *sum += figure;
            }
        }
        let foreground = predicted.iter().filter(|&&class| class > 0).count();
        let mut figures = sums.map(|sum| {
            if present > 0.0 {
                sum / present
            } else {
                f64::NAN
            }
        });
        figures[SHARE] = foreground as f64 / predicted.len() as f64;
        Ok(figures.to_vec())
    }
}

/// Takes what lies outside the region out of both masks.
fn restrict(masks: [&mut Vec<u8>; 2], region: Option<&Vec<u8>>) {
    let Some(region) = region else { return };
    for mask in masks {
        for (class, inside) in mask.iter_mut().zip(region) {
            *class *= *inside;
        }
    }
}

impl Kit for Segmentation<'_> {
    fn at_once(&self) -> usize {
        CHUNK
    }

    fn loss(&self) -> &dyn SampleLoss {
        &SegmentationLoss
    }

    fn channels(&self) -> [usize; 2] {
        [self.cohort.images.shape()[0], self.classes]
    }

    fn batch(&self, selected: &Selected<'_>) -> Result<Batch> {
        let jitter = selected.jitter();
        let [_, height, width] = self.cohort.images.shape();
        let images = self.images(selected, &jitter)?;
        let mut batch = selected.batch(images, TargetKind::Masks);
        if selected.is_labelled() {
            let mut masks = self.masks(selected.samples, selected.observer)?.concat();
            jitter.apply(&mut masks, [1, height, width]);
            let classes: Vec<u32> = masks.into_iter().map(u32::from).collect();
            let shape = (selected.samples.len(), height, width);
            batch.targets.push(WeightedTarget {
                weight: 1.0,
                target: Tensor::from_vec(classes, shape, &Device::Cpu)?,
            });
        }
        Ok(batch)
    }

    fn score(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Scored> {
        let mut rows = Vec::with_capacity(selected.samples.len());
        for chunk in &selected.chunks(CHUNK) {
            let predicted = self.predicted(network, &selected.with(chunk))?;
            let references = self.masks(chunk, selected.observer)?;
            let regions = self.cohort.images.masks(chunk, MaskRole::EvaluateWithin)?;
            let images = predicted.into_iter().zip(references).zip(regions);
            for (&sample, ((mut predicted, mut reference), region)) in chunk.iter().zip(images) {
                restrict([&mut predicted, &mut reference], region.as_ref());
                let figures = self.figures(sample, &predicted, &reference)?;
                rows.push(Prediction::of(self.cohort, sample, figures));
            }
        }
        Ok(Scored {
            rows,
            ..Scored::default()
        })
    }

    fn columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }

    /// Means over the images that have foreground; distances over those where it was found at all,
    /// with the share of the others beside them.
    fn metrics(&self, scored: &Scored) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        for (column, name) in COLUMNS.iter().take(SHARE).enumerate() {
            if let Some(mean) = finite_mean(&scored.rows, |row| row.outputs[column]) {
                metrics.insert((*name).to_owned(), mean);
            }
        }
        let missed = |row: &Prediction| {
            let infinite = row.outputs[1].is_infinite();
            if row.outputs[DICE].is_nan() {
                f64::NAN
            } else {
                f64::from(infinite)
            }
        };
        let empty = |row: &Prediction| {
            if row.outputs[DICE].is_nan() {
                f64::from(row.outputs[SHARE] == 0.0)
            } else {
                f64::NAN
            }
        };
        for (name, value) in [
            ("missed_share", finite_mean(&scored.rows, missed)),
            ("empty_kept_empty", finite_mean(&scored.rows, empty)),
            ("worst_site_dice", worst_site(&scored.rows)),
        ] {
            if let Some(value) = value {
                metrics.insert(name.to_owned(), value);
            }
        }
        Ok(metrics)
    }

    fn selection_score(&self, scored: &Scored, _labelled: bool) -> Result<f64> {
        Ok(site_mean(&scored.rows, |row| row.outputs[DICE]).unwrap_or(0.0))
    }

    fn described(&self) -> Vec<String> {
        let classes = self.cohort.mask_classes.iter();
        classes.map(|class| format!("share({class})")).collect()
    }

    fn describe(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Described>> {
        let described = |mask: Vec<u8>| {
            let share = |class: usize| {
                let own = mask.iter().filter(|&&c| usize::from(c) == class).count();
                own as f64 / mask.len() as f64
            };
            Described {
                values: (0..self.classes).map(share).collect(),
                picture: Some(self.shades(&mask)),
            }
        };
        let masks = self.predicted(network, selected)?;
        Ok(masks.into_iter().map(described).collect())
    }

    fn panels(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Panel>> {
        let view = selected.pixels(selected.view, &Jitter::default())?;
        let [_, height, width] = self.cohort.images.shape();
        let predicted = self.predicted(network, selected)?;
        let reference = self.masks(selected.samples, selected.observer)?;
        let panel = |caption: &str, pixels| Panel {
            caption: caption.to_owned(),
            pixels,
        };
        Ok(vec![
            panel("image", view[..height * width].to_vec()),
            panel("reference", self.shades(&reference[0])),
            panel("segmentation", self.shades(&predicted[0])),
        ])
    }
}

/// Smallest mean Dice over the sites, where there are at least two.
fn worst_site(rows: &[Prediction]) -> Option<f64> {
    let mut sites: Vec<&str> = rows.iter().map(|row| row.site.as_str()).collect();
    sites.sort_unstable();
    sites.dedup();
    let means = sites.iter().filter_map(|&site| {
        let own: Vec<Prediction> = rows.iter().filter(|r| r.site == site).cloned().collect();
        finite_mean(&own, |row| row.outputs[DICE])
    });
    let means: Vec<f64> = means.collect();
    (means.len() > 1).then(|| means.into_iter().fold(f64::INFINITY, f64::min))
}
