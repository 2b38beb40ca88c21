//! Fine-tuning of the image's mechanism for what its counterfactuals show.

mod multiplier;
mod tuner;

pub(super) use tuner::Tuner;

use std::collections::BTreeMap;

use ctl_graph::NodeId;
use serde::{Deserialize, Serialize};

use self::multiplier::Multiplier;
use super::workplace::Workplace;
use super::{DeepScm, FitProgress, ImageTraining};
use crate::error::in_range;
use crate::{CounterfactualError, Examples, PredictorConfig, Result, Schema};

const WHAT: &str = "fine-tuning";

/// Counterfactual fine-tuning of the image's mechanism against predictors that stay as they are.
///
/// In every update one attribute that causes the image takes the values of other individuals of the
/// batch, and what descends from it follows from the mechanisms of the attributes.
/// The counterfactual images `x*` are abducted and predicted so that gradients reach encoder and
/// decoder, and
/// ```text
/// A = −Σ_k ln q(pa*_k | x*, children of pa_k)    subject to    F ≤ c = (1 + margin) F₀
/// ```
/// is minimised over the weights, with `F` what the first training minimised (with `beta = 1` and
/// without free bits the negative evidence lower bound, per image value; with `independence` above 0
/// that term besides) and `F₀` its mean before.
/// By the modified differential method of multipliers the gradient of an update is
/// `∇A + max(0, λ + d (F − c)) ∇F`, and `λ ← max(0, λ + r (F − c))` follows each.
///
/// The predictors are trained for it on the facts with a seed of their own: those that score
/// effectiveness afterwards must be others, or the model would be marked by its own teacher.
///
/// # References
/// Ribeiro, De Sousa Ribeiro, Xia, Monteiro, Pawlowski & Glocker 2023, "High fidelity image
/// counterfactuals with probabilistic causal models", section 3.4 and their published code; Platt &
/// Barr 1987, "Constrained differential optimization", for the damping.
/// Deviations: the weight of `∇F` is not let below 0, where slack would be rewarded for being used up;
/// `c` follows from the model instead of being given.
///
/// # Examples
/// ```
/// use ctl_counterfactual::FineTuning;
///
/// let settings = FineTuning { margin: 0.02, ..FineTuning::default() };
/// assert!(settings.validate().is_ok());
/// let fault = FineTuning { batch: 1, ..settings }.validate().unwrap_err();
/// assert_eq!(fault.to_string(), "fine-tuning: batch must be at least 2, found 1");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct FineTuning {
    /// Updates.
    pub steps: u64,
    /// Images of an update, at least 2: they exchange values of attributes.
    pub batch: usize,
    /// Largest step size of `AdamW`, as [`ImageTraining::learning_rate`].
    pub learning_rate: f64,
    /// Updates over which the step size rises.
    pub warmup: u64,
    /// Decoupled weight decay, at least 0.
    pub weight_decay: f64,
    /// Decay of the average of the weights that is kept in the end, as [`ImageTraining::averaging`].
    pub averaging: f64,
    /// Gradients are scaled down to this norm, positive.
    pub clip: f64,
    /// Updates whose gradient has a larger norm are skipped, positive; none skips only those that are
    /// not finite: a predictor that is sure of itself has steep gradients where an image is far off.
    pub skip: Option<f64>,
    /// Updates between two checkpoints, at least 1.
    pub checkpoint_every: u64,
    /// Names of the attributes that interventions are made on; empty for all from which the image
    /// descends.
    pub attributes: Vec<String>,
    /// By which share the bound may get worse, at least 0.
    pub margin: f64,
    /// `d`, at least 0.
    pub damping: f64,
    /// `λ` at the start, at least 0.
    pub lambda: f64,
    /// `r`, at least 0; with 0 `λ` stays.
    pub lambda_rate: f64,
    /// Training images, at most, over which bound and effectiveness are measured before and after, at
    /// least 2.
    pub measured: usize,
    /// The predictors.
    pub predictors: PredictorConfig,
}

impl Default for FineTuning {
    fn default() -> Self {
        Self {
            steps: 2_000,
            batch: 64,
            learning_rate: 1e-4,
            warmup: 100,
            weight_decay: 0.01,
            averaging: 0.999,
            clip: 350.0,
            skip: None,
            checkpoint_every: 500,
            attributes: Vec::new(),
            margin: 0.0,
            damping: 100.0,
            lambda: 0.0,
            lambda_rate: 1.0,
            measured: 5_000,
            predictors: PredictorConfig::default(),
        }
    }
}

impl FineTuning {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the setting outside its range, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.updates().validate_as(WHAT)?;
        in_range(WHAT, "batch", (self.batch, self.batch > 1), "at least 2")?;
        let measured = (self.measured, self.measured > 1);
        in_range(WHAT, "measured", measured, "at least 2")?;
        for (key, value) in [
            ("margin", self.margin),
            ("damping", self.damping),
            ("lambda", self.lambda),
            ("lambda-rate", self.lambda_rate),
        ] {
            let fits = value.is_finite() && value >= 0.0;
            in_range(WHAT, key, (value, fits), "finite and at least 0")?;
        }
        self.predictors.validate()
    }

    /// What it shares with the first training.
    fn updates(&self) -> ImageTraining {
        ImageTraining {
            steps: self.steps,
            batch: self.batch,
            learning_rate: self.learning_rate,
            warmup: self.warmup,
            weight_decay: self.weight_decay,
            averaging: self.averaging,
            clip: self.clip,
            skip: self.skip,
            checkpoint_every: self.checkpoint_every,
        }
    }

    /// The multiplier at the start: `c` is the bound before, and the margin.
    fn multiplier(&self, before: &Measured) -> Multiplier {
        Multiplier {
            lambda: self.lambda,
            limit: before.bound + self.margin * before.bound.abs(),
            damping: self.damping,
            rate: self.lambda_rate,
        }
    }

    /// The attributes that interventions are made on, in the order of the nodes.
    fn causes(&self, schema: &Schema) -> Result<Vec<NodeId>> {
        let reaches = |&node: &NodeId| {
            let image = schema.image();
            image.is_some_and(|image| schema.affected(&[node]).contains(image))
        };
        let all: Vec<NodeId> = schema.attributes().filter(reaches).collect();
        let name = |&node: &NodeId| schema.diagram().name(node);
        let fault = |node: &str, expected: String, found: &str| CounterfactualError::Node {
            node: node.to_owned(),
            expected,
            found: found.to_owned(),
        };
        if all.is_empty() {
            let image = schema.image().map_or("image", |node| name(&node));
            let expected = "an attribute that causes it, for fine-tuning".to_owned();
            return Err(fault(image, expected, "none"));
        }
        for (place, named) in self.attributes.iter().enumerate() {
            let node = schema.attribute(named)?;
            if !all.contains(&node) {
                let names: Vec<&str> = all.iter().map(name).collect();
                let expected = format!("a cause of the image ({})", names.join(", "));
                return Err(fault(named, expected, "another attribute"));
            }
            if self.attributes[..place].contains(named) {
                let expected = "one mention among the attributes of fine-tuning".to_owned();
                return Err(fault(named, expected, "two"));
            }
        }
        let chosen = |node: &NodeId| {
            self.attributes.is_empty() || self.attributes.iter().any(|named| named == name(node))
        };
        Ok(all.into_iter().filter(chosen).collect())
    }
}

impl DeepScm {
    /// Fine-tunes the mechanism of the image of a trained model against predictors; nothing is kept on
    /// the way, for which see [`crate::FitOptions::fine_tuning`].
    ///
    /// # Arguments
    /// - `seed`: what batches, interventions, predictors and draws depend on
    ///
    /// # Errors
    /// When the model has no image, is not trained, or has a mechanism that cannot be fine-tuned; a
    /// setting is out of range; the data do not suit the model; or training diverges.
    pub fn fine_tune(
        &mut self,
        data: &dyn Examples,
        settings: &FineTuning,
        seed: u64,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<FineTuningFit> {
        let tuner = Tuner::new(self, data, settings, seed)?;
        if self.report.is_none() {
            return Err(CounterfactualError::Value {
                subject: "fine-tuning".to_owned(),
                expected: "a model that is trained".to_owned(),
                found: "one that is not".to_owned(),
            });
        }
        let fit = tuner.tune(&Workplace::nowhere(), observer)?;
        if let Some(report) = &mut self.report {
            report.fine_tuning = Some(fit.clone());
        }
        Ok(fit)
    }
}

/// What a model's counterfactuals and its bound are like, means over training images with the same
/// draws before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Measured {
    /// `A`: what the predictors that it is trained against make of counterfactuals, in nats; the sum
    /// over the parents of the image.
    pub effectiveness: f64,
    /// The same of each parent of the image.
    pub parents: BTreeMap<String, f64>,
    /// `F`, per image value.
    pub bound: f64,
}

/// What fine-tuning begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    pub(super) before: Measured,
    /// [`FineTuningFit::facts`]
    pub(super) facts: f64,
}

/// What came of counterfactual fine-tuning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FineTuningFit {
    /// Updates made, those that were skipped among them.
    pub steps: u64,
    /// Updates that were skipped because of their gradient.
    pub skipped: u64,
    /// `λ` in the end.
    pub lambda: f64,
    /// `c`, per image value.
    pub limit: f64,
    /// What the same predictors make of the facts themselves, in nats: what effectiveness can reach.
    pub facts: f64,
    /// Before the first update.
    pub before: Measured,
    /// After the last one, with the weights that are kept.
    pub after: Measured,
    /// Means of the Lagrangian, as `total`, and of its terms over the last updates.
    pub terms: BTreeMap<String, f64>,
}
