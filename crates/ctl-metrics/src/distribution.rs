//! Tail probabilities and quantiles behind the tests and intervals.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::{beta::beta_reg, gamma::gamma_ur};

use crate::{MetricError, validate};

/// Distribution function of the standard normal, to 14 digits.
///
/// # Examples
///
/// ```
/// assert!((ctl_metrics::normal_cdf(1.3) - 0.903_199_515_414_389_7).abs() < 1e-14);
/// ```
pub fn normal_cdf(x: f64) -> f64 {
    let beyond = normal_two_sided(x) / 2.0;
    if x < 0.0 { beyond } else { 1.0 - beyond }
}

/// Probability that a standard normal exceeds `|z|` in absolute value.
///
/// By the incomplete gamma function: statrs's `erfc` is off by up to 1e-9, too much for p-values
/// that are compared at that accuracy.
pub(crate) fn normal_two_sided(z: f64) -> f64 {
    chi_squared_upper(z * z, 1.0)
}

/// Half-width, in standard errors, of a two-sided normal interval of the given level.
pub(crate) fn normal_half_width(level: f64) -> Result<f64, MetricError> {
    validate::level(level)?;
    Ok(Normal::standard().inverse_cdf(0.5 + level / 2.0))
}

/// Upper tail of the chi-squared distribution; `df > 0`, `x >= 0`.
pub(crate) fn chi_squared_upper(x: f64, df: f64) -> f64 {
    if x <= 0.0 {
        1.0
    } else {
        gamma_ur(df / 2.0, x / 2.0)
    }
}

/// Two-sided tail of Student's t distribution; `df > 0`.
pub(crate) fn student_two_sided(t: f64, df: f64) -> f64 {
    beta_reg(df / 2.0, 0.5, df / (df + t * t))
}

/// Upper tail of the F distribution; degrees of freedom above zero.
pub(crate) fn f_upper(x: f64, numerator: f64, denominator: f64) -> f64 {
    if x.is_infinite() {
        return 0.0;
    }
    let ratio = denominator / (denominator + numerator * x.max(0.0));
    beta_reg(denominator / 2.0, numerator / 2.0, ratio)
}

/// Distribution function of a fair binomial: P(X <= successes) in `trials` tosses.
pub(crate) fn fair_binomial_cdf(successes: u64, trials: u64) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    beta_reg((trials - successes) as f64, successes as f64 + 1.0, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Reference values: scipy.stats norm, chi2, t, f, binom.
    #[test]
    fn tails_agree_with_scipy() {
        assert!((normal_cdf(-1.3) - 0.096_800_484_585_610_36).abs() < 1e-14);
        assert!((normal_cdf(1.3) - 0.903_199_515_414_389_7).abs() < 1e-14);
        assert!((normal_two_sided(2.5) - 0.012_419_330_651_552_265).abs() < 1e-14);
        assert!((normal_two_sided(-8.0) / 1.244_192_114_854_348e-15 - 1.0).abs() < 1e-9);
        assert!((chi_squared_upper(11.76, 3.0) - 0.008_252_191_253_966_895).abs() < 1e-14);
        assert!(
            (student_two_sided(2.253_434_352_220_209, 11.0) - 0.045_614_384_485_545).abs() < 1e-12
        );
        assert!((f_upper(5.802_631_578_947_407, 3.0, 27.0) - 0.003_391_480_552_910).abs() < 1e-12);
        assert!((fair_binomial_cdf(6, 21) - 0.039_176_940_917_968_75).abs() < 1e-14);
        assert!((fair_binomial_cdf(21, 21) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn half_widths_agree_with_scipy() {
        for (level, expected) in [
            (0.5, 0.674_489_750_196_081_7),
            (0.9, 1.644_853_626_951_472_2),
            (0.95, 1.959_963_984_540_054),
            (0.99, 2.575_829_303_548_900_4),
        ] {
            assert!(
                (normal_half_width(level).unwrap() - expected).abs() < 1e-12,
                "{level}"
            );
        }
        assert!(normal_half_width(1.0).is_err());
    }
}
