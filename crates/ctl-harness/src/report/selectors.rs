//! What each way of choosing costs: figures on the target, regrets, and the runs behind them.

use std::collections::BTreeMap;

use ctl_invariance::Role;
use serde::Serialize;

use super::ground::Ground;
use super::overview::{Average, MethodSummary};
use super::sweep::Sweep;
use super::text;
use crate::table::Line;
use crate::vocabulary::Selector;

/// The methods of one ground where sources were left out.
#[derive(Debug, Serialize)]
pub(crate) struct Selectors {
    title: &'static str,
    rows: Vec<SelectorRow>,
}

#[derive(Debug, Serialize)]
struct SelectorRow {
    method: String,
    name: String,
    family: &'static str,
    role: &'static str,
    target: String,
    left_out: String,
    oracle: String,
    regret: String,
    left_out_regret: String,
    runs: usize,
    left_out_runs: usize,
}

impl Selectors {
    /// One view per ground in which some method was trained without a source.
    pub(crate) fn all(sweep: &Sweep<'_>, summaries: &[MethodSummary]) -> Vec<Self> {
        let of = |ground: Ground| {
            let rows = summaries.iter();
            let rows = rows.filter(|row| row.ground == ground && row.left_out.is_some());
            let rows: Vec<SelectorRow> = rows.map(|row| view(sweep, row)).collect();
            (!rows.is_empty()).then(|| Self {
                title: ground.title(),
                rows,
            })
        };
        Ground::ALL.into_iter().filter_map(of).collect()
    }
}

fn view(sweep: &Sweep<'_>, row: &MethodSummary) -> SelectorRow {
    let average =
        |a: Option<Average>| text::with_error(a.map(|a| a.mean), a.and_then(|a| a.standard_error));
    SelectorRow {
        method: row.method.clone(),
        name: sweep.name(&row.method),
        family: row.family.as_str(),
        role: text::role(row.role),
        target: average(row.target),
        left_out: average(row.left_out),
        oracle: average(row.oracle),
        regret: text::signed(row.regret),
        left_out_regret: text::signed(row.left_out_regret),
        runs: row.runs[0],
        left_out_runs: row.runs[1],
    }
}

/// Cells in which methods have different numbers of records, which is only fair once the missing
/// runs are there; upper references are planned otherwise.
pub(crate) fn unequal_budgets(sweep: &Sweep<'_>) -> Vec<String> {
    let competes = |line: &&Line| line.role != Role::Oracle;
    let mut notices = Vec::new();
    for cell in sweep.table.cells() {
        for &selector in Selector::ALL {
            let lines = sweep.table.lines_of(cell, selector).into_iter();
            let mut methods: BTreeMap<usize, Vec<String>> = BTreeMap::new();
            for line in lines.filter(competes) {
                let entry = methods.entry(line.runs).or_default();
                entry.push(sweep.name(&line.method));
            }
            if methods.len() > 1 && selector != Selector::TargetOracle {
                let counts = methods.iter().map(|(runs, names)| {
                    format!("{} of {}", text::count(*runs, "run"), text::list(names))
                });
                let counts: Vec<String> = counts.collect();
                notices.push(format!(
                    "Unequal budgets for {selector} selection in {}, where runs failed or are \
                     missing: {}.",
                    text::cell(cell),
                    text::list(&counts)
                ));
            }
        }
    }
    notices
}
