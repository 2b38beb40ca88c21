//! Composition and reversibility: how far images move when nothing should.

use crate::{MetricError, validate};

/// Errors after each cycle, in the unit of the images and its square.
#[derive(Debug, Clone, PartialEq)]
pub struct CycleErrors {
    /// Mean absolute error over all images, by cycle.
    pub l1: Vec<f64>,
    /// Mean squared error over all images, by cycle.
    pub mse: Vec<f64>,
    /// Mean absolute error of each image, by cycle.
    pub l1_per_image: Vec<Vec<f64>>,
}

/// Compares images with what they have become after one, two and more cycles.
///
/// A cycle is the null intervention for composition, and an intervention with the one that undoes it
/// for reversibility.
///
/// # Arguments
/// - `images`: the factual images, one after the other.
/// - `after_cycle`: the same images after each cycle.
/// - `count`: number of images.
///
/// # Errors
/// [`MetricError::Empty`] without images or cycles, [`MetricError::LengthMismatch`] where a cycle has
/// other sizes or the values are no multiple of `count`, [`MetricError::InvalidValue`] for values
/// that are not finite.
///
/// # References
/// Monteiro et al. 2023, section 3, with the mean absolute error as distance.
pub fn cycle_errors<T: Copy + Into<f64>>(
    images: &[T],
    after_cycle: &[Vec<T>],
    count: usize,
) -> Result<CycleErrors, MetricError> {
    validate::non_empty("images", images.len().min(count))?;
    validate::non_empty("after_cycle", after_cycle.len())?;
    let values = images.len() / count;
    validate::same_len("images", values * count, images.len())?;
    finite("images", images)?;
    let mut errors = CycleErrors {
        l1: Vec::new(),
        mse: Vec::new(),
        l1_per_image: Vec::new(),
    };
    for cycle in after_cycle {
        validate::same_len("after_cycle", images.len(), cycle.len())?;
        finite("after_cycle", cycle)?;
        let pairs = images.chunks(values).zip(cycle.chunks(values));
        let (l1, squared): (Vec<f64>, Vec<f64>) = pairs.map(|(a, b)| distances(a, b)).unzip();
        errors.l1.push(mean(&l1));
        errors.mse.push(mean(&squared));
        errors.l1_per_image.push(l1);
    }
    Ok(errors)
}

fn finite<T: Copy + Into<f64>>(subject: &'static str, values: &[T]) -> Result<(), MetricError> {
    validate::all_values(subject, values, "a finite number", f64::is_finite)
}

/// Mean absolute and mean squared difference of two images of one size.
fn distances<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> (f64, f64) {
    let differences = a.iter().zip(b).map(|(&a, &b)| a.into() - b.into());
    let sums = differences.fold((0.0, 0.0), |(l1, squared), d: f64| {
        (l1 + d.abs(), squared + d * d)
    });
    let n = a.len() as f64;
    (sums.0 / n, sums.1 / n)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_and_double_agree() {
        let images = [0.25_f32, 0.5, 1.0, 0.0];
        let after = [vec![0.0_f32, 0.5, 1.0, 1.0]];
        let errors = cycle_errors(&images, &after, 2).unwrap();
        assert_eq!(
            (errors.l1[0], errors.mse[0]),
            (0.3125, (0.0625 + 1.0) / 4.0)
        );
        assert_eq!(errors.l1_per_image[0], [0.125, 0.5]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let cycle = [vec![0.0; 4]];
        let none: [Vec<f64>; 0] = [];
        for (images, after, count, word) in [
            (&[0.0; 4][..], &cycle[..], 3, "images: expected length 3"),
            (&[0.0; 4], &cycle, 0, "images: expected at least one"),
            (&[0.0; 2], &cycle, 2, "after_cycle: expected length 2"),
            (&[0.0; 4], &none, 2, "after_cycle: expected at least one"),
            (&[0.0, f64::NAN, 0.0, 0.0], &cycle, 2, "images[1]"),
        ] {
            let error = cycle_errors(images, after, count).unwrap_err().to_string();
            assert!(error.starts_with(word), "{error}");
        }
    }
}
