//! Which columns of a cohort go together.

use std::collections::BTreeSet;

use ctl_compute::random::stream;
use ctl_graph::stats::{Column, Contingency, CountStatistic, CountTest, Multiplicity, Table};
use ctl_imaging::{AttributeKind, AttributeValue, Cohort};
use rand::seq::SliceRandom;
use serde::Serialize;

use super::sites::{Look, quartiles};
use crate::{HarnessError, Result};

/// An association is flagged below this adjusted p-value …
const SIGNIFICANT: f64 = 0.01;
/// … if it is also as strong as this: with thousands of images anything is significant.
const STRONG: f64 = 0.1;
/// Random orders where counts are few.
const ORDERS: usize = 9_999;
/// Names of what is not a column of its own.
const SITE: &str = "site";
const LABEL: &str = "label";
const BRIGHTNESS: &str = "mean brightness";

/// A pair of columns and how they go together.
#[derive(Debug, Clone, Serialize)]
pub struct Association {
    /// The first column.
    pub first: String,
    /// The second.
    pub second: String,
    /// Whether it was tested within sites.
    pub within_sites: bool,
    /// Levels of the first column, rows of the tables.
    pub first_levels: Vec<String>,
    /// Levels of the second column, columns of the tables.
    pub second_levels: Vec<String>,
    /// One table, or one for each site.
    pub tables: Vec<Stratum>,
    /// Pearson's χ², summed over the tables.
    pub chi_squared: f64,
    /// Degrees of freedom, summed over the tables.
    pub degrees_of_freedom: usize,
    /// Upper tail of χ², or of its random orders.
    pub p_value: f64,
    /// The same, adjusted by Holm's method over all pairs of the cohort.
    pub p_adjusted: f64,
    /// Cramér's V over all tables: `√(Σχ² / Σ n·(min(rows, columns) − 1))`, 0 to 1.
    pub cramers_v: f64,
    /// Whether counts are too few for the distribution of χ² (an expected count below 1, or more
    /// than a fifth of them below 5; Cochran 1954), so that the p-value is the share of 9,999 random
    /// orders of the second column, within sites where the pair is tested so, whose χ² is as large.
    pub permuted: bool,
    /// Whether the adjusted p-value is below 0.01 and V at least 0.1.
    pub flagged: bool,
}

impl Association {
    /// The adjusted p-value in a few characters.
    pub fn p_shown(&self) -> String {
        shown(self.p_adjusted)
    }
}

/// A table of counts.
#[derive(Debug, Clone, Serialize)]
pub struct Stratum {
    /// The site, where pairs are tested within sites.
    pub site: Option<String>,
    /// Patients in each cell, rows of the first column's levels.
    pub counts: Vec<Vec<u32>>,
    /// Upper tail of its own χ², not adjusted.
    pub p_value: f64,
    /// Its own Cramér's V; 0 where a column has one level only.
    pub cramers_v: f64,
}

/// A column as levels, `None` where it is empty.
struct Levels {
    name: String,
    names: Vec<String>,
    codes: Vec<Option<u32>>,
    /// The numbers that were cut, of a column of numbers.
    numbers: Vec<Option<f64>>,
}

impl Levels {
    /// The column as it is to be compared within sites: numbers are cut at each site's own
    /// quartiles, since those of the cohort may lie between the sites.
    fn within(&self, site: &Self) -> Self {
        let mut within = Self {
            name: self.name.clone(),
            names: self.names.clone(),
            codes: self.codes.clone(),
            numbers: Vec::new(),
        };
        if self.numbers.is_empty() {
            return within;
        }
        within.names = ["first", "second", "third", "last"]
            .map(|quarter| format!("{quarter} quarter of the site"))
            .to_vec();
        for code in 0..site.names.len() as u32 {
            let rows = site.codes.iter().enumerate();
            let rows: Vec<usize> = rows
                .filter(|(_, of)| **of == Some(code))
                .map(|(row, _)| row)
                .collect();
            let numbers = rows.iter().filter_map(|&row| self.numbers[row]).collect();
            let cuts = quartiles(numbers).unwrap_or_default();
            for row in rows {
                within.codes[row] = self.numbers[row].map(|number| quarter(number, cuts));
            }
        }
        within
    }
}

/// Which quarter a number lies in, 0 to 3.
fn quarter(number: f64, cuts: [f64; 3]) -> u32 {
    cuts.iter().filter(|&&cut| number > cut).count() as u32
}

pub(super) fn test(cohort: &Cohort, looks: &[Look]) -> Result<Vec<Association>> {
    let patients = patients(cohort);
    let site = sites(cohort);
    let label = labels(cohort);
    let mut inputs = attributes(cohort);
    inputs.push(brightness(looks));
    let several = site.names.len() > 1;
    let labelled = label.codes.iter().any(Option::is_some);

    let mut found = Vec::new();
    let mut add = |first: &Levels, second: &Levels, within: Option<&Levels>| {
        let tested = associate(first, second, within, &patients)?;
        found.extend(tested.filter(|association| association.degrees_of_freedom > 0));
        Ok::<(), HarnessError>(())
    };
    if several && labelled {
        add(&site, &label, None)?;
    }
    for input in &inputs {
        if labelled {
            add(&input.within(&site), &label, Some(&site))?;
        }
        if several {
            add(input, &site, None)?;
        }
    }
    let p_values: Vec<f64> = found
        .iter()
        .map(|association| association.p_value)
        .collect();
    let adjusted = Multiplicity::Holm.adjust(&p_values);
    for (association, p_adjusted) in found.iter_mut().zip(adjusted) {
        association.p_adjusted = p_adjusted;
        association.flagged = p_adjusted < SIGNIFICANT && association.cramers_v >= STRONG;
    }
    Ok(found)
}

/// What a reader should know, in sentences.
pub(super) fn flags(cohort: &Cohort, associations: &[Association]) -> Vec<String> {
    let mut flags = Vec::new();
    for association in associations.iter().filter(|one| one.flagged) {
        let Association {
            first,
            second,
            cramers_v,
            p_adjusted,
            ..
        } = association;
        let figures = format!(
            "Cramér's V {cramers_v:.2}, adjusted p {}",
            shown(*p_adjusted)
        );
        flags.push(match (association.within_sites, second.as_str()) {
            (true, _) => format!("{first} and {second} go together within sites ({figures}): a model may read {first} for {second}"),
            (false, LABEL) => format!("{first} and {second} go together ({figures}): a model may read the site for the label, and prevalence moves between sites"),
            (false, _) => format!("{first} differs between sites ({figures})"),
        });
    }
    flags.extend(one_label_only(cohort));
    flags
}

/// Sites whose labelled images are all of one class.
fn one_label_only(cohort: &Cohort) -> impl Iterator<Item = String> + '_ {
    let sites = cohort.sites().iter().enumerate();
    sites.filter_map(|(site, name)| {
        let of_site = cohort.records().iter().filter(move |r| r.site == site);
        let labels: BTreeSet<usize> = of_site.filter_map(|record| record.label).collect();
        let mut labels = labels.into_iter();
        let (only, None) = (labels.next()?, labels.next()) else {
            return None;
        };
        let class = &cohort.classes()[only];
        (cohort.classes().len() > 1).then(|| {
            format!("site {name} has images of one label only ({class}): adjusting for the site is not identified there")
        })
    })
}

/// A p-value with two digits.
pub(super) fn shown(p_value: f64) -> String {
    if p_value < f64::MIN_POSITIVE {
        "below 1e-307".to_owned()
    } else if p_value < 1e-4 {
        format!("{p_value:.0e}")
    } else {
        format!("{p_value:.4}")
    }
}

/// A number with at most four decimals.
pub(super) fn plain(number: f64) -> String {
    let text = format!("{number:.4}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    short.to_owned()
}

/// `None` where no row has both columns.
fn associate(
    first: &Levels,
    second: &Levels,
    within: Option<&Levels>,
    patients: &[u32],
) -> Result<Option<Association>> {
    let mut cells = BTreeSet::new();
    let rows = first.codes.iter().zip(&second.codes).zip(patients);
    for (row, ((&first, &second), &patient)) in rows.enumerate() {
        let stratum = within.map_or(Some(0), |within| within.codes[row]);
        if let (Some(first), Some(second), Some(stratum)) = (first, second, stratum) {
            cells.insert((stratum, first, second, patient));
        }
    }
    let cells: Vec<_> = cells.into_iter().collect();
    if cells.is_empty() {
        return Ok(None);
    }
    let whole = counts_within(first, second, &cells)?;
    let mut most = 0.0;
    let mut expected = Expected::default();
    let mut tables = Vec::new();
    for cells in cells.chunk_by(|a, b| a.0 == b.0) {
        let counts = counted(first, second, cells);
        let test = counts_within(first, second, cells)?;
        let greatest = greatest(&counts);
        expected.add(&counts);
        most += greatest;
        tables.push(Stratum {
            site: within.map(|within| within.names[cells[0].0 as usize].clone()),
            p_value: test.p_value(CountStatistic::Pearson),
            cramers_v: cramer(test.chi_squared, greatest),
            counts,
        });
    }
    let p_value = if expected.too_few() {
        permuted(&cells, first.names.len(), second.names.len())
    } else {
        whole.p_value(CountStatistic::Pearson)
    };
    Ok(Some(Association {
        first: first.name.clone(),
        second: second.name.clone(),
        within_sites: within.is_some(),
        first_levels: first.names.clone(),
        second_levels: second.names.clone(),
        tables,
        chi_squared: whole.chi_squared,
        degrees_of_freedom: whole.degrees_of_freedom,
        p_value,
        p_adjusted: f64::NAN,
        cramers_v: cramer(whole.chi_squared, most),
        permuted: expected.too_few(),
        flagged: false,
    }))
}

/// Stratum, level of the first column, level of the second, patient.
type Cell = (u32, u32, u32, u32);

/// The test within strata, of cells that are there.
fn counts_within(first: &Levels, second: &Levels, cells: &[Cell]) -> Result<CountTest> {
    let strata = cells.iter().map(|cell| cell.0).max().unwrap_or(0) + 1;
    let column = |codes: Vec<u32>, levels: Vec<String>| Column::Category { codes, levels };
    let table = Table::new(vec![
        (
            "first".to_owned(),
            column(
                cells.iter().map(|cell| cell.1).collect(),
                first.names.clone(),
            ),
        ),
        (
            "second".to_owned(),
            column(
                cells.iter().map(|cell| cell.2).collect(),
                second.names.clone(),
            ),
        ),
        (
            "stratum".to_owned(),
            column(
                cells.iter().map(|cell| cell.0).collect(),
                (0..strata).map(|stratum| stratum.to_string()).collect(),
            ),
        ),
    ]);
    let count = |table| Contingency::new(&table, CountStatistic::Pearson)?.counts(0, 1, &[2]);
    Ok(table.and_then(count)?)
}

fn counted(first: &Levels, second: &Levels, cells: &[Cell]) -> Vec<Vec<u32>> {
    let mut counts = vec![vec![0; second.names.len()]; first.names.len()];
    for cell in cells {
        counts[cell.1 as usize][cell.2 as usize] += 1;
    }
    counts
}

/// The share of random orders of the second column within strata whose χ² is at least that of the
/// order that is there, which is one of them.
fn permuted(cells: &[Cell], rows: usize, columns: usize) -> f64 {
    let strata: Vec<&[Cell]> = cells.chunk_by(|a, b| a.0 == b.0).collect();
    let mut seconds: Vec<Vec<u32>> = strata
        .iter()
        .map(|stratum| stratum.iter().map(|cell| cell.2).collect())
        .collect();
    let mut counts = vec![0; rows * columns];
    let mut statistic = |seconds: &[Vec<u32>]| -> f64 {
        let tables = strata.iter().zip(seconds);
        tables
            .map(|(stratum, seconds)| {
                counts.fill(0);
                for (cell, &second) in stratum.iter().zip(seconds) {
                    counts[cell.1 as usize * columns + second as usize] += 1_u32;
                }
                pearson(&counts, columns)
            })
            .sum()
    };
    // Sums of equal counts differ by rounding alone.
    let found = statistic(&seconds) * (1.0 - 1e-9);
    let mut rng = stream(0, "portrait", "orders");
    let mut reached = 1;
    for _ in 0..ORDERS {
        for stratum in &mut seconds {
            stratum.shuffle(&mut rng);
        }
        reached += usize::from(statistic(&seconds) >= found);
    }
    reached as f64 / (ORDERS + 1) as f64
}

/// Pearson's χ² of one table.
fn pearson(counts: &[u32], columns: usize) -> f64 {
    let all: u32 = counts.iter().sum();
    let sums: Vec<u32> = (0..columns)
        .map(|column| counts.iter().skip(column).step_by(columns).sum())
        .collect();
    let mut chi_squared = 0.0;
    for row in counts.chunks_exact(columns) {
        let sum: u32 = row.iter().sum();
        for (&count, &column) in row.iter().zip(&sums) {
            let expected = f64::from(sum) * f64::from(column) / f64::from(all);
            if expected > 0.0 {
                chi_squared += (f64::from(count) - expected).powi(2) / expected;
            }
        }
    }
    chi_squared
}

/// Expected counts of tables, of rows and columns that occur.
#[derive(Default)]
struct Expected {
    cells: usize,
    below_five: usize,
    below_one: usize,
}

impl Expected {
    fn add(&mut self, counts: &[Vec<u32>]) {
        let all: u32 = counts.iter().flatten().sum();
        let width = counts.first().map_or(0, Vec::len);
        let columns = (0..width).map(|column| counts.iter().map(|row| row[column]).sum::<u32>());
        let columns: Vec<u32> = columns.filter(|&sum| sum > 0).collect();
        let rows = counts.iter().map(|row| row.iter().sum::<u32>());
        let rows: Vec<u32> = rows.filter(|&sum| sum > 0).collect();
        if rows.len() < 2 || columns.len() < 2 {
            // The table says nothing, whatever its counts.
            return;
        }
        for row in rows {
            for &column in &columns {
                let expected = f64::from(row) * f64::from(column) / f64::from(all);
                self.cells += 1;
                self.below_five += usize::from(expected < 5.0);
                self.below_one += usize::from(expected < 1.0);
            }
        }
    }

    fn too_few(&self) -> bool {
        self.below_one > 0 || self.below_five * 5 > self.cells
    }
}

/// The greatest χ² of a table: its count times one less than its rows or columns that occur.
fn greatest(counts: &[Vec<u32>]) -> f64 {
    let all: u32 = counts.iter().flatten().sum();
    let rows = counts
        .iter()
        .filter(|row| row.iter().any(|&n| n > 0))
        .count();
    let width = counts.first().map_or(0, Vec::len);
    let columns = (0..width)
        .filter(|&column| counts.iter().any(|row| row[column] > 0))
        .count();
    f64::from(all) * rows.min(columns).saturating_sub(1) as f64
}

fn cramer(chi_squared: f64, greatest: f64) -> f64 {
    if greatest > 0.0 {
        (chi_squared / greatest).sqrt().min(1.0)
    } else {
        0.0
    }
}

/// A number for each patient.
fn patients(cohort: &Cohort) -> Vec<u32> {
    let names: BTreeSet<&str> = cohort
        .records()
        .iter()
        .map(|r| r.patient.as_str())
        .collect();
    let numbers: std::collections::BTreeMap<&str, u32> = names.into_iter().zip(0..).collect();
    let of = |record: &ctl_imaging::Record| numbers[record.patient.as_str()];
    cohort.records().iter().map(of).collect()
}

fn sites(cohort: &Cohort) -> Levels {
    Levels {
        name: SITE.into(),
        names: cohort.sites().to_vec(),
        codes: cohort
            .records()
            .iter()
            .map(|r| Some(r.site as u32))
            .collect(),
        numbers: Vec::new(),
    }
}

fn labels(cohort: &Cohort) -> Levels {
    let code = |record: &ctl_imaging::Record| record.label.map(|label| label as u32);
    Levels {
        name: LABEL.into(),
        names: cohort.classes().to_vec(),
        codes: cohort.records().iter().map(code).collect(),
        numbers: Vec::new(),
    }
}

fn attributes(cohort: &Cohort) -> Vec<Levels> {
    let inputs = cohort.attribute_inputs().iter().enumerate();
    inputs
        .map(|(position, input)| {
            let values = cohort.records().iter().map(|r| r.attributes[position]);
            match &input.kind {
                AttributeKind::Categorical { levels } => Levels {
                    name: input.name.clone(),
                    names: levels.clone(),
                    codes: values.map(level).collect(),
                    numbers: Vec::new(),
                },
                _ => quarters(&input.name, values.map(number).collect()),
            }
        })
        .collect()
}

fn brightness(looks: &[Look]) -> Levels {
    quarters(
        BRIGHTNESS,
        looks.iter().map(|look| Some(look.mean)).collect(),
    )
}

fn level(value: AttributeValue) -> Option<u32> {
    match value {
        AttributeValue::Level(level) => Some(level as u32),
        _ => None,
    }
}

fn number(value: AttributeValue) -> Option<f64> {
    match value {
        AttributeValue::Number(number) => Some(number),
        _ => None,
    }
}

/// Numbers cut at the quartiles of the whole cohort.
fn quarters(name: &str, numbers: Vec<Option<f64>>) -> Levels {
    let cuts = quartiles(numbers.iter().copied().flatten().collect()).unwrap_or_default();
    let [first, second, third] = cuts.map(plain);
    Levels {
        name: name.to_owned(),
        names: vec![
            format!("up to {first}"),
            format!("up to {second}"),
            format!("up to {third}"),
            format!("above {third}"),
        ],
        codes: numbers
            .iter()
            .map(|number| number.map(|number| quarter(number, cuts)))
            .collect(),
        numbers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(name: &str, names: &[&str], codes: &[u32]) -> Levels {
        Levels {
            name: name.into(),
            names: names.iter().map(|&name| name.into()).collect(),
            codes: codes.iter().copied().map(Some).collect(),
            numbers: Vec::new(),
        }
    }

    /// Within each of two sites the columns are independent, over both they are not (Simpson).
    #[test]
    fn what_goes_together_between_sites_need_not_within_them() {
        let first = levels(
            "view",
            &["AP", "PA"],
            &[0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1],
        );
        let second = levels(
            "label",
            &["no", "yes"],
            &[0, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
        );
        let site = levels(
            "site",
            &["a", "b"],
            &[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
        );
        let patients: Vec<u32> = (0..16).collect();
        let found = associate(&first, &second, Some(&site), &patients)
            .unwrap()
            .unwrap();
        assert_eq!(found.tables.len(), 2);
        assert_eq!(found.tables[0].counts, [[3, 3], [1, 1]]);
        assert_eq!((found.chi_squared, found.degrees_of_freedom), (0.0, 2));
        let between = associate(&first, &site, None, &patients).unwrap().unwrap();
        // Counts 6, 2, 2, 6 against 4 everywhere: χ² 4, V √(4 / 16).
        assert_eq!((between.chi_squared, between.cramers_v), (4.0, 0.5));
    }

    #[test]
    fn a_patient_counts_once_in_a_cell() {
        let first = levels("a", &["x", "y"], &[0, 0, 0, 1]);
        let second = levels("b", &["u", "v"], &[0, 0, 0, 1]);
        let found = associate(&first, &second, None, &[7, 7, 7, 8])
            .unwrap()
            .unwrap();
        assert_eq!(found.tables[0].counts, [[1, 0], [0, 1]]);
    }

    #[test]
    fn empty_cells_are_left_out() {
        let mut first = levels("a", &["x", "y"], &[0, 1]);
        first.codes = vec![None, None];
        let second = levels("b", &["u", "v"], &[0, 1]);
        assert!(associate(&first, &second, None, &[0, 1]).unwrap().is_none());
    }

    #[test]
    fn numbers_are_cut_at_their_quartiles() {
        let cut = quarters(
            "age",
            vec![Some(1.0), Some(2.0), None, Some(3.0), Some(4.0)],
        );
        assert_eq!(cut.codes, [Some(0), Some(1), None, Some(2), Some(3)]);
        assert_eq!(cut.names[1], "up to 2.5");
    }

    /// Sites of other brightness, in each of which dark films are those of the sick.
    #[test]
    fn numbers_are_compared_within_a_site_by_its_own_quarters() {
        let numbers = (0..32).map(|row| Some(f64::from(row / 16 * 100 + row % 16)));
        let brightness = quarters("mean brightness", numbers.collect());
        let codes: Vec<u32> = (0..32).map(|row| row / 16).collect();
        let site = levels("site", &["a", "b"], &codes);
        let codes: Vec<u32> = (0..32).map(|row| u32::from(row % 16 < 8)).collect();
        let label = levels("label", &["well", "ill"], &codes);
        let patients: Vec<u32> = (0..32).collect();
        let within = brightness.within(&site);
        let found = associate(&within, &label, Some(&site), &patients).unwrap();
        let found = found.unwrap();
        assert_eq!((found.cramers_v, found.degrees_of_freedom), (1.0, 6));
        // Of 8 in each site's quarters and labels 2 are expected in a cell: below five.
        assert!(found.permuted && found.p_value < 0.001);
    }

    #[test]
    fn one_patient_is_as_rare_as_he_is() {
        let mut codes = vec![0; 1000];
        codes[7] = 1;
        let first = levels("a", &["x", "y"], &codes);
        let second = levels("b", &["u", "v"], &codes);
        let patients: Vec<u32> = (0..1000).collect();
        let found = associate(&first, &second, None, &patients)
            .unwrap()
            .unwrap();
        // By χ² 1e-219; in one of a thousand orders the one meets the other.
        assert!(found.permuted && (0.0003..0.002).contains(&found.p_value));
    }
}
