//! The two-by-two confusion matrix and what follows from it.

use serde::Serialize;

use crate::{MetricError, validate};

/// Turns scores into predictions: positive when `score >= threshold`.
///
/// # Arguments
/// - `scores`: `[N]`, no `NaN`.
/// - `threshold`: on the scale of the scores.
///
/// # Returns
/// `[N]` predictions.
///
/// # Errors
/// [`MetricError::InvalidValue`] for a `NaN` score, [`MetricError::InvalidParameter`] for a `NaN`
/// threshold.
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::predictions_at;
/// assert_eq!(predictions_at(&[0.2, 0.5, 0.8], 0.5)?, [false, true, true]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn predictions_at(scores: &[f64], threshold: f64) -> Result<Vec<bool>, MetricError> {
    validate::not_nan("scores", scores)?;
    validate::parameter("threshold", threshold, "a number", !threshold.is_nan())?;
    Ok(scores.iter().map(|&score| score >= threshold).collect())
}

/// Counts of a binary decision; at least one sample.
///
/// Ratios that compare with predictions (F1, predictive values, MCC, kappa) are 0 when their
/// denominator is 0; sensitivity and specificity are errors when their class does not occur.
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::BinaryConfusion;
///
/// let labels = [true, true, true, false, false];
/// let confusion = BinaryConfusion::from_scores(&[0.9, 0.6, 0.2, 0.7, 0.1], &labels, 0.5)?;
/// assert_eq!(confusion.accuracy(), 0.6);
/// assert!((confusion.sensitivity()? - 2.0 / 3.0).abs() < 1e-15);
/// assert_eq!(confusion.specificity()?, 0.5);
/// assert!((confusion.balanced_accuracy()? - 7.0 / 12.0).abs() < 1e-15);
/// assert!((confusion.f1() - 2.0 / 3.0).abs() < 1e-15);
/// assert!((confusion.mcc() - 1.0 / 6.0).abs() < 1e-15);
/// assert!((confusion.kappa() - 1.0 / 6.0).abs() < 1e-15);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BinaryConfusion {
    true_positives: usize,
    false_positives: usize,
    true_negatives: usize,
    false_negatives: usize,
}

impl BinaryConfusion {
    /// Counts predictions against labels.
    ///
    /// # Arguments
    /// - `predictions`, `labels`: `[N]`, `true` for positive.
    ///
    /// # Errors
    /// [`MetricError::Empty`], [`MetricError::LengthMismatch`].
    pub fn from_predictions(predictions: &[bool], labels: &[bool]) -> Result<Self, MetricError> {
        validate::non_empty("predictions", predictions.len())?;
        validate::same_len("labels", predictions.len(), labels.len())?;
        let count = |predicted: bool, label: bool| {
            predictions
                .iter()
                .zip(labels)
                .filter(|&(&p, &y)| p == predicted && y == label)
                .count()
        };
        Ok(Self {
            true_positives: count(true, true),
            false_positives: count(true, false),
            true_negatives: count(false, false),
            false_negatives: count(false, true),
        })
    }

    /// Counts the predictions of `score >= threshold` against labels.
    ///
    /// # Errors
    /// As [`BinaryConfusion::from_predictions`] and [`predictions_at`].
    pub fn from_scores(
        scores: &[f64],
        labels: &[bool],
        threshold: f64,
    ) -> Result<Self, MetricError> {
        Self::from_predictions(&predictions_at(scores, threshold)?, labels)
    }

    /// Positives called positive.
    pub fn true_positives(&self) -> usize {
        self.true_positives
    }

    /// Negatives called positive.
    pub fn false_positives(&self) -> usize {
        self.false_positives
    }

    /// Negatives called negative.
    pub fn true_negatives(&self) -> usize {
        self.true_negatives
    }

    /// Positives called negative.
    pub fn false_negatives(&self) -> usize {
        self.false_negatives
    }

    /// Number of samples.
    pub fn total(&self) -> usize {
        self.positives() + self.negatives()
    }

    fn positives(&self) -> usize {
        self.true_positives + self.false_negatives
    }

    fn negatives(&self) -> usize {
        self.true_negatives + self.false_positives
    }

    /// Fraction of right predictions: `(TP + TN) / N`.
    pub fn accuracy(&self) -> f64 {
        (self.true_positives + self.true_negatives) as f64 / self.total() as f64
    }

    /// Fraction of samples called positive: `(TP + FP) / N`.
    pub fn selection_rate(&self) -> f64 {
        (self.true_positives + self.false_positives) as f64 / self.total() as f64
    }

    /// Sensitivity, recall or true positive rate: `TP / (TP + FN)`.
    ///
    /// # Errors
    /// [`MetricError::SingleClass`] without positives.
    pub fn sensitivity(&self) -> Result<f64, MetricError> {
        rate(self.true_positives, self.positives(), false)
    }

    /// Specificity or true negative rate: `TN / (TN + FP)`.
    ///
    /// # Errors
    /// [`MetricError::SingleClass`] without negatives.
    pub fn specificity(&self) -> Result<f64, MetricError> {
        rate(self.true_negatives, self.negatives(), true)
    }

    /// False positive rate: `FP / (TN + FP)`.
    ///
    /// # Errors
    /// [`MetricError::SingleClass`] without negatives.
    pub fn false_positive_rate(&self) -> Result<f64, MetricError> {
        rate(self.false_positives, self.negatives(), true)
    }

    /// Mean of sensitivity and specificity.
    ///
    /// # Errors
    /// [`MetricError::SingleClass`] when only one class occurs.
    pub fn balanced_accuracy(&self) -> Result<f64, MetricError> {
        Ok(f64::midpoint(self.sensitivity()?, self.specificity()?))
    }

    /// Positive predictive value or precision: `TP / (TP + FP)`; 0 when nothing is called positive.
    pub fn positive_predictive_value(&self) -> f64 {
        ratio_or_zero(
            self.true_positives,
            self.true_positives + self.false_positives,
        )
    }

    /// Negative predictive value: `TN / (TN + FN)`; 0 when nothing is called negative.
    pub fn negative_predictive_value(&self) -> f64 {
        ratio_or_zero(
            self.true_negatives,
            self.true_negatives + self.false_negatives,
        )
    }

    /// F1 of the positive class: `2 TP / (2 TP + FP + FN)`; 0 when that is 0/0.
    pub fn f1(&self) -> f64 {
        let twice = 2 * self.true_positives;
        ratio_or_zero(twice, twice + self.false_positives + self.false_negatives)
    }

    /// Matthews correlation coefficient: `(TP TN - FP FN) / sqrt(product of the four margins)`.
    ///
    /// 0 when a margin is empty.
    pub fn mcc(&self) -> f64 {
        let [tp, fp, tn, false_neg] = self.as_floats();
        let margins = (tp + fp) * (tp + false_neg) * (tn + fp) * (tn + false_neg);
        if margins == 0.0 {
            0.0
        } else {
            (tp * tn - fp * false_neg) / margins.sqrt()
        }
    }

    /// Cohen's kappa: `(p_o - p_e) / (1 - p_e)`; 0 when chance agreement `p_e` is 1.
    pub fn kappa(&self) -> f64 {
        let [tp, fp, tn, false_neg] = self.as_floats();
        let total = tp + fp + tn + false_neg;
        let chance = (tp + fp) * (tp + false_neg) + (tn + fp) * (tn + false_neg);
        let chance = chance / (total * total);
        if chance >= 1.0 {
            0.0
        } else {
            (self.accuracy() - chance) / (1.0 - chance)
        }
    }

    fn as_floats(&self) -> [f64; 4] {
        [
            self.true_positives as f64,
            self.false_positives as f64,
            self.true_negatives as f64,
            self.false_negatives as f64,
        ]
    }
}

/// A rate within a class; `present` is the class that remains when this one is missing.
fn rate(count: usize, class_size: usize, present: bool) -> Result<f64, MetricError> {
    if class_size == 0 {
        return Err(MetricError::SingleClass { found: present });
    }
    Ok(count as f64 / class_size as f64)
}

fn ratio_or_zero(numerator: usize, denominator: usize) -> f64 {
    if denominator == 0 {
        0.0
    } else {
        numerator as f64 / denominator as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_denominators_are_zero_and_missing_classes_are_errors() {
        let never = BinaryConfusion::from_predictions(&[false, false], &[false, false]).unwrap();
        let ratios = [
            never.f1(),
            never.positive_predictive_value(),
            never.mcc(),
            never.kappa(),
        ];
        assert!(ratios.iter().all(|ratio| ratio.abs() < 1e-15));
        assert_eq!(
            never.sensitivity().unwrap_err(),
            MetricError::SingleClass { found: false }
        );
        assert_eq!(never.specificity(), Ok(1.0));
        let always = BinaryConfusion::from_predictions(&[true], &[true]).unwrap();
        assert_eq!(
            always.specificity().unwrap_err(),
            MetricError::SingleClass { found: true }
        );
        assert!(always.balanced_accuracy().is_err());
        assert!(always.negative_predictive_value().abs() < 1e-15);
    }

    #[test]
    fn the_threshold_itself_is_positive() {
        let confusion = BinaryConfusion::from_scores(&[0.5, 0.499], &[true, false], 0.5).unwrap();
        assert_eq!(
            (confusion.true_positives(), confusion.true_negatives()),
            (1, 1)
        );
        assert_eq!(
            (confusion.false_positives(), confusion.false_negatives()),
            (0, 0)
        );
        assert!((confusion.selection_rate() - 0.5).abs() < 1e-15);
    }

    #[test]
    fn ill_shaped_input_is_refused() {
        assert_eq!(
            BinaryConfusion::from_predictions(&[], &[]),
            Err(MetricError::Empty {
                subject: "predictions"
            })
        );
        assert!(BinaryConfusion::from_scores(&[0.5], &[true], f64::NAN).is_err());
        assert!(BinaryConfusion::from_scores(&[0.5], &[true, false], 0.5).is_err());
    }
}
