//! Fisher's z test of a partial correlation.

use super::distribution::{normal_critical, normal_two_sided};
use super::independence::check_query;
use super::{IndependenceTest, Matrix, Moments, StatsError, Table};

/// Variables of a query up to which the factor needs no memory of its own.
const ON_STACK: usize = 16;
/// A partial variance below this share of the variance is rounding.
const RELATIVE_PIVOT: f64 = 1e-12;

/// A partial correlation with its test.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::{FisherZ, Table};
/// let (x, y) = (vec![-1.0, 1.0, -1.0, 1.0], vec![-1.0, -1.0, 1.0, 1.0]);
/// let test = FisherZ::new(&Table::from_columns([("x", x), ("y", y)])?)?;
/// let found = test.partial_correlation(0, 1, &[])?;
/// assert_eq!((found.correlation, found.statistic), (0.0, 0.0));
/// assert!((found.p_value - 1.0).abs() < 1e-12);
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PartialCorrelation {
    /// The partial correlation.
    pub correlation: f64,
    /// `sqrt(n - |given| - 3) |artanh r|`, standard normal under independence.
    pub statistic: f64,
    /// Two-sided p-value.
    pub p_value: f64,
}

/// Fisher's z test: `sqrt(n - |Z| - 3) |artanh r(x, y | Z)|` is standard normal for Gaussian data
/// in which `x ⊥ y | Z`.
///
/// # Complexity
/// The correlations are computed once; a test takes `|Z|³`.
///
/// # References
/// Fisher (1924), *The distribution of the partial correlation coefficient*.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::{FisherZ, Table};
/// let x = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
/// let y = vec![1.0, 0.0, 3.0, 2.0, 5.0, 4.0];
/// let test = FisherZ::new(&Table::from_columns([("x", x), ("y", y)])?)?;
/// let found = test.partial_correlation(0, 1, &[])?;
/// // r = 29 / 35, z = sqrt(3) artanh r.
/// assert!((found.correlation - 29.0 / 35.0).abs() < 1e-12);
/// assert!((found.statistic - 3f64.sqrt() * (29f64 / 35.0).atanh()).abs() < 1e-12);
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FisherZ {
    moments: Moments,
    correlation: Matrix,
}

impl FisherZ {
    /// Prepares the correlations of a table, all of whose columns are real.
    ///
    /// # Errors
    /// [`StatsError::ColumnKind`] for a category, [`StatsError::Singular`] for a constant column,
    /// [`StatsError::TooFewRows`] below four rows.
    pub fn new(table: &Table) -> Result<Self, StatsError> {
        let moments = Moments::of(table)?;
        enough_rows(moments.rows(), 0)?;
        let correlation = moments.correlation()?;
        Ok(Self {
            moments,
            correlation,
        })
    }

    /// The partial correlation of two variables given others, and its test.
    ///
    /// # Errors
    /// [`StatsError::UnknownVariable`] or [`StatsError::RepeatedVariable`] for an ill query,
    /// [`StatsError::TooFewRows`] up to `|given| + 3` rows, [`StatsError::Singular`] when the
    /// variables determine each other.
    pub fn partial_correlation(
        &self,
        x: usize,
        y: usize,
        given: &[usize],
    ) -> Result<PartialCorrelation, StatsError> {
        check_query(self.moments.names(), x, y, given)?;
        let (correlation, statistic) = self.statistic(x, y, given)?;
        Ok(PartialCorrelation {
            correlation,
            statistic,
            p_value: normal_two_sided(statistic),
        })
    }

    fn statistic(&self, x: usize, y: usize, given: &[usize]) -> Result<(f64, f64), StatsError> {
        enough_rows(self.moments.rows(), given.len())?;
        let freedom = (self.moments.rows() - given.len() - 3) as f64;
        let size = given.len() + 2;
        let correlation = if size <= ON_STACK {
            let mut lower = [0.0; ON_STACK * (ON_STACK + 1) / 2];
            self.last_correlation(x, y, given, &mut lower)
        } else {
            let mut lower = vec![0.0; size * (size + 1) / 2];
            self.last_correlation(x, y, given, &mut lower)
        };
        let correlation = correlation.ok_or_else(|| {
            let variables: Vec<usize> = [x, y].iter().chain(given).copied().collect();
            self.moments.singular(&variables)
        })?;
        Ok((correlation, freedom.sqrt() * correlation.abs().atanh()))
    }

    /// The partial correlation from the last two rows of the Cholesky factor of (given, x, y).
    fn last_correlation(
        &self,
        x: usize,
        y: usize,
        given: &[usize],
        lower: &mut [f64],
    ) -> Option<f64> {
        let size = given.len() + 2;
        let variable = |position: usize| match position.checked_sub(given.len()) {
            None => given[position],
            Some(0) => x,
            Some(_) => y,
        };
        let start = |row: usize| row * (row + 1) / 2;
        for row in 0..size {
            let correlations = self.correlation.row(variable(row));
            for column in 0..=row {
                let mut rest = correlations[variable(column)];
                for k in 0..column {
                    rest -= lower[start(row) + k] * lower[start(column) + k];
                }
                lower[start(row) + column] = if column < row {
                    rest / lower[start(column) + column]
                } else if rest > RELATIVE_PIVOT {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        let last = &lower[start(size - 1)..];
        let (shared, own) = (last[size - 2], last[size - 1]);
        Some(shared / shared.hypot(own))
    }
}

fn enough_rows(rows: usize, given: usize) -> Result<(), StatsError> {
    let expected = given + 4;
    if rows < expected {
        return Err(StatsError::TooFewRows {
            expected,
            found: rows,
        });
    }
    Ok(())
}

impl IndependenceTest for FisherZ {
    fn names(&self) -> &[String] {
        self.moments.names()
    }

    fn p_value(&self, x: usize, y: usize, given: &[usize]) -> Result<f64, StatsError> {
        Ok(self.partial_correlation(x, y, given)?.p_value)
    }

    /// Compares the statistic with the level's critical value, which is much cheaper than its
    /// p-value.
    fn independent(
        &self,
        x: usize,
        y: usize,
        given: &[usize],
        alpha: f64,
    ) -> Result<bool, StatsError> {
        check_query(self.moments.names(), x, y, given)?;
        Ok(self.statistic(x, y, given)?.1 < CRITICAL.with(|known| known.at(alpha)))
    }
}

thread_local! {
    static CRITICAL: Critical = const { Critical(std::cell::Cell::new((1.0, 0.0))) };
}

/// The last level's critical value: a search asks for one level thousands of times.
struct Critical(std::cell::Cell<(f64, f64)>);

impl Critical {
    fn at(&self, alpha: f64) -> f64 {
        let (level, value) = self.0.get();
        if level.to_bits() == alpha.to_bits() {
            return value;
        }
        let value = normal_critical(alpha);
        self.0.set((alpha, value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(seed: u64, columns: usize) -> Table {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let shared: Vec<f64> = (0..60).map(|_| rng.random()).collect();
        let column = |rng: &mut rand_chacha::ChaCha8Rng| -> Vec<f64> {
            shared.iter().map(|s| s + rng.random::<f64>()).collect()
        };
        Table::from_columns((0..columns).map(|i| (format!("V{i}"), column(&mut rng)))).unwrap()
    }

    proptest! {
        #[test]
        fn symmetric_and_free_of_the_order_of_conditions(seed in 0u64..200) {
            let test = FisherZ::new(&table(seed, 6)).unwrap();
            let p = test.p_value(0, 1, &[2, 4, 5]).unwrap();
            let swapped = test.p_value(1, 0, &[5, 2, 4]).unwrap();
            prop_assert!((p - swapped).abs() < 1e-10);
            for alpha in [0.01, 0.05, 0.5] {
                let decided = test.independent(0, 1, &[2, 4, 5], alpha).unwrap();
                prop_assert_eq!(decided, p > alpha);
            }
        }
    }

    #[test]
    fn one_condition_agrees_with_the_recursion() {
        let test = FisherZ::new(&table(3, 3)).unwrap();
        let r = |i, j| test.partial_correlation(i, j, &[]).unwrap().correlation;
        let (xy, xz, yz) = (r(0, 1), r(0, 2), r(1, 2));
        let expected = (xy - xz * yz) / ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt();
        let found = test.partial_correlation(0, 1, &[2]).unwrap().correlation;
        assert!((found - expected).abs() < 1e-12);
    }

    #[test]
    fn many_conditions_leave_the_stack() {
        let test = FisherZ::new(&table(3, 30)).unwrap();
        let given: Vec<usize> = (2..30).collect();
        let found = test.partial_correlation(0, 1, &given).unwrap();
        assert!(found.correlation.abs() < 1.0 && found.p_value > 0.0);
    }

    #[test]
    fn ill_queries_are_errors() {
        let test = FisherZ::new(&table(1, 3)).unwrap();
        assert!(matches!(
            test.p_value(0, 3, &[]),
            Err(StatsError::UnknownVariable { index: 3, .. })
        ));
        assert!(matches!(
            test.p_value(0, 1, &[0]),
            Err(StatsError::RepeatedVariable { .. })
        ));
        let copies =
            Table::from_columns(["a", "b", "c"].map(|n| (n, vec![1.0, 4.0, 2.0, 0.0, 7.0])));
        let test = FisherZ::new(&copies.unwrap()).unwrap();
        assert!(matches!(
            test.p_value(0, 1, &[2]),
            Err(StatsError::Singular { .. })
        ));
    }
}
