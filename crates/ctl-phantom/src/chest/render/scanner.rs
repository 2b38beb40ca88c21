//! The film's blur, tone and noise.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::StandardNormal;

use super::canvas::Canvas;
use crate::ChestAcquisition;

/// Standard deviations at which the blur is cut off.
const BLUR_REACH: f64 = 3.0;
/// Blur narrower than this many pixels is none.
const LEAST_BLUR: f64 = 0.05;

/// Blurs, applies `gain * value ^ gamma`, adds noise and cuts to 0 to 1.
pub(crate) fn expose(canvas: Canvas, acquisition: &ChestAcquisition, grain: u64) -> Vec<f32> {
    let sigma = acquisition.blur_sigma / 100.0 * canvas.size as f64;
    let blurred = blur(canvas, sigma);
    let mut rng = ChaCha8Rng::seed_from_u64(grain);
    blurred
        .values
        .iter()
        .map(|&value| {
            let toned = acquisition.gain * value.clamp(0.0, 1.0).powf(acquisition.gamma);
            let noise: f64 = rng.sample(StandardNormal);
            let exposed = toned + acquisition.noise_sd * noise * noise_share(toned);
            exposed.clamp(0.0, 1.0) as f32
        })
        .collect()
}

/// Fewer quanta pass where more was absorbed, hence more noise in bright places; 1 in mid-grey.
fn noise_share(value: f64) -> f64 {
    0.6 + 0.8 * value.clamp(0.0, 1.0)
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
    use super::{blur, kernel};
    use crate::chest::render::canvas::Canvas;

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
}
