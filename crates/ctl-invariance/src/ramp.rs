//! Weights that grow at the beginning of training.

/// `exp(−5 (1 − t/T)²)`, 1 from step T on: a weight that is small as long as predictions are poor.
///
/// # References
/// Laine & Aila 2017, "Temporal Ensembling for Semi-Supervised Learning", appendix A.
pub(crate) fn sigmoid_ramp(step: u64, steps: u64) -> f64 {
    if step >= steps {
        return 1.0;
    }
    let left = 1.0 - step as f64 / steps as f64;
    (-5.0 * left * left).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_from_almost_nothing_to_one() {
        assert!((sigmoid_ramp(0, 10) - (-5f64).exp()).abs() < 1e-15);
        assert!((sigmoid_ramp(5, 10) - (-1.25f64).exp()).abs() < 1e-15);
        for (step, steps) in [(10, 10), (11, 10), (0, 0)] {
            assert!((sigmoid_ramp(step, steps) - 1.0).abs() < 1e-15);
        }
    }
}
