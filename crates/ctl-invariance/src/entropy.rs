//! How undecided a predictor is.

use candle_core::Tensor;
use ctl_compute::ComputeError;
use ctl_compute::ops::{log_softmax, softmax};

use crate::Result;

/// Entropy of the predicted class in nats, `−Σ_k p_k log p_k` with `p = softmax(z)`, for every
/// sample; its mean over the pixels where there are pixels.
///
/// # Arguments
/// - `outputs`: logits `[B, K]` or `[B, K, …]`.
///
/// # Returns
/// `[B]`, each between 0 and `log K`; the mean of it is the entropy over samples and pixels.
///
/// # Errors
/// When the outputs have no dimension of classes.
///
/// # References
/// Wang, Shelhamer, Liu, Olshausen & Darrell 2021, *Tent: Fully test-time adaptation by entropy
/// minimization*, section 3.1.
///
/// # Examples
/// Nothing is known of the first sample, and of the second it is 3 : 1:
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::softmax_entropy;
///
/// let outputs = Tensor::new(&[[0f64, 0.0], [3f64.ln(), 0.0]], &Device::Cpu)?;
/// let entropy = softmax_entropy(&outputs)?.to_vec1::<f64>()?;
/// assert!((entropy[0] - 2f64.ln()).abs() < 1e-12);
/// assert!((entropy[1] - (4f64.ln() - 0.75 * 3f64.ln())).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn softmax_entropy(outputs: &Tensor) -> Result<Tensor> {
    if outputs.rank() < 2 {
        return Err(ComputeError::Shape {
            op: "softmax entropy",
            expected: "outputs [B, K, …]".into(),
            found: format!("{:?}", outputs.dims()),
        }
        .into());
    }
    let entropy = (softmax(outputs, 1)? * log_softmax(outputs, 1)?)?.sum(1)?;
    let entropy = if entropy.rank() > 1 {
        entropy.flatten_from(1)?.mean(1)?
    } else {
        entropy
    };
    Ok(entropy.neg()?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::methods::testing::{assert_gradient, tensor};

    /// Two pixels, one undecided and one certain: half of log 2.
    #[test]
    fn pixels_are_averaged_and_certainty_has_none() {
        let outputs = tensor(&[0.0, 1e4, 0.0, -1e4], &[1, 2, 1, 2]);
        let entropy = softmax_entropy(&outputs).unwrap().to_vec1::<f64>().unwrap();
        assert!((entropy[0] - 0.5 * 2f64.ln()).abs() < 1e-12, "{entropy:?}");
        let flat = Tensor::new(&[0f64, 1.0], &Device::Cpu).unwrap();
        let message = softmax_entropy(&flat).unwrap_err().to_string();
        assert!(message.contains("[B, K"), "{message}");
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let outputs = tensor(&[0.3, -0.2, 1.1, 0.4, -0.6, 0.9, 2.0, 0.1], &[1, 2, 2, 2]);
        assert_gradient(&outputs, |z| {
            softmax_entropy(z).unwrap().mean_all().unwrap()
        });
    }
}
