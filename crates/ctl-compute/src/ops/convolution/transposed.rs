//! Transposed convolutions: the input gradient of a convolution as a layer of its own.

use std::sync::Arc;

use candle_core::Tensor;

use super::checks;
use super::operators::{Geometry, Kind, Product};
use super::options::ConvTransposeOptions;
use super::{filter, image, image_shape, volume};
use crate::kernels::conv::{ConvShape, ConvSizes};
use crate::ops::activation::Activation;
use crate::{ComputeError, Result};

/// Transposed convolution of images, channels last.
///
/// Input pixel `(i, j)` adds `w[c, o, u, v] · x[b, i, j, c]` to output pixel
/// `(i·s + u·d − p, j·s + v·d − p)`; bias and activation follow.
///
/// # Arguments
/// - `input`: `[B, H, W, C]`; `weight`: `[C, O / groups, U, V]`; `bias`: `[O]`
///
/// # Returns
/// `[B, (H − 1)s − 2p + d(U − 1) + 1 + q, (W − 1)s − 2p + d(V − 1) + 1 + q, O]` with the output
/// padding `q`
///
/// # Errors
/// As for [`conv2d`](super::conv2d), and when the output padding is not less than stride or
/// dilation or the padding leaves no output.
///
/// # Examples
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_compute::ops::{ConvTransposeOptions, conv_transpose2d};
/// use ctl_compute::ops::Activation;
///
/// let image = Tensor::new(&[[[[2f32]]]], &Device::Cpu)?;
/// let weight = Tensor::ones((1, 1, 2, 2), DType::F32, &Device::Cpu)?;
/// let options = ConvTransposeOptions::default().with_stride([2, 2]);
/// let out = conv_transpose2d(&image, &weight, None, Activation::Identity, &options)?;
/// assert_eq!(out.dims(), [1, 2, 2, 1]);
/// assert_eq!(out.flatten_all()?.to_vec1::<f32>()?, [2.0; 4]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn conv_transpose2d(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    options: &ConvTransposeOptions<2>,
) -> Result<Tensor> {
    transpose("conv_transpose2d", input, weight, bias, activation, options)
}

/// Transposed convolution of volumes, channels last; [`conv_transpose2d`] with one axis more.
///
/// # Arguments
/// - `input`: `[B, D, H, W, C]`; `weight`: `[C, O / groups, T, U, V]`; `bias`: `[O]`
///
/// # Returns
/// `[B, D', H', W', O]`
///
/// # Errors
/// As for [`conv_transpose2d`].
///
/// # Examples
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_compute::ops::{ConvTransposeOptions, conv_transpose3d};
/// use ctl_compute::ops::Activation;
///
/// let volume = Tensor::ones((1, 3, 3, 3, 4), DType::F32, &Device::Cpu)?;
/// let weight = Tensor::ones((4, 2, 2, 2, 2), DType::F32, &Device::Cpu)?;
/// let options = ConvTransposeOptions::default().with_stride([2; 3]);
/// let out = conv_transpose3d(&volume, &weight, None, Activation::Identity, &options)?;
/// assert_eq!(out.dims(), [1, 6, 6, 6, 2]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn conv_transpose3d(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    options: &ConvTransposeOptions<3>,
) -> Result<Tensor> {
    transpose("conv_transpose3d", input, weight, bias, activation, options)
}

fn transpose<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    options: &ConvTransposeOptions<N>,
) -> Result<Tensor> {
    checks::operands(op, input, weight, bias)?;
    let (batch, size, channels_in) = image::<N>(op, input)?;
    let (weight_in, group_out, kernel) = filter::<N>(op, weight)?;
    if weight_in != channels_in {
        let expected = format!("a weight with {channels_in} leading channels");
        return Err(ComputeError::shape(op, expected, weight.shape()));
    }
    let channels_out = group_out.saturating_mul(options.groups);
    checks::bias(op, bias, channels_out)?;
    let mut output = [0; N];
    for (axis, len) in output.iter_mut().enumerate() {
        *len = output_len(op, size[axis], kernel[axis], options, axis)?;
    }
    let sizes = ConvSizes {
        batch,
        channels: [channels_out, channels_in],
        groups: options.groups,
        input: volume(output, 1),
        kernel: volume(kernel, 1),
        stride: volume(options.stride, 1),
        padding: volume(options.padding, 0),
        dilation: volume(options.dilation, 1),
    };
    let shape = ConvShape::new(op, &sizes)?.with_output(volume(size, 1));
    let product = Product {
        name: op,
        geometry: Arc::new(Geometry {
            shape,
            input: image_shape::<N>(batch, volume(output, 1), channels_out),
            weight: weight.shape().clone(),
            output: input.shape().clone(),
        }),
        kind: Kind::Input,
        relu: activation == Activation::Relu,
    };
    Ok(product.apply(input, weight, bias)?)
}

fn output_len<const N: usize>(
    op: &'static str,
    len: usize,
    kernel: usize,
    options: &ConvTransposeOptions<N>,
    axis: usize,
) -> Result<usize> {
    let (stride, dilation) = (options.stride[axis], options.dilation[axis]);
    let extra = options.output_padding[axis];
    if extra > 0 && extra >= stride.max(dilation) {
        return Err(ComputeError::Option {
            op,
            key: "output_padding",
            expected: "less than stride or dilation",
            found: extra.to_string(),
        });
    }
    let full = len
        .checked_sub(1)
        .and_then(|steps| steps.checked_mul(stride))
        .zip(kernel.checked_sub(1).and_then(|k| k.checked_mul(dilation)))
        .and_then(|(steps, reach)| steps.checked_add(reach)?.checked_add(extra + 1));
    full.zip(options.padding[axis].checked_mul(2))
        .and_then(|(full, cut)| full.checked_sub(cut))
        .filter(|&out| out > 0)
        .ok_or_else(|| ComputeError::Shape {
            op,
            expected: "sizes that leave an output".into(),
            found: format!("{len} pixels, a kernel of {kernel} and {options:?}"),
        })
}
