//! Normalisation layers.

use candle_core::{Tensor, Var};

use super::{Conv, ConvSize};
use crate::ops::{self, Activation};
use crate::{Initialiser, Mode, Parameters, Result};

const NORM_EPSILON: f64 = 1e-5;
/// Share of a new batch in the running statistics.
const BATCH_NORM_MOMENTUM: f64 = 0.1;

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
        self.forward_with(input, None, Activation::Identity, mode)
    }

    /// The same, then a residual is added, then an activation follows, in one pass.
    ///
    /// # Errors
    /// When the channels differ, or the residual has another shape.
    pub fn forward_with(
        &self,
        input: &Tensor,
        residual: Option<&Tensor>,
        activation: Activation,
        mode: Mode,
    ) -> Result<Tensor> {
        let mut out = if mode == Mode::Evaluate {
            let deviation = (self.running_variance.as_tensor() + NORM_EPSILON)?.sqrt()?;
            let scale = self.weight.div(&deviation)?;
            let shift = self.bias.sub(&self.running_mean.mul(&scale)?)?;
            input.broadcast_mul(&scale)?.broadcast_add(&shift)?
        } else {
            let (out, mean, variance) =
                ops::batch_norm(input, &self.weight, &self.bias, NORM_EPSILON)?;
            let count = input.elem_count() / self.weight.elem_count();
            self.record(count, &mean, &variance)?;
            out
        };
        if let Some(residual) = residual {
            out = (out + residual)?;
        }
        ops::activate(out, activation)
    }

    fn record(&self, count: usize, mean: &Tensor, variance: &Tensor) -> Result<()> {
        let unbiased = count as f64 / (count as f64 - 1.0).max(1.0);
        mix(&self.running_mean, mean)?;
        mix(&self.running_variance, &(variance * unbiased)?)
    }
}

fn mix(running: &Var, new: &Tensor) -> Result<()> {
    let old = (running.as_tensor().detach() * (1.0 - BATCH_NORM_MOMENTUM))?;
    running.set(&(old + (new * BATCH_NORM_MOMENTUM)?)?)?;
    Ok(())
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
            .forward_with(&hidden, residual, Activation::Relu, mode)
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
        ops::group_norm(
            input,
            self.groups,
            [self.weight.as_tensor(), self.bias.as_tensor()],
            NORM_EPSILON,
        )
    }
}
