//! Experiments that a sweep of a shipped suite measures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ctl_compute::runtime::on_every_core;
use ctl_imaging::import_medmnist;
use ctl_metrics::rank::paired_t;
use ctl_phantom::digits::{DigitCohort, DigitKind, DigitSpec};
use serde::Serialize;

use super::ledger::{Claim, CohortOf, DataSet, Experiment, Figure, SweepOf};
use super::restarts::{Comparison, ReproduceOptions};
use crate::error::chain;
use crate::launch::{LaunchOptions, Launcher as _, Local, Sweep, sweep_info};
use crate::plan::{Plan, plan};
use crate::report::{Format, write};
use crate::suite::{Suite, shipped};
use crate::sweep::Layout;
use crate::table::{Estimate, Table};
use crate::vocabulary::Selector;
use crate::{Event, HarnessError, Observer, Registry, Result};

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
        let cohort = cohort(sweep.cohort, experiment.data, &options.data, &out)?;
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
        let records = options.records_of(&experiment.id);
        let launch = LaunchOptions {
            out: &self.out,
            jobs: options.jobs,
            save_models: false,
            records: records.as_deref(),
            provenance: options.provenance.clone(),
        };
        let outcome = Local.launch(&sweep, &launch, observer)?;
        for failure in outcome.failures.iter().skip(1) {
            observer.event(&Event::Notice {
                text: &chain(failure),
            });
        }
        if let Some(failure) = outcome.failures.into_iter().next() {
            return Err(failure);
        }
        let report = write(&self.out, Format::Html, &self.registry)?;
        let records = Layout::new(&self.out).read_records(&info)?;
        let table = Table::of(&records, &self.registry);
        let mut comparisons = Vec::new();
        for figure in &experiment.figures {
            // The ledger was checked to name both in a sweep.
            let selector = figure.selector.unwrap_or(Selector::TrainingDomain);
            let target = figure.target.as_deref().unwrap_or(AVERAGE);
            comparisons.push(compared(&table, figure, (selector, target))?);
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

/// Raised when cohorts are made otherwise than before, so that those of then are not taken.
const COHORT_REVISION: u32 = 1;

/// The folder of the cohort, which is made where it does not exist; its name says what of.
fn cohort(kind: CohortOf, data: DataSet, given: &Path, out: &Path) -> Result<PathBuf> {
    let files = data.files(given)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{kind:?} {COHORT_REVISION}").as_bytes());
    for path in &files {
        let bytes = std::fs::read(path).map_err(|source| HarnessError::File {
            path: path.clone(),
            action: "read",
            source,
        })?;
        hasher.update(blake3::hash(&bytes).as_bytes());
    }
    let folder = out.join(format!("cohort-{}", &hasher.finalize().to_hex()[..12]));
    if folder.join(ctl_imaging::MANIFEST).is_file() {
        return Ok(folder);
    }
    let digits = match kind {
        CohortOf::ColoredDomainbed => DigitKind::ColoredDomainbed,
        CohortOf::Rotated => DigitKind::Rotated,
        CohortOf::Medmnist => {
            import_medmnist(&folder, &files)?;
            return Ok(folder);
        }
    };
    let data = data.folder(given)?;
    let spec = DigitSpec::new(digits);
    let made = || DigitCohort::from_idx(&data, &spec)?.write(&folder);
    on_every_core(made)?.map_err(|error| HarnessError::Data {
        path: data.clone(),
        message: chain(&error),
    })?;
    Ok(folder)
}

/// The values of the trials by seed, per cent; of `average` the means over all targets, of seeds
/// that have a value on each.
fn values(
    table: &Table,
    (method, quantity): (&str, &str),
    (selector, target): (Selector, &str),
) -> Result<BTreeMap<u64, f64>> {
    let targets: BTreeSet<&str> = (table.lines.iter())
        .map(|line| line.cell.target.as_str())
        .filter(|of| target == AVERAGE || *of == target)
        .collect();
    let mut by_seed: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for line in &table.lines {
        let here = line.method == method && line.selector == selector;
        if here && targets.contains(line.cell.target.as_str()) {
            for (&seed, &value) in line.target_by_seed.get(quantity).into_iter().flatten() {
                by_seed.entry(seed).or_default().push(100.0 * value);
            }
        }
    }
    by_seed.retain(|_, values| values.len() == targets.len());
    if by_seed.is_empty() {
        return Err(HarnessError::Config {
            origin: "published.toml".into(),
            key: format!("{method}.target"),
            message: format!("the suite has no {quantity} of {method} for {target} by {selector}"),
        });
    }
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    Ok(by_seed
        .into_iter()
        .map(|(seed, values)| (seed, mean(values)))
        .collect())
}

fn compared(table: &Table, figure: &Figure, place: (Selector, &str)) -> Result<Comparison> {
    let of = (figure.row.as_str(), figure.quantity.as_str());
    let values: Vec<f64> = values(table, of, place)?.into_values().collect();
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
    judged(claim, &of(&claim.higher)?, &of(&claim.lower)?)
}

/// A claim by the differences of the seeds that both methods have.
fn judged(
    claim: &Claim,
    higher: &BTreeMap<u64, f64>,
    lower: &BTreeMap<u64, f64>,
) -> Result<ClaimShown> {
    let both = higher
        .iter()
        .filter_map(|(seed, a)| Some(a - lower.get(seed)?));
    let differences: Vec<f64> = both.collect();
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
            records: None,
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
            checks: Vec::new(),
            truth: None,
            report: Some(measured.report),
        };
        assert!(!table.passed());
        let text = document(&[table], "again and again");
        for part in [
            "## `tiny`",
            "2 trials of 1 draw",
            "| irm |",
            "**no**",
            "(–)",
            "again and again",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    /// By hand: differences 1, 2, 3 have mean 2 and standard error 1/√3, t = 2√3 with two degrees of
    /// freedom, p = 0.0742 (`scipy.stats.ttest_1samp`); with 2, 2.2, 2.4 in place p = 0.0027.
    #[test]
    fn claims_hold_beyond_noise_only() {
        let claim = Claim {
            higher: "a".into(),
            lower: "b".into(),
            quantity: "auroc".into(),
            selector: Selector::TargetOracle,
            target: "t".into(),
        };
        let by_seed =
            |values: &[f64]| -> BTreeMap<u64, f64> { (0..).zip(values.iter().copied()).collect() };
        let of = |a: &[f64], b: &[f64]| judged(&claim, &by_seed(a), &by_seed(b)).unwrap();
        let noisy = of(&[1.0, 2.0, 3.0], &[0.0; 3]);
        assert!(!noisy.holds && (noisy.p.unwrap() - 0.0742).abs() < 1e-3);
        assert!((noisy.standard_error.unwrap() - 1.0 / 3.0_f64.sqrt()).abs() < 1e-12);
        let clear = of(&[2.0, 2.2, 2.4], &[0.0; 3]);
        assert!(clear.holds && (clear.p.unwrap() - 0.0027).abs() < 1e-3);
        let below = of(&[0.0; 3], &[2.0, 2.2, 2.4]);
        assert!(!below.holds && below.p == clear.p && below.difference < 0.0);
        for (a, b) in [(&[1.0][..], &[0.0][..]), (&[1.0, 1.0], &[0.0, 0.0])] {
            let untested = of(a, b);
            assert!(!untested.holds && untested.p.is_none());
        }
        // Seeds that one of them lacks are left out, not paired with others.
        let mut shifted = by_seed(&[9.0, 2.0, 2.2, 2.4]);
        shifted.remove(&0);
        let lower = by_seed(&[0.0, 0.0, 0.0, 0.0, 5.0]);
        let found = judged(&claim, &shifted, &lower).unwrap();
        assert!((found.difference - 2.2).abs() < 1e-12 && found.holds);
    }

    #[test]
    fn what_a_suite_does_not_measure_is_an_error() {
        let table = Table { lines: Vec::new() };
        let place = (Selector::TrainingDomain, "nowhere");
        let error = values(&table, ("erm", "auroc"), place).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
