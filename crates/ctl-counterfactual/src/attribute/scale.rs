//! From the range of an attribute to the whole line.

use serde::{Deserialize, Serialize};

use crate::encoding::moments;

/// `s = (g(x) − mean) / deviation` with `g` the identity, a logarithm of the distance to a bound, or
/// the logit between two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lower: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upper: Option<f64>,
    mean: f64,
    deviation: f64,
}

impl Scale {
    /// The scale on which the values have mean 0 and deviation 1.
    pub(super) fn fit(lower: Option<f64>, upper: Option<f64>, values: &[f64]) -> Self {
        let mut scale = Self {
            lower,
            upper,
            mean: 0.0,
            deviation: 1.0,
        };
        let unbounded: Vec<f64> = values.iter().map(|&value| scale.forward(value).0).collect();
        (scale.mean, scale.deviation) = moments(&unbounded);
        scale
    }

    /// Whether its numbers can have come of data between these bounds.
    pub(crate) fn is_sound(&self, bounds: (Option<f64>, Option<f64>)) -> bool {
        (self.lower, self.upper) == bounds
            && self.mean.is_finite()
            && self.deviation.is_finite()
            && self.deviation > 0.0
    }

    /// The place on the line, and the logarithm of the derivative.
    pub(super) fn forward(&self, value: f64) -> (f64, f64) {
        let (place, log_slope) = match (self.lower, self.upper) {
            (None, None) => (value, 0.0),
            (Some(lower), None) => {
                let log = (value - lower).ln();
                (log, -log)
            }
            (None, Some(upper)) => {
                let log = (upper - value).ln();
                (-log, -log)
            }
            (Some(lower), Some(upper)) => {
                let (below, above) = (value - lower, upper - value);
                let log_slope = (upper - lower).ln() - below.ln() - above.ln();
                (below.ln() - above.ln(), log_slope)
            }
        };
        let place = (place - self.mean) / self.deviation;
        (place, log_slope - self.deviation.ln())
    }

    /// The value at a place on the line.
    pub(super) fn inverse(&self, place: f64) -> f64 {
        let place = place * self.deviation + self.mean;
        if !place.is_finite() {
            // No value at all, which whoever asked must see.
            return f64::NAN;
        }
        let value = self.unlimited(place);
        // Far out, rounding would put the value on the bound, which is not a possible value.
        let value = self.lower.map_or(value, |bound| value.max(bound.next_up()));
        self.upper
            .map_or(value, |bound| value.min(bound.next_down()))
    }

    fn unlimited(&self, place: f64) -> f64 {
        match (self.lower, self.upper) {
            (None, None) => place,
            (Some(lower), None) => lower + place.exp(),
            (None, Some(upper)) => upper - (-place).exp(),
            (Some(lower), Some(upper)) => {
                // From the nearer bound, so that nothing is lost beside it.
                if place < 0.0 {
                    lower + (upper - lower) * place.exp() / (1.0 + place.exp())
                } else {
                    upper - (upper - lower) * (-place).exp() / (1.0 + (-place).exp())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, None)]
    #[case(Some(1.0), None)]
    #[case(None, Some(9.0))]
    #[case(Some(1.0), Some(9.0))]
    fn inverts_with_the_right_slope(#[case] lower: Option<f64>, #[case] upper: Option<f64>) {
        let values = [1.2, 2.0, 5.0, 8.0, 8.9];
        let scale = Scale::fit(lower, upper, &values);
        let places: Vec<f64> = values.iter().map(|&v| scale.forward(v).0).collect();
        let (mean, deviation) = moments(&places);
        assert!(mean.abs() < 1e-12 && (deviation - 1.0).abs() < 1e-12);
        for value in values {
            let (place, log_slope) = scale.forward(value);
            assert!((scale.inverse(place) - value).abs() < 1e-12, "{value}");
            let step = 1e-6;
            let rise =
                (scale.forward(value + step).0 - scale.forward(value - step).0) / (2.0 * step);
            assert!((rise.ln() - log_slope).abs() < 1e-6, "{value}");
        }
    }
}
