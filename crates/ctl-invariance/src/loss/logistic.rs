//! Logistic loss for one or many binary labels.

use candle_core::Tensor;

use super::{SampleLoss, mean_per_sample, same_shape, values_per_sample};
use crate::Result;

/// `ℓ(z, y) = log(1 + eᶻ) − y·z`, its mean over a sample's outputs; outputs and targets `[B, K]`,
/// targets 0 or 1. `K = 1` is binary classification, more are labels that do not exclude each
/// other.
///
/// `∂ℓ/∂z = (σ(z) − y) / K`
pub struct BinaryLogistic;

/// `1 / (1 + e^−z)` from `tanh`, which overflows nowhere.
fn sigmoid(z: &Tensor) -> Result<Tensor> {
    Ok((((z * 0.5)?.tanh()? * 0.5)? + 0.5)?)
}

/// `log(1 + eᶻ) = max(z, 0) + log(1 + e^−|z|)`
fn softplus(z: &Tensor) -> Result<Tensor> {
    let tail = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
    Ok((z.relu()? + tail)?)
}

impl SampleLoss for BinaryLogistic {
    fn per_sample(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        same_shape("logistic loss", outputs, targets)?;
        mean_per_sample(&(softplus(outputs)? - outputs.mul(targets)?)?)
    }

    fn output_gradient(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        same_shape("logistic loss", outputs, targets)?;
        Ok(((sigmoid(outputs)? - targets)? / values_per_sample(outputs))?)
    }
}
