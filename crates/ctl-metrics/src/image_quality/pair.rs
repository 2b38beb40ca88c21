//! A predicted and a reference volume, and the errors between them.

use super::ssim::{SsimConfig, mean_similarity};
use crate::MetricError;
use crate::validate::{self, LARGEST_VALUE};

/// Decibels of a factor of ten in power.
const DECIBELS: f64 = 10.0;

/// A predicted volume beside its reference.
///
/// Values may be of any type that converts to `f64` without loss, such as `f32`, `u8` or `i16`.
#[derive(Debug, Clone, Copy)]
pub struct ImagePair<'a, T> {
    prediction: &'a [T],
    reference: &'a [T],
    shape: [usize; 3],
}

impl<'a, T: Copy + Into<f64>> ImagePair<'a, T> {
    /// Checks both volumes.
    ///
    /// # Arguments
    /// - `prediction`, `reference`: `[slices, H, W]`, row-major, magnitudes up to `1e60`.
    /// - `shape`: `[slices, H, W]`.
    ///
    /// # Errors
    /// [`MetricError::Empty`] for a shape without pixels, [`MetricError::LengthMismatch`] when a
    /// volume does not fit the shape, [`MetricError::InvalidValue`] for a value that is not finite
    /// or too large.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::ImagePair;
    /// let pair = ImagePair::new(&[1.0_f32, 2.0], &[1.0, 4.0], [1, 1, 2])?;
    /// assert_eq!(pair.mse(), 2.0);
    /// assert!(ImagePair::new(&[1.0_f32], &[f32::NAN], [1, 1, 1]).is_err());
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn new(
        prediction: &'a [T],
        reference: &'a [T],
        shape: [usize; 3],
    ) -> Result<Self, MetricError> {
        // A product beyond memory saturates and then differs from every length.
        let pixels = shape.iter().fold(1_usize, |n, &m| n.saturating_mul(m));
        validate::non_empty("shape", pixels)?;
        validate::same_len("prediction", pixels, prediction.len())?;
        validate::same_len("reference", pixels, reference.len())?;
        validate::within_magnitude("prediction", prediction)?;
        validate::within_magnitude("reference", reference)?;
        Ok(Self {
            prediction,
            reference,
            shape,
        })
    }

    /// The maximum of the reference volume, fastMRI's data range.
    ///
    /// It suits magnitude images, whose values start at 0; for others the difference of maximum
    /// and minimum, or that of the value type, is the better range.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::ImagePair;
    /// assert_eq!(ImagePair::new(&[9_u8, 1], &[3, 7], [2, 1, 1])?.data_range(), 7.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn data_range(&self) -> f64 {
        let values = self.reference.iter().map(|&value| value.into());
        values.fold(f64::NEG_INFINITY, f64::max)
    }

    /// Mean absolute error over the volume.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::ImagePair;
    /// assert_eq!(ImagePair::new(&[1_u8, 1], &[3, 0], [1, 1, 2])?.mae(), 1.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn mae(&self) -> f64 {
        self.differences().map(f64::abs).sum::<f64>() / self.pixels()
    }

    /// Mean squared error over the volume.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::ImagePair;
    /// assert_eq!(ImagePair::new(&[1_u8, 1], &[3, 0], [1, 1, 2])?.mse(), 2.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn mse(&self) -> f64 {
        self.squared_error() / self.pixels()
    }

    /// Normalised mean squared error `|x - y|² / |y|²` with `y` the reference volume.
    ///
    /// # Errors
    /// [`MetricError::Undefined`] when the reference is zero everywhere.
    ///
    /// # References
    /// Zbontar et al., "fastMRI: an open dataset and benchmarks for accelerated MRI", 2018,
    /// equation 7.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::ImagePair;
    /// assert_eq!(ImagePair::new(&[1.0, 2.0], &[1.0, 3.0], [1, 1, 2])?.nmse()?, 0.1);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn nmse(&self) -> Result<f64, MetricError> {
        let norm: f64 = self
            .reference
            .iter()
            .map(|&value| squared(value.into()))
            .sum();
        if norm > 0.0 {
            return Ok(self.squared_error() / norm);
        }
        Err(MetricError::Undefined {
            subject: "nmse",
            expected: "a reference other than zero",
            found: "zeros alone",
        })
    }

    /// Peak signal-to-noise ratio `10 log10(range² / MSE)` over the volume, in dB.
    ///
    /// # Arguments
    /// - `data_range`: difference of the largest and smallest possible value, positive.
    ///
    /// # Returns
    /// Infinity for identical volumes.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for a range that is not positive, or beyond `1e60`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::ImagePair;
    /// let pair = ImagePair::new(&[1.0, 3.0], &[2.0, 4.0], [1, 1, 2])?;
    /// assert!((pair.psnr(10.0)? - 20.0).abs() < 1e-12);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn psnr(&self, data_range: f64) -> Result<f64, MetricError> {
        check_range(data_range)?;
        // The difference of logarithms is finite where the ratio would overflow.
        Ok(DECIBELS * (2.0 * data_range.log10() - self.mse().log10()))
    }

    /// Structural similarity, the mean of the slices' mean similarities.
    ///
    /// With windowed means `μ`, variances `σ²` and covariance `σ_xy` of prediction and reference,
    /// `SSIM = (2 μ_x μ_y + C1) (2 σ_xy + C2) / ((μ_x² + μ_y² + C1) (σ_x² + σ_y² + C2))` with
    /// `C1 = (k1 range)²` and `C2 = (k2 range)²`.
    ///
    /// # Arguments
    /// - `data_range`: as for [`ImagePair::psnr`].
    /// - `config`: window, covariance, border and constants.
    ///
    /// # Returns
    /// A value in `[-1, 1]`, 1 for identical volumes.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for a range or a setting out of range,
    /// [`MetricError::TooFew`] when the window does not fit into a slice.
    ///
    /// # Complexity
    /// Linear in the pixels times the length of the window's side.
    ///
    /// # References
    /// Wang et al., "Image quality assessment: from error visibility to structural similarity",
    /// 2004, equation 13.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::{ImagePair, SsimConfig};
    /// let reference: Vec<f32> = (0..64).map(|pixel| (pixel % 7) as f32).collect();
    /// let brighter: Vec<f32> = reference.iter().map(|value| value + 1.0).collect();
    /// let config = SsimConfig::fast_mri();
    /// let same = ImagePair::new(&reference, &reference, [1, 8, 8])?;
    /// assert!((same.ssim(6.0, &config)? - 1.0).abs() < 1e-12);
    /// let pair = ImagePair::new(&brighter, &reference, [1, 8, 8])?;
    /// assert!((pair.ssim(6.0, &config)? - 0.960_006).abs() < 1e-6);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn ssim(&self, data_range: f64, config: &SsimConfig) -> Result<f64, MetricError> {
        check_range(data_range)?;
        config.check()?;
        let [_, height, width] = self.shape;
        validate::at_least("slice height", config.smallest_side(), height)?;
        validate::at_least("slice width", config.smallest_side(), width)?;
        let slices = self
            .prediction
            .chunks_exact(height * width)
            .zip(self.reference.chunks_exact(height * width));
        let count = slices.len() as f64;
        let similarity =
            |(ours, theirs): (&[T], &[T])| mean_similarity(ours, theirs, width, data_range, config);
        Ok(slices.map(similarity).sum::<f64>() / count)
    }

    fn pixels(&self) -> f64 {
        self.reference.len() as f64
    }

    fn differences(&self) -> impl Iterator<Item = f64> {
        let pairs = self.prediction.iter().zip(self.reference);
        pairs.map(|(&ours, &theirs)| ours.into() - theirs.into())
    }

    fn squared_error(&self) -> f64 {
        self.differences().map(squared).sum()
    }
}

fn squared(value: f64) -> f64 {
    value * value
}

fn check_range(data_range: f64) -> Result<(), MetricError> {
    let allowed = (LARGEST_VALUE.recip()..=LARGEST_VALUE).contains(&data_range);
    validate::parameter(
        "data_range",
        data_range,
        "a number in [1e-60, 1e60]",
        allowed,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::empty(&[], &[], [0, 4, 4], "shape: expected at least one value, found none")]
    #[case::prediction(&[1.0], &[1.0, 2.0], [1, 1, 2], "prediction: expected length 2, found 1")]
    #[case::reference(&[1.0, 2.0], &[1.0], [1, 1, 2], "reference: expected length 2, found 1")]
    #[case::nan(&[f64::NAN], &[1.0], [1, 1, 1], "prediction[0]: expected a magnitude of at most 1e60, found NaN")]
    #[case::huge(&[0.0], &[-1e61], [1, 1, 1], "reference[0]: expected a magnitude of at most 1e60, found -10000000000000000000000000000000000000000000000000000000000000")]
    fn ill_volumes_are_refused(
        #[case] prediction: &[f64],
        #[case] reference: &[f64],
        #[case] shape: [usize; 3],
        #[case] message: &str,
    ) {
        let error = ImagePair::new(prediction, reference, shape).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn shapes_beyond_memory_are_refused() {
        let error = ImagePair::new(&[1_u8], &[1], [usize::MAX, usize::MAX, 2]).unwrap_err();
        assert!(matches!(
            error,
            MetricError::LengthMismatch {
                subject: "prediction",
                ..
            }
        ));
    }

    #[test]
    fn identical_volumes_have_no_noise() {
        let pair = ImagePair::new(&[1.0, 5.0], &[1.0, 5.0], [1, 1, 2]).unwrap();
        assert!(pair.psnr(5.0).unwrap() == f64::INFINITY);
        assert!(pair.nmse().unwrap().abs() < 1e-15);
    }

    #[test]
    fn a_reference_of_zeros_has_no_normalised_error() {
        let pair = ImagePair::new(&[1_u8, 5], &[0, 0], [1, 1, 2]).unwrap();
        assert!(pair.nmse().unwrap_err().is_undefined());
        for range in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(pair.psnr(range).is_err());
            assert!(pair.ssim(range, &SsimConfig::fast_mri()).is_err());
        }
    }
}
