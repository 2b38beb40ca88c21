//! Training of a whole model, which goes on where it stopped.

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::Tensor;
use ctl_compute::optim::{AdamParams, AdamW, Clipping, Ema, Optimiser, Schedule, gradient_norm};
use ctl_compute::random::stream;
use serde::{Deserialize, Serialize};

use super::DeepScm;
use super::store::{Resumed, Workplace};
use crate::attribute::Batches;
use crate::error::in_range;
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
        const WHAT: &str = "image training";
        in_range(WHAT, "batch", (self.batch, self.batch > 0), "at least 1")?;
        for (key, value) in [
            ("learning-rate", self.learning_rate),
            ("clip", self.clip),
            ("skip", self.skip.unwrap_or(1.0)),
        ] {
            let fits = value.is_finite() && value > 0.0;
            in_range(WHAT, key, (value, fits), "positive and finite")?;
        }
        let decay = self.weight_decay;
        let fits = decay.is_finite() && decay >= 0.0;
        in_range(WHAT, "weight-decay", (decay, fits), "finite and at least 0")?;
        let share = (self.averaging, (0.0..1.0).contains(&self.averaging));
        in_range(WHAT, "averaging", share, "0 to 1, 1 excluded")?;
        let every = (self.checkpoint_every, self.checkpoint_every > 0);
        in_range(WHAT, "checkpoint-every", every, "at least 1")
    }

    fn decay(&self) -> f64 {
        let most = 1.0 - FORGETTING / self.steps.max(1) as f64;
        self.averaging.min(most.max(0.0))
    }

    fn schedule(&self) -> Schedule {
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
    /// Folder in which mechanisms are kept as they are done, and the image's on the way; training
    /// with the same model, data and options goes on from there. None keeps nothing.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
}

/// Where training stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitProgress<'a> {
    /// Node whose mechanism is trained.
    pub node: &'a str,
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
}

/// The average forgets its beginning at least so many times over: `e⁻⁵` of it is left.
const FORGETTING: f64 = 5.0;
/// Over how many of the last updates means are taken.
const LAST_UPDATES: usize = 100;
/// So many skipped updates in a row are no accident.
const LARGEST_SKIPS: u64 = 200;
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
        let fit = match workplace.finished_image(mechanism.parameters())? {
            Some(fit) => fit,
            None => ImageTrainer::new(name, (encoding, &**mechanism), data, options)?
                .train(&workplace, observer)?,
        };
        report.image = Some(fit);
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
    let trainer = ImageTrainer::new(name, (encoding, mechanism), data, options)?;
    trainer.train(&Workplace::nowhere(), observer)
}

/// The training of the mechanism of the image.
struct ImageTrainer<'a> {
    name: &'a str,
    mechanism: &'a dyn ImageMechanism,
    encoding: &'a Encoding,
    data: &'a dyn Examples,
    options: &'a FitOptions,
    schedule: Schedule,
    optimiser: AdamW,
    average: Option<Ema>,
    step: u64,
    skipped: u64,
    skipped_in_a_row: u64,
    last: Vec<BTreeMap<String, f64>>,
}

impl<'a> ImageTrainer<'a> {
    fn new(
        name: &'a str,
        (encoding, mechanism): (&'a Encoding, &'a dyn ImageMechanism),
        data: &'a dyn Examples,
        options: &'a FitOptions,
    ) -> Result<Self> {
        let settings = &options.image;
        let params = AdamParams {
            learning_rate: settings.learning_rate,
            weight_decay: settings.weight_decay,
            ..AdamParams::default()
        };
        let clipping = Clipping {
            norm: Some(settings.clip),
            value: None,
        };
        let variables = mechanism.parameters().trained();
        Ok(Self {
            name,
            mechanism,
            encoding,
            data,
            options,
            schedule: settings.schedule(),
            optimiser: AdamW::new(variables, params)?.clipped(clipping)?,
            average: None,
            step: 0,
            skipped: 0,
            skipped_in_a_row: 0,
            last: Vec::new(),
        })
    }

    fn train(
        mut self,
        workplace: &Workplace,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<ImageFit> {
        let settings = self.options.image;
        if let Some(resumed) = workplace.checkpoint()? {
            self.resume(resumed)?;
        }
        let count = self.data.columns().len();
        let run = format!("image {}", self.name);
        let mut batches = Batches::new(count, settings.batch, (self.options.seed, &run));
        // Batches before the checkpoint are passed over: their order follows from the seed.
        for _ in 0..self.step {
            batches.next_rows();
        }
        while self.step < settings.steps {
            let rows = batches.next_rows();
            self.update(&rows)?;
            self.step += 1;
            let loss = self.last.last().and_then(|terms| terms.get("total"));
            observer(FitProgress {
                node: self.name,
                step: self.step,
                steps: settings.steps,
                loss: loss.copied(),
            });
            if self.step.is_multiple_of(settings.checkpoint_every) && self.step < settings.steps {
                workplace.keep(&self.state()?)?;
            }
        }
        if let Some(average) = &mut self.average {
            average.swap()?;
        }
        let fit = self.report();
        workplace.finish_image(self.mechanism.parameters(), &fit)?;
        Ok(fit)
    }

    fn update(&mut self, rows: &[usize]) -> Result<()> {
        let images = self.data.images(rows)?;
        let images = images.ok_or_else(|| self.fault("the data have no images".to_owned()))?;
        let parents = self.encoding.encode(&self.data.columns().select(rows));
        let purpose = format!("image {} step {}", self.name, self.step);
        let rng = &mut stream(self.options.seed, "fit", &purpose);
        let parents = parents.to_tensor()?;
        let loss = self.mechanism.loss(&images, &parents, self.step, rng)?;
        let gradients = loss.total.backward()?;
        let variables = self.mechanism.parameters().trained();
        let norm = gradient_norm(variables.iter(), &gradients)?;
        let largest = self.options.image.skip.unwrap_or(f64::MAX);
        if !(norm.is_finite() && norm <= largest) {
            self.skipped += 1;
            self.skipped_in_a_row += 1;
            if self.skipped_in_a_row >= LARGEST_SKIPS {
                let message = format!(
                    "{LARGEST_SKIPS} updates in a row were skipped, the last for a gradient of norm \
                     {norm}, at update {}",
                    self.step
                );
                return Err(self.fault(message));
            }
            return Ok(());
        }
        self.skipped_in_a_row = 0;
        self.optimiser
            .set_rate_factor(self.schedule.factor(self.step));
        self.begin_average()?;
        self.optimiser.step(&gradients)?;
        if let Some(average) = &mut self.average {
            average.update()?;
        }
        self.remember(&loss.total, &loss.terms)
    }

    /// The average begins at the first update: a mechanism may fit its weights to the first batch.
    fn begin_average(&mut self) -> Result<()> {
        let settings = &self.options.image;
        if self.average.is_none() && settings.averaging > 0.0 {
            let variables = self.mechanism.parameters().trained();
            self.average = Some(Ema::new(variables, settings.decay())?);
        }
        Ok(())
    }

    fn remember(&mut self, total: &Tensor, terms: &[(&'static str, Tensor)]) -> Result<()> {
        let read = |tensor: &Tensor| -> Result<f64> { Ok(f64::from(tensor.to_scalar::<f32>()?)) };
        let mut values = BTreeMap::from([("total".to_owned(), read(total)?)]);
        for (name, term) in terms {
            values.insert((*name).to_owned(), read(term)?);
        }
        self.last.push(values);
        if self.last.len() > LAST_UPDATES {
            self.last.remove(0);
        }
        Ok(())
    }

    fn report(&self) -> ImageFit {
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for terms in &self.last {
            for (name, value) in terms {
                *sums.entry(name.clone()).or_default() += value / self.last.len() as f64;
            }
        }
        ImageFit {
            steps: self.step,
            skipped: self.skipped,
            terms: sums,
        }
    }

    fn state(&self) -> Result<Resumed> {
        let average = self.average.as_ref().map(Ema::state).transpose()?;
        Ok(Resumed {
            step: self.step,
            skipped: self.skipped,
            skipped_in_a_row: self.skipped_in_a_row,
            last: self.last.clone(),
            weights: self.mechanism.parameters().snapshot()?,
            optimiser: self.optimiser.state(),
            average: average.unwrap_or_default(),
        })
    }

    fn resume(&mut self, resumed: Resumed) -> Result<()> {
        self.mechanism.parameters().restore(&resumed.weights)?;
        self.optimiser.restore(&resumed.optimiser)?;
        if !resumed.average.is_empty() {
            self.begin_average()?;
        }
        if let Some(average) = &mut self.average {
            average.restore(&resumed.average)?;
        }
        self.step = resumed.step;
        self.skipped = resumed.skipped;
        self.skipped_in_a_row = resumed.skipped_in_a_row;
        self.last = resumed.last;
        Ok(())
    }

    fn fault(&self, message: String) -> CounterfactualError {
        CounterfactualError::Training {
            node: self.name.to_owned(),
            message,
        }
    }
}
