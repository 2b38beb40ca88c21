//! The grid task × shift × family.

use std::collections::{BTreeMap, BTreeSet};

use ctl_invariance::{Family, Role};
use serde::Serialize;

use super::ground::Ground;
use super::sweep::{REFERENCE, Sweep};
use super::text;
use crate::suite::exists;
use crate::table::{Cell, Estimate, Line};
use crate::vocabulary::{Selector, Shift, TASKS, Task};

const FAMILIES: [Family; 6] = [
    Family::Baseline,
    Family::Correlation,
    Family::Invariance,
    Family::ScmGuided,
    Family::Counterfactual,
    Family::Federated,
];
/// Differences beyond these get the pale and the full colour.
const NOTABLE: f64 = 0.01;
const LARGE: f64 = 0.05;
const NOT_RUN: &str = "not run";

#[derive(Debug, Serialize)]
pub(crate) struct Grid {
    families: Vec<Heading>,
    rows: Vec<GridRow>,
    not_run: String,
    /// Shifts without a cell, task by task.
    shifts_not_run: String,
}

#[derive(Debug, Serialize)]
struct Heading {
    name: &'static str,
    causal: bool,
}

#[derive(Debug, Serialize)]
struct GridRow {
    task: &'static str,
    metric: String,
    shift: String,
    cells: usize,
    entries: Vec<Entry>,
}

/// One family under one shift.
#[derive(Debug, Serialize)]
struct Entry {
    value: String,
    detail: String,
    class: &'static str,
}

impl Grid {
    pub(crate) fn of(chapters: &[Sweep<'_>]) -> Self {
        let run = |task: &Task| {
            let mut own = chapters.iter().filter(|sweep| sweep.task == *task);
            own.any(|sweep| !sweep.records.is_empty())
        };
        let idle = TASKS.into_iter().filter(|task| !run(task));
        let idle: Vec<String> = idle.map(|t| t.as_str().to_owned()).collect();
        let rows = chapters
            .iter()
            .filter(|sweep| run(&sweep.task))
            .flat_map(|sweep| {
                let shifts = Shift::ALL
                    .iter()
                    .filter(|&&shift| exists(sweep.task, shift));
                let places = shifts.flat_map(|&shift| grounds(sweep, sweep.task, shift));
                places.map(|at| row(sweep, at)).collect::<Vec<_>>()
            });
        let ran = chapters.iter().filter(|sweep| run(&sweep.task));
        let still = ran.filter_map(|sweep| {
            let shifts: Vec<String> = Shift::ALL
                .iter()
                .filter(|&&shift| exists(sweep.task, shift))
                .filter(|&&shift| grounds(sweep, sweep.task, shift).is_empty())
                .map(ToString::to_string)
                .collect();
            let task = sweep.task.as_str();
            (!shifts.is_empty()).then(|| format!("{task}: {}", text::list(&shifts)))
        });
        Self {
            families: FAMILIES
                .map(|family| Heading {
                    name: family.as_str(),
                    causal: family.is_causal(),
                })
                .into(),
            rows: rows.collect(),
            not_run: text::list(&idle),
            shifts_not_run: still.collect::<Vec<_>>().join("; "),
        }
    }
}

/// One row per ground that a shift has cells of.
fn grounds(sweep: &Sweep<'_>, task: Task, shift: Shift) -> Vec<(Task, Shift, Ground)> {
    let cells = sweep.table.cells();
    let here = || cells.iter().filter(|c| c.task == task && c.shift == shift);
    let has = |ground: &Ground| here().any(|cell| ground.has(cell));
    let found = Ground::ALL.into_iter().filter(has);
    found.map(|g| (task, shift, g)).collect()
}

fn row(sweep: &Sweep<'_>, (task, shift, ground): (Task, Shift, Ground)) -> GridRow {
    let is_here = |cell: &Cell| {
        let few = sweep.table.has_few_samples(cell);
        cell.task == task && cell.shift == shift && ground.has(cell) && !few
    };
    let lines: Vec<&Line> = sweep
        .table
        .lines
        .iter()
        .filter(|l| l.selector == Selector::TrainingDomain && l.role != Role::Oracle)
        .filter(|l| is_here(&l.cell))
        .collect();
    let cells = sweep.table.cells().into_iter();
    GridRow {
        task: task.as_str(),
        metric: text::metric(sweep.metric()),
        shift: match ground {
            Ground::UnseenSite => shift.to_string(),
            other => format!("{shift}, {}", other.as_str()),
        },
        cells: cells.filter(|cell| is_here(cell)).count(),
        entries: FAMILIES
            .map(|family| entry(sweep, &lines, family))
            .into_iter()
            .collect(),
    }
}

fn entry(sweep: &Sweep<'_>, lines: &[&Line], family: Family) -> Entry {
    let means = means_of(lines, sweep.metric());
    let members = lines.iter().filter(|line| line.family == family);
    let methods: BTreeSet<&str> = members
        .map(|line| line.method.as_str())
        .filter(|method| means.contains_key(method))
        .collect();
    let counted = text::count(methods.len(), "method");
    if methods.is_empty() {
        Entry {
            value: NOT_RUN.to_owned(),
            detail: String::new(),
            class: "empty",
        }
    } else if family == Family::Baseline {
        Entry {
            value: text::number(means.get(REFERENCE).and_then(mean)),
            detail: baselines(sweep, &means, &methods),
            class: "reference",
        }
    } else {
        best_entry(sweep, &means, &methods, &counted)
    }
}

/// Plain training, and what the other baselines gain over it.
fn baselines(sweep: &Sweep<'_>, means: &Means<'_>, methods: &BTreeSet<&str>) -> String {
    let others = methods.iter().filter(|method| **method != REFERENCE);
    let gains = others.map(|&method| {
        let gain = means.get(method).zip(means.get(REFERENCE));
        let gain = gain.and_then(|(own, erm)| difference(own, erm));
        format!("{} {}", sweep.name(method), text::signed(gain))
    });
    let parts: Vec<String> = std::iter::once("ERM itself".to_owned())
        .chain(gains)
        .collect();
    parts.join("; ")
}

/// The method of a family that gains most over plain training.
fn best_entry(
    sweep: &Sweep<'_>,
    means: &Means<'_>,
    methods: &BTreeSet<&str>,
    counted: &str,
) -> Entry {
    let gain = |method: &str| difference(means.get(method)?, means.get(REFERENCE)?);
    let best = methods
        .iter()
        .filter_map(|&method| Some((method, gain(method)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    match best {
        Some((method, value)) => Entry {
            value: text::signed(Some(value)),
            detail: format!(
                "{}, best of {counted} by this figure{}",
                sweep.name(method),
                coverage(means, method).unwrap_or_default()
            ),
            class: class(value),
        },
        None => Entry {
            value: text::MISSING.to_owned(),
            detail: format!("{counted}, no ERM beside them"),
            class: "empty",
        },
    }
}

/// How many of plain training's cells a method has, when it lacks some.
fn coverage(means: &Means<'_>, method: &str) -> Option<String> {
    let (own, all) = (means.get(method)?, means.get(REFERENCE)?);
    let shared = own.keys().filter(|cell| all.contains_key(*cell)).count();
    (shared < all.len()).then(|| format!(", {shared} of {} cells", all.len()))
}

/// Target means by method and cell.
type Means<'a> = BTreeMap<&'a str, BTreeMap<&'a Cell, f64>>;

fn means_of<'a>(lines: &[&'a Line], metric: &str) -> Means<'a> {
    let mut means = Means::new();
    for line in lines {
        if let Some(estimate) = line.target.get(metric).filter(|e| e.mean.is_finite()) {
            let cells = means.entry(&line.method).or_default();
            cells.insert(&line.cell, estimate.mean);
        }
    }
    means
}

fn mean(cells: &BTreeMap<&Cell, f64>) -> Option<f64> {
    let values: Vec<f64> = cells.values().copied().collect();
    Estimate::of(&values).map(|e| e.mean)
}

/// Mean difference over the cells that both have.
fn difference(a: &BTreeMap<&Cell, f64>, b: &BTreeMap<&Cell, f64>) -> Option<f64> {
    let shared: Vec<f64> = a
        .iter()
        .filter_map(|(cell, value)| Some(value - b.get(cell)?))
        .collect();
    Estimate::of(&shared).map(|e| e.mean)
}

fn class(difference: f64) -> &'static str {
    match difference {
        d if d >= LARGE => "up2",
        d if d >= NOTABLE => "up1",
        d if d <= -LARGE => "down2",
        d if d <= -NOTABLE => "down1",
        _ => "flat",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_difference() {
        let classes = [0.2, 0.05, 0.02, 0.0, -0.009, -0.01, -0.3].map(class);
        assert_eq!(
            classes,
            ["up2", "up2", "up1", "flat", "flat", "down1", "down2"]
        );
    }
}
