//! From attenuation to grey values: scatter, blur, quantum noise and tone.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::StandardNormal;

use super::Reading;
use super::canvas::Canvas;

/// Logarithmic attenuation of one unit of the drawing's attenuation.
const ABSORPTION: f64 = 1.55;
/// Logarithmic attenuations that are shown black and white.
const BLACK: f64 = 0.28;
const WHITE: f64 = 2.50;
/// Standard deviation of the scattered radiation's spread, in half image widths.
const SCATTER_SPREAD: f64 = 0.30;
/// Cells across the film on which the scatter is computed: it has no finer structure.
const SCATTER_CELLS: usize = 16;
/// Standard deviations at which a blur is cut off.
const BLUR_REACH: f64 = 3.0;
/// Blur narrower than this many pixels is none.
const LEAST_BLUR: f64 = 0.05;

/// Grey values before noise and tone: the logarithm of what reaches the detector, windowed.
///
/// With primary transmission `t = exp(−μ)`, the detector receives `(1 − s) t + s · lowpass(t)`;
/// the scatter share `s` hence veils dark and lifts bright places.
pub(crate) fn detect(attenuation: &Canvas, reading: &Reading) -> Canvas {
    let mut film = Canvas {
        size: attenuation.size,
        values: attenuation
            .values
            .iter()
            .map(|&value| (-ABSORPTION * value.max(0.0)).exp())
            .collect(),
    };
    let veil = veil(&film);
    for (value, veil) in film.values.iter_mut().zip(&veil.values) {
        let received = *value + reading.scatter * (veil - *value);
        *value = ((-received.ln() - BLACK) / (WHITE - BLACK)).max(0.0);
    }
    blur(film, reading.blur_sigma / 100.0 * attenuation.size as f64)
}

/// `gain · value ^ gamma`, cut to 0 to 1, without noise.
pub(crate) fn tone(film: &Canvas, reading: &Reading) -> Vec<f32> {
    film.values
        .iter()
        .map(|&value| toned(value, reading))
        .collect()
}

/// Quantum noise on the detector's values, then the tone.
///
/// Where few quanta arrive, their relative fluctuation is larger: the standard deviation grows
/// with the square root of the attenuation, and is `noise_sd` in mid-grey.
pub(crate) fn expose(film: &Canvas, reading: &Reading, grain: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(grain);
    film.values
        .iter()
        .map(|&value| {
            let deviate: f64 = rng.sample(StandardNormal);
            let fewer = (0.5 * (WHITE - BLACK) * (value.min(1.2) - 0.5)).exp();
            toned(value + reading.noise_sd * fewer * deviate, reading)
        })
        .collect()
}

fn toned(value: f64, reading: &Reading) -> f32 {
    (reading.gain * value.max(0.0).powf(reading.gamma)).clamp(0.0, 1.0) as f32
}

/// The film's transmission, spread out widely.
fn veil(film: &Canvas) -> Canvas {
    let cells = SCATTER_CELLS.min(film.size);
    let coarse = blur(shrink(film, cells), SCATTER_SPREAD / 2.0 * cells as f64);
    let mut wide = Canvas::new(film.size);
    let scale = cells as f64 / film.size as f64;
    // The cell before each pixel, the one after it, and the latter's share.
    let steps: Vec<(usize, usize, f64)> = (0..film.size)
        .map(|pixel| {
            let at = ((pixel as f64 + 0.5) * scale - 0.5).clamp(0.0, (cells - 1) as f64);
            let before = at as usize;
            (before, (before + 1).min(cells - 1), at - before as f64)
        })
        .collect();
    for (&(upper, lower, t), row) in steps.iter().zip(wide.values.chunks_exact_mut(film.size)) {
        for (&(left, right, s), value) in steps.iter().zip(row) {
            let along = |line: usize| {
                let line = &coarse.values[line * cells..(line + 1) * cells];
                line[left] + s * (line[right] - line[left])
            };
            let above = along(upper);
            *value = above + t * (along(lower) - above);
        }
    }
    wide
}

/// Means over blocks of pixels.
fn shrink(film: &Canvas, cells: usize) -> Canvas {
    let mut sums = Canvas::new(cells);
    let mut counts = vec![0.0; cells * cells];
    for (index, value) in film.values.iter().enumerate() {
        let (row, column) = (index / film.size, index % film.size);
        let cell = row * cells / film.size * cells + column * cells / film.size;
        sums.values[cell] += value;
        counts[cell] += 1.0;
    }
    for (sum, count) in sums.values.iter_mut().zip(counts) {
        *sum /= count;
    }
    sums
}

/// Separable Gaussian blur; the film's border is repeated outwards.
fn blur(canvas: Canvas, sigma: f64) -> Canvas {
    if sigma < LEAST_BLUR {
        return canvas;
    }
    let kernel = kernel(sigma);
    let size = canvas.size;
    let rows = convolve(&canvas.values, size, &kernel);
    let columns = convolve(&transpose(&rows, size), size, &kernel);
    Canvas {
        size,
        values: transpose(&columns, size),
    }
}

/// One half of a Gaussian, centre first; with its mirror image it sums to one.
fn kernel(sigma: f64) -> Vec<f64> {
    let reach = (BLUR_REACH * sigma).ceil() as i32;
    let mut half: Vec<f64> = (0..=reach)
        .map(|offset| (-0.5 * (f64::from(offset) / sigma).powi(2)).exp())
        .collect();
    let total = half[0] + 2.0 * half[1..].iter().sum::<f64>();
    for weight in &mut half {
        *weight /= total;
    }
    half
}

fn convolve(values: &[f64], size: usize, kernel: &[f64]) -> Vec<f64> {
    let mut result = Vec::with_capacity(values.len());
    for row in values.chunks_exact(size) {
        for centre in 0..size {
            let mut sum = kernel[0] * row[centre];
            for (offset, weight) in kernel.iter().enumerate().skip(1) {
                let before = row[centre.saturating_sub(offset)];
                let after = row[(centre + offset).min(size - 1)];
                sum += weight * (before + after);
            }
            result.push(sum);
        }
    }
    result
}

fn transpose(values: &[f64], size: usize) -> Vec<f64> {
    (0..values.len())
        .map(|index| values[index % size * size + index / size])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{blur, detect, kernel};
    use crate::chest::film::Reading;
    use crate::chest::film::canvas::Canvas;

    #[test]
    fn the_kernel_has_its_standard_deviation() {
        let half = kernel(2.0);
        let variance: f64 = half
            .iter()
            .enumerate()
            .map(|(offset, weight)| 2.0 * weight * (offset * offset) as f64)
            .sum();
        // Cutting at three standard deviations takes a little off the variance of 4.
        assert!((variance - 4.0).abs() < 0.15, "{variance}");
    }

    #[test]
    #[expect(
        clippy::float_cmp,
        reason = "rows and columns are blurred by the same sums"
    )]
    fn blur_keeps_the_total_and_spreads_evenly() {
        let mut canvas = Canvas::new(15);
        canvas.values[7 * 15 + 7] = 1.0;
        let blurred = blur(canvas, 1.0);
        assert!((blurred.values.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(blurred.values[7 * 15 + 5], blurred.values[5 * 15 + 7]);
        assert!(blurred.values[7 * 15 + 7] < 0.17);
    }

    #[test]
    fn scatter_lowers_contrast_and_leaves_an_even_film() {
        let with = |scatter| Reading {
            scatter,
            blur_sigma: 0.0,
            ..Reading::NEUTRAL
        };
        let mut half = Canvas::new(32);
        for (index, value) in half.values.iter_mut().enumerate() {
            *value = if index % 32 < 16 { 0.4 } else { 1.2 };
        }
        let step = |scatter| {
            let film = detect(&half, &with(scatter));
            film.values[16 * 32 + 17] - film.values[16 * 32 + 14]
        };
        assert!(step(0.6) < 0.7 * step(0.0), "{} {}", step(0.6), step(0.0));
        half.values.fill(0.8);
        let (clear, veiled) = (detect(&half, &with(0.0)), detect(&half, &with(0.6)));
        for (a, b) in clear.values.iter().zip(&veiled.values) {
            assert!((a - b).abs() < 1e-9);
        }
    }
}
