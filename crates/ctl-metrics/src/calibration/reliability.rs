//! Confidence against accuracy in bins.

use serde::Serialize;

use crate::discrimination::predicted_classes;
use crate::rank::ascending_order;
use crate::{MetricError, validate};

/// The confidence of a prediction and whether the prediction is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TopPrediction {
    /// Probability of the predicted class, in `[0, 1]`.
    pub confidence: f64,
    /// Whether the predicted class is the true one.
    pub correct: bool,
}

/// Confidences of binary predictions: `c = max(p, 1 - p)`, positive when `p >= 1/2`.
///
/// # Arguments
/// - `probabilities`: `[N]` probabilities of the positive class, in `[0, 1]`.
/// - `labels`: `[N]`.
///
/// # Returns
/// `[N]` predictions with confidences in `[1/2, 1]`.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::binary_top_predictions;
/// let top = binary_top_predictions(&[0.25, 0.5], &[true, true])?;
/// assert_eq!((top[0].confidence, top[0].correct), (0.75, false));
/// assert_eq!((top[1].confidence, top[1].correct), (0.5, true));
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn binary_top_predictions(
    probabilities: &[f64],
    labels: &[bool],
) -> Result<Vec<TopPrediction>, MetricError> {
    validate::non_empty("probabilities", probabilities.len())?;
    validate::same_len("labels", probabilities.len(), labels.len())?;
    validate::probabilities("probabilities", probabilities)?;
    let top = probabilities
        .iter()
        .zip(labels)
        .map(|(&p, &label)| TopPrediction {
            confidence: p.max(1.0 - p),
            correct: (p >= 0.5) == label,
        });
    Ok(top.collect())
}

/// Confidences of multi-class predictions: the highest probability of each row.
///
/// # Arguments
/// - `probabilities`: `[N, K]` row-major, in `[0, 1]`; the lowest class index wins a tie.
/// - `classes`: `K`, at least 2.
/// - `labels`: `[N]` class indices below `K`.
///
/// # Returns
/// `[N]` predictions.
///
/// # Errors
/// [`MetricError::InvalidParameter`], [`MetricError::Empty`], [`MetricError::LengthMismatch`],
/// [`MetricError::IndexOutOfRange`], [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::top_predictions;
/// let top = top_predictions(&[0.1, 0.6, 0.3], 3, &[1])?;
/// assert_eq!((top[0].confidence, top[0].correct), (0.6, true));
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn top_predictions(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<Vec<TopPrediction>, MetricError> {
    validate::class_rows("probabilities", probabilities, classes, labels)?;
    validate::probabilities("probabilities", probabilities)?;
    let predicted = predicted_classes(probabilities, classes)?;
    let rows = probabilities
        .chunks_exact(classes)
        .zip(predicted)
        .zip(labels);
    Ok(rows
        .map(|((row, class), &label)| TopPrediction {
            confidence: row[class],
            correct: class == label,
        })
        .collect())
}

/// How confidences are divided into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Binning {
    /// Bins `(lo, hi]` with edges `b / B`; the first one includes 0.
    EqualWidth,
    /// Consecutive chunks of the confidences in stable ascending order, the first `N mod B` chunks
    /// one longer. Equal confidences may fall into two chunks, by input order.
    EqualMass,
}

/// One bin of a [`ReliabilityTable`] that holds at least one sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Position among all bins, empty ones counted.
    pub index: usize,
    /// Number of samples.
    pub count: usize,
    /// Mean confidence.
    pub confidence: f64,
    /// Fraction of right predictions.
    pub accuracy: f64,
}

impl ReliabilityBin {
    fn of(index: usize, members: &[TopPrediction]) -> Self {
        let count = members.len();
        let confidence: f64 = members.iter().map(|top| top.confidence).sum();
        let right = members.iter().filter(|top| top.correct).count();
        Self {
            index,
            count,
            confidence: confidence / count as f64,
            accuracy: right as f64 / count as f64,
        }
    }

    fn gap(&self) -> f64 {
        (self.accuracy - self.confidence).abs()
    }
}

/// Confidence and accuracy in bins: what a reliability diagram draws.
///
/// # References
/// Guo et al., "On calibration of modern neural networks", 2017, equations 3 and 5; here with the
/// bin edges of [`Binning`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::{Binning, ReliabilityTable, binary_top_predictions};
///
/// let top = binary_top_predictions(&[0.9, 0.9, 0.2, 0.6], &[true, false, false, true])?;
/// let table = ReliabilityTable::of(&top, Binning::EqualWidth, 10)?;
/// // (0.5, 0.6]: 0.6 of 1 right; (0.7, 0.8]: 0.8 of 1 right; (0.8, 0.9]: 0.9 with half right.
/// assert!((table.expected_error() - (0.4 + 0.2 + 2.0 * 0.4) / 4.0).abs() < 1e-15);
/// assert!((table.maximum_error() - 0.4).abs() < 1e-15);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReliabilityTable {
    bins: Vec<ReliabilityBin>,
    samples: usize,
}

impl ReliabilityTable {
    /// Sorts predictions into bins.
    ///
    /// # Arguments
    /// - `predictions`: `[N]`, confidences in `[0, 1]`.
    /// - `binning`: the division.
    /// - `bins`: `B`, at least 1.
    ///
    /// # Errors
    /// [`MetricError::Empty`], [`MetricError::InvalidValue`], [`MetricError::InvalidParameter`].
    ///
    /// # Complexity
    /// O(N log N).
    pub fn of(
        predictions: &[TopPrediction],
        binning: Binning,
        bins: usize,
    ) -> Result<Self, MetricError> {
        validate::non_empty("predictions", predictions.len())?;
        validate::parameter("bins", bins as f64, "at least 1", bins >= 1)?;
        let confidences: Vec<f64> = predictions.iter().map(|top| top.confidence).collect();
        validate::probabilities("confidence", &confidences)?;
        let order = ascending_order(&confidences);
        let sorted: Vec<TopPrediction> = order.iter().map(|&index| predictions[index]).collect();
        let ends = match binning {
            Binning::EqualWidth => width_ends(&sorted, bins),
            Binning::EqualMass => mass_ends(sorted.len(), bins),
        };
        Ok(Self {
            bins: fill(&sorted, &ends),
            samples: predictions.len(),
        })
    }

    /// The bins that hold samples, by ascending confidence.
    pub fn bins(&self) -> &[ReliabilityBin] {
        &self.bins
    }

    /// Expected calibration error: `sum_b n_b / N |accuracy_b - confidence_b|`, in `[0, 1]`.
    pub fn expected_error(&self) -> f64 {
        let weighted: f64 = self
            .bins
            .iter()
            .map(|bin| bin.count as f64 * bin.gap())
            .sum();
        weighted / self.samples as f64
    }

    /// Maximum calibration error: `max_b |accuracy_b - confidence_b|`, in `[0, 1]`.
    pub fn maximum_error(&self) -> f64 {
        self.bins
            .iter()
            .map(ReliabilityBin::gap)
            .fold(0.0, f64::max)
    }
}

/// For each bin, how many of the sorted confidences lie at or below its upper edge.
fn width_ends(sorted: &[TopPrediction], bins: usize) -> Vec<usize> {
    let edge = |bin: usize| (bin + 1) as f64 / bins as f64;
    (0..bins)
        .map(|bin| sorted.partition_point(|top| top.confidence <= edge(bin)))
        .collect()
}

fn mass_ends(samples: usize, bins: usize) -> Vec<usize> {
    let (size, longer) = (samples / bins, samples % bins);
    (1..=bins).map(|bin| bin * size + bin.min(longer)).collect()
}

fn fill(sorted: &[TopPrediction], ends: &[usize]) -> Vec<ReliabilityBin> {
    let mut start = 0;
    let mut filled = Vec::new();
    for (index, &end) in ends.iter().enumerate() {
        if end > start {
            filled.push(ReliabilityBin::of(index, &sorted[start..end]));
        }
        start = end;
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certain(confidences: &[f64]) -> Vec<TopPrediction> {
        confidences
            .iter()
            .map(|&confidence| TopPrediction {
                confidence,
                correct: true,
            })
            .collect()
    }

    #[test]
    fn upper_edges_belong_to_their_bin_and_zero_to_the_first() {
        let top = certain(&[0.0, 0.25, 0.250_1, 1.0]);
        let table = ReliabilityTable::of(&top, Binning::EqualWidth, 4).unwrap();
        let counts: Vec<_> = table
            .bins()
            .iter()
            .map(|bin| (bin.index, bin.count))
            .collect();
        assert_eq!(counts, [(0, 2), (1, 1), (3, 1)]);
    }

    #[test]
    fn equal_mass_gives_the_first_chunks_the_remainder() {
        let top = certain(&[0.5, 0.1, 0.4, 0.2, 0.3]);
        let table = ReliabilityTable::of(&top, Binning::EqualMass, 3).unwrap();
        let counts: Vec<_> = table.bins().iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [2, 2, 1]);
        assert!((table.bins()[2].confidence - 0.5).abs() < 1e-15);
        let fewer = ReliabilityTable::of(&top, Binning::EqualMass, 9).unwrap();
        assert_eq!(fewer.bins().len(), 5);
    }

    #[test]
    fn ill_input_is_refused() {
        assert!(ReliabilityTable::of(&[], Binning::EqualWidth, 4).is_err());
        assert!(ReliabilityTable::of(&certain(&[0.5]), Binning::EqualMass, 0).is_err());
        assert!(ReliabilityTable::of(&certain(&[1.5]), Binning::EqualMass, 2).is_err());
        assert!(binary_top_predictions(&[0.5, f64::NAN], &[true, true]).is_err());
        assert!(top_predictions(&[0.5, 0.5], 2, &[2]).is_err());
    }
}
