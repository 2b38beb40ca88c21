//! From a specification to a record on disk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::time::Instant;

use ctl_invariance::{LearnsFrom, Method};
use serde::Serialize;

use super::checkpoint::Progress;
use super::evaluate::{Deployed, Ground};
use super::generator::examine;
use super::model::write_model;
use super::panels::write_panels;
use super::predictions::{Block, IN_DISTRIBUTION, TARGET, write_predictions};
use super::trainer::{Trainer, view_of};
use super::truth::true_factors;
use crate::claim::remove;
use crate::data::{Arrangement, CohortData, Part, Parts};
use crate::record::{Counts, Evaluation, GeneratorScore, RECORD_SCHEMA, Record, Selection, Status};
use crate::spec::RunSpec;
use crate::store::{write_atomically, write_json_atomically};
use crate::vocabulary::Selector;
use crate::{Event, HarnessError, Observer, Result};

/// What a run needs beside its specification.
pub struct RunContext<'a> {
    /// The method.
    pub method: &'a dyn Method,
    /// The cohort.
    pub cohort: &'a CohortData,
    /// Folder of the run.
    pub folder: &'a Path,
    /// Keep the weights of the selected checkpoints.
    pub save_models: bool,
    /// Runs at once, for `env.json`.
    pub jobs: usize,
    /// What else `env.json` says.
    pub provenance: &'a BTreeMap<String, String>,
    /// Hears of every step.
    pub observer: &'a dyn Observer,
}

/// Machine and time of a run; the only file of a run that differs between two executions.
#[derive(Serialize)]
struct Environment<'a> {
    schema: u32,
    toolkit: &'static str,
    #[serde(flatten)]
    provenance: &'a BTreeMap<String, String>,
    runs_at_once: usize,
    threads_per_run: usize,
    wall_seconds: f64,
    steps_taken_here: u64,
    target_arch: &'static str,
    target_os: &'static str,
    cores: usize,
    cpu_features: Vec<&'static str>,
}

/// Runs a specification to its record, continuing from a checkpoint where there is one.
///
/// A run whose loss or outputs leave the range of numbers ends with [`Status::Diverged`] and
/// whatever its earlier checkpoints give.
///
/// # Errors
/// When data cannot be read, a part of it is empty, or a file cannot be written.
pub fn execute(spec: &RunSpec, context: &RunContext<'_>) -> Result<Record> {
    let begun = Instant::now();
    let folder = context.folder;
    write_json_atomically(&folder.join("spec.json"), spec)?;
    let learns_from = context.method.info().needs.learns_from;
    let parts = context.cohort.divided(&arrangement_of(spec, learns_from))?;
    let ground = Ground {
        spec,
        cohort: context.cohort,
        parts: &parts,
        view: view_of(context.method),
        transform: None,
    };
    let checkpoint = folder.join("checkpoint.safetensors");
    let (ended, steps) = if learns_from == LearnsFrom::TrueFactors {
        advance(context, spec.training.steps, 0.0);
        (true_factors(&ground, folder)?, 0)
    } else {
        let resumed = Progress::load(&checkpoint, &spec.id())?;
        let first = resumed.as_ref().map_or(0, |progress| progress.step);
        advance(context, first, 0.0);
        let mut trainer = Trainer::new(ground.clone(), context.method, resumed)?;
        let status = train(spec, context, &mut trainer, &checkpoint)?;
        let steps = trainer.progress.step - first;
        (end(context, trainer, status)?, steps)
    };
    let record = record_of(context, &ground, ended);
    write_json_atomically(
        &folder.join("env.json"),
        &environment(begun, steps, context),
    )?;
    write_json_atomically(&folder.join("record.json"), &record)?;
    remove(&checkpoint)?;
    Ok(record)
}

/// How a run's data are divided.
fn arrangement_of(spec: &RunSpec, learns_from: LearnsFrom) -> Arrangement<'_> {
    Arrangement {
        task: spec.task,
        protocol: spec.protocol,
        sources: &spec.sources,
        target: &spec.target,
        held_out: spec.held_out.as_deref(),
        seed: spec.seed,
        learns_from,
        shares: spec.training.shares.unwrap_or_default(),
        score_at_most: spec.training.score_at_most,
    }
}

fn advance(context: &RunContext<'_>, units: u64, work: f64) {
    context.observer.event(&Event::Advanced { units, work });
}

/// What a run came to, before it is written.
pub(crate) struct Ended {
    pub(crate) status: Status,
    pub(crate) evaluations: Vec<Evaluation>,
    pub(crate) selections: BTreeMap<Selector, Selection>,
    /// Hash of `predictions.csv`, which is written.
    pub(crate) predictions: String,
    pub(crate) notes: Vec<String>,
    /// How sound the generator of the method is, where it has one.
    pub(crate) generator: Option<GeneratorScore>,
}

/// Scores the selected checkpoints and writes what they say; checkpoints that two selectors share
/// are scored once.
fn end(context: &RunContext<'_>, mut trainer: Trainer<'_>, status: Status) -> Result<Ended> {
    let progress = std::mem::take(&mut trainer.progress);
    let mut scored: BTreeMap<u64, Deployed> = BTreeMap::new();
    let mut notes = std::mem::take(&mut trainer.notes);
    for (&selector, best) in &progress.best {
        if let Entry::Vacant(place) = scored.entry(best.step) {
            trainer.take_up(&best.weights)?;
            let deployed = place.insert(trainer.deploy()?);
            notes.extend(deployed.notes.iter().cloned());
            if selector == Selector::TrainingDomain {
                write_panels(context.folder, &trainer, &deployed.target)?;
            }
        }
        if context.save_models {
            let deployed = &scored[&best.step];
            write_model(context, &trainer, (selector, best, deployed))?;
        }
    }
    let kit = trainer.kit();
    let mut selections = BTreeMap::new();
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (&selector, best) in &progress.best {
        let deployed = &scored[&best.step];
        let selection = Selection {
            step: best.step,
            // Checkpoints are compared before an adaptation, draws as they are deployed.
            score: deployed
                .scores
                .get(&selector)
                .copied()
                .unwrap_or(best.score),
            in_distribution: kit.metrics(&deployed.in_distribution)?,
            target: kit.metrics(&deployed.target)?,
        };
        selections.insert(selector, selection);
        blocks.push((selector, IN_DISTRIBUTION, &deployed.in_distribution.rows));
        blocks.push((selector, TARGET, &deployed.target.rows));
    }
    let path = context.folder.join("predictions.csv");
    let generator = match &trainer.generator {
        Some(generator) => {
            let examined = examine(trainer.ground(), generator.as_ref(), context.folder)?;
            notes.extend(examined.notes);
            examined.score
        }
        None => None,
    };
    Ok(Ended {
        status,
        evaluations: progress.evaluations,
        selections,
        predictions: write_predictions(&path, kit.columns(), &blocks)?,
        notes,
        generator,
    })
}

fn train(
    spec: &RunSpec,
    context: &RunContext<'_>,
    trainer: &mut Trainer<'_>,
    checkpoint: &Path,
) -> Result<Status> {
    while trainer.progress.step < spec.training.steps {
        let outcome = one_step(spec, context, trainer, checkpoint);
        match outcome {
            Err(HarnessError::Diverged { what }) => {
                let text = format!("{what}: the loss is not finite, the run ends here");
                context.observer.event(&Event::Notice { text: &text });
                let left = spec.training.steps - trainer.progress.step;
                context.observer.event(&Event::Advanced {
                    units: left,
                    work: 0.0,
                });
                return Ok(Status::Diverged);
            }
            other => other?,
        }
        context.observer.event(&Event::Advanced {
            units: 1,
            work: 1.0,
        });
    }
    Ok(Status::Finished)
}

fn one_step(
    spec: &RunSpec,
    context: &RunContext<'_>,
    trainer: &mut Trainer<'_>,
    checkpoint: &Path,
) -> Result<()> {
    trainer.step()?;
    let step = trainer.progress.step;
    let last = step == spec.training.steps;
    if spec.training.evaluates_at(step) {
        trainer.evaluate()?;
        write_metrics(context.folder, &trainer.progress)?;
        if !last {
            trainer.capture()?;
            trainer.progress.save(checkpoint)?;
        }
    }
    Ok(())
}

/// One line per evaluation; rewritten whole, so that a resumed run leaves the same bytes.
fn write_metrics(folder: &Path, progress: &Progress) -> Result<()> {
    let path = folder.join("metrics.jsonl");
    let mut text = String::new();
    for evaluation in &progress.evaluations {
        let line = serde_json::to_string(evaluation).map_err(|e| HarnessError::Stored {
            path: path.clone(),
            message: e.to_string(),
        })?;
        text.push_str(&line);
        text.push('\n');
    }
    write_atomically(&path, text.as_bytes())
}

fn record_of(context: &RunContext<'_>, ground: &Ground<'_>, ended: Ended) -> Record {
    let spec = ground.spec;
    let mut notes = notes_of(context.method, spec, ground.parts);
    notes.extend(ended.notes);
    Record {
        schema: RECORD_SCHEMA,
        id: spec.id(),
        spec: spec.clone(),
        status: ended.status,
        notes,
        counts: counts_of(context.cohort, ground.parts),
        evaluations: ended.evaluations,
        selections: ended.selections,
        predictions: Some(ended.predictions),
        generator: ended.generator,
    }
}

fn notes_of(method: &dyn Method, spec: &RunSpec, parts: &Parts) -> Vec<String> {
    let info = method.info();
    let mut notes = parts.notes.clone();
    if parts.train.len() < info.needs.environments && !spec.sources.is_empty() {
        notes.push(format!(
            "{} needs {} source environments and has {}: it reduces to plain training",
            info.id,
            info.needs.environments,
            parts.train.len()
        ));
    }
    for key in ["anneal_steps", "ib_anneal_steps", "burn_in_steps"] {
        let from = spec.settings.get(key).and_then(serde_json::Value::as_u64);
        let steps = spec.training.steps;
        if let Some(from) = from.filter(|&from| from >= steps) {
            notes.push(format!(
                "{}: {key} = {from} lies beyond the {steps} steps of the run: what sets in then \
                 never does",
                info.id
            ));
        }
    }
    notes
}

fn counts_of(cohort: &CohortData, parts: &Parts) -> Counts {
    let mut train = BTreeMap::new();
    for part in &parts.train {
        // A reference learns from sites that are not the sources.
        let site = part.samples.first().map(|&s| cohort.samples[s].site);
        let name = site.map_or_else(String::new, |site| cohort.sites[site].clone());
        *train.entry(name).or_insert(0) += part.samples.len();
    }
    let total = |parts: &[Part]| parts.iter().map(|p| p.samples.len()).sum();
    let mut target_by_class = vec![0; cohort.classes.len()];
    for &sample in &parts.target.samples {
        target_by_class[cohort.samples[sample].label] += 1;
    }
    Counts {
        train,
        validation: total(&parts.validation),
        in_distribution: total(&parts.in_distribution),
        adaptation: parts.adaptation.samples.len(),
        target: parts.target.samples.len(),
        target_by_class,
    }
}

fn environment<'a>(begun: Instant, steps: u64, context: &RunContext<'a>) -> Environment<'a> {
    Environment {
        schema: RECORD_SCHEMA,
        toolkit: env!("CARGO_PKG_VERSION"),
        provenance: context.provenance,
        runs_at_once: context.jobs,
        threads_per_run: 1,
        wall_seconds: begun.elapsed().as_secs_f64(),
        steps_taken_here: steps,
        target_arch: std::env::consts::ARCH,
        target_os: std::env::consts::OS,
        cores: ctl_compute::runtime::available_workers(),
        cpu_features: ctl_compute::runtime::cpu_features(),
    }
}
