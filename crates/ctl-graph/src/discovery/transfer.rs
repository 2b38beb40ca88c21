//! Predictors for an unseen environment: invariant subsets and anchor regression.

use super::environments::Regression;
use super::error::{DiscoveryError, level};
use super::icp::Comparison;
use super::residuals::ResidualTest;
use super::subsets::Subsets;
use crate::stats::{Moments, Table, linear};

/// Options of [`invariant_subset`].
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{SubsetOptions, invariant_subset};
/// use ctl_graph::stats::Table;
/// let numbers = |f: fn(u32) -> u32| (0..400).map(|i| f64::from(f(i))).collect::<Vec<f64>>();
/// let (site, x) = (numbers(|i| i / 200), numbers(|i| i % 10));
/// let y = numbers(|i| i % 10 + i % 7);
/// let table = Table::from_columns([("site", site), ("x", x), ("y", y)])?;
/// let options = SubsetOptions { limit: 1, ..SubsetOptions::default() };
/// let found = invariant_subset(&table, "site", "y", &options)?;
/// assert_eq!(found.map(|found| (found.tested, found.complete)), Some((1, false)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubsetOptions {
    /// Level of the test of invariance, between 0 and 1.
    pub alpha: f64,
    /// How the target is regressed on each subset.
    pub regression: Regression,
    /// How residuals are compared between environments.
    pub test: ResidualTest,
    /// Most subsets that are tested.
    pub limit: usize,
}

impl Default for SubsetOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            regression: Regression::Linear,
            test: ResidualTest::Ranks,
            limit: 1 << 16,
        }
    }
}

/// The subset that [`invariant_subset`] selected.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{SubsetOptions, invariant_subset};
/// use ctl_graph::stats::Table;
/// let numbers = |f: fn(u32) -> u32| (0..400).map(|i| f64::from(f(i))).collect::<Vec<f64>>();
/// let (site, x) = (numbers(|i| i / 200), numbers(|i| i % 10));
/// let y = numbers(|i| i % 10 + i % 7);
/// let table = Table::from_columns([("site", site), ("x", x), ("y", y)])?;
/// let found = invariant_subset(&table, "site", "y", &SubsetOptions::default())?;
/// let found = found.ok_or("every subset is rejected")?;
/// assert_eq!(found.predictors, [1]);
/// assert!((found.coefficients[0] - 1.0).abs() < 0.05);
/// assert!((found.mean_squared_error - 4.0).abs() < 0.2); // the variance of 0, 1, …, 6
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TransferSubset {
    /// Positions of the predictors in the table, ascending.
    pub predictors: Vec<usize>,
    /// p-value of its invariance.
    pub p_value: f64,
    /// Mean squared residual over all environments.
    pub mean_squared_error: f64,
    /// Coefficients of the predictors; empty for a regression that is not linear.
    pub coefficients: Vec<f64>,
    /// Intercept beside `coefficients`.
    pub intercept: f64,
    /// Number of subsets that were tested.
    pub tested: usize,
    /// False when `limit` left subsets untested.
    pub complete: bool,
}

/// Selects, among the subsets of predictors given which the target's distribution is the same in
/// every environment, the one that predicts best.
///
/// If the target's mechanism given that subset also stays the same in the target environment, no
/// predictor does better in the worst case over environments that share it.
///
/// # Arguments
/// - `table`: `[n, d]`, real columns but for the environment's.
/// - `environment`, `target`: columns.
/// - `options`: see [`SubsetOptions`].
///
/// # Returns
/// The best subset; `None` when every subset is rejected.
///
/// # Errors
/// Those of [`super::invariant_prediction`].
///
/// # Complexity
/// `2^d` subsets, up to the limit.
///
/// # References
/// Rojas-Carulla, Schölkopf, Turner and Peters (2018), *Invariant models for causal transfer
/// learning*, algorithm 1. Deviation: the residuals are compared by rank-sum and Brown-Forsythe
/// tests, or by moments, in place of Levene's test or HSIC.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{SubsetOptions, invariant_subset};
/// use ctl_graph::stats::Table;
/// let row = |i: u32| (f64::from(i / 200), f64::from(i % 10), f64::from(i % 7), f64::from(i % 3));
/// let rows: Vec<_> = (0..400).map(row).collect();
/// let x: Vec<f64> = rows.iter().map(|r| r.1).collect();
/// let y: Vec<f64> = rows.iter().zip(&x).map(|(r, x)| x + r.2).collect();
/// let z = rows.iter().zip(&y).map(|(r, y)| y + r.3 + 9.0 * r.0).collect();
/// let site = rows.iter().map(|r| r.0).collect();
/// let table = Table::from_columns([("site", site), ("x", x), ("y", y), ("z", z)])?;
/// let found = invariant_subset(&table, "site", "y", &SubsetOptions::default())?;
/// // z predicts better, but shifts.
/// assert_eq!(found.map(|subset| subset.predictors), Some(vec![1]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn invariant_subset(
    table: &Table,
    environment: &str,
    target: &str,
    options: &SubsetOptions,
) -> Result<Option<TransferSubset>, DiscoveryError> {
    level(options.alpha)?;
    let comparison = Comparison::new(table, environment, target, options.regression, options.test)?;
    let predictors = &comparison.predictors;
    let mut subsets = Subsets::up_to(predictors.len(), predictors.len());
    let (mut best, mut tested) = (None::<TransferSubset>, 0);
    for subset in subsets.by_ref().take(options.limit) {
        tested += 1;
        let Some(fit) = comparison.design.fit(&subset) else {
            continue;
        };
        let residuals = comparison.design.residuals(&fit)?;
        let error = linear::dot(&residuals, &residuals) / residuals.len() as f64;
        if best.as_ref().is_some_and(|b| b.mean_squared_error <= error) {
            continue;
        }
        let p_value = comparison.p_value(&fit)?;
        if p_value > options.alpha {
            let means = comparison.design.moments.means();
            let shift: f64 = fit
                .columns
                .iter()
                .zip(&fit.coefficients)
                .map(|(&c, b)| means[c] * b)
                .sum();
            best = Some(TransferSubset {
                predictors: subset.iter().map(|&i| predictors[i]).collect(),
                p_value,
                mean_squared_error: error,
                intercept: means[0] - shift,
                coefficients: match options.regression {
                    Regression::Linear => fit.coefficients,
                    Regression::Additive { .. } => Vec::new(),
                },
                tested: 0,
                complete: true,
            });
        }
    }
    let complete = subsets.next().is_none();
    Ok(best.map(|found| TransferSubset {
        tested,
        complete,
        ..found
    }))
}

/// Coefficients of [`anchor_regression`].
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::anchor_regression;
/// use ctl_graph::stats::Table;
/// let table = Table::from_columns([("x", vec![0.0, 1.0, 2.0]), ("y", vec![1.0, 3.0, 5.0])])?;
/// let found = anchor_regression(&table, "y", &["x"], &[], 1.0)?;
/// assert!((found.coefficients[0] - 2.0).abs() < 1e-12);
/// assert!((found.intercept - 1.0).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnchorRegression {
    /// Coefficients in the order of the predictors.
    pub coefficients: Vec<f64>,
    /// Intercept.
    pub intercept: f64,
}

/// Least squares that also resist shifts along the anchors.
///
/// Minimises `E[((I - Π_A)(Y - b X))²] + γ E[(Π_A (Y - b X))²]`, where `Π_A` projects on the
/// anchors: `γ = 0` regresses the anchors out, 1 is least squares, and `γ → ∞` is two-stage least
/// squares with the anchors as instruments. The solution has the least worst-case error over
/// shifts along the anchors up to `√γ` times as strong as those seen.
///
/// # Arguments
/// - `table`: `[n, d]`, real columns; a category must be given as indicator columns.
/// - `target`, `predictors`, `anchors`: columns.
/// - `gamma`: zero or more.
///
/// # Returns
/// Coefficients and intercept.
///
/// # Errors
/// [`DiscoveryError::Stats`] for unknown or wrong columns and for predictors or anchors that
/// determine each other, [`DiscoveryError::Option`] for a negative `gamma`.
///
/// # References
/// Rothenhäusler, Meinshausen, Bühlmann and Peters (2021), *Anchor regression*, equation 6.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::anchor_regression;
/// use ctl_graph::stats::Table;
/// let a = vec![-1.0, -1.0, 1.0, 1.0];
/// let x = vec![-2.0, 0.0, 0.0, 2.0];
/// let y = vec![-1.0, -3.0, 1.0, 3.0];
/// let table = Table::from_columns([("a", a), ("x", x), ("y", y)])?;
/// let slope = |gamma| anchor_regression(&table, "y", &["x"], &["a"], gamma).map(|r| r.coefficients[0]);
/// assert!((slope(1.0)? - 1.0).abs() < 1e-12); // least squares: 8 / 8
/// assert!((slope(0.0)? - 0.0).abs() < 1e-12); // within the anchors' levels
/// assert!((slope(1e12)? - 2.0).abs() < 1e-6); // ratio of the means' differences
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn anchor_regression(
    table: &Table,
    target: &str,
    predictors: &[&str],
    anchors: &[&str],
    gamma: f64,
) -> Result<AnchorRegression, DiscoveryError> {
    if !gamma.is_finite() || gamma < 0.0 {
        return Err(DiscoveryError::Option {
            option: "gamma",
            expected: "a finite number, zero or more",
            found: gamma,
        });
    }
    let names: Vec<&str> = [&[target], predictors, anchors].concat();
    let moments = Moments::of(&table.select(&names)?)?;
    let covariance = moments.covariance();
    let inner = predictors.len() + 1;
    let anchors: Vec<usize> = (inner..names.len()).collect();
    // S + (γ - 1) S_A S_AA⁻¹ S_Aᵀ: the moments after the rows are stretched along the anchors.
    let mut stretched = covariance.principal(&(0..inner).collect::<Vec<_>>());
    if !anchors.is_empty() {
        let gram = covariance.principal(&anchors);
        let factor = linear::cholesky(&gram).ok_or_else(|| moments.singular(&anchors))?;
        for column in 0..inner {
            let mut solved: Vec<f64> = anchors.iter().map(|&a| covariance[(a, column)]).collect();
            linear::solve_factored(&factor, &mut solved);
            for row in 0..inner {
                let along: f64 = anchors
                    .iter()
                    .zip(&solved)
                    .map(|(&a, s)| covariance[(row, a)] * s)
                    .sum();
                stretched[(row, column)] += (gamma - 1.0) * along;
            }
        }
    }
    let on: Vec<usize> = (1..inner).collect();
    let right: Vec<f64> = on.iter().map(|&x| stretched[(x, 0)]).collect();
    let solved = linear::solve(&stretched.principal(&on), &right);
    let coefficients = solved.ok_or_else(|| moments.singular(&on))?;
    let means = moments.means();
    let shift: f64 = coefficients
        .iter()
        .zip(&means[1..])
        .map(|(b, m)| b * m)
        .sum();
    Ok(AnchorRegression {
        intercept: means[0] - shift,
        coefficients,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_penalty_is_two_stage_least_squares() {
        let a: Vec<f64> = (0..60).map(|i| f64::from(i % 6)).collect();
        let h: Vec<f64> = (0..60).map(|i| f64::from((i * 7) % 11)).collect();
        let x: Vec<f64> = a.iter().zip(&h).map(|(a, h)| a + h).collect();
        let y: Vec<f64> = x.iter().zip(&h).map(|(x, h)| 2.0 * x - 3.0 * h).collect();
        let table = Table::from_columns([("a", a), ("x", x), ("y", y)]).unwrap();
        let moments = Moments::of(&table).unwrap();
        let ratio = moments.covariance()[(0, 2)] / moments.covariance()[(0, 1)];
        let found = anchor_regression(&table, "y", &["x"], &["a"], 1e9).unwrap();
        assert!((found.coefficients[0] - ratio).abs() < 1e-6);
        let mean = moments.means()[2] - found.coefficients[0] * moments.means()[1];
        assert!((found.intercept - mean).abs() < 1e-9);
    }

    #[test]
    fn ill_calls_are_errors() {
        let table = Table::from_columns([("x", vec![1.0, 2.0]), ("y", vec![0.0, 1.0])]).unwrap();
        assert!(anchor_regression(&table, "y", &["x"], &[], -1.0).is_err());
        assert!(anchor_regression(&table, "y", &["z"], &[], 1.0).is_err());
        assert!(anchor_regression(&table, "y", &["x", "y"], &[], 1.0).is_err());
        let plain = anchor_regression(&table, "y", &["x"], &[], 5.0).unwrap();
        assert!((plain.coefficients[0] - 1.0).abs() < 1e-12);
    }
}
