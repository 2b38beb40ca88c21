//! Normalisation within each sample.

use candle_core::Tensor;

use super::{NormParams, channels_of};
use crate::kernels::normalise::Grouping;
use crate::{ComputeError, Result};

/// Group normalisation: mean and population variance per sample and group of channels.
///
/// `y = a((x − mean) / √(var + ε) · weight + bias + residual)`
///
/// # Arguments
/// - `input`: `[B, …, C]`; `groups` divides `C`; weight and bias: `[C]`
///
/// # Errors
/// When a shape, a type or a setting does not fit, or `groups` does not divide the channels.
///
/// # References
/// Wu & He 2018, equation 7.
pub fn group_norm(input: &Tensor, groups: usize, params: &NormParams<'_>) -> Result<Tensor> {
    grouped("group_norm", input, groups, params)
}

/// Instance normalisation: mean and population variance per sample and channel.
///
/// # Arguments
/// - `input`: `[B, …, C]`; weight and bias: `[C]`
///
/// # Errors
/// When a shape, a type or a setting does not fit.
///
/// # References
/// Ulyanov, Vedaldi & Lempitsky 2016, equation 4.
pub fn instance_norm(input: &Tensor, params: &NormParams<'_>) -> Result<Tensor> {
    let (channels, _) = channels_of("instance_norm", input)?;
    grouped("instance_norm", input, channels, params)
}

fn grouped(
    op: &'static str,
    input: &Tensor,
    groups: usize,
    params: &NormParams<'_>,
) -> Result<Tensor> {
    let (channels, values) = channels_of(op, input)?;
    if groups == 0 || channels % groups != 0 {
        return Err(ComputeError::Option {
            op,
            key: "groups",
            expected: "a divisor of the channels",
            found: format!("{groups} for {channels} channels"),
        });
    }
    let samples = input.dims()[0];
    let grouping = Grouping {
        samples,
        pixels: values / samples.max(1),
        groups,
        width: channels / groups,
    };
    Ok(params.apply(op, input, grouping, None)?.0)
}

/// Layer normalisation over the last axes, as many as weight and bias have.
///
/// # Arguments
/// - `input`: any shape that ends in the shape of weight and bias
///
/// # Errors
/// When a shape, a type or a setting does not fit.
///
/// # References
/// Ba, Kiros & Hinton 2016, equation 4.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{NormParams, layer_norm};
///
/// let x = Tensor::new(&[[1f64, 3.0], [10.0, 30.0]], &Device::Cpu)?;
/// let weight = Tensor::new(&[1f64, 1.0], &Device::Cpu)?;
/// let params = NormParams::new(&weight, &weight).epsilon(1e-12);
/// let y = layer_norm(&x, &params)?.to_vec2::<f64>()?;
/// assert!((y[0][1] - 2.0).abs() < 1e-6 && y[1][0].abs() < 1e-6);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn layer_norm(input: &Tensor, params: &NormParams<'_>) -> Result<Tensor> {
    let (dims, last) = (input.dims(), params.weight.dims());
    if last.is_empty() || !dims.ends_with(last) || params.bias.dims() != last {
        let expected = format!("a shape that ends in that of weight and bias, {last:?}");
        return Err(ComputeError::shape("layer_norm", expected, input.shape()));
    }
    let width = params.weight.elem_count();
    let grouping = Grouping {
        samples: input.elem_count() / width.max(1),
        pixels: 1,
        groups: 1,
        width,
    };
    Ok(params.apply("layer_norm", input, grouping, None)?.0)
}
