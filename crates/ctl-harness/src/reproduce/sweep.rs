//! Experiments that a sweep of a shipped suite measures.

use std::path::{Path, PathBuf};

use ctl_compute::runtime::on_every_core;
use ctl_imaging::import_medmnist;
use ctl_metrics::rank::paired_t;
use ctl_phantom::digits::{DigitCohort, DigitKind, DigitSpec};
use serde::Serialize;

use super::ledger::{Claim, CohortOf, Experiment, Figure, SweepOf};
use super::restarts::{Comparison, ReproduceOptions};
use crate::launch::{LaunchOptions, Launcher as _, Local, Sweep, sweep_info};
use crate::plan::{Plan, plan};
use crate::report::{Format, write};
use crate::suite::{Suite, shipped};
use crate::sweep::Layout;
use crate::table::{Estimate, Table};
use crate::vocabulary::Selector;
use crate::{HarnessError, Observer, Registry, Result};

/// Level of the test behind a claim.
const LEVEL: f64 = 0.05;
/// The target that stands for the mean over all.
const AVERAGE: &str = "average";

/// A claim beside what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimShown {
    /// The claim.
    pub claim: Claim,
    /// Mean over trials of the higher minus the lower, in points.
    pub difference: f64,
    /// Its standard error (n − 1), absent for fewer than two trials.
    pub standard_error: Option<f64>,
    /// Two-sided p-value of the paired t-test over trials, where there is one.
    pub p: Option<f64>,
    /// Whether the difference is positive and beyond noise.
    pub holds: bool,
}

/// A sweep that is ready to run.
pub(super) struct Prepared {
    suite: Suite,
    plan: Plan,
    registry: Registry,
    out: PathBuf,
}

/// What a sweep came to.
pub(super) struct Measured {
    pub(super) trials: u64,
    pub(super) draws: u64,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) claims: Vec<ClaimShown>,
    pub(super) report: PathBuf,
}

impl Prepared {
    /// Makes the cohort where it is missing, and plans.
    pub(super) fn new(
        experiment: &Experiment,
        sweep: &SweepOf,
        options: &ReproduceOptions,
    ) -> Result<Self> {
        let registry = Registry::standard();
        let suites = shipped(&registry)?;
        let named = suites.iter().find(|suite| suite.name == sweep.suite);
        let suite = named.cloned().ok_or_else(|| HarnessError::Unknown {
            what: "suite",
            name: sweep.suite.clone(),
            known: suites.iter().map(|suite| suite.name.clone()).collect(),
        })?;
        let out = options.out.join(&experiment.id);
        let data = experiment.data.folder(&options.data);
        let cohort = cohort(sweep.cohort, &data, &out)?;
        let plan = plan(&suite, &registry, Some(&cohort))?;
        Ok(Self {
            suite,
            plan,
            registry,
            out: out.join("sweep"),
        })
    }

    /// Number of runs and of their steps, finished ones included.
    pub(super) fn size(&self) -> (usize, u64) {
        let steps = self.plan.runs.iter().map(|run| run.spec.training.steps);
        (self.plan.runs.len(), steps.sum())
    }

    /// Runs what is missing and compares.
    pub(super) fn run(
        self,
        experiment: &Experiment,
        options: &ReproduceOptions,
        observer: &dyn Observer,
    ) -> Result<Measured> {
        let command = format!("cargo xtask reproduce {} --data DIR", experiment.id);
        let info = sweep_info(&self.suite, &self.plan, &command);
        let sweep = Sweep {
            info: &info,
            plan: &self.plan,
            registry: &self.registry,
        };
        let launch = LaunchOptions {
            out: &self.out,
            jobs: options.jobs,
            save_models: false,
            provenance: options.provenance.clone(),
        };
        let mut outcome = Local.launch(&sweep, &launch, observer)?;
        if let Some(failure) = outcome.failures.pop() {
            return Err(failure);
        }
        let report = write(&self.out, Format::Html, &self.registry)?;
        let records = Layout::new(&self.out).read_records(&info)?;
        let table = Table::of(&records, &self.registry);
        let mut comparisons = Vec::new();
        for figure in &experiment.figures {
            comparisons.push(compared(&table, figure)?);
        }
        let claims = experiment.claims.iter();
        Ok(Measured {
            trials: self.suite.seeds,
            draws: self.suite.draws.max(1),
            comparisons,
            claims: claims
                .map(|claim| shown(&table, claim))
                .collect::<Result<_>>()?,
            report,
        })
    }
}

/// The folder of the cohort, which is made where it does not exist.
fn cohort(kind: CohortOf, data: &Path, out: &Path) -> Result<PathBuf> {
    let folder = out.join("cohort");
    if folder.join(ctl_imaging::MANIFEST).is_file() {
        return Ok(folder);
    }
    std::fs::create_dir_all(out).map_err(|source| HarnessError::File {
        path: out.to_path_buf(),
        action: "create",
        source,
    })?;
    let fault = |message: String| HarnessError::Data {
        path: data.to_path_buf(),
        message,
    };
    let digits = match kind {
        CohortOf::ColoredDomainbed => DigitKind::ColoredDomainbed,
        CohortOf::Rotated => DigitKind::Rotated,
        CohortOf::Medmnist => {
            import_medmnist(&folder, &[data.join("pneumoniamnist.npz")])?;
            return Ok(folder);
        }
    };
    let spec = DigitSpec::new(digits);
    let made = || DigitCohort::from_idx(data, &spec)?.write(&folder);
    on_every_core(made)?.map_err(|error| fault(chain(&error)))?;
    Ok(folder)
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

/// The values of the trials, in trial order, per cent; of `average` the means over targets.
fn values(
    table: &Table,
    (method, quantity): (&str, &str),
    (selector, target): (Selector, &str),
) -> Result<Vec<f64>> {
    let lines = table.lines.iter().filter(|line| {
        line.method == method
            && line.selector == selector
            && (target == AVERAGE || line.cell.target == target)
    });
    let mut all: Vec<&[f64]> = Vec::new();
    for line in lines {
        all.extend(line.target_by_seed.get(quantity).map(Vec::as_slice));
    }
    let trials = all.iter().map(|values| values.len()).min().unwrap_or(0);
    if trials == 0 {
        return Err(HarnessError::Config {
            origin: "published.toml".into(),
            key: format!("{method}.target"),
            message: format!("the suite has no figure of {method} for {target} by {selector}"),
        });
    }
    let mean = |trial: usize| {
        let sum: f64 = all.iter().map(|values| values[trial]).sum();
        100.0 * sum / all.len() as f64
    };
    Ok((0..trials).map(mean).collect())
}

fn compared(table: &Table, figure: &Figure) -> Result<Comparison> {
    let selector = figure.selector.unwrap_or(Selector::TrainingDomain);
    let target = figure.target.as_deref().unwrap_or(AVERAGE);
    let of = (figure.row.as_str(), figure.quantity.as_str());
    let values = values(table, of, (selector, target))?;
    // There is one value at least.
    let estimate = Estimate::of(&values);
    let mean = estimate.map_or(f64::NAN, |e| e.mean);
    Ok(Comparison::new(
        figure,
        (mean, estimate.and_then(|e| e.standard_error)),
        values,
        figure.tolerance,
    ))
}

fn shown(table: &Table, claim: &Claim) -> Result<ClaimShown> {
    let of = |method: &str| {
        let place = (claim.selector, claim.target.as_str());
        values(table, (method, &claim.quantity), place)
    };
    let (higher, lower) = (of(&claim.higher)?, of(&claim.lower)?);
    let pairs = higher.iter().zip(&lower);
    let differences: Vec<f64> = pairs.map(|(a, b)| a - b).collect();
    let n = differences.len() as f64;
    let difference = differences.iter().sum::<f64>() / n;
    let squares: f64 = differences.iter().map(|d| (d - difference).powi(2)).sum();
    let several = differences.len() > 1;
    let p = match paired_t(&differences) {
        Ok(test) => Some(test.p_two_sided),
        Err(error) if error.is_undefined() || !several => None,
        Err(error) => return Err(error.into()),
    };
    Ok(ClaimShown {
        claim: claim.clone(),
        difference,
        standard_error: several.then(|| (squares / (n - 1.0) / n).sqrt()),
        p,
        holds: difference > 0.0 && p.is_some_and(|p| p < LEVEL),
    })
}
