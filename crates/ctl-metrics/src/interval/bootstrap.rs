//! Percentile bootstrap of any statistic.

use serde::Serialize;

use super::Interval;
use crate::rank::tied;
use crate::{MetricError, validate};

/// Spread of a statistic over resamples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BootstrapSummary {
    /// Percentile interval with linearly interpolated quantiles.
    pub interval: Interval,
    /// Unbiased standard deviation of the statistic over the resamples.
    pub standard_error: f64,
    /// Resamples on which the statistic exists.
    pub used: usize,
    /// Resamples that were skipped because it does not, such as one-class resamples for AUROC.
    pub skipped: usize,
}

/// Percentile interval and standard error of a statistic over resamples.
///
/// The interval's ends are the `(1 - level) / 2` and `(1 + level) / 2` quantiles of the statistic.
/// The same resamples given to two statistics make their values paired: bootstrap a difference by
/// computing it inside the statistic.
///
/// # Arguments
/// - `resamples`: index lists, from a [`Resampler`](super::Resampler) or from the caller.
/// - `level`: nominal coverage, in `(0, 1)`.
/// - `statistic`: computes the number from the indices of one resample.
///
/// # Returns
/// Interval, standard error, and how many resamples were used and skipped.
///
/// # Errors
/// [`MetricError::InvalidParameter`] for the level; [`MetricError::TooFew`] when fewer than two
/// resamples could be used; any error of the statistic for which
/// [`MetricError::is_undefined`] does not hold, and [`MetricError::InvalidValue`] should it return
/// a number that is not finite.
///
/// # Complexity
/// One call of the statistic per resample, then a sort.
///
/// # References
/// Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
///
/// # Examples
///
/// ```
/// use ctl_metrics::{gather, interval::bootstrap};
/// let values = [1.0, 2.0, 3.0, 4.0];
/// let resamples = [[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3], [0, 1, 2, 3]];
/// let summary = bootstrap(&resamples, 0.5, |rows| {
///     Ok(gather(&values, rows)?.iter().sum::<f64>() / 4.0)
/// })?;
/// assert_eq!((summary.interval.lower, summary.interval.upper), (2.0, 3.0));
/// assert_eq!((summary.used, summary.skipped), (5, 0));
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn bootstrap<I>(
    resamples: I,
    level: f64,
    mut statistic: impl FnMut(&[usize]) -> Result<f64, MetricError>,
) -> Result<BootstrapSummary, MetricError>
where
    I: IntoIterator,
    I::Item: AsRef<[usize]>,
{
    validate::level(level)?;
    let mut values = Vec::new();
    let mut skipped = 0;
    for resample in resamples {
        match statistic(resample.as_ref()) {
            Ok(value) => values.push(value),
            Err(error) if error.is_undefined() => skipped += 1,
            Err(error) => return Err(error),
        }
    }
    summarise(values, skipped, level)
}

fn summarise(
    mut values: Vec<f64>,
    skipped: usize,
    level: f64,
) -> Result<BootstrapSummary, MetricError> {
    validate::at_least("resamples", 2, values.len())?;
    validate::finite("statistic", &values)?;
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Ok(BootstrapSummary {
        interval: Interval {
            lower: quantile_of_sorted(&values, tail),
            upper: quantile_of_sorted(&values, 1.0 - tail),
            level,
        },
        standard_error: standard_deviation(&values),
        used: values.len(),
        skipped,
    })
}

fn standard_deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / (n - 1.0))
        .sqrt()
}

/// Quantile with linear interpolation between order statistics.
///
/// The `q`-quantile lies at position `q (N - 1)` of the sorted values, counted from 0.
///
/// # Arguments
/// - `values`: `[N]`, finite, in any order.
/// - `q`: in `[0, 1]`.
///
/// # Returns
/// The interpolated value.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::InvalidValue`], [`MetricError::InvalidParameter`].
///
/// # Complexity
/// O(N log N).
///
/// # References
/// Hyndman & Fan, "Sample quantiles in statistical packages", 1996, definition 7.
///
/// # Examples
///
/// ```
/// use ctl_metrics::interval::quantile_linear;
/// assert_eq!(quantile_linear(&[4.0, 1.0, 2.0], 0.75)?, 3.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn quantile_linear(values: &[f64], q: f64) -> Result<f64, MetricError> {
    validate::non_empty("values", values.len())?;
    validate::finite("values", values)?;
    validate::parameter("q", q, "a number in [0, 1]", (0.0..=1.0).contains(&q))?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(quantile_of_sorted(&sorted, q))
}

/// [`quantile_linear`] of at least one ascending value; infinities are allowed.
pub(crate) fn quantile_of_sorted(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = q * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let part = position - below as f64;
    if tied(sorted[below], sorted[above]) {
        return sorted[below];
    }
    sorted[below] + part * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{discrimination::auroc, gather};

    #[test]
    fn one_class_resamples_are_skipped_and_counted() {
        let (scores, labels) = ([0.1, 0.9, 0.5], [false, true, true]);
        let resamples = [[0, 1, 2], [1, 2, 2], [0, 0, 2]];
        let summary = bootstrap(resamples, 0.95, |rows| {
            auroc(&gather(&scores, rows)?, &gather(&labels, rows)?)
        })
        .unwrap();
        assert_eq!((summary.used, summary.skipped), (2, 1));
        assert!(summary.standard_error.abs() < 1e-15);
    }

    #[test]
    fn ill_formed_resamples_are_errors() {
        let error = bootstrap([[0, 9]], 0.95, |rows| Ok(gather(&[1.0], rows)?[0])).unwrap_err();
        assert!(matches!(
            error,
            MetricError::IndexOutOfRange {
                index: 1,
                found: 9,
                ..
            }
        ));
        let error = bootstrap([[0]], 0.95, |_| Ok(1.0)).unwrap_err();
        assert_eq!(
            error,
            MetricError::TooFew {
                subject: "resamples",
                expected: 2,
                found: 1
            }
        );
        assert!(bootstrap([[0], [0]], 0.95, |_| Ok(f64::NAN)).is_err());
        assert!(bootstrap([[0], [0]], 0.0, |_| Ok(1.0)).is_err());
    }

    #[test]
    fn quantiles_reach_both_ends() {
        let values = [3.0, 1.0, 2.0];
        assert_eq!(quantile_linear(&values, 0.0), Ok(1.0));
        assert_eq!(quantile_linear(&values, 1.0), Ok(3.0));
        assert!(quantile_linear(&values, 1.1).is_err());
        assert!(quantile_linear(&[], 0.5).is_err());
    }
}
