//! Predictions of a network on the parts of a run's data.

use ctl_nets::{Mode, Network};

use super::batches::{images, tensor};
use super::predictions::Prediction;
use super::score::probabilities;
use crate::Result;
use crate::data::{CohortData, Part, Parts, View};

/// Images per forward pass in evaluation.
const CHUNK: usize = 64;

/// Predictions on everything that selection and scoring look at.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Predictions {
    pub(crate) validation: Vec<Prediction>,
    pub(crate) oracle: Vec<Prediction>,
    pub(crate) in_distribution: Vec<Prediction>,
    pub(crate) target: Vec<Prediction>,
}

/// Evaluates a network on every part.
pub(crate) fn predict_parts(
    network: &dyn Network,
    cohort: &CohortData,
    parts: &Parts,
    view: View,
) -> Result<Predictions> {
    let on = |part: &Part| predict_samples(network, cohort, &part.samples, view);
    let on_all = |parts: &[Part]| -> Result<Vec<Prediction>> {
        let each: Vec<_> = parts.iter().map(on).collect::<Result<_>>()?;
        Ok(each.concat())
    };
    Ok(Predictions {
        validation: on_all(&parts.validation)?,
        oracle: on(&parts.adaptation)?,
        in_distribution: on_all(&parts.in_distribution)?,
        target: on(&parts.target)?,
    })
}

fn predict_samples(
    network: &dyn Network,
    cohort: &CohortData,
    samples: &[usize],
    view: View,
) -> Result<Vec<Prediction>> {
    let mut out = Vec::with_capacity(samples.len());
    for chunk in samples.chunks(CHUNK) {
        let batch = images(cohort, chunk, view)?;
        let rows = outputs(network, &batch, cohort.classes.len())?;
        for (&sample, outputs) in chunk.iter().zip(rows) {
            let sample = &cohort.samples[sample];
            out.push(Prediction {
                id: sample.id.clone(),
                site: cohort.sites[sample.site].clone(),
                patient: Some(sample.patient.clone()),
                target: sample.label,
                outputs,
            });
        }
    }
    Ok(out)
}

/// Probabilities for images already in the network's form.
pub(crate) fn outputs(
    network: &dyn Network,
    batch: &candle_core::Tensor,
    classes: usize,
) -> Result<Vec<Vec<f64>>> {
    let logits = network.forward(batch.into(), Mode::Evaluate)?.outputs;
    probabilities(&logits.flatten_all()?.to_vec1::<f32>()?, classes, "network")
}

/// Probabilities for pixels in [0, 1].
pub(crate) fn outputs_of_pixels(
    network: &dyn Network,
    pixels: Vec<f32>,
    count: usize,
    shape: [usize; 3],
    classes: usize,
) -> Result<Vec<Vec<f64>>> {
    outputs(network, &tensor(pixels, count, shape)?, classes)
}
