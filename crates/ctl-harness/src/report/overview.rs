//! One row per method, over all cells.

use ctl_invariance::{Family, Role};
use serde::Serialize;

use super::svg::{DotPlot, DotRow};
use super::sweep::Sweep;
use super::text;
use crate::table::{Estimate, Line, Table};
use crate::vocabulary::Selector;

/// A mean over cells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Average {
    /// Mean over cells of the means over seeds.
    pub mean: f64,
    /// What the seeds alone make it vary by, `√(Σ s²) / cells` with the standard error `s` of each
    /// cell; absent when a cell has a single seed.
    pub standard_error: Option<f64>,
}

/// A method over all cells of a sweep, by the table's main metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodSummary {
    /// Id of the method.
    pub method: String,
    /// Its family.
    pub family: Family,
    /// What it sees of the target.
    pub role: Role,
    /// On held-out patients of the sources, under training-domain selection.
    pub in_distribution: Option<Average>,
    /// On the target, under training-domain selection.
    pub target: Option<Average>,
    /// On the target, under oracle selection.
    pub oracle: Option<Average>,
    /// Oracle minus training-domain selection on the target, mean over cells.
    pub regret: Option<f64>,
    /// Number of cells with a target figure.
    pub cells: usize,
    /// Fewest and most seeds behind a cell's target figure.
    pub seeds: (usize, usize),
    /// Runs that diverged.
    pub diverged: usize,
}

/// One row per method, by descending target mean; upper references and methods without a figure
/// come last.
pub fn terminal_rows(table: &Table) -> Vec<MethodSummary> {
    summaries(&table.lines.iter().collect::<Vec<_>>(), table.main_metric)
}

/// As [`terminal_rows`], over some of the lines.
pub(crate) fn summaries(lines: &[&Line], metric: &str) -> Vec<MethodSummary> {
    let mut methods: Vec<&str> = lines.iter().map(|line| line.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let mut rows: Vec<MethodSummary> = methods
        .into_iter()
        .filter_map(|method| summary(lines, method, metric))
        .collect();
    rows.sort_by(|a, b| {
        let target = |row: &MethodSummary| row.target.map_or(f64::NEG_INFINITY, |t| t.mean);
        let reference = |row: &MethodSummary| row.role == Role::Oracle;
        reference(a)
            .cmp(&reference(b))
            .then(target(b).total_cmp(&target(a)))
    });
    rows
}

fn summary(lines: &[&Line], method: &str, metric: &str) -> Option<MethodSummary> {
    let of = |selector: Selector| -> Vec<&Line> {
        lines
            .iter()
            .filter(|line| line.method == method && line.selector == selector)
            .copied()
            .collect()
    };
    let (validated, oracle) = (of(Selector::TrainingDomain), of(Selector::TargetOracle));
    let first = validated.first()?;
    let targets: Vec<&Estimate> = validated
        .iter()
        .filter_map(|l| l.target.get(metric))
        .collect();
    let seeds = targets.iter().map(|e| e.seeds);
    let regrets: Vec<f64> = validated.iter().filter_map(|l| l.regret).collect();
    Some(MethodSummary {
        method: method.to_owned(),
        family: first.family,
        role: first.role,
        in_distribution: average(
            validated
                .iter()
                .filter_map(|l| l.in_distribution.get(metric)),
        ),
        target: average(targets.iter().copied()),
        oracle: average(oracle.iter().filter_map(|l| l.target.get(metric))),
        regret: Estimate::of(&regrets).map(|e| e.mean),
        cells: targets.len(),
        seeds: (seeds.clone().min().unwrap_or(0), seeds.max().unwrap_or(0)),
        diverged: validated.iter().map(|l| l.diverged).sum(),
    })
}

fn average<'a>(estimates: impl Iterator<Item = &'a Estimate>) -> Option<Average> {
    let finite: Vec<&Estimate> = estimates.filter(|e| e.mean.is_finite()).collect();
    let means: Vec<f64> = finite.iter().map(|e| e.mean).collect();
    let mean = Estimate::of(&means)?.mean;
    let errors: Option<Vec<f64>> = finite.iter().map(|e| text::standard_error(e)).collect();
    let total = |errors: Vec<f64>| errors.iter().map(|e| e * e).sum::<f64>().sqrt();
    Some(Average {
        mean,
        standard_error: errors.map(|e| total(e) / means.len() as f64),
    })
}

/// The table under the main figure.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    figure: String,
    caption: String,
    rows: Vec<OverviewRow>,
}

#[derive(Debug, Serialize)]
struct OverviewRow {
    method: String,
    name: String,
    family: &'static str,
    role: &'static str,
    in_distribution: String,
    target: String,
    oracle: String,
    regret: String,
    cells: usize,
    seeds: String,
    diverged: usize,
}

impl Overview {
    pub(crate) fn of(sweep: &Sweep<'_>, summaries: &[MethodSummary]) -> Self {
        let metric = text::metric(sweep.table.main_metric);
        let cells = text::count(sweep.table.cells().len(), "cell");
        Self {
            figure: figure(sweep, summaries, &format!("{metric} of every method")),
            caption: format!(
                "{metric}, mean over {cells}. Open circles: unseen patients of the training sites; \
                 filled circles, coloured by family, with bars of one standard error over seeds: the \
                 target, checkpoint chosen by training-domain validation; diamonds: the target, checkpoint chosen by \
                 the target oracle."
            ),
            rows: summaries.iter().map(|row| view(sweep, row)).collect(),
        }
    }
}

/// The dot plot of some summaries.
pub(crate) fn figure(sweep: &Sweep<'_>, summaries: &[MethodSummary], label: &str) -> String {
    let mean = |average: Option<Average>| average.map(|a| a.mean);
    let rows = summaries.iter().map(|row| DotRow {
        label: sweep.name(&row.method),
        family: row.family,
        marked: text::role(row.role),
        in_distribution: mean(row.in_distribution),
        target: row.target.map(|t| (t.mean, t.standard_error)),
        oracle: mean(row.oracle),
    });
    DotPlot {
        label: label.to_owned(),
        metric: text::metric(sweep.table.main_metric),
        chance: (sweep.table.main_metric == "auroc").then_some(0.5),
        rows: rows.collect(),
    }
    .draw()
}

fn view(sweep: &Sweep<'_>, row: &MethodSummary) -> OverviewRow {
    let average =
        |a: Option<Average>| text::with_error(a.map(|a| a.mean), a.and_then(|a| a.standard_error));
    OverviewRow {
        method: row.method.clone(),
        name: sweep.name(&row.method),
        family: row.family.as_str(),
        role: text::role(row.role),
        in_distribution: average(row.in_distribution),
        target: average(row.target),
        oracle: average(row.oracle),
        regret: text::signed(row.regret),
        cells: row.cells,
        seeds: match row.seeds {
            (least, most) if least == most => most.to_string(),
            (least, most) => format!("{least}–{most}"),
        },
        diverged: row.diverged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means 0.6 and 0.8; standard errors 0.03 and 0.04 give √(0.0025)/2.
    #[test]
    fn an_average_over_cells_by_hand() {
        let cell = |mean, standard_error, seeds| Estimate {
            mean,
            standard_error,
            seeds,
        };
        let two = average([&cell(0.6, 0.03, 3), &cell(0.8, 0.04, 3)].into_iter()).unwrap();
        assert!((two.mean - 0.7).abs() < 1e-12);
        assert!((two.standard_error.unwrap() - 0.025).abs() < 1e-12);
        let single = average([&cell(0.6, 0.03, 3), &cell(0.8, 0.0, 1)].into_iter()).unwrap();
        assert_eq!(single.standard_error, None);
        assert_eq!(average([].into_iter()), None);
    }
}
