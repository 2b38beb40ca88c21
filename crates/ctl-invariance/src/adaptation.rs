//! What is done to a trained network's outputs at deployment.

use ctl_nets::Network;
use serde::{Deserialize, Serialize};

use crate::{Batch, Result, SampleLoss};

/// What is known where a model is deployed: labelled validation patients of the sources and
/// unlabelled images of the target. Probabilities are `[N, K]` row-major.
#[derive(Clone, Copy, Debug)]
pub struct Deployment<'a> {
    /// Number of classes K, at least 2.
    pub classes: usize,
    /// Class probabilities on validation patients of the sources.
    pub validation: &'a [f64],
    /// Their labels, class indices.
    pub labels: &'a [usize],
    /// Class probabilities on target images that are not scored.
    pub target: &'a [f64],
}

/// A correction of class probabilities: `p′_k ∝ w_k p_k^(1/T)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputCorrection {
    /// Temperature T by which log probabilities are divided first, positive.
    pub temperature: f64,
    /// Weight of each class, not negative, some positive.
    pub weights: Vec<f64>,
    /// What a reader of the results must know, such as why nothing was corrected.
    pub note: Option<String>,
}

impl OutputCorrection {
    /// Whether the numbers are in their ranges, with a weight for each of so many classes.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    pub fn validate(&self, classes: usize) -> std::result::Result<(), String> {
        let Self {
            temperature,
            weights,
            ..
        } = self;
        if !(temperature.is_finite() && *temperature > 0.0) {
            return Err(format!(
                "temperature is {temperature}, allowed are positive numbers"
            ));
        }
        let numbers = weights.iter().all(|w| w.is_finite() && *w >= 0.0);
        let some = weights.iter().any(|w| *w > 0.0);
        if weights.len() != classes || !numbers || !some {
            return Err(format!(
                "weights are {weights:?}, allowed are {classes} numbers that are not negative, some \
                 of them positive"
            ));
        }
        Ok(())
    }

    /// The corrected probabilities of one sample.
    ///
    /// # Arguments
    /// - `probabilities`: `[K]`, summing to 1.
    ///
    /// # Returns
    /// `[K]`, summing to 1; unchanged where every class with a probability has weight 0.
    ///
    /// # Examples
    /// ```
    /// use ctl_invariance::OutputCorrection;
    ///
    /// let correction = OutputCorrection { temperature: 1.0, weights: vec![1.0, 3.0], note: None };
    /// assert_eq!(correction.apply(&[0.5, 0.5]), [0.25, 0.75]);
    /// ```
    pub fn apply(&self, probabilities: &[f64]) -> Vec<f64> {
        let power = 1.0 / self.temperature;
        let weighted: Vec<f64> = probabilities
            .iter()
            .zip(&self.weights)
            .map(|(p, w)| w * p.powf(power))
            .collect();
        let sum: f64 = weighted.iter().sum();
        if sum > 0.0 {
            weighted.into_iter().map(|p| p / sum).collect()
        } else {
            probabilities.to_vec()
        }
    }
}

/// A step between training and use that needs no label of the target.
pub trait Adaptation {
    /// The correction for this deployment.
    ///
    /// # Errors
    /// When the outputs do not fit the labels.
    fn correction(&self, deployment: &Deployment<'_>) -> Result<OutputCorrection>;
}

/// When a network is adapted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdaptedFor {
    /// Once after training, for every site.
    EverySite,
    /// For the target alone: elsewhere the network stays as it was trained.
    Target,
}

/// What an adaptation of a trained network may look at.
pub trait Site {
    /// The network, in evaluation weights; what is changed of it stays changed.
    fn network(&self) -> &dyn Network;

    /// The task's loss.
    fn loss(&self) -> &dyn SampleLoss;

    /// Unlabelled images of the target that are not scored, as they are, in batches of one order;
    /// empty where the method is not given any.
    ///
    /// # Errors
    /// When an image cannot be read.
    fn target(&self) -> Result<Vec<Batch>>;

    /// Labelled training images of each source environment, as they are, in batches of one order.
    ///
    /// # Errors
    /// When an image cannot be read.
    fn sources(&self) -> Result<Vec<Vec<Batch>>>;
}

/// A change to a trained network that needs no label of the target.
pub trait NetworkAdaptation {
    /// For whom the network is changed.
    fn adapted_for(&self) -> AdaptedFor {
        AdaptedFor::Target
    }

    /// Changes the network.
    ///
    /// # Returns
    /// What a reader of the results must know, such as why nothing was changed.
    ///
    /// # Errors
    /// When images cannot be read or do not fit the network.
    fn adapt(&self, site: &dyn Site) -> Result<Option<String>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_of_other_shapes_are_named() {
        let of = |temperature, weights: &[f64]| {
            let correction = OutputCorrection {
                temperature,
                weights: weights.to_vec(),
                note: None,
            };
            correction.validate(2).err().unwrap_or_default()
        };
        assert_eq!(of(0.5, &[0.0, 2.0]), "");
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(of(temperature, &[1.0, 1.0]).starts_with("temperature"));
        }
        for weights in [
            &[1.0][..],
            &[1.0; 3],
            &[-1.0, 2.0],
            &[0.0; 2],
            &[f64::NAN, 1.0],
        ] {
            assert!(of(1.0, weights).starts_with("weights"), "{weights:?}");
        }
    }
}
