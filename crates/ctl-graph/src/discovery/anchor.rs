//! Anchor regression.

use super::comparison::LinearModel;
use super::error::DiscoveryError;
use crate::stats::{Matrix, Moments, Table, linear};

/// Options of [`anchor_regression`].
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{AnchorOptions, anchor_regression};
/// use ctl_graph::stats::Table;
/// let table = Table::from_columns([("x", vec![1.0, 1.0]), ("y", vec![0.0, 4.0])])?;
/// let fit = |ridge| anchor_regression(&table, &["y"], &["x"], &[], &AnchorOptions { gamma: 1.0, ridge });
/// assert!(fit(0.0).is_err()); // x never varies
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnchorOptions {
    /// How much residuals along the anchors weigh, zero or more.
    pub gamma: f64,
    /// Share of the predictors' mean variance that is added to each one's (ridge regression), zero
    /// or more. Above zero, predictors may determine each other.
    pub ridge: f64,
}

impl Default for AnchorOptions {
    fn default() -> Self {
        Self {
            gamma: 1.0,
            ridge: 0.0,
        }
    }
}

/// What [`anchor_regression`] found for one target.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{AnchorOptions, anchor_regression};
/// use ctl_graph::stats::Table;
/// let table = Table::from_columns([("x", vec![0.0, 1.0, 2.0]), ("y", vec![1.0, 3.0, 5.0])])?;
/// let found = anchor_regression(&table, &["y"], &["x"], &[], &AnchorOptions::default())?;
/// assert!((found[0].model.coefficients[0] - 2.0).abs() < 1e-12);
/// assert!(found[0].objective.abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnchorRegression {
    /// Coefficients in the order of the predictors, and intercept.
    pub model: LinearModel,
    /// What was minimised, without the ridge: the mean over rows.
    pub objective: f64,
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
/// - `targets`, `predictors`, `anchors`: columns. Anchors that others determine change nothing.
/// - `options`: see [`AnchorOptions`].
///
/// # Returns
/// A model for each target.
///
/// # Errors
/// [`DiscoveryError::Stats`] for unknown or wrong columns and, without a ridge, for predictors
/// that determine each other; [`DiscoveryError::Option`] for an option that is negative or not
/// finite.
///
/// # References
/// Rothenhäusler, Meinshausen, Bühlmann and Peters (2021), *Anchor regression*, equation 6.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{AnchorOptions, anchor_regression};
/// use ctl_graph::stats::Table;
/// let a = vec![-1.0, -1.0, 1.0, 1.0];
/// let x = vec![-2.0, 0.0, 0.0, 2.0];
/// let y = vec![-1.0, -3.0, 1.0, 3.0];
/// let table = Table::from_columns([("a", a), ("x", x), ("y", y)])?;
/// let slope = |gamma| {
///     let options = AnchorOptions { gamma, ridge: 0.0 };
///     let found = anchor_regression(&table, &["y"], &["x"], &["a"], &options)?;
///     Ok::<_, ctl_graph::discovery::DiscoveryError>(found[0].model.coefficients[0])
/// };
/// assert!((slope(1.0)? - 1.0).abs() < 1e-12); // least squares: 8 / 8
/// assert!((slope(0.0)? - 0.0).abs() < 1e-12); // within the anchors' levels
/// assert!((slope(1e12)? - 2.0).abs() < 1e-6); // ratio of the means' differences
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn anchor_regression(
    table: &Table,
    targets: &[&str],
    predictors: &[&str],
    anchors: &[&str],
    options: &AnchorOptions,
) -> Result<Vec<AnchorRegression>, DiscoveryError> {
    not_negative("gamma", options.gamma)?;
    not_negative("ridge", options.ridge)?;
    let names: Vec<&str> = [targets, predictors, anchors].concat();
    let moments = Moments::of(&table.select(&names)?)?;
    let inner = targets.len() + predictors.len();
    let stretched = stretched(moments.covariance(), inner, options.gamma);
    let on: Vec<usize> = (targets.len()..inner).collect();
    let plain = stretched.principal(&on);
    let mut gram = plain.clone();
    let trace: f64 = (0..on.len()).map(|i| gram[(i, i)]).sum();
    for i in 0..on.len() {
        gram[(i, i)] += options.ridge * trace / on.len() as f64;
    }
    let factor = linear::cholesky(&gram).ok_or_else(|| moments.singular(&on))?;
    let means = moments.means();
    let model = |target: usize| {
        let right: Vec<f64> = on.iter().map(|&x| stretched[(x, target)]).collect();
        let mut coefficients = right.clone();
        linear::solve_factored(&factor, &mut coefficients);
        let shift = linear::dot(&coefficients, &means[targets.len()..inner]);
        let image = |i: usize| linear::dot(plain.row(i), &coefficients);
        let quadratic: f64 = (0..on.len()).map(|i| coefficients[i] * image(i)).sum();
        let crossed = linear::dot(&coefficients, &right);
        AnchorRegression {
            objective: (stretched[(target, target)] - 2.0 * crossed + quadratic).max(0.0),
            model: LinearModel::new(means[target] - shift, coefficients),
        }
    };
    Ok((0..targets.len()).map(model).collect())
}

fn not_negative(option: &'static str, found: f64) -> Result<(), DiscoveryError> {
    if found.is_finite() && found >= 0.0 {
        return Ok(());
    }
    Err(DiscoveryError::Option {
        option,
        expected: "a finite number, zero or more",
        found,
    })
}

/// `S + (γ - 1) S_A S_AA⁻¹ S_Aᵀ` of the first `inner` columns: their moments after the rows are
/// stretched along the other columns, the anchors.
fn stretched(covariance: &Matrix, inner: usize, gamma: f64) -> Matrix {
    let mut anchors = Vec::new();
    let mut factor = None;
    for anchor in inner..covariance.rows() {
        anchors.push(anchor);
        match linear::cholesky(&covariance.principal(&anchors)) {
            Some(larger) => factor = Some(larger),
            // The projection is the same without an anchor that the others determine.
            None => drop(anchors.pop()),
        }
    }
    let mut result = covariance.principal(&(0..inner).collect::<Vec<_>>());
    let Some(factor) = factor else {
        return result;
    };
    for column in 0..inner {
        let mut solved: Vec<f64> = anchors.iter().map(|&a| covariance[(a, column)]).collect();
        linear::solve_factored(&factor, &mut solved);
        for row in 0..inner {
            let terms = anchors.iter().zip(&solved);
            let along: f64 = terms.map(|(&a, s)| covariance[(row, a)] * s).sum();
            result[(row, column)] += (gamma - 1.0) * along;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(gamma: f64) -> AnchorOptions {
        AnchorOptions { gamma, ridge: 0.0 }
    }

    /// An anchor, a hidden common cause, and what follows from both.
    fn table() -> Table {
        let a: Vec<f64> = (0..60).map(|i| f64::from(i % 6)).collect();
        let h: Vec<f64> = (0..60).map(|i| f64::from((i * 7) % 11)).collect();
        let x: Vec<f64> = a.iter().zip(&h).map(|(a, h)| a + h).collect();
        let y: Vec<f64> = x.iter().zip(&h).map(|(x, h)| 2.0 * x - 3.0 * h).collect();
        let twice = a.iter().map(|a| 7.0 - 2.0 * a).collect();
        Table::from_columns([("a", a), ("x", x), ("y", y), ("h", h), ("twice", twice)]).unwrap()
    }

    #[test]
    fn an_endless_penalty_is_two_stage_least_squares() {
        let table = table().select(&["a", "x", "y"]).unwrap();
        let moments = Moments::of(&table).unwrap();
        let ratio = moments.covariance()[(0, 2)] / moments.covariance()[(0, 1)];
        let found = anchor_regression(&table, &["y"], &["x"], &["a"], &one(1e9)).unwrap();
        let model = &found[0].model;
        assert!((model.coefficients[0] - ratio).abs() < 1e-6);
        let mean = moments.means()[2] - model.coefficients[0] * moments.means()[1];
        assert!((model.intercept - mean).abs() < 1e-9);
    }

    #[test]
    fn targets_are_fitted_each_alone() {
        let table = table();
        let both = anchor_regression(&table, &["y", "h"], &["x"], &["a"], &one(4.0)).unwrap();
        for (found, target) in both.iter().zip(["y", "h"]) {
            let alone = anchor_regression(&table, &[target], &["x"], &["a"], &one(4.0)).unwrap();
            assert_eq!(found, &alone[0]);
        }
    }

    #[test]
    fn anchors_that_others_determine_change_nothing() {
        let table = table();
        let fit = |anchors: &[&str]| {
            let found = anchor_regression(&table, &["y"], &["x"], anchors, &one(9.0)).unwrap();
            found[0].model.coefficients[0]
        };
        assert!((fit(&["a", "twice"]) - fit(&["a"])).abs() < 1e-10);
        assert!((fit(&["a"]) - fit(&[])).abs() > 0.1);
    }

    /// With γ = 1 and one predictor the slope is `S_xy / (S_xx + ridge · S_xx)`.
    #[test]
    fn a_ridge_shrinks_and_lets_predictors_determine_each_other() {
        let table = table();
        let fit = |predictors: &[&str], ridge: f64| {
            let options = AnchorOptions { gamma: 1.0, ridge };
            anchor_regression(&table, &["y"], predictors, &[], &options)
        };
        let slope = |ridge| fit(&["x"], ridge).unwrap()[0].model.coefficients[0];
        assert!((slope(0.25) - slope(0.0) / 1.25).abs() < 1e-12);
        assert!(fit(&["a", "twice"], 0.0).is_err());
        assert!(fit(&["a", "twice"], 1e-3).is_ok());
    }

    #[test]
    fn ill_calls_are_errors() {
        let table = Table::from_columns([("x", vec![1.0, 2.0]), ("y", vec![0.0, 1.0])]).unwrap();
        let fit = |predictors: &[&str], options| {
            anchor_regression(&table, &["y"], predictors, &[], &options)
        };
        assert!(fit(&["x"], one(-1.0)).is_err());
        assert!(fit(&["z"], one(1.0)).is_err());
        assert!(fit(&["x", "y"], one(1.0)).is_err());
        let negative = AnchorOptions {
            gamma: 1.0,
            ridge: -0.5,
        };
        assert!(fit(&["x"], negative).is_err());
        let plain = fit(&["x"], one(5.0)).unwrap();
        assert!((plain[0].model.coefficients[0] - 1.0).abs() < 1e-12);
    }
}
