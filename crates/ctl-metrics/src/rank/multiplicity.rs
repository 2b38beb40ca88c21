//! Corrections for asking many questions at once.

use super::mid_ranks::ascending_order;
use crate::{MetricError, validate};

fn check(p_values: &[f64]) -> Result<(), MetricError> {
    validate::non_empty("p_values", p_values.len())?;
    validate::probabilities("p_values", p_values)
}

/// Bonferroni's adjusted p-values: `min(1, m p)`.
///
/// # Arguments
/// - `p_values`: `[m]`, in `[0, 1]`.
///
/// # Returns
/// `[m]` in input order; rejecting those at most `alpha` keeps the family-wise error below it.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::InvalidValue`].
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::bonferroni;
/// assert_eq!(bonferroni(&[0.125, 0.5])?, [0.25, 1.0]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn bonferroni(p_values: &[f64]) -> Result<Vec<f64>, MetricError> {
    check(p_values)?;
    let m = p_values.len() as f64;
    Ok(p_values.iter().map(|p| (m * p).min(1.0)).collect())
}

/// Holm's adjusted p-values: `max_{j <= i} min(1, (m - j + 1) p_(j))`.
///
/// Uniformly at least as powerful as [`bonferroni`], with the same guarantee.
///
/// # Arguments
/// As [`bonferroni`].
///
/// # Returns
/// `[m]` in input order.
///
/// # Errors
/// As [`bonferroni`].
///
/// # References
/// Holm, "A simple sequentially rejective multiple test procedure", 1979.
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::holm;
/// assert_eq!(holm(&[0.25, 0.0625, 0.125])?, [0.25, 0.1875, 0.25]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, MetricError> {
    check(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (place, index) in ascending_order(p_values).into_iter().enumerate() {
        let remaining = (p_values.len() - place) as f64;
        largest = largest.max((remaining * p_values[index]).min(1.0));
        adjusted[index] = largest;
    }
    Ok(adjusted)
}

/// Benjamini and Hochberg's adjusted p-values: `min_{j >= i} min(1, m p_(j) / j)`.
///
/// # Arguments
/// As [`bonferroni`].
///
/// # Returns
/// `[m]` in input order; rejecting those at most `alpha` keeps the false discovery rate below it
/// for independent or positively dependent tests.
///
/// # Errors
/// As [`bonferroni`].
///
/// # References
/// Benjamini & Hochberg, "Controlling the false discovery rate", 1995.
///
/// # Examples
///
/// ```
/// use ctl_metrics::rank::benjamini_hochberg;
/// assert_eq!(benjamini_hochberg(&[0.5, 0.0625, 0.125, 0.25])?, [0.5, 0.25, 0.25, 1.0 / 3.0]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, MetricError> {
    check(p_values)?;
    let m = p_values.len() as f64;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut smallest = 1.0_f64;
    for (place, index) in ascending_order(p_values).into_iter().enumerate().rev() {
        smallest = smallest.min(m * p_values[index] / (place as f64 + 1.0));
        adjusted[index] = smallest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_are_ordered_by_strictness() {
        let p_values = [0.01, 0.04, 0.03, 0.2, 0.0, 1.0];
        let strictest = bonferroni(&p_values).unwrap();
        let middle = holm(&p_values).unwrap();
        let mildest = benjamini_hochberg(&p_values).unwrap();
        for index in 0..p_values.len() {
            assert!(strictest[index] >= middle[index]);
            assert!(middle[index] >= mildest[index]);
            assert!(mildest[index] >= p_values[index]);
        }
    }

    #[test]
    fn values_outside_the_unit_interval_are_named() {
        let error = holm(&[0.5, 1.5]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "p_values[1]: expected a probability in [0, 1], found 1.5"
        );
        assert!(bonferroni(&[]).is_err());
        assert!(benjamini_hochberg(&[f64::NAN]).is_err());
    }
}
