//! Running a plan on this machine.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ctl_compute::runtime::join_threads;

use crate::claim;
use crate::data::{CohortData, load_folder, load_phantom, write_examples};
use crate::plan::{Origin, Plan, PlannedRun};
use crate::record::{Record, Status};
use crate::run::{RunContext, execute};
use crate::spec::CohortSpec;
use crate::sweep::{Layout, SWEEP_SCHEMA, SweepInfo};
use crate::vocabulary::Selector;
use crate::{Event, HarnessError, Observer, Registry, Result};

/// Cohorts that are kept in memory; runs are ordered by cohort, so few are in use at once.
const COHORTS_IN_MEMORY: usize = 4;

/// How a sweep is run.
pub struct LaunchOptions<'a> {
    /// Folder of the sweep.
    pub out: &'a Path,
    /// Runs at once, each on one thread; at least 1.
    pub jobs: usize,
    /// Keep the weights of the selected checkpoints; runs without them are repeated.
    pub save_models: bool,
    /// What else `env.json` says, such as the revision of the sources and the host.
    pub provenance: BTreeMap<String, String>,
}

/// What became of a sweep; its folder stays locked for other processes until this is dropped.
#[derive(Debug)]
pub struct Outcome {
    /// Runs that an earlier invocation had finished.
    pub reused: usize,
    /// Runs finished now.
    pub finished: usize,
    /// Runs that failed, with what went wrong; the others are kept.
    pub failures: Vec<HarnessError>,
    _lock: File,
}

/// Writes what the sweep is, then runs what is missing; finished runs are never repeated.
///
/// # Errors
/// When the folder cannot be written, is in use by another process, or holds another sweep, another
/// version's or a damaged record. A run that fails is reported in the outcome.
pub fn launch(
    info: &SweepInfo,
    plan: &Plan,
    registry: &Registry,
    options: &LaunchOptions<'_>,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let layout = Layout::new(options.out);
    let lock = claim::lock(&layout)?;
    let mut open: Vec<&PlannedRun> = Vec::new();
    for run in &plan.runs {
        if !claim::is_done(&layout, run, options.save_models)? {
            open.push(run);
        }
    }
    claim::announce(&layout, info, plan)?;
    claim::tidy(&layout)?;
    let reused = plan.runs.len() - open.len();
    let steps = |runs: &mut dyn Iterator<Item = &PlannedRun>| -> u64 {
        runs.map(|run| run.spec.training.steps).sum()
    };
    let total = steps(&mut plan.runs.iter());
    observer.event(&Event::Planned {
        what: "training steps",
        total,
        finished: total - steps(&mut open.iter().copied()),
    });
    let cohorts = CohortCache::default();
    write_pictures(&layout, plan, &cohorts)?;
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Outcome {
        reused,
        finished: 0,
        failures: Vec::new(),
        _lock: lock,
    });
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1).min(open.len()) {
            scope.spawn(|| {
                // A run decodes its images on its own thread; otherwise all runs would wait for
                // the one thread that the environment allows rayon.
                let _alone = join_threads(1);
                while let Some(run) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = run_one(run, registry, options, (&layout, &cohorts), observer);
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(()) => outcome.finished += 1,
                        Err(error) => outcome.failures.push(error),
                    }
                }
            });
        }
    });
    Ok(outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
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

/// Cohorts by content, loaded once by whoever needs them first.
#[derive(Default)]
struct CohortCache {
    loaded: Mutex<VecDeque<(String, Slot)>>,
}

/// A cohort that is loaded by one thread while others wait.
type Slot = Arc<OnceLock<std::result::Result<Arc<CohortData>, String>>>;

impl CohortCache {
    fn get(&self, run: &PlannedRun) -> Result<Arc<CohortData>> {
        let slot = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            let content = content_of(run);
            if let Some((_, slot)) = loaded.iter().find(|(known, _)| *known == content) {
                slot.clone()
            } else {
                let slot = Slot::default();
                loaded.push_back((content, slot.clone()));
                if loaded.len() > COHORTS_IN_MEMORY {
                    loaded.pop_front();
                }
                slot
            }
        };
        let load = || load(run).map(Arc::new).map_err(|error| chain(&error));
        slot.get_or_init(load)
            .clone()
            .map_err(|message| HarnessError::Data {
                path: run.origin.path(),
                message,
            })
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn load(run: &PlannedRun) -> Result<CohortData> {
    match (&run.origin, &run.spec.data) {
        (Origin::Folder(folder), CohortSpec::Folder { environment, .. }) => {
            let how = (&run.spec.training, environment.as_deref());
            load_folder(folder, run.spec.task, how)
        }
        (_, CohortSpec::Phantom { spec }) => load_phantom(spec, run.spec.task),
        (Origin::Simulated, CohortSpec::Folder { .. }) => Err(HarnessError::Config {
            origin: format!("cohort {}", run.spec.cohort),
            key: "data".into(),
            message: "a cohort on disk needs its folder".into(),
        }),
    }
}

fn write_pictures(layout: &Layout, plan: &Plan, cohorts: &CohortCache) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    let mut examples = layout.read_examples()?;
    for run in &plan.runs {
        let name = run.spec.cohort.as_str();
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let content = content_of(run);
        if examples.contents.get(name) != Some(&content) {
            let cohort = cohorts.get(run)?;
            write_examples(
                layout,
                &mut examples,
                (run.spec.task, name, &content),
                &cohort,
            )?;
        }
    }
    Ok(())
}

/// Hash of everything that a run's cohort, as it is loaded, depends on.
fn content_of(run: &PlannedRun) -> String {
    let training = &run.spec.training;
    let pixels = (training.size, training.colour, training.channel);
    let key = (&run.spec.data, run.spec.task, pixels);
    // Numbers and names: they always serialise.
    let text = serde_json::to_string(&key).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn run_one(
    run: &PlannedRun,
    registry: &Registry,
    options: &LaunchOptions<'_>,
    (layout, cohorts): (&Layout, &CohortCache),
    observer: &dyn Observer,
) -> Result<()> {
    let folder = run.spec.folder();
    let name = format!(
        "{} / {} / seed {}",
        run.spec.method,
        run.spec.cell(),
        run.spec.seed
    );
    let fault = |source: HarnessError| HarnessError::Run {
        id: folder.clone(),
        what: name.clone(),
        source: Box::new(source),
    };
    observer.event(&Event::Started { name: &name });
    let cohort = cohorts.get(run).map_err(fault)?;
    let context = RunContext {
        method: registry.get(&run.spec.method)?,
        cohort: &cohort,
        folder: &layout.run(&folder),
        save_models: options.save_models,
        jobs: options.jobs,
        provenance: &options.provenance,
        observer,
    };
    let record = execute(&run.spec, &context).map_err(fault)?;
    let summary = summary_of(&record);
    observer.event(&Event::Finished {
        name: &name,
        summary: &summary,
    });
    Ok(())
}

fn summary_of(record: &Record) -> String {
    if record.status == Status::Diverged {
        return "diverged".into();
    }
    let metric = crate::task::main_metric(record.spec.task);
    let chosen = record.selections.get(&Selector::TrainingDomain);
    let shown = |value: Option<&f64>| value.map_or("undefined".into(), |v| format!("{v:.3}"));
    let inside = shown(chosen.and_then(|s| s.in_distribution.get(metric)));
    let target = shown(chosen.and_then(|s| s.target.get(metric)));
    format!("{metric} {inside} in distribution, {target} on the target")
}
