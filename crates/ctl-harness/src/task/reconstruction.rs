//! Images from fewer columns of k-space than they have.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::sync::OnceLock;

use candle_core::{Device, Tensor};
use ctl_compute::ops::fourier::{Complex, fft2_centred, ifft2_centred};
use ctl_compute::random::stream;
use ctl_imaging::kspace::{CartesianMask, MaskKind};
use ctl_invariance::{Batch, SampleLoss, SquaredError, TargetKind, WeightedTarget};
use ctl_metrics::image_quality::{ImagePair, SsimConfig};
use ctl_nets::{Mode, Network, NetworkInput};
use rand::RngExt;

use super::figures::{finite_mean, site_mean};
use super::inputs::{How, Selected};
use super::{Described, Kit, Panel, Scored};
use crate::data::{CohortData, View};
use crate::record::Metrics;
use crate::run::Prediction;
use crate::spec::{RunSpec, SamplingPattern, Training};
use crate::{HarnessError, Result};

/// Images per forward pass in evaluation.
const CHUNK: usize = 8;
/// What `predictions.csv` says of each image.
const COLUMNS: [&str; 4] = ["ssim", "psnr", "nmse", "zero_filled_ssim"];
const SSIM: usize = 0;
/// Greatest slope of the simulated phase over half an image, in radians.
const PHASE_SLOPE: f64 = 1.5;

/// Reconstruction of the images of a cohort.
///
/// A magnitude image becomes complex by a smooth phase that is drawn for each image, as receive
/// coils and field give it; its k-space is then measured in some columns only.
/// Training draws one pattern for a step, evaluation one for each image.
/// A simulated image is measured with noise and motion and compared with what it would be without.
pub(crate) struct Reconstruction<'a> {
    cohort: &'a CohortData,
    mask: CartesianMask,
    volumes: BTreeMap<Volume<'a>, Slices>,
}

/// The samples of a volume, and their greatest value once it is known.
#[derive(Default)]
struct Slices {
    samples: Vec<usize>,
    range: OnceLock<f64>,
}

/// Slices of one volume share site, or contrast where that stands for it, and patient.
type Volume<'a> = (usize, &'a str);

fn volume_of(cohort: &CohortData, sample: usize) -> Volume<'_> {
    let sample = &cohort.samples[sample];
    (sample.site, &sample.patient)
}

fn volumes(cohort: &CohortData) -> BTreeMap<Volume<'_>, Slices> {
    let mut volumes: BTreeMap<Volume<'_>, Slices> = BTreeMap::new();
    for sample in 0..cohort.samples.len() {
        let volume = volumes.entry(volume_of(cohort, sample)).or_default();
        volume.samples.push(sample);
    }
    volumes
}

fn mask(training: &Training, width: usize) -> CartesianMask {
    let settings = training.undersampling;
    CartesianMask {
        width,
        centre_fraction: settings.centre_fraction,
        acceleration: settings.acceleration,
        kind: match settings.pattern {
            SamplingPattern::Random => MaskKind::Random,
            SamplingPattern::Equispaced => MaskKind::Equispaced,
        },
    }
}

/// Whether images of one channel are measured in some columns.
///
/// # Errors
/// When images are to be coloured, or the mask keeps nothing or not even its centre.
pub(super) fn check(training: &Training) -> Result<()> {
    let fault = |key: &str, message: String| HarnessError::Config {
        origin: "reconstruction".into(),
        key: key.into(),
        message,
    };
    if training.colour {
        let message = "reconstruction needs images of one channel: set `colour = false`, and \
                       `channel` to take one of a coloured image";
        return Err(fault("colour", message.into()));
    }
    mask(training, training.size)
        .draw(&mut stream(0, "", "a mask to try"))
        .map(drop)
        .map_err(|error| fault("undersampling", error.to_string()))
}

/// One measurement.
struct Measured {
    /// Real and imaginary part of the zero-filled image, `[2, H, W]`.
    zero_filled: Vec<f32>,
    /// Real and imaginary part of the true image, `[2, H, W]`.
    truth: Vec<f32>,
    /// 1 for measured columns, `[W]`.
    columns: Vec<f32>,
}

impl<'a> Reconstruction<'a> {
    pub(crate) fn new(spec: &RunSpec, cohort: &'a CohortData) -> Result<Self> {
        let [_, _, width] = cohort.images.shape();
        check(&spec.training)?;
        let mask = mask(&spec.training, width);
        Ok(Self {
            cohort,
            mask,
            volumes: volumes(cohort),
        })
    }

    /// Magnitudes as seen and as they are, each `[N, H, W]`.
    fn magnitudes(selected: &Selected<'_>) -> Result<[Vec<f32>; 2]> {
        let jitter = selected.jitter();
        Ok([
            selected.pixels(selected.view, &jitter)?,
            selected.pixels(View::Reference, &jitter)?,
        ])
    }

    /// Measures magnitudes of the selected samples in their order, again and again where there are
    /// more of them.
    fn sampled(
        &self,
        [seen, truth]: [&[f32]; 2],
        selected: &Selected<'_>,
    ) -> Result<Vec<Measured>> {
        let [_, height, width] = self.cohort.images.shape();
        let pixels = height * width;
        let images = seen.chunks_exact(pixels).zip(truth.chunks_exact(pixels));
        let spec = selected.spec;
        selected
            .samples
            .iter()
            .cycle()
            .zip(images)
            .map(|(&sample, (seen, truth))| {
                let id = &self.cohort.samples[sample].id;
                let phase = phase(spec.seed, id, [height, width]);
                let purpose = match selected.how {
                    How::Train { step, .. } => format!("columns at step {step}"),
                    How::Evaluate => format!("columns of {id}"),
                };
                let mut rng = stream(spec.seed, &spec.data_key(), &purpose);
                let columns = self.mask.draw(&mut rng)?;
                undersample(seen, truth, &phase, &columns)
            })
            .collect()
    }

    fn tensors(&self, measured: &[Measured]) -> Result<(Tensor, Tensor, Tensor)> {
        let [_, height, width] = self.cohort.images.shape();
        let count = measured.len();
        let stack = |part: fn(&Measured) -> &Vec<f32>| -> Vec<f32> {
            measured
                .iter()
                .flat_map(|m| part(m).iter().copied())
                .collect()
        };
        let shape = (count, 2, height, width);
        Ok((
            Tensor::from_vec(stack(|m| &m.zero_filled), shape, &Device::Cpu)?,
            Tensor::from_vec(stack(|m| &m.columns), (count, width), &Device::Cpu)?,
            Tensor::from_vec(stack(|m| &m.truth), shape, &Device::Cpu)?,
        ))
    }

    /// The network's magnitude images beside the measurements.
    fn reconstruct(
        &self,
        network: &dyn Network,
        selected: &Selected<'_>,
    ) -> Result<Vec<(Vec<f64>, Measured)>> {
        let [seen, truth] = Self::magnitudes(selected)?;
        let measured = self.sampled([&seen, &truth], selected)?;
        let (images, columns, _) = self.tensors(&measured)?;
        let input = NetworkInput::new(&images, Some(&columns));
        let outputs = network.forward(input, Mode::Evaluate)?.outputs;
        let outputs = outputs.flatten_all()?.to_vec1::<f32>()?;
        if outputs.iter().any(|value| !value.is_finite()) {
            return Err(HarnessError::Diverged {
                what: "network".into(),
            });
        }
        let size = outputs.len() / measured.len().max(1);
        let magnitudes = outputs.chunks_exact(size).map(magnitude);
        Ok(magnitudes.zip(measured).collect())
    }

    /// The greatest value in the volume of each sample: what fastMRI takes for the data range.
    fn ranges(&self, samples: &[usize]) -> Result<Vec<f64>> {
        let range = |&sample: &usize| {
            let volume = &self.volumes[&volume_of(self.cohort, sample)];
            if let Some(&range) = volume.range.get() {
                return Ok(range);
            }
            let mut range = 0.0;
            for chunk in volume.samples.chunks(CHUNK) {
                let truth = self.cohort.images.gather(chunk, View::Reference)?;
                range = truth.iter().map(|&v| f64::from(v)).fold(range, f64::max);
            }
            Ok(*volume.range.get_or_init(|| range))
        };
        samples.iter().map(range).collect()
    }

    fn figures(&self, found: &[f64], measured: &Measured, range: f64) -> Result<Vec<f64>> {
        let [_, height, width] = self.cohort.images.shape();
        let truth = magnitude(&measured.truth);
        if truth.iter().all(|&v| v <= 0.0) {
            // An empty slice has no scale to compare on.
            return Ok(vec![f64::NAN; COLUMNS.len()]);
        }
        let shape = [1, height, width];
        let window = SsimConfig::fast_mri();
        let zero_filled = magnitude(&measured.zero_filled);
        let before = ImagePair::new(&zero_filled, &truth, shape)?;
        let after = ImagePair::new(found, &truth, shape)?;
        Ok(vec![
            after.ssim(range, &window)?,
            after.psnr(range)?,
            after.nmse()?,
            before.ssim(range, &window)?,
        ])
    }
}

fn magnitude(parts: &[f32]) -> Vec<f64> {
    let (real, imaginary) = parts.split_at(parts.len() / 2);
    let pairs = real.iter().zip(imaginary);
    pairs
        .map(|(a, b)| f64::from(*a).hypot(f64::from(*b)))
        .collect()
}

/// A smooth phase: constant, two slopes and a saddle, drawn for an image.
fn phase(seed: u64, id: &str, [height, width]: [usize; 2]) -> Vec<f64> {
    let mut rng = stream(seed, id, "phase");
    let offset = TAU * rng.random::<f64>();
    let [a, b, c]: [f64; 3] =
        std::array::from_fn(|_| PHASE_SLOPE * (2.0 * rng.random::<f64>() - 1.0));
    let place = |index: usize, side: usize| 2.0 * (index as f64 + 0.5) / side as f64 - 1.0;
    let mut phase = Vec::with_capacity(height * width);
    for row in 0..height {
        let y = place(row, height);
        for column in 0..width {
            let x = place(column, width);
            phase.push(offset + a * x + b * y + c * x * y);
        }
    }
    phase
}

fn undersample(seen: &[f32], truth: &[f32], phase: &[f64], columns: &[bool]) -> Result<Measured> {
    let width = columns.len();
    let height = seen.len() / width;
    let complex = |image: &[f32]| -> Vec<Complex<f32>> {
        let values = image.iter().zip(phase);
        values
            .map(|(&r, &p)| Complex::new(r * p.cos() as f32, r * p.sin() as f32))
            .collect()
    };
    let parts = |image: &[Complex<f32>]| -> Vec<f32> {
        let real = image.iter().map(|z| z.re);
        real.chain(image.iter().map(|z| z.im)).collect()
    };
    let mut measured = complex(seen);
    fft2_centred(&mut measured, height, width)?;
    for row in measured.chunks_exact_mut(width) {
        for (value, sampled) in row.iter_mut().zip(columns) {
            if !sampled {
                *value = Complex::new(0.0, 0.0);
            }
        }
    }
    ifft2_centred(&mut measured, height, width)?;
    Ok(Measured {
        zero_filled: parts(&measured),
        truth: parts(&complex(truth)),
        columns: columns.iter().map(|&sampled| f32::from(sampled)).collect(),
    })
}

impl Kit for Reconstruction<'_> {
    fn at_once(&self) -> usize {
        CHUNK
    }

    fn loss(&self) -> &dyn SampleLoss {
        &SquaredError
    }

    fn channels(&self) -> [usize; 2] {
        [2, 2]
    }

    fn batch(&self, selected: &Selected<'_>) -> Result<Batch> {
        let [_, height, width] = self.cohort.images.shape();
        let shape = (selected.samples.len(), 1, height, width);
        let [seen, truth] = Self::magnitudes(selected)?;
        let images = Tensor::from_vec(seen, shape, &Device::Cpu)?;
        let mut batch = Batch::new(selected.environment(), images, TargetKind::Images);
        if selected.is_labelled() {
            batch.targets.push(WeightedTarget {
                weight: 1.0,
                target: Tensor::from_vec(truth, shape, &Device::Cpu)?,
            });
        }
        Ok(batch)
    }

    /// Every target is measured with the phase of its place in the batch.
    fn measure(&self, mut batch: Batch, selected: &Selected<'_>) -> Result<Batch> {
        let flat = |tensor: &Tensor| -> Result<Vec<f32>> { Ok(tensor.flatten_all()?.to_vec1()?) };
        let seen = flat(&batch.images)?;
        let truths = batch.targets.iter().map(|part| flat(&part.target));
        let truths = truths.collect::<Result<Vec<_>>>()?;
        let first = truths.first().unwrap_or(&seen);
        let mut measured = self.sampled([&seen, first], selected)?;
        let (images, columns, _) = self.tensors(&measured)?;
        for (index, (part, truth)) in batch.targets.iter_mut().zip(&truths).enumerate() {
            if index > 0 {
                measured = self.sampled([&seen, truth], selected)?;
            }
            part.target = self.tensors(&measured)?.2;
        }
        batch.images = images;
        batch.context = Some(columns);
        Ok(batch)
    }

    fn score(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Scored> {
        let mut rows = Vec::with_capacity(selected.samples.len());
        for chunk in &selected.chunks(CHUNK) {
            let ranges = self.ranges(chunk)?;
            let found = self.reconstruct(network, &selected.with(chunk))?;
            let images = found.iter().zip(ranges);
            for (&sample, ((image, measured), range)) in chunk.iter().zip(images) {
                let figures = self.figures(image, measured, range)?;
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

    fn metrics(&self, scored: &Scored) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        for (column, name) in COLUMNS.iter().enumerate() {
            if let Some(mean) = finite_mean(&scored.rows, |row| row.outputs[column]) {
                metrics.insert((*name).to_owned(), mean);
            }
        }
        Ok(metrics)
    }

    fn selection_score(&self, scored: &Scored, _labelled: bool) -> Result<f64> {
        Ok(site_mean(&scored.rows, |row| row.outputs[SSIM]).unwrap_or(0.0))
    }

    fn described(&self) -> Vec<String> {
        COLUMNS.map(str::to_owned).to_vec()
    }

    fn describe(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Described>> {
        let found = self.reconstruct(network, selected)?;
        let ranges = self.ranges(selected.samples)?;
        found
            .iter()
            .zip(ranges)
            .map(|((image, measured), range)| {
                Ok(Described {
                    values: self.figures(image, measured, range)?,
                    picture: Some(image.iter().map(|&v| v as f32).collect()),
                })
            })
            .collect()
    }

    fn panels(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Panel>> {
        let found = self.reconstruct(network, selected)?;
        let Some((image, measured)) = found.first() else {
            return Ok(Vec::new());
        };
        let truth = magnitude(&measured.truth);
        let error: Vec<f64> = image
            .iter()
            .zip(&truth)
            .map(|(a, b)| 4.0 * (a - b).abs())
            .collect();
        let panel = |caption: &str, pixels: &[f64]| Panel {
            caption: caption.to_owned(),
            pixels: pixels.iter().map(|&v| v as f32).collect(),
        };
        Ok(vec![
            panel("zero-filled", &magnitude(&measured.zero_filled)),
            panel("truth", &truth),
            panel("reconstruction", image),
            panel("error × 4", &error),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::load_folder;
    use crate::spec::{CohortSpec, SPEC_SCHEMA};
    use crate::vocabulary::{OracleCheckpoint, Protocol, Shift, Task};
    use ctl_imaging::{MaskRole, Raster};
    use std::fmt::Write as _;

    /// Slices of a patient share the greatest value of all of them, unless contrasts set them apart.
    #[test]
    fn slices_of_a_volume_share_their_range() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = String::from("path,patient,contrast\n");
        let slices = [
            ("p", "t1", 1.0),
            ("p", "t1", 0.4),
            ("p", "t2", 0.6),
            ("q", "t1", 0.2),
        ];
        for (row, (patient, contrast, value)) in slices.into_iter().enumerate() {
            let raster = Raster::new(1, 4, 4, vec![value; 16]).unwrap();
            raster
                .write_png(&folder.path().join(format!("{row}.png")))
                .unwrap();
            writeln!(manifest, "{row}.png,{patient},{contrast}").unwrap();
        }
        std::fs::write(folder.path().join("manifest.csv"), manifest).unwrap();
        let training = Training {
            size: 4,
            ..Training::default()
        };
        for (environment, expected) in [
            (None, [1.0, 1.0, 1.0, 0.2]),
            (Some("contrast"), [1.0, 1.0, 0.6, 0.2]),
        ] {
            let task = Task::Reconstruction;
            let cohort = load_folder(folder.path(), task, (&training, environment)).unwrap();
            let kit = Reconstruction {
                cohort: &cohort,
                mask: mask(&training, 4),
                volumes: volumes(&cohort),
            };
            let found = kit.ranges(&[0, 1, 2, 3]).unwrap();
            let near = found
                .iter()
                .zip(expected)
                .all(|(f, e)| (f - e).abs() < 0.01);
            assert!(near, "{environment:?}: {found:?}");
            // One sample alone has the range of its volume, whatever else is scored beside it.
            assert!((kit.ranges(&[1]).unwrap()[0] - found[1]).abs() < 1e-12);
        }
    }

    /// Every sample twice: the second version is measured in the same columns and with the same
    /// phase, so that equal magnitudes give equal images and targets.
    #[test]
    fn samples_that_come_several_times_are_all_measured() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = String::from("path\n");
        for row in 0u8..3 {
            let pixels = (0u8..64).map(|i| f32::from(i.wrapping_mul(37 + row)) / 255.0);
            let raster = Raster::new(1, 8, 8, pixels.collect()).unwrap();
            raster
                .write_png(&folder.path().join(format!("{row}.png")))
                .unwrap();
            writeln!(manifest, "{row}.png").unwrap();
        }
        std::fs::write(folder.path().join("manifest.csv"), manifest).unwrap();
        let training = Training {
            size: 8,
            ..Training::default()
        };
        let task = Task::Reconstruction;
        let cohort = load_folder(folder.path(), task, (&training, None)).unwrap();
        let spec = RunSpec {
            schema: SPEC_SCHEMA,
            method: "fact".into(),
            settings: serde_json::json!({}),
            task,
            cohort: "new".into(),
            data: CohortSpec::Folder {
                hash: String::new(),
                environment: None,
                diagram: None,
            },
            shift: Shift::Combined,
            protocol: Protocol::SingleSite,
            sources: Vec::new(),
            target: String::new(),
            seed: 0,
            draw: 0,
            held_out: None,
            oracle_checkpoint: OracleCheckpoint::default(),
            training,
        };
        let kit = Reconstruction::new(&spec, &cohort).unwrap();
        let selected = Selected {
            spec: &spec,
            cohort: &cohort,
            view: View::Plain,
            samples: &[2, 0],
            how: How::Train {
                environment: 0,
                step: 4,
                labelled: true,
            },
            observer: MaskRole::Annotation,
            transform: None,
        };
        let batch = kit.batch(&selected).unwrap();
        let once = kit.measure(batch.clone(), &selected).unwrap();
        let twice = kit.measure(batch.select(&[0, 1, 0, 1]).unwrap(), &selected);
        let twice = twice.unwrap();
        let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let repeated = |tensor: &Tensor| flat(tensor).repeat(2);
        assert_eq!(flat(&twice.images), repeated(&once.images));
        let context = |batch: &Batch| batch.context.clone().unwrap();
        assert_eq!(flat(&context(&twice)), repeated(&context(&once)));
        let target = |batch: &Batch| batch.targets[0].target.clone();
        assert_eq!(flat(&target(&twice)), repeated(&target(&once)));
    }
}
