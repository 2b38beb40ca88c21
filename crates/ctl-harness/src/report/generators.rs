//! How sound the counterfactuals are that methods train on, beside what the methods come to.

use std::collections::BTreeMap;

use ctl_counterfactual::Realism;
use serde::Serialize;

use super::pictures::encode;
use super::sweep::{REFERENCE, Sweep, belongs};
use super::text::{self, MISSING};
use crate::record::{GeneratorScore, Record, TrueCounterfactuals, Way};
use crate::run::strip_path;
use crate::table::Cell;
use crate::vocabulary::Selector;

/// Generators of a task whose answers are pictured.
const MAX_STRIPS: usize = 8;

/// One generator in one cell.
#[derive(Debug, Serialize)]
pub(crate) struct GeneratorView {
    title: String,
    /// The methods that train on it, with what they come to on the target.
    methods: Vec<String>,
    runs: String,
    composition: String,
    rows: Vec<WayRow>,
    strip: Option<String>,
}

/// From one source to another.
#[derive(Debug, Serialize)]
struct WayRow {
    way: String,
    images: usize,
    reversibility: String,
    site: String,
    class: String,
    frechet: String,
    mae: String,
    unchanged: String,
    ssim: String,
    carried_out: String,
}

impl GeneratorView {
    /// Those of all cells; methods whose generators have the same figures in every run share one.
    pub(crate) fn all(sweep: &Sweep<'_>, notices: &mut Vec<String>) -> Vec<Self> {
        let mut views = Vec::new();
        for cell in sweep.table.cells() {
            let mut by_method: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
            for record in sweep.records.iter().filter(|r| belongs(r, cell)) {
                if record.generator.is_some() {
                    let own = by_method.entry(record.spec.method.as_str()).or_default();
                    own.push(record);
                }
            }
            let mut groups: Vec<(Vec<&str>, Vec<&Record>)> = Vec::new();
            for (method, records) in by_method {
                let alike = |group: &&mut (Vec<&str>, Vec<&Record>)| {
                    let scores = |records: &[&Record]| -> Vec<(u64, u64, Option<GeneratorScore>)> {
                        let of = |r: &&Record| (r.spec.seed, r.spec.draw, r.generator.clone());
                        records.iter().map(of).collect()
                    };
                    scores(&group.1) == scores(&records)
                };
                match groups.iter_mut().find(alike) {
                    Some(group) => group.0.push(method),
                    None => groups.push((vec![method], records)),
                }
            }
            for (methods, records) in groups {
                let is_pictured = views.len() < MAX_STRIPS;
                views.push(Self::of(sweep, cell, (&methods, &records)));
                let first = methods
                    .first()
                    .and_then(|method| sweep.first_run(cell, method));
                if let (true, Some(run), Some(view)) = (is_pictured, first, views.last_mut()) {
                    view.strip = strip(sweep, run, notices);
                }
            }
        }
        views
    }

    fn of(sweep: &Sweep<'_>, cell: &Cell, (methods, records): (&[&str], &[&Record])) -> Self {
        let scores: Vec<&GeneratorScore> = records
            .iter()
            .filter_map(|record| record.generator.as_ref())
            .collect();
        let mut by_way: BTreeMap<(&str, &str), Vec<(&GeneratorScore, &Way)>> = BTreeMap::new();
        for score in &scores {
            for way in &score.ways {
                let key = (way.from.as_str(), way.to.as_str());
                by_way.entry(key).or_default().push((score, way));
            }
        }
        let rows = by_way.into_iter().map(|((from, to), ways)| WayRow {
            way: format!("{from} to {to}"),
            images: ways.iter().map(|(_, way)| way.images).sum(),
            reversibility: levels(ways.iter().map(|(_, way)| Some(way.reversibility))),
            site: read(&ways, "environment"),
            class: read(&ways, "class"),
            frechet: levels(ways.iter().map(|(_, way)| Some(frechet(&way.realism)))),
            mae: levels(ways.iter().map(|(_, way)| Some(way.truth?.mae))),
            unchanged: levels(ways.iter().map(|(_, way)| Some(way.truth?.unchanged))),
            ssim: text::number(mean(ways.iter().map(|(_, way)| Some(way.truth?.ssim)))),
            carried_out: text::number(mean(ways.iter().map(|(_, way)| carried_out(way.truth)))),
        });
        let plain = target(sweep, cell, REFERENCE);
        let outcome = |method: &&str| {
            let own = target(sweep, cell, method);
            let gain = own.zip(plain).map(|(own, plain)| own - plain);
            let (own, gain) = (text::number(own), text::signed(gain));
            format!("{} {own} ({gain})", sweep.name(method))
        };
        Self {
            title: text::cell(cell),
            methods: methods.iter().map(outcome).collect(),
            runs: text::count(scores.len(), "run"),
            composition: levels(scores.iter().map(|score| Some(score.composition))),
            rows: rows.collect(),
            strip: None,
        }
    }
}

/// The main figure of a method on the target.
fn target(sweep: &Sweep<'_>, cell: &Cell, method: &str) -> Option<f64> {
    let lines = sweep.table.lines_of(cell, Selector::TrainingDomain);
    let line = lines.into_iter().find(|line| line.method == method)?;
    Some(line.target.get(sweep.metric())?.mean)
}

/// Where one figure is missing there is no mean.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Grey levels, or a distance, with two decimals.
fn levels(values: impl Iterator<Item = Option<f64>>) -> String {
    mean(values).map_or_else(|| MISSING.to_owned(), |value| format!("{value:.2}"))
}

fn carried_out(truth: Option<TrueCounterfactuals>) -> Option<f64> {
    truth?.carried_out
}

fn frechet(realism: &Realism) -> f64 {
    realism.frechet
}

/// The share of answers that are read as they should be, and that of facts.
fn read(ways: &[(&GeneratorScore, &Way)], attribute: &str) -> String {
    let right = |misread: &BTreeMap<String, f64>| misread.get(attribute).map(|wrong| 1.0 - wrong);
    let answers = mean(ways.iter().map(|(_, way)| right(&way.misread)));
    let facts = mean(ways.iter().map(|(score, _)| right(&score.misread)));
    match (answers, facts) {
        (Some(answers), Some(facts)) => format!("{answers:.2} ({facts:.2})"),
        _ => MISSING.to_owned(),
    }
}

/// The picture of a run's answers, where it kept one.
fn strip(sweep: &Sweep<'_>, run: &Record, notices: &mut Vec<String>) -> Option<String> {
    let path = strip_path(&sweep.layout.run(&run.spec.folder()));
    let (Some(folder), true) = (path.parent(), path.exists()) else {
        return None;
    };
    let name = path.file_name()?.to_str()?;
    match encode(folder, name) {
        Ok(uri) => Some(uri),
        Err(why) => {
            let folder = run.spec.folder();
            notices.push(format!("counterfactuals of {folder} are not shown: {why}"));
            None
        }
    }
}
