//! Ranks in which ties share their mean.

use crate::{MetricError, validate};

/// Mid-ranks: rank 1 for the smallest value, tied values share the mean of their ranks.
///
/// # Arguments
/// - `values`: `[N]`, no `NaN`; infinities have their usual order.
///
/// # Returns
/// `[N]` ranks in input order; they sum to `N (N + 1) / 2`.
///
/// # Errors
/// [`MetricError::Empty`] without values, [`MetricError::InvalidValue`] for `NaN`.
///
/// # Complexity
/// O(N log N).
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::mid_ranks;
/// assert_eq!(mid_ranks(&[0.3, 0.1, 0.3, 0.9])?, [2.5, 1.0, 2.5, 4.0]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn mid_ranks(values: &[f64]) -> Result<Vec<f64>, MetricError> {
    validate::non_empty("values", values.len())?;
    validate::not_nan("values", values)?;
    Ok(ranks_of(values))
}

/// [`mid_ranks`] of values known to be free of `NaN`.
pub(crate) fn ranks_of(values: &[f64]) -> Vec<f64> {
    let order = ascending_order(values);
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|&a, &b| tied(values[a], values[b])) {
        let rank = before as f64 + f64::midpoint(equal.len() as f64, 1.0);
        for &index in equal {
            ranks[index] = rank;
        }
        before += equal.len();
    }
    ranks
}

/// Tells whether two values share a rank.
#[expect(clippy::float_cmp, reason = "a tie is equality, not nearness")]
pub(crate) fn tied(a: f64, b: f64) -> bool {
    a == b
}

/// Indices of the values in stable ascending order; both zeros count as equal.
pub(crate) fn ascending_order(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| (values[a] + 0.0).total_cmp(&(values[b] + 0.0)));
    order
}

/// Sum of t^3 - t over groups of t tied values, the term of every tie correction.
pub(crate) fn tie_term(values: &[f64]) -> f64 {
    tie_sizes(values).map(|t| t * t * t - t).sum()
}

/// Sizes of the groups of equal values, in ascending order of the value.
pub(crate) fn tie_sizes(values: &[f64]) -> impl Iterator<Item = f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let sizes: Vec<f64> = sorted
        .chunk_by(|&a, &b| tied(a, b))
        .map(|equal| equal.len() as f64)
        .collect();
    sizes.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_zeros_tie() {
        assert_eq!(
            mid_ranks(&[0.0, -0.0, -1.0, 0.0]).unwrap(),
            [3.0, 3.0, 1.0, 3.0]
        );
        assert_eq!(ascending_order(&[0.0, -0.0]), [0, 1]);
    }

    #[test]
    fn infinities_are_ordered_and_nan_is_refused() {
        assert_eq!(
            mid_ranks(&[f64::INFINITY, 2.0, f64::NEG_INFINITY]).unwrap(),
            [3.0, 2.0, 1.0]
        );
        assert!(matches!(
            mid_ranks(&[1.0, f64::NAN]).unwrap_err(),
            MetricError::InvalidValue {
                subject: "values",
                index: 1,
                ..
            }
        ));
    }

    #[test]
    fn tie_term_counts_each_group() {
        assert!((tie_term(&[1.0, 1.0, 2.0, 3.0, 3.0, 3.0]) - (6.0 + 24.0)).abs() < 1e-12);
    }
}
