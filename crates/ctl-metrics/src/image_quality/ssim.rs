//! Structural similarity of one slice.

use serde::{Deserialize, Serialize};

use super::window::{SsimWindow, weigh_columns, weigh_rows};
use crate::{MetricError, validate};

/// How variances are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SsimCovariance {
    /// Weighted means of squares, the paper's.
    Population,
    /// Scaled by `n / (n - 1)` with `n` the pixels of the window.
    Sample,
}

/// What is averaged near the border of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SsimBorder {
    /// Only windows that lie within the slice.
    Inside,
    /// A window around every pixel; beyond the border the slice is mirrored at its outermost
    /// pixels, which are not repeated.
    Reflect,
}

/// Settings of the structural similarity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsimConfig {
    /// Weights of a window.
    pub window: SsimWindow,
    /// Normalisation of variances.
    pub covariance: SsimCovariance,
    /// Treatment of the border.
    pub border: SsimBorder,
    /// Stabilises the comparison of means, in `(0, 1]`.
    pub k1: f64,
    /// Stabilises the comparison of variances, in `(0, 1]`.
    pub k2: f64,
}

impl SsimConfig {
    /// A 7x7 uniform window with sample covariance inside the slice: the convention of the fastMRI
    /// challenge and the default of scikit-image.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::{SsimConfig, SsimWindow};
    /// assert_eq!(SsimConfig::fast_mri().window, SsimWindow::Uniform { size: 7 });
    /// ```
    pub fn fast_mri() -> Self {
        Self {
            window: SsimWindow::Uniform { size: 7 },
            covariance: SsimCovariance::Sample,
            border: SsimBorder::Inside,
            k1: 0.01,
            k2: 0.03,
        }
    }

    /// An 11x11 Gaussian window with standard deviation 1.5 inside the slice: Wang et al. 2004.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::{SsimBorder, SsimConfig};
    /// assert_eq!(SsimConfig::gaussian().border, SsimBorder::Inside);
    /// ```
    pub fn gaussian() -> Self {
        Self {
            window: SsimWindow::Gaussian {
                size: 11,
                sigma: 1.5,
            },
            covariance: SsimCovariance::Population,
            ..Self::fast_mri()
        }
    }

    /// As [`SsimConfig::gaussian`], with every pixel of the mirrored slice.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::image_quality::{SsimBorder, SsimConfig};
    /// assert_eq!(SsimConfig::gaussian_reflect().border, SsimBorder::Reflect);
    /// ```
    pub fn gaussian_reflect() -> Self {
        Self {
            border: SsimBorder::Reflect,
            ..Self::gaussian()
        }
    }

    pub(super) fn check(&self) -> Result<(), MetricError> {
        self.window.check()?;
        for (name, value) in [("k1", self.k1), ("k2", self.k2)] {
            let allowed = (MIN_CONSTANT..=1.0).contains(&value);
            validate::parameter(name, value, "a number in [1e-6, 1]", allowed)?;
        }
        Ok(())
    }

    /// The shortest side of a slice for which there is a window, or enough to mirror.
    pub(super) fn smallest_side(&self) -> usize {
        match self.border {
            SsimBorder::Inside => self.window.size(),
            SsimBorder::Reflect => self.window.radius() + 1,
        }
    }

    fn covariance_factor(&self) -> f64 {
        let pixels = (self.window.size() * self.window.size()) as f64;
        match self.covariance {
            SsimCovariance::Population => 1.0,
            SsimCovariance::Sample => pixels / (pixels - 1.0),
        }
    }
}

/// The smallest constant that keeps the denominator away from underflow.
const MIN_CONSTANT: f64 = 1e-6;

/// Mean similarity of a slice with its reference; the window fits and all values are finite.
pub(super) fn mean_similarity<T: Copy + Into<f64>>(
    prediction: &[T],
    reference: &[T],
    width: usize,
    data_range: f64,
    config: &SsimConfig,
) -> f64 {
    let planes = Planes::of(prediction, reference, width, config);
    let comparison = Comparison {
        centres: planes.centres,
        luminance: (config.k1 * data_range) * (config.k1 * data_range),
        contrast: (config.k2 * data_range) * (config.k2 * data_range),
        covariance_factor: config.covariance_factor(),
    };
    let half = config.window.half();
    let radius = config.window.radius();
    let height = planes.values[0].len() / planes.width;
    let mut column_sums = vec![0.0; planes.width];
    let mut moments = std::array::from_fn(|_| vec![0.0; planes.width - 2 * radius]);
    let mut total = 0.0;
    for centre in radius..height - radius {
        for (plane, moment) in planes.values.iter().zip(&mut moments) {
            weigh_rows(plane, planes.width, centre, &half, &mut column_sums);
            weigh_columns(&column_sums, &half, moment);
        }
        total += comparison.sum_over_row(&moments);
    }
    total / ((height - 2 * radius) * (planes.width - 2 * radius)) as f64
}

/// Sum, difference, and the squares of both: what the similarity needs of a window.
const MOMENTS: usize = 4;

/// The pixel-wise sum `s` and difference `d` of both slices with their squares.
///
/// `Var s = σ_x² + σ_y² + 2 σ_xy` and `Var d = σ_x² + σ_y² - 2 σ_xy` hold all that the similarity
/// asks of the second moments, in four planes instead of five.
struct Planes {
    values: [Vec<f64>; MOMENTS],
    width: usize,
    /// Means of the slices, which are subtracted first so that squares do not cancel.
    centres: (f64, f64),
}

impl Planes {
    fn of<T: Copy + Into<f64>>(
        prediction: &[T],
        reference: &[T],
        width: usize,
        config: &SsimConfig,
    ) -> Self {
        let centres = (mean(prediction), mean(reference));
        let pairs = || {
            let both = prediction.iter().zip(reference);
            both.map(|(&x, &y)| (x.into() - centres.0, y.into() - centres.1))
        };
        let mut sums: Vec<f64> = pairs().map(|(x, y)| x + y).collect();
        let mut differences: Vec<f64> = pairs().map(|(x, y)| x - y).collect();
        let mut wide = width;
        if config.border == SsimBorder::Reflect {
            let radius = config.window.radius();
            sums = mirrored(&sums, width, radius);
            differences = mirrored(&differences, width, radius);
            wide += 2 * radius;
        }
        let squares = |values: &[f64]| values.iter().map(|value| value * value).collect();
        let values = [squares(&sums), squares(&differences), sums, differences];
        Self {
            values,
            width: wide,
            centres,
        }
    }
}

fn mean<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    values.iter().map(|&value| value.into()).sum::<f64>() / values.len() as f64
}

/// Surrounds a slice by its mirror image; both sides are longer than the margin.
fn mirrored(plane: &[f64], width: usize, margin: usize) -> Vec<f64> {
    let height = plane.len() / width;
    let mut out = Vec::with_capacity((height + 2 * margin) * (width + 2 * margin));
    for row in reflected(height, margin) {
        let values = &plane[row * width..][..width];
        out.extend(reflected(width, margin).map(|column| values[column]));
    }
    out
}

/// Positions from `-margin` to `length + margin`, folded back at the first and the last.
fn reflected(length: usize, margin: usize) -> impl Iterator<Item = usize> {
    let before = (1..=margin).rev();
    let after = (1..=margin).map(move |beyond| length - 1 - beyond);
    before.chain(0..length).chain(after)
}

/// Turns the moments of windows into similarities.
struct Comparison {
    centres: (f64, f64),
    luminance: f64,
    contrast: f64,
    covariance_factor: f64,
}

impl Comparison {
    fn sum_over_row(&self, moments: &[Vec<f64>; MOMENTS]) -> f64 {
        let [sum_squares, difference_squares, sums, differences] = moments;
        let first = sums.iter().zip(differences);
        let second = sum_squares.iter().zip(difference_squares);
        first
            .zip(second)
            .map(|((&s, &d), (&ss, &dd))| self.similarity(s, d, ss, dd))
            .sum()
    }

    fn similarity(
        &self,
        sum: f64,
        difference: f64,
        sum_square: f64,
        difference_square: f64,
    ) -> f64 {
        let mean_x = self.centres.0 + 0.5 * (sum + difference);
        let mean_y = self.centres.1 + 0.5 * (sum - difference);
        let half_factor = 0.5 * self.covariance_factor;
        // Rounding may leave the variance of a flat window below zero.
        let variance = |square: f64, mean: f64| half_factor * (square - mean * mean).max(0.0);
        let sum_variance = variance(sum_square, sum);
        let difference_variance = variance(difference_square, difference);
        let luminance = 2.0 * mean_x * mean_y + self.luminance;
        let contrast = sum_variance - difference_variance + self.contrast;
        let luminance_norm = mean_x * mean_x + mean_y * mean_y + self.luminance;
        let contrast_norm = sum_variance + difference_variance + self.contrast;
        (luminance * contrast) / (luminance_norm * contrast_norm)
    }
}
