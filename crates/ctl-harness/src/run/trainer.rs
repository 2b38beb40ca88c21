//! The training loop of one run.

use std::collections::BTreeMap;

use candle_core::Tensor;
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::stream;
use ctl_invariance::{
    Batch, BuildContext, EnvironmentOutputs, Method, MethodParts, SoftmaxCrossEntropy, Step, Value,
};
use ctl_nets::{Mode, Network, NetworkSpec};

use super::batches::batch_at;
use super::checkpoint::{Best, Progress};
use super::evaluate::predict_parts;
use super::score::selection_score;
use crate::data::{CohortData, Parts, View};
use crate::record::Evaluation;
use crate::spec::RunSpec;
use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

/// A run in memory.
pub(crate) struct Trainer<'a> {
    spec: &'a RunSpec,
    cohort: &'a CohortData,
    parts: &'a Parts,
    view: View,
    adapts: bool,
    network: Box<dyn Network>,
    method: MethodParts,
    optimiser: Adam,
    auxiliary: Option<Adam>,
    terms: BTreeMap<&'static str, (f64, u64)>,
    pub(crate) progress: Progress,
}

impl<'a> Trainer<'a> {
    /// A run at its first step, or where `progress` left it.
    pub(crate) fn new(
        spec: &'a RunSpec,
        method: &dyn Method,
        (cohort, parts): (&'a CohortData, &'a Parts),
        progress: Option<Progress>,
    ) -> Result<Self> {
        let id = spec.id();
        let needs = method.info().needs;
        let network = network_spec(spec, cohort).build(spec.seed, &spec.data_key())?;
        let context = BuildContext {
            environments: parts.train.len() + usize::from(needs.target_images),
            features: network.feature_width(),
            seed: spec.seed,
            run: &id,
        };
        let method = method.build(&spec.settings, &context)?;
        let adam = AdamParams {
            learning_rate: spec.training.learning_rate,
            weight_decay: spec.training.weight_decay,
            ..AdamParams::default()
        };
        let optimiser = Adam::new(network.parameters().trained(), adam)?;
        let auxiliary = method
            .objective
            .auxiliary()
            .map(|own| Adam::new(own.variables, own.adam))
            .transpose()?;
        let view = if needs.oracle_view {
            View::Oracle
        } else {
            View::Plain
        };
        let mut trainer = Self {
            spec,
            cohort,
            parts,
            view,
            adapts: needs.target_images,
            network,
            method,
            optimiser,
            auxiliary,
            terms: BTreeMap::new(),
            progress: Progress::start(&id),
        };
        if let Some(progress) = progress {
            trainer.restore(progress)?;
        }
        Ok(trainer)
    }

    fn restore(&mut self, progress: Progress) -> Result<()> {
        self.network.parameters().restore(&progress.weights)?;
        self.optimiser.restore(&progress.optimiser(0))?;
        if let Some(own) = &mut self.auxiliary {
            own.restore(&progress.optimiser(1))?;
        }
        self.method.objective.restore(&progress.objective)?;
        self.progress = progress;
        Ok(())
    }

    /// Brings the state that a checkpoint holds up to date.
    pub(crate) fn capture(&mut self) -> Result<()> {
        self.progress.weights = self.network.parameters().snapshot()?;
        self.progress.objective = self.method.objective.state()?;
        let own = self.auxiliary.as_ref().map(Adam::state).unwrap_or_default();
        let network = self.optimiser.state();
        self.progress.updates = [network.step, own.step];
        self.progress.moments = [network.moments, own.moments];
        Ok(())
    }

    /// Takes one step.
    ///
    /// # Errors
    /// [`HarnessError::Diverged`] when the loss is not finite.
    pub(crate) fn step(&mut self) -> Result<()> {
        let number = self.progress.step;
        if self.method.objective.resets_optimiser_before(number) {
            self.optimiser.reset();
        }
        let environments = self.forward(number)?;
        let value = self.method.objective.evaluate(&Step {
            number,
            environments: &environments,
            loss: &SoftmaxCrossEntropy,
        })?;
        self.check_finite(&value)?;
        let loss = match &value.auxiliary {
            Some(own) => (&value.total + own)?,
            None => value.total,
        };
        let gradients = loss.backward()?;
        self.optimiser.step(&gradients)?;
        if let Some(own) = &mut self.auxiliary {
            own.step(&gradients)?;
        }
        self.progress.step += 1;
        Ok(())
    }

    fn check_finite(&mut self, value: &Value) -> Result<()> {
        let loss = value.total.to_scalar::<f32>()?;
        if !loss.is_finite() {
            return Err(HarnessError::Diverged {
                what: format!("{} at step {}", self.spec.method, self.progress.step),
            });
        }
        for (name, _) in &value.terms {
            let term = value.term(name)?.unwrap_or(0.0);
            let entry = self.terms.entry(name).or_insert((0.0, 0));
            *entry = (entry.0 + term, entry.1 + 1);
        }
        Ok(())
    }

    fn batches(&self, number: u64) -> Result<Vec<Batch>> {
        let input = (self.spec, self.view);
        let mut batches = Vec::new();
        for (index, part) in self.parts.train.iter().enumerate() {
            batches.push(batch_at(self.cohort, part, input, (index, true), number)?);
        }
        if self.adapts {
            let index = self.parts.train.len();
            let target = &self.parts.adaptation;
            batches.push(batch_at(
                self.cohort,
                target,
                input,
                (index, false),
                number,
            )?);
        }
        let rng = &mut stream(
            self.spec.seed,
            &self.progress.run,
            &format!("augment {number}"),
        );
        for augmentation in &self.method.augmentations {
            batches = augmentation.apply(batches, rng)?;
        }
        Ok(batches)
    }

    /// All environments in one pass, so that batch statistics are over all of them.
    fn forward(&self, number: u64) -> Result<Vec<EnvironmentOutputs>> {
        let batches = self.batches(number)?;
        let images: Vec<&Tensor> = batches.iter().map(|b| &b.images).collect();
        let images = Tensor::cat(&images, 0)?;
        let out = self.network.forward((&images).into(), Mode::Train)?;
        let mut first = 0;
        let mut environments = Vec::new();
        for batch in batches {
            let rows = batch.images.dim(0)?;
            let features = out.features.narrow(0, first, rows)?;
            let outputs = out.outputs.narrow(0, first, rows)?;
            let environment = batch.environment;
            environments.push(EnvironmentOutputs::new(
                environment,
                features,
                outputs,
                batch.targets,
            ));
            first += rows;
        }
        Ok(environments)
    }

    /// Evaluates the network and keeps it where a selector prefers it; the earlier checkpoint wins
    /// a tie.
    pub(crate) fn evaluate(&mut self) -> Result<&Evaluation> {
        let predictions = predict_parts(self.network.as_ref(), self.cohort, self.parts, self.view)?;
        let validation = selection_score(&predictions.validation)?;
        let oracle = selection_score(&predictions.oracle)?;
        for (selector, score) in [
            (Selector::TrainingDomain, validation),
            (Selector::TargetOracle, oracle),
        ] {
            let best = self.progress.best.get(&selector);
            if best.is_none_or(|best| score > best.score) {
                let best = Best {
                    step: self.progress.step,
                    score,
                    predictions: predictions.clone(),
                    weights: self.network.parameters().snapshot()?,
                };
                self.progress.best.insert(selector, best);
            }
        }
        let terms = std::mem::take(&mut self.terms);
        self.progress.evaluations.push(Evaluation {
            step: self.progress.step,
            terms: terms
                .into_iter()
                .map(|(k, (sum, n))| (k.to_owned(), sum / n as f64))
                .collect(),
            validation,
            oracle,
        });
        let last = self.progress.evaluations.len() - 1;
        Ok(&self.progress.evaluations[last])
    }
}

/// The network that a specification asks for on a cohort.
pub(crate) fn network_spec(spec: &RunSpec, cohort: &CohortData) -> NetworkSpec {
    let [channels, height, width] = cohort.images.shape();
    NetworkSpec {
        architecture: spec.training.network,
        channels,
        height,
        width,
        outputs: cohort.classes.len(),
        attributes: 0,
    }
}
