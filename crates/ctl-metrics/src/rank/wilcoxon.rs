//! Wilcoxon's signed-rank test.

use serde::Serialize;

use super::mid_ranks::{ranks_of, tie_term};
use crate::distribution::normal_two_sided;
use crate::{MetricError, validate};

/// Largest number of differences whose exact distribution is enumerated.
const EXACT_LIMIT: usize = 200;

/// Outcome of Wilcoxon's signed-rank test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WilcoxonTest {
    /// Sum of the ranks of positive differences.
    pub w_plus: f64,
    /// Sum of the ranks of negative differences.
    pub w_minus: f64,
    /// Differences that are not zero.
    pub nonzero: usize,
    /// Exact two-sided p-value; `None` with ties, zeros or more than 200 differences.
    pub p_exact: Option<f64>,
    /// Two-sided normal p-value with tie-corrected variance.
    pub p_normal: f64,
    /// The same with a continuity correction of one half.
    pub p_normal_corrected: f64,
}

/// Wilcoxon's signed-rank test of paired differences; zeros are dropped.
///
/// `W+ = sum of the mid-ranks of |d| over d > 0`, with mean `n (n + 1) / 4` and variance
/// `n (n + 1)(2 n + 1) / 24 - sum (t^3 - t) / 48` under symmetry around 0.
///
/// # Arguments
/// - `differences`: finite, from [`paired_differences`](super::paired_differences), which can
///   round them: differences that are equal only up to rounding errors are no ties.
///
/// # Returns
/// Both rank sums and three p-values, all two-sided. Prefer the exact one where there is one.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::InvalidValue`], [`MetricError::Undefined`] when all
/// differences are 0.
///
/// # Complexity
/// O(N log N), and O(N^3) for the exact distribution.
///
/// # References
/// Wilcoxon, "Individual comparisons by ranking methods", 1945.
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::wilcoxon_signed_rank;
/// let test = wilcoxon_signed_rank(&[0.3, 0.1, -0.2, 0.5, 0.4])?;
/// assert_eq!((test.w_plus, test.w_minus), (13.0, 2.0));
/// // Three of the 32 sign patterns give a rank sum of at most 2.
/// assert_eq!(test.p_exact, Some(6.0 / 32.0));
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn wilcoxon_signed_rank(differences: &[f64]) -> Result<WilcoxonTest, MetricError> {
    validate::non_empty("differences", differences.len())?;
    validate::finite("differences", differences)?;
    let signed: Vec<f64> = differences.iter().copied().filter(|&d| d != 0.0).collect();
    if signed.is_empty() {
        return Err(MetricError::Undefined {
            subject: "signed-rank statistic",
            expected: "a difference that is not zero",
            found: "zeros only",
        });
    }
    let sizes: Vec<f64> = signed.iter().map(|d| d.abs()).collect();
    let ties = tie_term(&sizes);
    let n = signed.len() as f64;
    let w_plus: f64 = ranks_of(&sizes)
        .iter()
        .zip(&signed)
        .filter(|&(_, &d)| d > 0.0)
        .map(|(r, _)| r)
        .sum();
    let w_minus = n * (n + 1.0) / 2.0 - w_plus;
    let exact = ties == 0.0 && signed.len() == differences.len() && signed.len() <= EXACT_LIMIT;
    let away = (w_plus - w_minus).abs() / 2.0;
    let deviation = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0).sqrt();
    Ok(WilcoxonTest {
        w_plus,
        w_minus,
        nonzero: signed.len(),
        p_exact: exact.then(|| exact_two_sided(signed.len(), w_plus.min(w_minus) as usize)),
        p_normal: normal_two_sided(away / deviation),
        p_normal_corrected: normal_two_sided((away - 0.5).max(0.0) / deviation),
    })
}

/// Twice the probability that the ranks 1 to `n`, each kept by a fair coin, sum to `smaller` or less.
fn exact_two_sided(n: usize, smaller: usize) -> f64 {
    let mut probability = vec![0.0; smaller + 1];
    probability[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..=smaller).rev() {
            let kept = if sum >= rank {
                probability[sum - rank]
            } else {
                0.0
            };
            probability[sum] = f64::midpoint(probability[sum], kept);
        }
    }
    (2.0 * probability.iter().sum::<f64>()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_and_zeros_forbid_the_exact_value() {
        assert_eq!(
            wilcoxon_signed_rank(&[0.1, 0.1, -0.3]).unwrap().p_exact,
            None
        );
        let zero = wilcoxon_signed_rank(&[0.0, 0.1, -0.3]).unwrap();
        assert_eq!((zero.nonzero, zero.p_exact), (2, None));
    }

    #[test]
    fn balance_gives_one() {
        let test = wilcoxon_signed_rank(&[1.0, -2.0, -3.0, 4.0]).unwrap();
        assert_eq!((test.w_plus, test.w_minus), (5.0, 5.0));
        assert_eq!(test.p_exact, Some(1.0));
        assert!((test.p_normal_corrected - 1.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_but_zeros_is_no_test() {
        assert!(
            wilcoxon_signed_rank(&[0.0, 0.0])
                .unwrap_err()
                .is_undefined()
        );
        assert!(wilcoxon_signed_rank(&[]).is_err());
        assert!(wilcoxon_signed_rank(&[f64::NAN]).is_err());
    }
}
