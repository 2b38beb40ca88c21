//! Smooth random fields made of plane waves, evaluated along rows.
//!
//! The zero lines of waves of nearly one length are a labyrinth of nearly equal spacing, as the
//! sulci of a brain are.

use std::f32::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Spread of the waves' lengths around the nominal one.
const BAND: [f32; 2] = [0.8, 1.25];

/// A sum of plane waves, of standard deviation 1.
#[derive(Clone, Debug)]
pub(super) struct Waves {
    /// Wave vector per millimetre and phase.
    waves: Vec<([f32; 3], f32)>,
    scale: f32,
}

/// A field and its in-plane gradient along a row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) value: Vec<f32>,
    /// Along x and along y of the head.
    pub(super) slope: Vec<[f32; 2]>,
}

impl Row {
    pub(super) fn new(size: usize) -> Self {
        Self {
            value: vec![0.0; size],
            slope: vec![[0.0; 2]; size],
        }
    }
}

impl Waves {
    /// Waves of random direction and phase.
    ///
    /// # Arguments
    /// - `length`: wavelength in millimetres.
    pub(super) fn new(rng: &mut ChaCha8Rng, count: usize, length: f32) -> Self {
        let waves = (0..count).map(|_| {
            let number = TAU / length * (BAND[0] + (BAND[1] - BAND[0]) * rng.random::<f32>());
            let height: f32 = rng.random_range(-0.7..0.7);
            let turn = TAU * rng.random::<f32>();
            let flat = (1.0 - height * height).sqrt();
            let vector = [flat * turn.cos(), flat * turn.sin(), height];
            (vector.map(|part| part * number), TAU * rng.random::<f32>())
        });
        Self {
            waves: waves.collect(),
            scale: (2.0 / count as f32).sqrt(),
        }
    }

    /// Evaluates the field at points `start + i · step`, by turning each wave's phase.
    pub(super) fn fill(&self, start: [f32; 3], step: [f32; 2], row: &mut Row) {
        row.value.fill(0.0);
        row.slope.fill([0.0; 2]);
        for ([kx, ky, kz], phase) in &self.waves {
            let first = kx * start[0] + ky * start[1] + kz * start[2] + phase;
            let (mut sine, mut cosine) = first.sin_cos();
            let (turn_sine, turn_cosine) = (kx * step[0] + ky * step[1]).sin_cos();
            for (value, slope) in row.value.iter_mut().zip(&mut row.slope) {
                *value += cosine;
                slope[0] -= kx * sine;
                slope[1] -= ky * sine;
                let next = cosine * turn_cosine - sine * turn_sine;
                sine = sine * turn_cosine + cosine * turn_sine;
                cosine = next;
            }
        }
        for (value, slope) in row.value.iter_mut().zip(&mut row.slope) {
            *value *= self.scale;
            *slope = slope.map(|part| part * self.scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Waves};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn rows_agree_with_the_sum_of_cosines_and_its_differences() {
        let waves = Waves::new(&mut ChaCha8Rng::seed_from_u64(5), 7, 20.0);
        let at = |p: [f64; 2]| {
            let wave = |([kx, ky, kz], phase): &([f32; 3], f32)| {
                let dot = f64::from(*kx) * p[0] + f64::from(*ky) * p[1] + f64::from(*kz) * 4.0;
                (dot + f64::from(*phase)).cos()
            };
            f64::from(waves.scale) * waves.waves.iter().map(wave).sum::<f64>()
        };
        let mut row = Row::new(64);
        waves.fill([-30.0, 11.0, 4.0], [0.9, -0.2], &mut row);
        for i in [0_u32, 31, 63] {
            let p = [-30.0 + 0.9 * f64::from(i), 11.0 - 0.2 * f64::from(i)];
            let place = i as usize;
            assert!((f64::from(row.value[place]) - at(p)).abs() < 1e-3);
            let slope = (at([p[0] + 1e-4, p[1]]) - at([p[0] - 1e-4, p[1]])) / 2e-4;
            assert!((f64::from(row.slope[place][0]) - slope).abs() < 1e-3);
        }
    }
}
