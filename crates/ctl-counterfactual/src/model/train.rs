//! Training of a whole model, which goes on where it stopped.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use candle_core::Tensor;
use ctl_compute::optim::Schedule;
use ctl_compute::random::stream;
use serde::{Deserialize, Serialize};

use super::fine_tuning::Tuner;
use super::trainer::{Objective, Trainer};
use super::workplace::Workplace;
use super::{DeepScm, FineTuning, FineTuningFit};
use crate::attribute::Batches;
use crate::error::in_range;
use crate::image::ImageLoss;
use crate::{
    AttributeFit, AttributeTraining, CounterfactualError, Encoding, Examples, ImageMechanism,
    Result, train_attribute,
};

/// How the mechanism of the image is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ImageTraining {
    /// Updates.
    pub steps: u64,
    /// Images of an update, at least 1.
    pub batch: usize,
    /// Largest step size of `AdamW`; it rises to there along a line and falls to 0 along half a
    /// cosine.
    pub learning_rate: f64,
    /// Updates over which the step size rises.
    pub warmup: u64,
    /// Decoupled weight decay, at least 0.
    pub weight_decay: f64,
    /// Decay of the average of the weights that is kept in the end, 0 to 1; 0 keeps the last weights.
    /// It is at most `1 − 5 / steps`, so that less than a hundredth of the average is the weights that
    /// training began with.
    pub averaging: f64,
    /// Gradients are scaled down to this norm, positive.
    pub clip: f64,
    /// Updates whose gradient has a larger norm are skipped, positive; none skips only those that are
    /// not finite.
    pub skip: Option<f64>,
    /// Updates between two checkpoints, at least 1.
    pub checkpoint_every: u64,
}

impl Default for ImageTraining {
    fn default() -> Self {
        Self {
            steps: 5_000,
            batch: 64,
            learning_rate: 1e-3,
            warmup: 100,
            weight_decay: 0.01,
            averaging: 0.999,
            clip: 350.0,
            skip: Some(500.0),
            checkpoint_every: 500,
        }
    }
}

impl ImageTraining {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the setting outside its range, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.validate_as("image training")
    }

    pub(super) fn validate_as(&self, what: &'static str) -> Result<()> {
        in_range(what, "batch", (self.batch, self.batch > 0), "at least 1")?;
        for (key, value) in [
            ("learning-rate", self.learning_rate),
            ("clip", self.clip),
            ("skip", self.skip.unwrap_or(1.0)),
        ] {
            let fits = value.is_finite() && value > 0.0;
            in_range(what, key, (value, fits), "positive and finite")?;
        }
        let decay = self.weight_decay;
        let fits = decay.is_finite() && decay >= 0.0;
        in_range(what, "weight-decay", (decay, fits), "finite and at least 0")?;
        let share = (self.averaging, (0.0..1.0).contains(&self.averaging));
        in_range(what, "averaging", share, "0 to 1, 1 excluded")?;
        let every = (self.checkpoint_every, self.checkpoint_every > 0);
        in_range(what, "checkpoint-every", every, "at least 1")
    }

    pub(super) fn decay(&self) -> f64 {
        let most = 1.0 - FORGETTING / self.steps.max(1) as f64;
        self.averaging.min(most.max(0.0))
    }

    pub(super) fn schedule(&self) -> Schedule {
        let cosine = Schedule::Cosine {
            steps: self.steps.saturating_sub(self.warmup).max(1),
            floor: 0.0,
        };
        if self.warmup == 0 {
            return cosine;
        }
        Schedule::WarmUp {
            steps: self.warmup,
            start: 0.0,
            then: Box::new(cosine),
        }
    }
}

/// How a model is trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct FitOptions {
    /// What batches and draws depend on.
    pub seed: u64,
    /// Training of the attributes.
    pub attributes: AttributeTraining,
    /// Training of the image.
    pub image: ImageTraining,
    /// Fine-tuning of the image behind its training; none without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_tuning: Option<FineTuning>,
    /// Folder in which mechanisms are kept as they are done, and the image's on the way; training
    /// with the same model, data and options goes on from there. None keeps nothing.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
}

/// What is trained of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FitStage {
    /// Its mechanism.
    Mechanism,
    /// A predictor of it from the image.
    Predictor,
    /// Its mechanism, once more: see [`FineTuning`].
    FineTuning,
}

impl fmt::Display for FitStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mechanism => "mechanism",
            Self::Predictor => "predictor",
            Self::FineTuning => "fine-tuning",
        })
    }
}

/// Where training stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitProgress<'a> {
    /// Node that something is trained of.
    pub node: &'a str,
    /// What is.
    pub stage: FitStage,
    /// Updates made.
    pub step: u64,
    /// Updates in all.
    pub steps: u64,
    /// Mean of the loss since the last time that it was told; none where nothing was measured.
    pub loss: Option<f64>,
}

/// What came of training the mechanism of the image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageFit {
    /// Updates made, those that were skipped among them.
    pub steps: u64,
    /// Updates that were skipped because of their gradient.
    pub skipped: u64,
    /// Means of the loss, as `total`, and of its terms over the last updates.
    pub terms: BTreeMap<String, f64>,
}

/// What came of training a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitReport {
    /// By attribute.
    pub attributes: BTreeMap<String, AttributeFit>,
    /// Of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageFit>,
    /// Of fine-tuning it.
    #[serde(
        default,
        rename = "fine-tuning",
        skip_serializing_if = "Option::is_none"
    )]
    pub fine_tuning: Option<FineTuningFit>,
}

/// The average forgets its beginning at least so many times over: `e⁻⁵` of it is left.
const FORGETTING: f64 = 5.0;
/// Progress of attributes is told every so many updates.
const TELL_EVERY: u64 = 50;

pub(super) fn fit(
    model: &DeepScm,
    data: &dyn Examples,
    options: &FitOptions,
    observer: &mut dyn FnMut(FitProgress<'_>),
) -> Result<FitReport> {
    options.attributes.validate()?;
    options.image.validate()?;
    let tuner = options.fine_tuning.as_ref();
    let tuner = tuner.map(|settings| Tuner::new(model, data, settings, options.seed));
    let tuner = tuner.transpose()?;
    let workplace = Workplace::open(model, data, options)?;
    let mut report = FitReport::default();
    let columns = data.columns();
    for (node, part) in model.attributes() {
        let name = model.schema.diagram().name(node);
        let mechanism = part.model.mechanism();
        if let Some(fit) = workplace.finished_attribute(node, mechanism.parameters())? {
            report.attributes.insert(name.to_owned(), fit);
            continue;
        }
        let parents = part.encoding.encode(columns);
        let steps = options.attributes.steps;
        let mut tick = |step: u64| {
            if step.is_multiple_of(TELL_EVERY) || step == steps {
                observer(FitProgress {
                    node: name,
                    stage: FitStage::Mechanism,
                    step,
                    steps,
                    loss: None,
                });
            }
        };
        let values = (columns.column(node), &parents);
        let fit = train_attribute(
            mechanism,
            name,
            values,
            &options.attributes,
            options.seed,
            &mut tick,
        )?;
        workplace.finish_attribute(node, mechanism.parameters(), &fit)?;
        report.attributes.insert(name.to_owned(), fit);
    }
    if let (Some((encoding, mechanism)), Some(node)) = (&model.image, model.schema.image()) {
        let name = model.schema.diagram().name(node);
        let fit = if let Some(fit) = workplace.finished_image(mechanism.parameters())? {
            fit
        } else {
            let part = (encoding, &**mechanism);
            let fit = first_training(name, part, data, options, (&workplace, observer))?;
            workplace.finish_image(mechanism.parameters(), &fit)?;
            fit
        };
        report.image = Some(fit);
    }
    if let Some(tuner) = tuner {
        report.fine_tuning = Some(tuner.tune(&workplace, observer)?);
    }
    Ok(report)
}

/// Trains the mechanism of an image alone; nothing is kept on the way.
///
/// # Arguments
/// - `name`: of the image, for messages and for the streams of random numbers
/// - `encoding`: how its parents are told; [`Encoding::none`] for a mechanism without parents
///
/// # Errors
/// When a setting is out of range, there are no images, or training diverges.
pub fn train_image(
    name: &str,
    (encoding, mechanism): (&Encoding, &dyn ImageMechanism),
    data: &dyn Examples,
    options: &FitOptions,
    observer: &mut dyn FnMut(FitProgress<'_>),
) -> Result<ImageFit> {
    options.image.validate()?;
    let nowhere = Workplace::nowhere();
    let part = (encoding, mechanism);
    first_training(name, part, data, options, (&nowhere, observer))
}

fn first_training(
    name: &str,
    (encoding, mechanism): (&Encoding, &dyn ImageMechanism),
    data: &dyn Examples,
    options: &FitOptions,
    (workplace, observer): (&Workplace, &mut dyn FnMut(FitProgress<'_>)),
) -> Result<ImageFit> {
    let settings = options.image;
    let mut objective = Likelihood {
        name,
        mechanism,
        encoding,
        data,
        seed: options.seed,
    };
    let run = format!("image {name}");
    let batches = Batches::new(data.columns().len(), settings.batch, (options.seed, &run));
    let stage = (name, FitStage::Mechanism);
    Trainer::new(stage, mechanism, &mut objective, settings, batches)?.train(workplace, observer)
}

/// The loss of the mechanism itself.
struct Likelihood<'a> {
    name: &'a str,
    mechanism: &'a dyn ImageMechanism,
    encoding: &'a Encoding,
    data: &'a dyn Examples,
    seed: u64,
}

impl Objective for Likelihood<'_> {
    fn loss(&self, rows: &[usize], step: u64) -> Result<ImageLoss> {
        let images = images_of(self.name, self.data, rows)?;
        let parents = self.encoding.encode(&self.data.columns().select(rows));
        let purpose = format!("image {} step {step}", self.name);
        let rng = &mut stream(self.seed, "fit", &purpose);
        self.mechanism
            .loss(&images, &parents.to_tensor()?, step, rng)
    }
}

/// The images of some rows, which must be there.
pub(super) fn images_of(name: &str, data: &dyn Examples, rows: &[usize]) -> Result<Tensor> {
    data.images(rows)?
        .ok_or_else(|| CounterfactualError::Training {
            node: name.to_owned(),
            message: "the data have no images".to_owned(),
        })
}
