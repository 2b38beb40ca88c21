//! Realism: distances between the distributions of two sets of feature vectors.

use nalgebra::DMatrix;

use crate::{MetricError, validate};

/// A Fréchet distance and its two parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrechetDistance {
    /// Squared Euclidean distance of the means.
    pub mean: f64,
    /// `tr(C₁ + C₂ − 2 (C₁ C₂)^½)`.
    pub covariance: f64,
}

impl FrechetDistance {
    /// The squared distance: the sum of both parts.
    pub fn total(&self) -> f64 {
        self.mean + self.covariance
    }
}

/// Rows of features, `[N, dimensions]`.
struct Rows<'a> {
    values: &'a [f64],
    dimensions: usize,
}

impl<'a> Rows<'a> {
    /// At least two rows of finite values.
    fn new(
        subject: &'static str,
        values: &'a [f64],
        dimensions: usize,
    ) -> Result<Self, MetricError> {
        if dimensions == 0 {
            return Err(MetricError::InvalidParameter {
                subject: "dimensions",
                expected: "at least 1",
                found: 0.0,
            });
        }
        let rows = values.len() / dimensions;
        validate::same_len(subject, rows * dimensions, values.len())?;
        validate::at_least(subject, 2, rows)?;
        validate::all_values(subject, values, "a number within ±1e60", |value| {
            value.abs() <= validate::LARGEST_VALUE
        })?;
        Ok(Self { values, dimensions })
    }

    fn count(&self) -> usize {
        self.values.len() / self.dimensions
    }

    fn iter(&self) -> impl Iterator<Item = &'a [f64]> {
        self.values.chunks(self.dimensions)
    }

    fn mean(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.dimensions];
        for row in self.iter() {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        let n = self.count() as f64;
        sums.into_iter().map(|sum| sum / n).collect()
    }

    /// A matrix `R` with `Rᵀ R` the unbiased covariance, of as many rows as the smaller of the
    /// numbers of rows and of dimensions.
    fn covariance_factor(&self, mean: &[f64]) -> DMatrix<f64> {
        let scale = ((self.count() - 1) as f64).sqrt().recip();
        let centred = self.iter().flat_map(|row| {
            row.iter()
                .zip(mean)
                .map(|(value, mean)| (value - mean) * scale)
        });
        DMatrix::from_row_iterator(self.count(), self.dimensions, centred)
            .qr()
            .r()
    }
}

/// The Fréchet distance of two normal distributions with the means and unbiased covariances of two
/// sets of features.
///
/// With the features of an Inception network this is called FID; with others it is a different
/// number, and whoever reports it says of which network they are.
/// The trace of `(C₁ C₂)^½` is the sum of the singular values of `R₁ R₂ᵀ`, where `Rᵢᵀ Rᵢ = Cᵢ`: no
/// root of a matrix is taken, so that covariances of less than full rank lose no digits.
///
/// # Arguments
/// - `a`, `b`: features `[N, dimensions]`, row-major.
///
/// # Returns
/// The squared distance in the squared unit of the features, by its parts.
///
/// # Errors
/// [`MetricError::TooFew`] for fewer than two rows, [`MetricError::LengthMismatch`],
/// [`MetricError::InvalidParameter`] and [`MetricError::InvalidValue`].
///
/// # References
/// Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions"; Heusel et
/// al. 2017, "GANs trained by a two time-scale update rule".
///
/// # Examples
/// ```
/// use ctl_metrics::soundness::frechet_distance;
///
/// // Variances 2 and 8, means 1 and 4: (√2 − √8)² = 2.
/// let found = frechet_distance(&[0.0, 2.0], &[2.0, 6.0], 1)?;
/// assert!((found.mean - 9.0).abs() < 1e-12 && (found.covariance - 2.0).abs() < 1e-12);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn frechet_distance(
    a: &[f64],
    b: &[f64],
    dimensions: usize,
) -> Result<FrechetDistance, MetricError> {
    let (a, b) = (
        Rows::new("a", a, dimensions)?,
        Rows::new("b", b, dimensions)?,
    );
    let (mean_a, mean_b) = (a.mean(), b.mean());
    let factor_a = a.covariance_factor(&mean_a);
    let factor_b = b.covariance_factor(&mean_b);
    let traces = factor_a.norm_squared() + factor_b.norm_squared();
    let cross = (&factor_a * factor_b.transpose()).singular_values().sum();
    let differences = mean_a.iter().zip(&mean_b).map(|(a, b)| a - b);
    Ok(FrechetDistance {
        mean: differences.map(|d| d * d).sum(),
        // Of two equal sets it is 0 up to rounding, and never negative.
        covariance: (traces - 2.0 * cross).max(0.0),
    })
}

/// The squared maximum mean discrepancy of two sets of features with the kernel
/// `(x·y / dimensions + 1)³`, estimated without bias, so that it may be negative.
///
/// # Arguments
/// As [`frechet_distance`].
///
/// # Errors
/// As [`frechet_distance`].
///
/// # References
/// Bińkowski et al. 2018, "Demystifying MMD GANs", section 4 (the kernel inception distance, for
/// features of that network).
///
/// # Examples
/// ```
/// use ctl_metrics::soundness::kernel_distance;
///
/// // Off the diagonal (0·2 + 1)³ = 1 and (1·1 + 1)³ = 8; across, by hand, 1, 1, 27 and 27.
/// let found = kernel_distance(&[0.0, 2.0], &[1.0, 1.0], 1)?;
/// assert_eq!(found, 1.0 + 8.0 - 2.0 * (1.0 + 1.0 + 27.0 + 27.0) / 4.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn kernel_distance(a: &[f64], b: &[f64], dimensions: usize) -> Result<f64, MetricError> {
    let (a, b) = (
        Rows::new("a", a, dimensions)?,
        Rows::new("b", b, dimensions)?,
    );
    let (n, m) = (a.count() as f64, b.count() as f64);
    let within = |rows: &Rows<'_>| -> f64 {
        let pairs = rows.iter().enumerate();
        let sums = pairs.map(|(i, x)| kernel_sum(x, rows.iter().skip(i + 1)));
        2.0 * sums.sum::<f64>()
    };
    let within_a = within(&a) / (n * (n - 1.0));
    let within_b = within(&b) / (m * (m - 1.0));
    let across = a.iter().map(|x| kernel_sum(x, b.iter())).sum::<f64>() / (n * m);
    Ok(within_a + within_b - 2.0 * across)
}

/// Sum of the kernel of one point with others.
fn kernel_sum<'a>(x: &[f64], others: impl Iterator<Item = &'a [f64]>) -> f64 {
    let dimensions = x.len() as f64;
    let kernel = |y: &[f64]| {
        let product: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
        (product / dimensions + 1.0).powi(3)
    };
    others.map(kernel).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features on a line in three dimensions, fewer rows than dimensions: both covariances have
    /// rank 1 and the same direction, so that the distance is that on the line.
    #[test]
    fn covariances_without_full_rank() {
        let on_line = |places: &[f64]| -> Vec<f64> {
            let direction = [2.0 / 3.0, -1.0 / 3.0, 2.0 / 3.0];
            let point = |&t: &f64| direction.map(|d| t * d);
            places.iter().flat_map(point).collect()
        };
        let (a, b) = ([1.0, 3.0], [0.0, 1.0, 5.0]);
        let found = frechet_distance(&on_line(&a), &on_line(&b), 3).unwrap();
        let line = frechet_distance(&a, &b, 1).unwrap();
        // Variances 2 and 7, means both 2.
        let expected = (2.0_f64.sqrt() - 7.0_f64.sqrt()).powi(2);
        assert!((line.covariance - expected).abs() < 1e-12, "{line:?}");
        assert!((found.covariance - expected).abs() < 1e-12, "{found:?}");
        assert!(found.mean < 1e-24 && line.mean == 0.0);
    }

    #[test]
    fn the_distance_to_oneself_is_nothing() {
        let features: Vec<f64> = (0..60).map(|i| f64::from(i * i % 17)).collect();
        let found = frechet_distance(&features, &features, 4).unwrap();
        assert!(found.mean == 0.0 && found.covariance < 1e-10, "{found:?}");
        // Without bias: a set against itself counts its own points across, but not within.
        assert!(kernel_distance(&features, &features, 4).unwrap() < 0.0);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (a, dimensions, word) in [
            (&[0.0, 1.0, 2.0][..], 2, "a: expected length 2"),
            (&[0.0, 1.0], 2, "a: expected at least 2"),
            (&[0.0, 1.0], 0, "dimensions"),
            (&[0.0, f64::INFINITY], 1, "a[1]"),
        ] {
            for error in [
                frechet_distance(a, &[0.0; 4], dimensions).unwrap_err(),
                kernel_distance(a, &[0.0; 4], dimensions).unwrap_err(),
            ] {
                assert!(error.to_string().starts_with(word), "{error}");
            }
        }
    }
}
