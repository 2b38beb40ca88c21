//! Seeded sampling: every use of randomness has its own `ChaCha` stream.
//!
//! A stream is keyed by `(seed, run, purpose)`, so adding a purpose does not move the others, and
//! nothing needs to be stored to resume: a step's stream is found again from its key.

use candle_core::{Device, Shape, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::kernels::math::double::normal_cdf;
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
/// When the bounds are not finite or not in order, or the shape has more values than memory
/// can count, as with every sampler here.
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
    let values: Vec<f32> = (0..count("uniform", &shape)?)
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
    let values: Vec<f32> = (0..count("normal", &shape)?)
        .map(|_| {
            let z: f64 = StandardNormal.sample(rng);
            (mean + standard_deviation * z) as f32
        })
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// The number of values of a shape.
fn count(op: &'static str, shape: &Shape) -> Result<usize> {
    let mut sides = shape.dims().iter();
    let is_empty = shape.dims().contains(&0);
    let product = if is_empty {
        Some(0)
    } else {
        sides.try_fold(1_usize, |count, &side| count.checked_mul(side))
    };
    // A vector holds no more bytes than `isize` counts.
    let bytes = product.and_then(|count| count.checked_mul(size_of::<f32>()));
    match (product, bytes) {
        (Some(count), Some(bytes)) if isize::try_from(bytes).is_ok() => Ok(count),
        _ => Err(ComputeError::shape(
            op,
            "a shape whose values can be counted",
            shape,
        )),
    }
}

fn fault(
    op: &'static str,
    key: &'static str,
    expected: &'static str,
    found: String,
) -> ComputeError {
    ComputeError::Option {
        op,
        key,
        expected,
        found,
    }
}

/// Independent samples from the normal distribution within `[low, high]`, as `f32`.
///
/// Drawn by the inverse of the distribution function, so that every sample costs one number of the
/// stream however narrow the bounds are.
///
/// # Arguments
/// - `mean`, `standard_deviation`: of the distribution before it is cut
///
/// # Errors
/// When a parameter is not finite, the deviation is not positive, the bounds are not in order, or
/// they hold less than 1e-12 of the distribution.
pub fn truncated_normal(
    rng: &mut ChaCha8Rng,
    shape: impl Into<Shape>,
    (mean, standard_deviation): (f64, f64),
    (low, high): (f64, f64),
) -> Result<Tensor> {
    const OP: &str = "truncated_normal";
    if !(mean.is_finite() && standard_deviation.is_finite() && standard_deviation > 0.0) {
        let found = format!("{mean}, {standard_deviation}");
        return Err(fault(
            OP,
            "mean, standard deviation",
            "finite, the deviation positive",
            found,
        ));
    }
    let standard = |bound: f64| normal_cdf((bound - mean) / standard_deviation);
    let (from, to) = (standard(low), standard(high));
    if !(low.is_finite() && high.is_finite() && to - from > LEAST_MASS) {
        let found = format!("({low}, {high})");
        return Err(fault(
            OP,
            "bounds",
            "in order, holding some of the distribution",
            found,
        ));
    }
    let shape = shape.into();
    let values: Vec<f32> = (0..count("truncated_normal", &shape)?)
        .map(|_| {
            let chance = from + (to - from) * rng.random::<f64>();
            let value = mean + standard_deviation * normal_quantile(chance);
            value.clamp(low, high) as f32
        })
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Least probability that bounds must hold.
const LEAST_MASS: f64 = 1e-12;
/// Halvings of a bracket of 80 deviations: below the spacing of doubles near 1.
const HALVINGS: u32 = 60;

/// Inverse of the standard normal distribution function, by bisection.
fn normal_quantile(chance: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0_f64);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if normal_cdf(middle) < chance {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Independent samples that are 1 with a probability, else 0, as `f32`.
///
/// # Errors
/// When the probability is not in `[0, 1]`.
pub fn bernoulli(
    rng: &mut ChaCha8Rng,
    shape: impl Into<Shape>,
    probability: f64,
) -> Result<Tensor> {
    if !(0.0..=1.0).contains(&probability) {
        return Err(fault(
            "bernoulli",
            "probability",
            "in [0, 1]",
            probability.to_string(),
        ));
    }
    let shape = shape.into();
    let values: Vec<f32> = (0..count("bernoulli", &shape)?)
        .map(|_| f32::from(u8::from(rng.random::<f64>() < probability)))
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Independent uniform indices below `categories`, as `u32`.
///
/// # Errors
/// When there is no category.
pub fn indices(rng: &mut ChaCha8Rng, shape: impl Into<Shape>, categories: u32) -> Result<Tensor> {
    if categories == 0 {
        return Err(fault("indices", "categories", "at least 1", "0".into()));
    }
    let shape = shape.into();
    let values: Vec<u32> = (0..count("indices", &shape)?)
        .map(|_| rng.random_range(0..categories))
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Independent indices drawn in proportion to `weights`, as `u32`.
///
/// # Errors
/// When a weight is negative or not finite, or all are 0.
///
/// # Examples
/// ```
/// use ctl_compute::random::{categorical, stream};
///
/// let drawn = categorical(&mut stream(0, "run", "classes"), 5, &[0.0, 1.0, 0.0])?;
/// assert_eq!(drawn.to_vec1::<u32>()?, [1; 5]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn categorical(
    rng: &mut ChaCha8Rng,
    shape: impl Into<Shape>,
    weights: &[f64],
) -> Result<Tensor> {
    let total: f64 = weights.iter().sum();
    let fits = weights.iter().all(|w| w.is_finite() && *w >= 0.0);
    if !(fits && total > 0.0 && total.is_finite()) {
        let expected = "finite and not negative, not all 0";
        return Err(fault(
            "categorical",
            "weights",
            expected,
            format!("{weights:?}"),
        ));
    }
    let sums: Vec<f64> = weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    // Rounding may put a draw at the total itself: the last category with a weight takes it.
    let last = weights.iter().rposition(|&w| w > 0.0).unwrap_or(0);
    let shape = shape.into();
    let values: Vec<u32> = (0..count("categorical", &shape)?)
        .map(|_| {
            let place = rng.random::<f64>() * total;
            sums.partition_point(|&sum| sum <= place).min(last) as u32
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
    fn a_shape_that_overflows_is_an_error() {
        let mut rng = stream(0, "t", "overflow");
        for shape in [(usize::MAX / 2 + 1, 2), (1 << 40, 1 << 22)] {
            let message = uniform(&mut rng, shape, (0.0, 1.0))
                .unwrap_err()
                .to_string();
            assert!(
                message.starts_with("uniform: expected a shape"),
                "{message}"
            );
            assert!(normal(&mut rng, shape, 0.0, 1.0).is_err());
        }
    }

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

    fn mean(values: &[f32]) -> f64 {
        values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64
    }

    /// The mean of the standard normal law above 1 is φ(1) / (1 − Φ(1)) = 1.525 135 276.
    #[test]
    fn truncated_normal_stays_in_its_bounds() {
        let mut rng = stream(4, "t", "truncated");
        let sample = truncated_normal(&mut rng, 20_000, (0.0, 1.0), (1.0, 30.0)).unwrap();
        let values = sample.to_vec1::<f32>().unwrap();
        assert!(values.iter().all(|v| (1.0..=30.0).contains(v)));
        // Four standard errors: the deviation of the cut law is 0.446.
        assert!((mean(&values) - 1.525_135).abs() < 4.0 * 0.446 / 20_000f64.sqrt());
    }

    #[test]
    fn chances_and_categories() {
        let mut rng = stream(5, "t", "chances");
        let drawn = bernoulli(&mut rng, 40_000, 0.2)
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert!((mean(&drawn) - 0.2).abs() < 4.0 * 0.4 / 200.0);
        let drawn = categorical(&mut rng, 40_000, &[1.0, 0.0, 3.0]).unwrap();
        let drawn = drawn.to_vec1::<u32>().unwrap();
        assert!(!drawn.contains(&1) && drawn.iter().all(|&c| c < 3));
        let share = drawn.iter().filter(|&&c| c == 2).count() as f64 / 40_000.0;
        assert!((share - 0.75).abs() < 4.0 * 0.433 / 200.0, "{share}");
        let drawn = indices(&mut rng, 40_000, 4)
            .unwrap()
            .to_vec1::<u32>()
            .unwrap();
        for category in 0..4 {
            let share = drawn.iter().filter(|&&c| c == category).count() as f64 / 40_000.0;
            assert!(
                (share - 0.25).abs() < 4.0 * 0.433 / 200.0,
                "{category}: {share}"
            );
        }
    }

    /// What a stream gives must not change: stored runs are repeated from it.
    #[test]
    fn streams_keep_their_bytes() {
        let draw: u64 = stream(1, "run", "purpose").random();
        assert_eq!(draw, 12_011_975_676_851_823_305);
    }

    #[test]
    fn ill_options_are_errors() {
        let mut rng = stream(0, "t", "ill");
        assert!(uniform(&mut rng, 2, (1.0, 0.0)).is_err());
        assert!(uniform(&mut rng, 2, (0.0, f64::NAN)).is_err());
        assert!(normal(&mut rng, 2, 0.0, -1.0).is_err());
        assert!(truncated_normal(&mut rng, 2, (0.0, 0.0), (0.0, 1.0)).is_err());
        assert!(truncated_normal(&mut rng, 2, (0.0, 1.0), (1.0, 0.0)).is_err());
        assert!(truncated_normal(&mut rng, 2, (0.0, 1.0), (50.0, 51.0)).is_err());
        assert!(bernoulli(&mut rng, 2, 1.1).is_err());
        assert!(indices(&mut rng, 2, 0).is_err());
        for weights in [&[][..], &[0.0, 0.0], &[-1.0, 2.0], &[f64::INFINITY]] {
            assert!(categorical(&mut rng, 2, weights).is_err(), "{weights:?}");
        }
    }
}
