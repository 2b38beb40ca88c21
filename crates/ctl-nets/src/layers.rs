//! Layers with weights.

use candle_core::{Tensor, Var};
use ctl_compute::ops::{
    Activation, Conv2dParams, batch_norm, batch_norm_with, channel_bias, conv2d, group_norm,
    linear, relu,
};

use crate::{Initialiser, Mode, Parameters, Result};

const NORM_EPSILON: f64 = 1e-5;
/// Share of a new batch in the running statistics.
const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// `y = x Wᵀ + b`, `W` as `[out, in]`.
pub struct Linear {
    weight: Var,
    bias: Var,
}

impl Linear {
    /// A layer with `PyTorch`'s default initialisation.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(p: &mut Parameters, name: &str, inputs: usize, outputs: usize) -> Result<Self> {
        let init = Initialiser::fan_in_uniform(inputs);
        Self::with(p, name, [inputs, outputs], [init, init])
    }

    /// A layer with chosen initialisers for weight and bias.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn with(
        p: &mut Parameters,
        name: &str,
        [inputs, outputs]: [usize; 2],
        [weight, bias]: [Initialiser; 2],
    ) -> Result<Self> {
        Ok(Self {
            weight: p.add(&format!("{name}.weight"), &[outputs, inputs], weight)?,
            bias: p.add(&format!("{name}.bias"), &[outputs], bias)?,
        })
    }

    /// A layer with given weights, of any float type, outside of any parameter set.
    ///
    /// # Errors
    /// When weight `[out, in]` and bias `[out]` do not fit each other.
    pub fn from_weights(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        weight.narrow(1, 0, 1)?.squeeze(1)?.add(bias)?;
        Ok(Self {
            weight: Var::from_tensor(weight)?,
            bias: Var::from_tensor(bias)?,
        })
    }

    /// `[B, in] -> [B, out]`
    ///
    /// # Errors
    /// When the input has another width.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(linear(
            input,
            &self.weight,
            &self.bias,
            Activation::Identity,
        )?)
    }

    /// `[B, in] -> [B, out]`, followed by `ReLU` in the same pass.
    ///
    /// # Errors
    /// When the input has another width.
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        Ok(linear(input, &self.weight, &self.bias, Activation::Relu)?)
    }

    /// The same map with constant weights: gradients reach the input only.
    ///
    /// # Errors
    /// When the input has another width.
    pub fn forward_frozen(&self, input: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (self.weight.detach(), self.bias.detach());
        Ok(linear(input, &weight, &bias, Activation::Identity)?)
    }

    /// Weight `[out, in]` and bias `[out]`.
    pub fn weights(&self) -> (&Var, &Var) {
        (&self.weight, &self.bias)
    }
}

/// Convolution with a square kernel and, where no norm follows, a bias.
pub struct Conv {
    weight: Var,
    bias: Option<Var>,
    params: Conv2dParams,
}

/// Sizes of a [`Conv`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvSize {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl ConvSize {
    /// A 3×3 convolution that keeps the size at stride 1.
    pub(crate) fn three(inputs: usize, outputs: usize, stride: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel: 3,
            stride,
            padding: 1,
        }
    }
}

impl Conv {
    /// A convolution with bias and `PyTorch`'s default initialisation.
    pub(crate) fn biased(p: &mut Parameters, name: &str, size: ConvSize) -> Result<Self> {
        let init = Initialiser::fan_in_uniform(size.inputs * size.kernel * size.kernel);
        let mut conv = Self::with(p, name, size, init)?;
        conv.bias = Some(p.add(&format!("{name}.bias"), &[size.outputs], init)?);
        Ok(conv)
    }

    /// A convolution without bias, as it stands before a norm (He et al. 2015 over fan out).
    pub(crate) fn unbiased(p: &mut Parameters, name: &str, size: ConvSize) -> Result<Self> {
        let init = Initialiser::he_normal_out(size.outputs * size.kernel * size.kernel);
        Self::with(p, name, size, init)
    }

    fn with(p: &mut Parameters, name: &str, s: ConvSize, init: Initialiser) -> Result<Self> {
        let shape = [s.outputs, s.inputs, s.kernel, s.kernel];
        Ok(Self {
            weight: p.add(&format!("{name}.weight"), &shape, init)?,
            bias: None,
            params: Conv2dParams {
                stride: s.stride,
                padding: s.padding,
            },
        })
    }

    /// `[B, in, H, W] -> [B, out, H', W']`
    ///
    /// # Errors
    /// When the channels differ or the image is smaller than the kernel.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let out = conv2d(input, &self.weight, self.params)?;
        Ok(match &self.bias {
            Some(bias) => channel_bias(&out, bias, Activation::Identity)?,
            None => out,
        })
    }

    /// `[B, in, H, W] -> [B, out, H', W']`, followed by `ReLU`.
    ///
    /// # Errors
    /// When the channels differ or the image is smaller than the kernel.
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        let out = conv2d(input, &self.weight, self.params)?;
        Ok(match &self.bias {
            Some(bias) => channel_bias(&out, bias, Activation::Relu)?,
            None => relu(&out)?,
        })
    }
}

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
        if mode == Mode::Evaluate {
            let affine = (self.weight.as_tensor(), self.bias.as_tensor());
            let (mean, variance) = (&self.running_mean, &self.running_variance);
            return Ok(batch_norm_with(
                input,
                mean,
                variance,
                affine,
                NORM_EPSILON,
            )?);
        }
        let (out, batch) = batch_norm(input, &self.weight, &self.bias, NORM_EPSILON)?;
        let unbiased = batch.count as f64 / (batch.count as f64 - 1.0).max(1.0);
        mix(&self.running_mean, &batch.mean)?;
        mix(&self.running_variance, &(batch.variance * unbiased)?)?;
        Ok(out)
    }
}

fn mix(running: &Var, new: &Tensor) -> Result<()> {
    let old = (running.as_tensor().detach() * (1.0 - BATCH_NORM_MOMENTUM))?;
    running.set(&(old + (new * BATCH_NORM_MOMENTUM)?)?)?;
    Ok(())
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
        Ok(Self {
            weight: p.add(
                &format!("{name}.weight"),
                &[channels],
                Initialiser::Constant(1.0),
            )?,
            bias: p.add(
                &format!("{name}.bias"),
                &[channels],
                Initialiser::Constant(0.0),
            )?,
            groups,
        })
    }

    /// Normalises each sample by its own groups of channels.
    ///
    /// # Errors
    /// When the channels differ.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let affine = (self.weight.as_tensor(), self.bias.as_tensor());
        Ok(group_norm(input, self.groups, affine, NORM_EPSILON)?)
    }
}
