//! Pearson's chi-squared and the likelihood-ratio test on tables of counts.

use super::distribution::chi_squared_upper;
use super::independence::check_query;
use super::{IndependenceTest, StatsError, Table};

/// Cells up to which counts are kept in one dense array whatever the number of rows.
const DENSE_CELLS: usize = 1 << 16;
/// Cells for each row of data up to which a dense array is still worth its memory.
const CELLS_A_ROW: usize = 8;

/// Which statistic compares counts with their expectation.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::{Contingency, CountStatistic, IndependenceTest, Table};
/// let table = Table::parse_csv("x,y\na,u\na,u\nb,v\nb,v\n")?;
/// let p = |statistic| Contingency::new(&table, statistic)?.p_value(0, 1, &[]);
/// assert!(p(CountStatistic::LikelihoodRatio)? < p(CountStatistic::Pearson)?);
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountStatistic {
    /// Pearson's `X² = sum (O - E)² / E`.
    Pearson,
    /// The likelihood ratio `G² = 2 sum O ln(O / E)`.
    LikelihoodRatio,
}

/// Both statistics of a table of counts.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::{Contingency, CountStatistic, Table};
/// let table = Table::parse_csv("x,y\na,u\na,u\nb,v\nb,v\n")?;
/// let found = Contingency::new(&table, CountStatistic::Pearson)?.counts(0, 1, &[])?;
/// assert!((found.chi_squared - 4.0).abs() < 1e-12);
/// assert!((found.g_squared - 8.0 * 2f64.ln()).abs() < 1e-12);
/// assert_eq!(found.degrees_of_freedom, 1);
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CountTest {
    /// `sum (O - E)² / E`.
    pub chi_squared: f64,
    /// `2 sum O ln(O / E)`.
    pub g_squared: f64,
    /// `sum over strata of (rows that occur - 1) (columns that occur - 1)`.
    pub degrees_of_freedom: usize,
}

impl CountTest {
    /// Upper tail of the chi-squared distribution beyond a statistic; 1 without degrees of freedom.
    pub fn p_value(&self, statistic: CountStatistic) -> f64 {
        if self.degrees_of_freedom == 0 {
            return 1.0;
        }
        let value = match statistic {
            CountStatistic::Pearson => self.chi_squared,
            CountStatistic::LikelihoodRatio => self.g_squared,
        };
        chi_squared_upper(value, self.degrees_of_freedom as f64)
    }
}

/// Tests `x ⊥ y | Z` by the counts of x and y within each stratum of Z.
///
/// Rows and columns that do not occur in a stratum take no degree of freedom there, and there is
/// no continuity correction.
///
/// # Complexity
/// `n |Z|` and the number of occupied strata times the cells of one.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::{Contingency, CountStatistic, Table};
/// let table = Table::parse_csv("x,y\na,u\na,u\na,u\na,v\nb,u\nb,v\nb,v\nb,v\n")?;
/// let test = Contingency::new(&table, CountStatistic::Pearson)?;
/// let found = test.counts(0, 1, &[])?;
/// // Counts 3, 1, 1, 3 against 2 everywhere.
/// assert_eq!((found.chi_squared, found.degrees_of_freedom), (2.0, 1));
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Contingency {
    table: Table,
    statistic: CountStatistic,
}

impl Contingency {
    /// A test on a table, all of whose columns are categories.
    ///
    /// # Errors
    /// [`StatsError::ColumnKind`] for a real column; [`Table::all_categories`] converts them.
    pub fn new(table: &Table, statistic: CountStatistic) -> Result<Self, StatsError> {
        for index in 0..table.columns() {
            table.category_at(index)?;
        }
        Ok(Self {
            table: table.clone(),
            statistic,
        })
    }

    /// Both statistics of `x ⊥ y | given`.
    ///
    /// # Errors
    /// [`StatsError::UnknownVariable`] or [`StatsError::RepeatedVariable`] for an ill query.
    pub fn counts(&self, x: usize, y: usize, given: &[usize]) -> Result<CountTest, StatsError> {
        check_query(self.table.names(), x, y, given)?;
        let (x_codes, x_levels) = self.table.category_at(x)?;
        let (y_codes, y_levels) = self.table.category_at(y)?;
        let (strata, count) = strata(&self.table, given)?;
        let cells = x_levels * y_levels;
        let cell = |row: usize| x_codes[row] as usize * y_levels + y_codes[row] as usize;
        let mut total = Totals::new(x_levels, y_levels);
        let rows = self.table.rows();
        if count.saturating_mul(cells) <= DENSE_CELLS.max(rows * CELLS_A_ROW) {
            let mut counts = vec![0u32; count * cells];
            for (row, &stratum) in strata.iter().enumerate() {
                counts[stratum * cells + cell(row)] += 1;
            }
            for stratum in counts.chunks_exact(cells.max(1)) {
                total.add(stratum);
            }
            return Ok(total.test);
        }
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_unstable_by_key(|&row| strata[row]);
        for stratum in order.chunk_by(|&a, &b| strata[a] == strata[b]) {
            let mut counts = vec![0u32; cells];
            for &row in stratum {
                counts[cell(row)] += 1;
            }
            total.add(&counts);
        }
        Ok(total.test)
    }

    /// The stratum of each row, numbers that only tell strata apart.
    pub(crate) fn strata_of(table: &Table, given: &[usize]) -> Result<Vec<usize>, StatsError> {
        Ok(strata(table, given)?.0)
    }
}

/// The stratum of each row and a bound on their number.
///
/// Whenever the product of the levels outgrows the rows the strata that occur are numbered anew,
/// so that the numbers never overflow.
fn strata(table: &Table, given: &[usize]) -> Result<(Vec<usize>, usize), StatsError> {
    let rows = table.rows();
    let (mut strata, mut count) = (vec![0; rows], 1usize);
    for &variable in given {
        let (codes, levels) = table.category_at(variable)?;
        for (stratum, &code) in strata.iter_mut().zip(codes) {
            *stratum = *stratum * levels + code as usize;
        }
        count = count.saturating_mul(levels);
        if count > rows.max(DENSE_CELLS) {
            count = renumber(&mut strata);
        }
    }
    Ok((strata, count))
}

fn renumber(strata: &mut [usize]) -> usize {
    let mut distinct = strata.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    for stratum in strata {
        // Every stratum is among the distinct ones, so that this is its position.
        *stratum = distinct.partition_point(|known| known < stratum);
    }
    distinct.len()
}

struct Totals {
    test: CountTest,
    by_x: Vec<f64>,
    by_y: Vec<f64>,
}

impl Totals {
    fn new(x_levels: usize, y_levels: usize) -> Self {
        let test = CountTest {
            chi_squared: 0.0,
            g_squared: 0.0,
            degrees_of_freedom: 0,
        };
        Self {
            test,
            by_x: vec![0.0; x_levels],
            by_y: vec![0.0; y_levels],
        }
    }

    fn add(&mut self, counts: &[u32]) {
        self.by_x.fill(0.0);
        self.by_y.fill(0.0);
        let columns = self.by_y.len();
        for (x, row) in counts.chunks_exact(columns.max(1)).enumerate() {
            for (y, &count) in row.iter().enumerate() {
                self.by_x[x] += f64::from(count);
                self.by_y[y] += f64::from(count);
            }
        }
        let occurring = |sums: &[f64]| sums.iter().filter(|&&sum| sum > 0.0).count();
        let (x_count, y_count) = (occurring(&self.by_x), occurring(&self.by_y));
        if x_count == 0 {
            return;
        }
        self.test.degrees_of_freedom += (x_count - 1) * (y_count - 1);
        let total: f64 = self.by_x.iter().sum();
        for (x, row) in counts.chunks_exact(columns).enumerate() {
            for (y, &count) in row.iter().enumerate() {
                self.add_cell(f64::from(count), self.by_x[x] * self.by_y[y] / total);
            }
        }
    }

    fn add_cell(&mut self, observed: f64, expected: f64) {
        if expected > 0.0 {
            self.test.chi_squared += (observed - expected).powi(2) / expected;
        }
        if observed > 0.0 {
            self.test.g_squared += 2.0 * observed * (observed / expected).ln();
        }
    }
}

impl IndependenceTest for Contingency {
    fn names(&self) -> &[String] {
        self.table.names()
    }

    fn p_value(&self, x: usize, y: usize, given: &[usize]) -> Result<f64, StatsError> {
        Ok(self.counts(x, y, given)?.p_value(self.statistic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(rows: u32) -> Table {
        let columns = (0..6u32).map(|c| {
            let codes = (0..rows).map(|r| f64::from((r * (2 * c + 3) + r / (c + 2)) % (c + 2)));
            (format!("V{c}"), codes.collect())
        });
        Table::from_columns::<String>(columns)
            .unwrap()
            .all_categories()
    }

    #[test]
    fn dense_and_sorted_counting_agree() {
        let test = Contingency::new(&mixed(400), CountStatistic::LikelihoodRatio).unwrap();
        let dense = test.counts(0, 1, &[2, 3]).unwrap();
        let (mut strata, _) = strata(&test.table, &[2, 3]).unwrap();
        let count = renumber(&mut strata);
        assert!(count <= 20);
        let mut total = Totals::new(2, 3);
        for stratum in 0..count {
            let mut counts = [0u32; 6];
            for (row, _) in strata.iter().enumerate().filter(|&(_, s)| *s == stratum) {
                let code = |v: usize| test.table.category_at(v).unwrap().0[row] as usize;
                counts[code(0) * 3 + code(1)] += 1;
            }
            total.add(&counts);
        }
        assert!((dense.chi_squared - total.test.chi_squared).abs() < 1e-9);
        assert_eq!(dense.degrees_of_freedom, total.test.degrees_of_freedom);
    }

    #[test]
    fn constants_have_no_degree_of_freedom() {
        let table = Table::parse_csv("x,y\na,u\na,v\n").unwrap();
        let test = Contingency::new(&table, CountStatistic::Pearson).unwrap();
        assert!((test.p_value(0, 1, &[]).unwrap() - 1.0).abs() < 1e-15);
        assert!(test.p_value(0, 1, &[1]).is_err());
    }

    #[test]
    fn numbers_are_no_categories() {
        let table = Table::parse_csv("x\n1\n2\n").unwrap();
        assert!(Contingency::new(&table, CountStatistic::Pearson).is_err());
    }
}
