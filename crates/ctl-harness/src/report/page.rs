//! The whole report as data for the templates.

use serde::Serialize;

use super::cells::CellView;
use super::contrast::Scores;
use super::diagnostics::Diagnosis;
use super::overview::{Overview, terminal_rows};
use super::pictures::Album;
use super::ranks::Ranks;
use super::sweep::Sweep;
use super::taxonomy::Grid;
use super::text;
use super::verdict::Verdict;
use crate::Result;
use crate::sweep::SweepInfo;

/// What both templates print.
#[derive(Debug, Serialize)]
pub(crate) struct Page<'a> {
    info: &'a SweepInfo,
    version: &'static str,
    metric: String,
    status: Status,
    verdict: Verdict,
    overviews: Vec<Overview>,
    grid: Grid,
    cells: Vec<CellView>,
    ranks: Ranks,
    diagnoses: Vec<Diagnosis>,
    albums: Vec<Album>,
    notices: Vec<String>,
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
    pub(crate) fn of(sweep: &'a Sweep<'_>) -> Result<Self> {
        let scores = Scores::of(&sweep.records, sweep.registry);
        let summaries = terminal_rows(&sweep.table);
        let mut notices = notices(sweep);
        let diagnoses = Diagnosis::all(sweep, &mut notices);
        let albums = Album::all(sweep, &mut notices)?;
        Ok(Self {
            info: &sweep.info,
            version: env!("CARGO_PKG_VERSION"),
            metric: text::metric(sweep.table.main_metric),
            status: Status::of(sweep),
            verdict: Verdict::of(sweep, &scores, &summaries)?,
            overviews: Overview::all(sweep, &summaries),
            grid: Grid::of(sweep),
            cells: CellView::all(sweep),
            ranks: Ranks::of(sweep, &scores)?,
            diagnoses,
            albums,
            notices,
        })
    }
}

impl Status {
    fn of(sweep: &Sweep<'_>) -> Self {
        let (planned, missing) = (sweep.info.runs.len(), sweep.missing());
        let are = if missing == 1 { "is" } else { "are" };
        let unfinished = format!(
            "This sweep is unfinished: {missing} of {} {are} missing, and every figure below is \
             from what there is.",
            text::count(planned, "planned run"),
        );
        Self {
            planned,
            recorded: sweep.records.len(),
            missing,
            diverged: sweep.diverged(),
            unfinished: if missing > 0 {
                unfinished
            } else {
                String::new()
            },
        }
    }
}

fn notices(sweep: &Sweep<'_>) -> Vec<String> {
    let unknown = sweep.unknown_methods();
    unknown
        .into_iter()
        .map(|method| format!("Runs of {method} are left out: the registry has no such method."))
        .collect()
}
