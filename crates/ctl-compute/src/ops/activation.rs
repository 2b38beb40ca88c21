//! Softmax and its logarithm from operators whose gradients candle gets right.

use candle_core::Tensor;

use crate::Result;

/// `log softmax(z)` over the dimension `dim`, shifted by the maximum so that nothing overflows.
///
/// # Errors
/// When `dim` is not a dimension of `logits`.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::log_softmax;
///
/// let logits = Tensor::new(&[[1000f64, 1000.0]], &Device::Cpu)?;
/// let out = log_softmax(&logits, 1)?.to_vec2::<f64>()?;
/// assert!((out[0][0] + std::f64::consts::LN_2).abs() < 1e-12);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn log_softmax(logits: &Tensor, dim: usize) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(dim)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(dim)?.log()?;
    Ok(shifted.broadcast_sub(&log_sum)?)
}

/// `softmax(z)` over the dimension `dim`.
///
/// # Errors
/// When `dim` is not a dimension of `logits`.
pub fn softmax(logits: &Tensor, dim: usize) -> Result<Tensor> {
    Ok(log_softmax(logits, dim)?.exp()?)
}
