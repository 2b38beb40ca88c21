//! A network that guesses the environment from the features.

use candle_core::{DType, Tensor, Var};
use ctl_compute::ops::{log_softmax, softmax};
use ctl_nets::{Initialiser, Linear, Parameters};

use crate::{ObjectiveError, ObjectiveState, Result};

/// Sizes of a [`Discriminator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscriminatorSpec {
    /// Width of the features.
    pub features: usize,
    /// Width of the hidden layers.
    pub width: usize,
    /// Number of linear layers, at least 1.
    pub depth: usize,
    /// Number of environments to tell apart.
    pub environments: usize,
}

/// Linear layers with ReLU between them, `[B, F] -> [B, environments]`.
pub struct Discriminator {
    parameters: Parameters,
    layers: Vec<Linear>,
}

impl Discriminator {
    /// A discriminator with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(spec: DiscriminatorSpec, seed: u64, run: &str) -> Result<Self> {
        let mut parameters = Parameters::new(seed, run);
        let mut layers = Vec::new();
        for index in 0..spec.depth {
            let inputs = if index == 0 {
                spec.features
            } else {
                spec.width
            };
            let last = index + 1 == spec.depth;
            let outputs = if last { spec.environments } else { spec.width };
            let name = format!("discriminator{index}");
            layers.push(Linear::new(&mut parameters, &name, inputs, outputs)?);
        }
        Ok(Self { parameters, layers })
    }

    /// One linear layer with given weight `[environments, F]` and bias, of any float type.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn linear(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let (environments, features) = weight.dims2()?;
        let mut parameters = Parameters::new(0, "given");
        let zero = Initialiser::Constant(0.0);
        let sizes = [features, environments];
        Linear::with(&mut parameters, "discriminator0", sizes, [zero, zero])?;
        let layer = Linear::from_weights(weight, bias)?;
        Ok(Self {
            parameters,
            layers: vec![layer],
        })
    }

    /// The trained weights.
    pub fn variables(&self) -> Vec<Var> {
        self.parameters.trained()
    }

    /// The weights as plain numbers.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn state(&self) -> Result<ObjectiveState> {
        Ok(self.parameters.snapshot()?)
    }

    /// Puts weights back.
    ///
    /// # Errors
    /// When they belong to a discriminator of other sizes.
    pub fn restore(&self, state: &ObjectiveState) -> Result<()> {
        Ok(self.parameters.restore(state)?)
    }

    /// Cross-entropy of the environment index, the mean over all rows, and the mean squared norm
    /// of a row's cross-entropy gradient with respect to its features.
    ///
    /// `frozen` keeps the discriminator's weights constant, so that gradients reach the features
    /// alone.
    ///
    /// # Errors
    /// When the features do not fit.
    pub fn loss(
        &self,
        features: &Tensor,
        environments: &[u32],
        frozen: bool,
    ) -> Result<[Tensor; 2]> {
        let (logits, gates) = self.forward(features, frozen)?;
        let one_hot = one_hot(environments, &logits)?;
        let cross_entropy = log_softmax(&logits, 1)?
            .mul(&one_hot)?
            .sum(1)?
            .neg()?
            .mean_all()?;
        let residual = (softmax(&logits, 1)? - one_hot)?;
        let gradient = self.input_gradient(residual, &gates, frozen)?;
        let penalty = gradient.sqr()?.sum(1)?.mean_all()?;
        Ok([cross_entropy, penalty])
    }

    fn forward(&self, features: &Tensor, frozen: bool) -> Result<(Tensor, Vec<Tensor>)> {
        let mut hidden = features.clone();
        let mut gates = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = if frozen {
                layer.forward_frozen(&hidden)?
            } else {
                layer.forward(&hidden)?
            };
            if index + 1 < self.layers.len() {
                let open = hidden.detach().gt(&hidden.zeros_like()?)?;
                gates.push(open.to_dtype(hidden.dtype())?);
                hidden = hidden.relu()?;
            }
        }
        Ok((hidden, gates))
    }

    /// Back-propagation written as a forward computation, so that one differentiation of it gives
    /// the penalty's gradient. The ReLU gates are piecewise constant.
    fn input_gradient(&self, residual: Tensor, gates: &[Tensor], frozen: bool) -> Result<Tensor> {
        let mut gradient = residual;
        for (index, layer) in self.layers.iter().enumerate().rev() {
            if let Some(gate) = gates.get(index) {
                gradient = gradient.mul(gate)?;
            }
            let weight = layer.weights().0;
            let weight = if frozen {
                weight.detach()
            } else {
                weight.as_tensor().clone()
            };
            gradient = gradient.matmul(&weight)?;
        }
        Ok(gradient)
    }
}

fn one_hot(environments: &[u32], logits: &Tensor) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    let mut values = vec![0f32; rows * classes];
    for (row, &environment) in environments.iter().enumerate() {
        let Some(slot) = values.get_mut(row * classes + environment as usize) else {
            return Err(ObjectiveError::Environments {
                method: "discriminator",
                expected: format!("environment indices below {classes}"),
                found: environment.to_string(),
            });
        };
        *slot = 1.0;
    }
    let dtype = logits.dtype();
    debug_assert!(matches!(dtype, DType::F32 | DType::F64));
    Ok(Tensor::from_vec(values, (rows, classes), logits.device())?.to_dtype(dtype)?)
}
