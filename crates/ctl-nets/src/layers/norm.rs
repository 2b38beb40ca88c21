//! Normalisation layers.

use candle_core::{Tensor, Var};
use ctl_compute::ops::{
    ChannelStatistics, NormParams, Rectifier, batch_norm, batch_norm_with, group_norm,
};

use super::{Conv, ConvSize};
use crate::{Initialiser, Mode, Parameters, Result};

/// Share of a new batch in the running statistics of [`BatchNorm`].
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Batch normalisation with running statistics for evaluation.
pub struct BatchNorm {
    weight: Var,
    bias: Var,
    running_mean: Var,
    running_variance: Var,
}

impl BatchNorm {
    pub(crate) fn new(p: &mut Parameters, name: &str, channels: usize) -> Result<Self> {
        let one = Initialiser::Constant(1.0);
        let zero = Initialiser::Constant(0.0);
        Ok(Self {
            weight: p.add(&format!("{name}.weight"), &[channels], one)?,
            bias: p.add(&format!("{name}.bias"), &[channels], zero)?,
            running_mean: p.add_buffer(&format!("{name}.running_mean"), &[channels], 0.0)?,
            running_variance: p.add_buffer(&format!("{name}.running_var"), &[channels], 1.0)?,
        })
    }

    /// Normalises by the batch while training (and moves the running statistics towards it, the
    /// variance as its unbiased estimate), by the running statistics otherwise.
    ///
    /// # Errors
    /// When the channels differ.
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward_with(input, None, Rectifier::Identity, mode)
    }

    /// The same, then a residual is added, then an activation follows, in one pass.
    ///
    /// # Errors
    /// When the channels differ, or the residual has another shape.
    pub fn forward_with(
        &self,
        input: &Tensor,
        residual: Option<&Tensor>,
        activation: Rectifier,
        mode: Mode,
    ) -> Result<Tensor> {
        let mut params = NormParams::new(&self.weight, &self.bias).activation(activation);
        if let Some(residual) = residual {
            params = params.residual(residual);
        }
        let (mean, variance) = (&self.running_mean, &self.running_variance);
        if mode == Mode::Evaluate {
            let running = ChannelStatistics::from_tensors(mean, variance)?;
            return Ok(batch_norm_with(input, &running, &params)?);
        }
        let (out, batch) = batch_norm(input, &params)?;
        batch.move_running(mean, variance, BATCH_NORM_MOMENTUM)?;
        Ok(out)
    }
}

/// A convolution without bias and its batch normalisation.
pub(crate) struct ConvNorm {
    conv: Conv,
    norm: BatchNorm,
}

impl ConvNorm {
    pub(crate) fn new(
        p: &mut Parameters,
        name: &str,
        size: ConvSize,
        init: Initialiser,
    ) -> Result<Self> {
        Ok(Self {
            conv: Conv::unbiased(p, &format!("{name}.conv"), size, init)?,
            norm: BatchNorm::new(p, &format!("{name}.norm"), size.outputs)?,
        })
    }

    pub(crate) fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(input)?, mode)
    }

    /// Followed by the sum with a residual, if any, and `ReLU`.
    pub(crate) fn forward_relu(
        &self,
        input: &Tensor,
        residual: Option<&Tensor>,
        mode: Mode,
    ) -> Result<Tensor> {
        let hidden = self.conv.forward(input)?;
        self.norm
            .forward_with(&hidden, residual, Rectifier::Relu, mode)
    }
}

/// Group normalisation.
pub struct GroupNorm {
    weight: Var,
    bias: Var,
    groups: usize,
}

impl GroupNorm {
    pub(crate) fn new(
        p: &mut Parameters,
        name: &str,
        channels: usize,
        groups: usize,
    ) -> Result<Self> {
        let one = Initialiser::Constant(1.0);
        let zero = Initialiser::Constant(0.0);
        Ok(Self {
            weight: p.add(&format!("{name}.weight"), &[channels], one)?,
            bias: p.add(&format!("{name}.bias"), &[channels], zero)?,
            groups,
        })
    }

    /// Normalises each sample by its own groups of channels.
    ///
    /// # Errors
    /// When the channels differ.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let params = NormParams::new(&self.weight, &self.bias);
        Ok(group_norm(input, self.groups, &params)?)
    }
}
