//! Prediction sets that hold the true class with a chosen probability (split conformal).
//!
//! Scores of a calibration sample give a threshold; the prediction set of a new sample holds every
//! class whose score does not exceed it. When calibration and test samples are exchangeable, the
//! set holds the true class with probability at least `1 - alpha`.
//! For covariate shift [`weighted_threshold`] takes likelihood ratios as weights.
//!
//! Two scores are offered: [`lac_scores`], `1 - p_y`, with the smallest sets on average, and
//! [`aps_scores`], the cumulative probability down to the class, whose sets adapt to the sample.

use crate::rank::ascending_order;
use crate::{MetricError, validate};

/// How far a score may exceed the threshold by rounding.
const SCORE_TOLERANCE: f64 = 1e-9;

/// How far a cumulative share may fall short of the demanded one by rounding.
const SHARE_TOLERANCE: f64 = 1e-12;

/// Rank of the calibration score that becomes the threshold, `ceil((N + 1) (1 - alpha))`.
///
/// A product that exceeds a whole number by less than `1e-9` counts as that number.
///
/// # Arguments
/// - `samples`: number of calibration samples `N`, at least 1.
/// - `alpha`: probability of missing the true class, in `(0, 1)`.
///
/// # Returns
/// A rank counted from 1; more than `N` when the sample is too small for `alpha`.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::InvalidParameter`].
///
/// # References
/// Vovk, Gammerman & Shafer, "Algorithmic learning in a random world", 2005; Lei et al.,
/// "Distribution-free predictive inference for regression", 2018, algorithm 2.
///
/// # Examples
///
/// ```
/// use ctl_metrics::conformal::threshold_rank;
/// assert_eq!(threshold_rank(99, 0.1)?, 90);
/// assert_eq!(threshold_rank(15, 0.05)?, 16); // more than there are
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn threshold_rank(samples: usize, alpha: f64) -> Result<usize, MetricError> {
    validate::non_empty("scores", samples)?;
    check_alpha(alpha)?;
    let exact = (samples as f64 + 1.0) * (1.0 - alpha);
    Ok((exact - SCORE_TOLERANCE).ceil().max(1.0) as usize)
}

/// The threshold of split conformal prediction: the calibration score of [`threshold_rank`].
///
/// # Arguments
/// - `scores`: `[N]`, scores of the true classes of the calibration sample.
/// - `alpha`: probability of missing the true class, in `(0, 1)`.
///
/// # Returns
/// The threshold, infinity when the rank exceeds `N`, so that sets hold all classes.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::InvalidValue`] for `NaN`,
/// [`MetricError::InvalidParameter`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::conformal::threshold;
/// assert_eq!(threshold(&[0.4, 0.1, 0.3, 0.2], 0.4)?, 0.3);
/// assert_eq!(threshold(&[0.4, 0.1], 0.1)?, f64::INFINITY);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn threshold(scores: &[f64], alpha: f64) -> Result<f64, MetricError> {
    let rank = threshold_rank(scores.len(), alpha)?;
    validate::not_nan("scores", scores)?;
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(sorted.get(rank - 1).copied().unwrap_or(f64::INFINITY))
}

/// The threshold for one test sample when test and calibration samples differ in distribution.
///
/// It is the smallest calibration score `s` for which the weights of scores up to `s` are at least
/// `1 - alpha` of all weights, the test sample's included.
///
/// # Arguments
/// - `scores`: `[N]`, scores of the true classes of the calibration sample.
/// - `weights`: `[N]`, density ratios of test to calibration distribution, from 0 on, up to any
///   common factor.
/// - `test_weight`: the ratio at the test sample.
/// - `alpha`: probability of missing the true class, in `(0, 1)`.
///
/// # Returns
/// The threshold, infinity when all calibration weights together do not suffice.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidValue`],
/// [`MetricError::InvalidParameter`], [`MetricError::Undefined`] when all weights are 0.
///
/// # Complexity
/// O(N log N).
///
/// # References
/// Tibshirani et al., "Conformal prediction under covariate shift", 2019, corollary 1.
///
/// # Examples
///
/// ```
/// use ctl_metrics::conformal::weighted_threshold;
/// let scores = [0.1, 0.2, 0.3];
/// assert_eq!(weighted_threshold(&scores, &[1.0, 1.0, 1.0], 1.0, 0.5)?, 0.2);
/// assert_eq!(weighted_threshold(&scores, &[5.0, 1.0, 1.0], 1.0, 0.5)?, 0.1);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn weighted_threshold(
    scores: &[f64],
    weights: &[f64],
    test_weight: f64,
    alpha: f64,
) -> Result<f64, MetricError> {
    validate::non_empty("scores", scores.len())?;
    validate::same_len("weights", scores.len(), weights.len())?;
    validate::not_nan("scores", scores)?;
    validate::weights("weights", weights)?;
    validate::weights("test_weight", &[test_weight])?;
    check_alpha(alpha)?;
    let all = weights.iter().sum::<f64>() + test_weight;
    if all <= 0.0 {
        return Err(MetricError::Undefined {
            subject: "weighted threshold",
            expected: "a positive weight",
            found: "zeros alone",
        });
    }
    let mut below = 0.0;
    let order = ascending_order(scores);
    let found = order.iter().find(|&&index| {
        below += weights[index];
        below / all >= 1.0 - alpha - SHARE_TOLERANCE
    });
    Ok(found.map_or(f64::INFINITY, |&index| scores[index]))
}

/// Scores `1 - p` of every class, for the least ambiguous sets (LAC).
///
/// # Arguments
/// - `probabilities`: `[N, classes]`, row-major, each in `[0, 1]`.
/// - `classes`: number of classes, at least 2.
///
/// # Returns
/// `[N, classes]`.
///
/// # Errors
/// [`MetricError::InvalidParameter`], [`MetricError::Empty`], [`MetricError::LengthMismatch`] for
/// an incomplete row, [`MetricError::InvalidValue`].
///
/// # References
/// Sadinle, Lei & Wasserman, "Least ambiguous set-valued classifiers with bounded error levels",
/// 2019.
///
/// # Examples
///
/// ```
/// use ctl_metrics::conformal::{lac_scores, of_labels, prediction_sets, threshold};
/// let calibration = lac_scores(&[0.75, 0.25, 0.5, 0.5, 0.125, 0.875], 2)?;
/// let true_classes = of_labels(&calibration, 2, &[0, 1, 1])?;
/// assert_eq!(true_classes, [0.25, 0.5, 0.125]);
/// let threshold = threshold(&true_classes, 0.5)?;
/// let sets = prediction_sets(&lac_scores(&[0.75, 0.25, 0.4, 0.6], 2)?, 2, &[threshold; 2])?;
/// assert_eq!(sets, [vec![0], vec![]]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn lac_scores(probabilities: &[f64], classes: usize) -> Result<Vec<f64>, MetricError> {
    check_rows("probabilities", probabilities, classes)?;
    validate::probabilities("probabilities", probabilities)?;
    Ok(probabilities
        .iter()
        .map(|probability| 1.0 - probability)
        .collect())
}

/// Scores of every class for adaptive prediction sets (APS): the probability of the class and of
/// all more probable ones.
///
/// Of equally probable classes the one with the lower index comes first.
///
/// # Arguments
/// - `probabilities`: `[N, classes]`, row-major, each in `[0, 1]`.
/// - `classes`: number of classes, at least 2.
/// - `randomness`: `[N]` uniform draws `u` in `[0, 1]` to subtract `u p` from the score of a class
///   of probability `p`, which makes the coverage exact; `None` for the conservative score.
///
/// # Returns
/// `[N, classes]`.
///
/// # Errors
/// As [`lac_scores`].
///
/// # References
/// Romano, Sesia & Candès, "Classification with valid and adaptive coverage", 2020, equation 8;
/// deviation: a set may be empty.
///
/// # Examples
///
/// ```
/// use ctl_metrics::conformal::aps_scores;
/// let probabilities = [0.25, 0.5, 0.25];
/// assert_eq!(aps_scores(&probabilities, 3, None)?, [0.75, 0.5, 1.0]);
/// assert_eq!(aps_scores(&probabilities, 3, Some(&[0.5]))?, [0.625, 0.25, 0.875]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn aps_scores(
    probabilities: &[f64],
    classes: usize,
    randomness: Option<&[f64]>,
) -> Result<Vec<f64>, MetricError> {
    let rows = check_rows("probabilities", probabilities, classes)?;
    validate::probabilities("probabilities", probabilities)?;
    if let Some(draws) = randomness {
        validate::same_len("randomness", rows, draws.len())?;
        validate::probabilities("randomness", draws)?;
    }
    let mut scores = vec![0.0; probabilities.len()];
    let pairs = scores
        .chunks_exact_mut(classes)
        .zip(probabilities.chunks_exact(classes));
    for (row, (out, values)) in pairs.enumerate() {
        let draw = randomness.map_or(0.0, |draws| draws[row]);
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        let mut total = 0.0;
        for class in order {
            total += values[class];
            out[class] = total - draw * values[class];
        }
    }
    Ok(scores)
}

/// The score of each sample's own class.
///
/// # Arguments
/// - `scores`: `[N, classes]`, row-major.
/// - `classes`: number of classes, at least 2.
/// - `labels`: `[N]`, class indices.
///
/// # Returns
/// `[N]`.
///
/// # Errors
/// [`MetricError::InvalidParameter`], [`MetricError::Empty`], [`MetricError::LengthMismatch`],
/// [`MetricError::IndexOutOfRange`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::conformal::of_labels;
/// assert_eq!(of_labels(&[0.1, 0.9, 0.6, 0.4], 2, &[1, 0])?, [0.9, 0.6]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn of_labels(
    scores: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<Vec<f64>, MetricError> {
    validate::class_rows("scores", scores, classes, labels)?;
    let rows = scores.chunks_exact(classes).zip(labels);
    Ok(rows.map(|(row, &label)| row[label]).collect())
}

/// The classes of each sample whose score does not exceed the sample's threshold.
///
/// # Arguments
/// - `scores`: `[N, classes]`, row-major, of the kind that gave the threshold; no `NaN`.
/// - `classes`: number of classes, at least 2.
/// - `thresholds`: `[N]`; scores above by up to `1e-9` belong to the set.
///
/// # Returns
/// `N` sets of ascending classes; a set may be empty.
///
/// # Errors
/// [`MetricError::InvalidParameter`], [`MetricError::Empty`], [`MetricError::LengthMismatch`],
/// [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::conformal::prediction_sets;
/// let sets = prediction_sets(&[0.1, 0.9, 0.6, 0.4], 2, &[0.5, f64::INFINITY])?;
/// assert_eq!(sets, [vec![0], vec![0, 1]]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn prediction_sets(
    scores: &[f64],
    classes: usize,
    thresholds: &[f64],
) -> Result<Vec<Vec<usize>>, MetricError> {
    let rows = check_rows("scores", scores, classes)?;
    validate::same_len("thresholds", rows, thresholds.len())?;
    validate::not_nan("scores", scores)?;
    validate::not_nan("thresholds", thresholds)?;
    let set = |(row, threshold): (&[f64], &f64)| {
        let within = |&class: &usize| row[class] <= threshold + SCORE_TOLERANCE;
        (0..classes).filter(within).collect()
    };
    Ok(scores
        .chunks_exact(classes)
        .zip(thresholds)
        .map(set)
        .collect())
}

/// Mean number of classes in a set.
///
/// # Errors
/// [`MetricError::Empty`] without sets.
///
/// # Examples
///
/// ```
/// assert_eq!(ctl_metrics::conformal::mean_set_size(&[vec![0], vec![0, 1]])?, 1.5);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn mean_set_size(sets: &[Vec<usize>]) -> Result<f64, MetricError> {
    validate::non_empty("sets", sets.len())?;
    let classes: usize = sets.iter().map(Vec::len).sum();
    Ok(classes as f64 / sets.len() as f64)
}

/// Fraction of sets that hold the true class.
///
/// # Errors
/// [`MetricError::Empty`] without sets, [`MetricError::LengthMismatch`].
///
/// # Examples
///
/// ```
/// assert_eq!(ctl_metrics::conformal::coverage(&[vec![0], vec![0, 1]], &[1, 1])?, 0.5);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn coverage(sets: &[Vec<usize>], labels: &[usize]) -> Result<f64, MetricError> {
    validate::non_empty("sets", sets.len())?;
    validate::same_len("labels", sets.len(), labels.len())?;
    let held = sets
        .iter()
        .zip(labels)
        .filter(|(set, label)| set.contains(label));
    Ok(held.count() as f64 / sets.len() as f64)
}

fn check_alpha(alpha: f64) -> Result<(), MetricError> {
    let allowed = alpha > 0.0 && alpha < 1.0;
    validate::parameter("alpha", alpha, "a number in (0, 1)", allowed)
}

/// Checks a row-major matrix without labels and counts its rows.
fn check_rows(subject: &'static str, values: &[f64], classes: usize) -> Result<usize, MetricError> {
    validate::parameter("classes", classes as f64, "at least 2", classes >= 2)?;
    validate::non_empty(subject, values.len())?;
    let rows = values.len().div_ceil(classes);
    validate::same_len(subject, rows * classes, values.len())?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::zero(0.0)]
    #[case::one(1.0)]
    #[case::nan(f64::NAN)]
    fn levels_lie_between_zero_and_one(#[case] alpha: f64) {
        assert!(threshold_rank(10, alpha).is_err());
        assert!(threshold(&[0.1], alpha).is_err());
        assert!(weighted_threshold(&[0.1], &[1.0], 1.0, alpha).is_err());
    }

    #[test]
    fn ill_input_is_typed() {
        let text = |error: MetricError| error.to_string();
        assert_eq!(
            text(threshold(&[], 0.1).unwrap_err()),
            "scores: expected at least one value, found none"
        );
        assert_eq!(
            text(lac_scores(&[0.5, 0.5, 0.5], 2).unwrap_err()),
            "probabilities: expected length 4, found 3"
        );
        assert_eq!(
            text(aps_scores(&[0.5, 1.5], 2, None).unwrap_err()),
            "probabilities[1]: expected a probability in [0, 1], found 1.5"
        );
        assert_eq!(
            text(aps_scores(&[0.5, 0.5], 2, Some(&[0.5, 0.5])).unwrap_err()),
            "randomness: expected length 1, found 2"
        );
        assert_eq!(
            text(weighted_threshold(&[0.5], &[-1.0], 1.0, 0.1).unwrap_err()),
            "weights[0]: expected a finite number from 0 on, found -1"
        );
        assert!(
            weighted_threshold(&[0.5], &[0.0], 0.0, 0.1)
                .unwrap_err()
                .is_undefined()
        );
        assert!(prediction_sets(&[0.5, f64::NAN], 2, &[0.5]).is_err());
        assert!(coverage(&[vec![0]], &[0, 1]).is_err());
        assert!(mean_set_size(&[]).is_err());
    }

    #[test]
    fn a_rank_that_rounds_past_a_whole_number_is_that_number() {
        // 10 times (1 - 0.7) is 3.0000000000000004 in floating point.
        assert_eq!(threshold_rank(9, 0.7).unwrap(), 3);
    }

    proptest! {
        #[test]
        fn equal_weights_are_the_unweighted_threshold(
            scores in prop::collection::vec(0.0_f64..1.0, 1..40),
            alpha in 0.02_f64..0.9,
        ) {
            let weights = vec![1.0; scores.len()];
            let weighted = weighted_threshold(&scores, &weights, 1.0, alpha).unwrap();
            prop_assert_eq!(weighted.to_bits(), threshold(&scores, alpha).unwrap().to_bits());
        }

        #[test]
        fn calibration_samples_are_covered(
            raw in prop::collection::vec(0.01_f64..1.0, 3 * 20),
            labels in prop::collection::vec(0_usize..3, 20),
            alpha in 0.05_f64..0.9,
        ) {
            let mut probabilities = raw;
            for row in probabilities.chunks_exact_mut(3) {
                let total: f64 = row.iter().sum();
                for value in row {
                    *value /= total;
                }
            }
            for scores in [
                lac_scores(&probabilities, 3).unwrap(),
                aps_scores(&probabilities, 3, None).unwrap(),
            ] {
                let own = of_labels(&scores, 3, &labels).unwrap();
                let limit = threshold(&own, alpha).unwrap();
                let sets = prediction_sets(&scores, 3, &[limit; 20]).unwrap();
                prop_assert!(coverage(&sets, &labels).unwrap() >= 1.0 - alpha - 1e-12);
            }
        }
    }
}
