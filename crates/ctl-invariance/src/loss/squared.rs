//! Squared error.

use candle_core::Tensor;

use super::{SampleLoss, mean_per_sample, same_shape, values_per_sample};
use crate::Result;

/// `ℓ(z, y) = (z − y)²`, its mean over a sample's outputs; outputs and targets of one shape
/// `[B, …]`.
///
/// `∂ℓ/∂z = 2(z − y) / n` with `n` outputs per sample.
pub struct SquaredError;

impl SampleLoss for SquaredError {
    fn per_sample(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        same_shape("squared error", outputs, targets)?;
        mean_per_sample(&(outputs - targets)?.sqr()?)
    }

    fn output_gradient(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        same_shape("squared error", outputs, targets)?;
        Ok(((outputs - targets)? * (2.0 / values_per_sample(outputs)))?)
    }
}
