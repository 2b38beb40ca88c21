//! The confusion matrix of several classes.

use serde::Serialize;

use crate::{MetricError, validate};

/// How much a disagreement between two classes counts in [`ConfusionMatrix::kappa`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum KappaWeights {
    /// Every disagreement counts 1.
    Unweighted,
    /// A disagreement counts the distance of the class indices, for ordered classes.
    Linear,
    /// A disagreement counts the squared distance of the class indices.
    Quadratic,
}

impl KappaWeights {
    fn weight(self, a: usize, b: usize) -> f64 {
        let distance = a.abs_diff(b) as f64;
        match self {
            Self::Unweighted => distance.min(1.0),
            Self::Linear => distance,
            Self::Quadratic => distance * distance,
        }
    }
}

/// Counts of predictions by true class (rows) and predicted class (columns); at least one sample.
///
/// # Examples
///
/// ```
/// use ctl_metrics::discrimination::{ConfusionMatrix, KappaWeights};
///
/// let matrix = ConfusionMatrix::from_predictions(&[0, 1, 1, 2, 2, 0], &[0, 0, 1, 1, 2, 2], 3)?;
/// assert_eq!(matrix.rows(), [[1, 1, 0], [0, 1, 1], [1, 0, 1]]);
/// assert_eq!(matrix.accuracy(), 0.5);
/// assert_eq!(matrix.balanced_accuracy()?, 0.5);
/// assert_eq!(matrix.f1_macro(), 0.5);
/// assert_eq!(matrix.kappa(KappaWeights::Unweighted), 0.25);
/// assert_eq!(matrix.mcc(), 0.25);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<usize>,
}

impl ConfusionMatrix {
    /// Counts predicted against true classes.
    ///
    /// # Arguments
    /// - `predictions`, `labels`: `[N]`, class indices below `classes`.
    /// - `classes`: at least 2.
    ///
    /// # Errors
    /// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidParameter`]
    /// for fewer than two classes, [`MetricError::IndexOutOfRange`] for a class that does not exist.
    pub fn from_predictions(
        predictions: &[usize],
        labels: &[usize],
        classes: usize,
    ) -> Result<Self, MetricError> {
        validate::parameter("classes", classes as f64, "at least 2", classes >= 2)?;
        validate::non_empty("predictions", predictions.len())?;
        validate::same_len("labels", predictions.len(), labels.len())?;
        validate::indices("predictions", predictions, classes)?;
        validate::indices("labels", labels, classes)?;
        let mut counts = vec![0; classes * classes];
        for (&predicted, &label) in predictions.iter().zip(labels) {
            counts[label * classes + predicted] += 1;
        }
        Ok(Self { classes, counts })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of samples.
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// The matrix, one row per true class.
    pub fn rows(&self) -> Vec<Vec<usize>> {
        self.counts
            .chunks(self.classes)
            .map(<[usize]>::to_vec)
            .collect()
    }

    fn true_count(&self, class: usize) -> f64 {
        let start = class * self.classes;
        self.counts[start..start + self.classes]
            .iter()
            .sum::<usize>() as f64
    }

    fn predicted_count(&self, class: usize) -> f64 {
        self.counts
            .iter()
            .skip(class)
            .step_by(self.classes)
            .sum::<usize>() as f64
    }

    fn right(&self, class: usize) -> f64 {
        self.counts[class * self.classes + class] as f64
    }

    /// Fraction of right predictions; also the micro-averaged F1.
    pub fn accuracy(&self) -> f64 {
        (0..self.classes)
            .map(|class| self.right(class))
            .sum::<f64>()
            / self.total() as f64
    }

    /// Mean over classes of the fraction of the class that is predicted rightly.
    ///
    /// # Errors
    /// [`MetricError::MissingClass`] when a class has no sample.
    pub fn balanced_accuracy(&self) -> Result<f64, MetricError> {
        let mut sum = 0.0;
        for class in 0..self.classes {
            let size = self.true_count(class);
            if size == 0.0 {
                return Err(MetricError::MissingClass {
                    classes: self.classes,
                    class,
                });
            }
            sum += self.right(class) / size;
        }
        Ok(sum / self.classes as f64)
    }

    /// F1 of each class: `2 TP / (true count + predicted count)`; 0 where that is 0/0.
    pub fn f1_per_class(&self) -> Vec<f64> {
        (0..self.classes)
            .map(|class| {
                let margins = self.true_count(class) + self.predicted_count(class);
                if margins == 0.0 {
                    0.0
                } else {
                    2.0 * self.right(class) / margins
                }
            })
            .collect()
    }

    /// Unweighted mean of the per-class F1 over all classes.
    ///
    /// A class that is neither true nor predicted anywhere counts 0; scikit-learn leaves it out.
    pub fn f1_macro(&self) -> f64 {
        self.f1_per_class().iter().sum::<f64>() / self.classes as f64
    }

    /// Mean of the per-class F1, weighted by the number of true samples.
    pub fn f1_weighted(&self) -> f64 {
        let weighted = self.f1_per_class().into_iter().enumerate();
        weighted
            .map(|(class, f1)| f1 * self.true_count(class))
            .sum::<f64>()
            / self.total() as f64
    }

    /// Matthews correlation for several classes.
    ///
    /// `(c s - sum_k p_k t_k) / sqrt((s^2 - sum p_k^2)(s^2 - sum t_k^2))` with `s` samples, `c`
    /// right ones, `p_k` predicted and `t_k` true counts; 0 when the denominator is 0.
    ///
    /// # References
    /// Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient",
    /// 2004.
    pub fn mcc(&self) -> f64 {
        let s = self.total() as f64;
        let (mut both, mut predicted, mut truth) = (0.0, 0.0, 0.0);
        for class in 0..self.classes {
            let (p, t) = (self.predicted_count(class), self.true_count(class));
            both += p * t;
            predicted += p * p;
            truth += t * t;
        }
        let denominator = (s * s - predicted) * (s * s - truth);
        if denominator == 0.0 {
            return 0.0;
        }
        (self.accuracy() * s * s - both) / denominator.sqrt()
    }

    /// Cohen's kappa: one minus observed over chance disagreement, weighted.
    ///
    /// 0 when chance disagreement is 0.
    ///
    /// # References
    /// Cohen, "Weighted kappa", 1968.
    pub fn kappa(&self, weights: KappaWeights) -> f64 {
        let (mut observed, mut chance) = (0.0, 0.0);
        for (cell, &count) in self.counts.iter().enumerate() {
            let (label, predicted) = (cell / self.classes, cell % self.classes);
            let weight = weights.weight(label, predicted);
            observed += weight * count as f64;
            chance += weight * self.true_count(label) * self.predicted_count(predicted);
        }
        if chance == 0.0 {
            0.0
        } else {
            1.0 - observed * self.total() as f64 / chance
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_agree_with_the_binary_matrix() {
        let (predictions, labels) = ([1, 1, 0, 1, 0, 0, 1], [1, 0, 0, 1, 1, 0, 1]);
        let matrix = ConfusionMatrix::from_predictions(&predictions, &labels, 2).unwrap();
        let binary = super::super::BinaryConfusion::from_predictions(
            &predictions.map(|p| p == 1),
            &labels.map(|y| y == 1),
        )
        .unwrap();
        assert!((matrix.mcc() - binary.mcc()).abs() < 1e-15);
        assert!((matrix.kappa(KappaWeights::Quadratic) - binary.kappa()).abs() < 1e-15);
        assert!(
            (matrix.balanced_accuracy().unwrap() - binary.balanced_accuracy().unwrap()).abs()
                < 1e-15
        );
        assert!((matrix.f1_per_class()[1] - binary.f1()).abs() < 1e-15);
    }

    #[test]
    fn degenerate_margins() {
        let matrix = ConfusionMatrix::from_predictions(&[0, 0], &[0, 0], 3).unwrap();
        assert!(matrix.mcc().abs() < 1e-15);
        assert!(matrix.kappa(KappaWeights::Linear).abs() < 1e-15);
        assert_eq!(
            matrix.balanced_accuracy().unwrap_err(),
            MetricError::MissingClass {
                classes: 3,
                class: 1
            }
        );
        assert!((matrix.f1_macro() - 1.0 / 3.0).abs() < 1e-15);
        assert!((matrix.f1_weighted() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn classes_out_of_range_are_named() {
        let error = ConfusionMatrix::from_predictions(&[0, 3], &[0, 1], 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "predictions[1]: expected an index below 3, found 3"
        );
        assert!(ConfusionMatrix::from_predictions(&[0], &[0], 1).is_err());
        assert!(ConfusionMatrix::from_predictions(&[], &[], 2).is_err());
    }
}
