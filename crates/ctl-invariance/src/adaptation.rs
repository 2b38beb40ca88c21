//! What is done to a trained network's outputs at deployment.

use crate::Result;

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
#[derive(Clone, Debug, PartialEq)]
pub struct OutputCorrection {
    /// Temperature T by which log probabilities are divided first, positive.
    pub temperature: f64,
    /// Weight of each class, not negative, some positive.
    pub weights: Vec<f64>,
    /// What a reader of the results must know, such as why nothing was corrected.
    pub note: Option<String>,
}

impl OutputCorrection {
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
