//! One table per cell of the taxonomy.

use std::collections::BTreeSet;

use ctl_invariance::Role;
use serde::Serialize;

use super::ground::Ground;
use super::overview::{Include, MethodSummary, diverged, figure, summaries};
use super::sweep::{REFERENCE, Sweep};
use super::text;
use crate::table::{Cell, LEAST_IMAGES, LEAST_PER_CLASS, Line};
use crate::vocabulary::Selector;

/// A cell: its head line, a figure and one row per method.
#[derive(Debug, Serialize)]
pub(crate) struct CellView {
    title: String,
    brief: String,
    task: &'static str,
    shift: &'static str,
    samples: String,
    /// What must be known before its figures are read.
    cautions: Vec<String>,
    /// Short forms of the cautions, for the closed cell.
    marks: Vec<&'static str>,
    figure: String,
    metrics: Vec<String>,
    rows: Vec<CellRow>,
    notes: Vec<Note>,
}

#[derive(Debug, Serialize)]
struct CellRow {
    method: String,
    name: String,
    family: &'static str,
    role: &'static str,
    in_distribution: String,
    target: String,
    oracle: String,
    regret: String,
    gap: String,
    gap_to_bayes: String,
    others: Vec<String>,
    diverged: String,
}

/// What a reader must know of a method in this cell.
#[derive(Debug, Serialize)]
struct Note {
    name: String,
    text: String,
}

impl CellView {
    pub(crate) fn all(sweep: &Sweep<'_>) -> Vec<Self> {
        let cells = sweep.table.cells();
        cells
            .into_iter()
            .map(|cell| Self::of(sweep, cell))
            .collect()
    }

    fn of(sweep: &Sweep<'_>, cell: &Cell) -> Self {
        let main = sweep.metric();
        let all: Vec<&Line> = sweep
            .table
            .lines
            .iter()
            .filter(|l| l.cell == *cell)
            .collect();
        let validated = sweep.table.lines_of(cell, Selector::TrainingDomain);
        let others: BTreeSet<&str> = all
            .iter()
            .flat_map(|line| line.target.keys())
            .map(String::as_str)
            .filter(|&name| name != main)
            .collect();
        let others: Vec<&str> = others.into_iter().collect();
        let order = summaries(&all, main, Include::Everything);
        let line = |method: &str, selector| {
            let same = |l: &&&Line| l.method == method && l.selector == selector;
            all.iter().find(same).copied()
        };
        let rows = order.iter().filter_map(|summary| {
            let validated = line(&summary.method, Selector::TrainingDomain)?;
            let oracle = line(&summary.method, Selector::TargetOracle);
            Some(row(sweep, (validated, oracle), &others))
        });
        let (marks, cautions) = cautions(sweep, cell);
        Self {
            title: text::cell(cell),
            brief: brief(sweep, cell, &order),
            task: cell.task.as_str(),
            shift: cell.shift.as_str(),
            samples: samples(&validated),
            cautions,
            marks,
            figure: figure(sweep, &order, &format!("Methods in {}", text::cell(cell))),
            metrics: others.iter().map(|name| text::metric(name)).collect(),
            rows: rows.collect(),
            notes: notes(sweep, &validated),
        }
    }
}

fn cautions(sweep: &Sweep<'_>, cell: &Cell) -> (Vec<&'static str>, Vec<String>) {
    let ground = Ground::of(cell.protocol);
    let mut all = Vec::new();
    if !ground.caution().is_empty() {
        all.push((ground.as_str(), ground.caution().to_owned()));
    }
    if sweep.table.has_few_samples(cell) {
        let text = format!(
            "Some seed scores fewer than {LEAST_PER_CLASS} target samples of a class, or \
             {LEAST_IMAGES} where there are no classes: this cell is left out of every mean, test \
             and rank."
        );
        all.push(("few samples", text));
    }
    all.into_iter().unzip()
}

/// What a closed cell shows: plain training, and the best of the others.
fn brief(sweep: &Sweep<'_>, cell: &Cell, order: &[MethodSummary]) -> String {
    let place = Ground::of(cell.protocol).home();
    let target = |row: &MethodSummary| text::number(row.target.map(|t| t.mean));
    let reference = order.iter().find(|row| row.method == REFERENCE).map(|row| {
        let home = text::number(row.in_distribution.map(|h| h.mean));
        format!("ERM {home} {place}, {} on the target", target(row))
    });
    let competes = |row: &&MethodSummary| row.method != REFERENCE && row.role != Role::Oracle;
    let best = order.iter().find(competes).map(|row| {
        format!(
            "best other method {} {}",
            sweep.name(&row.method),
            target(row)
        )
    });
    let parts: Vec<String> = reference.into_iter().chain(best).collect();
    parts.join("; ")
}

fn row(sweep: &Sweep<'_>, (line, oracle): (&Line, Option<&Line>), others: &[&str]) -> CellRow {
    let main = sweep.metric();
    let brief = |name: &&str| {
        let estimate = line.target.get(*name);
        let error = estimate.and_then(|e| e.standard_error);
        text::with_error(estimate.map(|e| e.mean), error)
    };
    CellRow {
        method: line.method.clone(),
        name: sweep.name(&line.method),
        family: line.family.as_str(),
        role: text::role(line.role),
        in_distribution: text::estimate(line.in_distribution.get(main)),
        target: text::estimate(line.target.get(main)),
        oracle: text::estimate(oracle.and_then(|l| l.target.get(main))),
        regret: text::signed(line.regret),
        gap: text::signed(line.gap_to_target_trained),
        gap_to_bayes: text::signed(line.gap_to_bayes),
        others: others.iter().map(brief).collect(),
        diverged: diverged(sweep, line.diverged, line.at_chance),
    }
}

/// How many target images the figures rest on.
fn samples(lines: &[&Line]) -> String {
    let counts = lines
        .iter()
        .map(|line| &line.target_by_class)
        .find(|counts| !counts.is_empty());
    let Some(counts) = counts else {
        return "number of scored target images unknown".to_owned();
    };
    let classes: Vec<String> = counts
        .iter()
        .enumerate()
        .map(|(class, count)| format!("{count} of class {class}"))
        .collect();
    let total = text::count(counts.iter().sum(), "scored target image");
    format!("{total} in the first seed: {}", text::list(&classes))
}

fn notes(sweep: &Sweep<'_>, lines: &[&Line]) -> Vec<Note> {
    lines
        .iter()
        .flat_map(|line| {
            line.notes.iter().map(|text| Note {
                name: sweep.name(&line.method),
                text: text.clone(),
            })
        })
        .collect()
}
