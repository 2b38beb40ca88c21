//! Convolutions in two and three dimensions.

use candle_core::{Tensor, Var};
use ctl_compute::ops::{Activation, ConvOptions, Function, activate, conv2d_after};

use crate::axes::{self, Steps};
use crate::{Initialiser, Parameters, Result};

/// Sizes of a [`Conv`] or a [`TransposedConv`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvSize {
    pub(crate) dimensions: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl ConvSize {
    /// A convolution of odd kernel that keeps the size.
    pub(crate) fn same(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self {
            dimensions: 2,
            inputs,
            outputs,
            kernel,
            stride: 1,
            padding: kernel / 2,
        }
    }

    /// A 3×3 convolution that keeps the size at stride 1.
    pub(crate) fn three(inputs: usize, outputs: usize, stride: usize) -> Self {
        Self {
            stride,
            ..Self::same(inputs, outputs, 3)
        }
    }

    /// The same along three axes instead of two.
    pub(crate) fn along(self, dimensions: usize) -> Self {
        Self { dimensions, ..self }
    }

    fn steps(&self) -> Steps {
        Steps {
            stride: self.stride,
            padding: self.padding,
        }
    }

    fn taps(&self) -> usize {
        (0..self.dimensions).map(|_| self.kernel).product()
    }

    /// `PyTorch`'s default for a convolution: uniform over the fan in.
    pub(crate) fn default_initialiser(&self) -> Initialiser {
        Initialiser::fan_in_uniform(self.inputs * self.taps())
    }

    /// He et al. 2015 over the fan out.
    pub(crate) fn he_normal(&self) -> Initialiser {
        Initialiser::he_normal_out(self.outputs * self.taps())
    }

    fn weight_shape(&self, first: usize, second: usize) -> Vec<usize> {
        let kernel = std::iter::repeat_n(self.kernel, self.dimensions);
        [first, second].into_iter().chain(kernel).collect()
    }
}

/// Convolution with a square or cubic kernel and, where no norm follows, a bias.
pub struct Conv {
    weight: Var,
    bias: Option<Var>,
    size: ConvSize,
}

impl Conv {
    /// A convolution with bias and `PyTorch`'s default initialisation.
    pub(crate) fn biased(p: &mut Parameters, name: &str, size: ConvSize) -> Result<Self> {
        Self::scaled(p, name, size, 1.0)
    }

    /// The same with the first weights, not the bias, multiplied by `scale`.
    pub(crate) fn scaled(
        p: &mut Parameters,
        name: &str,
        size: ConvSize,
        scale: f64,
    ) -> Result<Self> {
        let init = size.default_initialiser();
        let mut conv = Self::unbiased(p, name, size, init.scaled(scale))?;
        conv.bias = Some(p.add(&format!("{name}.bias"), &[size.outputs], init)?);
        Ok(conv)
    }

    /// Weight `[out, in]` and bias `[out]` of a kernel of one pixel.
    pub(crate) fn pointwise(&self) -> Result<(Tensor, Tensor)> {
        let (outputs, inputs) = (self.size.outputs, self.size.inputs);
        let weight = self.weight.reshape((outputs, inputs))?;
        let bias = match &self.bias {
            Some(bias) => bias.as_tensor().clone(),
            None => Tensor::zeros(outputs, weight.dtype(), weight.device())?,
        };
        Ok((weight, bias))
    }

    /// A convolution without bias, as it stands before a norm.
    pub(crate) fn unbiased(
        p: &mut Parameters,
        name: &str,
        size: ConvSize,
        init: Initialiser,
    ) -> Result<Self> {
        let shape = size.weight_shape(size.outputs, size.inputs);
        Ok(Self {
            weight: p.add(&format!("{name}.weight"), &shape, init)?,
            bias: None,
            size,
        })
    }

    /// `[B, H, W, in] -> [B, H', W', out]`, or the same with a depth.
    ///
    /// # Errors
    /// When the channels differ or the image is smaller than the kernel.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.forward_with(input, Activation::Identity)
    }

    /// The same, followed by an activation in the same pass.
    ///
    /// # Errors
    /// When the channels differ or the image is smaller than the kernel.
    pub fn forward_with(&self, input: &Tensor, activation: Activation) -> Result<Tensor> {
        let bias = self.bias.as_deref();
        axes::conv(input, &self.weight, bias, activation, self.size.steps())
    }

    /// The layer on images behind a smooth activation, which is evaluated again in the backward
    /// pass instead of being kept.
    ///
    /// # Errors
    /// When the channels differ, the image is smaller than the kernel, or it is a volume.
    pub(crate) fn forward_after(&self, function: Function, input: &Tensor) -> Result<Tensor> {
        let Some(bias) = self.bias.as_deref() else {
            return self.forward(&activate(input, function)?);
        };
        let Steps { stride, padding } = self.size.steps();
        let options = ConvOptions::default()
            .with_stride([stride; 2])
            .with_padding([padding; 2]);
        Ok(conv2d_after(function, input, &self.weight, bias, &options)?)
    }
}

/// Transposed convolution with a square or cubic kernel and a bias.
pub struct TransposedConv {
    weight: Var,
    bias: Var,
    size: ConvSize,
}

impl TransposedConv {
    /// A layer with `PyTorch`'s default initialisation, which takes the outputs for the fan in.
    pub(crate) fn new(p: &mut Parameters, name: &str, size: ConvSize) -> Result<Self> {
        let init = Initialiser::fan_in_uniform(size.outputs * size.taps());
        let shape = size.weight_shape(size.inputs, size.outputs);
        Ok(Self {
            weight: p.add(&format!("{name}.weight"), &shape, init)?,
            bias: p.add(&format!("{name}.bias"), &[size.outputs], init)?,
            size,
        })
    }

    /// `[B, H, W, in] -> [B, (H − 1) s − 2p + k, …, out]`, followed by an activation.
    ///
    /// # Errors
    /// When the channels differ.
    pub fn forward_with(&self, input: &Tensor, activation: Activation) -> Result<Tensor> {
        let (weight, bias) = (&self.weight, Some(self.bias.as_tensor()));
        axes::conv_transpose(input, weight, bias, activation, self.size.steps())
    }
}
