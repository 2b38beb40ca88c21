//! Overlap of label maps with several classes.

use super::Overlap;
use super::overlap::ratio_or_one;
use crate::{MetricError, validate};

/// The overlap of each class of two label maps; class 0 is background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassOverlaps {
    overlaps: Vec<Overlap>,
    agreeing: u64,
    voxels: u64,
}

impl ClassOverlaps {
    /// Compares two label maps class by class.
    ///
    /// # Arguments
    /// - `prediction`: `[voxels]`, labels below `classes` of any unsigned type.
    /// - `reference`: `[voxels]`.
    /// - `classes`: number of classes, the background included; at least 2.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for fewer than two classes, [`MetricError::Empty`],
    /// [`MetricError::LengthMismatch`], [`MetricError::IndexOutOfRange`] for a label that is no
    /// class.
    ///
    /// # Complexity
    /// One pass over the voxels.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::ClassOverlaps;
    /// let prediction: [u8; 6] = [0, 1, 1, 2, 2, 0];
    /// let reference: [u8; 6] = [0, 1, 2, 2, 2, 0];
    /// let classes = ClassOverlaps::of(&prediction, &reference, 4)?;
    /// assert_eq!(classes.overlap(1)?.dice(), 2.0 / 3.0);
    /// assert_eq!(classes.overlap(2)?.dice(), 0.8);
    /// assert_eq!(classes.overlap(3)?.dice(), 1.0); // absent from both
    /// assert_eq!(classes.accuracy(), 5.0 / 6.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn of<L: Copy + Into<usize>>(
        prediction: &[L],
        reference: &[L],
        classes: usize,
    ) -> Result<Self, MetricError> {
        validate::parameter("classes", classes as f64, "at least 2", classes >= 2)?;
        validate::non_empty("prediction", prediction.len())?;
        validate::same_len("reference", prediction.len(), reference.len())?;
        validate::labels("prediction", prediction, classes)?;
        validate::labels("reference", reference, classes)?;
        let mut counts = vec![ClassCounts::default(); classes];
        for (&ours, &theirs) in prediction.iter().zip(reference) {
            let (ours, theirs) = (ours.into(), theirs.into());
            counts[ours].prediction += 1;
            counts[theirs].reference += 1;
            counts[ours].both += u64::from(ours == theirs);
        }
        let voxels = prediction.len() as u64;
        let overlap =
            |c: &ClassCounts| Overlap::from_counts(c.both, c.prediction, c.reference, voxels);
        Ok(Self {
            overlaps: counts.iter().map(overlap).collect(),
            agreeing: counts.iter().map(|class| class.both).sum(),
            voxels,
        })
    }

    /// The overlap of one class against all others.
    ///
    /// # Errors
    /// [`MetricError::IndexOutOfRange`] for a class that does not exist.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::ClassOverlaps;
    /// let classes = ClassOverlaps::of(&[0_u8, 1, 1], &[0, 1, 0], 2)?;
    /// assert_eq!(classes.overlap(1)?.iou(), 0.5);
    /// assert!(classes.overlap(2).is_err());
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn overlap(&self, class: usize) -> Result<Overlap, MetricError> {
        validate::indices("class", &[class], self.overlaps.len())?;
        Ok(self.overlaps[class])
    }

    /// The overlaps of all classes, the background first.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::ClassOverlaps;
    /// let classes = ClassOverlaps::of(&[0_u8, 1, 1], &[0, 1, 0], 2)?;
    /// let scores: Vec<f64> = classes.overlaps().iter().map(|overlap| overlap.iou()).collect();
    /// assert_eq!(scores, [0.5, 0.5]);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn overlaps(&self) -> &[Overlap] {
        &self.overlaps
    }

    /// Unweighted mean of the Dice coefficients of the classes from 1 on.
    ///
    /// A class absent from both maps counts as 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::ClassOverlaps;
    /// let classes = ClassOverlaps::of(&[0_u8, 1, 1, 0], &[0, 1, 0, 2], 3)?;
    /// assert_eq!(classes.mean_foreground_dice(), (2.0 / 3.0 + 0.0) / 2.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn mean_foreground_dice(&self) -> f64 {
        let foreground = &self.overlaps[1..];
        let sum: f64 = foreground.iter().map(Overlap::dice).sum();
        sum / foreground.len() as f64
    }

    /// As [`ClassOverlaps::mean_foreground_dice`], over the classes that the reference holds.
    ///
    /// # Errors
    /// [`MetricError::Undefined`] when the reference is background alone.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::ClassOverlaps;
    /// let classes = ClassOverlaps::of(&[0_u8, 1, 1, 2], &[0, 1, 0, 0], 3)?;
    /// assert_eq!(classes.mean_foreground_dice_present()?, 2.0 / 3.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn mean_foreground_dice_present(&self) -> Result<f64, MetricError> {
        let foreground = self.overlaps[1..].iter();
        let present = foreground.filter(|overlap| overlap.reference_voxels() > 0);
        let scores: Vec<f64> = present.map(Overlap::dice).collect();
        if scores.is_empty() {
            return Err(MetricError::Undefined {
                subject: "mean dice of the classes present",
                expected: "a reference with foreground",
                found: "background alone",
            });
        }
        Ok(scores.iter().sum::<f64>() / scores.len() as f64)
    }

    /// Fraction of voxels whose labels agree.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::ClassOverlaps;
    /// assert_eq!(ClassOverlaps::of(&[0_u8, 1, 1, 2], &[0, 1, 2, 2], 3)?.accuracy(), 0.75);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn accuracy(&self) -> f64 {
        ratio_or_one(self.agreeing, self.voxels)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct ClassCounts {
    both: u64,
    prediction: u64,
    reference: u64,
}

/// The mask of one class of a label map, for surface distances by class.
///
/// # Arguments
/// - `labels`: `[voxels]`, of any unsigned type.
/// - `class`: the label to keep.
///
/// # Returns
/// `[voxels]`.
///
/// # Examples
///
/// ```
/// use ctl_metrics::segmentation::class_mask;
/// assert_eq!(class_mask(&[0_u8, 2, 1, 2], 2), [false, true, false, true]);
/// ```
pub fn class_mask<L: Copy + Into<usize>>(labels: &[L], class: usize) -> Vec<bool> {
    labels.iter().map(|&label| label.into() == class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ill_input_is_typed() {
        let message = |result: Result<ClassOverlaps, MetricError>| result.unwrap_err().to_string();
        assert_eq!(
            message(ClassOverlaps::of(&[0_u8], &[0], 1)),
            "classes: expected at least 2, found 1"
        );
        assert_eq!(
            message(ClassOverlaps::of(&[0_u8, 3], &[0, 1], 3)),
            "prediction[1]: expected an index below 3, found 3"
        );
        assert_eq!(
            message(ClassOverlaps::of(&[0_u16, 1], &[5, 1], 3)),
            "reference[0]: expected an index below 3, found 5"
        );
        assert_eq!(
            message(ClassOverlaps::of(&[0_u8, 1], &[1], 3)),
            "reference: expected length 2, found 1"
        );
    }

    #[test]
    fn a_reference_of_background_has_no_mean_over_present_classes() {
        let classes = ClassOverlaps::of(&[0_usize, 1], &[0, 0], 2).unwrap();
        assert!(
            classes
                .mean_foreground_dice_present()
                .unwrap_err()
                .is_undefined()
        );
    }

    #[test]
    fn a_class_agrees_with_its_mask() {
        let (prediction, reference) = ([0_u8, 2, 1, 2, 1], [2_u8, 2, 1, 0, 0]);
        let classes = ClassOverlaps::of(&prediction, &reference, 3).unwrap();
        for class in 0..3 {
            let masks = (
                class_mask(&prediction, class),
                class_mask(&reference, class),
            );
            let alone = Overlap::of(&masks.0, &masks.1).unwrap();
            assert_eq!(classes.overlap(class).unwrap(), alone);
        }
    }
}
