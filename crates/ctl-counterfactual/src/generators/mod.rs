//! Generators of changed images that need no deep structural model.
//!
//! Each is an [`Augmentation`](ctl_invariance::Augmentation) with settings of its own:
//!
//! | change | what it is | assumes |
//! |---|---|---|
//! | [`Randomised`](ctl_invariance::methods::gin_ipa::Randomised) (`ctl-invariance`) | random networks, region by region (GIN and IPA) | acquisition acts on intensity and texture |
//! | [`Exchanged`](ctl_invariance::methods::fda::Exchanged) (`ctl-invariance`) | low frequencies of the amplitude of a target image (FDA) | content is in the phase |
//! | [`AmplitudePairs`](ctl_invariance::methods::fact::AmplitudePairs) (`ctl-invariance`) | amplitudes mixed between sources (FACT) | content is in the phase |
//! | [`StatisticsExchange`] | moments or quantiles, and fine detail, of an image of another site | scanners act by increasing maps |
//! | [`ClassifierCounterfactual`] | the nearest image that a classifier gives another class | the classifier's boundary is that of the disease |
//! | [`LesionRemoval`], [`LesionInsertion`] | lesions filled from around them, and taken elsewhere | lesions act on their own pixels |
//!
//! [`FittedStatistics`] and [`FittedAutoencoder`], the one learnt model here, answer interventions on
//! the environment as a [`CounterfactualGenerator`](ctl_invariance::CounterfactualGenerator), from
//! which the methods of [`crate::methods`] take their images.
//! The lesions rest on [`filled`] and [`inpaint`], which stand alone, as do [`Lesion`] and
//! [`remove_lesion`].

mod autoencoder;
mod classifier;
mod inpaint;
mod labels;
mod lesions;
mod pixels;
mod region;
mod statistics;

use ctl_invariance::{Batch, Intervention, ObjectiveError};

pub use autoencoder::{AutoencoderConfig, FittedAutoencoder};
pub use classifier::{
    ClassifierCounterfactual, ClassifierCounterfactualConfig, ClassifierExplanations,
    CounterfactualReport, Labels,
};
pub use inpaint::{InpaintConfig, Smoothness, Texture, filled, inpaint};
pub use lesions::{
    Blend, Donors, Lesion, LesionFinder, LesionInsertion, LesionInsertionConfig, LesionPixel,
    LesionRemoval, LesionRemovalConfig, remove_lesion,
};
pub use statistics::{FittedStatistics, Statistics, StatisticsExchange, StatisticsExchangeConfig};

use crate::CounterfactualError;

/// Refuses interventions on the environment that a generator cannot answer.
///
/// # Arguments
/// - `knows`: whether it knows an environment, and which ones it does in words
fn check_interventions(
    name: &'static str,
    batch: &Batch,
    interventions: &[Intervention],
    (knows, known): (&dyn Fn(usize) -> bool, &dyn Fn() -> String),
) -> ctl_invariance::Result<()> {
    let fault = |expected: String, found: String| {
        Err(ObjectiveError::Environments {
            method: name,
            expected,
            found,
        })
    };
    let rows = batch.images.dims().first().copied().unwrap_or(0);
    if interventions.len() != rows {
        let expected = format!("an intervention for each of {rows} images");
        return fault(expected, interventions.len().to_string());
    }
    let mut asked = vec![batch.environment];
    for act in interventions {
        if let Some(name) = act.attributes.keys().next() {
            let expected = "interventions on the environment alone".to_owned();
            return fault(expected, format!("one on {name}"));
        }
        if !act.extent.is_finite() {
            let expected = "a finite extent".to_owned();
            return fault(expected, act.extent.to_string());
        }
        asked.extend(act.environment);
    }
    match asked.into_iter().find(|&environment| !knows(environment)) {
        Some(unknown) => fault(known(), format!("environment {unknown}")),
        None => Ok(()),
    }
}

/// The same in the terms of an augmentation.
pub(crate) fn as_objective_error(
    method: &'static str,
    error: CounterfactualError,
) -> ObjectiveError {
    match error {
        CounterfactualError::Net(error) => error.into(),
        CounterfactualError::Compute(error) => error.into(),
        CounterfactualError::Shape {
            subject,
            expected,
            found,
        } => ObjectiveError::Environments {
            method,
            expected: format!("{subject}: {expected}"),
            found,
        },
        CounterfactualError::Value {
            subject,
            expected,
            found,
        } => ObjectiveError::Environments {
            method,
            expected: format!("{subject}: {expected}"),
            found,
        },
        other => ObjectiveError::Environments {
            method,
            expected: "images that it can change".into(),
            found: other.to_string(),
        },
    }
}
