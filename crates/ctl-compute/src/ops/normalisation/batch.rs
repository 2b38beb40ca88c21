//! Batch normalisation, by the batch's own statistics or by given ones.

use candle_core::Tensor;

use super::{ChannelStatistics, NormParams, Rectifier, channels_of};
use crate::kernels::normalise::{Grouping, Moments};
use crate::{ComputeError, Result};

/// Every channel is a group over all samples and pixels.
fn grouping(op: &'static str, input: &Tensor) -> Result<Grouping> {
    let (channels, values) = channels_of(op, input)?;
    Ok(Grouping {
        samples: 1,
        pixels: values,
        groups: channels,
        width: 1,
    })
}

/// Batch normalisation by the statistics of the batch itself.
///
/// `y = a((x − mean) / √(var + ε) · weight + bias + residual)`, mean and population variance per
/// channel over batch and pixels.
///
/// # Arguments
/// - `input`: `[B, …, C]`; weight and bias: `[C]`
///
/// # Returns
/// The normalised tensor and the statistics of the batch, for a running average.
///
/// # Errors
/// When a shape, a type or a setting does not fit.
///
/// # References
/// Ioffe & Szegedy 2015, algorithm 1.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{NormParams, Rectifier, batch_norm};
///
/// let x = Tensor::new(&[[1f32], [3.0]], &Device::Cpu)?;
/// let weight = Tensor::new(&[2f32], &Device::Cpu)?;
/// let bias = Tensor::new(&[1f32], &Device::Cpu)?;
/// let params = NormParams::new(&weight, &bias).activation(Rectifier::Relu);
/// let (y, statistics) = batch_norm(&x, &params)?;
/// let y = y.flatten_all()?.to_vec1::<f32>()?;
/// assert!(y[0] == 0.0 && (y[1] - 3.0).abs() < 1e-4);
/// assert_eq!((statistics.mean[0], statistics.variance[0]), (2.0, 1.0));
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn batch_norm(input: &Tensor, params: &NormParams<'_>) -> Result<(Tensor, ChannelStatistics)> {
    let grouping = grouping("batch_norm", input)?;
    let (out, moments) = params.apply("batch_norm", input, grouping, None)?;
    let statistics = ChannelStatistics {
        count: grouping.pixels,
        mean: moments.mean,
        variance: moments.variance,
    };
    Ok((out, statistics))
}

/// Batch normalisation by given statistics: running ones in evaluation, frozen ones in training,
/// or those of a pass over other data ([`ChannelStatistics::join`]).
///
/// Weight and bias receive gradients where they are variables; the statistics are constants.
///
/// # Arguments
/// - `input`: `[B, …, C]`; weight and bias: `[C]`
///
/// # Errors
/// When a shape, a type or a setting does not fit.
pub fn batch_norm_with(
    input: &Tensor,
    statistics: &ChannelStatistics,
    params: &NormParams<'_>,
) -> Result<Tensor> {
    let grouping = grouping("batch_norm_with", input)?;
    for values in [&statistics.mean, &statistics.variance] {
        if values.len() != grouping.groups {
            return Err(ComputeError::State {
                what: "batch_norm_with",
                expected: format!("statistics of {} channels", grouping.groups),
                found: format!("{} channels", values.len()),
            });
        }
    }
    let given = Moments {
        mean: statistics.mean.clone(),
        variance: statistics.variance.clone(),
    };
    Ok(params
        .apply("batch_norm_with", input, grouping, Some(given))?
        .0)
}

/// `y = a(x + bias)` with one bias per channel.
///
/// # Arguments
/// - `input`: `[B, …, C]`; `bias`: `[C]`
///
/// # Errors
/// When a shape, a type or the slope does not fit.
pub fn channel_bias(input: &Tensor, bias: &Tensor, activation: Rectifier) -> Result<Tensor> {
    let grouping = grouping("channel_bias", input)?;
    let weight = bias.ones_like()?;
    let params = NormParams::new(&weight, bias).activation(activation);
    // The variance and its ε make exactly 1.
    let given = Moments {
        mean: vec![0.0; grouping.groups],
        variance: vec![1.0 - params.epsilon; grouping.groups],
    };
    Ok(params
        .apply("channel_bias", input, grouping, Some(given))?
        .0)
}
