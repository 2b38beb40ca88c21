//! The figures of one site.

use std::collections::{BTreeMap, BTreeSet};

use ctl_imaging::{Cohort, Record, Split};
use serde::Serialize;

use super::levels::{Columns, Levels};
use super::look::Look;

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
    /// Every class among the labelled rows, of many the rarest together; empty where none is
    /// labelled, and where labels are numbers.
    pub prevalence: Vec<Share>,
    /// Quartiles of labels that are numbers.
    pub label_quartiles: Option<[f64; 3]>,
    /// Rows of each split that the manifest names.
    pub splits: Vec<Share>,
    /// Pixels down.
    pub height: Range,
    /// Pixels across.
    pub width: Range,
    /// Millimetres between pixels down and across, where they are known.
    pub spacing: Vec<Range>,
    /// Brightness; `None` where no image has a finite pixel.
    pub intensity: Option<Intensity>,
    /// Images some of whose pixels are NaN or infinite.
    pub not_finite: usize,
    /// Images all of whose pixels are so.
    pub blank: usize,
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
    /// Wilson's 95 % interval of the share. Images of one patient are not independent: it is that
    /// of `(Σn)² / Σn²` draws, n being the images of each patient (Kish 1965, section 8.2), as many
    /// as there are patients where all have equally many.
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
/// Pixels that are NaN or infinite are left out.
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

/// The figures of every site.
pub(super) fn describe(cohort: &Cohort, columns: &Columns, looks: &[Look]) -> Vec<SiteStats> {
    let mut rows_of = vec![Vec::new(); cohort.sites().len()];
    for (row, record) in cohort.records().iter().enumerate() {
        rows_of[record.site].push(row);
    }
    let sites = cohort.sites().iter().zip(rows_of);
    sites
        .map(|(name, rows)| {
            let rows = Rows { cohort, rows };
            rows.described(name, columns, looks)
        })
        .collect()
}

/// Rows of one site.
struct Rows<'a> {
    cohort: &'a Cohort,
    rows: Vec<usize>,
}

impl Rows<'_> {
    fn described(&self, name: &str, columns: &Columns, looks: &[Look]) -> SiteStats {
        let looks: Vec<&Look> = self.rows.iter().map(|&row| &looks[row]).collect();
        let side = |axis: usize| looks.iter().map(|look| look.size[axis] as f64).collect();
        let labels = &columns.label.codes;
        let spacings: Vec<[f64; 2]> = looks.iter().filter_map(|look| look.spacing).collect();
        let spacing = |axis: usize| range(spacings.iter().map(|spacing| spacing[axis]).collect());
        SiteStats {
            site: name.to_owned(),
            images: self.rows.len(),
            patients: patients(self.rows.iter().map(|&row| &self.cohort.records()[row])),
            unlabelled: self
                .rows
                .iter()
                .filter(|&&row| labels[row].is_none())
                .count(),
            prevalence: self.levels(&columns.label),
            label_quartiles: self.quartiles(&columns.label),
            splits: self.splits(),
            height: range(side(0)),
            width: range(side(1)),
            spacing: if spacings.is_empty() {
                Vec::new()
            } else {
                vec![spacing(0), spacing(1)]
            },
            intensity: intensity(&looks),
            not_finite: looks.iter().filter(|look| look.not_finite).count(),
            blank: looks.iter().filter(|look| look.intensity.is_none()).count(),
            attributes: columns
                .inputs
                .iter()
                .map(|input| self.column(input))
                .collect(),
        }
    }

    fn column(&self, input: &Levels) -> Column {
        let missing = self.rows.iter().filter(|&&row| input.codes[row].is_none());
        Column {
            name: input.name.clone(),
            missing: missing.count(),
            levels: self.levels(input),
            quartiles: self.quartiles(input),
        }
    }

    /// Shares of a column of words.
    fn levels(&self, column: &Levels) -> Vec<Share> {
        if column.are_numbers() {
            return Vec::new();
        }
        self.shares(&column.names, |row| {
            column.codes[row].map(|code| code as usize)
        })
    }

    fn quartiles(&self, column: &Levels) -> Option<[f64; 3]> {
        if !column.are_numbers() {
            return None;
        }
        quartiles(
            self.rows
                .iter()
                .filter_map(|&row| column.numbers[row])
                .collect(),
        )
    }

    /// Of the splits that occur.
    fn splits(&self) -> Vec<Share> {
        let all = [Split::Train, Split::Validation, Split::Test];
        let names = ["train", "validation", "test"].map(str::to_owned);
        let of = |row: usize| {
            let split = self.cohort.records()[row].split?;
            all.iter().position(|&other| other == split)
        };
        let mut shares = self.shares(&names, of);
        shares.retain(|share| share.count > 0);
        shares
    }

    /// Every name's share of the rows that have one; nothing where none has.
    fn shares(&self, names: &[String], of: impl Fn(usize) -> Option<usize>) -> Vec<Share> {
        let mut counts = vec![0_usize; names.len()];
        let mut images: BTreeMap<&str, usize> = BTreeMap::new();
        for &row in &self.rows {
            if let Some(name) = of(row) {
                counts[name] += 1;
                let patient = self.cohort.records()[row].patient.as_str();
                *images.entry(patient).or_default() += 1;
            }
        }
        let all: usize = counts.iter().sum();
        if all == 0 {
            return Vec::new();
        }
        let draws = independent(images.values().copied());
        let names = names.iter().zip(counts);
        names
            .map(|(name, count)| {
                let share = count as f64 / all as f64;
                Share {
                    name: name.clone(),
                    count,
                    share,
                    interval: wilson(share, draws),
                }
            })
            .collect()
    }
}

fn intensity(looks: &[&Look]) -> Option<Intensity> {
    let seen: Vec<(f64, f64)> = looks.iter().filter_map(|look| look.intensity).collect();
    if seen.is_empty() {
        return None;
    }
    let means: Vec<f64> = seen.iter().map(|look| look.0).collect();
    let deviations: Vec<f64> = seen.iter().map(|look| look.1).collect();
    let (mean, spread) = moments(&means);
    Some(Intensity {
        mean,
        spread,
        contrast: moments(&deviations).0,
    })
}

/// Distinct patients.
pub(super) fn patients<'a>(records: impl IntoIterator<Item = &'a Record>) -> usize {
    let all: BTreeSet<&str> = records
        .into_iter()
        .map(|record| record.patient.as_str())
        .collect();
    all.len()
}

/// As how many independent draws images count whose patients have this many each:
/// `(Σn)² / Σn²`, what is left when a patient's images all say the same (Kish 1965).
fn independent(images: impl Iterator<Item = usize>) -> f64 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for count in images {
        sum += count as f64;
        squares += (count as f64).powi(2);
    }
    sum * sum / squares
}

/// Wilson (1927): `(p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n)`.
fn wilson(p: f64, n: f64) -> [f64; 2] {
    let z2 = Z95 * Z95;
    let centre = p + z2 / (2.0 * n);
    let reach = Z95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    [-reach, reach].map(|reach| ((centre + reach) / (1.0 + z2 / n)).clamp(0.0, 1.0))
}

/// Mean and standard deviation (of the population); NaN without values.
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
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
pub(super) fn quantile(sorted: &[f64], part: f64) -> f64 {
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
        let [low, high] = wilson(0.5, 20.0);
        assert!((low - 0.299_298).abs() < 1e-5 && (high - 0.700_702).abs() < 1e-5);
        // None of many is near nothing, but not nothing.
        let [low, high] = wilson(0.0, 100.0);
        assert!(low < 1e-12 && (high - 0.036_994).abs() < 1e-5);
    }

    #[test]
    fn images_of_one_patient_count_together() {
        // Ten patients of three images each are ten draws; of one patient with 17 images and three
        // with one it is 400 / 292.
        assert!((independent([3; 10].into_iter()) - 10.0).abs() < 1e-12);
        assert!((independent([17, 1, 1, 1].into_iter()) - 400.0 / 292.0).abs() < 1e-12);
    }

    #[test]
    fn quartiles_lie_between_values() {
        assert_eq!(quartiles(vec![4.0, 1.0, 3.0, 2.0]), Some([1.75, 2.5, 3.25]));
        assert_eq!(quartiles(vec![7.0]), Some([7.0; 3]));
        assert_eq!(quartiles(Vec::new()), None);
    }
}
