//! The training loop of one run.

use std::collections::BTreeMap;

use candle_core::Tensor;
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::stream;
use ctl_invariance::{Batch, BuildContext, EnvironmentOutputs, Method, MethodParts, Step, Value};
use ctl_nets::{Mode, Network, NetworkInput, NetworkSpec};

use super::batches::rows_at;
use super::checkpoint::{Arrays, Best, Progress};
use super::evaluate::{Deployed, Ground, deploy};
use crate::data::{CohortData, Part, View};
use crate::record::Evaluation;
use crate::spec::RunSpec;
use crate::task::{How, Kit, Panel, Selected, kit};
use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

/// A run in memory.
pub(crate) struct Trainer<'a> {
    ground: Ground<'a>,
    kit: Box<dyn Kit + 'a>,
    adapts: bool,
    batch_size: usize,
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
        ground: Ground<'a>,
        method: &dyn Method,
        progress: Option<Progress>,
    ) -> Result<Self> {
        let Ground {
            spec,
            cohort,
            parts,
            view,
        } = ground;
        let id = spec.id();
        let needs = method.info().needs;
        let kit = kit(spec, cohort, parts, view)?;
        let network =
            network_spec(spec, cohort, kit.as_ref()).build(spec.seed, &spec.data_key())?;
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
        // A reference that learns from fewer environments sees as many images in a step.
        let share = spec.sources.len().max(1).div_ceil(parts.train.len().max(1));
        let mut trainer = Self {
            ground,
            kit,
            adapts: needs.target_images,
            batch_size: spec.training.batch_size * share,
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
            loss: self.kit.loss(),
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
                what: format!("{} at step {}", self.ground.spec.method, self.progress.step),
            });
        }
        for (name, _) in &value.terms {
            let term = value.term(name)?.unwrap_or(0.0);
            let entry = self.terms.entry(name).or_insert((0.0, 0));
            *entry = (entry.0 + term, entry.1 + 1);
        }
        Ok(())
    }

    fn batch(
        &self,
        part: &Part,
        (environment, labelled): (usize, bool),
        step: u64,
    ) -> Result<Batch> {
        let rows = rows_at(part, self.ground.spec, (environment, self.batch_size), step);
        self.kit.batch(&Selected {
            spec: self.ground.spec,
            cohort: self.ground.cohort,
            view: self.ground.view,
            samples: &rows,
            how: How::Train {
                environment,
                step,
                labelled,
            },
            observer: self.ground.parts.train_observer,
        })
    }

    fn batches(&self, number: u64) -> Result<Vec<Batch>> {
        let parts = self.ground.parts;
        let mut batches = Vec::new();
        for (index, part) in parts.train.iter().enumerate() {
            batches.push(self.batch(part, (index, true), number)?);
        }
        if self.adapts {
            let index = parts.train.len();
            batches.push(self.batch(&parts.adaptation, (index, false), number)?);
        }
        let purpose = format!("augment {number}");
        let rng = &mut stream(self.ground.spec.seed, &self.progress.run, &purpose);
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
        let contexts: Option<Vec<&Tensor>> = batches.iter().map(|b| b.context.as_ref()).collect();
        let context = contexts.map(|all| Tensor::cat(&all, 0)).transpose()?;
        let input = NetworkInput {
            images: &images,
            context: context.as_ref(),
        };
        let out = self.network.forward(input, Mode::Train)?;
        let mut first = 0;
        let mut environments = Vec::new();
        for batch in batches {
            let rows = batch.images.dim(0)?;
            let features = out.features.narrow(0, first, rows)?;
            let outputs = out.outputs.narrow(0, first, rows)?;
            let penalty = out.penalty.as_ref();
            let penalty = penalty.map(|p| p.narrow(0, first, rows)).transpose()?;
            environments.push(
                EnvironmentOutputs::new(batch.environment, features, outputs, batch.targets)
                    .with_penalty(penalty),
            );
            first += rows;
        }
        Ok(environments)
    }

    /// Evaluates the network and keeps it where a selector prefers it; the earlier checkpoint wins
    /// a tie.
    pub(crate) fn evaluate(&mut self) -> Result<()> {
        self.kit.prepare(self.network.as_ref())?;
        let (kit, network) = (self.kit.as_ref(), self.network.as_ref());
        let validation = self.ground.validation(kit, network)?;
        let validation = kit.selection_score(&validation, false)?;
        let oracle = self.ground.oracle(kit, network)?;
        let oracle = kit.selection_score(&oracle, true)?;
        for (selector, score) in [
            (Selector::TrainingDomain, validation),
            (Selector::TargetOracle, oracle),
        ] {
            let best = self.progress.best.get(&selector);
            let last = self.ground.spec.takes_last(selector);
            if last || best.is_none_or(|best| score > best.score) {
                let best = Best {
                    step: self.progress.step,
                    score,
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
        Ok(())
    }

    /// Puts kept weights into use.
    pub(crate) fn take_up(&mut self, weights: &Arrays) -> Result<()> {
        self.network.parameters().restore(weights)?;
        self.kit.prepare(self.network.as_ref())
    }

    /// What the network in use says in distribution and on the target.
    pub(crate) fn deploy(&self) -> Result<Deployed> {
        let adaptation = self.method.adaptation.as_deref();
        deploy(
            &self.ground,
            (self.kit(), self.network.as_ref()),
            adaptation,
        )
    }

    /// What the network in use makes of one target sample.
    pub(crate) fn panels(&self, sample: usize) -> Result<Vec<Panel>> {
        let observer = self.ground.parts.target_observer;
        let samples = [sample];
        let selected = self.ground.select(&samples, observer);
        self.kit.panels(self.network.as_ref(), &selected)
    }

    pub(crate) fn kit(&self) -> &dyn Kit {
        self.kit.as_ref()
    }

    pub(crate) fn network_spec(&self) -> NetworkSpec {
        network_spec(self.ground.spec, self.ground.cohort, self.kit())
    }
}

/// The network that a specification asks for on a cohort.
fn network_spec(spec: &RunSpec, cohort: &CohortData, kit: &dyn Kit) -> NetworkSpec {
    let [_, height, width] = cohort.images.shape();
    let [channels, outputs] = kit.channels();
    NetworkSpec {
        architecture: spec.training.network,
        channels,
        height,
        width,
        outputs,
        attributes: kit.attributes(),
    }
}

/// The rendering that a method trains on and is scored on.
pub(crate) fn view_of(method: &dyn Method) -> View {
    if method.info().needs.oracle_view {
        View::Oracle
    } else {
        View::Plain
    }
}
