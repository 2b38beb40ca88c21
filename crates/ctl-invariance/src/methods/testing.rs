//! Small environments for the methods' own tests.

use candle_core::{Device, Tensor};

use crate::{EnvironmentOutputs, Objective, SoftmaxCrossEntropy, Step, Value};

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
