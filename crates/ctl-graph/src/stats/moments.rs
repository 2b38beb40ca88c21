//! Means and covariances.

use super::linear::vectorised;
use super::{Matrix, StatsError, Table, linear};

/// Rows that are multiplied at a time: a block of every column stays in the cache.
const BLOCK: usize = 512;

/// Means and the covariance of real columns.
///
/// The covariance divides by the number of rows.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::{Moments, Table};
/// let table = Table::from_columns([("x", vec![1.0, 3.0]), ("y", vec![0.0, 4.0])])?;
/// let moments = Moments::of(&table)?;
/// assert_eq!(moments.means(), [2.0, 2.0]);
/// assert_eq!(moments.covariance()[(0, 1)], 2.0);
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    names: Vec<String>,
    rows: usize,
    means: Vec<f64>,
    covariance: Matrix,
}

impl Moments {
    /// The moments of a table, all of whose columns are real.
    ///
    /// # Errors
    /// [`StatsError::ColumnKind`] for a category, [`StatsError::TooFewRows`] below two rows.
    ///
    /// # Complexity
    /// `n d²` for `n` rows and `d` columns.
    pub fn of(table: &Table) -> Result<Self, StatsError> {
        if table.rows() < 2 {
            return Err(StatsError::TooFewRows {
                expected: 2,
                found: table.rows(),
            });
        }
        let columns: Vec<&[f64]> = (0..table.columns())
            .map(|index| table.real_at(index))
            .collect::<Result<_, _>>()?;
        let means: Vec<f64> = columns
            .iter()
            .map(|column| column.iter().sum::<f64>() / table.rows() as f64)
            .collect();
        Ok(Self {
            names: table.names().to_vec(),
            rows: table.rows(),
            covariance: covariance(&columns, &means),
            means,
        })
    }

    /// The columns' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of rows behind the moments.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The mean of each column.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// The covariance, `[d, d]`.
    pub fn covariance(&self) -> &Matrix {
        &self.covariance
    }

    /// The correlation, `[d, d]`.
    ///
    /// # Errors
    /// [`StatsError::Singular`] naming a constant column.
    pub fn correlation(&self) -> Result<Matrix, StatsError> {
        let scales = self.scales()?;
        let size = scales.len();
        Ok(Matrix::from_fn(size, size, |row, column| {
            if row == column {
                1.0
            } else {
                self.covariance[(row, column)] / (scales[row] * scales[column])
            }
        }))
    }

    /// The standard deviation of each column.
    ///
    /// # Errors
    /// [`StatsError::Singular`] naming a constant column.
    pub(crate) fn scales(&self) -> Result<Vec<f64>, StatsError> {
        let scale = |column: usize| {
            let scale = self.scale(column);
            scale.ok_or_else(|| self.singular(&[column]))
        };
        (0..self.means.len()).map(scale).collect()
    }

    /// The standard deviation of a column, `None` where it is constant.
    pub(crate) fn scale(&self, column: usize) -> Option<f64> {
        /// Rounding leaves a constant column a variance of about this share of its squared mean.
        const CONSTANT: f64 = 1e-28;
        let variance = self.covariance[(column, column)];
        let varies = variance > CONSTANT * self.means[column].powi(2) && variance > 0.0;
        varies.then(|| variance.sqrt())
    }

    /// The error that says that these columns have no covariance with an inverse.
    pub(crate) fn singular(&self, columns: &[usize]) -> StatsError {
        StatsError::Singular {
            variables: columns.iter().map(|&c| self.names[c].clone()).collect(),
        }
    }

    /// Coefficients of the least-squares regression of one column on others, and the mean
    /// squared residual.
    ///
    /// # Errors
    /// [`StatsError::Singular`] when the regressors determine each other.
    pub(crate) fn regression(
        &self,
        target: usize,
        on: &[usize],
    ) -> Result<(Vec<f64>, f64), StatsError> {
        let right: Vec<f64> = on.iter().map(|&c| self.covariance[(c, target)]).collect();
        let coefficients = linear::solve(&self.covariance.principal(on), &right);
        let coefficients = coefficients.ok_or_else(|| self.singular(on))?;
        let explained = linear::dot(&coefficients, &right);
        let residual = self.covariance[(target, target)] - explained;
        Ok((coefficients, residual.max(0.0)))
    }
}

fn covariance(columns: &[&[f64]], means: &[f64]) -> Matrix {
    let (size, rows) = (columns.len(), columns.first().map_or(0, |c| c.len()));
    let mut sums = Matrix::zeros(size, size);
    let mut centred = vec![0.0; size * BLOCK];
    for start in (0..rows).step_by(BLOCK) {
        let length = BLOCK.min(rows - start);
        for ((block, column), mean) in centred.chunks_mut(BLOCK).zip(columns).zip(means) {
            for (out, value) in block.iter_mut().zip(&column[start..start + length]) {
                *out = value - mean;
            }
        }
        vectorised(
            #[inline(always)]
            || add_products(&centred, length, size, sums.values_mut()),
        );
    }
    Matrix::from_fn(size, size, |row, column| {
        sums[(row.max(column), row.min(column))] / rows as f64
    })
}

/// Adds the products of each block with those up to it to the lower triangle.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled within the dispatched closure"
)]
fn add_products(blocks: &[f64], length: usize, size: usize, sums: &mut [f64]) {
    for row in 0..size {
        let left = &blocks[row * BLOCK..][..length];
        for column in 0..=row {
            let right = &blocks[column * BLOCK..][..length];
            sums[row * size + column] += linear::dot_inline(left, right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let x: Vec<f64> = (0..1200).map(|i| f64::from(i % 17)).collect();
        let y: Vec<f64> = (0..1200).map(|i| f64::from(i % 5) - 3.0).collect();
        let sum: Vec<f64> = x.iter().zip(&y).map(|(a, b)| 2.0 * a - b).collect();
        Table::from_columns([("x", x), ("y", y), ("sum", sum)]).unwrap()
    }

    #[test]
    fn covariances_of_several_blocks_agree_with_the_definition() {
        let table = table();
        let moments = Moments::of(&table).unwrap();
        let (x, y) = (table.real("x").unwrap(), table.real("y").unwrap());
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let products: Vec<f64> = x.iter().zip(y).map(|(a, b)| a * b).collect();
        let expected = mean(&products) - mean(x) * mean(y);
        assert!((moments.covariance()[(0, 1)] - expected).abs() < 1e-10);
    }

    #[test]
    fn exact_relations_are_found_by_regression_and_refused_as_regressors() {
        let moments = Moments::of(&table()).unwrap();
        let (coefficients, residual) = moments.regression(2, &[0, 1]).unwrap();
        assert!((coefficients[0] - 2.0).abs() < 1e-9 && (coefficients[1] + 1.0).abs() < 1e-9);
        assert!(residual < 1e-9);
        assert!(matches!(
            moments.regression(0, &[0, 1, 2]),
            Err(StatsError::Singular { .. })
        ));
    }

    #[test]
    fn constant_columns_have_no_correlation() {
        let table = Table::from_columns([("c", vec![0.1; 7]), ("x", vec![0.0; 7])]).unwrap();
        let moments = Moments::of(&table).unwrap();
        assert!(matches!(
            moments.correlation(),
            Err(StatsError::Singular { .. })
        ));
        let short = Table::from_columns([("x", vec![1.0])]).unwrap();
        assert!(matches!(
            Moments::of(&short),
            Err(StatsError::TooFewRows { .. })
        ));
    }
}
