//! Errors and correlations of real-valued predictions.

use crate::rank::{ascending_order, ranks_of, tie_sizes};
use crate::{MetricError, validate};

fn check(predictions: &[f64], targets: &[f64]) -> Result<(), MetricError> {
    validate::non_empty("targets", targets.len())?;
    validate::same_len("predictions", targets.len(), predictions.len())?;
    validate::finite("predictions", predictions)?;
    validate::finite("targets", targets)
}

fn mean_of_errors(
    predictions: &[f64],
    targets: &[f64],
    cost: impl Fn(f64) -> f64,
) -> Result<f64, MetricError> {
    check(predictions, targets)?;
    let sum: f64 = predictions
        .iter()
        .zip(targets)
        .map(|(p, y)| cost(p - y))
        .sum();
    Ok(sum / targets.len() as f64)
}

/// Mean absolute error: `mean |p - y|`.
///
/// # Arguments
/// - `predictions`, `targets`: `[N]`, finite, in the unit of the target.
///
/// # Returns
/// The error in the unit of the target.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::regression::mean_absolute_error;
/// assert_eq!(mean_absolute_error(&[1.0, 5.0], &[2.0, 2.0])?, 2.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn mean_absolute_error(predictions: &[f64], targets: &[f64]) -> Result<f64, MetricError> {
    mean_of_errors(predictions, targets, f64::abs)
}

/// Mean squared error: `mean (p - y)^2`; its root is the root mean squared error.
///
/// # Arguments
/// As [`mean_absolute_error`].
///
/// # Returns
/// The error in the squared unit of the target.
///
/// # Errors
/// As [`mean_absolute_error`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::regression::mean_squared_error;
/// assert_eq!(mean_squared_error(&[1.0, 5.0], &[2.0, 2.0])?, 5.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn mean_squared_error(predictions: &[f64], targets: &[f64]) -> Result<f64, MetricError> {
    mean_of_errors(predictions, targets, |error| error * error)
}

/// Coefficient of determination: `1 - sum (y - p)^2 / sum (y - mean y)^2`.
///
/// # Arguments
/// As [`mean_absolute_error`].
///
/// # Returns
/// At most 1; 0 for predicting the mean, negative for worse.
///
/// # Errors
/// As [`mean_absolute_error`]; [`MetricError::Undefined`] for constant targets.
///
/// # Examples
///
/// ```
/// use ctl_metrics::regression::r_squared;
/// assert_eq!(r_squared(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0])?, 0.5);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn r_squared(predictions: &[f64], targets: &[f64]) -> Result<f64, MetricError> {
    let error = mean_squared_error(predictions, targets)? * targets.len() as f64;
    let total = sum_of_products(targets, targets);
    if validate::is_constant(targets) || total == 0.0 {
        return Err(constant("R squared"));
    }
    Ok(1.0 - error / total)
}

fn sum_of_products(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - mean_a) * (y - mean_b))
        .sum()
}

fn constant(subject: &'static str) -> MetricError {
    MetricError::Undefined {
        subject,
        expected: "values that vary",
        found: "a constant",
    }
}

/// Pearson correlation.
///
/// `sum (p - mean p)(y - mean y) / sqrt(sum (p - mean p)^2 sum (y - mean y)^2)`.
///
/// # Arguments
/// As [`mean_absolute_error`].
///
/// # Returns
/// A value in `[-1, 1]`.
///
/// # Errors
/// As [`mean_absolute_error`]; [`MetricError::Undefined`] when either is constant.
///
/// # Examples
///
/// ```
/// use ctl_metrics::regression::pearson;
/// assert!((pearson(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0])? - 0.5).abs() < 1e-15);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn pearson(predictions: &[f64], targets: &[f64]) -> Result<f64, MetricError> {
    check(predictions, targets)?;
    correlation("Pearson correlation", predictions, targets)
}

fn correlation(subject: &'static str, a: &[f64], b: &[f64]) -> Result<f64, MetricError> {
    let scale = sum_of_products(a, a).sqrt() * sum_of_products(b, b).sqrt();
    if validate::is_constant(a) || validate::is_constant(b) || scale == 0.0 {
        return Err(constant(subject));
    }
    Ok((sum_of_products(a, b) / scale).clamp(-1.0, 1.0))
}

/// Spearman correlation: the Pearson correlation of the mid-ranks.
///
/// # Arguments
/// As [`mean_absolute_error`].
///
/// # Returns
/// A value in `[-1, 1]`.
///
/// # Errors
/// As [`pearson`].
///
/// # Complexity
/// O(N log N).
///
/// # Examples
///
/// ```
/// use ctl_metrics::regression::spearman;
/// assert!((spearman(&[1.0, 10.0, 100.0], &[1.0, 3.0, 2.0])? - 0.5).abs() < 1e-15);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn spearman(predictions: &[f64], targets: &[f64]) -> Result<f64, MetricError> {
    check(predictions, targets)?;
    correlation(
        "Spearman correlation",
        &ranks_of(predictions),
        &ranks_of(targets),
    )
}

/// Kendall's tau-b.
///
/// `(C - D) / sqrt((P - T_p)(P - T_y))` with concordant pairs `C`, discordant pairs `D`, all pairs
/// `P` and the pairs tied in either variable.
///
/// # Arguments
/// As [`mean_absolute_error`].
///
/// # Returns
/// A value in `[-1, 1]`.
///
/// # Errors
/// As [`pearson`].
///
/// # Complexity
/// O(N log N), counting discordant pairs as inversions.
///
/// # References
/// Kendall, "The treatment of ties in ranking problems", 1945; Knight, "A computer method for
/// calculating Kendall's tau with ungrouped data", 1966.
///
/// # Examples
///
/// ```
/// use ctl_metrics::regression::kendall_tau_b;
/// let tau = kendall_tau_b(&[1.0, 2.0, 3.0, 3.0], &[1.0, 3.0, 2.0, 4.0])?;
/// assert!((tau - 3.0 / 30.0_f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn kendall_tau_b(predictions: &[f64], targets: &[f64]) -> Result<f64, MetricError> {
    check(predictions, targets)?;
    if validate::is_constant(predictions) || validate::is_constant(targets) {
        return Err(constant("Kendall's tau"));
    }
    let (rank_p, rank_y) = (ranks_of(predictions), ranks_of(targets));
    // Ranks are half-integers, so one number keeps both exactly and orders pairs by p, then y.
    let span = 2.0 * (targets.len() as f64 + 1.0);
    let joint: Vec<f64> = rank_p
        .iter()
        .zip(&rank_y)
        .map(|(p, y)| p * span + y)
        .collect();
    let mut by_prediction: Vec<f64> = ascending_order(&joint)
        .into_iter()
        .map(|index| rank_y[index])
        .collect();
    let discordant = inversions(&mut by_prediction) as f64;
    let n = targets.len() as f64;
    let pairs = n * (n - 1.0) / 2.0;
    let (tied_p, tied_y) = (tied_pairs(&rank_p), tied_pairs(&rank_y));
    let concordant = pairs - tied_p - tied_y + tied_pairs(&joint) - discordant;
    Ok((concordant - discordant) / ((pairs - tied_p) * (pairs - tied_y)).sqrt())
}

fn tied_pairs(values: &[f64]) -> f64 {
    tie_sizes(values).map(|t| t * (t - 1.0) / 2.0).sum()
}

/// Sorts the values and counts the pairs that stood in strictly descending order.
fn inversions(values: &mut [f64]) -> u64 {
    if values.len() < 2 {
        return 0;
    }
    let middle = values.len() / 2;
    let (left, right) = values.split_at_mut(middle);
    let mut count = inversions(left) + inversions(right);
    let mut merged = Vec::with_capacity(values.len());
    let (mut i, mut j) = (0, middle);
    while i < middle || j < values.len() {
        if j == values.len() || (i < middle && values[i] <= values[j]) {
            merged.push(values[i]);
            i += 1;
        } else {
            count += (middle - i) as u64;
            merged.push(values[j]);
            j += 1;
        }
    }
    values.copy_from_slice(&merged);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_have_no_correlation() {
        let (flat, rising) = ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]);
        for metric in [pearson, spearman, kendall_tau_b] {
            assert!(metric(&flat, &rising).unwrap_err().is_undefined());
            assert!(metric(&rising, &flat).unwrap_err().is_undefined());
        }
        assert!(r_squared(&rising, &flat).unwrap_err().is_undefined());
        assert!(r_squared(&flat, &rising).is_ok());
    }

    #[test]
    fn ill_input_is_refused() {
        assert!(mean_absolute_error(&[], &[]).is_err());
        assert!(mean_squared_error(&[1.0], &[1.0, 2.0]).is_err());
        assert!(pearson(&[1.0, f64::INFINITY], &[1.0, 2.0]).is_err());
    }

    #[test]
    fn reversed_order_is_minus_one() {
        let (up, down) = ([1.0, 2.0, 3.0, 4.0], [9.0, 7.0, 5.0, 1.0]);
        assert!((kendall_tau_b(&up, &down).unwrap() + 1.0).abs() < 1e-15);
        assert!((spearman(&up, &down).unwrap() + 1.0).abs() < 1e-15);
    }
}
