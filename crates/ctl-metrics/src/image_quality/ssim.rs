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
    let mut rows = MomentRows::new(prediction, reference, width, config);
    let comparison = Comparison {
        centres: rows.centres,
        luminance: (config.k1 * data_range) * (config.k1 * data_range),
        contrast: (config.k2 * data_range) * (config.k2 * data_range),
        covariance_factor: config.covariance_factor(),
    };
    let half = config.window.half();
    let radius = config.window.radius();
    let (tall, wide) = rows.size();
    let mut column_sums = vec![0.0; wide];
    let mut moments = std::array::from_fn(|_| vec![0.0; wide - 2 * radius]);
    let mut total = 0.0;
    for row in 0..2 * radius {
        rows.load(row);
    }
    for centre in radius..tall - radius {
        rows.load(centre + radius);
        for (index, moment) in moments.iter_mut().enumerate() {
            let row_at = |row| rows.row(row, index);
            weigh_rows(row_at, centre, &half, &mut column_sums);
            weigh_columns(&column_sums, &half, moment);
        }
        total += comparison.sum_over_row(&moments);
    }
    total / ((tall - 2 * radius) * (wide - 2 * radius)) as f64
}

/// Sum, difference, and the squares of both: what the similarity needs of a window.
const MOMENTS: usize = 4;

/// The rows of a slice that one row of windows needs, kept in a ring so that they stay in cache.
///
/// A row holds the pixel-wise sum `s` and difference `d` of both slices and their squares:
/// `Var s = σ_x² + σ_y² + 2 σ_xy` and `Var d = σ_x² + σ_y² - 2 σ_xy` are all that the similarity
/// asks of the second moments.
struct MomentRows<'a, T> {
    prediction: &'a [T],
    reference: &'a [T],
    width: usize,
    /// Mirrored pixels on each side.
    margin: usize,
    /// Means of the slices, which are subtracted first so that squares do not cancel.
    centres: (f64, f64),
    ring: Vec<[Vec<f64>; MOMENTS]>,
}

impl<'a, T: Copy + Into<f64>> MomentRows<'a, T> {
    fn new(prediction: &'a [T], reference: &'a [T], width: usize, config: &SsimConfig) -> Self {
        let margin = match config.border {
            SsimBorder::Inside => 0,
            SsimBorder::Reflect => config.window.radius(),
        };
        let blank = || std::array::from_fn(|_| vec![0.0; width + 2 * margin]);
        Self {
            prediction,
            reference,
            width,
            margin,
            centres: means(prediction, reference),
            ring: (0..config.window.size()).map(|_| blank()).collect(),
        }
    }

    /// Height and width with the mirrored margins.
    fn size(&self) -> (usize, usize) {
        let height = self.reference.len() / self.width;
        (height + 2 * self.margin, self.width + 2 * self.margin)
    }

    /// A loaded row of a moment, counted from the upper margin.
    fn row(&self, row: usize, moment: usize) -> &[f64] {
        &self.ring[row % self.ring.len()][moment]
    }

    /// Computes a row of all moments in place of the oldest one.
    fn load(&mut self, row: usize) {
        let height = self.reference.len() / self.width;
        let first = mirrored(row, self.margin, height) * self.width;
        let pixels = first..first + self.width;
        let pairs = self.prediction[pixels.clone()]
            .iter()
            .zip(&self.reference[pixels]);
        let slot = row % self.ring.len();
        let [sums, differences, sum_squares, difference_squares] = &mut self.ring[slot];
        let inner = self.margin..self.margin + self.width;
        let out = sums[inner.clone()].iter_mut().zip(&mut differences[inner]);
        for ((sum, difference), (&x, &y)) in out.zip(pairs) {
            let (x, y) = (x.into() - self.centres.0, y.into() - self.centres.1);
            *sum = x + y;
            *difference = x - y;
        }
        for (values, squares) in [(sums, sum_squares), (differences, difference_squares)] {
            mirror_ends(values, self.margin);
            for (square, value) in squares.iter_mut().zip(&*values) {
                *square = value * value;
            }
        }
    }
}

/// Means of both slices, in one pass because either sum alone waits for its last addition.
fn means<T: Copy + Into<f64>>(prediction: &[T], reference: &[T]) -> (f64, f64) {
    let pairs = prediction.iter().zip(reference);
    let (x, y) = pairs.fold((0.0, 0.0), |(x, y), (&ours, &theirs)| {
        (x + ours.into(), y + theirs.into())
    });
    let pixels = reference.len() as f64;
    (x / pixels, y / pixels)
}

/// The position that a position counted from the start of the margin stands for, folded back at
/// the first and the last one; `length` exceeds the margin.
fn mirrored(position: usize, margin: usize, length: usize) -> usize {
    let beyond_first = position.abs_diff(margin);
    if position >= margin + length {
        2 * (length - 1) - beyond_first
    } else {
        beyond_first
    }
}

/// Fills the margins of a row with the mirror image of what lies between them.
fn mirror_ends(row: &mut [f64], margin: usize) {
    let last = row.len() - 1 - margin;
    for step in 1..=margin {
        row[margin - step] = row[margin + step];
        row[last + step] = row[last - step];
    }
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
        let [sums, differences, sum_squares, difference_squares] = moments;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_fold_back_without_repeating_the_outermost() {
        let folded: Vec<usize> = (0..9).map(|position| mirrored(position, 2, 5)).collect();
        assert_eq!(folded, [2, 1, 0, 1, 2, 3, 4, 3, 2]);
        let mut row = vec![0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0];
        mirror_ends(&mut row, 2);
        assert_eq!(row, [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
    }

    #[test]
    fn constants_are_checked() {
        for (k1, k2) in [(0.0, 0.03), (0.01, -0.03), (f64::NAN, 0.03), (0.01, 2.0)] {
            let config = SsimConfig {
                k1,
                k2,
                ..SsimConfig::fast_mri()
            };
            assert!(config.check().is_err(), "{config:?}");
        }
    }

    #[test]
    fn a_large_offset_does_not_cancel_the_variances() {
        let texture = |pixel: usize| ((pixel * 7919) % 101) as f64 / 101.0;
        let reference: Vec<f64> = (0..400).map(texture).collect();
        let prediction: Vec<f64> = (0..400).map(|pixel| texture(pixel + 3)).collect();
        let raised = |values: &[f64]| values.iter().map(|v| v + 1e8).collect::<Vec<f64>>();
        let config = SsimConfig {
            // With this constant the means, which an offset makes alike, play no part.
            k1: 1.0,
            ..SsimConfig::fast_mri()
        };
        let range = 1e3;
        let low = mean_similarity(&prediction, &reference, 20, range, &config);
        let high = mean_similarity(
            &raised(&prediction),
            &raised(&reference),
            20,
            range,
            &config,
        );
        assert!((low - high).abs() < 1e-6, "{low} and {high}");
    }
}
