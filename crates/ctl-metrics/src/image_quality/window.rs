//! Separable windows and their application to rows and columns.

use serde::{Deserialize, Serialize};

use crate::{MetricError, validate};

/// The weights of the pixels around a centre.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SsimWindow {
    /// All pixels of a square alike.
    Uniform {
        /// Length of the square's side in pixels, odd and at least 3.
        size: usize,
    },
    /// Weights that fall with the distance from the centre.
    Gaussian {
        /// Length of the square's side in pixels, odd and at least 3.
        size: usize,
        /// Standard deviation in pixels, positive.
        sigma: f64,
    },
}

impl SsimWindow {
    /// Length of the window's side in pixels.
    pub(super) fn size(&self) -> usize {
        match *self {
            Self::Uniform { size } | Self::Gaussian { size, .. } => size,
        }
    }

    /// Pixels between the centre and the border.
    pub(super) fn radius(&self) -> usize {
        self.size() / 2
    }

    pub(super) fn check(&self) -> Result<(), MetricError> {
        let size = self.size();
        let odd = size >= 3 && size % 2 == 1;
        validate::parameter("window size", size as f64, "an odd number from 3 on", odd)?;
        if let Self::Gaussian { sigma, .. } = *self {
            let allowed = sigma > 0.0 && sigma.is_finite();
            validate::parameter("window sigma", sigma, "a positive number", allowed)?;
        }
        Ok(())
    }

    /// Weights by distance from the centre along one axis; those of the whole window sum to 1.
    pub(super) fn half(&self) -> Vec<f64> {
        let weight = |distance: usize| match *self {
            Self::Uniform { .. } => 1.0,
            Self::Gaussian { sigma, .. } => (-0.5 * (distance as f64 / sigma).powi(2)).exp(),
        };
        let weights: Vec<f64> = (0..=self.radius()).map(weight).collect();
        let total = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
        weights.iter().map(|weight| weight / total).collect()
    }
}

/// Weighs the rows around a centre row: `out[j] = Σ_k w_|k| row(centre + k)[j]`.
///
/// # Arguments
/// - `row`: the values of a row, as many as `out` holds.
/// - `half`: weights by distance from the centre.
pub(super) fn weigh_rows<'a>(
    row: impl Fn(usize) -> &'a [f64],
    centre: usize,
    half: &[f64],
    out: &mut [f64],
) {
    for (sum, &value) in out.iter_mut().zip(row(centre)) {
        *sum = half[0] * value;
    }
    for (distance, &weight) in half.iter().enumerate().skip(1) {
        add_pair(out, row(centre - distance), row(centre + distance), weight);
    }
}

/// Weighs the neighbours within a row: `out[j] = Σ_k w_|k| row[j + radius + k]`.
///
/// # Arguments
/// - `out`: shorter than `row` by the window's size less one.
pub(super) fn weigh_columns(row: &[f64], half: &[f64], out: &mut [f64]) {
    let radius = half.len() - 1;
    for (sum, &value) in out.iter_mut().zip(&row[radius..]) {
        *sum = half[0] * value;
    }
    for (distance, &weight) in half.iter().enumerate().skip(1) {
        add_pair(
            out,
            &row[radius - distance..],
            &row[radius + distance..],
            weight,
        );
    }
}

fn add_pair(out: &mut [f64], before: &[f64], after: &[f64], weight: f64) {
    let length = out.len();
    for ((sum, &a), &b) in out.iter_mut().zip(&before[..length]).zip(&after[..length]) {
        *sum += weight * (a + b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_fall() {
        for window in [
            SsimWindow::Uniform { size: 7 },
            SsimWindow::Gaussian {
                size: 11,
                sigma: 1.5,
            },
        ] {
            let half = window.half();
            let total = half[0] + 2.0 * half[1..].iter().sum::<f64>();
            assert!((total - 1.0).abs() < 1e-15);
            assert!(half.windows(2).all(|pair| pair[0] >= pair[1]));
        }
    }

    #[test]
    fn windows_are_weighed_along_both_axes() {
        let half = [0.5, 0.25];
        let plane = [1.0, 2.0, 3.0, 4.0, 0.0, 8.0, 0.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let mut rows = vec![0.0; 4];
        weigh_rows(|row| &plane[4 * row..][..4], 1, &half, &mut rows);
        assert_eq!(rows, [1.5, 6.0, 2.5, 5.0]);
        let mut columns = vec![0.0; 2];
        weigh_columns(&rows, &half, &mut columns);
        assert_eq!(columns, [4.0, 4.0]);
    }

    #[test]
    fn ill_windows_are_refused() {
        for window in [
            SsimWindow::Uniform { size: 0 },
            SsimWindow::Uniform { size: 1 },
            SsimWindow::Uniform { size: 8 },
            SsimWindow::Gaussian {
                size: 4,
                sigma: 1.0,
            },
            SsimWindow::Gaussian {
                size: 5,
                sigma: 0.0,
            },
            SsimWindow::Gaussian {
                size: 5,
                sigma: f64::NAN,
            },
        ] {
            assert!(window.check().is_err(), "{window:?}");
        }
    }
}
