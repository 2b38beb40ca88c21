//! A network that guesses the environment from the features.

use candle_core::{Tensor, Var};
use ctl_compute::ops::{log_softmax, softmax};
use ctl_nets::{Linear, NetError, Parameters};

use crate::config::check_positive;
use crate::{ConfigError, ObjectiveError, ObjectiveState, Result, in_range, weights};

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

impl DiscriminatorSpec {
    fn check(&self) -> Result<()> {
        for (key, size) in [
            ("features", self.features),
            ("width", self.width),
            ("depth", self.depth),
            ("environments", self.environments),
        ] {
            if size == 0 {
                return Err(zero(key));
            }
        }
        Ok(())
    }
}

/// Checks what a user may set of a discriminator and its Adam.
pub(crate) fn check_settings(
    method: &'static str,
    (width, depth): (usize, usize),
    (learning_rate, beta1): (f64, f64),
) -> std::result::Result<(), ConfigError> {
    let ok = (1..=4096).contains(&width);
    in_range(method, "discriminator_width", &width, "1 to 4096", ok)?;
    let ok = (1..=8).contains(&depth);
    in_range(method, "discriminator_depth", &depth, "1 to 8", ok)?;
    check_positive(method, "discriminator_learning_rate", learning_rate)?;
    let ok = (0.0..1.0).contains(&beta1);
    in_range(method, "discriminator_beta1", &beta1, "in [0, 1)", ok)
}

/// Linear layers with `ReLU` between them, `[B, F] -> [B, environments]`.
pub struct Discriminator {
    layers: Vec<Linear>,
}

impl Discriminator {
    /// A discriminator with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(spec: DiscriminatorSpec, seed: u64, run: &str) -> Result<Self> {
        spec.check()?;
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
        Ok(Self { layers })
    }

    /// Layers with given weights `[out, in]` and biases `[out]`, input first, of any float type.
    ///
    /// # Errors
    /// When there is no layer, or the sizes do not fit.
    pub fn from_weights(weights: &[(Tensor, Tensor)]) -> Result<Self> {
        if weights.is_empty() {
            return Err(zero("depth"));
        }
        let layers = weights
            .iter()
            .map(|(weight, bias)| Ok(Linear::from_weights(weight, bias)?))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { layers })
    }

    /// The trained weights: weight and bias of every layer, input first.
    pub fn variables(&self) -> Vec<Var> {
        self.named().into_iter().map(|(_, var)| var).collect()
    }

    /// The weights as plain numbers in single precision.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn state(&self) -> Result<ObjectiveState> {
        weights::state(&self.named())
    }

    /// Puts weights back; nothing changes unless all of them fit.
    ///
    /// # Errors
    /// When they belong to a discriminator of other sizes.
    pub fn restore(&self, state: &ObjectiveState) -> Result<()> {
        weights::restore("discriminator", &self.named(), state)
    }

    /// The weights by the name under which they are stored.
    pub(crate) fn named(&self) -> weights::Named {
        let mut named = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let (weight, bias) = layer.weights();
            named.push((format!("discriminator{index}.weight"), weight.clone()));
            named.push((format!("discriminator{index}.bias"), bias.clone()));
        }
        named
    }

    /// What the discriminator makes of features `[B, F]`: logits `[B, environments]`.
    ///
    /// # Errors
    /// When the features do not fit.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor> {
        Ok(self.forward(features, false)?.0)
    }

    /// The same with constant weights, so that gradients reach the features alone.
    ///
    /// # Errors
    /// When the features do not fit.
    pub fn frozen_logits(&self, features: &Tensor) -> Result<Tensor> {
        Ok(self.forward(features, true)?.0)
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
        let [cross_entropy, squared_norm] = self.row_losses(features, environments, frozen)?;
        Ok([cross_entropy.mean_all()?, squared_norm.mean_all()?])
    }

    /// The two parts of [`Self::loss`] for each row, both `[B]`.
    ///
    /// # Errors
    /// When the features do not fit.
    pub fn row_losses(
        &self,
        features: &Tensor,
        environments: &[u32],
        frozen: bool,
    ) -> Result<[Tensor; 2]> {
        let (logits, gates) = self.forward(features, frozen)?;
        let one_hot = one_hot(environments, &logits)?;
        let cross_entropy = log_softmax(&logits, 1)?.mul(&one_hot)?.sum(1)?.neg()?;
        let residual = (softmax(&logits, 1)? - one_hot)?;
        let gradient = self.input_gradient(residual, &gates, frozen)?;
        Ok([cross_entropy, gradient.sqr()?.sum(1)?])
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
    /// the penalty's gradient. The `ReLU` gates are piecewise constant.
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

fn zero(key: &'static str) -> ObjectiveError {
    let (expected, found) = ("at least 1", "0".to_owned());
    NetError::Size {
        architecture: "discriminator",
        key,
        expected,
        found,
    }
    .into()
}

fn one_hot(environments: &[u32], logits: &Tensor) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    let fault = |expected: String, found: String| ObjectiveError::Environments {
        method: "discriminator",
        expected,
        found,
    };
    if environments.len() != rows {
        let found = format!("{} for {rows} rows", environments.len());
        return Err(fault("one environment index per row".into(), found));
    }
    let mut values = vec![0f32; rows * classes];
    for (row, &environment) in environments.iter().enumerate() {
        let index = environment as usize;
        if index >= classes {
            let expected = format!("environment indices below {classes}");
            return Err(fault(expected, environment.to_string()));
        }
        values[row * classes + index] = 1.0;
    }
    let one_hot = Tensor::from_vec(values, (rows, classes), logits.device())?;
    Ok(one_hot.to_dtype(logits.dtype())?)
}
