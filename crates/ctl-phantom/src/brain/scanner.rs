//! What a scanner makes of the signal: bias field, point spread, motion, noise, and its traits.

use std::f32::consts::TAU;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::{FIELD_OF_VIEW, setting};
use crate::body::{Exposure, Scene};

/// Centre and radius in millimetres of the capsule that marks the second kind of scanner.
const CAPSULE: ([f32; 2], f32) = ([-84.0, -82.0], 6.5);
/// Signal of the capsule.
const CAPSULE_SIGNAL: f32 = 0.9;
/// How much brighter the second kind of scanner is at the back than at the front.
const COIL: f32 = 0.16;
/// Share of the image's height by which motion displaces its ghosts.
const GHOST: f32 = 0.27;
/// Radius of the point spread in its standard deviations.
const SPREAD: f32 = 3.0;

/// A scanner with its settings.
pub(super) struct Scanner<'a> {
    scene: &'a Scene<'a>,
    bias: [f32; 5],
}

impl<'a> Scanner<'a> {
    pub(super) fn new(scene: &'a Scene<'a>) -> Self {
        let mut rng = scene.key.stream("bias");
        let amplitude = scene.settings[setting::BIAS] as f32;
        let bias = std::array::from_fn(|_| amplitude * rng.random_range(-1.0..1.0_f32));
        Self { scene, bias }
    }

    fn setting(&self, place: usize) -> f32 {
        self.scene.settings[place] as f32
    }

    /// The image of a signal, both `[H, W]`.
    ///
    /// # Arguments
    /// - `noise`: purpose of the noise's stream.
    pub(super) fn expose(&self, mut image: Vec<f32>, exposure: Exposure, noise: &str) -> Vec<f32> {
        self.receive(&mut image);
        let pixel = FIELD_OF_VIEW as f32 / self.scene.size as f32;
        blur(
            &mut image,
            self.scene.size,
            self.setting(setting::BLUR) / pixel,
        );
        if exposure == Exposure::Acquired {
            self.displace(&mut image);
            self.disturb(&mut image, noise);
        }
        let gamma = self.setting(setting::GAMMA);
        for value in &mut image {
            *value = value.clamp(0.0, 1.0).powf(gamma);
        }
        image
    }

    /// The receiving coil's field, and the traits of the second kind of scanner.
    fn receive(&self, image: &mut [f32]) {
        let size = self.scene.size;
        let half = size as f32 / 2.0;
        let [b0, b1, b2, b3, b4] = self.bias;
        for (row, line) in image.chunks_exact_mut(size).enumerate() {
            let y = (row as f32 + 0.5 - half) / half;
            let coil = if self.scene.device { COIL * y } else { 0.0 };
            let (bend, constant) = (0.8 * b4, b1 * y + 0.8 * b3 * (y * y - 0.33) + coil);
            for (column, value) in line.iter_mut().enumerate() {
                let x = (column as f32 + 0.5 - half) / half;
                let field = constant + x * (b0 + b2 * y) + bend * (x * x - 0.33);
                *value *= field.exp();
                if self.scene.device {
                    *value += self.capsule(x * half, y * half);
                }
            }
        }
    }

    /// The capsule beside the head, at a pixel's place from the centre.
    fn capsule(&self, x: f32, y: f32) -> f32 {
        let pixel = FIELD_OF_VIEW as f32 / self.scene.size as f32;
        let (centre, radius) = CAPSULE;
        let distance = (x * pixel - centre[0]).hypot(y * pixel - centre[1]);
        CAPSULE_SIGNAL * ((radius - distance) / pixel + 0.5).clamp(0.0, 1.0)
    }

    /// Ghosts along the phase-encoding direction, from the top of the image to its bottom.
    fn displace(&self, image: &mut [f32]) {
        let (share, size) = (self.setting(setting::MOTION), self.scene.size);
        let turn = TAU * self.scene.key.uniform("motion") as f32;
        let away = ((GHOST * size as f32).round() as usize).max(1);
        let still = image.to_vec();
        for row in 0..size {
            let (above, below) = ((row + size - away) % size, (row + away) % size);
            for column in 0..size {
                let at = |row: usize| still[row * size + column];
                let ghosts = turn.cos() * at(above) + turn.sin() * at(below);
                // A ghost adds to the magnitude whatever its phase.
                let kept = (1.0 - share) * at(row);
                image[row * size + column] = (kept + 0.5 * share * ghosts).abs();
            }
        }
    }

    /// Rician noise: the magnitude of a signal with normal noise in both channels.
    fn disturb(&self, image: &mut [f32], purpose: &str) {
        let sd = self.setting(setting::NOISE);
        let mut rng = self.scene.key.stream(purpose);
        for value in image {
            let [real, imaginary]: [f32; 2] = std::array::from_fn(|_| {
                sd * Distribution::<f32>::sample(&StandardNormal, &mut rng)
            });
            *value = (*value + real).hypot(imaginary);
        }
    }
}

/// Convolves rows and columns with a Gaussian; beyond the edges lies what is at them.
fn blur(image: &mut [f32], size: usize, sd: f32) {
    let kernel = kernel(sd);
    let mut line = vec![0.0; size + 2 * (kernel.len() / 2)];
    for start in 0..size {
        smooth(image, &mut line, &kernel, (start * size, 1));
    }
    for start in 0..size {
        smooth(image, &mut line, &kernel, (start, size));
    }
}

fn kernel(sd: f32) -> Vec<f32> {
    let radius = (SPREAD * sd).ceil() as i32;
    let weights = (-radius..=radius).map(|step| (-0.5 * (step as f32 / sd).powi(2)).exp());
    let weights: Vec<f32> = weights.collect();
    let total: f32 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

fn smooth(image: &mut [f32], line: &mut [f32], kernel: &[f32], (start, stride): (usize, usize)) {
    let radius = kernel.len() / 2;
    let size = line.len() - 2 * radius;
    for (place, value) in line.iter_mut().enumerate() {
        let inside = place.saturating_sub(radius).min(size - 1);
        *value = image[start + inside * stride];
    }
    for (place, window) in line.windows(kernel.len()).enumerate() {
        let sum = window
            .iter()
            .zip(kernel)
            .map(|(value, weight)| value * weight);
        image[start + place * stride] = sum.sum();
    }
}

#[cfg(test)]
mod tests {
    use super::{blur, kernel};

    #[test]
    fn blurring_keeps_the_sum_and_has_the_variance_of_its_kernel() {
        let size = 41;
        let mut image = vec![0.0; size * size];
        image[20 * size + 20] = 1.0;
        blur(&mut image, size, 2.5);
        let sum: f32 = image.iter().sum();
        assert!((sum - 1.0).abs() < 1e-4);
        let variance: f32 = (0..size * size)
            .map(|place| image[place] * (place as f32 % 41.0 - 20.0).powi(2))
            .sum();
        // Cut at three standard deviations, the Gaussian loses less than 3 % of its variance.
        assert!((variance - 6.25).abs() < 0.2, "{variance}");
        assert!(kernel(0.05).iter().all(|weight| weight.is_finite()));
    }
}
