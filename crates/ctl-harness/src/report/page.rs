//! The whole report as data for the templates.

use std::collections::BTreeSet;

use serde::Serialize;

use super::cells::CellView;
use super::contrast::Scores;
use super::diagnostics::Diagnosis;
use super::generators::Generators;
use super::licences::Licences;
use super::map::Map;
use super::overview::{Overview, terminal_rows};
use super::pictures::{Album, StripView};
use super::ranks::Ranks;
use super::selectors::{Selectors, unequal_budgets};
use super::sweep::Sweep;
use super::taxonomy::Grid;
use super::text;
use super::verdict::Verdict;
use crate::Result;
use crate::sweep::SweepInfo;
use crate::vocabulary::Task;

/// What both templates print.
#[derive(Debug, Serialize)]
pub(crate) struct Page<'a> {
    info: &'a SweepInfo,
    version: &'static str,
    status: Status,
    chapters: Vec<Chapter>,
    grid: Grid,
    albums: Vec<Album>,
    notices: Vec<String>,
}

/// One task.
#[derive(Debug, Serialize)]
struct Chapter {
    task: &'static str,
    title: &'static str,
    metric: String,
    verdict: Verdict,
    overviews: Vec<Overview>,
    selectors: Vec<Selectors>,
    maps: Vec<Map>,
    licences: Licences,
    generators: Generators,
    cells: Vec<CellView>,
    ranks: Ranks,
    diagnoses: Vec<Diagnosis>,
    strips: Vec<StripView>,
}

/// How far the sweep is.
#[derive(Debug, Serialize)]
struct Status {
    planned: usize,
    recorded: usize,
    missing: usize,
    diverged: usize,
    /// Empty when all planned runs have a record.
    unfinished: String,
}

impl<'a> Page<'a> {
    pub(crate) fn of(sweeps: &'a [Sweep<'_>]) -> Result<Self> {
        // A sweep always has a chapter, even where it has no record.
        let first = &sweeps[0];
        let mut notices = notices(sweeps);
        let mut chapters = Vec::new();
        for sweep in sweeps {
            chapters.push(Chapter::of(sweep, &mut notices)?);
        }
        Ok(Self {
            info: &first.info,
            version: env!("CARGO_PKG_VERSION"),
            status: Status::of(sweeps),
            chapters,
            grid: Grid::of(sweeps),
            albums: Album::all(first, &mut notices)?,
            notices,
        })
    }

    /// Figures that a page without pictures names as files.
    pub(crate) fn drawn(&self) -> impl Iterator<Item = (&str, &str)> {
        self.chapters.iter().flat_map(Chapter::drawn)
    }
}

impl Chapter {
    /// Figures that a page without pictures names as files.
    fn drawn(&self) -> impl Iterator<Item = (&str, &str)> {
        let overviews = self.overviews.iter().map(Overview::drawn);
        let maps = self.maps.iter().map(Map::drawn);
        overviews.chain(maps).chain(self.ranks.drawn())
    }

    fn of(sweep: &Sweep<'_>, notices: &mut Vec<String>) -> Result<Self> {
        let scores = Scores::of(&sweep.records, sweep.registry);
        let summaries = terminal_rows(&sweep.table);
        let labels = matches!(sweep.task, Task::Classification | Task::Multimodal);
        Ok(Self {
            task: sweep.task.as_str(),
            title: title(sweep.task),
            metric: text::metric(sweep.metric()),
            verdict: Verdict::of(sweep, &scores, &summaries)?,
            overviews: Overview::all(sweep, &summaries),
            selectors: Selectors::all(sweep, &summaries),
            maps: Map::all(sweep),
            licences: Licences::of(sweep, &scores)?,
            generators: Generators::of(sweep, &scores, notices)?,
            cells: CellView::all(sweep),
            ranks: Ranks::of(sweep, &scores)?,
            diagnoses: if labels {
                Diagnosis::all(sweep, notices)
            } else {
                Vec::new()
            },
            strips: StripView::all(sweep, notices),
        })
    }
}

fn title(task: Task) -> &'static str {
    match task {
        Task::Segmentation => "Segmentation",
        Task::Reconstruction => "Reconstruction",
        Task::Anomaly => "Anomaly detection",
        Task::Multimodal => "Multimodal prediction",
        _ => "Classification",
    }
}

impl Status {
    fn of(sweeps: &[Sweep<'_>]) -> Self {
        let planned = sweeps[0].info.runs.len();
        let recorded: usize = sweeps.iter().map(|sweep| sweep.all_records().count()).sum();
        let missing = planned - recorded;
        let are = if missing == 1 { "is" } else { "are" };
        let unfinished = format!(
            "This sweep is unfinished: {missing} of {} {are} missing, and every figure below is \
             from what there is.",
            text::count(planned, "planned run"),
        );
        Self {
            planned,
            recorded,
            missing,
            diverged: sweeps.iter().map(Sweep::diverged).sum(),
            unfinished: if missing > 0 {
                unfinished
            } else {
                String::new()
            },
        }
    }
}

fn notices(sweeps: &[Sweep<'_>]) -> Vec<String> {
    let unknown = sweeps.iter().flat_map(Sweep::unknown_methods);
    let unknown: BTreeSet<&str> = unknown.collect();
    unknown
        .into_iter()
        .map(|method| format!("Runs of {method} are left out: the registry has no such method."))
        .chain(sweeps.iter().flat_map(unequal_budgets))
        .collect()
}
