//! Proper scores of predicted probabilities.

use crate::{MetricError, validate};

/// Probabilities are kept this far from 0 and 1 before their logarithm is taken, as scikit-learn
/// does for double precision; a certain error then costs 36 nats instead of infinity.
const LOG_CLIP: f64 = f64::EPSILON;

fn check_binary(probabilities: &[f64], labels: &[bool]) -> Result<(), MetricError> {
    validate::non_empty("probabilities", probabilities.len())?;
    validate::same_len("labels", probabilities.len(), labels.len())?;
    validate::probabilities("probabilities", probabilities)
}

/// Brier score of binary probabilities: `mean (p - y)^2`.
///
/// # Arguments
/// - `probabilities`: `[N]` probabilities of the positive class, in `[0, 1]`.
/// - `labels`: `[N]`.
///
/// # Returns
/// A value in `[0, 1]`, lower is better.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidValue`].
///
/// # References
/// Brier, "Verification of forecasts expressed in terms of probability", 1950; half of his
/// two-class sum.
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::brier;
/// assert_eq!(brier(&[0.5, 1.0], &[true, false])?, 0.625);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn brier(probabilities: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    check_binary(probabilities, labels)?;
    let errors = probabilities
        .iter()
        .zip(labels)
        .map(|(&p, &y)| (p - f64::from(u8::from(y))).powi(2));
    Ok(errors.sum::<f64>() / labels.len() as f64)
}

/// Brier score of class probabilities: `mean_i sum_k (p_ik - [y_i = k])^2`.
///
/// # Arguments
/// - `probabilities`: `[N, K]` row-major, in `[0, 1]`.
/// - `classes`: `K`, at least 2.
/// - `labels`: `[N]` class indices below `K`.
///
/// # Returns
/// A value in `[0, 2]`, lower is better; for two classes twice [`brier`].
///
/// # Errors
/// [`MetricError::InvalidParameter`], [`MetricError::Empty`], [`MetricError::LengthMismatch`],
/// [`MetricError::IndexOutOfRange`], [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::brier_multiclass;
/// assert_eq!(brier_multiclass(&[0.5, 0.25, 0.25], 3, &[0])?, 0.375);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn brier_multiclass(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, MetricError> {
    validate::class_rows("probabilities", probabilities, classes, labels)?;
    validate::probabilities("probabilities", probabilities)?;
    let row_error = |(row, &label): (&[f64], &usize)| -> f64 {
        let squares: f64 = row.iter().map(|p| p * p).sum();
        squares - 2.0 * row[label] + 1.0
    };
    let sum: f64 = probabilities
        .chunks_exact(classes)
        .zip(labels)
        .map(row_error)
        .sum();
    Ok(sum / labels.len() as f64)
}

/// Log loss of binary probabilities: `-mean (y ln p + (1 - y) ln(1 - p))`.
///
/// Probabilities are clipped to `[e, 1 - e]` with the machine epsilon `e` of double precision.
///
/// # Arguments
/// - `probabilities`: `[N]` probabilities of the positive class, in `[0, 1]`.
/// - `labels`: `[N]`.
///
/// # Returns
/// Nats, lower is better.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::log_loss;
/// assert_eq!(log_loss(&[0.5, 0.5], &[true, false])?, std::f64::consts::LN_2);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn log_loss(probabilities: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    check_binary(probabilities, labels)?;
    let losses = probabilities
        .iter()
        .zip(labels)
        .map(|(&p, &y)| clipped_loss(if y { p } else { 1.0 - p }));
    Ok(losses.sum::<f64>() / labels.len() as f64)
}

/// Log loss of class probabilities: `-mean_i ln p_i,y_i`, clipped as in [`log_loss`].
///
/// # Arguments
/// - `probabilities`: `[N, K]` row-major, in `[0, 1]`; rows are taken as they are, not normalised.
/// - `classes`: `K`, at least 2.
/// - `labels`: `[N]` class indices below `K`.
///
/// # Returns
/// Nats, lower is better.
///
/// # Errors
/// As [`brier_multiclass`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::log_loss_multiclass;
/// let loss = log_loss_multiclass(&[0.5, 0.25, 0.25], 3, &[1])?;
/// assert_eq!(loss, 4.0_f64.ln());
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn log_loss_multiclass(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, MetricError> {
    validate::class_rows("probabilities", probabilities, classes, labels)?;
    validate::probabilities("probabilities", probabilities)?;
    let rows = probabilities.chunks_exact(classes).zip(labels);
    let sum: f64 = rows.map(|(row, &label)| clipped_loss(row[label])).sum();
    Ok(sum / labels.len() as f64)
}

fn clipped_loss(probability: f64) -> f64 {
    -probability.clamp(LOG_CLIP, 1.0 - LOG_CLIP).ln()
}

/// Softmax of each row: `p_k = exp(z_k) / sum_j exp(z_j)`.
///
/// # Arguments
/// - `logits`: `[N, K]` row-major, finite.
/// - `classes`: `K`, at least 2.
///
/// # Returns
/// `[N, K]` probabilities.
///
/// # Errors
/// [`MetricError::InvalidParameter`], [`MetricError::LengthMismatch`] when the length is no
/// multiple of `K`, [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::softmax_rows;
/// assert_eq!(softmax_rows(&[0.0, 0.0, 1000.0, 0.0], 2)?, [0.5, 0.5, 1.0, 0.0]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn softmax_rows(logits: &[f64], classes: usize) -> Result<Vec<f64>, MetricError> {
    validate::parameter("classes", classes as f64, "at least 2", classes >= 2)?;
    validate::same_len("logits", logits.len() / classes * classes, logits.len())?;
    validate::finite("logits", logits)?;
    Ok(logits
        .chunks_exact(classes)
        .flat_map(|row| softmax(row, 1.0))
        .collect())
}

/// Softmax of `scale * row`.
pub(super) fn softmax(row: &[f64], scale: f64) -> Vec<f64> {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = row.iter().map(|z| (scale * (z - top)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Mean negative log-likelihood of softmax logits at a temperature `T`.
///
/// `mean_i (ln sum_k exp(z_ik / T) - z_i,y_i / T)`; exact where [`log_loss_multiclass`] clips.
///
/// # Arguments
/// - `logits`: `[N, K]` row-major, finite.
/// - `classes`: `K`, at least 2.
/// - `labels`: `[N]` class indices below `K`.
/// - `temperature`: `T`, finite and above 0.
///
/// # Returns
/// Nats, lower is better.
///
/// # Errors
/// As [`brier_multiclass`]; [`MetricError::InvalidParameter`] for the temperature.
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::negative_log_likelihood;
/// let nll = negative_log_likelihood(&[2.0, 0.0], 2, &[1], 2.0)?;
/// assert!((nll - (1.0 + (-1.0_f64).exp()).ln() - 1.0).abs() < 1e-15);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn negative_log_likelihood(
    logits: &[f64],
    classes: usize,
    labels: &[usize],
    temperature: f64,
) -> Result<f64, MetricError> {
    validate::class_rows("logits", logits, classes, labels)?;
    validate::finite("logits", logits)?;
    let allowed = temperature > 0.0 && temperature.is_finite();
    validate::parameter(
        "temperature",
        temperature,
        "a finite number above 0",
        allowed,
    )?;
    let row_loss = |(row, &label): (&[f64], &usize)| -> f64 {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|z| ((z - top) / temperature).exp()).sum();
        sum.ln() - (row[label] - top) / temperature
    };
    let sum: f64 = logits.chunks_exact(classes).zip(labels).map(row_loss).sum();
    Ok(sum / labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_double_the_binary_brier_score() {
        let binary = brier(&[0.3, 0.8], &[true, false]).unwrap();
        let rows = brier_multiclass(&[0.7, 0.3, 0.2, 0.8], 2, &[1, 0]).unwrap();
        assert!((rows - 2.0 * binary).abs() < 1e-15);
    }

    #[test]
    fn a_certain_error_costs_a_finite_number_of_nats() {
        let loss = log_loss(&[0.0], &[true]).unwrap();
        assert!((loss - 52.0 * std::f64::consts::LN_2).abs() < 1e-12);
        assert!((log_loss_multiclass(&[1.0, 0.0], 2, &[1]).unwrap() - loss).abs() < 1e-12);
    }

    #[test]
    fn ill_input_is_refused() {
        assert!(brier(&[1.2], &[true]).is_err());
        assert!(log_loss(&[], &[]).is_err());
        assert!(brier_multiclass(&[0.5; 4], 2, &[0]).is_err());
        assert!(log_loss_multiclass(&[0.5; 2], 1, &[0, 0]).is_err());
        assert!(softmax_rows(&[0.0, f64::INFINITY], 2).is_err());
        assert!(softmax_rows(&[0.0; 3], 2).is_err());
        assert!(negative_log_likelihood(&[0.0; 2], 2, &[0], 0.0).is_err());
    }
}
