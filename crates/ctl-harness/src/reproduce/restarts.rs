//! Restarts of the published recipes: run what is missing, compare, tabulate.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::colored_mnist::{Accuracies, ColoredMnist, REVISION, Recipe, data_hash, recipes, train};
use super::ledger::{Experiment, Figure, Ledger};
use crate::store::{read_json, write_json_atomically};
use crate::{Event, Observer, Result};

const SCHEMA: u32 = 1;
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
}

/// One published figure beside ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The published figure.
    pub figure: Figure,
    /// Mean over restarts, per cent.
    pub mean: f64,
    /// Standard deviation over restarts (n − 1), absent for a single one.
    pub standard_deviation: Option<f64>,
    /// Every restart.
    pub values: Vec<f64>,
    /// The tolerance that applied.
    pub tolerance: f64,
    /// Whether the mean lies within it.
    pub passed: bool,
}

/// The whole table of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reproduction {
    /// Version of this layout.
    pub schema: u32,
    /// The experiment.
    pub experiment: Experiment,
    /// Number of restarts of each row.
    pub restarts: u64,
    /// Its figures.
    pub comparisons: Vec<Comparison>,
}

impl Reproduction {
    /// Whether every figure lies within its tolerance.
    pub fn passed(&self) -> bool {
        self.comparisons.iter().all(|c| c.passed)
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

/// Floating-point operations that are still to be done.
///
/// # Errors
/// When the experiment is unknown or its data cannot be read.
pub fn estimate_operations(id: &str, options: &ReproduceOptions) -> Result<f64> {
    let experiment = Ledger::shipped()?.experiment(id)?.clone();
    let jobs = open_jobs(&Shelf::new(&experiment, options)?, options);
    let operations = jobs.iter().map(|job| job.recipe.operations());
    // An empty sum of floats is −0.
    Ok(operations.fold(0.0, |total, one| total + one))
}

/// Runs the missing restarts of an experiment and compares all of them with its figures.
///
/// # Errors
/// When the experiment is unknown, the data cannot be read, a restart fails or a result cannot be
/// written. Finished restarts stay.
pub fn reproduce(
    id: &str,
    options: &ReproduceOptions,
    observer: &dyn Observer,
) -> Result<Reproduction> {
    let experiment = Ledger::shipped()?.experiment(id)?.clone();
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
        comparisons,
    })
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
            data: data_hash(&options.data)?,
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
    let data = ColoredMnist::load(&options.data, job.restart)?;
    let done = job.recipe.operations() / job.recipe.steps as f64;
    let on_step = |_: u64| {
        observer.event(&Event::Advanced {
            units: 1,
            work: done,
        });
    };
    let accuracies = train(&data, job.recipe, job.restart, &on_step)?;
    let stored = Stored {
        schema: SCHEMA,
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
    Ok(Comparison {
        figure: figure.clone(),
        mean,
        standard_deviation: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
        values,
        tolerance,
        passed: (mean - figure.value).abs() <= tolerance,
    })
}

/// The table as Markdown.
pub fn to_markdown(table: &Reproduction) -> String {
    let e = &table.experiment;
    let mut text = format!(
        "### `{}`: {}\n\nSource: {}.\nProtocol: {}.\nSelector: {}.\nOurs: mean ± standard \
         deviation over {} restart{}; published spread: {}.\n\n",
        e.id,
        e.title,
        e.source,
        e.protocol,
        e.selector,
        table.restarts,
        if table.restarts == 1 { "" } else { "s" },
        e.spread,
    );
    text.push_str(
        "| row | accuracy | published | ours | tolerance | within |\n|---|---|---|---|---|---|\n",
    );
    for c in &table.comparisons {
        let published = with_spread(c.figure.value, c.figure.spread);
        let ours = with_spread(c.mean, c.standard_deviation);
        let within = if c.passed { "yes" } else { "**no**" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {published} | {ours} | ± {:.1} | {within} |",
            c.figure.row, c.figure.quantity, c.tolerance
        );
    }
    text
}

fn with_spread(value: f64, spread: Option<f64>) -> String {
    match spread {
        Some(spread) => format!("{value:.1} ± {spread:.1}"),
        None => format!("{value:.1}"),
    }
}
