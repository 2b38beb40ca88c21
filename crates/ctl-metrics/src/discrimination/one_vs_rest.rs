//! Ranking metrics of several classes, one against the rest.

use super::ranking::{auroc, average_precision};
use crate::{MetricError, rank::tied, validate};

/// The class of the highest score in each row; the lowest index wins a tie.
///
/// # Arguments
/// - `scores`: `[N, K]` row-major, no `NaN`.
/// - `classes`: `K`, at least 2.
///
/// # Returns
/// `[N]` class indices.
///
/// # Errors
/// [`MetricError::InvalidParameter`] for fewer than two classes, [`MetricError::LengthMismatch`]
/// when the length is no multiple of `K`, [`MetricError::InvalidValue`] for `NaN`.
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::predicted_classes;
/// assert_eq!(predicted_classes(&[0.2, 0.7, 0.1, 0.4, 0.2, 0.4], 3)?, [1, 0]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn predicted_classes(scores: &[f64], classes: usize) -> Result<Vec<usize>, MetricError> {
    validate::parameter("classes", classes as f64, "at least 2", classes >= 2)?;
    validate::same_len("scores", scores.len() / classes * classes, scores.len())?;
    validate::not_nan("scores", scores)?;
    Ok(scores.chunks_exact(classes).map(argmax).collect())
}

fn argmax(row: &[f64]) -> usize {
    let mut best = 0;
    for (class, &score) in row.iter().enumerate() {
        if score > row[best] {
            best = class;
        }
    }
    best
}

/// Unweighted mean over classes of the one-versus-rest AUROC.
///
/// # Arguments
/// - `scores`: `[N, K]` row-major; column `k` orders the samples by how much they look like `k`.
/// - `classes`: `K`, at least 2.
/// - `labels`: `[N]` class indices below `K`; every class must occur.
///
/// # Returns
/// A value in `[0, 1]`.
///
/// # Errors
/// [`MetricError::MissingClass`] when a class has no sample; otherwise as
/// [`auroc`] with [`MetricError::IndexOutOfRange`] for a label that does not exist.
///
/// # Complexity
/// O(K N log N).
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::auroc_ovr_macro;
/// let scores = [0.8, 0.1, 0.1, 0.2, 0.6, 0.2, 0.3, 0.3, 0.4, 0.1, 0.7, 0.2];
/// assert_eq!(auroc_ovr_macro(&scores, 3, &[0, 1, 2, 2])?, (1.0 + 2.0 / 3.0 + 0.875) / 3.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn auroc_ovr_macro(
    scores: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, MetricError> {
    mean_over_classes(scores, classes, labels, auroc)
}

/// Unweighted mean over classes of the one-versus-rest average precision.
///
/// # Arguments
/// As [`auroc_ovr_macro`].
///
/// # Returns
/// A value in `(0, 1]`.
///
/// # Errors
/// As [`auroc_ovr_macro`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::average_precision_macro;
/// let scores = [0.8, 0.2, 0.4, 0.6, 0.7, 0.3];
/// assert_eq!(average_precision_macro(&scores, 2, &[0, 1, 0])?, 1.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn average_precision_macro(
    scores: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, MetricError> {
    mean_over_classes(scores, classes, labels, average_precision)
}

fn mean_over_classes(
    scores: &[f64],
    classes: usize,
    labels: &[usize],
    metric: impl Fn(&[f64], &[bool]) -> Result<f64, MetricError>,
) -> Result<f64, MetricError> {
    validate::class_rows("scores", scores, classes, labels)?;
    validate::not_nan("scores", scores)?;
    if let Some(class) = (0..classes).find(|class| !labels.contains(class)) {
        return Err(MetricError::MissingClass { classes, class });
    }
    let mut sum = 0.0;
    for class in 0..classes {
        let column: Vec<f64> = scores
            .iter()
            .skip(class)
            .step_by(classes)
            .copied()
            .collect();
        let is_class: Vec<bool> = labels.iter().map(|&label| label == class).collect();
        sum += metric(&column, &is_class)?;
    }
    Ok(sum / classes as f64)
}

/// Fraction of samples whose class is among the `k` highest scores of their row.
///
/// # Arguments
/// - `scores`: `[N, K]` row-major, no `NaN`; of equal scores the higher class index comes first, as in
///   scikit-learn (and unlike [`predicted_classes`], where the lowest wins).
/// - `classes`: `K`, at least 2.
/// - `labels`: `[N]` class indices below `K`.
/// - `k`: at least 1.
///
/// # Returns
/// A value in `[0, 1]`; `k = 1` is the accuracy unless scores tie.
///
/// # Errors
/// [`MetricError::InvalidParameter`], [`MetricError::Empty`], [`MetricError::LengthMismatch`],
/// [`MetricError::IndexOutOfRange`], [`MetricError::InvalidValue`] for `NaN`.
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::top_k_accuracy;
/// let scores = [0.5, 0.3, 0.2, 0.1, 0.2, 0.7];
/// assert_eq!(top_k_accuracy(&scores, 3, &[1, 0], 1)?, 0.0);
/// assert_eq!(top_k_accuracy(&scores, 3, &[1, 0], 2)?, 0.5);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn top_k_accuracy(
    scores: &[f64],
    classes: usize,
    labels: &[usize],
    k: usize,
) -> Result<f64, MetricError> {
    validate::class_rows("scores", scores, classes, labels)?;
    validate::not_nan("scores", scores)?;
    validate::parameter("k", k as f64, "at least 1", k >= 1)?;
    let hits = scores
        .chunks_exact(classes)
        .zip(labels)
        .filter(|&(row, &y)| place(row, y) < k);
    Ok(hits.count() as f64 / labels.len() as f64)
}

/// How many classes come before `class` when the row is sorted by descending score.
fn place(row: &[f64], class: usize) -> usize {
    let own = row[class];
    let before =
        |&(other, &score): &(usize, &f64)| score > own || (tied(score, own) && other > class);
    row.iter().enumerate().filter(before).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_without_samples_is_named() {
        let error = auroc_ovr_macro(&[0.1, 0.2, 0.7, 0.3, 0.3, 0.4], 3, &[0, 2]).unwrap_err();
        assert_eq!(
            error,
            MetricError::MissingClass {
                classes: 3,
                class: 1
            }
        );
    }

    #[test]
    fn shapes_are_checked() {
        assert!(matches!(
            auroc_ovr_macro(&[0.1; 5], 2, &[0, 1]).unwrap_err(),
            MetricError::LengthMismatch {
                subject: "scores",
                expected: 4,
                found: 5
            }
        ));
        assert!(predicted_classes(&[0.1; 5], 2).is_err());
        assert!(top_k_accuracy(&[0.1; 4], 2, &[0, 2], 1).is_err());
        assert!(top_k_accuracy(&[0.1; 4], 2, &[0, 1], 0).is_err());
    }

    #[test]
    fn top_k_ties_prefer_the_higher_class() {
        assert!((top_k_accuracy(&[0.5, 0.5], 2, &[1], 1).unwrap() - 1.0).abs() < 1e-15);
        assert!(top_k_accuracy(&[0.5, 0.5], 2, &[0], 1).unwrap().abs() < 1e-15);
    }
}
