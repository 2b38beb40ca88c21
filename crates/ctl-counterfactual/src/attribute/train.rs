//! Training of the mechanisms of attributes.

use ctl_compute::optim::{Adam, AdamParams, Clipping, Optimiser};
use ctl_compute::random::{permutation, stream};
use serde::{Deserialize, Serialize};

use super::AttributeMechanism;
use crate::error::in_range;
use crate::{CounterfactualError, Result, Rows};

/// How the mechanisms of attributes are trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AttributeTraining {
    /// Updates of each mechanism.
    pub steps: u64,
    /// Individuals of an update, at least 1.
    pub batch: usize,
    /// Step size of Adam at the start; it falls to 0 along half a cosine.
    pub learning_rate: f64,
    /// Share of the individuals that only choose among the weights seen in training, 0 to 0.5; with
    /// 0 the last weights are kept.
    pub validation: f64,
    /// Updates between two looks at the validation part, at least 1.
    pub evaluate_every: u64,
}

impl Default for AttributeTraining {
    fn default() -> Self {
        Self {
            steps: 2_000,
            batch: 512,
            learning_rate: 5e-3,
            validation: 0.1,
            evaluate_every: 100,
        }
    }
}

impl AttributeTraining {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the setting outside its range, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        const WHAT: &str = "attribute training";
        in_range(WHAT, "batch", (self.batch, self.batch > 0), "at least 1")?;
        let rate = self.learning_rate;
        let fits = rate.is_finite() && rate > 0.0;
        in_range(WHAT, "learning-rate", (rate, fits), "positive and finite")?;
        let share = (self.validation, (0.0..=0.5).contains(&self.validation));
        in_range(WHAT, "validation", share, "0 to 0.5")?;
        let every = (self.evaluate_every, self.evaluate_every > 0);
        in_range(WHAT, "evaluate-every", every, "at least 1")
    }
}

/// What came of training one mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeFit {
    /// Mean of `ln p` over the training individuals, in nats.
    pub training: f64,
    /// The same over the validation individuals, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Update after which the kept weights were seen.
    pub step: u64,
}

/// The individuals that train, and those that choose.
struct Parts {
    training: (Vec<f64>, Rows),
    validation: (Vec<f64>, Rows),
}

impl Parts {
    fn new(values: &[f64], parents: &Rows, share: f64, order: &[usize]) -> Self {
        let held_out = (values.len() as f64 * share) as usize;
        let (validation, training) = order.split_at(held_out);
        let part = |rows: &[usize]| {
            let values = rows.iter().map(|&row| values[row]).collect();
            (values, parents.select(rows))
        };
        Self {
            training: part(training),
            validation: part(validation),
        }
    }
}

/// Trains a mechanism on values and encoded parents; the same seed gives the same weights.
///
/// A mechanism without parents and without anything to learn beyond its start, such as categories by
/// frequency, trains as well: its start is a solution already.
///
/// # Arguments
/// - `name`: of the attribute, for messages and for the stream of random numbers
/// - `tick`: told after every update how many were made
///
/// # Errors
/// When a setting is out of range, values and parents differ in number or there are none, or the loss
/// is not finite.
pub fn train_attribute(
    mechanism: &dyn AttributeMechanism,
    name: &str,
    (values, parents): (&[f64], &Rows),
    options: &AttributeTraining,
    seed: u64,
    tick: &mut dyn FnMut(u64),
) -> Result<AttributeFit> {
    options.validate()?;
    if values.is_empty() || values.len() != parents.len() {
        return Err(CounterfactualError::Value {
            subject: format!("training data of {name}"),
            expected: "as many values as parents, at least one".to_owned(),
            found: format!("{} and {}", values.len(), parents.len()),
        });
    }
    let run = format!("attribute {name}");
    let order = permutation(&mut stream(seed, &run, "validation"), values.len());
    let parts = Parts::new(values, parents, options.validation, &order);
    let mut best = Best::new(mechanism, &parts)?;
    let params = AdamParams {
        learning_rate: options.learning_rate,
        ..AdamParams::default()
    };
    let mut adam = Adam::new(mechanism.parameters().trained(), params)?.clipped(Clipping {
        norm: Some(LARGEST_NORM),
        value: None,
    })?;
    let mut batches = Batches::new(parts.training.0.len(), options.batch, (seed, &run));
    for step in 0..options.steps {
        let progress = step as f64 / options.steps as f64;
        adam.set_rate_factor(f64::midpoint(1.0, (std::f64::consts::PI * progress).cos()));
        let rows = batches.next_rows();
        let values: Vec<f64> = rows.iter().map(|&row| parts.training.0[row]).collect();
        let loss = mechanism.loss(&values, &parts.training.1.select(&rows))?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(CounterfactualError::Training {
                node: name.to_owned(),
                message: format!("the loss is {value} at update {step}"),
            });
        }
        adam.step(&loss.backward()?)?;
        if (step + 1) % options.evaluate_every == 0 || step + 1 == options.steps {
            best.look(mechanism, &parts, step + 1)?;
        }
        tick(step + 1);
    }
    best.finish(mechanism, &parts)
}

/// Gradients are scaled down to this norm.
const LARGEST_NORM: f64 = 10.0;

/// Individuals in a new order in every epoch.
pub(crate) struct Batches {
    count: usize,
    size: usize,
    key: (u64, String),
    epoch: u64,
    order: Vec<usize>,
    place: usize,
}

impl Batches {
    pub(crate) fn new(count: usize, size: usize, (seed, run): (u64, &str)) -> Self {
        Self {
            count,
            size: size.min(count),
            key: (seed, run.to_owned()),
            epoch: 0,
            order: Vec::new(),
            place: 0,
        }
    }

    /// The rows of the next update; what is left of an epoch that does not fill a batch is left out.
    pub(crate) fn next_rows(&mut self) -> Vec<usize> {
        if self.place + self.size > self.order.len() {
            let purpose = format!("epoch {}", self.epoch);
            let rng = &mut stream(self.key.0, &self.key.1, &purpose);
            self.order = permutation(rng, self.count);
            self.epoch += 1;
            self.place = 0;
        }
        let rows = self.order[self.place..self.place + self.size].to_vec();
        self.place += self.size;
        rows
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The weights that suit the validation part best.
struct Best {
    score: f64,
    step: u64,
    weights: std::collections::BTreeMap<String, Vec<f32>>,
}

impl Best {
    fn new(mechanism: &dyn AttributeMechanism, parts: &Parts) -> Result<Self> {
        Ok(Self {
            score: Self::score(mechanism, parts)?,
            step: 0,
            weights: mechanism.parameters().snapshot()?,
        })
    }

    /// Without a validation part, every look is the best yet.
    fn score(mechanism: &dyn AttributeMechanism, parts: &Parts) -> Result<f64> {
        let (values, parents) = &parts.validation;
        if values.is_empty() {
            return Ok(f64::NEG_INFINITY);
        }
        Ok(mean(&mechanism.log_prob(values, parents)?))
    }

    fn look(&mut self, mechanism: &dyn AttributeMechanism, parts: &Parts, step: u64) -> Result<()> {
        let score = Self::score(mechanism, parts)?;
        if parts.validation.0.is_empty() || score > self.score {
            *self = Self {
                score,
                step,
                weights: mechanism.parameters().snapshot()?,
            };
        }
        Ok(())
    }

    fn finish(self, mechanism: &dyn AttributeMechanism, parts: &Parts) -> Result<AttributeFit> {
        mechanism.parameters().restore(&self.weights)?;
        let (values, parents) = &parts.training;
        Ok(AttributeFit {
            training: mean(&mechanism.log_prob(values, parents)?),
            validation: (!parts.validation.0.is_empty()).then_some(self.score),
            step: self.step,
        })
    }
}
