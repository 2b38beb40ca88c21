//! Tail probabilities of the tests.

use statrs::function::beta::beta_reg;
use statrs::function::gamma::gamma_ur;

/// Probability that a standard normal exceeds `|z|` in absolute value.
///
/// By the incomplete gamma function: statrs's `erfc` is off by up to 1e-9.
pub(crate) fn normal_two_sided(z: f64) -> f64 {
    chi_squared_upper(z * z, 1.0)
}

/// Upper tail of the chi-squared distribution; `df > 0`.
pub(crate) fn chi_squared_upper(x: f64, df: f64) -> f64 {
    gamma_upper(x / 2.0, df / 2.0)
}

/// Upper tail of the gamma distribution with unit scale; `shape > 0`.
pub(crate) fn gamma_upper(x: f64, shape: f64) -> f64 {
    if x <= 0.0 {
        1.0
    } else if x.is_infinite() {
        0.0
    } else {
        gamma_ur(shape, x)
    }
}

/// Two-sided tail of Student's t distribution; `df > 0`.
pub(crate) fn student_two_sided(t: f64, df: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
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

/// Two-sided tail of the F distribution: twice the smaller tail.
pub(crate) fn f_two_sided(x: f64, numerator: f64, denominator: f64) -> f64 {
    let upper = f_upper(x, numerator, denominator);
    // The lower tail by exchanging numerator and denominator keeps its relative accuracy.
    let lower = f_upper(x.recip(), denominator, numerator);
    (2.0 * upper.min(lower)).min(1.0)
}

/// The `z` beyond which a standard normal lies, on either side, with probability `level`.
pub(crate) fn normal_critical(level: f64) -> f64 {
    /// Enough halvings for every bit of the result.
    const HALVINGS: usize = 100;
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if normal_two_sided(middle) > level {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    // Reference values: scipy.stats norm, chi2, t, f, gamma.
    #[test]
    fn tails_agree_with_scipy() {
        assert!((normal_two_sided(2.5) - 0.012_419_330_651_552_265).abs() < 1e-14);
        assert!((chi_squared_upper(11.76, 3.0) - 0.008_252_191_253_966_895).abs() < 1e-14);
        assert!(
            (student_two_sided(2.253_434_352_220_209, 11.0) - 0.045_614_384_485_545).abs() < 1e-12
        );
        assert!((f_upper(5.802_631_578_947_407, 3.0, 27.0) - 0.003_391_480_552_910).abs() < 1e-12);
        assert!((normal_critical(0.05) - 1.959_963_984_540_054).abs() < 1e-12);
    }

    #[test]
    fn both_tails_of_f_are_symmetric() {
        let upper = f_two_sided(1.8, 10.0, 20.0);
        assert!((upper - f_two_sided(1.0 / 1.8, 20.0, 10.0)).abs() < 1e-14);
        assert!(f_two_sided(f64::INFINITY, 3.0, 3.0) < 1e-300);
    }
}
