//! Weights of samples.

/// Weights that are cut off at `largest` times their mean and then given a mean of 1; all are 1 where
/// none is positive.
///
/// # Arguments
/// - `raw`: not negative.
/// - `largest`: at least 1; infinity cuts nothing off.
pub(crate) fn with_mean_one(raw: &[f64], largest: f64) -> Vec<f32> {
    let Some(mean) = mean(raw) else {
        return vec![1.0; raw.len()];
    };
    let cut: Vec<f64> = raw.iter().map(|w| (w / mean).min(largest)).collect();
    // Cutting off keeps a positive mean.
    let after = mean_of(&cut);
    cut.iter().map(|w| (w / after) as f32).collect()
}

fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn mean(values: &[f64]) -> Option<f64> {
    let mean = mean_of(values);
    (mean.is_finite() && mean > 0.0).then_some(mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_one_and_what_is_large_is_cut_off() {
        let none = f64::INFINITY;
        assert_eq!(with_mean_one(&[1.0, 3.0], none), [0.5, 1.5]);
        assert_eq!(with_mean_one(&[0.0, 0.0], none), [1.0, 1.0]);
        assert_eq!(with_mean_one(&[], none), [0f32; 0]);
        // Relative to their mean 10 they are 0, 0, 0 and 4; cut off at 2, and of mean 1 again, 4.
        assert_eq!(
            with_mean_one(&[0.0, 0.0, 0.0, 40.0], 2.0),
            [0.0, 0.0, 0.0, 4.0]
        );
        // 1, 1, 1, 7 of mean 2.5 are 0.4, 0.4, 0.4, 2.8; cut off at 2 the mean is 0.8.
        assert_eq!(
            with_mean_one(&[1.0, 1.0, 1.0, 7.0], 2.0),
            [0.5, 0.5, 0.5, 2.5]
        );
    }
}
