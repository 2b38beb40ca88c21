//! From encoded parents to the raw values of a mechanism.

use candle_core::{DType, Tensor};
use ctl_compute::ops::silu;
use ctl_nets::{Initialiser, Linear, Parameters};

use crate::Result;

/// Hidden layers.
const DEPTH: usize = 2;

/// Two hidden layers with `SiLU` and a linear one whose first weights are zero, so that a mechanism
/// starts without looking at the parents; without parents, the last bias alone.
pub(super) struct Conditioner {
    parameters: Parameters,
    layers: Vec<Linear>,
    outputs: usize,
}

impl Conditioner {
    /// Weights drawn for `(seed, run)`.
    pub(super) fn new(
        (seed, run): (u64, &str),
        inputs: usize,
        hidden: usize,
        outputs: usize,
    ) -> Result<Self> {
        let mut parameters = Parameters::new(seed, run);
        let mut layers = Vec::new();
        let zero = Initialiser::Constant(0.0);
        if inputs == 0 {
            parameters.add("output.bias", &[1, outputs], zero)?;
        } else {
            let mut width = inputs;
            for index in 0..DEPTH {
                let name = format!("hidden{index}");
                layers.push(Linear::new(&mut parameters, &name, width, hidden)?);
                width = hidden;
            }
            let last = Linear::with(&mut parameters, "output", [width, outputs], [zero, zero])?;
            layers.push(last);
        }
        Ok(Self {
            parameters,
            layers,
            outputs,
        })
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Sets the last bias.
    pub(super) fn start_at(&self, bias: &[f64]) -> Result<()> {
        let mut weights = self.parameters.snapshot()?;
        let values = bias.iter().map(|&value| value as f32).collect();
        weights.insert("output.bias".to_owned(), values);
        Ok(self.parameters.restore(&weights)?)
    }

    /// `[B, inputs]` to raw values `[B, outputs]`.
    pub(super) fn forward(&self, parents: &Tensor) -> Result<Tensor> {
        let Some((last, hidden)) = self.layers.split_last() else {
            let bias = self.parameters.trained();
            let shape = (parents.dims()[0], self.outputs);
            return Ok(bias[0].broadcast_as(shape)?);
        };
        let mut state = parents.clone();
        for layer in hidden {
            state = silu(&layer.forward(&state)?)?;
        }
        Ok(last.forward(&state)?)
    }

    /// The weights as they are now, for exact evaluation.
    pub(super) fn frozen(&self) -> Result<Frozen> {
        let read = |tensor: &Tensor| -> Result<Vec<f64>> {
            Ok(tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
        };
        let layers = self.layers.iter().map(|layer| {
            let (weight, bias) = layer.weights();
            Ok((read(weight)?, read(bias)?))
        });
        let mut layers: Vec<(Vec<f64>, Vec<f64>)> = layers.collect::<Result<_>>()?;
        if layers.is_empty() {
            layers.push((Vec::new(), read(&self.parameters.trained()[0])?));
        }
        Ok(Frozen { layers })
    }
}

/// The same map in double precision, row by row: its result does not depend on what else is in a
/// batch, so that what is abducted is predicted back.
pub(super) struct Frozen {
    layers: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Frozen {
    pub(super) fn apply(&self, parents: &[f64]) -> Vec<f64> {
        let mut state = parents.to_vec();
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            let width = state.len();
            let outputs = bias.iter().enumerate().map(|(row, bias)| {
                let weights = &weight[row * width..(row + 1) * width];
                bias + weights.iter().zip(&state).map(|(w, s)| w * s).sum::<f64>()
            });
            let mut next: Vec<f64> = outputs.collect();
            if index + 1 < self.layers.len() {
                for value in &mut next {
                    *value /= 1.0 + (-*value).exp();
                }
            }
            state = next;
        }
        state
    }
}
