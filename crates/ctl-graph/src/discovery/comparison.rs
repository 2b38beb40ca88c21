//! A target, its candidate predictors, and what a set of them gives in several environments.

use std::collections::BTreeSet;

use super::environments::{Regression, environments, rows_of};
use super::error::DiscoveryError;
use super::labels::LabelTarget;
use super::lasso::entry_order;
use super::numbers::RealTarget;
use super::residuals::ResidualTest;
use crate::stats::{Column, Matrix, Moments, Table};

/// Rows that every environment must have.
const FEWEST_ROWS: usize = 3;

/// A linear function of some predictors.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{AnchorOptions, anchor_regression};
/// use ctl_graph::stats::Table;
/// let table = Table::from_columns([("x", vec![0.0, 1.0, 2.0]), ("y", vec![1.0, 3.0, 5.0])])?;
/// let found = anchor_regression(&table, &["y"], &["x"], &[], &AnchorOptions::default())?;
/// let model = &found[0].model;
/// assert!((model.coefficients[0] - 2.0).abs() < 1e-12 && (model.intercept - 1.0).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LinearModel {
    /// Value where every predictor is 0.
    pub intercept: f64,
    /// One coefficient a predictor.
    pub coefficients: Vec<f64>,
}

impl LinearModel {
    pub(super) fn new(intercept: f64, coefficients: Vec<f64>) -> Self {
        Self {
            intercept,
            coefficients,
        }
    }
}

/// What a set of predictors gives.
pub(super) struct Tested {
    /// p-value of the hypothesis that the target depends on them alike in every environment.
    pub(super) p_value: f64,
    /// Expected loss on further rows of the same environments.
    pub(super) risk: f64,
    /// One for a real target; of categories the log-odds of each level but the first against it.
    /// Empty where they are not linear.
    pub(super) models: Vec<LinearModel>,
    /// Standard errors of the coefficients of the first model.
    pub(super) errors: Vec<f64>,
}

/// How a target depends on its predictors.
pub(super) trait Target {
    /// Regresses the target on a set of candidates, by position among them; `None` where those
    /// determine each other.
    fn test(&self, candidates: &[usize]) -> Result<Option<Tested>, DiscoveryError>;
}

/// A target beside those of its predictors that are considered.
pub(super) struct Comparison {
    /// Positions in the table, ascending.
    pub(super) candidates: Vec<usize>,
    /// Whether every predictor is considered.
    pub(super) all: bool,
    target: Box<dyn Target>,
}

impl Comparison {
    /// # Errors
    /// [`DiscoveryError::TooFewEnvironments`], [`DiscoveryError::TooFewRows`],
    /// [`DiscoveryError::Stats`].
    pub(super) fn new(
        table: &Table,
        (environment, target): (&str, &str),
        (regression, test): (Regression, ResidualTest),
        most: Option<usize>,
    ) -> Result<Self, DiscoveryError> {
        let (codes, names) = environments(table, environment)?;
        let rows = rows_of(&codes, names.len());
        if let Some((rows, name)) = rows.iter().zip(&names).find(|(r, _)| r.len() < FEWEST_ROWS) {
            return Err(DiscoveryError::TooFewRows {
                environment: name.clone(),
                expected: FEWEST_ROWS,
                found: rows.len(),
            });
        }
        let (column, target) = (table.position(environment)?, table.position(target)?);
        let others = (0..table.columns()).filter(|&c| c != column && c != target);
        let predictors: Vec<usize> = others.collect();
        let responses = responses(table.column_at(target)?);
        let candidates = match most.filter(|&most| most < predictors.len()) {
            Some(most) => preselected(table, &predictors, &responses, most)?,
            None => predictors.clone(),
        };
        let target: Box<dyn Target> = match table.column_at(target)? {
            Column::Real(_) => {
                let target = RealTarget::new(table, target, &candidates, regression, test, rows)?;
                Box::new(target)
            }
            Column::Category { .. } => {
                Box::new(LabelTarget::new(table, &candidates, responses, rows)?)
            }
        };
        Ok(Self {
            all: candidates.len() == predictors.len(),
            candidates,
            target,
        })
    }

    pub(super) fn test(&self, candidates: &[usize]) -> Result<Option<Tested>, DiscoveryError> {
        self.target.test(candidates)
    }

    /// Positions in the table of some candidates.
    pub(super) fn positions(&self, candidates: &[usize]) -> Vec<usize> {
        candidates.iter().map(|&i| self.candidates[i]).collect()
    }
}

/// A real target itself; of a category the indicators of the levels that occur.
fn responses(target: &Column) -> Vec<Vec<f64>> {
    match target {
        Column::Real(values) => vec![values.clone()],
        Column::Category { codes, .. } => {
            let levels: BTreeSet<u32> = codes.iter().copied().collect();
            let indicator = |level: u32| {
                let values = codes.iter().map(|&code| f64::from(u8::from(code == level)));
                values.collect()
            };
            levels.into_iter().map(indicator).collect()
        }
    }
}

/// The predictors that enter the lasso's path first, those of several responses in turn.
fn preselected(
    table: &Table,
    predictors: &[usize],
    responses: &[Vec<f64>],
    most: usize,
) -> Result<Vec<usize>, DiscoveryError> {
    let mut columns = Vec::new();
    for &predictor in predictors {
        columns.push(table.real_at(predictor)?.to_vec());
    }
    columns.extend(responses.iter().cloned());
    let named = columns.into_iter().enumerate();
    let moments = Moments::of(&Table::from_columns(
        named.map(|(i, c)| (i.to_string(), c)),
    )?)?;
    let scaled = |column: usize| Some((column, moments.scale(column)?));
    let varying: Vec<(usize, f64)> = (0..predictors.len()).filter_map(scaled).collect();
    let covariance = moments.covariance();
    let gram = Matrix::from_fn(varying.len(), varying.len(), |i, j| {
        let ((a, scale_a), (b, scale_b)) = (varying[i], varying[j]);
        covariance[(a, b)] / (scale_a * scale_b)
    });
    let order = |response: usize| {
        let (own, scale) = scaled(predictors.len() + response)?;
        let correlation = |&(x, s): &(usize, f64)| covariance[(x, own)] / (s * scale);
        let right: Vec<f64> = varying.iter().map(correlation).collect();
        Some(entry_order(&gram, &right, most))
    };
    let orders: Vec<Vec<usize>> = (0..responses.len()).filter_map(order).collect();
    let mut chosen = BTreeSet::new();
    for rank in 0..most {
        for index in orders.iter().filter_map(|order| order.get(rank)) {
            if chosen.len() < most {
                chosen.insert(predictors[varying[*index].0]);
            }
        }
    }
    Ok(chosen.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// y follows columns 2 and 5 of seven; column 0 is constant.
    fn table(labels: bool) -> Table {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut column = |c: u32| {
            let value = |_| {
                if c == 0 {
                    1.0
                } else {
                    rng.random::<f64>() - 0.5
                }
            };
            (0..124).map(value).collect::<Vec<f64>>()
        };
        let columns: Vec<Vec<f64>> = (0..7).map(&mut column).collect();
        let y: Vec<f64> = (0..124)
            .map(|r| 2.0 * columns[2][r] - columns[5][r])
            .collect();
        let named = columns.into_iter().enumerate();
        let mut table = Table::from_columns(named.map(|(i, c)| (format!("x{i}"), c))).unwrap();
        let target = if labels {
            let codes = y.iter().map(|&y| u32::from(y > 0.0)).collect();
            let levels = vec!["healthy".to_owned(), "ill".to_owned()];
            Column::Category { codes, levels }
        } else {
            Column::Real(y)
        };
        table.push("y", target).unwrap();
        let sites = (0..124).map(|row| f64::from(u8::from(row < 62))).collect();
        table.push("site", Column::Real(sites)).unwrap();
        table
    }

    #[test]
    fn preselection_finds_what_the_target_follows() {
        for labels in [false, true] {
            let options = (Regression::Linear, ResidualTest::Moments);
            let table = table(labels);
            let found = Comparison::new(&table, ("site", "y"), options, Some(2)).unwrap();
            assert_eq!((found.candidates, found.all), (vec![2, 5], false));
            let found = Comparison::new(&table, ("site", "y"), options, Some(7)).unwrap();
            assert_eq!((found.candidates.len(), found.all), (7, true));
        }
    }

    #[test]
    fn a_small_environment_is_named() {
        let table = Table::parse_csv("e,x,y\na,1,2\na,2,3\na,3,5\nb,1,2\nb,5,3\n").unwrap();
        let options = (Regression::Linear, ResidualTest::Moments);
        let found = Comparison::new(&table, ("e", "y"), options, None);
        let message = found.err().map(|error| error.to_string());
        let expected = "environment b: expected at least 3 rows, found 2";
        assert_eq!(message.as_deref(), Some(expected));
    }
}
