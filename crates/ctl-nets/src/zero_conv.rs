//! A convolution that gives nothing at first.

use candle_core::{DType, Tensor, Var};
use ctl_compute::ops::{ConvOptions, Function, conv2d_after};

use crate::{Initialiser, Parameters, Result};

const KERNEL: usize = 3;

/// A 3×3 convolution that keeps the size, weight and bias zero at first, behind `SiLU`: what ends a
/// network that begins as a neutral map.
pub(crate) struct ZeroConv {
    weight: Var,
    bias: Var,
}

impl ZeroConv {
    pub(crate) fn new(
        p: &mut Parameters,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        let zero = Initialiser::Constant(0.0);
        let shape = [outputs, inputs, KERNEL, KERNEL];
        Ok(Self {
            weight: p.add(&format!("{name}.weight"), &shape, zero)?,
            bias: p.add(&format!("{name}.bias"), &[outputs], zero)?,
        })
    }

    pub(crate) fn dtype(&self) -> DType {
        self.weight.dtype()
    }

    /// `[B, H, W, in] -> [B, H, W, out]`
    pub(crate) fn forward_silu(&self, input: &Tensor) -> Result<Tensor> {
        let options = ConvOptions::same([KERNEL; 2]);
        let (weight, bias) = (&self.weight, &self.bias);
        Ok(conv2d_after(Function::Silu, input, weight, bias, &options)?)
    }
}
