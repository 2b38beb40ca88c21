//! Small environments for the methods' own tests.

use candle_core::{Device, Tensor};

use crate::{
    EnvironmentOutputs, Objective, ObjectiveError, Result, SoftmaxCrossEntropy, Step, TrainingData,
    Value,
};

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

/// Patients of some sources, and of a target, of whom classes or attributes are known; no images.
pub(crate) struct Patients {
    classes: Vec<Vec<u32>>,
    class_count: usize,
    names: Vec<String>,
    sources: Vec<Rows>,
    target: Option<Rows>,
}

/// Attributes of each patient.
pub(crate) type Rows = Vec<Vec<Option<f64>>>;

impl Patients {
    /// Sources of whose patients the class is known.
    pub(crate) fn classes(classes: &[&[u32]], class_count: usize) -> Self {
        Self {
            classes: classes.iter().map(|own| own.to_vec()).collect(),
            class_count,
            names: Vec::new(),
            sources: classes
                .iter()
                .map(|own| vec![Vec::new(); own.len()])
                .collect(),
            target: None,
        }
    }

    /// Sources and target of whose patients attributes are known.
    pub(crate) fn attributes(names: &[&str], sources: &[Rows], target: Option<Rows>) -> Self {
        Self {
            classes: Vec::new(),
            class_count: 0,
            names: names.iter().map(|&name| name.to_owned()).collect(),
            sources: sources.to_vec(),
            target,
        }
    }
}

impl TrainingData for Patients {
    fn sources(&self) -> usize {
        self.sources.len()
    }

    fn has_target(&self) -> bool {
        self.target.is_some()
    }

    fn shape(&self) -> [usize; 3] {
        [1, 1, 1]
    }

    fn samples(&self, environment: usize) -> usize {
        self.attributes(environment).len()
    }

    fn images(&self, _environment: usize, _rows: &[usize]) -> Result<Vec<f32>> {
        Err(ObjectiveError::Images("there are none".into()))
    }

    fn classes(&self, environment: usize) -> Option<Vec<u32>> {
        self.classes.get(environment).cloned()
    }

    fn class_count(&self) -> usize {
        self.class_count
    }

    fn attribute_names(&self) -> &[String] {
        &self.names
    }

    fn attributes(&self, environment: usize) -> Rows {
        let source = self.sources.get(environment);
        source.or(self.target.as_ref()).cloned().unwrap_or_default()
    }
}
