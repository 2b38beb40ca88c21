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
        let suites = shipped(&Registry::standard())?;
        let named = suites.iter().find(|suite| suite.name == sweep.suite);
        let suite = named.cloned().ok_or_else(|| HarnessError::Unknown {
            what: "suite",
            name: sweep.suite.clone(),
            known: suites.iter().map(|suite| suite.name.clone()).collect(),
        })?;
        let out = options.out.join(&experiment.id);
        let data = experiment.data.folder(&options.data);
        let cohort = cohort(sweep.cohort, &data, &out)?;
        Self::of(suite, &cohort, out.join("sweep"))
    }

    fn of(suite: Suite, cohort: &Path, out: PathBuf) -> Result<Self> {
        let registry = Registry::standard();
        let plan = plan(&suite, &registry, Some(cohort))?;
        Ok(Self {
            suite,
            plan,
            registry,
            out,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ctl_phantom::{PhantomSpec, simulate};

    use super::super::ledger::Ledger;
    use super::*;
    use crate::Silent;
    use crate::reproduce::{Reproduction, document};

    const SUITE: &str = r#"
schema = 1
name = "tiny"
title = "Tiny"
methods = ["erm", "irm"]
seeds = 2
[training]
size = 20
steps = 4
batch_size = 4
evaluate_every = 2
[folders]
protocols = ["leave-one-site-out"]
tasks = ["classification"]
shift = "combined"
min_per_class = 2
"#;

    const LEDGER: &str = r#"
schema = 2
[[experiment]]
id = "tiny"
title = "Tiny"
source = "nobody"
protocol = "none"
selector = "training-domain"
spread = "standard error"
data = "mnist"
figure = [
    { row = "erm", quantity = "auroc", selector = "training-domain", target = "source-1", value = 50.0, tolerance = 100.0 },
    { row = "irm", quantity = "auroc", selector = "training-domain", target = "source-1", value = 500.0, tolerance = 1.0 },
    { row = "erm", quantity = "accuracy", selector = "training-domain", target = "average" },
]
[experiment.sweep]
suite = "tiny"
cohort = "rotated"
budget = "none"
[[experiment.claim]]
higher = "erm"
lower = "erm"
quantity = "auroc"
selector = "training-domain"
target = "source-1"
"#;

    /// A sweep over a small cohort fills the table with the means of its records, and what lies
    /// outside its tolerance or is not beyond noise fails.
    #[test]
    fn a_sweep_fills_its_table() {
        let folder = tempfile::tempdir().unwrap();
        let cohort = folder.path().join("cohort");
        let spec = PhantomSpec {
            size: 20,
            patients_per_site: 40,
            ..PhantomSpec::default()
        };
        simulate(&spec).unwrap().write(&cohort).unwrap();
        let registry = Registry::standard();
        let suite = Suite::parse(SUITE, "tiny", &registry).unwrap();
        let out = folder.path().join("sweep");
        let prepared = Prepared::of(suite, &cohort, out.clone()).unwrap();
        let targets: Vec<String> = (prepared.plan.runs.iter())
            .map(|run| run.spec.target.clone())
            .collect();
        let text = LEDGER.replace("source-1", &targets[0]);
        let experiment = Ledger::parse(&text).unwrap().experiments.remove(0);
        let options = ReproduceOptions {
            data: folder.path().to_path_buf(),
            restarts: 1,
            jobs: 2,
            out: folder.path().to_path_buf(),
            provenance: BTreeMap::new(),
        };
        let (runs, steps) = prepared.size();
        assert_eq!(steps, 4 * runs as u64);
        let measured = prepared.run(&experiment, &options, &Silent).unwrap();

        let info = Layout::new(&out).read_info().unwrap();
        let records = Layout::new(&out).read_records(&info).unwrap();
        let areas: Vec<f64> = records
            .iter()
            .filter(|r| r.spec.method == "erm" && r.spec.target == targets[0])
            .map(|r| 100.0 * r.selections[&Selector::TrainingDomain].target["auroc"])
            .collect();
        assert_eq!(areas.len(), 2);
        let [within, outside, average] = &measured.comparisons[..] else {
            panic!("three figures");
        };
        assert!((within.mean - f64::midpoint(areas[0], areas[1])).abs() < 1e-9);
        let half = (areas[0] - areas[1]).abs() / 2.0;
        assert!((within.spread.unwrap() - half / 2.0_f64.sqrt()).abs() < 1e-9);
        assert_eq!((within.passed, outside.passed), (Some(true), Some(false)));
        assert_eq!((average.passed, average.values.len()), (None, 2));
        assert!(!measured.claims[0].holds && measured.claims[0].difference == 0.0);

        let table = Reproduction {
            schema: 2,
            experiment,
            restarts: measured.trials,
            draws: measured.draws,
            comparisons: measured.comparisons,
            claims: measured.claims,
            report: Some(measured.report),
        };
        assert!(!table.passed());
        let text = document(&[table]);
        for part in [
            "## `tiny`",
            "2 trials of 1 draw",
            "| irm |",
            "**no**",
            "(–)",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn what_a_suite_does_not_measure_is_an_error() {
        let table = Table { lines: Vec::new() };
        let place = (Selector::TrainingDomain, "nowhere");
        let error = values(&table, ("erm", "auroc"), place).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
