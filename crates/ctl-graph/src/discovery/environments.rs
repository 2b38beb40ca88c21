//! Rows grouped by environment, and the moments within each.

use std::ops::Range;

use super::error::DiscoveryError;
use crate::stats::{Column, Matrix, Moments, Table, linear};

/// How a target depends on its predictors.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{DiscoveryError, IcpOptions, Regression, invariant_prediction};
/// use ctl_graph::stats::Table;
/// let text = "e,x,y\n0,1,2\n0,2,3\n0,3,5\n1,1,2\n1,5,3\n1,3,9\n";
/// let table = Table::parse_csv(text)?;
/// let regression = Regression::Additive { knots: 0 };
/// let options = IcpOptions { regression, ..IcpOptions::default() };
/// let found = invariant_prediction(&table, "e", "y", &options);
/// assert!(matches!(found, Err(DiscoveryError::Option { option: "knots", .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Regression {
    /// A linear function.
    #[default]
    Linear,
    /// A sum of one cubic spline a predictor.
    Additive {
        /// Inner knots of each spline, at equally spaced quantiles; one or more.
        knots: usize,
    },
}

/// Share of a diagonal entry that is added to it where splines are collinear.
const RIDGE: f64 = 1e-9;

/// Numbers the environments of a column: the environment of each row, and their names.
pub(super) fn environments(
    table: &Table,
    column: &str,
) -> Result<(Vec<usize>, Vec<String>), DiscoveryError> {
    let whole = table.select(&[column])?.all_categories();
    let Column::Category { codes, levels } = whole.column(column)? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let mut rows = vec![0usize; levels.len()];
    for &code in codes {
        rows[code as usize] += 1;
    }
    let occurring = rows.iter().filter(|count| **count > 0).count();
    if occurring < 2 {
        return Err(DiscoveryError::TooFewEnvironments {
            column: column.to_owned(),
            found: occurring,
        });
    }
    // Levels without rows are left out, so that every environment has an estimate.
    let mut position = vec![0; levels.len()];
    let mut names = Vec::new();
    for (level, name) in levels
        .iter()
        .enumerate()
        .filter(|&(level, _)| rows[level] > 0)
    {
        position[level] = names.len();
        names.push(name.clone());
    }
    let codes = codes.iter().map(|&code| position[code as usize]);
    Ok((codes.collect(), names))
}

/// The rows of each environment.
pub(super) fn rows_of(codes: &[usize], count: usize) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); count];
    for (row, &code) in codes.iter().enumerate() {
        rows[code].push(row);
    }
    rows
}

/// A target beside the basis functions of its predictors.
#[derive(Debug, Clone)]
pub(super) struct Design {
    /// The target, then the basis functions.
    pub(super) table: Table,
    pub(super) moments: Moments,
    /// Columns of `table` that belong to each predictor.
    groups: Vec<Range<usize>>,
    /// Share of a diagonal entry that is added to it.
    pub(super) ridge: f64,
}

/// A regression on some predictors.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    /// Columns of the design.
    pub(super) columns: Vec<usize>,
    pub(super) coefficients: Vec<f64>,
}

impl Fit {
    /// Least squares of column 0 on others, from their covariance; `None` where those determine
    /// each other.
    pub(super) fn of(covariance: &Matrix, columns: Vec<usize>, ridge: f64) -> Option<Self> {
        let mut gram = covariance.principal(&columns);
        for i in 0..columns.len() {
            gram[(i, i)] *= 1.0 + ridge;
        }
        let right: Vec<f64> = columns.iter().map(|&c| covariance[(c, 0)]).collect();
        let coefficients = linear::solve(&gram, &right)?;
        Some(Self {
            columns,
            coefficients,
        })
    }
}

impl Design {
    pub(super) fn new(
        table: &Table,
        target: usize,
        predictors: &[usize],
        regression: Regression,
    ) -> Result<Self, DiscoveryError> {
        let mut columns = vec![table.real_at(target)?.to_vec()];
        let mut groups = Vec::new();
        for &predictor in predictors {
            let start = columns.len();
            let values = table.real_at(predictor)?;
            match regression {
                Regression::Linear => columns.push(values.to_vec()),
                Regression::Additive { knots } => columns.extend(spline(values, knots)?),
            }
            groups.push(start..columns.len());
        }
        let named = columns.into_iter().enumerate();
        let table = Table::from_columns(named.map(|(i, column)| (i.to_string(), column)))?;
        Ok(Self {
            moments: Moments::of(&table)?,
            table,
            groups,
            ridge: match regression {
                Regression::Linear => 0.0,
                Regression::Additive { .. } => RIDGE,
            },
        })
    }

    /// Least squares of the target on some predictors, by position among them.
    pub(super) fn fit(&self, predictors: &[usize]) -> Option<Fit> {
        let groups = predictors.iter().map(|&p| self.groups[p].clone());
        let columns: Vec<usize> = groups.flatten().collect();
        Fit::of(self.moments.covariance(), columns, self.ridge)
    }

    /// Residuals of a fit, with mean zero over all rows.
    pub(super) fn residuals(&self, fit: &Fit) -> Result<Vec<f64>, DiscoveryError> {
        let mean = self.moments.means()[0];
        let mut residuals: Vec<f64> = self.table.real_at(0)?.iter().map(|y| y - mean).collect();
        for (&column, coefficient) in fit.columns.iter().zip(&fit.coefficients) {
            let mean = self.moments.means()[column];
            for (residual, x) in residuals.iter_mut().zip(self.table.real_at(column)?) {
                *residual -= coefficient * (x - mean);
            }
        }
        Ok(residuals)
    }
}

/// Cubic splines of one variable: its first three powers and one truncated cube a knot.
///
/// # References
/// Hastie, Tibshirani and Friedman (2009), equation 5.3.
fn spline(values: &[f64], knots: usize) -> Result<Vec<Vec<f64>>, DiscoveryError> {
    if knots == 0 {
        return Err(DiscoveryError::Option {
            option: "knots",
            expected: "one or more",
            found: 0.0,
        });
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else {
        return Ok(vec![Vec::new()]);
    };
    // On the unit interval the powers stay within each other's range.
    let width = if last > first { last - first } else { 1.0 };
    let unit: Vec<f64> = values.iter().map(|x| (x - first) / width).collect();
    let at = |k: usize| (sorted[k * sorted.len() / (knots + 1)] - first) / width;
    let mut places: Vec<f64> = (1..=knots).map(at).collect();
    places.dedup();
    let power = |degree: i32| unit.iter().map(|x| x.powi(degree)).collect();
    let truncated = |knot: f64| unit.iter().map(|x| (x - knot).max(0.0).powi(3)).collect();
    let mut functions = vec![values.to_vec(), power(2), power(3)];
    functions.extend(
        places
            .into_iter()
            .filter(|k| *k > 0.0 && *k < 1.0)
            .map(truncated),
    );
    Ok(functions)
}

/// Number of rows, means and covariance within one environment, or several.
#[derive(Debug, Clone)]
pub(super) struct Within {
    pub(super) rows: f64,
    means: Vec<f64>,
    pub(super) covariance: Matrix,
}

impl Within {
    pub(super) fn of(design: &Design, rows: &[usize]) -> Result<Self, DiscoveryError> {
        let moments = Moments::of(&design.table.select_rows(rows)?)?;
        Ok(Self::whole(&moments))
    }

    /// All rows behind some moments.
    pub(super) fn whole(moments: &Moments) -> Self {
        Self {
            rows: moments.rows() as f64,
            means: moments.means().to_vec(),
            covariance: moments.covariance().clone(),
        }
    }

    /// Mean and sum of squared deviations of a fit's residuals, from the moments alone.
    pub(super) fn residual(&self, fit: &Fit, overall: &[f64]) -> (f64, f64) {
        let mut mean = self.means[0] - overall[0];
        let mut variance = self.covariance[(0, 0)];
        for (&column, coefficient) in fit.columns.iter().zip(&fit.coefficients) {
            mean -= coefficient * (self.means[column] - overall[column]);
            let row = self.covariance.row(column);
            let paired = fit.columns.iter().zip(&fit.coefficients);
            let image: f64 = paired.map(|(&other, c)| row[other] * c).sum();
            variance += coefficient * (image - 2.0 * row[0]);
        }
        (mean, variance.max(0.0) * self.rows)
    }
}
