//! Updates of the weights of the image's mechanism, whatever they minimise.

use std::collections::BTreeMap;

use candle_core::Tensor;
use ctl_compute::optim::{AdamParams, AdamW, Clipping, Ema, Optimiser, Schedule, gradient_norm};

use super::workplace::{Resumed, Workplace};
use super::{FitProgress, FitStage, ImageFit, ImageTraining};
use crate::attribute::Batches;
use crate::image::ImageLoss;
use crate::{CounterfactualError, ImageMechanism, Result};

/// Over how many of the last updates means are taken.
const LAST_UPDATES: usize = 100;
/// So many skipped updates in a row are no accident.
const LARGEST_SKIPS: u64 = 200;

/// What updates minimise.
pub(super) trait Objective {
    /// The loss over some rows of the training data; of `step` and the rows alone, and of the state.
    fn loss(&self, rows: &[usize], step: u64) -> Result<ImageLoss>;

    /// Told the loss, as `total`, and its terms after every update that was made.
    fn updated(&mut self, _terms: &BTreeMap<String, f64>) {}

    /// The number that a checkpoint has to keep of it, if there is one.
    fn state(&self) -> Option<f64> {
        None
    }

    /// Puts the kept number back.
    fn resume(&mut self, _state: f64) {}
}

/// The training of a mechanism of images.
pub(super) struct Trainer<'a, O> {
    name: &'a str,
    stage: FitStage,
    mechanism: &'a dyn ImageMechanism,
    objective: &'a mut O,
    settings: ImageTraining,
    batches: Batches,
    schedule: Schedule,
    optimiser: AdamW,
    average: Option<Ema>,
    step: u64,
    skipped: u64,
    skipped_in_a_row: u64,
    last: Vec<BTreeMap<String, f64>>,
}

impl<'a, O: Objective> Trainer<'a, O> {
    pub(super) fn new(
        (name, stage): (&'a str, FitStage),
        mechanism: &'a dyn ImageMechanism,
        objective: &'a mut O,
        settings: ImageTraining,
        batches: Batches,
    ) -> Result<Self> {
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
            stage,
            mechanism,
            objective,
            settings,
            batches,
            schedule: settings.schedule(),
            optimiser: AdamW::new(variables, params)?.clipped(clipping)?,
            average: None,
            step: 0,
            skipped: 0,
            skipped_in_a_row: 0,
            last: Vec::new(),
        })
    }

    /// Trains from the last checkpoint on; the averaged weights are the mechanism's in the end.
    pub(super) fn train(
        mut self,
        workplace: &Workplace,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<ImageFit> {
        let settings = self.settings;
        if let Some(resumed) = workplace.checkpoint(self.stage)? {
            self.resume(resumed)?;
        }
        // Batches before the checkpoint are passed over: their order follows from the seed.
        for _ in 0..self.step {
            self.batches.next_rows();
        }
        while self.step < settings.steps {
            let rows = self.batches.next_rows();
            self.update(&rows)?;
            self.step += 1;
            let loss = self.last.last().and_then(|terms| terms.get("total"));
            observer(FitProgress {
                node: self.name,
                stage: self.stage,
                step: self.step,
                steps: settings.steps,
                loss: loss.copied(),
            });
            if self.step.is_multiple_of(settings.checkpoint_every) && self.step < settings.steps {
                workplace.keep(self.stage, &self.state()?)?;
            }
        }
        if let Some(average) = &mut self.average {
            average.swap()?;
        }
        Ok(self.report())
    }

    fn update(&mut self, rows: &[usize]) -> Result<()> {
        let loss = self.objective.loss(rows, self.step)?;
        let gradients = loss.total.backward()?;
        let variables = self.mechanism.parameters().trained();
        let norm = gradient_norm(variables.iter(), &gradients)?;
        let largest = self.settings.skip.unwrap_or(f64::MAX);
        if !(norm.is_finite() && norm <= largest) {
            return self.skip(norm);
        }
        self.skipped_in_a_row = 0;
        self.optimiser
            .set_rate_factor(self.schedule.factor(self.step));
        self.begin_average()?;
        self.optimiser.step(&gradients)?;
        if let Some(average) = &mut self.average {
            average.update()?;
        }
        let terms = read_terms(&loss.total, &loss.terms)?;
        self.objective.updated(&terms);
        self.remember(terms);
        Ok(())
    }

    fn skip(&mut self, norm: f64) -> Result<()> {
        self.skipped += 1;
        self.skipped_in_a_row += 1;
        if self.skipped_in_a_row < LARGEST_SKIPS {
            return Ok(());
        }
        Err(CounterfactualError::Training {
            node: self.name.to_owned(),
            message: format!(
                "{LARGEST_SKIPS} updates in a row were skipped, the last for a gradient of norm \
                 {norm}, at update {}",
                self.step
            ),
        })
    }

    /// The average begins at the first update: a mechanism may fit its weights to the first batch.
    fn begin_average(&mut self) -> Result<()> {
        if self.average.is_none() && self.settings.averaging > 0.0 {
            let variables = self.mechanism.parameters().trained();
            self.average = Some(Ema::new(variables, self.settings.decay())?);
        }
        Ok(())
    }

    fn remember(&mut self, terms: BTreeMap<String, f64>) {
        self.last.push(terms);
        if self.last.len() > LAST_UPDATES {
            self.last.remove(0);
        }
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
            objective: self.objective.state(),
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
        if let Some(state) = resumed.objective {
            self.objective.resume(state);
        }
        self.step = resumed.step;
        self.skipped = resumed.skipped;
        self.skipped_in_a_row = resumed.skipped_in_a_row;
        self.last = resumed.last;
        Ok(())
    }
}

fn read_terms(total: &Tensor, terms: &[(&'static str, Tensor)]) -> Result<BTreeMap<String, f64>> {
    let read = |tensor: &Tensor| -> Result<f64> { Ok(f64::from(tensor.to_scalar::<f32>()?)) };
    let mut values = BTreeMap::from([("total".to_owned(), read(total)?)]);
    for (name, term) in terms {
        values.insert((*name).to_owned(), read(term)?);
    }
    Ok(values)
}
