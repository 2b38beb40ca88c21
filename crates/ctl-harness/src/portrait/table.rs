//! Tables of counts, and the test of what goes together in them.

use std::collections::BTreeSet;

use ctl_compute::random::stream;
use ctl_graph::stats::{Column, Contingency, CountStatistic, CountTest, Table};
use rand::seq::SliceRandom;

use super::association::{Association, Stratum};
use super::levels::Levels;
use crate::Result;

/// Random orders where counts are few.
const ORDERS: usize = 9_999;

/// `None` where no row has both columns.
pub(super) fn associate(
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

    /// Sites of other brightness, in each of which dark films are those of the sick.
    #[test]
    fn numbers_are_compared_within_a_site_by_its_own_quarters() {
        let numbers = (0..32).map(|row| Some(f64::from(row / 16 * 100 + row % 16)));
        let brightness = Levels::of_numbers("mean brightness", numbers.collect());
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
