//! Variance of the AUROC and of differences between AUROCs measured on the same samples.

use serde::Serialize;

use super::Interval;
use crate::discrimination::auroc;
use crate::distribution::{normal_half_width, normal_two_sided};
use crate::rank::ranks_of;
use crate::{MetricError, validate};

/// An AUROC with its `DeLong` variance and interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DelongEstimate {
    /// The AUROC.
    pub auroc: f64,
    /// Its estimated variance.
    pub variance: f64,
    /// `auroc ± z sqrt(variance)`, clipped to `[0, 1]`.
    pub interval: Interval,
}

/// Two AUROCs on the same samples and the test of their difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedDelong {
    /// AUROC of the first scores.
    pub auroc_a: f64,
    /// AUROC of the second scores.
    pub auroc_b: f64,
    /// Covariance matrix of the two AUROCs.
    pub covariance: [[f64; 2]; 2],
    /// `(auroc_a - auroc_b) / standard error`; 0 when both score every placement alike.
    pub z: f64,
    /// Two-sided normal p-value.
    pub p_two_sided: f64,
    /// Interval of `auroc_a - auroc_b`, not clipped.
    pub difference: Interval,
}

/// Fraction of the other class that each sample is placed rightly against, ties one half.
pub(super) struct Placements {
    pub(super) of_positives: Vec<f64>,
    pub(super) of_negatives: Vec<f64>,
}

impl Placements {
    /// By the difference of ranks among all samples and among the own class.
    pub(super) fn of(scores: &[f64], labels: &[bool]) -> Self {
        let own_class = |wanted: bool| -> Vec<f64> {
            let own = scores
                .iter()
                .zip(labels)
                .filter(|&(_, &label)| label == wanted);
            own.map(|(&score, _)| score).collect()
        };
        let (positives, negatives) = (own_class(true), own_class(false));
        let (among_positives, among_negatives) = (ranks_of(&positives), ranks_of(&negatives));
        let all = ranks_of(scores);
        let (m, n) = (positives.len() as f64, negatives.len() as f64);
        let overall = |wanted: bool| {
            all.iter()
                .zip(labels)
                .filter(move |&(_, &label)| label == wanted)
                .map(|(&rank, _)| rank)
        };
        Self {
            of_positives: overall(true)
                .zip(among_positives)
                .map(|(rank, own)| (rank - own) / n)
                .collect(),
            of_negatives: overall(false)
                .zip(among_negatives)
                .map(|(rank, own)| 1.0 - (rank - own) / m)
                .collect(),
        }
    }

    fn covariance(&self, other: &Self) -> f64 {
        covariance(&self.of_positives, &other.of_positives) / self.of_positives.len() as f64
            + covariance(&self.of_negatives, &other.of_negatives) / self.of_negatives.len() as f64
    }

    fn minus(&self, other: &Self) -> Self {
        let subtract = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x - y).collect();
        Self {
            of_positives: subtract(&self.of_positives, &other.of_positives),
            of_negatives: subtract(&self.of_negatives, &other.of_negatives),
        }
    }
}

/// Unbiased covariance of two lists of the same length, at least 2.
fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let products = a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b));
    products.sum::<f64>() / (n - 1.0)
}

/// Both classes with at least two samples each, which the unbiased variances need.
pub(super) fn check(scores: &[f64], labels: &[bool]) -> Result<(), MetricError> {
    let (positives, negatives) = validate::ranked_labels(scores, labels)?;
    validate::at_least("positives", 2, positives)?;
    validate::at_least("negatives", 2, negatives)
}

/// AUROC with variance and normal interval.
///
/// `Var = Var(V10) / m + Var(V01) / n`, where `V10` holds for each of the `m` positives the
/// fraction of negatives it is placed above (ties one half), `V01` the same for the `n` negatives,
/// and both variances are unbiased. Samples are taken as independent; for several images of one
/// patient see [`clustered_auroc`](super::clustered_auroc).
///
/// # Arguments
/// - `scores`: `[N]`, higher means more likely positive.
/// - `labels`: `[N]`, at least two of each class.
/// - `level`: nominal coverage, in `(0, 1)`.
///
/// # Returns
/// Estimate, variance and interval clipped to `[0, 1]`. Where the scores separate the classes
/// the variance is 0 and the interval a point: it then says nothing about uncertainty.
///
/// # Errors
/// As [`auroc`]; [`MetricError::TooFew`] for a class with one sample,
/// [`MetricError::InvalidParameter`] for the level.
///
/// # Complexity
/// O(N log N).
///
/// # References
/// `DeLong`, `DeLong` & Clarke-Pearson, "Comparing the areas under two or more correlated receiver
/// operating characteristic curves", 1988; mid-rank form of Sun & Xu, 2014.
///
/// # Examples
///
/// ```
/// use ctl_metrics::interval::delong;
/// let estimate = delong(&[0.9, 0.4, 0.6, 0.2], &[true, true, false, false], 0.95)?;
/// // V10 = (1, 1/2), V01 = (1/2, 1): each has variance 1/8.
/// assert_eq!((estimate.auroc, estimate.variance), (0.75, 0.125));
/// assert_eq!(estimate.interval.upper, 1.0);
/// assert!((estimate.interval.lower - 0.057_048).abs() < 1e-6);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn delong(scores: &[f64], labels: &[bool], level: f64) -> Result<DelongEstimate, MetricError> {
    check(scores, labels)?;
    let half_width = normal_half_width(level)?;
    let value = auroc(scores, labels)?;
    let placements = Placements::of(scores, labels);
    let variance = placements.covariance(&placements);
    let reach = half_width * variance.sqrt();
    let (lower, upper) = ((value - reach).max(0.0), (value + reach).min(1.0));
    Ok(DelongEstimate {
        auroc: value,
        variance,
        interval: Interval {
            lower,
            upper,
            level,
        },
    })
}

/// Compares two AUROCs measured on the same samples.
///
/// `z = (A - B) / sqrt(Var A + Var B - 2 Cov(A, B))` with the placement values of [`delong`].
///
/// # Arguments
/// - `scores_a`, `scores_b`: `[N]`, scores of two models for the same samples.
/// - `labels`: `[N]`, at least two of each class.
/// - `level`: nominal coverage of the difference's interval, in `(0, 1)`.
///
/// # Returns
/// Both AUROCs, their covariance, the test and the interval of the difference.
///
/// # Errors
/// As [`delong`]; [`MetricError::Undefined`] when the AUROCs differ although the difference has
/// no variance (for instance perfect against constant scores).
///
/// # Complexity
/// O(N log N).
///
/// # References
/// As [`delong`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::interval::paired_delong;
/// let labels = [true, true, true, false, false, false];
/// let a = [0.9, 0.8, 0.4, 0.5, 0.2, 0.1];
/// let b = [0.9, 0.3, 0.4, 0.5, 0.2, 0.6];
/// let test = paired_delong(&a, &b, &labels, 0.95)?;
/// assert!((test.auroc_a - 8.0 / 9.0).abs() < 1e-15);
/// assert!((test.auroc_b - 5.0 / 9.0).abs() < 1e-15);
/// assert!((test.z - 1.5_f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn paired_delong(
    scores_a: &[f64],
    scores_b: &[f64],
    labels: &[bool],
    level: f64,
) -> Result<PairedDelong, MetricError> {
    check(scores_a, labels)?;
    check(scores_b, labels)?;
    let half_width = normal_half_width(level)?;
    let (auroc_a, auroc_b) = (auroc(scores_a, labels)?, auroc(scores_b, labels)?);
    let (a, b) = (
        Placements::of(scores_a, labels),
        Placements::of(scores_b, labels),
    );
    let across = a.covariance(&b);
    // From the differences themselves, so that equal placements give exactly zero.
    let apart = a.minus(&b);
    let standard_error = apart.covariance(&apart).sqrt();
    let z = standardised(auroc_a - auroc_b, standard_error)?;
    let reach = half_width * standard_error;
    Ok(PairedDelong {
        auroc_a,
        auroc_b,
        covariance: [[a.covariance(&a), across], [across, b.covariance(&b)]],
        z,
        p_two_sided: normal_two_sided(z),
        difference: Interval {
            lower: auroc_a - auroc_b - reach,
            upper: auroc_a - auroc_b + reach,
            level,
        },
    })
}

fn standardised(difference: f64, standard_error: f64) -> Result<f64, MetricError> {
    if standard_error > 0.0 {
        Ok(difference / standard_error)
    } else if difference == 0.0 {
        Ok(0.0)
    } else {
        Err(MetricError::Undefined {
            subject: "paired DeLong z",
            expected: "a difference with variance",
            found: "different AUROCs whose difference has no variance",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [bool; 6] = [true, true, true, false, false, false];

    #[test]
    fn identical_scores_do_not_differ() {
        let scores = [0.9, 0.8, 0.4, 0.5, 0.2, 0.1];
        let test = paired_delong(&scores, &scores.map(|s| s * 3.0), &LABELS, 0.95).unwrap();
        assert_eq!((test.z, test.p_two_sided), (0.0, 1.0));
        assert_eq!((test.difference.lower, test.difference.upper), (0.0, 0.0));
    }

    #[test]
    fn perfect_against_constant_has_no_test() {
        let perfect = [3.0, 2.5, 2.0, 1.0, 0.5, 0.0];
        let error = paired_delong(&perfect, &[1.0; 6], &LABELS, 0.95).unwrap_err();
        assert!(matches!(error, MetricError::Undefined { .. }));
    }

    #[test]
    fn a_class_of_one_has_no_variance() {
        let error = delong(&[0.1, 0.2, 0.3], &[true, false, false], 0.95).unwrap_err();
        assert_eq!(
            error,
            MetricError::TooFew {
                subject: "positives",
                expected: 2,
                found: 1
            }
        );
        assert!(delong(&[0.1, 0.2, 0.3, 0.4], &[true, false, false, true], 1.0).is_err());
    }
}
