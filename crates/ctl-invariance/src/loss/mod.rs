//! Losses per sample with their closed-form derivatives.

mod cross_entropy;
mod dice;
mod logistic;
mod squared;

pub(crate) use cross_entropy::one_hot;
pub use cross_entropy::{PixelCrossEntropy, SoftmaxCrossEntropy};
pub use dice::SegmentationLoss;
pub use logistic::BinaryLogistic;
pub use squared::SquaredError;

use candle_core::Tensor;

use crate::Result;

/// A task's loss.
pub trait SampleLoss: Send + Sync {
    /// Loss of every sample, `[B]`: the mean over a sample's outputs or pixels where it has many.
    ///
    /// # Errors
    /// When the targets do not fit the outputs.
    fn per_sample(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor>;

    /// Derivative of every sample's loss with respect to its own outputs, shaped like the outputs
    /// and itself differentiable.
    ///
    /// # Errors
    /// When the targets do not fit the outputs.
    fn output_gradient(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor>;
}

/// Mean over all dimensions but the first.
fn mean_per_sample(values: &Tensor) -> Result<Tensor> {
    if values.rank() == 1 {
        return Ok(values.clone());
    }
    Ok(values.flatten_from(1)?.mean(1)?)
}

/// Number of values per sample.
fn values_per_sample(values: &Tensor) -> f64 {
    values.dims().iter().skip(1).product::<usize>() as f64
}

fn same_shape(loss: &'static str, outputs: &Tensor, targets: &Tensor) -> Result<()> {
    if outputs.dims() == targets.dims() {
        return Ok(());
    }
    Err(mismatch(
        loss,
        format!("targets {:?}", outputs.dims()),
        targets,
    ))
}

fn mismatch(loss: &'static str, expected: String, found: &Tensor) -> crate::ObjectiveError {
    ctl_compute::ComputeError::Shape {
        op: loss,
        expected,
        found: format!("{:?}", found.dims()),
    }
    .into()
}
