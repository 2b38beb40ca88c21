//! How sound the generators are that methods train on, beside what the methods come to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::contrast::{Contrast, Scores};
use super::ground::Ground;
use super::pictures::encode;
use super::sweep::{REFERENCE, Sweep, belongs};
use super::text::{self, MISSING};
use crate::Result;
use crate::record::{GeneratorScore, Record, Way};
use crate::run::strip_path;
use crate::table::Cell;
use crate::vocabulary::{Selector, Shift};

/// Generators of a task whose answers are pictured.
const MAX_STRIPS: usize = 8;
/// What methods with counterfactuals are compared with: plain training, random changes of intensity
/// that know nothing of sites, the intervention that only a simulator has, and the target itself.
const COMPARED: [(&str, &str); 4] = [
    (REFERENCE, "ERM"),
    ("gin-ipa", "GIN-IPA"),
    ("erm-unconfounded", "ERM on unconfounded sources"),
    ("erm-target", "ERM on the target"),
];

/// The section.
#[derive(Debug, Serialize)]
pub(crate) struct Generators {
    /// Heads of [`Gain::minus`].
    compared: Vec<&'static str>,
    gains: Vec<Gain>,
    each: Vec<GeneratorView>,
    /// What is not pictured.
    sentence: String,
}

/// A method under one shift, and what its generator does there.
#[derive(Debug, Serialize)]
struct Gain {
    shift: &'static str,
    ground: &'static str,
    method: String,
    target: String,
    /// Paired differences.
    minus: Vec<String>,
    mae: String,
    unchanged: String,
    carried_out: String,
}

/// One generator in one cell.
#[derive(Debug, Serialize)]
struct GeneratorView {
    title: String,
    shift: &'static str,
    /// The methods that train on it.
    methods: String,
    runs: String,
    composition: String,
    rows: Vec<WayRow>,
    strip: Option<String>,
}

/// From one source to another.
#[derive(Debug, Serialize)]
struct WayRow {
    way: String,
    images: String,
    reversibility: String,
    site: String,
    class: String,
    frechet: String,
    frechet_unchanged: String,
    mae: String,
    unchanged: String,
    ssim: String,
    carried_out: String,
}

impl Generators {
    pub(crate) fn of(
        sweep: &Sweep<'_>,
        scores: &Scores,
        notices: &mut Vec<String>,
    ) -> Result<Self> {
        let mut each = Vec::new();
        let mut runs = Vec::new();
        for cell in sweep.table.cells() {
            for (methods, records) in generators(sweep, cell) {
                // Only the first draw of settings is asked about.
                runs.push(records.iter().copied().min_by_key(|run| run.spec.seed));
                each.push(GeneratorView::of(sweep, cell, (&methods, &records)));
            }
        }
        let pictured = pictured(&each);
        for &place in &pictured {
            if let Some(run) = runs[place] {
                each[place].strip = strip(sweep, run, notices);
            }
        }
        let left = each.len() - pictured.len();
        let sentence = match left {
            0 => String::new(),
            _ => format!(
                "Strips of {} more are in the folders of the runs.",
                text::count(left, "generator")
            ),
        };
        let mut gains = Vec::new();
        for shift in SHIFTS {
            for ground in Ground::ALL {
                gains.extend(Gain::all(sweep, scores, (shift, ground))?);
            }
        }
        let known = |&(_, name): &(&str, &'static str)| name;
        Ok(Self {
            compared: COMPARED.iter().map(known).collect(),
            gains,
            each,
            sentence,
        })
    }
}

const SHIFTS: [Shift; 7] = [
    Shift::Population,
    Shift::Prevalence,
    Shift::Acquisition,
    Shift::Annotation,
    Shift::Manifestation,
    Shift::Selection,
    Shift::Combined,
];

impl Gain {
    fn all(
        sweep: &Sweep<'_>,
        scores: &Scores,
        (shift, ground): (Shift, Ground),
    ) -> Result<Vec<Self>> {
        let is_asked = |cell: &Cell| cell.shift == shift && ground.has(cell);
        let mut by_method: BTreeMap<&str, Vec<&Way>> = BTreeMap::new();
        for record in &sweep.records {
            let Some(generator) = &record.generator else {
                continue;
            };
            if sweep
                .table
                .cells()
                .into_iter()
                .any(|c| is_asked(c) && belongs(record, c))
            {
                let ways = by_method.entry(&record.spec.method).or_default();
                ways.extend(&generator.ways);
            }
        }
        let scores = scores.of_shift(shift).on(ground);
        let selector = Selector::TrainingDomain;
        let mut gains = Vec::new();
        for (method, ways) in by_method {
            let own = scores.unit_means((method, selector));
            let own = mean(own.values().map(|&value| Some(value)));
            let mut minus = Vec::new();
            for (other, _) in COMPARED {
                let found = scores.contrast((method, selector), (other, selector))?;
                minus.push(found.map_or_else(|| MISSING.to_owned(), difference));
            }
            gains.push(Self {
                shift: shift.as_str(),
                ground: ground.as_str(),
                method: sweep.name(method),
                target: text::number(own),
                minus,
                mae: levels(ways.iter().map(|way| Some(way.truth.as_ref()?.mae))),
                unchanged: levels(ways.iter().map(|way| Some(way.truth.as_ref()?.unchanged))),
                carried_out: share(ways.iter().map(|way| way.truth.as_ref()?.carried_out)),
            });
        }
        Ok(gains)
    }
}

/// A paired difference with its standard error and the units behind it.
fn difference(found: Contrast) -> String {
    let value = text::signed(Some(found.difference));
    let count = found.units.count();
    match found.standard_error {
        Some(error) => format!("{value} ± {error:.3} (n = {count})"),
        None => format!("{value} (n = {count})"),
    }
}

/// The methods of a cell with their records, those together whose generators have the same figures in
/// every run.
fn generators<'a>(sweep: &'a Sweep<'_>, cell: &Cell) -> Vec<(Vec<&'a str>, Vec<&'a Record>)> {
    let mut by_method: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in sweep.records.iter().filter(|r| belongs(r, cell)) {
        if record.generator.is_some() {
            let own = by_method.entry(record.spec.method.as_str()).or_default();
            own.push(record);
        }
    }
    let figures = |records: &[&Record]| -> Vec<(u64, Option<GeneratorScore>)> {
        let of = |r: &&Record| (r.spec.seed, r.generator.clone());
        records.iter().map(of).collect()
    };
    let mut groups: Vec<(Vec<&str>, Vec<&Record>)> = Vec::new();
    for (method, records) in by_method {
        let alike = |group: &&mut (Vec<&str>, Vec<&Record>)| figures(&group.1) == figures(&records);
        match groups.iter_mut().find(alike) {
            Some(group) => group.0.push(method),
            None => groups.push((vec![method], records)),
        }
    }
    groups
}

/// Places of those that are pictured: the first of every shift, then the others.
fn pictured(each: &[GeneratorView]) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let (first, later): (Vec<usize>, Vec<usize>) =
        (0..each.len()).partition(|&place| seen.insert(each[place].shift));
    first.into_iter().chain(later).take(MAX_STRIPS).collect()
}

impl GeneratorView {
    fn of(sweep: &Sweep<'_>, cell: &Cell, (methods, records): (&[&str], &[&Record])) -> Self {
        let scores: Vec<&GeneratorScore> = records
            .iter()
            .filter_map(|record| record.generator.as_ref())
            .collect();
        let mut by_way: BTreeMap<(&str, &str), Vec<&Way>> = BTreeMap::new();
        for way in scores.iter().flat_map(|score| &score.ways) {
            let key = (way.from.as_str(), way.to.as_str());
            by_way.entry(key).or_default().push(way);
        }
        let rows = by_way.into_iter().map(|((from, to), ways)| {
            let of = |figure: fn(&Way) -> Option<f64>| ways.iter().map(move |way| figure(way));
            let images = mean(of(|way| Some(way.images as f64)));
            WayRow {
                way: format!("{from} to {to}"),
                images: images.map_or_else(|| MISSING.to_owned(), |count| format!("{count:.0}")),
                reversibility: levels(of(|way| Some(way.reversibility))),
                site: read(&ways, "environment"),
                class: read(&ways, "class"),
                frechet: levels(of(|way| way.frechet)),
                frechet_unchanged: levels(of(|way| way.frechet_unchanged)),
                mae: levels(of(|way| Some(way.truth.as_ref()?.mae))),
                unchanged: levels(of(|way| Some(way.truth.as_ref()?.unchanged))),
                ssim: text::number(mean(of(|way| Some(way.truth.as_ref()?.ssim)))),
                carried_out: share(of(|way| way.truth.as_ref()?.carried_out)),
            }
        });
        let names: Vec<String> = methods.iter().map(|method| sweep.name(method)).collect();
        let ran = sweep.records.iter().filter(|record| {
            record.spec.method == methods[0] && record.spec.draw == 0 && belongs(record, cell)
        });
        let (scored, ran) = (scores.len(), ran.count());
        Self {
            title: text::cell(cell),
            shift: cell.shift.as_str(),
            methods: text::list(&names),
            runs: if scored == ran {
                text::count(scored, "run")
            } else {
                format!("{scored} of {}", text::count(ran, "run"))
            },
            composition: levels(scores.iter().map(|score| Some(score.composition))),
            rows: rows.collect(),
            strip: None,
        }
    }
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

/// A share, as a percentage.
fn share(values: impl Iterator<Item = Option<f64>>) -> String {
    mean(values).map_or_else(
        || MISSING.to_owned(),
        |value| format!("{:.0} %", 100.0 * value),
    )
}

/// The share of answers that are read as they should be, of true counterfactuals, and of facts.
fn read(ways: &[&Way], attribute: &str) -> String {
    let right = |misread: &BTreeMap<String, f64>| misread.get(attribute).map(|wrong| 1.0 - wrong);
    let answers = share(ways.iter().map(|way| right(&way.misread)));
    let truth = share(ways.iter().map(|way| right(&way.truth.as_ref()?.misread)));
    let facts = share(ways.iter().map(|way| right(&way.misread_facts)));
    if answers == MISSING {
        return answers;
    }
    format!("{answers} ({truth}, {facts})")
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
