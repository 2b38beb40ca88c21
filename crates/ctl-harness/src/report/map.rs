//! When causal transfer wins: causal minus correlation-based methods over the strength of a shift.

use std::collections::{BTreeMap, BTreeSet};

use ctl_invariance::{Family, Role};
use ctl_phantom::{CausalDirection, Dials, PhantomSpec};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::svg::{LinePlot, Series, file_name};
use super::sweep::{REFERENCE, Sweep};
use super::text;
use crate::record::Record;
use crate::vocabulary::{Selector, Shift};

/// Coverage of the intervals.
const LEVEL: f64 = 0.95;
/// Strengths that are told apart.
const RESOLUTION: f64 = 1e6;

/// The map of one shift: a figure with a line for each causal direction, and the numbers.
#[derive(Debug, Serialize)]
pub(crate) struct Map {
    shift: &'static str,
    figure: String,
    /// The figure's name where it is a file of its own.
    file: String,
    rows: Vec<MapRow>,
}

#[derive(Debug, Serialize)]
struct MapRow {
    direction: &'static str,
    strength: String,
    erm: String,
    correlation: String,
    causal: String,
    difference: String,
    seeds: usize,
}

/// A line of the map.
type Line = (Shift, &'static str);
/// Main metric on the target by seed.
type Seeds = BTreeMap<u64, f64>;
/// By strength (in units of the resolution) and method.
type Points<'a> = BTreeMap<i64, BTreeMap<&'a str, Seeds>>;

/// How far the dial of a shift is turned; for several at once, the dial of confounding.
pub(crate) fn strength(shift: Shift, dials: &Dials) -> f64 {
    match shift {
        Shift::Population => dials.population,
        Shift::Prevalence => dials.prevalence,
        Shift::Acquisition => dials.acquisition,
        Shift::Annotation => dials.annotation,
        Shift::Manifestation => dials.manifestation,
        Shift::Selection => dials.selection,
        Shift::Combined => dials.confounding,
    }
}

impl Map {
    /// One map for each shift that was run at several strengths.
    pub(crate) fn all(sweep: &Sweep<'_>) -> Vec<Self> {
        let mut lines: BTreeMap<Line, Points<'_>> = BTreeMap::new();
        for record in &sweep.records {
            let Some((phantom, value)) = score(sweep, record) else {
                continue;
            };
            let line = (record.spec.shift, name(phantom.direction));
            let at = (strength(line.0, &phantom.dials) * RESOLUTION).round() as i64;
            let method = record.spec.method.as_str();
            let methods = lines.entry(line).or_default().entry(at).or_default();
            let seeds = methods.entry(method).or_default();
            seeds.insert(record.spec.seed, value);
        }
        let several = lines.iter().filter(|(_, points)| points.len() > 1);
        let shifts: BTreeSet<Shift> = several.map(|(line, _)| line.0).collect();
        shifts
            .into_iter()
            .map(|shift| {
                let own: Vec<(&'static str, &Points<'_>)> = lines
                    .iter()
                    .filter(|(line, _)| line.0 == shift)
                    .map(|(line, points)| (line.1, points))
                    .collect();
                Self::of(sweep, shift, &own)
            })
            .collect()
    }

    /// The figure, by the name of its file.
    pub(crate) fn drawn(&self) -> (&str, &str) {
        (&self.file, &self.figure)
    }

    fn of(sweep: &Sweep<'_>, shift: Shift, lines: &[(&'static str, &Points<'_>)]) -> Self {
        let (mut rows, mut series) = (Vec::new(), Vec::new());
        for (direction, points) in lines {
            let causal = best(sweep, points, Family::is_causal);
            let other = best(sweep, points, |family| family == Family::Correlation);
            let mut curve = Vec::new();
            for (at, methods) in *points {
                let strength = *at as f64 / RESOLUTION;
                let seeds = |method: Option<&str>| method.and_then(|m| methods.get(m));
                let difference = paired(seeds(causal), seeds(other));
                if let Some((mean, half)) = difference.interval() {
                    curve.push((strength, mean, half));
                }
                rows.push(MapRow {
                    direction,
                    strength: format!("{strength:.2}"),
                    erm: shown(sweep, Some(REFERENCE), methods),
                    correlation: shown(sweep, other, methods),
                    causal: shown(sweep, causal, methods),
                    difference: difference.text(),
                    seeds: difference.0.len(),
                });
            }
            series.push(Series {
                label: (*direction).to_owned(),
                points: curve,
            });
        }
        let metric = text::metric(sweep.metric());
        Self {
            shift: shift.as_str(),
            file: file_name(&[sweep.task.as_str(), "map", shift.as_str()]),
            figure: LinePlot {
                label: format!("Causal minus correlation-based methods under {shift} shift"),
                horizontal: format!("strength of the {shift} shift"),
                vertical: format!("{metric}, causal − correlation"),
                series,
            }
            .draw(),
            rows,
        }
    }
}

/// The simulator's settings and the target figure of a run with default settings.
fn score<'a>(sweep: &Sweep<'_>, record: &'a Record) -> Option<(&'a PhantomSpec, f64)> {
    let phantom = record.spec.data.phantom()?;
    let chosen = record.selections.get(&Selector::TrainingDomain)?;
    let value = chosen.target.get(sweep.metric())?;
    (record.spec.draw == 0 && value.is_finite()).then_some((phantom, *value))
}

fn name(direction: CausalDirection) -> &'static str {
    match direction {
        CausalDirection::Causal => "causal (image → label)",
        CausalDirection::Anticausal => "anticausal (label → image)",
    }
}

/// The method of a kind with the highest mean over the whole line: one choice for all strengths,
/// so that no point is picked by its own noise.
fn best<'a>(
    sweep: &Sweep<'_>,
    points: &Points<'a>,
    wanted: impl Fn(Family) -> bool,
) -> Option<&'a str> {
    let mut sums: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for (method, seeds) in points.values().flatten() {
        let info = sweep.registry.get(method).ok()?.info();
        if info.role == Role::Oracle || !wanted(info.family) {
            continue;
        }
        let entry = sums.entry(*method).or_default();
        entry.0 += seeds.values().sum::<f64>();
        entry.1 += seeds.len();
    }
    let mean = |(sum, count): (f64, usize)| sum / count as f64;
    let most = sums.values().map(|v| v.1).max()?;
    sums.into_iter()
        .filter(|(_, v)| v.1 == most)
        .max_by(|a, b| mean(a.1).total_cmp(&mean(b.1)))
        .map(|(method, _)| method)
}

fn shown(sweep: &Sweep<'_>, method: Option<&str>, methods: &BTreeMap<&str, Seeds>) -> String {
    let Some((method, seeds)) = method.and_then(|m| Some((m, methods.get(m)?))) else {
        return text::MISSING.to_owned();
    };
    let mean = seeds.values().sum::<f64>() / seeds.len() as f64;
    format!("{} ({})", text::number(Some(mean)), sweep.name(method))
}

/// Differences of the seeds that two methods share.
struct Paired(Vec<f64>);

fn paired(a: Option<&Seeds>, b: Option<&Seeds>) -> Paired {
    let (Some(a), Some(b)) = (a, b) else {
        return Paired(Vec::new());
    };
    Paired(
        a.iter()
            .filter_map(|(seed, v)| Some(v - b.get(seed)?))
            .collect(),
    )
}

impl Paired {
    /// Mean and half width of the interval by Student's t; a single seed has no width.
    fn interval(&self) -> Option<(f64, Option<f64>)> {
        let n = self.0.len() as f64;
        if self.0.is_empty() {
            return None;
        }
        let mean = self.0.iter().sum::<f64>() / n;
        let squares: f64 = self.0.iter().map(|d| (d - mean).powi(2)).sum();
        let half = (n > 1.0).then(|| {
            let error = (squares / (n - 1.0) / n).sqrt();
            let quantile = StudentsT::new(0.0, 1.0, n - 1.0)
                .map_or(f64::INFINITY, |t| t.inverse_cdf(f64::midpoint(1.0, LEVEL)));
            quantile * error
        });
        Some((mean, half.filter(|h| h.is_finite())))
    }

    fn text(&self) -> String {
        match self.interval() {
            None => text::MISSING.to_owned(),
            Some((mean, None)) => text::signed(Some(mean)),
            Some((mean, Some(half))) => format!(
                "{} [{}, {}]",
                text::signed(Some(mean)),
                text::signed(Some(mean - half)),
                text::signed(Some(mean + half))
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Differences 1, 2, 3: mean 2, standard error 1/√3, t with 2 degrees at 97.5 % is 4.302653.
    #[test]
    fn an_interval_by_hand() {
        let (mean, half) = Paired(vec![1.0, 2.0, 3.0]).interval().unwrap();
        assert!((mean - 2.0).abs() < 1e-12);
        assert!((half.unwrap() - 4.302_653 / 3f64.sqrt()).abs() < 1e-5);
        assert_eq!(Paired(vec![0.5]).interval(), Some((0.5, None)));
        assert_eq!(Paired(Vec::new()).interval(), None);
    }

    #[test]
    fn only_shared_seeds_are_paired() {
        let a = Seeds::from([(0, 0.9), (1, 0.8)]);
        let b = Seeds::from([(1, 0.5), (2, 0.1)]);
        let found = paired(Some(&a), Some(&b)).0;
        assert!(found.len() == 1 && (found[0] - 0.3).abs() < 1e-12);
    }
}
