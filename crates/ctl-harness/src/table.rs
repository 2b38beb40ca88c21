//! Records of a sweep, summarised: one line per cell, method and selector.

mod choice;

use std::collections::BTreeMap;

use ctl_invariance::{Family, Role};
use serde::Serialize;

use self::choice::{Chosen, Group, chosen, groups};
use crate::record::{Metrics, Record, Status, number};
use crate::registry::Registry;
use crate::task::main_metric;
use crate::vocabulary::{Protocol, Selector, Shift, TASKS, Task};

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean.
    #[serde(serialize_with = "number::serialize")]
    pub mean: f64,
    /// Standard error of the mean (ddof 0, as `DomainBed` prints it); a single seed has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Number of seeds.
    pub seeds: usize,
}

impl Estimate {
    /// Mean and standard error of some values; `None` when there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        Some(Self {
            mean,
            standard_error: (values.len() > 1).then(|| (variance / n).sqrt()),
            seeds: values.len(),
        })
    }
}

/// One cell of the taxonomy: a cohort, how it is split, and a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cell {
    /// The task.
    pub task: Task,
    /// What moves.
    pub shift: Shift,
    /// Name of the cohort.
    pub cohort: String,
    /// How sources and target are made.
    pub protocol: Protocol,
    /// Source environments.
    pub sources: Vec<String>,
    /// Target site.
    pub target: String,
    /// The metric that methods are compared by.
    pub metric: &'static str,
}

/// One method in one cell under one selector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The cell.
    pub cell: Cell,
    /// Id of the method.
    pub method: String,
    /// Its family.
    pub family: Family,
    /// What it sees of the target.
    pub role: Role,
    /// How its checkpoint and draw were chosen.
    pub selector: Selector,
    /// Metrics on held-out patients of the sources.
    pub in_distribution: BTreeMap<String, Estimate>,
    /// Metrics on the target's scored patients.
    pub target: BTreeMap<String, Estimate>,
    /// Target figures of the single seeds, by metric and seed; a seed without a checkpoint has only
    /// the main metric.
    pub target_by_seed: BTreeMap<String, BTreeMap<u64, f64>>,
    /// Runs that the selector looked at, over all seeds and draws.
    pub runs: usize,
    /// Of these, how many diverged.
    pub diverged: usize,
    /// Seeds without any checkpoint because every draw diverged before its first evaluation; each
    /// enters the main metric as chance ([`crate::spec::MainMetric::chance`]), since leaving it out would flatter the method. Other
    /// metrics lack these seeds.
    pub at_chance: usize,
    /// Some seed scores fewer than [`LEAST_PER_CLASS`] target samples of a class, or fewer than
    /// [`LEAST_IMAGES`] in tasks without classes: the figures say too little to enter means, tests
    /// and ranks over cells.
    pub few_samples: bool,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// Scored target images (of the first seed) by class.
    pub target_by_class: Vec<usize>,
    /// Main metric under the oracle minus under this selector (0 for the oracle itself).
    pub regret: Option<f64>,
    /// Main metric of the reference that was trained on the target minus that of this method, mean
    /// over the seeds of both; absent where there is no such reference.
    pub gap_to_target_trained: Option<f64>,
    /// The same to the Bayes predictor.
    pub gap_to_bayes: Option<f64>,
}

impl Line {
    /// The metric that the line is compared by.
    pub fn main_metric(&self) -> &'static str {
        self.cell.metric
    }
}

/// All lines of a sweep, by cell, method and selector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// The lines.
    pub lines: Vec<Line>,
}

/// Fewest scored target samples of every class for a cell to enter means, tests and ranks.
///
/// With fewer than ten of a class a single sample can move the AUROC by more than 0.1, which is
/// more than most methods differ by.
pub const LEAST_PER_CLASS: usize = 10;

/// Fewest scored target images for a cell of a task without classes to enter means, tests and
/// ranks.
pub const LEAST_IMAGES: usize = 5;

/// The reference that was trained on the target.
const TARGET_TRAINED: &str = "erm-target";
/// The reference that knows the true factors.
const BAYES: &str = "bayes";

impl Table {
    /// Summarises records; those of methods the registry does not know are left out.
    pub fn of(records: &[Record], registry: &Registry) -> Self {
        let groups = groups(records);
        let few = cells_with_few_samples(records);
        let mut lines = Vec::new();
        for ((cell, method), group) in &groups {
            let Ok(entry) = registry.get(method) else {
                continue;
            };
            let few_samples = few[cell];
            let oracle = chosen(group, Selector::TargetOracle);
            let reference = |method: &str, selector| {
                let key = (cell.clone(), method.to_owned());
                // References are trained on no source, so that none is left out of them.
                let selector = match selector {
                    Selector::LeaveOneDomainOut => Selector::TrainingDomain,
                    other => other,
                };
                groups.get(&key).map(|group| chosen(group, selector))
            };
            for &selector in group.selectors() {
                let seeds = chosen(group, selector);
                let mut line = line_of(cell, group, &seeds, selector);
                line.family = entry.info().family;
                line.role = entry.info().role;
                let metric = cell.metric;
                line.regret = regret(metric, &oracle, &seeds);
                let gap = |method: &str| {
                    reference(method, selector).and_then(|best| regret(metric, &best, &seeds))
                };
                line.gap_to_target_trained = gap(TARGET_TRAINED);
                line.gap_to_bayes = gap(BAYES);
                line.few_samples = few_samples;
                lines.push(line);
            }
        }
        Self { lines }
    }

    /// The tasks that have lines, in the order of the documentation.
    pub fn tasks(&self) -> Vec<Task> {
        let has = |task: &Task| self.lines.iter().any(|line| line.cell.task == *task);
        TASKS.into_iter().filter(has).collect()
    }

    /// The cells, in order.
    pub fn cells(&self) -> Vec<&Cell> {
        let mut cells: Vec<&Cell> = self.lines.iter().map(|line| &line.cell).collect();
        cells.dedup();
        cells
    }

    /// The metric that the lines of a task are compared by.
    pub fn main_metric(&self, task: Task) -> &'static str {
        let line = self.lines.iter().find(|line| line.cell.task == task);
        line.map_or_else(|| main_metric(task), |line| line.cell.metric)
    }

    /// Whether a cell has too few samples to enter means, tests and ranks.
    pub fn has_few_samples(&self, cell: &Cell) -> bool {
        let mut lines = self.lines.iter();
        lines.any(|line| line.few_samples && line.cell == *cell)
    }

    /// The lines of a cell under a selector.
    pub fn lines_of(&self, cell: &Cell, selector: Selector) -> Vec<&Line> {
        self.lines
            .iter()
            .filter(|line| line.cell == *cell && line.selector == selector)
            .collect()
    }
}

pub(crate) fn cell_of(record: &Record) -> Cell {
    let spec = &record.spec;
    Cell {
        task: spec.task,
        shift: spec.shift,
        cohort: spec.cohort.clone(),
        protocol: spec.protocol,
        sources: spec.sources.clone(),
        target: spec.target.clone(),
        metric: spec.training.metric.name(spec.task),
    }
}

/// Whether a cell has few samples, by any of its records: all its methods are in or out together.
fn cells_with_few_samples(records: &[Record]) -> BTreeMap<Cell, bool> {
    let mut few = BTreeMap::new();
    for record in records.iter().filter(|r| r.spec.held_out.is_none()) {
        let counts = &record.counts.target_by_class;
        let is_few = match record.spec.task {
            Task::Segmentation | Task::Reconstruction => record.counts.target < LEAST_IMAGES,
            _ => counts.iter().any(|&count| count < LEAST_PER_CLASS),
        };
        *few.entry(cell_of(record)).or_insert(false) |= is_few;
    }
    few
}

/// Mean difference of the target's main metric over the seeds of both.
fn regret(metric: &str, oracle: &Chosen<'_>, seeds: &Chosen<'_>) -> Option<f64> {
    let gaps: Vec<f64> = oracle
        .iter()
        .filter_map(|(seed, best)| {
            let best = best.target.get(metric)?;
            Some(best - seeds.get(seed)?.target.get(metric)?)
        })
        .collect();
    Estimate::of(&gaps).map(|e| e.mean)
}

fn line_of(cell: &Cell, group: &Group<'_>, seeds: &Chosen<'_>, selector: Selector) -> Line {
    let records = &group.whole;
    let mut notes: Vec<String> = records.iter().flat_map(|r| r.notes.clone()).collect();
    notes.sort();
    notes.dedup();
    let seen = || group.seen_by(selector);
    let diverged = seen().filter(|r| r.status == Status::Diverged).count();
    let mut by_seed: BTreeMap<String, BTreeMap<u64, f64>> = BTreeMap::new();
    for (&seed, selection) in seeds {
        for (name, value) in &selection.target {
            let of_metric = by_seed.entry(name.clone()).or_default();
            of_metric.insert(seed, *value);
        }
    }
    Line {
        cell: cell.clone(),
        method: records[0].spec.method.clone(),
        family: Family::Baseline,
        role: Role::Generalisation,
        selector,
        in_distribution: estimates(seeds.values().map(|s| &s.in_distribution)),
        target: estimates(seeds.values().map(|s| &s.target)),
        target_by_seed: by_seed,
        runs: seen().count(),
        diverged,
        at_chance: seeds
            .values()
            .filter(|s| s.score == f64::NEG_INFINITY && s.step == 0)
            .count(),
        few_samples: false,
        notes,
        target_by_class: records[0].counts.target_by_class.clone(),
        regret: None,
        gap_to_target_trained: None,
        gap_to_bayes: None,
    }
}

fn estimates<'a>(all: impl Iterator<Item = &'a Metrics>) -> BTreeMap<String, Estimate> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for metrics in all {
        for (name, value) in metrics {
            values.entry(name.clone()).or_default().push(*value);
        }
    }
    values
        .into_iter()
        .filter_map(|(name, values)| Some((name, Estimate::of(&values)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_seed_has_no_standard_error_in_json() {
        let json = serde_json::to_string(&Estimate::of(&[0.5])).unwrap();
        assert_eq!(json, r#"{"mean":0.5,"seeds":1}"#);
    }

    /// Mean 2, population variance 2/3, standard error √(2/9).
    #[test]
    fn standard_error_by_hand() {
        let e = Estimate::of(&[1.0, 2.0, 3.0]).unwrap();
        assert!((e.mean - 2.0).abs() < 1e-12);
        assert!((e.standard_error.unwrap() - (2f64 / 9.0).sqrt()).abs() < 1e-12);
        assert_eq!(Estimate::of(&[]), None);
    }
}
