//! Running a plan: on this machine, on a cluster, or nowhere.
//!
//! All launchers write the same folder.
//! A run is executed under a lock of its own, so that any number of processes on a shared file
//! system may work in one sweep: whoever comes second waits and finds the run done.

mod cohorts;
mod dry_run;
mod local;
pub mod slurm;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

pub use dry_run::DryRun;
pub use local::Local;

use crate::archive;
use crate::claim;
use crate::error::chain;
use crate::plan::{Plan, PlannedRun};
use crate::record::{Record, Status};
use crate::sweep::{Layout, SWEEP_SCHEMA, SweepInfo};
use crate::vocabulary::Selector;
use crate::{HarnessError, Observer, Registry, Result};

/// What is to be run.
#[derive(Clone, Copy)]
pub struct Sweep<'a> {
    /// What `sweep.json` says.
    pub info: &'a SweepInfo,
    /// The runs.
    pub plan: &'a Plan,
    /// The methods.
    pub registry: &'a Registry,
}

/// How a sweep is run.
pub struct LaunchOptions<'a> {
    /// Folder of the sweep.
    pub out: &'a Path,
    /// Runs at once, each on one thread; at least 1.
    pub jobs: usize,
    /// Keep the weights of the selected checkpoints; runs without them are repeated.
    pub save_models: bool,
    /// Records of runs that were finished elsewhere, see [`crate::archive`]; those that the plan has
    /// are not repeated.
    pub records: Option<&'a Path>,
    /// What else `env.json` says, such as the revision of the sources and the host.
    pub provenance: BTreeMap<String, String>,
}

/// Where the runs of a plan are executed.
pub trait Launcher {
    /// Writes what the sweep is, then has executed what is missing; finished runs are never
    /// repeated.
    ///
    /// # Errors
    /// When the folder cannot be written, is in use by another launcher, or holds another sweep,
    /// another version's or a damaged record. A run that fails is reported in the outcome.
    fn launch(
        &self,
        sweep: &Sweep<'_>,
        options: &LaunchOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<Outcome>;
}

/// What became of a sweep; its folder stays locked for other launchers until this is dropped.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Runs that an earlier invocation had finished.
    pub reused: usize,
    /// Runs finished now.
    pub finished: usize,
    /// Runs that failed, with what went wrong; the others are kept.
    pub failures: Vec<HarnessError>,
    /// Runs that are neither: planned only, or left in the queue of a cluster.
    pub open: usize,
    _lock: Option<File>,
}

/// Runs a plan on this machine, see [`Local`].
///
/// # Errors
/// As [`Launcher::launch`].
pub fn launch(
    info: &SweepInfo,
    plan: &Plan,
    registry: &Registry,
    options: &LaunchOptions<'_>,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let sweep = Sweep {
        info,
        plan,
        registry,
    };
    Local.launch(&sweep, options, observer)
}

/// What a sweep of a plan is, for `sweep.json`.
pub fn sweep_info(suite: &crate::suite::Suite, plan: &Plan, command: &str) -> SweepInfo {
    SweepInfo {
        schema: SWEEP_SCHEMA,
        suite: suite.name.clone(),
        title: suite.title.clone(),
        description: suite.description.clone(),
        resolved: suite.to_toml(),
        command: command.to_owned(),
        skipped: plan.skipped.clone(),
        runs: plan.runs.iter().map(|run| run.spec.folder()).collect(),
    }
}

/// A folder that is locked and says what it holds.
struct Prepared<'a> {
    layout: Layout,
    lock: File,
    /// Planned runs without a record, in plan order.
    open: Vec<&'a PlannedRun>,
    reused: usize,
}

fn prepare<'a>(
    sweep: &Sweep<'a>,
    options: &LaunchOptions<'_>,
    observer: &dyn Observer,
) -> Result<Prepared<'a>> {
    let layout = Layout::new(options.out);
    let lock = claim::lock(&layout)?;
    let mut open = missing(&layout, sweep.plan, options.save_models)?;
    claim::announce(&layout, sweep.info, sweep.plan)?;
    if let Some(path) = options.records {
        archive::take_up(&layout, &open, path, observer)?;
        open = missing(&layout, sweep.plan, options.save_models)?;
    }
    claim::tidy(&layout)?;
    Ok(Prepared {
        reused: sweep.plan.runs.len() - open.len(),
        layout,
        lock,
        open,
    })
}

/// Planned runs that are not finished.
fn missing<'a>(layout: &Layout, plan: &'a Plan, models: bool) -> Result<Vec<&'a PlannedRun>> {
    let mut open = Vec::new();
    for run in &plan.runs {
        if claim::finished(layout, run, models)?.is_none() {
            open.push(run);
        }
    }
    Ok(open)
}

/// What a run is called in messages.
fn name_of(run: &PlannedRun) -> String {
    let (method, seed) = (&run.spec.method, run.spec.seed);
    format!("{method} / {} / seed {seed}", run.spec.cell())
}

/// A run's failure, with its name.
fn failed(run: &PlannedRun, source: HarnessError) -> HarnessError {
    HarnessError::Run {
        id: run.spec.folder(),
        what: name_of(run),
        source: Box::new(source),
    }
}

/// A record in a few words.
fn summary_of(record: &Record) -> String {
    if record.status == Status::Diverged {
        return "diverged".into();
    }
    let metric = record.spec.training.metric.name(record.spec.task);
    let chosen = record.selections.get(&Selector::TrainingDomain);
    let shown = |value: Option<&f64>| value.map_or("undefined".into(), |v| format!("{v:.3}"));
    let inside = shown(chosen.and_then(|s| s.in_distribution.get(metric)));
    let target = shown(chosen.and_then(|s| s.target.get(metric)));
    format!("{metric} {inside} in distribution, {target} on the target")
}
