//! Overlap of two masks.

use serde::Serialize;

use crate::{MetricError, validate};

/// Counts of voxels by prediction and reference, and what follows from them.
///
/// With both masks empty every score is 1, with exactly one empty every overlap score is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Overlap {
    both: u64,
    prediction_only: u64,
    reference_only: u64,
    neither: u64,
}

impl Overlap {
    /// Compares two masks.
    ///
    /// # Arguments
    /// - `prediction`: `[voxels]`.
    /// - `reference`: `[voxels]`.
    ///
    /// # Errors
    /// [`MetricError::Empty`] without voxels, [`MetricError::LengthMismatch`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// let prediction = [true, true, true, false, false, false];
    /// let reference = [false, true, true, true, false, false];
    /// let overlap = Overlap::of(&prediction, &reference)?;
    /// assert_eq!(overlap.dice(), 2.0 / 3.0);
    /// assert_eq!(overlap.iou(), 0.5);
    /// assert_eq!(overlap.sensitivity(), 2.0 / 3.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn of(prediction: &[bool], reference: &[bool]) -> Result<Self, MetricError> {
        validate::non_empty("prediction", prediction.len())?;
        validate::same_len("reference", prediction.len(), reference.len())?;
        let mut counts = [[0; 2]; 2];
        for (&ours, &theirs) in prediction.iter().zip(reference) {
            counts[usize::from(ours)][usize::from(theirs)] += 1;
        }
        Ok(Self {
            both: counts[1][1],
            prediction_only: counts[1][0],
            reference_only: counts[0][1],
            neither: counts[0][0],
        })
    }

    pub(super) fn from_counts(both: u64, prediction: u64, reference: u64, total: u64) -> Self {
        Self {
            both,
            prediction_only: prediction - both,
            reference_only: reference - both,
            neither: total + both - prediction - reference,
        }
    }

    /// Voxels of the predicted mask.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// assert_eq!(Overlap::of(&[true, true, false], &[true, false, false])?.prediction_voxels(), 2);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn prediction_voxels(&self) -> u64 {
        self.both + self.prediction_only
    }

    /// Voxels of the reference mask.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// assert_eq!(Overlap::of(&[true, true, false], &[true, false, false])?.reference_voxels(), 1);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn reference_voxels(&self) -> u64 {
        self.both + self.reference_only
    }

    /// Voxels of both masks.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// assert_eq!(Overlap::of(&[true, true, false], &[true, false, false])?.intersection_voxels(), 1);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn intersection_voxels(&self) -> u64 {
        self.both
    }

    /// Dice coefficient `2 |A ∩ B| / (|A| + |B|)`, which is also the F1 score of the voxels.
    ///
    /// # References
    /// Dice, "Measures of the amount of ecologic association between species", 1945.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// assert_eq!(Overlap::of(&[true, true, false], &[true, false, false])?.dice(), 2.0 / 3.0);
    /// assert_eq!(Overlap::of(&[false, false], &[false, false])?.dice(), 1.0);
    /// assert_eq!(Overlap::of(&[true, false], &[false, false])?.dice(), 0.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn dice(&self) -> f64 {
        let voxels = self.prediction_voxels() + self.reference_voxels();
        ratio_or_one(2 * self.both, voxels)
    }

    /// Intersection over union `|A ∩ B| / |A ∪ B|`, the Jaccard index.
    ///
    /// # References
    /// Jaccard, "The distribution of the flora in the alpine zone", 1912.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// assert_eq!(Overlap::of(&[true, true, false], &[true, false, false])?.iou(), 0.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn iou(&self) -> f64 {
        let union = self.both + self.prediction_only + self.reference_only;
        ratio_or_one(self.both, union)
    }

    /// Fraction of the reference that the prediction covers, `|A ∩ B| / |B|` (recall).
    ///
    /// An empty reference gives 0 when anything is predicted.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// assert_eq!(Overlap::of(&[true, true, false], &[true, false, true])?.sensitivity(), 0.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn sensitivity(&self) -> f64 {
        self.share_of(self.reference_voxels())
    }

    /// Fraction of the prediction that lies in the reference, `|A ∩ B| / |A|`.
    ///
    /// An empty prediction gives 0 when there is a reference.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// assert_eq!(Overlap::of(&[true, true, false], &[true, false, false])?.precision(), 0.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn precision(&self) -> f64 {
        self.share_of(self.prediction_voxels())
    }

    /// Fraction of the reference's background that is predicted as background; 1 when the
    /// reference has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// assert_eq!(Overlap::of(&[true, true, false], &[true, false, false])?.specificity(), 0.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn specificity(&self) -> f64 {
        ratio_or_one(self.neither, self.neither + self.prediction_only)
    }

    /// Fraction of all voxels on which the masks agree.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// assert_eq!(Overlap::of(&[true, true], &[true, false])?.accuracy(), 0.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn accuracy(&self) -> f64 {
        let agreeing = self.both + self.neither;
        ratio_or_one(
            agreeing,
            agreeing + self.prediction_only + self.reference_only,
        )
    }

    /// Likeness of the two sizes wherever they lie, `1 - ||A| - |B|| / (|A| + |B|)`.
    ///
    /// # References
    /// Taha & Hanbury, "Metrics for evaluating 3D medical image segmentation", 2015, equation 22.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::Overlap;
    /// let overlap = Overlap::of(&[true, true, true, false], &[false, false, false, true])?;
    /// assert_eq!(overlap.volume_similarity(), 0.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn volume_similarity(&self) -> f64 {
        let (ours, theirs) = (self.prediction_voxels(), self.reference_voxels());
        ratio_or_one(2 * ours.min(theirs), ours + theirs)
    }

    fn share_of(&self, voxels: u64) -> f64 {
        let both_empty = self.prediction_voxels() + self.reference_voxels() == 0;
        if voxels == 0 && !both_empty {
            return 0.0;
        }
        ratio_or_one(self.both, voxels)
    }
}

/// A fraction of nothing is full agreement.
pub(super) fn ratio_or_one(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn all(overlap: &Overlap) -> Vec<f64> {
        vec![
            overlap.dice(),
            overlap.iou(),
            overlap.sensitivity(),
            overlap.precision(),
            overlap.volume_similarity(),
        ]
    }

    #[rstest]
    #[case::both_empty([false, false], [false, false], 1.0)]
    #[case::prediction_empty([false, false], [true, false], 0.0)]
    #[case::reference_empty([true, false], [false, false], 0.0)]
    #[case::identical([true, false], [true, false], 1.0)]
    #[case::everything([true, true], [true, true], 1.0)]
    fn empty_masks_follow_the_convention(
        #[case] prediction: [bool; 2],
        #[case] reference: [bool; 2],
        #[case] expected: f64,
    ) {
        let overlap = Overlap::of(&prediction, &reference).unwrap();
        assert_eq!(all(&overlap), [expected; 5]);
    }

    #[test]
    fn ill_input_is_typed() {
        let error = Overlap::of(&[], &[]).unwrap_err();
        assert_eq!(
            error,
            MetricError::Empty {
                subject: "prediction"
            }
        );
        let error = Overlap::of(&[true], &[true, false]).unwrap_err();
        assert_eq!(error.to_string(), "reference: expected length 1, found 2");
    }

    #[test]
    fn specificity_without_background_is_one() {
        let overlap = Overlap::of(&[true, false], &[true, true]).unwrap();
        assert!((overlap.specificity() - 1.0).abs() < 1e-15);
    }
}
