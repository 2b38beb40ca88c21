//! A step whose weights a gradient rule may move.

use candle_core::{Tensor, Var};
use ctl_invariance::{Batch, EnvironmentOutputs, ObjectiveError, SampleLoss, Trial};
use ctl_nets::Network;

use super::forward::forward;
use crate::Result;

/// The batches of a step on a network.
pub(super) struct Probe<'a> {
    network: &'a dyn Network,
    loss: &'a dyn SampleLoss,
    batches: Vec<Batch>,
    variables: Vec<Var>,
    number: u64,
    learning_rate: f64,
    /// All environments in one pass at the first weights, so that batch statistics are over all.
    outputs: Vec<EnvironmentOutputs>,
    start: Option<Vec<Tensor>>,
    /// Running statistics after that pass, which passes at other weights must not move.
    buffers: Vec<(Var, Tensor)>,
}

impl<'a> Probe<'a> {
    pub(super) fn new(
        (network, loss): (&'a dyn Network, &'a dyn SampleLoss),
        batches: Vec<Batch>,
        (number, learning_rate): (u64, f64),
    ) -> Result<Self> {
        let batches: Vec<Batch> = batches.into_iter().filter(Batch::is_labelled).collect();
        Ok(Self {
            outputs: forward(network, &batches, number)?,
            variables: network.parameters().trained(),
            network,
            loss,
            batches,
            number,
            learning_rate,
            start: None,
            buffers: Vec::new(),
        })
    }

    /// Puts the weights back to where the step began, and running statistics to where its first
    /// pass left them.
    pub(super) fn go_back(&mut self) -> Result<()> {
        if let Some(start) = self.start.take() {
            set(&self.variables, &start)?;
        }
        for (buffer, value) in self.buffers.drain(..) {
            buffer.set(&value)?;
        }
        Ok(())
    }
}

pub(super) fn set(variables: &[Var], weights: &[Tensor]) -> ctl_invariance::Result<()> {
    for (variable, weight) in variables.iter().zip(weights) {
        variable.set(weight)?;
    }
    Ok(())
}

impl Trial for Probe<'_> {
    fn number(&self) -> u64 {
        self.number
    }

    fn environments(&self) -> usize {
        self.batches.len()
    }

    fn rows(&self, environment: usize) -> usize {
        let batch = self.batches.get(environment);
        batch.map_or(0, |batch| batch.images.dims()[0])
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn weights(&self) -> ctl_invariance::Result<Vec<Tensor>> {
        let copies = self.variables.iter().map(|v| v.as_detached_tensor().copy());
        Ok(copies.collect::<std::result::Result<_, _>>()?)
    }

    fn set_weights(&mut self, weights: &[Tensor]) -> ctl_invariance::Result<()> {
        if self.start.is_none() {
            self.start = Some(self.weights()?);
            for (_, buffer) in self.network.parameters().buffers() {
                let value = buffer.as_detached_tensor().copy()?;
                self.buffers.push((buffer.clone(), value));
            }
        }
        set(&self.variables, weights)
    }

    fn gradient(
        &mut self,
        environment: usize,
        rows: usize,
    ) -> ctl_invariance::Result<(f64, Vec<Tensor>)> {
        let missing = || ObjectiveError::Environments {
            method: "gradient rule",
            expected: format!("an environment below {}", self.batches.len()),
            found: environment.to_string(),
        };
        let batch = self.batches.get(environment).ok_or_else(missing)?;
        let again;
        let outputs = if rows < self.rows(environment) {
            let first: Vec<usize> = (0..rows).collect();
            let batch = batch.select(&first)?;
            again = forward(self.network, &[batch], self.number)?;
            &again[0]
        } else if self.start.is_some() {
            again = forward(self.network, std::slice::from_ref(batch), self.number)?;
            &again[0]
        } else {
            &self.outputs[environment]
        };
        let risk = outputs.risk(self.loss)?;
        let store = risk.backward()?;
        let gradient = |variable: &Var| match store.get(variable) {
            Some(gradient) => Ok(gradient.clone()),
            None => variable.zeros_like(),
        };
        let gradients = self.variables.iter().map(gradient);
        let gradients = gradients.collect::<std::result::Result<_, _>>()?;
        Ok((f64::from(risk.to_scalar::<f32>()?), gradients))
    }
}
