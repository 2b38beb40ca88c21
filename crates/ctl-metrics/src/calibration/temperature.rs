//! Temperature scaling.

use serde::Serialize;

use super::scores::{negative_log_likelihood, softmax};
use crate::{MetricError, validate};

/// Largest inverse temperature that is tried before the classes count as separated.
const INVERSE_LIMIT: f64 = 1e12;
/// Bisection steps; each halves the bracket, so this many exhaust double precision.
const BISECTIONS: usize = 200;

/// The temperature that fits a set of logits best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TemperatureFit {
    /// The minimiser `T` of the negative log-likelihood of `logits / T`.
    pub temperature: f64,
    /// Mean negative log-likelihood at `T = 1`, in nats.
    pub nll_before: f64,
    /// Mean negative log-likelihood at the minimiser, in nats.
    pub nll_after: f64,
}

/// Fits a temperature: `argmin_T mean_i -ln softmax(z_i / T)_{y_i}`.
///
/// The objective is convex in `1 / T`; the root of its derivative is bracketed and bisected.
///
/// # Arguments
/// - `logits`: `[N, K]` row-major, finite.
/// - `classes`: `K`, at least 2.
/// - `labels`: `[N]` class indices below `K`.
///
/// # Returns
/// The temperature with the likelihoods before and after. Fit on validation data, never on the
/// data that are scored.
///
/// # Errors
/// [`MetricError::Undefined`] when no finite positive temperature is optimal: every sample is
/// predicted rightly (`T` to 0), or the logits of the true classes are no higher than the row means
/// (`T` to infinity). Otherwise as [`negative_log_likelihood`].
///
/// # Complexity
/// O(N K) per step, at most a few hundred steps.
///
/// # References
/// Guo et al., "On calibration of modern neural networks", 2017, section 4.2.
///
/// # Examples
///
/// ```
/// use ctl_metrics::calibration::fit_temperature;
/// // Three of four right with logit 2: the best probability is 3/4, so 2 / T = ln 3.
/// let fit = fit_temperature(&[2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0], 2, &[0, 0, 0, 1])?;
/// assert!((fit.temperature - 2.0 / 3.0_f64.ln()).abs() < 1e-12);
/// assert!(fit.nll_after < fit.nll_before);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn fit_temperature(
    logits: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<TemperatureFit, MetricError> {
    let nll_before = negative_log_likelihood(logits, classes, labels, 1.0)?;
    let slope = |inverse: f64| slope(logits, classes, labels, inverse);
    if slope(0.0) >= 0.0 {
        return Err(undefined(
            "logits of the true classes no higher than the row means",
        ));
    }
    let temperature = 1.0 / root(slope)?;
    let nll_after = negative_log_likelihood(logits, classes, labels, temperature)?;
    Ok(TemperatureFit {
        temperature,
        nll_before,
        nll_after,
    })
}

fn undefined(found: &'static str) -> MetricError {
    MetricError::Undefined {
        subject: "temperature",
        expected: "logits with a finite positive optimum",
        found,
    }
}

/// Derivative of the mean negative log-likelihood by the inverse temperature.
fn slope(logits: &[f64], classes: usize, labels: &[usize], inverse: f64) -> f64 {
    let row_slope = |(row, &label): (&[f64], &usize)| -> f64 {
        let probabilities = softmax(row, inverse);
        // Differences to the true class's logit keep the sum exact where one class dominates.
        probabilities
            .iter()
            .zip(row)
            .map(|(p, z)| p * (z - row[label]))
            .sum()
    };
    let sum: f64 = logits
        .chunks_exact(classes)
        .zip(labels)
        .map(row_slope)
        .sum();
    sum / labels.len() as f64
}

/// Root of an increasing function that is negative at zero.
fn root(slope: impl Fn(f64) -> f64) -> Result<f64, MetricError> {
    let (mut low, mut high) = (0.0, 1.0);
    while slope(high) <= 0.0 {
        low = high;
        high *= 2.0;
        if high > INVERSE_LIMIT {
            return Err(undefined("every sample predicted rightly"));
        }
    }
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let root = f64::midpoint(low, high);
    validate::parameter(
        "temperature",
        root.recip(),
        "a finite number",
        root.recip().is_finite(),
    )?;
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_is_a_minimum() {
        let logits = [
            2.0, 0.5, -1.0, 0.3, 1.9, 0.0, 1.0, -0.5, 0.2, -2.0, 0.0, 1.0,
        ];
        let labels = [0, 1, 2, 2];
        let fit = fit_temperature(&logits, 3, &labels).unwrap();
        for factor in [0.99, 1.01] {
            let moved = fit.temperature * factor;
            let nll = negative_log_likelihood(&logits, 3, &labels, moved).unwrap();
            assert!(nll > fit.nll_after);
        }
    }

    #[test]
    fn separated_classes_have_no_finite_optimum() {
        let error = fit_temperature(&[1.0, 0.0, 0.0, 3.0], 2, &[0, 1]).unwrap_err();
        assert!(matches!(
            error,
            MetricError::Undefined {
                found: "every sample predicted rightly",
                ..
            }
        ));
    }

    #[test]
    fn wrong_logits_call_for_infinite_temperature() {
        let error = fit_temperature(&[1.0, 0.0, 0.0, 3.0], 2, &[1, 0]).unwrap_err();
        assert!(error.is_undefined());
        assert!(
            fit_temperature(&[0.0; 4], 2, &[1, 0])
                .unwrap_err()
                .is_undefined()
        );
    }
}
