//! One row per method, over the cells of one ground that have enough samples.

use ctl_invariance::{Family, Role};
use serde::Serialize;

use super::ground::Ground;
use super::svg::{DotPlot, DotRow, file_name};
use super::sweep::Sweep;
use super::text;
use crate::table::{Cell, Estimate, LEAST_IMAGES, LEAST_PER_CLASS, Line, Table};
use crate::vocabulary::{Selector, TASKS, Task};

/// A mean over cells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Average {
    /// Mean over cells of the means over seeds.
    pub mean: f64,
    /// What the seeds alone make it vary by, `√(Σ s²) / cells` with the standard error `s` of each
    /// cell; absent when a cell has a single seed.
    pub standard_error: Option<f64>,
}

/// A method over the cells of one ground, by the table's main metric; cells with few samples do not
/// enter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodSummary {
    /// The task.
    pub task: Task,
    /// Which cells.
    pub ground: Ground,
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
    /// On the target, under leave-one-domain-out selection.
    pub left_out: Option<Average>,
    /// Oracle minus leave-one-domain-out selection on the target, mean over cells.
    pub left_out_regret: Option<f64>,
    /// Runs that training-domain and leave-one-domain-out selection looked at.
    pub runs: [usize; 2],
    /// Reference trained on the target minus this method, mean over cells.
    pub gap: Option<f64>,
    /// Number of cells with a target figure.
    pub cells: usize,
    /// Fewest and most seeds behind a cell's target figure.
    pub seeds: (usize, usize),
    /// Runs that diverged.
    pub diverged: usize,
    /// Seeds of cells that enter as chance, because their runs diverged before any checkpoint.
    pub at_chance: usize,
}

/// One row per task, ground and method, by descending target mean; upper references and methods without a
/// figure come last in their ground.
pub fn terminal_rows(table: &Table) -> Vec<MethodSummary> {
    let of_ground = |(task, ground): (Task, Ground)| {
        let here = |line: &&Line| line.cell.task == task && ground.has(&line.cell);
        let lines: Vec<&Line> = table.lines.iter().filter(here).collect();
        summaries(&lines, table.main_metric(task), Include::EnoughSamples)
    };
    let pairs = TASKS
        .into_iter()
        .flat_map(|task| Ground::ALL.map(|ground| (task, ground)));
    pairs.flat_map(of_ground).collect()
}

/// Which cells enter a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    /// All.
    Everything,
    /// Those with enough scored samples of every class.
    EnoughSamples,
}

/// As [`terminal_rows`], over some of the lines, all of one ground.
pub(crate) fn summaries(lines: &[&Line], metric: &str, include: Include) -> Vec<MethodSummary> {
    let mut methods: Vec<&str> = lines.iter().map(|line| line.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let mut rows: Vec<MethodSummary> = methods
        .into_iter()
        .filter_map(|method| summary(lines, method, metric, include))
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

fn summary(lines: &[&Line], method: &str, metric: &str, include: Include) -> Option<MethodSummary> {
    let own = || lines.iter().copied().filter(|line| line.method == method);
    let of = |selector: Selector| -> Vec<&Line> {
        own()
            .filter(|line| line.selector == selector)
            .filter(|line| include == Include::Everything || !line.few_samples)
            .collect()
    };
    let (validated, oracle) = (of(Selector::TrainingDomain), of(Selector::TargetOracle));
    let left_out = of(Selector::LeaveOneDomainOut);
    let all = || own().filter(|line| line.selector == Selector::TrainingDomain);
    let first = all().next()?;
    let targets: Vec<&Estimate> = validated
        .iter()
        .filter_map(|l| l.target.get(metric))
        .collect();
    let seeds = targets.iter().map(|e| e.seeds);
    let gaps: Vec<f64> = validated
        .iter()
        .filter_map(|l| l.gap_to_target_trained)
        .collect();
    let regret = |lines: &[&Line]| {
        let regrets: Vec<f64> = lines.iter().filter_map(|l| l.regret).collect();
        Estimate::of(&regrets).map(|e| e.mean)
    };
    let on_target = |lines: &[&Line]| average(lines.iter().filter_map(|l| l.target.get(metric)));
    Some(MethodSummary {
        task: first.cell.task,
        ground: Ground::of(first.cell.protocol),
        method: method.to_owned(),
        family: first.family,
        role: first.role,
        in_distribution: average(
            validated
                .iter()
                .filter_map(|l| l.in_distribution.get(metric)),
        ),
        target: average(targets.iter().copied()),
        oracle: on_target(&oracle),
        regret: regret(&validated),
        left_out: on_target(&left_out),
        left_out_regret: regret(&left_out),
        runs: [&validated, &left_out].map(|lines| lines.iter().map(|l| l.runs).sum()),
        gap: Estimate::of(&gaps).map(|e| e.mean),
        cells: targets.len(),
        seeds: (seeds.clone().min().unwrap_or(0), seeds.max().unwrap_or(0)),
        diverged: all().map(|l| l.diverged).sum(),
        at_chance: validated.iter().map(|l| l.at_chance).sum(),
    })
}

fn average<'a>(estimates: impl Iterator<Item = &'a Estimate>) -> Option<Average> {
    let finite: Vec<&Estimate> = estimates.filter(|e| e.mean.is_finite()).collect();
    let means: Vec<f64> = finite.iter().map(|e| e.mean).collect();
    let mean = Estimate::of(&means)?.mean;
    let errors: Option<Vec<f64>> = finite.iter().map(|e| e.standard_error).collect();
    let total = |errors: Vec<f64>| errors.iter().map(|e| e * e).sum::<f64>().sqrt();
    Some(Average {
        mean,
        standard_error: errors.map(|e| total(e) / means.len() as f64),
    })
}

/// The methods of one ground: a figure and the table under it.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    title: &'static str,
    caution: &'static str,
    /// Empty when all cells enter.
    left_out: String,
    figure: String,
    /// The figure's name where it is a file of its own.
    file: String,
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
    gap: String,
    cells: usize,
    seeds: String,
    diverged: String,
}

impl Overview {
    /// One view per ground that the sweep has cells of.
    pub(crate) fn all(sweep: &Sweep<'_>, summaries: &[MethodSummary]) -> Vec<Self> {
        let of = |ground: Ground| {
            let rows = summaries.iter().filter(|row| row.ground == ground);
            let rows: Vec<MethodSummary> = rows.cloned().collect();
            (!rows.is_empty()).then(|| Self::of(sweep, ground, &rows))
        };
        Ground::ALL.into_iter().filter_map(of).collect()
    }

    /// The figure, by the name of its file.
    pub(crate) fn drawn(&self) -> (&str, &str) {
        (&self.file, &self.figure)
    }

    fn of(sweep: &Sweep<'_>, ground: Ground, summaries: &[MethodSummary]) -> Self {
        let metric = text::metric(sweep.metric());
        let (few, enough) = divided(sweep, ground);
        let cells = text::count(enough.len(), "cell");
        let label = format!("{metric} of every method, {}", ground.as_str());
        let inside = ground.inside();
        Self {
            title: ground.title(),
            caution: ground.caution(),
            left_out: left_out(&few),
            figure: figure(sweep, summaries, &label),
            file: file_name(&[sweep.task.as_str(), ground.as_str()]),
            caption: format!(
                "{metric}, mean over {cells}. Open circles: {inside}; filled circles, coloured by \
                 family, with bars of one standard error over seeds: the target, checkpoint chosen \
                 by training-domain validation; diamonds: the target, checkpoint chosen by the \
                 target oracle."
            ),
            rows: summaries.iter().map(|row| view(sweep, row)).collect(),
        }
    }
}

/// The cells of a ground with few samples and those with enough.
fn divided<'a>(sweep: &'a Sweep<'_>, ground: Ground) -> (Vec<&'a Cell>, Vec<&'a Cell>) {
    let cells = sweep.table.cells().into_iter();
    cells
        .filter(|cell| ground.has(cell))
        .partition(|cell| sweep.table.has_few_samples(cell))
}

/// Why some cells are not in the means.
pub(crate) fn left_out(few: &[&Cell]) -> String {
    let named: Vec<String> = few.iter().map(|cell| text::cell(cell)).collect();
    if named.is_empty() {
        return String::new();
    }
    format!(
        "Left out of every mean, test and rank, because some seed scores fewer than \
         {LEAST_PER_CLASS} target samples of a class, or {LEAST_IMAGES} where there are no classes: \
         {}.",
        text::list(&named)
    )
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
        metric: text::metric(sweep.metric()),
        chance: sweep
            .chance()
            .filter(|_| matches!(sweep.metric(), "auroc" | "accuracy")),
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
        gap: text::signed(row.gap),
        cells: row.cells,
        seeds: match row.seeds {
            (least, most) if least == most => most.to_string(),
            (least, most) => format!("{least}–{most}"),
        },
        diverged: diverged(sweep, row.diverged, row.at_chance),
    }
}

/// Runs that diverged, and how many seeds are scored as chance for it.
pub(crate) fn diverged(sweep: &Sweep<'_>, runs: usize, at_chance: usize) -> String {
    match at_chance {
        0 => runs.to_string(),
        n => match sweep.chance() {
            Some(chance) => format!("{runs} ({n} scored as {chance})"),
            None => format!("{runs} ({n} scored as chance)"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means 0.6 and 0.8; standard errors 0.03 and 0.04 give √(0.0025)/2.
    #[test]
    fn an_average_over_cells_by_hand() {
        let cell = |mean, standard_error| Estimate {
            mean,
            standard_error,
            seeds: 3,
        };
        let (a, b) = (cell(0.6, Some(0.03)), cell(0.8, Some(0.04)));
        let two = average([&a, &b].into_iter()).unwrap();
        assert!((two.mean - 0.7).abs() < 1e-12);
        assert!((two.standard_error.unwrap() - 0.025).abs() < 1e-12);
        let single = average([&a, &cell(0.8, None)].into_iter()).unwrap();
        assert_eq!(single.standard_error, None);
        assert_eq!(average([].into_iter()), None);
    }
}
