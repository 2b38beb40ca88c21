//! Means over cases of which some are infinitely far apart.

use serde::Serialize;

use crate::{MetricError, validate};

/// The mean of the finite values and how many were not finite.
///
/// A distance between a mask and an empty one is infinite; a mean that leaves such cases out
/// says how many they were.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FiniteMean {
    /// Mean of the finite values, absent when there are none.
    pub mean: Option<f64>,
    /// Number of finite values.
    pub finite: usize,
    /// Number of infinite values.
    pub infinite: usize,
}

impl FiniteMean {
    /// Averages the values that are finite.
    ///
    /// # Errors
    /// [`MetricError::Empty`] without values, [`MetricError::InvalidValue`] for `NaN`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::segmentation::FiniteMean;
    /// let found = FiniteMean::of(&[2.0, f64::INFINITY, 4.0])?;
    /// assert_eq!((found.mean, found.finite, found.infinite), (Some(3.0), 2, 1));
    /// assert_eq!(FiniteMean::of(&[f64::INFINITY])?.mean, None);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn of(values: &[f64]) -> Result<Self, MetricError> {
        validate::non_empty("values", values.len())?;
        validate::not_nan("values", values)?;
        let kept: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let mean = kept.iter().sum::<f64>() / kept.len().max(1) as f64;
        Ok(Self {
            mean: (!kept.is_empty()).then_some(mean),
            finite: kept.len(),
            infinite: values.len() - kept.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ill_values_are_typed() {
        assert!(matches!(
            FiniteMean::of(&[]),
            Err(MetricError::Empty { .. })
        ));
        let error = FiniteMean::of(&[1.0, f64::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "values[1]: expected a number, found NaN");
    }
}
