//! Seeded sampling: every use of randomness has its own `ChaCha` stream.
//!
//! A stream is keyed by `(seed, run, purpose)`, so adding a purpose does not move the others, and
//! nothing needs to be stored to resume: a step's stream is found again from its key.

use candle_core::{Device, Shape, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{ComputeError, Result};

/// The stream of random numbers that belongs to `(seed, run, purpose)`.
///
/// The 256-bit key is the blake3 hash of the three parts, each preceded by its length.
///
/// # Examples
/// ```
/// use ctl_compute::random::stream;
/// use rand::RngExt;
///
/// let mut a = stream(1, "run", "batches");
/// let mut b = stream(1, "run", "batches");
/// let mut c = stream(1, "run", "dropout");
/// let (x, y, z): (u64, u64, u64) = (a.random(), b.random(), c.random());
/// assert_eq!(x, y);
/// assert_ne!(x, z);
/// ```
pub fn stream(seed: u64, run: &str, purpose: &str) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key("ctl-compute random stream v1");
    hasher.update(&seed.to_le_bytes());
    for part in [run, purpose] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// Independent samples from the uniform distribution on `[low, high)`, as `f32`.
///
/// # Errors
/// When the bounds are not finite or not in order.
pub fn uniform(
    rng: &mut ChaCha8Rng,
    shape: impl Into<Shape>,
    (low, high): (f64, f64),
) -> Result<Tensor> {
    if !(low.is_finite() && high.is_finite() && low <= high) {
        return Err(ComputeError::Option {
            op: "uniform",
            key: "bounds",
            expected: "finite and in order",
            found: format!("({low}, {high})"),
        });
    }
    let shape = shape.into();
    let values: Vec<f32> = (0..shape.elem_count())
        .map(|_| (low + (high - low) * rng.random::<f64>()) as f32)
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Independent samples from the normal distribution, as `f32`.
///
/// # Errors
/// When `mean` is not finite or `standard_deviation` is negative or not finite.
pub fn normal(
    rng: &mut ChaCha8Rng,
    shape: impl Into<Shape>,
    mean: f64,
    standard_deviation: f64,
) -> Result<Tensor> {
    if !(mean.is_finite() && standard_deviation.is_finite() && standard_deviation >= 0.0) {
        return Err(ComputeError::Option {
            op: "normal",
            key: "mean, standard deviation",
            expected: "finite, the deviation not negative",
            found: format!("{mean}, {standard_deviation}"),
        });
    }
    let shape = shape.into();
    let values: Vec<f32> = (0..shape.elem_count())
        .map(|_| {
            let z: f64 = StandardNormal.sample(rng);
            (mean + standard_deviation * z) as f32
        })
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// A uniformly random order of `0..n` (Fisher–Yates).
pub fn permutation(rng: &mut ChaCha8Rng, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_the_normal_sampler() {
        let sample = normal(&mut stream(3, "t", "normal"), 40_000, 2.0, 0.5).unwrap();
        let values = sample.to_vec1::<f32>().unwrap();
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 40_000.0;
        let variance = values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / 40_000.0;
        // Four standard errors: 4·0.5/200 for the mean, 4·0.25·√2/200 for the variance.
        assert!((mean - 2.0).abs() < 0.01, "{mean}");
        assert!((variance - 0.25).abs() < 0.0071, "{variance}");
    }

    #[test]
    fn permutation_holds_every_index_once() {
        let mut order = permutation(&mut stream(0, "t", "p"), 100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn parts_of_the_key_do_not_run_together() {
        let a: u64 = stream(0, "ab", "c").random();
        let b: u64 = stream(0, "a", "bc").random();
        assert_ne!(a, b);
    }

    #[test]
    fn ill_options_are_errors() {
        let mut rng = stream(0, "t", "ill");
        assert!(uniform(&mut rng, 2, (1.0, 0.0)).is_err());
        assert!(uniform(&mut rng, 2, (0.0, f64::NAN)).is_err());
        assert!(normal(&mut rng, 2, 0.0, -1.0).is_err());
    }
}
