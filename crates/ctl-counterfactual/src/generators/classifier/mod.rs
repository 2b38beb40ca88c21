//! Images that a classifier calls something else, as near as possible.

mod penalty;
mod search;

use std::rc::Rc;

use candle_core::Tensor;
use ctl_invariance::{Augmentation, Batch, ObjectiveError, Result, TargetKind};
use ctl_nets::Network;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::as_objective_error;
use super::labels::{classes, relabel};
use super::pixels::Pixels;
use crate::CounterfactualError;
use crate::error::in_range;
use search::{Classifier, search};

const NAME: &str = "classifier counterfactual";

/// Which class an image is trained on after it was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// The class that the classifier now gives it: its decision is taken for the truth.
    #[default]
    Target,
    /// The class that it had: the change is taken for one that the patient does not make, as in
    /// adversarial training.
    Keep,
}

/// Settings of counterfactuals of a classifier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierCounterfactualConfig {
    /// Chance that an image is replaced, 0 to 1; for the augmentation.
    pub probability: f64,
    /// Which class it is trained on then; for the augmentation.
    pub labels: Labels,
    /// Weight `λ₁` of the absolute change, summed over pixels, not negative.
    pub sparsity: f64,
    /// Weight `λ₂` of the total variation of the change, not negative.
    pub smoothness: f64,
    /// Probability of the class sought from which a search has arrived, 0 to below 1; the class must
    /// be the likeliest one as well.
    pub confidence: f64,
    /// Steps for an image at most, at least 1.
    pub max_steps: usize,
    /// Steps after which the search no longer waits for the minimum between two halvings of the weights,
    /// at least 1.
    pub steps_per_strength: usize,
    /// How often both weights are halved at most, where their minimum does not reach the class, up to
    /// 60.
    pub relaxations: usize,
    /// Length of the first step, positive.
    pub step: f64,
    /// A minimum is reached where the largest change of a step, over its length, is at most this
    /// share of the steepest slope; above 0, below 1.
    pub tolerance: f64,
}

impl Default for ClassifierCounterfactualConfig {
    fn default() -> Self {
        Self {
            probability: 0.5,
            labels: Labels::Target,
            sparsity: 0.1,
            smoothness: 0.01,
            confidence: 0.5,
            max_steps: 500,
            steps_per_strength: 25,
            relaxations: 20,
            step: 1.0,
            tolerance: 0.01,
        }
    }
}

impl ClassifierCounterfactualConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`CounterfactualError::Setting`] names the setting outside its range.
    pub fn validate(&self) -> crate::Result<()> {
        let ok = (0.0..=1.0).contains(&self.probability);
        in_range(NAME, "probability", (self.probability, ok), "0 to 1")?;
        for (key, value) in [("sparsity", self.sparsity), ("smoothness", self.smoothness)] {
            let ok = value.is_finite() && value >= 0.0;
            in_range(NAME, key, (value, ok), "finite and not negative")?;
        }
        let ok = (0.0..1.0).contains(&self.confidence);
        in_range(NAME, "confidence", (self.confidence, ok), "in [0, 1)")?;
        let most = self.max_steps;
        in_range(NAME, "max_steps", (most, most > 0), "at least 1")?;
        let most = self.steps_per_strength;
        in_range(NAME, "steps_per_strength", (most, most > 0), "at least 1")?;
        let ok = self.relaxations <= 60;
        in_range(NAME, "relaxations", (self.relaxations, ok), "0 to 60")?;
        let ok = self.step.is_finite() && self.step > 0.0;
        in_range(NAME, "step", (self.step, ok), "positive and finite")?;
        let ok = self.tolerance > 0.0 && self.tolerance < 1.0;
        in_range(
            NAME,
            "tolerance",
            (self.tolerance, ok),
            "above 0 and below 1",
        )
    }
}

/// What became of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CounterfactualReport {
    /// Whether the class sought is the likeliest one and likely enough.
    pub success: bool,
    /// The likeliest class of the image as it was.
    pub from: u32,
    /// The class sought.
    pub to: u32,
    /// Its probability in the end.
    pub probability: f64,
    /// Steps tried.
    pub steps: usize,
    /// Factor on both weights in the end, a power of ½.
    pub strength: f64,
    /// `‖x′ − x‖₁` in pixel values.
    pub l1: f64,
    /// `‖x′ − x‖₂` in pixel values.
    pub l2: f64,
    /// `‖x′ − x‖_∞` in pixel values.
    pub largest: f64,
    /// Number of values that changed.
    pub changed: usize,
}

/// Counterfactual images and what is to be said of each.
#[derive(Clone, Debug)]
pub struct ClassifierExplanations {
    /// `[B, C, H, W]` on the scale of the batch; where a search failed, where it ended.
    pub images: Tensor,
    /// One for each image.
    pub reports: Vec<CounterfactualReport>,
}

/// The nearest image `x′` that a classifier gives another class:
///
/// `min CE(f(x′), y′) + s (λ₁ ‖x′ − x‖₁ + λ₂ TV(x′ − x))`, every pixel of `x′` in [0, 1],
///
/// by proximal gradient steps whose length is found by backtracking, for each image on its own. At a
/// minimum that does not have the class, `s`, at first 1, is halved and the search goes on from there;
/// at one that has it, the change is scaled down to where the decision falls. After
/// [`ClassifierCounterfactualConfig::steps_per_strength`] steps the image is taken as if it were the
/// minimum. Where `λ₁ = 0` no minimum need exist, and the search ends at the first image that has the
/// class. Whatever is in the batch beside an image plays no part, nor does chance.
///
/// As an [`Augmentation`], with a chance an image of a labelled batch is replaced by a counterfactual
/// towards a class drawn uniformly among the others. Images that the classifier gets wrong stay, lest
/// the label change where the image does not; so do those whose search fails.
///
/// # Assumptions
/// It explains the classifier and not the patient: the change is the least that moves the *decision*,
/// under no model of how images come about. It may be invisible, and it follows whatever the classifier
/// leans on, a confounder as well as a finding. To train on the new class ([`Labels::Target`]) assumes
/// that the classifier's boundary is where the disease begins, as it may be where its features are the
/// causal ones; to train on the old one ([`Labels::Keep`]) assumes that no change so small makes a
/// patient of another class, and removes the reliance on what was changed. Neither follows from data.
///
/// # References
/// Wachter, Mittelstadt & Russell 2018, "Counterfactual Explanations without Opening the Black Box",
/// equations 1 to 3; Dhurandhar et al. 2018, "Explanations based on the Missing: Towards Contrastive
/// Explanations with Pertinent Negatives", equation 1 and section 3.3 (elastic net by proximal steps);
/// Beck & Teboulle 2009, "A Fast Iterative Shrinkage-Thresholding Algorithm", section 3 (ISTA with
/// backtracking). Deviations: cross-entropy for the squared or hinge loss; total variation for the
/// squared norm and the autoencoder; the weights of the penalties are halved from above, where the
/// authors raise or bisect that of the loss; no momentum, so that every step descends.
pub struct ClassifierCounterfactual {
    config: ClassifierCounterfactualConfig,
    network: Rc<dyn Network>,
}

impl ClassifierCounterfactual {
    /// Counterfactuals of a network with outputs `[B, K]`, logits; one logit is that of the second of
    /// two classes. It is asked in evaluation mode, and its weights stay.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(
        config: ClassifierCounterfactualConfig,
        network: Rc<dyn Network>,
    ) -> crate::Result<Self> {
        config.validate()?;
        Ok(Self { config, network })
    }

    fn classifier<'a>(&'a self, batch: &'a Batch) -> Classifier<'a> {
        Classifier {
            network: self.network.as_ref(),
            batch,
        }
    }

    /// Counterfactuals of the images of a batch.
    ///
    /// # Arguments
    /// - `batch`: images and, where the network takes it, their context.
    /// - `targets`: the class sought for each image; an image that has it already stays.
    ///
    /// # Errors
    /// When there is not one class below `K` for each image, or the network does not take the images
    /// or is no classifier.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// use candle_core::{DType, Device, Tensor};
    /// use ctl_counterfactual::generators::{
    ///     ClassifierCounterfactual, ClassifierCounterfactualConfig,
    /// };
    /// use ctl_invariance::{Batch, TargetKind};
    /// use ctl_nets::{Mlp, MlpSpec};
    ///
    /// let network = Mlp::new(MlpSpec { inputs: 16, hidden: 8, outputs: 2 }, 0, "docs")?;
    /// let config = ClassifierCounterfactualConfig::default();
    /// let method = ClassifierCounterfactual::new(config, Rc::new(network))?;
    /// let images = Tensor::full(0.5f32, (2, 1, 4, 4), &Device::Cpu)?;
    /// let batch = Batch::new(0, images, TargetKind::Classes);
    /// let found = method.explain(&batch, &[0, 1])?;
    /// // Equal images have one class: one of the two has it already.
    /// assert_eq!(found.reports.iter().filter(|report| report.steps == 0).count(), 1);
    /// # Ok::<(), ctl_counterfactual::CounterfactualError>(())
    /// ```
    pub fn explain(&self, batch: &Batch, targets: &[u32]) -> crate::Result<ClassifierExplanations> {
        let mut pixels = Pixels::of(&batch.images, batch)?;
        let rows = pixels.count();
        if targets.len() != rows || rows == 0 {
            return Err(CounterfactualError::Shape {
                subject: "classes sought",
                expected: format!("one for each of {rows} images, at least 1"),
                found: format!("{}", targets.len()),
            });
        }
        let classifier = self.classifier(batch);
        let (_, count) = classifier.classes()?;
        if let Some(class) = targets.iter().find(|&&class| class as usize >= count) {
            return Err(CounterfactualError::Value {
                subject: "class sought".into(),
                expected: format!("below {count}"),
                found: class.to_string(),
            });
        }
        let images: Vec<Vec<f64>> = (0..rows).map(|row| pixels.row(row).to_vec()).collect();
        let given = (&images[..], pixels.shape());
        let (changes, reports) = search(&classifier, given, targets, &self.config)?;
        for (row, (image, change)) in images.iter().zip(&changes).enumerate() {
            let changed = image.iter().zip(change);
            let changed: Vec<f64> = changed.map(|(value, change)| value + change).collect();
            pixels.set_row(row, &changed);
        }
        Ok(ClassifierExplanations {
            images: pixels.into_tensor()?,
            reports,
        })
    }

    fn changed(&self, mut batch: Batch, rng: &mut ChaCha8Rng) -> Result<Batch> {
        let ours = |error| as_objective_error(NAME, error);
        if batch.kind != TargetKind::Classes {
            return Err(ObjectiveError::Environments {
                method: NAME,
                expected: "classes as targets".into(),
                found: format!("{:?}", batch.kind),
            });
        }
        let labels = classes(NAME, &batch)?;
        let (seen, count) = self.classifier(&batch).classes().map_err(ours)?;
        let (mut rows, mut targets) = (Vec::new(), Vec::new());
        for (row, (&label, seen)) in labels.iter().zip(seen).enumerate() {
            let chosen = rng.random::<f64>() < self.config.probability;
            let other = rng.random_range(0..(count - 1).max(1)) as u32;
            if chosen && seen == label && count > 1 {
                rows.push(row);
                // The classes without the image's own, in their order.
                targets.push(other + u32::from(other >= label));
            }
        }
        if rows.is_empty() {
            return Ok(batch);
        }
        let found = self
            .explain(&batch.select(&rows)?, &targets)
            .map_err(ours)?;
        // Counterfactuals stand behind the images, and every row picks its own.
        let all = labels.len() as u32;
        let mut order: Vec<u32> = (0..all).collect();
        let mut new = Vec::new();
        for (place, report) in found.reports.iter().enumerate() {
            if report.success {
                order[rows[place]] = all + place as u32;
                new.push((rows[place], report.to));
            }
        }
        let both = Tensor::cat(&[&batch.images, &found.images], 0)?;
        batch.images = both.index_select(&Tensor::new(order, both.device())?, 0)?;
        if self.config.labels == Labels::Target {
            relabel(NAME, &mut batch, &new)?;
        }
        Ok(batch)
    }
}

impl Augmentation for ClassifierCounterfactual {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let changed = batches.into_iter().map(|batch| {
            if batch.is_labelled() {
                self.changed(batch, rng)
            } else {
                Ok(batch)
            }
        });
        changed.collect()
    }
}

#[cfg(test)]
mod tests;
