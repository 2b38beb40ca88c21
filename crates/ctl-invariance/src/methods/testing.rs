//! Small environments for the methods' own tests.

use candle_core::{Device, Tensor};

use crate::{EnvironmentOutputs, Objective, Result, SoftmaxCrossEntropy, Step, Trial, Value};

/// An environment of two-class logits; the features are the logits themselves.
pub(crate) fn classification(
    index: usize,
    logits: &[[f64; 2]],
    labels: &[u32],
) -> EnvironmentOutputs {
    let outputs = Tensor::from_vec(logits.concat(), (logits.len(), 2), &Device::Cpu).unwrap();
    let target = Tensor::new(labels, &Device::Cpu).unwrap();
    EnvironmentOutputs::labelled(index, outputs.clone(), outputs, target)
}

/// The value of an objective at step 0 under cross-entropy.
pub(crate) fn evaluate(
    objective: &mut dyn Objective,
    environments: &[EnvironmentOutputs],
) -> Value {
    evaluate_at(objective, environments, 0)
}

/// The value of an objective at a given step under cross-entropy.
pub(crate) fn evaluate_at(
    objective: &mut dyn Objective,
    environments: &[EnvironmentOutputs],
    number: u64,
) -> Value {
    let loss = &SoftmaxCrossEntropy;
    objective
        .evaluate(&Step {
            number,
            environments,
            loss,
        })
        .unwrap()
}

/// Environments whose risks are linear in two weights, which begin at 0.
pub(crate) struct Lines {
    slopes: Vec<[f32; 2]>,
    weights: [f32; 2],
}

impl Lines {
    pub(crate) const RATE: f64 = 0.125;

    pub(crate) fn new(slopes: &[[f32; 2]]) -> Self {
        Self {
            slopes: slopes.to_vec(),
            weights: [0.0; 2],
        }
    }
}

impl Trial for Lines {
    fn number(&self) -> u64 {
        0
    }

    fn environments(&self) -> usize {
        self.slopes.len()
    }

    fn rows(&self, _environment: usize) -> usize {
        1
    }

    fn learning_rate(&self) -> f64 {
        Self::RATE
    }

    fn weights(&self) -> Result<Vec<Tensor>> {
        Ok(vec![Tensor::new(&self.weights, &Device::Cpu)?])
    }

    fn set_weights(&mut self, weights: &[Tensor]) -> Result<()> {
        let weights = weights[0].to_vec1::<f32>()?;
        self.weights = [weights[0], weights[1]];
        Ok(())
    }

    fn gradient(&mut self, environment: usize, _rows: usize) -> Result<(f64, Vec<Tensor>)> {
        let slope = self.slopes[environment];
        let risk = slope[0] * self.weights[0] + slope[1] * self.weights[1];
        Ok((f64::from(risk), vec![Tensor::new(&slope, &Device::Cpu)?]))
    }
}
