//! The linear layer.

use candle_core::{Tensor, Var};
use ctl_compute::ops::Activation;
use ctl_compute::ops::linear;

use crate::{Initialiser, Parameters, Result};

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
            Some(&self.bias),
            Activation::Identity,
        )?)
    }

    /// `[B, in] -> [B, out]`, followed by `ReLU` in the same pass.
    ///
    /// # Errors
    /// When the input has another width.
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        Ok(linear(
            input,
            &self.weight,
            Some(&self.bias),
            Activation::Relu,
        )?)
    }

    /// The same map with constant weights: gradients reach the input only.
    ///
    /// # Errors
    /// When the input has another width.
    pub fn forward_frozen(&self, input: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (self.weight.detach(), self.bias.detach());
        Ok(linear(input, &weight, Some(&bias), Activation::Identity)?)
    }

    /// Weight `[out, in]` and bias `[out]`.
    pub fn weights(&self) -> (&Var, &Var) {
        (&self.weight, &self.bias)
    }
}
