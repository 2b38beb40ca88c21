//! From a specification to a record on disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use ctl_invariance::Method;
use serde::Serialize;

use super::checkpoint::{Best, Progress};
use super::model::write_model;
use super::predictions::{Block, IN_DISTRIBUTION, TARGET, write_predictions};
use super::score::classification_metrics;
use super::trainer::{Trainer, network_spec};
use crate::claim::remove;
use crate::data::{CohortData, Parts, split};
use crate::record::{Counts, RECORD_SCHEMA, Record, Selection, Status};
use crate::spec::RunSpec;
use crate::store::{write_atomically, write_json_atomically};
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
    let parts = split(
        context.cohort,
        spec.protocol,
        &spec.sources,
        &spec.target,
        spec.seed,
    )?;
    let checkpoint = folder.join("checkpoint.safetensors");
    let resumed = Progress::load(&checkpoint, &spec.id())?;
    let first = resumed.as_ref().map_or(0, |progress| progress.step);
    context.observer.event(&Event::Advanced {
        units: first,
        work: 0.0,
    });
    let mut trainer = Trainer::new(spec, context.method, (context.cohort, &parts), resumed)?;
    let status = train(spec, context, &mut trainer, &checkpoint)?;
    let progress = trainer.progress;
    let mut record = record_of(spec, context, (&parts, &progress), status)?;
    record.predictions = Some(write_outputs(spec, context, &progress)?);
    write_json_atomically(
        &folder.join("env.json"),
        &environment(begun, progress.step - first, context),
    )?;
    write_json_atomically(&folder.join("record.json"), &record)?;
    remove(&checkpoint)?;
    Ok(record)
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
    if step.is_multiple_of(spec.training.evaluate_every) || last {
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

fn selection_of(best: &Best) -> Result<Selection> {
    Ok(Selection {
        step: best.step,
        score: best.score,
        in_distribution: classification_metrics(&best.predictions.in_distribution)?,
        target: classification_metrics(&best.predictions.target)?,
    })
}

fn record_of(
    spec: &RunSpec,
    context: &RunContext<'_>,
    (parts, progress): (&Parts, &Progress),
    status: Status,
) -> Result<Record> {
    let mut selections = BTreeMap::new();
    for (&selector, best) in &progress.best {
        selections.insert(selector, selection_of(best)?);
    }
    Ok(Record {
        schema: RECORD_SCHEMA,
        id: spec.id(),
        spec: spec.clone(),
        status,
        notes: notes_of(context.method, parts),
        counts: counts_of(spec, context.cohort, parts),
        evaluations: progress.evaluations.clone(),
        selections,
        predictions: None,
    })
}

fn notes_of(method: &dyn Method, parts: &Parts) -> Vec<String> {
    let info = method.info();
    let mut notes = parts.notes.clone();
    if parts.train.len() < info.needs.environments {
        notes.push(format!(
            "{} needs {} source environments and has {}: it reduces to plain training",
            info.id,
            info.needs.environments,
            parts.train.len()
        ));
    }
    notes
}

fn counts_of(spec: &RunSpec, cohort: &CohortData, parts: &Parts) -> Counts {
    let mut train = BTreeMap::new();
    for (source, part) in spec.sources.iter().zip(&parts.train) {
        *train.entry(source.clone()).or_insert(0) += part.samples.len();
    }
    let total = |parts: &[crate::data::Part]| parts.iter().map(|p| p.samples.len()).sum();
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

/// Writes predictions and, where they are kept, weights; returns the hash of the predictions.
fn write_outputs(spec: &RunSpec, context: &RunContext<'_>, progress: &Progress) -> Result<String> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (&selector, best) in &progress.best {
        blocks.push((selector, IN_DISTRIBUTION, &best.predictions.in_distribution));
        blocks.push((selector, TARGET, &best.predictions.target));
    }
    let hash = write_predictions(&context.folder.join("predictions.csv"), &blocks)?;
    if context.save_models {
        let network = network_spec(spec, context.cohort);
        for (&selector, best) in &progress.best {
            write_model(spec, (context, network), (selector, best))?;
        }
    }
    Ok(hash)
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
