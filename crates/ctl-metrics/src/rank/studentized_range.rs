//! The studentised range with infinite degrees of freedom: the range of standard normals.

use crate::distribution::normal_cdf;
use crate::{MetricError, validate};

/// The normal density is negligible beyond this many standard deviations.
const REACH: f64 = 9.0;
/// Step of the trapezoidal rule, whose error falls exponentially for such integrands.
const STEP: f64 = 1.0 / 32.0;
/// Upper end of the bracket of a quantile.
const LARGEST_QUANTILE: f64 = 100.0;

/// Probability that the range of `k` independent standard normals is at most `q`.
///
/// `P = k ∫ φ(z) (Φ(z) - Φ(z - q))^(k-1) dz`, by the trapezoidal rule.
///
/// # Arguments
/// - `q`: the range; 0 or less has probability 0.
/// - `k`: number of normals, at least 2.
///
/// # Returns
/// A probability, to about `1e-14`.
///
/// # Errors
/// [`MetricError::InvalidParameter`] for `k` below 2 or a `NaN` range.
///
/// # References
/// Tukey's studentised range distribution with infinite degrees of freedom.
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::studentized_range_cdf;
/// // The range of two normals is |N(0, 2)|.
/// let two = studentized_range_cdf(1.959_963_984_540_054 * 2.0_f64.sqrt(), 2)?;
/// assert!((two - 0.95).abs() < 1e-13);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn studentized_range_cdf(q: f64, k: usize) -> Result<f64, MetricError> {
    validate::parameter("q", q, "a number", !q.is_nan())?;
    validate::parameter("k", k as f64, "at least 2", k >= 2)?;
    Ok(cdf(q, k))
}

fn cdf(q: f64, k: usize) -> f64 {
    if q <= 0.0 {
        return 0.0;
    }
    let others = (k - 1) as f64;
    let steps = (2.0 * REACH / STEP) as usize;
    let integrand = |step: usize| {
        let z = step as f64 * STEP - REACH;
        let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        density * (normal_cdf(z) - normal_cdf(z - q)).powf(others)
    };
    let sum: f64 = (0..=steps).map(integrand).sum();
    (k as f64 * STEP * sum).min(1.0)
}

/// Quantile of the range of `k` independent standard normals.
///
/// # Arguments
/// - `probability`: in `(0, 1)`.
/// - `k`: number of normals, at least 2.
///
/// # Returns
/// The `q` at which [`studentized_range_cdf`] reaches the probability.
///
/// # Errors
/// [`MetricError::InvalidParameter`] for a parameter out of range.
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::studentized_range_quantile;
/// // Demšar's table of q / sqrt 2 at 0.05 begins 1.960, 2.343, 2.569.
/// let tabled: Vec<f64> = (2..5)
///     .map(|k| Ok(studentized_range_quantile(0.95, k)? / 2.0_f64.sqrt()))
///     .collect::<Result<_, ctl_metrics::MetricError>>()?;
/// assert!((tabled[0] - 1.959_964).abs() < 1e-6);
/// assert!((tabled[1] - 2.343_701).abs() < 1e-6);
/// assert!((tabled[2] - 2.569_032).abs() < 1e-6);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn studentized_range_quantile(probability: f64, k: usize) -> Result<f64, MetricError> {
    let open = probability > 0.0 && probability < 1.0;
    validate::parameter("probability", probability, "a number in (0, 1)", open)?;
    validate::parameter("k", k as f64, "at least 2", k >= 2)?;
    let (mut low, mut high) = (0.0, LARGEST_QUANTILE);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return Ok(middle);
        }
        if cdf(middle, k) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Reference: scipy.stats.studentized_range.cdf(q, k, inf).
    #[test]
    fn distribution_agrees_with_scipy() {
        for (q, k, expected) in [
            (3.314_493_2, 3, 0.950_000_0),
            (4.474_124_4, 10, 0.950_000_0),
            (1.0, 5, 0.045_045_1),
        ] {
            assert!(
                (studentized_range_cdf(q, k).unwrap() - expected).abs() < 1e-6,
                "{q} {k}"
            );
        }
    }

    #[test]
    fn quantile_inverts_the_distribution() {
        for k in [2, 7, 40] {
            let q = studentized_range_quantile(0.9, k).unwrap();
            assert!((studentized_range_cdf(q, k).unwrap() - 0.9).abs() < 1e-12);
        }
    }

    #[test]
    fn parameters_are_checked() {
        assert_eq!(studentized_range_cdf(-1.0, 3), Ok(0.0));
        assert!(studentized_range_cdf(f64::NAN, 3).is_err());
        assert!(studentized_range_cdf(1.0, 1).is_err());
        assert!(studentized_range_quantile(1.0, 3).is_err());
        assert!(studentized_range_quantile(0.5, 1).is_err());
    }
}
