//! Variance of the AUROC when samples come in groups, such as images of one patient.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Interval;
use super::delong::{Placements, check};
use crate::discrimination::auroc;
use crate::distribution::normal_half_width;
use crate::{MetricError, validate};

/// An AUROC with the variance and interval that hold when samples of a cluster belong together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClusteredAuroc {
    /// The AUROC.
    pub auroc: f64,
    /// Its estimated variance.
    pub variance: f64,
    /// `auroc ± z sqrt(variance)`, clipped to `[0, 1]`.
    pub interval: Interval,
    /// Number of clusters.
    pub clusters: usize,
}

/// What a cluster's placements exceed the AUROC by, summed.
#[derive(Clone, Copy, Default)]
struct Excess {
    positives: usize,
    negatives: usize,
    of_positives: f64,
    of_negatives: f64,
}

/// AUROC with variance and normal interval for clustered samples.
///
/// With `m` positives and `n` negatives in all, `a_i = Σ (V10 - A)` over the positives and
/// `b_i = Σ (V01 - A)` over the negatives of cluster `i` (`V10`, `V01` as in
/// [`delong`](super::delong())),
///
/// `Var = I10/(I10-1) Σ a_i² / m² + I01/(I01-1) Σ b_i² / n² + 2 I/(I-1) Σ a_i b_i / (m n)`,
///
/// where `I` clusters exist, `I10` of them with a positive and `I01` with a negative. Clusters of
/// one sample give the variance of [`delong`](super::delong()).
///
/// # Arguments
/// - `scores`: `[N]`, higher means more likely positive.
/// - `labels`: `[N]`, at least two of each class.
/// - `clusters`: `[N]`, equal for samples that belong together; a cluster may hold both classes.
/// - `level`: nominal coverage, in `(0, 1)`.
///
/// # Returns
/// Estimate, variance, interval clipped to `[0, 1]` and the number of clusters.
///
/// # Errors
/// As [`delong`](super::delong()); [`MetricError::LengthMismatch`] for the clusters,
/// [`MetricError::TooFew`] when a class lies in one cluster alone.
///
/// # Complexity
/// O(N log N).
///
/// # References
/// Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53, 1997: the
/// variance of a single area.
///
/// # Examples
///
/// ```
/// use ctl_metrics::interval::{clustered_auroc, delong};
/// let scores = [0.9, 0.4, 0.6, 0.2];
/// let labels = [true, true, false, false];
/// let alone = clustered_auroc(&scores, &labels, &["a", "b", "c", "d"], 0.95)?;
/// assert_eq!(alone.variance, delong(&scores, &labels, 0.95)?.variance);
/// // V10 - A = (1/4, -1/4) and V01 - A = (-1/4, 1/4); each patient has both signs.
/// let paired = clustered_auroc(&scores, &labels, &["a", "b", "a", "b"], 0.95)?;
/// assert_eq!(paired.variance, 0.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn clustered_auroc<C: Ord>(
    scores: &[f64],
    labels: &[bool],
    clusters: &[C],
    level: f64,
) -> Result<ClusteredAuroc, MetricError> {
    check(scores, labels)?;
    validate::same_len("clusters", scores.len(), clusters.len())?;
    let half_width = normal_half_width(level)?;
    let value = auroc(scores, labels)?;
    let excesses = excesses(value, &Placements::of(scores, labels), labels, clusters);
    let variance = variance(&excesses)?;
    let reach = half_width * variance.sqrt();
    Ok(ClusteredAuroc {
        auroc: value,
        variance,
        interval: Interval {
            lower: (value - reach).max(0.0),
            upper: (value + reach).min(1.0),
            level,
        },
        clusters: excesses.len(),
    })
}

fn excesses<C: Ord>(
    value: f64,
    placements: &Placements,
    labels: &[bool],
    clusters: &[C],
) -> Vec<Excess> {
    let mut of_positives = placements.of_positives.iter();
    let mut of_negatives = placements.of_negatives.iter();
    let mut by_cluster: BTreeMap<&C, Excess> = BTreeMap::new();
    for (&label, cluster) in labels.iter().zip(clusters) {
        let excess = by_cluster.entry(cluster).or_default();
        if label {
            excess.positives += 1;
            excess.of_positives += of_positives.next().map_or(0.0, |v| v - value);
        } else {
            excess.negatives += 1;
            excess.of_negatives += of_negatives.next().map_or(0.0, |v| v - value);
        }
    }
    by_cluster.into_values().collect()
}

fn variance(excesses: &[Excess]) -> Result<f64, MetricError> {
    let with_positives = excesses.iter().filter(|e| e.positives > 0).count();
    let with_negatives = excesses.iter().filter(|e| e.negatives > 0).count();
    validate::at_least("clusters with positives", 2, with_positives)?;
    validate::at_least("clusters with negatives", 2, with_negatives)?;
    let m = excesses.iter().map(|e| e.positives).sum::<usize>() as f64;
    let n = excesses.iter().map(|e| e.negatives).sum::<usize>() as f64;
    let sum = |product: fn(&Excess) -> f64| excesses.iter().map(product).sum::<f64>();
    let unbiased = |clusters: usize| clusters as f64 / (clusters - 1) as f64;
    let positive = unbiased(with_positives) * sum(|e| e.of_positives * e.of_positives) / (m * m);
    let negative = unbiased(with_negatives) * sum(|e| e.of_negatives * e.of_negatives) / (n * n);
    let across = unbiased(excesses.len()) * sum(|e| e.of_positives * e.of_negatives) / (m * n);
    // Not negative but for rounding: the factor of the mixed term is the smallest of the three.
    Ok((positive + negative + 2.0 * across).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::delong;

    const LABELS: [bool; 6] = [true, true, true, false, false, false];
    const SCORES: [f64; 6] = [0.9, 0.8, 0.3, 0.5, 0.2, 0.1];

    #[test]
    fn clusters_of_one_give_delong() {
        let alone = clustered_auroc(&SCORES, &LABELS, &[5, 4, 3, 2, 1, 0], 0.9).unwrap();
        let plain = delong(&SCORES, &LABELS, 0.9).unwrap();
        assert!((alone.variance - plain.variance).abs() < 1e-15);
        assert_eq!((alone.auroc, alone.clusters), (plain.auroc, 6));
    }

    /// Copies of a sample say nothing new: with every sample twice the clustered variance is that
    /// of the single samples, the other one is not.
    #[test]
    fn copies_of_images_do_not_narrow_the_interval() {
        let twice = |values: [f64; 6]| [values, values].concat();
        let labels = [LABELS, LABELS].concat();
        let patients: Vec<usize> = (0..6).chain(0..6).collect();
        let once = delong(&SCORES, &LABELS, 0.95).unwrap();
        let clustered = clustered_auroc(&twice(SCORES), &labels, &patients, 0.95).unwrap();
        assert!((clustered.variance - once.variance).abs() < 1e-15);
        let naive = delong(&twice(SCORES), &labels, 0.95).unwrap();
        assert!(naive.variance < 0.5 * clustered.variance);
    }

    #[test]
    fn ill_formed_clusters_are_errors() {
        let error = clustered_auroc(&SCORES, &LABELS, &[0; 5], 0.95).unwrap_err();
        assert!(
            matches!(error, MetricError::LengthMismatch { .. }),
            "{error}"
        );
        let one_patient = [0, 0, 0, 1, 2, 3];
        let error = clustered_auroc(&SCORES, &LABELS, &one_patient, 0.95).unwrap_err();
        assert_eq!(
            error,
            MetricError::TooFew {
                subject: "clusters with positives",
                expected: 2,
                found: 1
            }
        );
    }
}
