//! Distributions of exogenous noise.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::{ModelError, validate};

/// The distribution of what enters a mechanism from outside.
///
/// # Examples
///
/// ```
/// use ctl_graph::model::Noise;
///
/// let noise = Noise::Normal { mean: 0.0, sd: 2.0 };
/// // ln(1 / (2 √(2π))) at the mode.
/// assert!((noise.log_density(0.0) + 1.612_085_713_764_618).abs() < 1e-12);
/// assert_eq!(Noise::Uniform { low: 0.0, high: 4.0 }.log_density(5.0), f64::NEG_INFINITY);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Noise {
    /// Normal.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation, positive.
        sd: f64,
    },
    /// Uniform on an interval.
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end, above the lower.
        high: f64,
    },
    /// Laplace around 0.
    Laplace {
        /// Mean absolute value, positive.
        scale: f64,
    },
    /// Logistic around 0.
    Logistic {
        /// Scale, positive.
        scale: f64,
    },
    /// Residuals of a fit, each as likely; as a density, smoothed by a normal kernel of
    /// Silverman's width.
    Empirical(Vec<f64>),
}

impl Noise {
    /// The standard normal distribution.
    pub const STANDARD: Self = Self::Normal { mean: 0.0, sd: 1.0 };

    /// The uniform distribution on `[0, 1)`, as tables of states need it.
    pub const UNIT: Self = Self::Uniform {
        low: 0.0,
        high: 1.0,
    };

    /// A normal distribution around 0.
    pub fn normal(sd: f64) -> Self {
        Self::Normal { mean: 0.0, sd }
    }

    pub(super) fn validate(&self) -> Result<(), ModelError> {
        match self {
            Self::Normal { mean, sd } => {
                validate::finite("mean of a normal noise", *mean)?;
                validate::positive("standard deviation of a normal noise", *sd)
            }
            Self::Uniform { low, high } => {
                validate::finite("lower end of a uniform noise", *low)?;
                validate::positive("width of a uniform noise", high - low)
            }
            Self::Laplace { scale } => validate::positive("scale of a Laplace noise", *scale),
            Self::Logistic { scale } => validate::positive("scale of a logistic noise", *scale),
            Self::Empirical(values) => {
                validate::positive("number of residuals", values.len() as f64)?;
                values
                    .iter()
                    .try_for_each(|&value| validate::finite("residual", value))
            }
        }
    }

    /// One draw.
    pub(super) fn sample(&self, rng: &mut impl Rng) -> f64 {
        match self {
            Self::Normal { mean, sd } => {
                let standard: f64 = StandardNormal.sample(rng);
                mean + sd * standard
            }
            Self::Uniform { low, high } => low + (high - low) * rng.random::<f64>(),
            Self::Laplace { scale } => {
                let centred = rng.random::<f64>() - 0.5;
                -scale * centred.signum() * (-2.0 * centred.abs()).ln_1p()
            }
            Self::Logistic { scale } => {
                // Away from 0, where the logit has no value.
                let p = rng.random::<f64>().max(f64::MIN_POSITIVE);
                scale * (p.ln() - (-p).ln_1p())
            }
            Self::Empirical(values) => values[rng.random_range(0..values.len())],
        }
    }

    /// The logarithm of the density, negative infinity outside the support.
    pub fn log_density(&self, value: f64) -> f64 {
        match self {
            Self::Normal { mean, sd } => log_normal((value - mean) / sd) - sd.ln(),
            Self::Uniform { low, high } if (*low..=*high).contains(&value) => -(high - low).ln(),
            Self::Uniform { .. } => f64::NEG_INFINITY,
            Self::Laplace { scale } => -value.abs() / scale - (2.0 * scale).ln(),
            Self::Logistic { scale } => {
                let z = value.abs() / scale;
                -z - 2.0 * (-z).exp().ln_1p() - scale.ln()
            }
            Self::Empirical(values) => log_kernel_density(values, value),
        }
    }
}

/// The logarithm of the standard normal density.
pub(super) fn log_normal(z: f64) -> f64 {
    -0.5 * (z * z + std::f64::consts::TAU.ln())
}

fn log_kernel_density(values: &[f64], at: f64) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    // Silverman's rule; a constant sample keeps a width above 0.
    let width = (1.06 * variance.sqrt() * count.powf(-0.2)).max(f64::EPSILON * (1.0 + mean.abs()));
    let terms = values.iter().map(|value| log_normal((at - value) / width));
    log_sum_exp(&terms.collect::<Vec<_>>()) - count.ln() - width.ln()
}

/// `ln Σ exp(x)`, negative infinity where nothing is finite.
pub(super) fn log_sum_exp(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest
        + terms
            .iter()
            .map(|term| (term - largest).exp())
            .sum::<f64>()
            .ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn all() -> Vec<Noise> {
        let residuals = (0..200).map(|i| f64::from(i % 20) / 5.0 - 1.9).collect();
        vec![
            Noise::Normal { mean: 0.5, sd: 1.5 },
            Noise::Uniform {
                low: -1.0,
                high: 2.0,
            },
            Noise::Laplace { scale: 0.7 },
            Noise::Logistic { scale: 0.6 },
            Noise::Empirical(residuals),
        ]
    }

    #[test]
    fn densities_integrate_to_one() {
        for noise in all() {
            let step = 1e-3;
            let grid = (-30_000..30_000).map(|i| (f64::from(i) + 0.5) * step);
            let sum: f64 = grid.map(|x| noise.log_density(x).exp() * step).sum();
            assert!((sum - 1.0).abs() < 2e-3, "{noise:?}: {sum}");
        }
    }

    #[test]
    fn draws_have_the_mean_of_the_density() {
        for noise in all() {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let drawn = (0..40_000).map(|_| noise.sample(&mut rng)).sum::<f64>() / 40_000.0;
            let grid = (-3000..3000).map(|i| (f64::from(i) + 0.5) * 1e-2);
            let mean: f64 = grid.map(|x| x * noise.log_density(x).exp() * 1e-2).sum();
            assert!((drawn - mean).abs() < 0.03, "{noise:?}: {drawn} and {mean}");
        }
    }

    #[test]
    fn parameters_are_checked() {
        assert!(Noise::normal(0.0).validate().is_err());
        assert!(
            Noise::Uniform {
                low: 1.0,
                high: 1.0
            }
            .validate()
            .is_err()
        );
        assert!(Noise::Empirical(vec![]).validate().is_err());
        assert!(all().iter().all(|noise| noise.validate().is_ok()));
    }
}
