//! The figures of one site.

use std::collections::BTreeSet;

use ctl_imaging::{AttributeKind, AttributeValue, Cohort, ImageStore, Record, Split};
use serde::Serialize;

use crate::Result;

/// Images that are decoded at once.
const BATCH: usize = 256;
/// Two-sided 95 % of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// One site of a cohort.
#[derive(Debug, Clone, Serialize)]
pub struct SiteStats {
    /// Its name.
    pub site: String,
    /// Rows of the manifest.
    pub images: usize,
    /// Patients among them.
    pub patients: usize,
    /// Rows without a label.
    pub unlabelled: usize,
    /// Every class among the labelled rows; empty where none is labelled.
    pub prevalence: Vec<Share>,
    /// Rows of each split that the manifest names.
    pub splits: Vec<Share>,
    /// Pixels down.
    pub height: Range,
    /// Pixels across.
    pub width: Range,
    /// Millimetres of a pixel, where the cohort says it.
    pub pixel_mm: Option<f64>,
    /// Brightness.
    pub intensity: Intensity,
    /// Columns that models may take: level by level, or numbers by their quartiles.
    pub attributes: Vec<Column>,
}

/// How many of a kind there are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// The kind.
    pub name: String,
    /// Rows of it.
    pub count: usize,
    /// Its part of all, 0 to 1.
    pub share: f64,
    /// Wilson's 95 % interval of the share.
    pub interval: [f64; 2],
}

/// Least, median and greatest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// Least.
    pub least: f64,
    /// Half of all are at most this.
    pub median: f64,
    /// Greatest.
    pub greatest: f64,
}

/// Brightness of the images of a site, in the range in which they are read (0 to 1 for integers).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Intensity {
    /// Mean over images of their means.
    pub mean: f64,
    /// Standard deviation over images of their means.
    pub spread: f64,
    /// Mean over images of the standard deviation of their pixels.
    pub contrast: f64,
}

/// A column that models may take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// Its header.
    pub name: String,
    /// Rows where it is empty.
    pub missing: usize,
    /// Each level, of a column of words.
    pub levels: Vec<Share>,
    /// Quartiles, of a column of numbers with at least one.
    pub quartiles: Option<[f64; 3]>,
}

/// What was seen of one image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) mean: f64,
    deviation: f64,
    size: [usize; 2],
}

/// Looks at every image of a cohort, in its order.
pub(super) fn look(store: &ImageStore) -> Result<Vec<Look>> {
    let all: Vec<usize> = (0..store.cohort().len()).collect();
    let mut looks = Vec::with_capacity(all.len());
    for batch in all.chunks(BATCH) {
        for (&index, image) in batch.iter().zip(store.load(batch)?) {
            let samples: Vec<f64> = image.samples().iter().copied().map(f64::from).collect();
            let (mean, deviation) = moments(&samples);
            looks.push(Look {
                mean,
                deviation,
                size: store.source_size(index)?,
            });
        }
    }
    Ok(looks)
}

pub(super) fn describe(cohort: &Cohort, looks: &[Look]) -> Vec<SiteStats> {
    let of_site = |site: usize| {
        let rows = cohort.records().iter().zip(looks);
        rows.filter(move |(record, _)| record.site == site)
    };
    let sites = cohort.sites().iter().enumerate();
    sites
        .map(|(site, name)| {
            let records: Vec<&Record> = of_site(site).map(|(record, _)| record).collect();
            let looks: Vec<Look> = of_site(site).map(|(_, look)| *look).collect();
            one(cohort, name, &records, &looks)
        })
        .collect()
}

fn one(cohort: &Cohort, name: &str, records: &[&Record], looks: &[Look]) -> SiteStats {
    let labels: Vec<usize> = records.iter().filter_map(|record| record.label).collect();
    let splits: Vec<&str> = records
        .iter()
        .filter_map(|record| record.split.map(split_name))
        .collect();
    let side = |axis: usize| looks.iter().map(|look| look.size[axis] as f64).collect();
    let means: Vec<f64> = looks.iter().map(|look| look.mean).collect();
    let deviations: Vec<f64> = looks.iter().map(|look| look.deviation).collect();
    let (mean, spread) = moments(&means);
    SiteStats {
        site: name.to_owned(),
        images: records.len(),
        patients: patients(records.iter().copied()),
        unlabelled: records.len() - labels.len(),
        prevalence: shares(cohort.classes(), &labels),
        splits: named_shares(&splits),
        height: range(side(0)),
        width: range(side(1)),
        pixel_mm: cohort.pixel_mm(),
        intensity: Intensity {
            mean,
            spread,
            contrast: moments(&deviations).0,
        },
        attributes: columns(cohort, records),
    }
}

fn columns(cohort: &Cohort, records: &[&Record]) -> Vec<Column> {
    let inputs = cohort.attribute_inputs().iter().enumerate();
    inputs
        .map(|(position, input)| {
            let values = records.iter().map(|record| record.attributes[position]);
            let mut column = Column {
                name: input.name.clone(),
                missing: 0,
                levels: Vec::new(),
                quartiles: None,
            };
            let (mut numbers, mut levels) = (Vec::new(), Vec::new());
            for value in values {
                match value {
                    AttributeValue::Number(number) => numbers.push(number),
                    AttributeValue::Level(level) => levels.push(level),
                    _ => column.missing += 1,
                }
            }
            if let AttributeKind::Categorical { levels: names } = &input.kind {
                column.levels = shares(names, &levels);
            }
            column.quartiles = quartiles(numbers);
            column
        })
        .collect()
}

fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

/// Distinct patients.
pub(super) fn patients<'a>(records: impl IntoIterator<Item = &'a Record>) -> usize {
    let all: BTreeSet<&str> = records
        .into_iter()
        .map(|record| record.patient.as_str())
        .collect();
    all.len()
}

/// Every name's share of what was found; nothing where nothing was.
fn shares(names: &[String], found: &[usize]) -> Vec<Share> {
    if found.is_empty() {
        return Vec::new();
    }
    let names = names.iter().enumerate();
    names
        .map(|(index, name)| {
            let count = found.iter().filter(|&&other| other == index).count();
            share(name, count, found.len())
        })
        .collect()
}

fn named_shares(found: &[&str]) -> Vec<Share> {
    let mut names: Vec<&str> = Vec::new();
    for name in found {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let count = |name: &str| found.iter().filter(|&&other| other == name).count();
    names
        .iter()
        .map(|name| share(name, count(name), found.len()))
        .collect()
}

fn share(name: &str, count: usize, all: usize) -> Share {
    Share {
        name: name.to_owned(),
        count,
        share: count as f64 / all as f64,
        interval: wilson(count, all),
    }
}

/// Wilson (1927): `(p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n)`.
fn wilson(count: usize, all: usize) -> [f64; 2] {
    let n = all as f64;
    let p = count as f64 / n;
    let z2 = Z95 * Z95;
    let centre = p + z2 / (2.0 * n);
    let reach = Z95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    [-reach, reach].map(|reach| ((centre + reach) / (1.0 + z2 / n)).clamp(0.0, 1.0))
}

/// Mean and standard deviation (of the population); NaN without values.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    (mean, (squares.sum::<f64>() / n).sqrt())
}

fn range(mut values: Vec<f64>) -> Range {
    values.sort_by(f64::total_cmp);
    Range {
        least: values.first().copied().unwrap_or(f64::NAN),
        median: quantile(&values, 0.5),
        greatest: values.last().copied().unwrap_or(f64::NAN),
    }
}

/// The three quartiles; `None` without values.
pub(super) fn quartiles(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| [0.25, 0.5, 0.75].map(|part| quantile(&values, part)))
}

/// Hyndman and Fan's seventh definition, of sorted values.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = part * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_with_wilsons_interval() {
        // 10 of 20: centre (0.5 + 0.09604) / 1.19207 = 0.5, reach 1.95996·√(0.0125 + 0.0024009)
        // / 1.19207 = 0.20070.
        let [low, high] = wilson(10, 20);
        assert!((low - 0.299_298).abs() < 1e-5 && (high - 0.700_702).abs() < 1e-5);
        // None of many is near nothing, but not nothing.
        let [low, high] = wilson(0, 100);
        assert!(low < 1e-12 && (high - 0.036_994).abs() < 1e-5);
    }

    #[test]
    fn quartiles_lie_between_values() {
        assert_eq!(quartiles(vec![4.0, 1.0, 3.0, 2.0]), Some([1.75, 2.5, 3.25]));
        assert_eq!(quartiles(vec![7.0]), Some([7.0; 3]));
        assert_eq!(quartiles(Vec::new()), None);
    }
}
