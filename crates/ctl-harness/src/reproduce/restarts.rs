//! Restarts of the published recipes: run what is missing, compare, tabulate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ctl_phantom::Anatomy;
use serde::{Deserialize, Serialize};

use super::colored_mnist::{Accuracies, ColoredMnist, REVISION, Recipe, data_hash, recipes, train};
use super::deep_scm::{self, CheckShown};
use super::ledger::{DataSet, Experiment, Figure, Ledger, ModelKind, ModelOf};
use super::sweep::{ClaimShown, Prepared};
use super::{counterfactual_benchmark, counterfactual_phantoms};
use crate::store::{read_json, write_json_atomically};
use crate::truth::TruthReport;
use crate::{Event, Observer, Result};

const SCHEMA: u32 = 2;
/// Version of what is kept of a restart.
const STORED_SCHEMA: u32 = 1;
/// With this many restarts the tighter tolerance of the ledger applies.
const MANY_RESTARTS: usize = 10;

/// What to run and where to keep it.
#[derive(Clone, Debug)]
pub struct ReproduceOptions {
    /// Folder with the data of the experiment.
    pub data: PathBuf,
    /// Number of restarts, each with its own colours and weights; at least 1.
    pub restarts: u64,
    /// Restarts at once.
    pub jobs: usize,
    /// Where finished restarts are kept; they are not repeated.
    pub out: PathBuf,
    /// Folder with records of runs that were finished elsewhere, `ID.jsonl.gz` for a sweep, see
    /// [`crate::archive`]; these are not repeated.
    pub records: Option<PathBuf>,
    /// What else `env.json` of a run says, such as the revision of the sources and the host.
    pub provenance: BTreeMap<String, String>,
}

impl ReproduceOptions {
    /// The file with an experiment's records, where there is one.
    pub fn records_of(&self, id: &str) -> Option<PathBuf> {
        let path = self.records.as_ref()?.join(format!("{id}.jsonl.gz"));
        path.exists().then_some(path)
    }
}

/// One published figure beside ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The published figure.
    pub figure: Figure,
    /// Mean over restarts, in the unit of the figure: per cent for accuracies.
    pub mean: f64,
    /// Over restarts the standard deviation (n − 1), over trials of a sweep the standard error
    /// (ddof 0, as `DomainBed` prints it); absent for a single one.
    pub spread: Option<f64>,
    /// Every restart.
    pub values: Vec<f64>,
    /// The tolerance that applied, where there is one.
    pub tolerance: Option<f64>,
    /// Whether the mean lies within it.
    pub passed: Option<bool>,
}

/// The whole table of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reproduction {
    /// Version of this layout.
    pub schema: u32,
    /// The experiment.
    pub experiment: Experiment,
    /// Number of restarts of each row, or of trials of a sweep.
    pub restarts: u64,
    /// Draws of settings in a trial of a sweep; 1 of recipes.
    pub draws: u64,
    /// Its figures.
    pub comparisons: Vec<Comparison>,
    /// Its claims.
    pub claims: Vec<ClaimShown>,
    /// What was checked beside its figures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckShown>,
    /// Counterfactuals beside the true ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<TruthReport>,
    /// The report of its sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<PathBuf>,
}

impl Comparison {
    pub(super) fn new(
        figure: &Figure,
        (mean, spread): (f64, Option<f64>),
        values: Vec<f64>,
        tolerance: Option<f64>,
    ) -> Self {
        let near = tolerance
            .zip(figure.value)
            .map(|(within, value)| (mean - value).abs() <= within);
        let least = figure.at_least.map(|least| mean >= least);
        let most = figure.at_most.map(|most| mean <= most);
        let asked = [near, least, most].into_iter().flatten();
        Self {
            figure: figure.clone(),
            mean,
            spread,
            values,
            tolerance,
            passed: asked.reduce(|all, one| all && one),
        }
    }
}

impl Comparison {
    /// The published value, with its spread; a dash where there is none.
    pub fn published(&self) -> String {
        let value = self.figure.value;
        let shown = value.map(|value| self.with_spread(value, self.figure.spread));
        shown.unwrap_or_else(|| "–".into())
    }

    /// Our value, with its spread.
    pub fn ours(&self) -> String {
        self.with_spread(self.mean, self.spread)
    }

    /// The tolerance, or the bounds of ours; a dash where there is none.
    pub fn within(&self) -> String {
        let tolerance = self.tolerance.map(|tolerance| format!("± {tolerance:.1}"));
        let least = self.figure.at_least.map(|least| format!("≥ {least}"));
        let most = self.figure.at_most.map(|most| format!("≤ {most}"));
        let shown: Vec<String> = [tolerance, least, most].into_iter().flatten().collect();
        if shown.is_empty() {
            return "–".into();
        }
        shown.join(", ")
    }

    fn with_spread(&self, value: f64, spread: Option<f64>) -> String {
        let decimals = self.figure.decimals.unwrap_or(1);
        match spread {
            Some(spread) => format!("{value:.decimals$} ± {spread:.decimals$}"),
            None => format!("{value:.decimals$}"),
        }
    }
}

/// A value to one decimal, with its spread.
pub(super) fn with_spread(value: f64, spread: Option<f64>) -> String {
    match spread {
        Some(spread) => format!("{value:.1} ± {spread:.1}"),
        None => format!("{value:.1}"),
    }
}

impl Reproduction {
    /// What our figures are.
    pub fn ours(&self) -> String {
        let counted = |number: u64, what: &str| {
            let s = if number == 1 { "" } else { "s" };
            format!("{number} {what}{s}")
        };
        if self.experiment.model.is_some() {
            return "one training of each model".to_owned();
        }
        if self.experiment.sweep.is_none() {
            let restarts = counted(self.restarts, "restart");
            return format!("mean ± standard deviation over {restarts}");
        }
        let (trials, draws) = (counted(self.restarts, "trial"), counted(self.draws, "draw"));
        format!("mean ± standard error over {trials} of {draws}")
    }

    /// Whether every figure that has a tolerance lies within it, and every claim and check
    /// holds.
    pub fn passed(&self) -> bool {
        let within = self.comparisons.iter().all(|c| c.passed != Some(false));
        within
            && self.claims.iter().all(|shown| shown.holds)
            && self.checks.iter().all(|shown| shown.holds)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    schema: u32,
    accuracies: Accuracies,
}

struct Job<'a> {
    recipe: &'a Recipe,
    restart: u64,
    path: PathBuf,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// Floating-point operations that are still to be done.
    Operations(f64),
    /// Runs and training steps of a sweep, finished ones included.
    Sweep {
        /// Runs.
        runs: usize,
        /// Steps of all runs.
        steps: u64,
    },
    /// Models to train and their updates, finished ones included.
    Models {
        /// Models.
        models: usize,
        /// Updates of all models.
        steps: u64,
    },
}

/// How much an experiment is; the cohort of a sweep is made where it is missing.
///
/// # Errors
/// When the experiment is unknown or its data cannot be read.
pub fn extent(id: &str, options: &ReproduceOptions) -> Result<Extent> {
    let experiment = Ledger::shipped()?.experiment(id)?.clone();
    if let Some(sweep) = &experiment.sweep {
        let (runs, steps) = Prepared::new(&experiment, sweep, options)?.size();
        return Ok(Extent::Sweep { runs, steps });
    }
    if let Some(model) = &experiment.model {
        experiment.data.files(&options.data)?;
        let (models, steps) = size(model);
        return Ok(Extent::Models { models, steps });
    }
    let jobs = open_jobs(&Shelf::new(&experiment, options)?, options);
    let operations = jobs.iter().map(|job| job.recipe.operations());
    // An empty sum of floats is −0.
    Ok(Extent::Operations(
        operations.fold(0.0, |total, one| total + one),
    ))
}

/// Runs the missing restarts of an experiment, or the missing runs of its sweep, and compares all of
/// them with its figures.
///
/// # Errors
/// When the experiment is unknown, the data cannot be read, a restart fails or a result cannot be
/// written. What is finished stays.
pub fn reproduce(
    id: &str,
    options: &ReproduceOptions,
    observer: &dyn Observer,
) -> Result<Reproduction> {
    let experiment = Ledger::shipped()?.experiment(id)?.clone();
    if let Some(sweep) = &experiment.sweep {
        let prepared = Prepared::new(&experiment, sweep, options)?;
        let measured = prepared.run(&experiment, options, observer)?;
        return Ok(Reproduction {
            schema: SCHEMA,
            experiment,
            restarts: measured.trials,
            draws: measured.draws,
            comparisons: measured.comparisons,
            claims: measured.claims,
            checks: Vec::new(),
            truth: None,
            report: Some(measured.report),
        });
    }
    if let Some(model) = &experiment.model {
        let measured = models(&experiment, model, options, observer)?;
        return Ok(Reproduction {
            schema: SCHEMA,
            restarts: 1,
            draws: 1,
            comparisons: measured.comparisons,
            claims: Vec::new(),
            checks: measured.checks,
            truth: measured.truth,
            report: None,
            experiment,
        });
    }
    let shelf = Shelf::new(&experiment, options)?;
    run_jobs(&open_jobs(&shelf, options), options, observer)?;
    let mut comparisons = Vec::new();
    for figure in &experiment.figures {
        comparisons.push(compare(&shelf, figure, options)?);
    }
    Ok(Reproduction {
        schema: SCHEMA,
        experiment,
        restarts: options.restarts,
        draws: 1,
        comparisons,
        claims: Vec::new(),
        checks: Vec::new(),
        truth: None,
        report: None,
    })
}

/// What models of an experiment came to.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) comparisons: Vec<Comparison>,
    pub(super) checks: Vec<CheckShown>,
    pub(super) truth: Option<TruthReport>,
}

/// Trains the missing models of an experiment, and measures all of them.
fn models(
    experiment: &Experiment,
    of: &ModelOf,
    options: &ReproduceOptions,
    observer: &dyn Observer,
) -> Result<Measured> {
    let phantom = |anatomy| {
        counterfactual_phantoms::run(experiment, (of, anatomy), options, observer).map(Some)
    };
    let truth = match of.kind {
        ModelKind::DeepScm => return deep_scm::run(experiment, of, options, observer),
        ModelKind::CounterfactualBenchmark => {
            counterfactual_benchmark::run(experiment, of, options, observer).map(Some)
        }
        ModelKind::CounterfactualChest => phantom(Anatomy::Chest),
        ModelKind::CounterfactualBrain => phantom(Anatomy::Brain),
    };
    Ok(Measured {
        truth: truth?,
        ..Measured::default()
    })
}

/// Number of models of an experiment and updates of all of them, finished ones included.
fn size(of: &ModelOf) -> (usize, u64) {
    match of.kind {
        ModelKind::DeepScm => deep_scm::size(of),
        ModelKind::CounterfactualBenchmark => counterfactual_benchmark::size(of),
        ModelKind::CounterfactualChest | ModelKind::CounterfactualBrain => {
            counterfactual_phantoms::size(of)
        }
    }
}

/// Where the restarts of one experiment on one data set are kept.
struct Shelf<'a> {
    experiment: &'a Experiment,
    out: &'a Path,
    /// Hash of the images and labels.
    data: String,
}

impl<'a> Shelf<'a> {
    fn new(experiment: &'a Experiment, options: &'a ReproduceOptions) -> Result<Self> {
        Ok(Self {
            experiment,
            out: &options.out,
            data: data_hash(&experiment.data.folder(&options.data)?)?,
        })
    }

    /// The name is the hash of everything that determines a restart.
    fn path(&self, recipe: &Recipe, restart: u64) -> PathBuf {
        let key = (REVISION, &self.experiment.id, recipe, restart, &self.data);
        // A recipe is numbers and a name: it always serialises.
        let spec = serde_json::to_string(&key).unwrap_or_default();
        let hash = blake3::hash(spec.as_bytes()).to_hex();
        self.out.join(&self.experiment.id).join(format!(
            "{}-{restart}-{}.json",
            recipe.row,
            &hash[..12]
        ))
    }
}

fn open_jobs<'a>(shelf: &Shelf<'_>, options: &ReproduceOptions) -> Vec<Job<'a>> {
    let experiment = shelf.experiment;
    let mut jobs: Vec<Job<'a>> = (0..options.restarts)
        .flat_map(|restart| recipes(&experiment.id).iter().map(move |r| (r, restart)))
        .map(|(recipe, restart)| Job {
            recipe,
            restart,
            path: shelf.path(recipe, restart),
        })
        .filter(|job| !job.path.exists())
        .collect();
    // The longest first, so that the workers finish together.
    jobs.sort_by(|a, b| b.recipe.operations().total_cmp(&a.recipe.operations()));
    jobs
}

fn run_jobs(jobs: &[Job<'_>], options: &ReproduceOptions, observer: &dyn Observer) -> Result<()> {
    let total: u64 = jobs.iter().map(|job| job.recipe.steps).sum();
    observer.event(&Event::Planned {
        what: "training steps",
        total,
        finished: 0,
    });
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1).min(jobs.len()) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = run_job(job, options, observer) {
                        next.store(jobs.len(), Ordering::Relaxed);
                        let mut slot = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        slot.get_or_insert(error);
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn run_job(job: &Job<'_>, options: &ReproduceOptions, observer: &dyn Observer) -> Result<()> {
    let name = format!("{} restart {}", job.recipe.row, job.restart);
    observer.event(&Event::Started { name: &name });
    let data = ColoredMnist::load(&DataSet::Mnist.folder(&options.data)?, job.restart)?;
    let done = job.recipe.operations() / job.recipe.steps as f64;
    let on_step = |_: u64| {
        observer.event(&Event::Advanced {
            units: 1,
            work: done,
        });
    };
    let accuracies = train(&data, job.recipe, job.restart, &on_step)?;
    let stored = Stored {
        schema: STORED_SCHEMA,
        accuracies,
    };
    write_json_atomically(&job.path, &stored)?;
    observer.event(&Event::Finished {
        name: &name,
        summary: &format!(
            "train {:.1} %, test {:.1} %",
            accuracies.train, accuracies.test
        ),
    });
    Ok(())
}

fn compare(shelf: &Shelf<'_>, figure: &Figure, options: &ReproduceOptions) -> Result<Comparison> {
    let mut values = Vec::new();
    for recipe in recipes(&shelf.experiment.id)
        .iter()
        .filter(|r| r.row == figure.row)
    {
        for restart in 0..options.restarts {
            let stored: Stored = read_json(&shelf.path(recipe, restart))?;
            values.push(if figure.quantity == "train" {
                stored.accuracies.train
            } else {
                stored.accuracies.test
            });
        }
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let tolerance = if values.len() >= MANY_RESTARTS {
        figure.tolerance
    } else {
        figure.tolerance_few
    };
    let spread = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
    Ok(Comparison::new(figure, (mean, spread), values, tolerance))
}
