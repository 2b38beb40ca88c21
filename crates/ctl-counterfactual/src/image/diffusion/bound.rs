//! The variational bound of a diffusion model.

use candle_core::{DType, Device, Tensor};
use ctl_compute::ops::erf;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::DiffusionMechanism;
use crate::Result;

/// Grey levels less one, over the width of `[−1, 1]`.
const LEVELS_PER_UNIT: f64 = 127.5;
/// Half the width of a grey level on `[−1, 1]`.
const HALF_LEVEL: f64 = 1.0 / 255.0;
/// Deviations beyond which the difference of two values of the normal law loses its digits.
const TAIL: f64 = -5.0;

/// The parts of `−ln p` of each image in nats.
pub(super) struct Bound {
    /// `KL(q(x_T | x₀) ‖ N(0, I))`
    pub(super) prior: Vec<f64>,
    /// `Σ_{t ≥ 2} KL(q(x_{t−1} | x_t, x₀) ‖ p(x_{t−1} | x_t))`, estimated.
    pub(super) chain: Vec<f64>,
    /// `−ln p(x₀ | x₁)` over grey levels.
    pub(super) last: Vec<f64>,
}

impl Bound {
    /// The lower bound of `ln p` of each image.
    pub(super) fn log_probs(&self) -> Vec<f64> {
        let parts = self.prior.iter().zip(&self.chain).zip(&self.last);
        parts
            .map(|((prior, chain), last)| -(prior + chain + last))
            .collect()
    }
}

/// The bound of images `[B, C, H, W]` on `[−1, 1]`, rounded to grey levels.
///
/// With the variance of the posterior, each KL of the chain is
/// `½ (SNR(t−1) − SNR(t)) ‖x₀ − x̂₀(x_t, t)‖²`; of the `T − 1` of them `draws` are asked, one in each
/// of as many equal parts of the chain, so that their mean times `T − 1` is unbiased.
///
/// # References
/// Ho, Jain & Abbeel 2020, equations 5 and 13, with `β₁` for the variance of the last step;
/// Kingma et al. 2021, "Variational diffusion models", equation 13.
pub(super) fn estimate(
    model: &DiffusionMechanism,
    images: &Tensor,
    parents: &Tensor,
    rng: &mut ChaCha8Rng,
) -> Result<Bound> {
    let levels = images.affine(LEVELS_PER_UNIT, LEVELS_PER_UNIT)?.round()?;
    let images = levels.affine(1.0 / LEVELS_PER_UNIT, -1.0)?;
    let batch = images.dim(0)?;
    let (shares, draws) = (&model.alpha_bars, model.config.bound_draws);
    let steps = shares.len() - 1;
    let mut chain = vec![0.0; batch];
    for draw in 0..draws {
        let place = |_| {
            let way = (draw as f64 + rng.random::<f64>()) / draws as f64;
            2 + ((way * (steps - 1) as f64) as usize).min(steps - 2)
        };
        let times: Vec<usize> = (0..batch).map(place).collect();
        let denoised = denoised(model, &images, parents, &times, rng)?;
        let errors = rows(&(denoised - &images)?.sqr()?)?;
        for ((sum, errors), time) in chain.iter_mut().zip(errors).zip(times) {
            let fall = ratio(shares[time - 1]) - ratio(shares[time]);
            let part = 0.5 * fall * errors.iter().sum::<f64>();
            *sum += part * (steps - 1) as f64 / draws as f64;
        }
    }
    let denoised = denoised(model, &images, parents, &vec![1; batch], rng)?;
    let pairs = rows(&images)?.into_iter().zip(rows(&denoised)?);
    let deviation = (1.0 - shares[1]).sqrt();
    let last = pairs
        .map(|(values, means)| Ok(-log_masses(&values, &means, deviation)?.iter().sum::<f64>()));
    Ok(Bound {
        prior: rows(&images)?
            .iter()
            .map(|values| prior(values, shares[steps]))
            .collect(),
        chain,
        last: last.collect::<Result<_>>()?,
    })
}

/// Signal to noise.
fn ratio(share: f64) -> f64 {
    share / (1.0 - share)
}

fn prior(values: &[f64], share: f64) -> f64 {
    let square: f64 = values.iter().map(|value| value * value).sum();
    0.5 * (share * square - values.len() as f64 * (share + (-share).ln_1p()))
}

/// `x̂₀` from a noisy version at each image's own time.
fn denoised(
    model: &DiffusionMechanism,
    images: &Tensor,
    parents: &Tensor,
    times: &[usize],
    rng: &mut ChaCha8Rng,
) -> Result<Tensor> {
    let noised = model.noised(images, times, rng)?;
    let present = vec![true; times.len()];
    let output = model.ask(&noised.images, times, parents, &present)?;
    Ok(model.image_of(&noised, &output)?.detach())
}

fn rows(images: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(images.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2()?)
}

/// `ln` of the mass that a normal law gives the grey level of each value; black and white reach to
/// infinity.
///
/// Far from the mean, where the difference of two values of the law has no digits, the density in
/// the middle of the level times its width takes its place: the density is convex there, so that
/// this is below the mass and a bound stays one.
pub(super) fn log_masses(values: &[f64], means: &[f64], deviation: f64) -> Result<Vec<f64>> {
    // Reflected so that the mean is above: the lower tail keeps its digits.
    let distance = |(value, mean): (&f64, &f64)| -(value - mean).abs() / deviation;
    let middles: Vec<f64> = values.iter().zip(means).map(distance).collect();
    let half = HALF_LEVEL / deviation;
    let below = normal_law(middles.iter().map(|middle| middle - half))?;
    let above = normal_law(middles.iter().map(|middle| middle + half))?;
    let mass = |index: usize| {
        let (value, middle) = (values[index], middles[index]);
        if middle + half < TAIL {
            let density = -0.5 * (middle * middle + std::f64::consts::TAU.ln());
            return density + (2.0 * half).ln();
        }
        let reflected = if value > means[index] { -value } else { value };
        let is_lowest = reflected < HALF_LEVEL - 1.0;
        let is_highest = reflected > 1.0 - HALF_LEVEL;
        let low = if is_lowest { 0.0 } else { below[index] };
        let high = if is_highest { 1.0 } else { above[index] };
        (high - low).ln()
    };
    Ok((0..values.len()).map(mass).collect())
}

/// Distribution function of the standard normal law.
fn normal_law(places: impl Iterator<Item = f64>) -> Result<Vec<f64>> {
    let scaled: Vec<f64> = places
        .map(|z| z * std::f64::consts::FRAC_1_SQRT_2)
        .collect();
    let scaled = Tensor::new(scaled, &Device::Cpu)?;
    Ok(erf(&scaled)?.affine(0.5, 0.5)?.to_vec1()?)
}
