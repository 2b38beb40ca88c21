//! Environments whose logits, features and head are leaves, and the fields that all objectives
//! share.

use candle_core::{Tensor, Var};
use ctl_nets::Linear;
use serde_json::{Map, Value};

use super::case::{Case, Problem, elements, float, scalar, tensor, written};
use crate::{EnvironmentOutputs, Objective, SampleLoss, Step, Value as ObjectiveValue};

/// A linear layer on the features.
pub(super) struct Head(Linear);

impl Head {
    fn read(case: &Case<'_>) -> Result<Option<Self>, Problem> {
        let head = case.part("head");
        if head.is_null() {
            return Ok(None);
        }
        let weight = tensor("head.weight", &head["weight"])?;
        let bias = tensor("head.bias", &head["bias"])?;
        let layer = Linear::from_weights(&weight, &bias).map_err(in_head)?;
        Ok(Some(Self(layer)))
    }

    /// Outputs for features `[B, F]`, or a 1×1 convolution of `[B, F, …]`.
    pub(super) fn forward(&self, features: &Tensor) -> Result<Tensor, Problem> {
        if features.rank() < 3 {
            return self.0.forward(features).map_err(in_head);
        }
        let by_pixel = by_pixel(features)?;
        let outputs = self.0.forward(&by_pixel.flatten_to(1)?).map_err(in_head)?;
        let (samples, pixels, _) = by_pixel.dims3()?;
        let outputs = outputs.reshape((samples, pixels, outputs.dim(1)?))?;
        let mut shape = features.dims().to_vec();
        shape[1] = outputs.dim(2)?;
        Ok(outputs.transpose(1, 2)?.contiguous()?.reshape(shape)?)
    }

    /// Weight and bias as constants.
    pub(super) fn weights(&self) -> [Tensor; 2] {
        let (weight, bias) = self.0.weights();
        [weight.detach(), bias.detach()]
    }
}

/// `[B, F, …]` as `[B, P, F]`.
fn by_pixel(features: &Tensor) -> Result<Tensor, Problem> {
    Ok(features.flatten_from(2)?.transpose(1, 2)?.contiguous()?)
}

fn in_head(error: ctl_nets::NetError) -> Problem {
    Problem(format!("head: {}", crate::ObjectiveError::from(error)))
}

/// The inputs of one environment, before anything is computed from them.
pub(super) struct Input {
    logits: Option<Var>,
    features: Option<Var>,
    labels: Option<Tensor>,
}

impl Input {
    fn read(case: &Case<'_>, name: &str, value: &Value) -> Result<Self, Problem> {
        let optional = |key: &str| -> Result<Option<Var>, Problem> {
            let part = &value[key];
            let name = format!("{name}.{key}");
            (!part.is_null()).then(|| leaf(&name, part)).transpose()
        };
        let labelled = value["labelled"].as_bool().unwrap_or(true);
        let labels = labelled.then(|| case.labels(&format!("{name}.labels"), &value["labels"]));
        Ok(Self {
            logits: optional("logits")?,
            features: optional("features")?,
            labels: labels.transpose()?,
        })
    }

    fn outputs(&self, index: usize, head: Option<&Head>) -> Result<EnvironmentOutputs, Problem> {
        let logits = match (&self.logits, &self.features, head) {
            (Some(logits), _, _) => logits.as_tensor().clone(),
            (None, Some(features), Some(head)) => head.forward(features)?,
            _ => return Err(missing(index, "logits")),
        };
        // Objectives that do not look at features get the logits in their place.
        let features = self
            .features
            .as_ref()
            .map_or(&logits, Var::as_tensor)
            .clone();
        let mut outputs = EnvironmentOutputs::new(index, features, logits, Vec::new());
        if let Some(target) = &self.labels {
            outputs.targets = vec![crate::WeightedTarget {
                weight: 1.0,
                target: target.clone(),
            }];
        }
        Ok(outputs)
    }
}

fn missing(index: usize, key: &str) -> Problem {
    Problem(format!("envs[{index}].{key}: missing"))
}

fn leaf(name: &str, value: &Value) -> Result<Var, Problem> {
    Ok(Var::from_tensor(&tensor(name, value)?)?)
}

/// The environments of a step as leaves.
pub(super) struct Inputs {
    inputs: Vec<Input>,
    head: Option<Head>,
}

impl Inputs {
    /// The environments in `list`, usually the case's `envs`.
    pub(super) fn read(case: &Case<'_>, list: &Value) -> Result<Self, Problem> {
        let inputs = elements("envs", list)?
            .iter()
            .enumerate()
            .map(|(index, value)| Input::read(case, &format!("envs[{index}]"), value))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            inputs,
            head: Head::read(case)?,
        })
    }

    pub(super) fn head(&self) -> Result<&Head, Problem> {
        let head = self.head.as_ref();
        head.ok_or_else(|| Problem("head: missing".to_owned()))
    }

    /// The outputs of every environment, as a network would have made them.
    pub(super) fn outputs(&self) -> Result<Vec<EnvironmentOutputs>, Problem> {
        let inputs = self.inputs.iter().enumerate();
        inputs
            .map(|(index, input)| input.outputs(index, self.head.as_ref()))
            .collect()
    }

    /// The features of every environment.
    pub(super) fn features(&self) -> Result<Vec<&Tensor>, Problem> {
        let features = self.inputs.iter().enumerate().map(|(index, input)| {
            let features = input.features.as_ref().map(Var::as_tensor);
            features.ok_or_else(|| missing(index, "features"))
        });
        features.collect()
    }

    /// What a linear head is given in every environment: the features, those of pixels as
    /// `[B, P, F]`.
    pub(super) fn head_inputs(&self) -> Result<Vec<Tensor>, Problem> {
        let features = self.features()?.into_iter();
        let input = |features: &Tensor| match features.rank() {
            0..3 => Ok(features.clone()),
            _ => by_pixel(features),
        };
        features.map(input).collect()
    }

    /// The labels of every environment.
    pub(super) fn labels(&self) -> Result<Vec<&Tensor>, Problem> {
        let labels = self.inputs.iter().enumerate().map(|(index, input)| {
            let labels = input.labels.as_ref();
            labels.ok_or_else(|| missing(index, "labels"))
        });
        labels.collect()
    }

    /// `total` and its gradient with respect to every leaf.
    pub(super) fn differentiate(&self, total: &Tensor) -> Result<Map<String, Value>, Problem> {
        let leaves = |pick: fn(&Input) -> Option<&Var>| -> Option<Vec<&Var>> {
            self.inputs.iter().map(pick).collect()
        };
        let mut fields = Map::from_iter([("total".to_owned(), scalar(total)?)]);
        for (name, leaves) in [
            ("grad_logits", leaves(|input| input.logits.as_ref())),
            ("grad_features", leaves(|input| input.features.as_ref())),
        ] {
            if let Some(leaves) = leaves {
                fields.insert(name.to_owned(), gradients(total, &leaves)?);
            }
        }
        if let Some(head) = &self.head {
            let (weight, bias) = head.0.weights();
            for (name, leaf) in [("grad_weight", weight), ("grad_bias", bias)] {
                fields.insert(name.to_owned(), gradients(total, &[leaf])?[0].take());
            }
        }
        Ok(fields)
    }

    /// The gradient of `scalar` with respect to every environment's features.
    pub(super) fn feature_gradients(&self, scalar: &Tensor) -> Result<Value, Problem> {
        self.features()?;
        let leaves: Vec<_> = self
            .inputs
            .iter()
            .filter_map(|i| i.features.as_ref())
            .collect();
        gradients(scalar, &leaves)
    }
}

/// A list of gradients; a leaf that `scalar` does not depend on has gradient zero.
pub(super) fn gradients(scalar: &Tensor, leaves: &[&Var]) -> Result<Value, Problem> {
    let store = scalar.backward()?;
    let written_gradient = |leaf: &&Var| match store.get(leaf) {
        Some(gradient) => written(gradient),
        None => written(&leaf.zeros_like()?),
    };
    leaves.iter().map(written_gradient).collect()
}

/// Evaluates an objective at a step at which all its weights are in force.
pub(super) fn evaluate(
    loss: &dyn SampleLoss,
    environments: &[EnvironmentOutputs],
    objective: &mut dyn Objective,
) -> Result<ObjectiveValue, Problem> {
    let number = 0;
    Ok(objective.evaluate(&Step {
        number,
        environments,
        loss,
    })?)
}

/// The risks of the labelled environments.
pub(super) fn risks(
    loss: &dyn SampleLoss,
    environments: &[EnvironmentOutputs],
) -> Result<Value, Problem> {
    let labelled = environments.iter().filter(|e| e.is_labelled());
    labelled.map(|e| scalar(&e.risk(loss)?)).collect()
}

/// A named term of an objective's value.
pub(super) fn term(value: &ObjectiveValue, name: &str) -> Result<Value, Problem> {
    let term = value.term(name)?;
    term.map(float)
        .ok_or_else(|| Problem(format!("the objective has no term {name}")))
}
