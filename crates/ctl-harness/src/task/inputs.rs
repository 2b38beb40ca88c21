//! Pixels as networks take them, with the random changes of training.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use ctl_compute::random::stream;
use ctl_imaging::MaskRole;
use ctl_invariance::{Batch, ImageTransform, TargetKind};
use rand::RngExt;

use crate::Result;
use crate::data::{CohortData, View};
use crate::spec::{RunSpec, Training};

/// Pixel values are centred and scaled by these before the network.
const CENTRE: f32 = 0.5;
const SCALE: f32 = 0.25;

/// Samples that are looked at, and how.
#[derive(Clone, Copy)]
pub(crate) struct Selected<'a> {
    pub(crate) spec: &'a RunSpec,
    pub(crate) cohort: &'a CohortData,
    pub(crate) view: View,
    /// Indices into the cohort's samples.
    pub(crate) samples: &'a [usize],
    pub(crate) how: How,
    /// Whose masks count in evaluation.
    pub(crate) observer: MaskRole,
    /// What a method makes of every image first.
    pub(crate) transform: Option<&'a dyn ImageTransform>,
}

/// What samples are looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// To train on, changed at random by a stream of this environment and step; without targets
    /// where it is unlabelled.
    Train {
        environment: usize,
        step: u64,
        labelled: bool,
    },
    /// To evaluate, as they are.
    Evaluate,
}

impl Selected<'_> {
    /// Index of the environment in training.
    pub(crate) fn environment(&self) -> usize {
        match self.how {
            How::Train { environment, .. } => environment,
            How::Evaluate => 0,
        }
    }

    /// Whether targets are wanted.
    pub(crate) fn is_labelled(&self) -> bool {
        matches!(self.how, How::Train { labelled: true, .. } | How::Evaluate)
    }

    /// Some of the samples, looked at alike.
    pub(crate) fn with<'b>(&'b self, samples: &'b [usize]) -> Selected<'b> {
        Selected { samples, ..*self }
    }

    /// The samples site by site, at most so many at once: some networks look at the images that are
    /// predicted together as those of one place, whatever stands between them in the manifest.
    pub(crate) fn chunks(&self, most: usize) -> Vec<Vec<usize>> {
        let mut sites: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &sample in self.samples {
            let site = self.cohort.samples[sample].site;
            sites.entry(site).or_default().push(sample);
        }
        let chunks = sites.values().flat_map(|site| site.chunks(most));
        chunks.map(<[usize]>::to_vec).collect()
    }

    /// The pixels, changed at random in training.
    pub(crate) fn pixels(&self, view: View, jitter: &Jitter) -> Result<Vec<f32>> {
        let mut pixels = self.cohort.images.gather(self.samples, view)?;
        let [channels, height, width] = self.cohort.images.shape();
        if let Some(transform) = self.transform {
            for image in pixels.chunks_exact_mut(channels * height * width) {
                transform.apply(image, [channels, height, width]);
            }
        }
        jitter.apply(&mut pixels, [channels, height, width]);
        Ok(pixels)
    }

    /// Images as networks take them, [`network_images`], without targets.
    pub(crate) fn batch(&self, images: Tensor, kind: TargetKind) -> Batch {
        Batch {
            centre: f64::from(CENTRE),
            scale: f64::from(SCALE),
            ..Batch::new(self.environment(), images, kind)
        }
    }

    /// The random changes of this batch, none in evaluation.
    pub(crate) fn jitter(&self) -> Jitter {
        let Training {
            flip, translate, ..
        } = self.spec.training;
        let How::Train {
            environment, step, ..
        } = self.how
        else {
            return Jitter::default();
        };
        if !flip && translate == 0 {
            return Jitter::default();
        }
        let purpose = format!("jitter of environment {environment} at step {step}");
        let mut rng = stream(self.spec.seed, &self.spec.data_key(), &purpose);
        let reach = translate as u64;
        let moves = self.samples.iter().map(|_| {
            let mirrored = flip && rng.random::<bool>();
            let [dy, dx] = std::array::from_fn(|_| rng.random_range(0..=2 * reach) as usize);
            Move { mirrored, dy, dx }
        });
        Jitter {
            moves: moves.collect(),
            translate,
        }
    }
}

/// How each image of a batch is mirrored and shifted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jitter {
    moves: Vec<Move>,
    translate: usize,
}

#[derive(Clone, Copy, Debug)]
struct Move {
    mirrored: bool,
    dy: usize,
    dx: usize,
}

impl Jitter {
    /// Mirrors and shifts `[N, C, H, W]`; pixels shifted in repeat the border.
    pub(crate) fn apply<T: Copy>(&self, pixels: &mut [T], [channels, height, width]: [usize; 3]) {
        let images = pixels.chunks_exact_mut(channels * height * width);
        for (image, change) in images.zip(&self.moves) {
            for plane in image.chunks_exact_mut(height * width) {
                let old = plane.to_vec();
                for y in 0..height {
                    let from_y = (y + change.dy)
                        .saturating_sub(self.translate)
                        .min(height - 1);
                    for x in 0..width {
                        let from_x = (x + change.dx).saturating_sub(self.translate);
                        let from_x = from_x.min(width - 1);
                        let from_x = if change.mirrored {
                            width - 1 - from_x
                        } else {
                            from_x
                        };
                        plane[y * width + x] = old[from_y * width + from_x];
                    }
                }
            }
        }
    }
}

/// Pixel values in [0, 1] as the network takes them, `[N, C, H, W]`.
pub(crate) fn network_images(
    mut pixels: Vec<f32>,
    count: usize,
    [channels, height, width]: [usize; 3],
) -> Result<Tensor> {
    for value in &mut pixels {
        *value = (*value - CENTRE) / SCALE;
    }
    let shape = (count, channels, height, width);
    Ok(Tensor::from_vec(pixels, shape, &Device::Cpu)?)
}

/// The inverse of [`network_images`] for one value.
pub(crate) fn pixel_value(value: f32) -> f32 {
    value * SCALE + CENTRE
}
