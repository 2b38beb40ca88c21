//! Sign-flip permutation test of paired differences.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::{MetricError, validate};

/// Largest number of differences that is enumerated; each half needs `2^(n/2)` sums.
const EXACT_LIMIT: usize = 40;
/// Means closer to the observed one than this count as reaching it.
const TOLERANCE: f64 = 1e-12;

/// Outcome of a sign-flip permutation test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SignFlipTest {
    /// Mean of the differences.
    pub mean_difference: f64,
    /// Fraction of sign patterns whose mean is at least as far from 0.
    pub p_two_sided: f64,
}

fn check(differences: &[f64]) -> Result<(), MetricError> {
    validate::non_empty("differences", differences.len())?;
    validate::finite("differences", differences)
}

/// The smallest absolute sum that counts as extreme.
fn extreme_sum(differences: &[f64]) -> f64 {
    let n = differences.len() as f64;
    differences.iter().sum::<f64>().abs() - TOLERANCE * n
}

/// Exact sign-flip test of the mean: all `2^n` sign patterns.
///
/// `p = #{s : |mean(s d)| >= |mean(d)| - 1e-12} / 2^n`.
///
/// # Arguments
/// - `differences`: `[n]`, finite, `n` at most 40.
///
/// # Returns
/// The mean and its two-sided p-value.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::InvalidValue`], [`MetricError::InvalidParameter`] for
/// more than 40 differences; [`sign_flip_sampled`] has no limit.
///
/// # Complexity
/// O(n 2^(n/2)): the sums of both halves are sorted and met in the middle.
///
/// # References
/// Fisher, "The design of experiments", 1935, section 21.
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::sign_flip_exact;
/// let test = sign_flip_exact(&[1.0, 2.0, 3.0])?;
/// assert_eq!((test.mean_difference, test.p_two_sided), (2.0, 0.25));
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn sign_flip_exact(differences: &[f64]) -> Result<SignFlipTest, MetricError> {
    check(differences)?;
    let n = differences.len();
    validate::parameter(
        "number of differences",
        n as f64,
        "at most 40",
        n <= EXACT_LIMIT,
    )?;
    let (left, right) = differences.split_at(n / 2);
    let (left, right) = (signed_sums(left), signed_sums(right));
    let extreme = extreme_sum(differences);
    // Patterns come in pairs of opposite sign, so the lower tail holds as many as the upper one.
    let count = if extreme <= 0.0 {
        left.len() * right.len()
    } else {
        2 * pairs_reaching(&left, &right, extreme)
    };
    Ok(SignFlipTest {
        mean_difference: differences.iter().sum::<f64>() / n as f64,
        p_two_sided: count as f64 / (left.len() * right.len()) as f64,
    })
}

/// Sums of all sign patterns, ascending.
fn signed_sums(differences: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for d in differences {
        sums = sums.iter().flat_map(|sum| [sum - d, sum + d]).collect();
    }
    sums.sort_by(f64::total_cmp);
    sums
}

/// Number of pairs from two ascending lists whose sum reaches a bound.
fn pairs_reaching(left: &[f64], right: &[f64], bound: f64) -> usize {
    let mut short = right.len();
    let mut count = 0;
    for a in left {
        while short > 0 && a + right[short - 1] >= bound {
            short -= 1;
        }
        count += right.len() - short;
    }
    count
}

/// Sampled sign-flip test of the mean, for many differences.
///
/// `p = (1 + #{extreme sampled patterns}) / (1 + permutations)`, which counts the observed pattern
/// and is never 0.
///
/// # Arguments
/// - `differences`: `[n]`, finite.
/// - `permutations`: how many sign patterns are drawn, at least 1.
/// - `seed`, `stream`: which random numbers are used.
///
/// # Returns
/// The mean and its two-sided p-value.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::InvalidValue`], [`MetricError::InvalidParameter`].
///
/// # Complexity
/// O(n permutations).
///
/// # References
/// Phipson & Smyth, "Permutation p-values should never be zero", 2010.
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::sign_flip_sampled;
/// let test = sign_flip_sampled(&[1.0, 2.0, 3.0], 9_999, 5, 0)?;
/// assert!((test.p_two_sided - 0.25).abs() < 0.02);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn sign_flip_sampled(
    differences: &[f64],
    permutations: usize,
    seed: u64,
    stream: u64,
) -> Result<SignFlipTest, MetricError> {
    check(differences)?;
    validate::parameter(
        "permutations",
        permutations as f64,
        "at least 1",
        permutations >= 1,
    )?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let extreme = extreme_sum(differences);
    let mut flipped = || -> f64 {
        differences
            .iter()
            .map(|d| if rng.random::<bool>() { *d } else { -d })
            .sum()
    };
    let reached = (0..permutations)
        .filter(|_| flipped().abs() >= extreme)
        .count();
    Ok(SignFlipTest {
        mean_difference: differences.iter().sum::<f64>() / differences.len() as f64,
        p_two_sided: (reached as f64 + 1.0) / (permutations as f64 + 1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enumerated(differences: &[f64]) -> f64 {
        let n = differences.len();
        let bound = extreme_sum(differences);
        let sum = |pattern: usize| -> f64 {
            let signed = |(i, d): (usize, &f64)| if pattern >> i & 1 == 1 { *d } else { -d };
            differences.iter().enumerate().map(signed).sum()
        };
        (0..1 << n)
            .filter(|&pattern| sum(pattern).abs() >= bound)
            .count() as f64
            / f64::from(1 << n)
    }

    #[test]
    fn halves_agree_with_plain_enumeration() {
        for differences in [
            &[0.3, -0.1, 0.25, 0.4, -0.35, 0.02, 0.11][..],
            &[1.0, 1.0, -1.0, 2.0],
            &[0.0, 0.0],
            &[0.7],
        ] {
            let exact = sign_flip_exact(differences).unwrap().p_two_sided;
            assert!(
                (exact - enumerated(differences)).abs() < 1e-15,
                "{differences:?}"
            );
        }
    }

    #[test]
    fn a_zero_mean_is_never_extreme() {
        assert_eq!(
            sign_flip_exact(&[1.0, -1.0]).unwrap().p_two_sided.to_bits(),
            1.0_f64.to_bits()
        );
    }

    #[test]
    fn ill_input_is_refused_and_seeds_repeat() {
        assert!(sign_flip_exact(&[]).is_err());
        assert!(sign_flip_exact(&[1.0; 41]).is_err());
        assert!(sign_flip_sampled(&[1.0], 0, 0, 0).is_err());
        let draw = |seed| sign_flip_sampled(&[0.4, 0.1, -0.3, 0.2], 500, seed, 0).unwrap();
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
