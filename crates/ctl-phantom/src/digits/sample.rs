//! One digit of a cohort.

use serde::{Deserialize, Serialize};

/// One digit with everything that made it.
///
/// Attributes and noises are in the order of [`super::DigitCohort::variables`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DigitSample {
    /// The MNIST digit, such as `train-00017`; no two samples of a cohort share one.
    pub id: String,
    /// Place of that digit in MNIST, the training digits first.
    pub source: usize,
    /// Index into [`super::DigitCohort::sites`].
    pub site: usize,
    /// What is to be predicted: the digit, or the noisy class 0 or 1 of a coloured digit.
    pub label: usize,
    /// The value of every variable.
    pub attributes: Vec<f64>,
    /// The exogenous noise of every variable, from which all attributes follow.
    pub noises: Vec<f64>,
}
