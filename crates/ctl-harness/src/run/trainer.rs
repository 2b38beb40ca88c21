//! The training loop of one run.

use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::{DType, Device, Tensor};
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_compute::random::stream;
use ctl_graph::advice::advise;
use ctl_graph::graph::Role;
use ctl_invariance::{
    AdaptedFor, Batch, BuildContext, CounterfactualGenerator, ENVIRONMENT, Independence, Method,
    MethodParts, Step, Update, Value,
};
use ctl_nets::{Network, NetworkSpec};

use super::batches::Orders;
use super::checkpoint::{Arrays, Best, Progress};
use super::evaluate::{Deployed, Ground, correct};
use super::forward::forward;
use super::prepare::Training;
use super::site::Site;
use super::trial::{Probe, set};
use crate::data::{CohortData, View};
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
    orders: Orders,
    /// Weight of each of the cohort's samples in each environment, where a preparation gave them.
    weights: Option<Vec<BTreeMap<usize, f32>>>,
    network: Box<dyn Network>,
    method: MethodParts,
    optimiser: Adam,
    auxiliary: Option<Adam>,
    terms: BTreeMap<&'static str, (f64, u64)>,
    pub(crate) progress: Progress,
    /// What a reader must know of the preparation.
    pub(crate) notes: Vec<String>,
    /// What the method asks for counterfactuals, where it has such a thing.
    pub(crate) generator: Option<Rc<dyn CounterfactualGenerator>>,
}

impl<'a> Trainer<'a> {
    /// A run at its first step, or where `progress` left it.
    pub(crate) fn new(
        ground: Ground<'a>,
        method: &dyn Method,
        progress: Option<Progress>,
    ) -> Result<Self> {
        let mut ground = ground;
        let Ground {
            spec,
            cohort,
            parts,
            view,
            ..
        } = ground;
        let id = spec.id();
        let needs = method.info().needs;
        let unprepared = kit(spec, cohort, (parts, view), None)?;
        let sizes = network_spec(spec, cohort, unprepared.as_ref());
        let network = method.network(&spec.settings, &sizes, (spec.seed, &spec.data_key()))?;
        let note = method.note_on(&spec.settings, &sizes)?;
        let (independences, fault) = if needs.diagram {
            independences(&ground)
        } else {
            Default::default()
        };
        let context = BuildContext {
            environments: parts.train.len() + usize::from(needs.target_images),
            features: network.feature_width(),
            outputs: sizes.outputs,
            steps: spec.training.steps,
            independences: &independences,
            seed: spec.seed,
            run: &id,
        };
        let method = method.build(&spec.settings, &context)?;
        let prepared = prepare(&mut ground, &method, needs.target_images)?;
        let mut notes = prepared.notes;
        notes.extend(fault);
        notes.extend(note);
        let kit = kit(spec, cohort, (parts, view), ground.transform.clone())?;
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
            orders: Orders::default(),
            network,
            method,
            optimiser,
            auxiliary,
            weights: prepared.weights,
            terms: BTreeMap::new(),
            progress: Progress::start(&id),
            notes,
            generator: prepared.generator,
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
        if let Some(rule) = &mut self.method.rule {
            rule.restore(&progress.rule)?;
        }
        if let Some(averaging) = &mut self.method.averaging {
            averaging.restore(&progress.averaging)?;
        }
        self.progress = progress;
        Ok(())
    }

    /// Brings the state that a checkpoint holds up to date.
    pub(crate) fn capture(&mut self) -> Result<()> {
        self.progress.weights = self.network.parameters().snapshot()?;
        self.progress.objective = self.method.objective.state()?;
        if let Some(rule) = &self.method.rule {
            self.progress.rule = rule.state()?;
        }
        if let Some(averaging) = &self.method.averaging {
            self.progress.averaging = averaging.state();
        }
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
        let factor = self.method.objective.learning_rate_factor(number);
        self.optimiser.set_rate_factor(factor);
        if self.method.rule.is_some() {
            self.step_by_rule(number, factor)?;
        } else {
            self.step_by_objective(number)?;
        }
        if let Some(averaging) = &mut self.method.averaging {
            averaging.after_step(number, self.network.parameters())?;
        }
        self.progress.step += 1;
        Ok(())
    }

    fn step_by_objective(&mut self, number: u64) -> Result<()> {
        let environments = forward(self.network.as_ref(), &self.batches(number)?, number)?;
        let value = self.method.objective.evaluate(&Step {
            number,
            environments: &environments,
            loss: self.kit.loss(),
        })?;
        self.log_value(&value)?;
        let loss = match &value.auxiliary {
            Some(own) => (&value.total + own)?,
            None => value.total,
        };
        if !loss.to_scalar::<f32>()?.is_finite() {
            return Err(self.diverged());
        }
        let gradients = loss.backward()?;
        self.optimiser.step(&gradients)?;
        if let Some(own) = &mut self.auxiliary {
            own.step(&gradients)?;
        }
        Ok(())
    }

    fn step_by_rule(&mut self, number: u64, factor: f64) -> Result<()> {
        let batches = self.batches(number)?;
        let Some(rule) = &mut self.method.rule else {
            return Ok(());
        };
        let rate = self.ground.spec.training.learning_rate * factor;
        let parts = (self.network.as_ref(), self.kit.loss());
        let mut probe = Probe::new(parts, batches, (number, rate))?;
        let ruled = rule.update(&mut probe)?;
        probe.go_back()?;
        let variables = self.network.parameters().trained();
        if !all_finite(&ruled.update)? {
            return Err(self.diverged());
        }
        match ruled.update {
            Update::Gradient(direction) => {
                // A store of gradients begins with a backward pass.
                let mut store = Tensor::zeros((), DType::F32, &Device::Cpu)?.backward()?;
                for (variable, gradient) in variables.iter().zip(direction) {
                    store.insert(variable, gradient);
                }
                self.optimiser.step(&store)?;
            }
            Update::Weights(weights) => set(&variables, &weights)?,
        }
        for (name, value) in ruled.terms {
            self.log(name, value)?;
        }
        Ok(())
    }

    fn diverged(&self) -> HarnessError {
        HarnessError::Diverged {
            what: format!("{} at step {}", self.ground.spec.method, self.progress.step),
        }
    }

    fn log(&mut self, name: &'static str, value: f64) -> Result<()> {
        if !value.is_finite() {
            return Err(self.diverged());
        }
        let entry = self.terms.entry(name).or_insert((0.0, 0));
        *entry = (entry.0 + value, entry.1 + 1);
        Ok(())
    }

    fn log_value(&mut self, value: &Value) -> Result<()> {
        if !value.total.to_scalar::<f32>()?.is_finite() {
            return Err(self.diverged());
        }
        for (name, _) in &value.terms {
            let term = value.term(name)?.unwrap_or(0.0);
            let entry = self.terms.entry(name).or_insert((0.0, 0));
            *entry = (entry.0 + term, entry.1 + 1);
        }
        Ok(())
    }

    /// Samples of an environment at a step, to train on.
    fn selected<'b>(
        &'b self,
        rows: &'b [usize],
        (environment, labelled): (usize, bool),
        step: u64,
    ) -> Selected<'b> {
        Selected {
            how: How::Train {
                environment,
                step,
                labelled,
            },
            ..self.ground.select(rows, self.ground.parts.train_observer)
        }
    }

    fn batches(&self, number: u64) -> Result<Vec<Batch>> {
        let parts = self.ground.parts;
        let sources = parts.train.iter().map(|part| (part, true));
        let target = self.adapts.then_some((&parts.adaptation, false));
        let mut rows = Vec::new();
        let mut batches = Vec::new();
        for (index, (part, labelled)) in sources.chain(target).enumerate() {
            let size = (index, self.batch_size);
            let samples = self.orders.rows_at(part, self.ground.spec, size, number);
            let selected = self.selected(&samples, (index, labelled), number);
            let mut batch = self.kit.batch(&selected)?;
            batch.weights = self.weights_of(index, &samples)?;
            batches.push(batch);
            rows.push((samples, labelled));
        }
        let purpose = format!("augment {number}");
        let rng = &mut stream(self.ground.spec.seed, &self.progress.run, &purpose);
        for augmentation in &self.method.augmentations {
            batches = augmentation.apply(batches, rng)?;
        }
        let measured = batches.into_iter().map(|batch| {
            let (samples, labelled) = &rows[batch.environment];
            let place = (batch.environment, *labelled);
            let selected = self.selected(samples, place, number);
            self.kit.measure(batch, &selected)
        });
        measured.collect()
    }

    /// Weights of samples of an environment; none where all are 1.
    fn weights_of(&self, environment: usize, samples: &[usize]) -> Result<Option<Tensor>> {
        let given = self.weights.as_ref().and_then(|all| all.get(environment));
        let Some(given) = given else {
            return Ok(None);
        };
        let weights: Vec<f32> = samples.iter().map(|sample| given[sample]).collect();
        Ok(Some(Tensor::new(weights, &Device::Cpu)?))
    }

    /// Evaluates the network and keeps it where a selector prefers it; the earlier checkpoint wins
    /// a tie.
    ///
    /// Where the method averages weights, the average stands for the network.
    pub(crate) fn evaluate(&mut self) -> Result<()> {
        let trained = self.swap_average_in()?;
        self.kit.prepare(self.network.as_ref())?;
        let validation = self.validation_score()?;
        let (kit, network) = (self.kit.as_ref(), self.network.as_ref());
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
        if let Some(trained) = trained {
            self.network.parameters().restore(&trained)?;
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

    fn validation_score(&self) -> Result<f64> {
        let (kit, network) = (self.kit.as_ref(), self.network.as_ref());
        let validation = self.ground.validation(kit, network)?;
        kit.selection_score(&validation, false)
    }

    /// Puts the average of the weights into use where there is one; returns the trained ones.
    fn swap_average_in(&mut self) -> Result<Option<Arrays>> {
        if self.method.averaging.is_none() {
            return Ok(None);
        }
        self.kit.prepare(self.network.as_ref())?;
        let score = self.validation_score()?;
        let Some(averaging) = &mut self.method.averaging else {
            return Ok(None);
        };
        averaging.after_validation(score);
        let Some(average) = averaging.average() else {
            return Ok(None);
        };
        let trained = self.network.parameters().snapshot()?;
        self.network.parameters().restore(&average)?;
        Ok(Some(trained))
    }

    /// What the network in use says in distribution and on the target.
    pub(crate) fn deploy(&mut self) -> Result<Deployed> {
        let mut notes = Vec::new();
        notes.extend(self.adapt(AdaptedFor::EverySite)?);
        let mut scores = BTreeMap::new();
        if self.adapts_network(AdaptedFor::EverySite) {
            scores.insert(Selector::TrainingDomain, self.validation_score()?);
        }
        let (kit, network) = (self.kit.as_ref(), self.network.as_ref());
        let in_distribution = self.ground.in_distribution(kit, network)?;
        notes.extend(self.adapt(AdaptedFor::Target)?);
        let (kit, network) = (self.kit.as_ref(), self.network.as_ref());
        let mut target = self.ground.target(kit, network)?;
        let (adaptation, mut correction) = (self.method.adaptation.as_deref(), None);
        if adaptation.is_some() || self.method.network_adaptation.is_some() {
            let mut open = self.ground.oracle(kit, network)?;
            if let Some(adaptation) = adaptation {
                let parts = [&mut target, &mut open];
                let found = correct(&self.ground, (kit, network), adaptation, parts)?;
                notes.extend(found.note.clone());
                correction = Some(found);
            }
            scores.insert(Selector::TargetOracle, kit.selection_score(&open, true)?);
        }
        let changed = self.method.network_adaptation.is_some();
        let weights = changed.then(|| self.network.parameters().snapshot());
        Ok(Deployed {
            in_distribution,
            target,
            scores,
            notes,
            weights: weights.transpose()?,
            correction,
        })
    }

    fn adapts_network(&self, whom: AdaptedFor) -> bool {
        let adaptation = self.method.network_adaptation.as_deref();
        adaptation.is_some_and(|adaptation| adaptation.adapted_for() == whom)
    }

    /// Whether what is deployed depends on the target's images beyond training.
    pub(crate) fn adapts_to_target(&self) -> bool {
        self.method.adaptation.is_some() || self.adapts_network(AdaptedFor::Target)
    }

    /// Adapts the network in use where the method does so for these sites.
    fn adapt(&mut self, whom: AdaptedFor) -> Result<Option<String>> {
        if !self.adapts_network(whom) {
            return Ok(None);
        }
        let Some(adaptation) = self.method.network_adaptation.as_deref() else {
            return Ok(None);
        };
        let note = adaptation.adapt(&Site {
            ground: &self.ground,
            kit: self.kit.as_ref(),
            network: self.network.as_ref(),
            has_target: self.adapts,
        })?;
        self.kit.prepare(self.network.as_ref())?;
        Ok(note)
    }

    /// What the network in use makes of one target sample.
    pub(crate) fn panels(&self, sample: usize) -> Result<Vec<Panel>> {
        let observer = self.ground.parts.target_observer;
        let samples = [sample];
        let selected = self.ground.select(&samples, observer);
        self.kit.panels(self.network.as_ref(), &selected)
    }

    pub(crate) fn ground(&self) -> &Ground<'a> {
        &self.ground
    }

    pub(crate) fn kit(&self) -> &dyn Kit {
        self.kit.as_ref()
    }

    pub(crate) fn network_spec(&self) -> NetworkSpec {
        network_spec(self.ground.spec, self.ground.cohort, self.kit())
    }
}

/// Whether a rule's direction or weights are numbers.
fn all_finite(update: &Update) -> Result<bool> {
    let (Update::Gradient(tensors) | Update::Weights(tensors)) = update;
    for tensor in tensors {
        // A sum of squares is finite where all values are, short of overflow.
        if !tensor.sqr()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a method's look at the training data came to.
#[derive(Default)]
struct Preparations {
    /// Weight of each of the cohort's samples in each environment.
    weights: Option<Vec<BTreeMap<usize, f32>>>,
    notes: Vec<String>,
    generator: Option<Rc<dyn CounterfactualGenerator>>,
}

/// Lets a method look at the training data; a change to images is in force from here on.
fn prepare(
    ground: &mut Ground<'_>,
    method: &MethodParts,
    has_target: bool,
) -> Result<Preparations> {
    let Some(preparation) = &method.preparation else {
        return Ok(Preparations::default());
    };
    let prepared = preparation.prepare(&Training {
        ground: &*ground,
        has_target,
    })?;
    let parts = ground.parts.train.iter();
    let weights = prepared.weights.map(|all| {
        let each = parts.zip(all);
        each.map(|(part, weights)| part.samples.iter().copied().zip(weights).collect())
            .collect()
    });
    ground.transform = prepared.transform.map(Rc::from);
    Ok(Preparations {
        weights,
        notes: prepared.notes,
        generator: prepared.generator,
    })
}

/// What the cohort's diagram asks of a representation, nothing where none is known; and what a
/// reader must know where no advice follows from it.
fn independences(ground: &Ground<'_>) -> (Vec<Independence>, Option<String>) {
    let Some(diagram) = ground.cohort.diagram_for(ground.spec) else {
        return (Vec::new(), None);
    };
    let record = advise(&diagram).map_err(|error| error.to_string());
    let text =
        record.and_then(|record| serde_json::to_string(&record).map_err(|error| error.to_string()));
    let found =
        text.and_then(|text| Independence::from_advice(&text).map_err(|error| error.to_string()));
    match found {
        Ok(mut found) => {
            let sites = diagram.with_role(Role::Site);
            let graph = diagram.diagram();
            let sites: Vec<&str> = sites.iter().map(|site| graph.name(site)).collect();
            for variable in found.iter_mut().flat_map(|one| &mut one.variables) {
                // Whatever the study calls its sites, they are the environments.
                if sites.contains(&variable.as_str()) {
                    ENVIRONMENT.clone_into(variable);
                }
            }
            (found, None)
        }
        Err(fault) => (
            Vec::new(),
            Some(format!("the diagram gives no advice: {fault}")),
        ),
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
        hidden: spec.training.hidden,
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
