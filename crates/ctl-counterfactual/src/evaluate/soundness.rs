//! Composition, reversibility, realism and minimality of a model's counterfactuals.

use candle_core::{DType, Tensor};
use ctl_metrics::soundness::{
    CycleErrors, Gaussians, Minimality, MinimalityWeights, cycle_errors, frechet_distance,
    kernel_distance,
};

use super::predictor::parts;
use crate::{Acts, Answers, CounterfactualError, Predictors, Records, Result, VaeMechanism};

/// Errors are given in grey levels.
pub(super) const GREY_LEVELS: f64 = 255.0;

/// Values of images in grey levels, image after image.
pub(super) fn grey(records: &Records) -> Result<Vec<f32>> {
    let images = records.images.as_ref().ok_or(CounterfactualError::Shape {
        subject: "images of records",
        expected: "images to score".to_owned(),
        found: "none".to_owned(),
    })?;
    let values = (images * GREY_LEVELS)?;
    Ok(values.flatten_all()?.to_vec1()?)
}

/// What is left of images after 1 to `cycles` null interventions, one after the other, in grey levels.
///
/// # Errors
/// When facts do not suit the model, or have no images.
///
/// # References
/// Monteiro et al. 2023, definition 1.
pub fn composition(
    model: &(impl Answers + ?Sized),
    facts: &Records,
    cycles: usize,
    seed: u64,
) -> Result<CycleErrors> {
    let mut now = facts.clone();
    let mut after = Vec::new();
    for cycle in 0..cycles as u64 {
        let next = model.answer(&now, &Acts::none(), seed.wrapping_add(cycle))?;
        after.push(grey(&next)?);
        now.images = next.images;
    }
    Ok(cycle_errors(&grey(facts)?, &after, facts.len())?)
}

/// What is left of images after 1 to `cycles` times an intervention and the one that undoes it, in
/// grey levels.
///
/// Undoing sets every attribute that was acted on to what it was.
///
/// # Errors
/// When facts or interventions do not suit the model, or there are no images.
///
/// # References
/// Monteiro et al. 2023, definition 2.
pub fn reversibility(
    model: &(impl Answers + ?Sized),
    facts: &Records,
    acts: &Acts,
    cycles: usize,
    seed: u64,
) -> Result<CycleErrors> {
    let schema = model.variables();
    let back: Vec<(&str, crate::Act)> = acts
        .nodes()
        .into_iter()
        .map(|node| {
            let values = facts.columns.column(node).to_vec();
            (schema.diagram().name(node), crate::Act::set(values))
        })
        .collect();
    let back = Acts::new(schema, &back)?;
    let mut now = facts.clone();
    let mut after = Vec::new();
    for cycle in 0..cycles as u64 {
        let there = model.answer(&now, acts, seed.wrapping_add(2 * cycle))?;
        now = model.answer(&there, &back, seed.wrapping_add(2 * cycle + 1))?;
        after.push(grey(&now)?);
    }
    Ok(cycle_errors(&grey(facts)?, &after, facts.len())?)
}

/// How far counterfactuals are, as a crowd, from facts.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Realism {
    /// Fréchet distance between the features of our own predictors: not comparable with one of
    /// Inception's features.
    pub frechet: f64,
    /// Kernel distance of the same features.
    pub kernel: f64,
}

/// Fréchet and kernel distance between facts and counterfactuals in the features of the predictors.
///
/// # Errors
/// When there are no images, or fewer than two.
///
/// # References
/// Heusel et al. 2017 (Fréchet distance), Bińkowski et al. 2018 (kernel distance), on features of our
/// own networks.
pub fn realism(
    predictors: &Predictors,
    facts: &Records,
    counterfactuals: &Records,
) -> Result<Realism> {
    let (a, width) = predictors.features(facts)?;
    let (b, _) = predictors.features(counterfactuals)?;
    Ok(Realism {
        frechet: frechet_distance(&a, &b, width)?.total(),
        kernel: kernel_distance(&a, &b, width)?,
    })
}

/// Counterfactual latent divergence: how little counterfactuals move beyond what the intervention
/// asks for, in the latent variables of a variational autoencoder without parents.
///
/// # Arguments
/// - `encoder`: trained on facts, of the same images
/// - `groups`: by individual, the group of its attribute before and after the intervention; intervals
///   of a continuous one
///
/// # Errors
/// When the encoder has parents, or a group has no member among the facts.
///
/// # References
/// Sanchez & Tsaftaris 2022, section 4.4; see [`ctl_metrics::soundness::minimality`].
pub fn minimality(
    encoder: &VaeMechanism,
    facts: &Records,
    counterfactuals: &Records,
    groups: &[(usize, usize)],
) -> Result<Minimality> {
    let (factual, there) = (laws(encoder, facts)?, laws(encoder, counterfactuals)?);
    let weights = MinimalityWeights::default();
    let found = ctl_metrics::soundness::minimality(
        &factual.gaussians(),
        &there.gaussians(),
        groups,
        weights,
    )?;
    Ok(found)
}

struct Laws {
    mean: Vec<f64>,
    log_scale: Vec<f64>,
    dimensions: usize,
}

impl Laws {
    fn gaussians(&self) -> Gaussians<'_> {
        Gaussians {
            mean: &self.mean,
            log_scale: &self.log_scale,
            dimensions: self.dimensions,
        }
    }
}

fn laws(encoder: &VaeMechanism, records: &Records) -> Result<Laws> {
    let mut laws = Laws {
        mean: Vec::new(),
        log_scale: Vec::new(),
        dimensions: 0,
    };
    let read = |tensor: &Tensor| -> Result<Vec<f64>> {
        Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
    };
    for part in parts(records)? {
        let images = part.images.as_ref().ok_or(CounterfactualError::Shape {
            subject: "images of records",
            expected: "images to encode".to_owned(),
            found: "none".to_owned(),
        })?;
        let none = crate::Rows::empty(part.len()).to_tensor()?;
        let (mean, log_scale) = encoder.latent_law(images, &none)?;
        laws.dimensions = mean.dims()[1];
        laws.mean.extend(read(&mean)?);
        laws.log_scale.extend(read(&log_scale)?);
    }
    Ok(laws)
}
