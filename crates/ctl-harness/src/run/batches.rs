//! Minibatches as a function of seed and step: nothing has to be remembered to resume.

use candle_core::{Device, Tensor};
use ctl_compute::random::{permutation, stream};
use ctl_invariance::{Batch, WeightedTarget};
use rand::RngExt;

use crate::Result;
use crate::data::{CohortData, Part, View};
use crate::spec::{RunSpec, Training};

/// Pixel values are centred and scaled by these before the network.
const CENTRE: f32 = 0.5;
const SCALE: f32 = 0.25;

/// The samples of an environment at one step: epochs of random orders, one after the other.
pub(crate) fn rows_at(part: &Part, spec: &RunSpec, environment: usize, step: u64) -> Vec<usize> {
    let n = part.samples.len() as u64;
    let batch = spec.training.batch_size as u64;
    let mut order = (u64::MAX, Vec::new());
    (step * batch..(step + 1) * batch)
        .map(|position| {
            let epoch = position / n;
            if order.0 != epoch {
                let purpose = format!("order of environment {environment} in epoch {epoch}");
                let mut rng = stream(spec.seed, &spec.data_key(), &purpose);
                order = (epoch, permutation(&mut rng, part.samples.len()));
            }
            part.samples[order.1[(position % n) as usize]]
        })
        .collect()
}

/// Images as the network takes them, `[B, C, H, W]`.
pub(crate) fn images(cohort: &CohortData, samples: &[usize], view: View) -> Result<Tensor> {
    let pixels = cohort.images.gather(samples, view)?;
    tensor(pixels, samples.len(), cohort.images.shape())
}

/// Pixel values in [0, 1] as the network takes them.
pub(crate) fn tensor(
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

/// Class indices of some samples.
pub(crate) fn labels(cohort: &CohortData, samples: &[usize]) -> Result<Tensor> {
    let labels: Vec<u32> = samples
        .iter()
        .map(|&s| cohort.samples[s].label as u32)
        .collect();
    Ok(Tensor::new(labels, &Device::Cpu)?)
}

/// The batch of one environment at one step.
pub(crate) fn batch_at(
    cohort: &CohortData,
    part: &Part,
    (spec, view): (&RunSpec, View),
    (environment, labelled): (usize, bool),
    step: u64,
) -> Result<Batch> {
    let rows = rows_at(part, spec, environment, step);
    let mut pixels = cohort.images.gather(&rows, view)?;
    jitter(
        &mut pixels,
        cohort.images.shape(),
        spec,
        (environment, step),
    );
    let targets = if labelled {
        vec![WeightedTarget {
            weight: 1.0,
            target: labels(cohort, &rows)?,
        }]
    } else {
        Vec::new()
    };
    Ok(Batch {
        environment,
        images: tensor(pixels, rows.len(), cohort.images.shape())?,
        targets,
    })
}

/// Mirrors and shifts training images at random as the training settings ask; pixels shifted in
/// repeat the border.
fn jitter(
    pixels: &mut [f32],
    [channels, height, width]: [usize; 3],
    spec: &RunSpec,
    (environment, step): (usize, u64),
) {
    let Training {
        flip, translate, ..
    } = spec.training;
    if !flip && translate == 0 {
        return;
    }
    let purpose = format!("jitter of environment {environment} at step {step}");
    let mut rng = stream(spec.seed, &spec.data_key(), &purpose);
    let reach = translate as u64;
    for image in pixels.chunks_exact_mut(channels * height * width) {
        let mirrored = flip && rng.random::<bool>();
        let [dy, dx] = std::array::from_fn(|_| rng.random_range(0..=2 * reach) as usize);
        for plane in image.chunks_exact_mut(height * width) {
            let old = plane.to_vec();
            for y in 0..height {
                for x in 0..width {
                    let from_y = (y + dy).saturating_sub(translate).min(height - 1);
                    let from_x = (x + dx).saturating_sub(translate).min(width - 1);
                    let from_x = if mirrored { width - 1 - from_x } else { from_x };
                    plane[y * width + x] = old[from_y * width + from_x];
                }
            }
        }
    }
}
