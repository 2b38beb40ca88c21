//! Paired differences, Student's test on them, and `McNemar`'s test on paired decisions.

use serde::Serialize;

use crate::distribution::{chi_squared_upper, fair_binomial_cdf, student_two_sided};
use crate::{MetricError, validate};

/// Differences `a - b`, optionally rounded so that decimal ties are ties.
///
/// # Arguments
/// - `a`, `b`: `[N]`, finite, paired by position.
/// - `decimals`: digits after the point to round to, ties to even; `None` keeps the differences.
///
/// # Returns
/// `[N]` differences.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`], [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::paired_differences;
/// assert_ne!(paired_differences(&[0.3], &[0.2], None)?, [0.1]);
/// assert_eq!(paired_differences(&[0.3], &[0.2], Some(6))?, [0.1]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn paired_differences(
    a: &[f64],
    b: &[f64],
    decimals: Option<u8>,
) -> Result<Vec<f64>, MetricError> {
    validate::non_empty("a", a.len())?;
    validate::same_len("b", a.len(), b.len())?;
    validate::finite("a", a)?;
    validate::finite("b", b)?;
    let round = |d: f64| match decimals {
        Some(digits) => {
            let scale = 10.0_f64.powi(i32::from(digits));
            (d * scale).round_ties_even() / scale
        }
        None => d,
    };
    Ok(a.iter().zip(b).map(|(x, y)| round(x - y)).collect())
}

/// Outcome of the paired t-test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedT {
    /// Mean difference over its standard error.
    pub t: f64,
    /// Degrees of freedom, `N - 1`.
    pub df: usize,
    /// Two-sided p-value.
    pub p_two_sided: f64,
}

/// Student's paired t-test: `t = mean(d) / (s / sqrt N)` with the unbiased deviation `s`.
///
/// # Arguments
/// - `differences`: `[N]`, finite, at least 2.
///
/// # Returns
/// Statistic, degrees of freedom and two-sided p-value.
///
/// # Errors
/// [`MetricError::TooFew`], [`MetricError::InvalidValue`], [`MetricError::Undefined`] when all
/// differences are equal.
///
/// # References
/// Student, "The probable error of a mean", 1908.
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::paired_t;
/// let test = paired_t(&[1.0, 2.0, 3.0])?;
/// assert!((test.t - 12.0_f64.sqrt()).abs() < 1e-12);
/// assert!((test.p_two_sided - (1.0 - (6.0_f64 / 7.0).sqrt())).abs() < 1e-12);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn paired_t(differences: &[f64]) -> Result<PairedT, MetricError> {
    validate::at_least("differences", 2, differences.len())?;
    validate::finite("differences", differences)?;
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    if validate::is_constant(differences) || squares == 0.0 {
        return Err(MetricError::Undefined {
            subject: "paired t",
            expected: "differences that vary",
            found: "a constant",
        });
    }
    let t = mean / (squares / (n - 1.0) / n).sqrt();
    let df = differences.len() - 1;
    Ok(PairedT {
        t,
        df,
        p_two_sided: student_two_sided(t, df as f64),
    })
}

/// Outcome of `McNemar`'s test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemarTest {
    /// Exact two-sided binomial p-value.
    pub p_exact: f64,
    /// Continuity-corrected statistic.
    pub chi2_corrected: f64,
    /// Upper tail of the statistic with one degree of freedom.
    pub p_chi2: f64,
}

/// `McNemar`'s test of two classifiers on the same samples.
///
/// With `b` samples only the first gets right and `c` only the second:
/// `p = min(1, 2 P(Binomial(b + c, 1/2) <= min(b, c)))`, `chi2 = (|b - c| - 1)^2 / (b + c)`.
///
/// # Arguments
/// - `only_a_correct`, `only_b_correct`: the discordant counts.
///
/// # Returns
/// Exact and approximate test; prefer the exact one below about 25 discordant samples.
///
/// # Errors
/// [`MetricError::TooFew`] without discordant samples.
///
/// # References
/// `McNemar`, 1947; Edwards, 1948, for the correction.
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::mcnemar;
/// let test = mcnemar(1, 4)?;
/// assert!((test.p_exact - 0.375).abs() < 1e-12);
/// assert_eq!(test.chi2_corrected, 0.8);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn mcnemar(only_a_correct: u64, only_b_correct: u64) -> Result<McNemarTest, MetricError> {
    let discordant = only_a_correct.saturating_add(only_b_correct);
    validate::at_least("discordant samples", 1, discordant as usize)?;
    let fewer = only_a_correct.min(only_b_correct);
    let apart = only_a_correct.abs_diff(only_b_correct) as f64 - 1.0;
    let chi2_corrected = apart * apart / discordant as f64;
    Ok(McNemarTest {
        p_exact: (2.0 * fair_binomial_cdf(fewer, discordant)).min(1.0),
        chi2_corrected,
        p_chi2: chi_squared_upper(chi2_corrected, 1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_makes_decimal_ties() {
        let differences = paired_differences(&[0.3, 0.8], &[0.2, 0.7], Some(6)).unwrap();
        assert!((differences[0] - differences[1]).abs() < f64::MIN_POSITIVE);
    }

    #[test]
    fn constant_differences_have_no_t() {
        assert!(paired_t(&[0.1, 0.1, 0.1]).unwrap_err().is_undefined());
        assert!(matches!(
            paired_t(&[0.1]).unwrap_err(),
            MetricError::TooFew { found: 1, .. }
        ));
        assert!(paired_t(&[0.1, f64::NAN]).is_err());
    }

    #[test]
    fn agreement_has_no_mcnemar_test() {
        assert!(mcnemar(0, 0).unwrap_err().is_undefined());
        assert!((mcnemar(5, 5).unwrap().p_exact - 1.0).abs() < 1e-12);
        assert!((mcnemar(0, 1).unwrap().p_exact - 1.0).abs() < 1e-12);
    }

    #[test]
    fn ill_shaped_pairs_are_refused() {
        assert!(paired_differences(&[], &[], None).is_err());
        assert!(paired_differences(&[1.0], &[1.0, 2.0], None).is_err());
        assert!(paired_differences(&[f64::INFINITY], &[1.0], None).is_err());
    }
}
