//! Differences between groups in how often a decision is positive, and how often rightly.

use serde::Serialize;

use super::table::group_rows;
use crate::discrimination::BinaryConfusion;
use crate::{MetricError, gather, validate};

/// How a binary decision falls out on one group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GroupRates<'a, G> {
    /// The group.
    pub group: &'a G,
    /// Number of its samples.
    pub samples: usize,
    /// Fraction of right decisions.
    pub accuracy: f64,
    /// Fraction of positive decisions.
    pub selection_rate: f64,
    /// Fraction of positives decided positive; `None` without positives.
    pub true_positive_rate: Option<f64>,
    /// Fraction of negatives decided positive; `None` without negatives.
    pub false_positive_rate: Option<f64>,
}

/// Extremes of a rate over groups.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Largest minus smallest rate.
    pub difference: f64,
    /// Smallest over largest rate; 1 when all rates are 0.
    pub ratio: f64,
}

/// Decision rates of each group, in group order.
///
/// # Arguments
/// - `predictions`, `labels`: `[N]`, `true` for positive.
/// - `groups`: `[N]`, the group of each sample.
///
/// # Returns
/// One row per group.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::LengthMismatch`].
///
/// # Complexity
/// O(N log N).
///
/// # Examples
///
/// ```
/// use ctl_metrics::groups::group_rates;
/// let rates = group_rates(&[true, false, true], &[true, true, true], &["f", "f", "m"])?;
/// assert_eq!((rates[0].samples, rates[0].selection_rate), (2, 0.5));
/// assert_eq!(rates[1].true_positive_rate, Some(1.0));
/// assert_eq!(rates[1].false_positive_rate, None);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn group_rates<'a, G: Ord>(
    predictions: &[bool],
    labels: &[bool],
    groups: &'a [G],
) -> Result<Vec<GroupRates<'a, G>>, MetricError> {
    validate::same_len("predictions", groups.len(), predictions.len())?;
    validate::same_len("labels", groups.len(), labels.len())?;
    let rates = |(group, rows): (&'a G, Vec<usize>)| {
        let (own_predictions, own_labels) = (gather(predictions, &rows)?, gather(labels, &rows)?);
        let confusion = BinaryConfusion::from_predictions(&own_predictions, &own_labels)?;
        Ok(GroupRates {
            group,
            samples: rows.len(),
            accuracy: confusion.accuracy(),
            selection_rate: confusion.selection_rate(),
            true_positive_rate: confusion.sensitivity().ok(),
            false_positive_rate: confusion.false_positive_rate().ok(),
        })
    };
    group_rows(groups)?.into_iter().map(rates).collect()
}

/// Demographic parity: the spread of the selection rates.
///
/// # Arguments
/// - `rates`: from [`group_rates`].
///
/// # Returns
/// Difference `max - min` (0 is parity) and ratio `min / max` (1 is parity).
///
/// # Errors
/// [`MetricError::Empty`] without groups.
///
/// # References
/// Agarwal et al., "A reductions approach to fair classification", 2018; Fairlearn's definitions.
///
/// # Examples
///
/// ```
/// use ctl_metrics::groups::{demographic_parity, group_rates};
/// let rates = group_rates(&[true, false, true, true], &[true; 4], &[0, 0, 1, 1])?;
/// let parity = demographic_parity(&rates)?;
/// assert_eq!((parity.difference, parity.ratio), (0.5, 0.5));
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn demographic_parity<G>(rates: &[GroupRates<'_, G>]) -> Result<Spread, MetricError> {
    let selected: Vec<f64> = rates.iter().map(|row| row.selection_rate).collect();
    spread(&selected)
}

/// Equal opportunity: largest minus smallest true positive rate.
///
/// # Arguments
/// - `rates`: from [`group_rates`].
///
/// # Returns
/// A value in `[0, 1]`; 0 is equal opportunity.
///
/// # Errors
/// [`MetricError::Empty`] without groups, [`MetricError::SingleClass`] when a group has no
/// positives.
///
/// # References
/// Hardt, Price & Srebro, "Equality of opportunity in supervised learning", 2016.
///
/// # Examples
///
/// ```
/// use ctl_metrics::groups::{equal_opportunity_difference, group_rates};
/// let rates = group_rates(&[true, false, true, true], &[true; 4], &[0, 0, 1, 1])?;
/// assert_eq!(equal_opportunity_difference(&rates)?, 0.5);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn equal_opportunity_difference<G>(rates: &[GroupRates<'_, G>]) -> Result<f64, MetricError> {
    let missing = MetricError::SingleClass { found: false };
    difference_of(rates, |row| row.true_positive_rate, &missing)
}

/// Equalised odds: the larger of the gaps in true and in false positive rate.
///
/// # Arguments
/// - `rates`: from [`group_rates`].
///
/// # Returns
/// A value in `[0, 1]`; 0 is equalised odds.
///
/// # Errors
/// [`MetricError::Empty`] without groups, [`MetricError::SingleClass`] when a group lacks a class.
///
/// # References
/// Hardt, Price & Srebro, "Equality of opportunity in supervised learning", 2016.
///
/// # Examples
///
/// ```
/// use ctl_metrics::groups::{equalized_odds_difference, group_rates};
/// let labels = [true, false, true, false];
/// let rates = group_rates(&[true, false, true, true], &labels, &[0, 0, 1, 1])?;
/// assert_eq!(equalized_odds_difference(&rates)?, 1.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn equalized_odds_difference<G>(rates: &[GroupRates<'_, G>]) -> Result<f64, MetricError> {
    let missing = MetricError::SingleClass { found: true };
    let among_negatives = difference_of(rates, |row| row.false_positive_rate, &missing)?;
    Ok(equal_opportunity_difference(rates)?.max(among_negatives))
}

fn difference_of<'a, G>(
    rates: &[GroupRates<'a, G>],
    rate: impl Fn(&GroupRates<'a, G>) -> Option<f64>,
    missing: &MetricError,
) -> Result<f64, MetricError> {
    let values: Option<Vec<f64>> = rates.iter().map(rate).collect();
    Ok(spread(&values.ok_or_else(|| missing.clone())?)?.difference)
}

fn spread(values: &[f64]) -> Result<Spread, MetricError> {
    validate::non_empty("rates", values.len())?;
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let ratio = if highest > 0.0 { lowest / highest } else { 1.0 };
    Ok(Spread {
        difference: highest - lowest,
        ratio,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_a_class_has_no_odds() {
        let labels = [true, false, true, true];
        let rates = group_rates(&[true; 4], &labels, &[0, 0, 1, 1]).unwrap();
        assert_eq!(equal_opportunity_difference(&rates), Ok(0.0));
        assert_eq!(
            equalized_odds_difference(&rates).unwrap_err(),
            MetricError::SingleClass { found: true }
        );
    }

    #[test]
    fn nobody_selected_is_parity() {
        let rates = group_rates(&[false; 2], &[true; 2], &[0, 1]).unwrap();
        assert_eq!(
            demographic_parity(&rates),
            Ok(Spread {
                difference: 0.0,
                ratio: 1.0
            })
        );
    }

    #[test]
    fn ill_shaped_input_is_refused() {
        assert!(group_rates(&[true], &[true], &[0, 1]).is_err());
        assert!(group_rates::<u8>(&[], &[], &[]).is_err());
        assert!(demographic_parity::<u8>(&[]).is_err());
    }
}
