//! Metrics of a score that orders samples with binary labels.

use serde::Serialize;

use crate::rank::{ascending_order, ranks_of, tied};
use crate::{MetricError, validate};

/// How far a specificity may fall below the demanded one by rounding.
const SPECIFICITY_TOLERANCE: f64 = 1e-12;

/// Area under the receiver operating characteristic.
///
/// `AUROC = P(s+ > s-) + P(s+ = s-) / 2` over all pairs of a positive and a negative sample.
///
/// # Arguments
/// - `scores`: `[N]`, higher means more likely positive; any monotone scale, infinities allowed.
/// - `labels`: `[N]`, `true` for positive.
///
/// # Returns
/// A value in `[0, 1]`; ties count one half.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidValue`] for a
/// `NaN` score, [`MetricError::SingleClass`] when only one class occurs.
///
/// # Complexity
/// O(N log N), by mid-ranks.
///
/// # References
/// Hanley & `McNeil`, "The meaning and use of the area under a ROC curve", 1982.
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::auroc;
/// // Of the four pairs, three are ordered rightly and one is tied.
/// let value = auroc(&[0.9, 0.5, 0.5, 0.1], &[true, true, false, false])?;
/// assert_eq!(value, 0.875);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn auroc(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    let (positives, negatives) = validate::ranked_labels(scores, labels)?;
    let ranks = ranks_of(scores);
    let rank_sum: f64 = ranks
        .iter()
        .zip(labels)
        .filter(|&(_, &y)| y)
        .map(|(r, _)| r)
        .sum();
    let (m, n) = (positives as f64, negatives as f64);
    Ok((rank_sum - m * (m + 1.0) / 2.0) / (m * n))
}

/// What a threshold at one of the scores would predict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// Samples with `score >= threshold` are called positive.
    pub threshold: f64,
    /// Positives called positive.
    pub true_positives: usize,
    /// Negatives called positive.
    pub false_positives: usize,
}

/// The points of the receiver operating characteristic, one per distinct score.
///
/// # Arguments
/// - `scores`: `[N]`, no `NaN`.
/// - `labels`: `[N]`, both classes.
///
/// # Returns
/// Points by descending threshold; the last one calls everything positive. The origin of the
/// curve (nothing called positive) is not listed.
///
/// # Errors
/// As [`auroc`].
///
/// # Complexity
/// O(N log N).
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::operating_points;
/// let points = operating_points(&[0.9, 0.5, 0.5], &[true, true, false])?;
/// assert_eq!(points.len(), 2);
/// assert_eq!((points[0].threshold, points[0].true_positives, points[0].false_positives), (0.9, 1, 0));
/// assert_eq!((points[1].threshold, points[1].true_positives, points[1].false_positives), (0.5, 2, 1));
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn operating_points(
    scores: &[f64],
    labels: &[bool],
) -> Result<Vec<OperatingPoint>, MetricError> {
    validate::ranked_labels(scores, labels)?;
    let mut order = ascending_order(scores);
    order.reverse();
    let (mut true_positives, mut false_positives) = (0, 0);
    let points = order
        .chunk_by(|&a, &b| tied(scores[a], scores[b]))
        .map(|equal| {
            let positives = equal.iter().filter(|&&index| labels[index]).count();
            true_positives += positives;
            false_positives += equal.len() - positives;
            OperatingPoint {
                threshold: scores[equal[0]],
                true_positives,
                false_positives,
            }
        });
    Ok(points.collect())
}

/// Average precision: the area under the precision-recall steps, without interpolation.
///
/// `AP = sum_n (R_n - R_{n-1}) P_n` over thresholds at the distinct scores, descending.
///
/// # Arguments
/// - `scores`: `[N]`, higher means more likely positive.
/// - `labels`: `[N]`, both classes.
///
/// # Returns
/// A value in `(0, 1]`.
///
/// # Errors
/// As [`auroc`].
///
/// # Complexity
/// O(N log N).
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::average_precision;
/// let value = average_precision(&[0.9, 0.8, 0.7, 0.6], &[true, false, true, false])?;
/// assert!((value - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-15);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn average_precision(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    let (positives, _) = validate::ranked_labels(scores, labels)?;
    let mut found_before = 0;
    let mut area = 0.0;
    for point in operating_points(scores, labels)? {
        let called = point.true_positives + point.false_positives;
        let precision = point.true_positives as f64 / called as f64;
        area += (point.true_positives - found_before) as f64 * precision;
        found_before = point.true_positives;
    }
    Ok(area / positives as f64)
}

/// The largest sensitivity among thresholds whose specificity reaches a demand.
///
/// Thresholds are the distinct scores and plus infinity; nothing is interpolated, and a
/// specificity within `1e-12` of the demand counts as reaching it.
///
/// # Arguments
/// - `scores`: `[N]`, higher means more likely positive.
/// - `labels`: `[N]`, both classes.
/// - `specificity`: the demand, in `[0, 1]`.
///
/// # Returns
/// A value in `[0, 1]`; 0 when only the threshold at infinity is specific enough.
///
/// # Errors
/// As [`auroc`]; [`MetricError::InvalidParameter`] for a demand outside `[0, 1]`.
///
/// # Complexity
/// O(N log N).
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::sensitivity_at_specificity;
/// let scores = [0.9, 0.8, 0.7, 0.6];
/// let labels = [true, false, true, false];
/// assert_eq!(sensitivity_at_specificity(&scores, &labels, 0.5)?, 1.0);
/// assert_eq!(sensitivity_at_specificity(&scores, &labels, 0.9)?, 0.5);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn sensitivity_at_specificity(
    scores: &[f64],
    labels: &[bool],
    specificity: f64,
) -> Result<f64, MetricError> {
    let in_range = (0.0..=1.0).contains(&specificity);
    validate::parameter("specificity", specificity, "a number in [0, 1]", in_range)?;
    let (positives, negatives) = validate::ranked_labels(scores, labels)?;
    let reaches = |point: &OperatingPoint| {
        let achieved = (negatives - point.false_positives) as f64 / negatives as f64;
        achieved >= specificity - SPECIFICITY_TOLERANCE
    };
    let found = operating_points(scores, labels)?
        .iter()
        .filter(|point| reaches(point))
        .map(|point| point.true_positives)
        .max();
    Ok(found.unwrap_or(0) as f64 / positives as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::empty(&[], &[], MetricError::Empty { subject: "scores" })]
    #[case::length(
        &[0.1, 0.2], &[true],
        MetricError::LengthMismatch { subject: "labels", expected: 2, found: 1 }
    )]
    #[case::positives(&[0.1, 0.2], &[true, true], MetricError::SingleClass { found: true })]
    #[case::negatives(&[0.1], &[false], MetricError::SingleClass { found: false })]
    fn bad_input_is_typed(
        #[case] scores: &[f64],
        #[case] labels: &[bool],
        #[case] expected: MetricError,
    ) {
        assert_eq!(auroc(scores, labels).unwrap_err(), expected);
        assert_eq!(average_precision(scores, labels).unwrap_err(), expected);
        assert_eq!(operating_points(scores, labels).unwrap_err(), expected);
        assert_eq!(
            sensitivity_at_specificity(scores, labels, 0.9).unwrap_err(),
            expected
        );
    }

    #[test]
    fn nan_scores_name_their_position() {
        let error = auroc(&[0.1, f64::NAN], &[true, false]).unwrap_err();
        assert_eq!(error.to_string(), "scores[1]: expected a number, found NaN");
    }

    #[test]
    fn constant_scores_are_at_chance() {
        assert!(
            (auroc(&[0.5; 5], &[true, false, true, false, false]).unwrap() - 0.5).abs() < 1e-15
        );
    }

    #[test]
    fn nothing_but_infinity_may_be_specific_enough() {
        let value = sensitivity_at_specificity(&[0.9, 0.8], &[false, true], 0.95).unwrap();
        assert!(value.abs() < 1e-15);
        assert!(sensitivity_at_specificity(&[0.9, 0.8], &[false, true], 1.5).is_err());
    }
}
