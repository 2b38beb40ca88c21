//! The deterministic way between images and noise.

use candle_core::Tensor;

use super::Prediction;
use crate::Result;

/// One step between two times, as a line in what the network says at the later one:
/// `x_earlier = keep · x_later + add · o(x_later, later)`.
///
/// # References
/// Song, Meng & Ermon 2021, "Denoising diffusion implicit models", equation 12 with σ = 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DdimStep {
    /// The later time.
    pub(super) time: usize,
    keep: f64,
    add: f64,
}

impl DdimStep {
    /// The steps from the image to noise over `count` of the times of `alpha_bars`.
    pub(super) fn all(alpha_bars: &[f64], count: usize, prediction: Prediction) -> Vec<Self> {
        let last = alpha_bars.len() - 1;
        let time = |index: usize| index * last / count;
        let between = |index| Self::between(alpha_bars, [time(index), time(index + 1)], prediction);
        (0..count).map(between).collect()
    }

    /// The image that the output stands for, noised again to the earlier time.
    fn between(alpha_bars: &[f64], [earlier, later]: [usize; 2], prediction: Prediction) -> Self {
        let [a_0, a_1] = [earlier, later].map(|time| alpha_bars[time].sqrt());
        let [s_0, s_1] = [earlier, later].map(|time| (1.0 - alpha_bars[time]).sqrt());
        let (keep, add) = match prediction {
            Prediction::Noise => (a_0 / a_1, s_0 - a_0 / a_1 * s_1),
            Prediction::Velocity => (a_0 * a_1 + s_0 * s_1, s_0 * a_1 - a_0 * s_1),
        };
        Self {
            time: later,
            keep,
            add,
        }
    }

    /// From the later time to the earlier.
    pub(super) fn generate(&self, later: &Tensor, output: &Tensor) -> Result<Tensor> {
        Ok(((later * self.keep)? + (output * self.add)?)?)
    }

    /// From the earlier time to the later, given the output.
    pub(super) fn invert(&self, earlier: &Tensor, output: &Tensor) -> Result<Tensor> {
        Ok(((earlier - (output * self.add)?)? / self.keep)?)
    }
}
