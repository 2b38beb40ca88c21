//! What is unlike the normal images that training saw.

use std::rc::Rc;

use candle_core::{Device, Tensor};
use ctl_compute::random::stream;
use ctl_imaging::MaskRole;
use ctl_invariance::{Batch, ImageTransform, SampleLoss, SquaredError, TargetKind, WeightedTarget};
use ctl_metrics::anomaly::AnomalyCurve;
use ctl_metrics::discrimination::{auroc, average_precision};
use ctl_nets::{Architecture, AutoencoderSpec, Mode, Network, NetworkInput};
use rand_distr::{Distribution as _, StandardNormal};

use super::density::FeatureDensity;
use super::figures::{defined, finite_mean};
use super::inputs::{How, Jitter, Selected, network_images, pixel_value};
use super::{Described, Kit, Panel, Scored};
use crate::data::{CohortData, Parts, View};
use crate::record::Metrics;
use crate::run::Prediction;
use crate::spec::{AnomalyScore, RunSpec};
use crate::{HarnessError, Result};

/// Images per forward pass in evaluation.
const CHUNK: usize = 32;
/// What `predictions.csv` says of each image.
const COLUMNS: [&str; 2] = ["score", "residual"];
const RESIDUAL: usize = 1;
/// Share of the pixels, the most anomalous ones, whose mean scores an image: a maximum would be
/// noise, the mean over the image would miss small findings.
const TOP_SHARE: f64 = 0.02;
/// False positive rate up to which the overlap by region is integrated (Bergmann et al. 2020).
const AUPRO_LIMIT: f64 = 0.3;
/// Half side of the box that anomaly maps are smoothed by.
const SMOOTHING: usize = 1;

/// Anomaly detection in a cohort.
pub(crate) struct Anomaly<'a> {
    spec: &'a RunSpec,
    cohort: &'a CohortData,
    parts: &'a Parts,
    view: View,
    transform: Option<Rc<dyn ImageTransform>>,
    density: Option<FeatureDensity>,
}

/// What the network makes of one image.
struct Judged {
    /// Anomaly score of every pixel, `[H, W]`.
    map: Vec<f64>,
    /// Mean squared error of the reconstruction.
    residual: f64,
    /// The reconstruction, `[C, H, W]` in [0, 1].
    reconstruction: Vec<f32>,
}

impl<'a> Anomaly<'a> {
    pub(crate) fn new(
        spec: &'a RunSpec,
        cohort: &'a CohortData,
        (parts, view): (&'a Parts, View),
        transform: Option<Rc<dyn ImageTransform>>,
    ) -> Self {
        Self {
            spec,
            cohort,
            parts,
            view,
            transform,
            density: None,
        }
    }

    fn images(&self, selected: &Selected<'_>, jitter: &Jitter) -> Result<Tensor> {
        let pixels = selected.pixels(selected.view, jitter)?;
        network_images(pixels, selected.samples.len(), self.cohort.images.shape())
    }

    /// Noise for the latent variables of a variational autoencoder in training.
    fn noise(&self, selected: &Selected<'_>) -> Result<Option<Tensor>> {
        let How::Train {
            environment, step, ..
        } = selected.how
        else {
            return Ok(None);
        };
        if self.spec.training.network != Architecture::Vae {
            return Ok(None);
        }
        let purpose = format!("latent noise of environment {environment} at step {step}");
        let mut rng = stream(self.spec.seed, &self.spec.data_key(), &purpose);
        let [channels, height, width] = self.cohort.images.shape();
        let latents = AutoencoderSpec::small(channels, [height, width]).latent;
        let count = selected.samples.len() * latents;
        let draws: Vec<f32> = (0..count)
            .map(|_| StandardNormal.sample(&mut rng))
            .collect();
        let shape = (selected.samples.len(), latents);
        Ok(Some(Tensor::from_vec(draws, shape, &Device::Cpu)?))
    }

    fn judge(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Judged>> {
        let [channels, height, width] = self.cohort.images.shape();
        let images = self.images(selected, &Jitter::default())?;
        let input = NetworkInput::from(&images);
        let out = network.forward(input, Mode::Evaluate)?;
        let flat = |t: &Tensor| -> Result<Vec<f32>> { Ok(t.flatten_all()?.to_vec1::<f32>()?) };
        let (seen, rebuilt) = (flat(&images)?, flat(&out.outputs)?);
        if rebuilt.iter().any(|value| !value.is_finite()) {
            return Err(HarnessError::Diverged {
                what: "network".into(),
            });
        }
        let densities = match (&self.density, &out.feature_map) {
            (Some(density), Some(features)) => Some(density.maps(features, [height, width])?),
            _ => None,
        };
        let size = channels * height * width;
        let pairs = seen.chunks_exact(size).zip(rebuilt.chunks_exact(size));
        Ok(pairs
            .enumerate()
            .map(|(index, (seen, rebuilt))| {
                let squares = squared_error(seen, rebuilt, channels);
                let map = match &densities {
                    Some(maps) => maps[index].clone(),
                    None => smoothed(&squares, [height, width]),
                };
                Judged {
                    map,
                    residual: squares.iter().sum::<f64>() / squares.len() as f64,
                    reconstruction: rebuilt.iter().map(|&v| pixel_value(v)).collect(),
                }
            })
            .collect())
    }

    /// Metrics over all pixels of the images that have a mask.
    fn pixel_metrics(&self, maps: &[f64], masks: &[bool], images: usize) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        if images == 0 {
            return Ok(metrics);
        }
        let [_, height, width] = self.cohort.images.shape();
        let shape = [images, height, width];
        let curve = match AnomalyCurve::of(maps, masks, shape) {
            Ok(curve) => curve,
            // Images of normal patients alone, or of nothing else, have no curve.
            Err(error) if error.is_undefined() => return Ok(metrics),
            Err(error) => return Err(error.into()),
        };
        metrics.insert("pixel_auroc".into(), curve.auroc());
        metrics.insert("aupro".into(), curve.aupro(AUPRO_LIMIT)?);
        metrics.insert("best_dice".into(), curve.best_f1().f1);
        Ok(metrics)
    }
}

/// Mean over channels of the squared difference, `[H, W]`.
fn squared_error(seen: &[f32], rebuilt: &[f32], channels: usize) -> Vec<f64> {
    let pixels = seen.len() / channels;
    let mut sums = vec![0.0; pixels];
    for (index, (a, b)) in seen.iter().zip(rebuilt).enumerate() {
        sums[index % pixels] += f64::from(a - b).powi(2) / channels as f64;
    }
    sums
}

/// The mean over a box around each pixel, cut off at the border.
fn smoothed(map: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let mut out = Vec::with_capacity(map.len());
    for y in 0..height {
        let rows = y.saturating_sub(SMOOTHING)..(y + SMOOTHING + 1).min(height);
        for x in 0..width {
            let columns = x.saturating_sub(SMOOTHING)..(x + SMOOTHING + 1).min(width);
            let count = (rows.len() * columns.len()) as f64;
            let row = |r: usize| map[r * width + columns.start..r * width + columns.end].iter();
            out.push(rows.clone().flat_map(row).sum::<f64>() / count);
        }
    }
    out
}

/// Mean of the highest scores.
fn top_mean(map: &[f64]) -> f64 {
    let count = ((map.len() as f64 * TOP_SHARE).ceil() as usize).clamp(1, map.len());
    let mut sorted = map.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted[..count].iter().sum::<f64>() / count as f64
}

impl Kit for Anomaly<'_> {
    fn at_once(&self) -> usize {
        CHUNK
    }

    fn loss(&self) -> &dyn SampleLoss {
        &SquaredError
    }

    fn channels(&self) -> [usize; 2] {
        let channels = self.cohort.images.shape()[0];
        [channels, channels]
    }

    fn batch(&self, selected: &Selected<'_>) -> Result<Batch> {
        let images = self.images(selected, &selected.jitter())?;
        let mut batch = selected.batch(images, TargetKind::Images);
        batch.context = self.noise(selected)?;
        if selected.is_labelled() {
            batch.targets.push(WeightedTarget {
                weight: 1.0,
                target: batch.images.clone(),
            });
        }
        Ok(batch)
    }

    /// Fits the density of features to the training images.
    fn prepare(&mut self, network: &dyn Network) -> Result<()> {
        if self.spec.training.anomaly_score != AnomalyScore::FeatureDensity {
            return Ok(());
        }
        let train = self.parts.train.iter().flat_map(|part| &part.samples);
        let samples: Vec<usize> = train.copied().collect();
        let mut maps = Vec::new();
        for chunk in samples.chunks(CHUNK) {
            let selected = Selected {
                spec: self.spec,
                cohort: self.cohort,
                view: self.view,
                samples: chunk,
                how: How::Evaluate,
                observer: MaskRole::Annotation,
                transform: self.transform.as_deref(),
            };
            let images = self.images(&selected, &Jitter::default())?;
            let out = network.forward((&images).into(), Mode::Evaluate)?;
            maps.extend(out.feature_map);
        }
        self.density = Some(FeatureDensity::fit(&maps)?);
        Ok(())
    }

    fn score(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Scored> {
        let mut rows = Vec::with_capacity(selected.samples.len());
        let (mut maps, mut masks, mut masked) = (Vec::new(), Vec::new(), 0);
        for chunk in &selected.chunks(CHUNK) {
            let judged = self.judge(network, &selected.with(chunk))?;
            let findings = self.cohort.images.masks(chunk, MaskRole::Annotation)?;
            for ((&sample, judged), finding) in chunk.iter().zip(&judged).zip(findings) {
                let outputs = vec![top_mean(&judged.map), judged.residual];
                rows.push(Prediction::of(self.cohort, sample, outputs));
                if let Some(finding) = finding {
                    masked += 1;
                    maps.extend(&judged.map);
                    masks.extend(finding.iter().map(|&class| class > 0));
                }
            }
        }
        Ok(Scored {
            beside: self.pixel_metrics(&maps, &masks, masked)?,
            rows,
        })
    }

    fn columns(&self) -> &'static [&'static str] {
        &COLUMNS
    }

    fn metrics(&self, scored: &Scored) -> Result<Metrics> {
        let scores: Vec<f64> = scored.rows.iter().map(|row| row.outputs[0]).collect();
        let anomalous: Vec<bool> = scored.rows.iter().map(|row| row.target > 0).collect();
        let mut metrics = scored.beside.clone();
        for (name, value) in [
            ("auroc", defined(auroc(&scores, &anomalous))?),
            (
                "average_precision",
                defined(average_precision(&scores, &anomalous))?,
            ),
            (
                "residual",
                finite_mean(&scored.rows, |row| row.outputs[RESIDUAL]),
            ),
        ] {
            if let Some(value) = value {
                metrics.insert(name.to_owned(), value);
            }
        }
        Ok(metrics)
    }

    /// Without anomalies a checkpoint can only be chosen by how well it knows normal images.
    fn selection_score(&self, scored: &Scored, labelled: bool) -> Result<f64> {
        let area = self.metrics(scored)?.get("auroc").copied();
        let residual = finite_mean(&scored.rows, |row| row.outputs[RESIDUAL]);
        Ok(match area.filter(|_| labelled) {
            Some(area) => area,
            None => -residual.unwrap_or(f64::INFINITY),
        })
    }

    fn described(&self) -> Vec<String> {
        COLUMNS.map(str::to_owned).to_vec()
    }

    fn describe(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Described>> {
        let judged = self.judge(network, selected)?;
        let described = |judged: Judged| {
            let top = judged.map.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            Described {
                values: vec![top_mean(&judged.map), judged.residual],
                picture: Some(judged.map.iter().map(|v| (v / top) as f32).collect()),
            }
        };
        Ok(judged.into_iter().map(described).collect())
    }

    fn panels(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Panel>> {
        let [_, height, width] = self.cohort.images.shape();
        let pixels = height * width;
        let seen = selected.pixels(selected.view, &Jitter::default())?;
        let judged = self.judge(network, selected)?;
        let Some(first) = judged.first() else {
            return Ok(Vec::new());
        };
        let top = first.map.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let panel = |caption: &str, pixels: Vec<f32>| Panel {
            caption: caption.to_owned(),
            pixels,
        };
        let mut panels = vec![
            panel("image", seen[..pixels].to_vec()),
            panel("reconstruction", first.reconstruction[..pixels].to_vec()),
            panel(
                "anomaly map",
                first.map.iter().map(|v| (v / top) as f32).collect(),
            ),
        ];
        let finding = self
            .cohort
            .images
            .masks(selected.samples, MaskRole::Annotation)?;
        if let Some(Some(mask)) = finding.first() {
            let pixels = mask.iter().map(|&class| f32::from(class.min(1))).collect();
            panels.push(panel("finding", pixels));
        }
        Ok(panels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_a_map_by_hand() {
        let mut map = vec![0.0; 100];
        (map[7], map[50]) = (4.0, 2.0);
        // Two of a hundred pixels.
        assert!((top_mean(&map) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn smoothing_keeps_constants_and_spreads_points() {
        assert_eq!(smoothed(&[2.0; 12], [3, 4]), [2.0; 12]);
        let mut map = vec![0.0; 25];
        map[12] = 9.0;
        let out = smoothed(&map, [5, 5]);
        assert!((out[12] - 1.0).abs() < 1e-12 && (out[6] - 1.0).abs() < 1e-12);
        assert!(out[0].abs() < 1e-12);
    }

    #[test]
    fn channels_are_averaged() {
        assert_eq!(squared_error(&[1.0, 2.0], &[0.0, 0.0], 2), [2.5]);
    }
}
