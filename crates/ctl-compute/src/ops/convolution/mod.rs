//! Convolutions over channels-last images and volumes.

pub(super) mod checks;
pub(super) mod operators;
mod options;
mod transposed;

use std::sync::Arc;

use candle_core::{Shape, Tensor};

pub use options::{ConvOptions, ConvTransposeOptions};
pub use transposed::{conv_transpose2d, conv_transpose3d};

use super::activation::Activation;
use super::composite::has_kernels;
use super::pointwise::{Function, activate};
use crate::kernels::conv::{ConvShape, ConvSizes};
use crate::{ComputeError, Result};
use operators::{Behind, Geometry, Kind, Product};

/// Convolution of images (cross-correlation, as deep learning has it), channels last.
///
/// `y[b, i, j, o] = a(bias[o] + Σ_{c, u, v} w[o, c, u, v] · x[b, i·s + u·d − p, j·s + v·d − p, c])`
///
/// Gradients are operators of the same kind, so that second derivatives exist (set
/// `CANDLE_GRAD_DO_NOT_DETACH=1` before candle's first use); the gradient of an input that nothing
/// trains upstream of is not computed.
///
/// # Arguments
/// - `input`: `[B, H, W, C]`; `weight`: `[O, C / groups, U, V]`; `bias`: `[O]`
///
/// # Returns
/// `[B, (H + 2p − d(U − 1) − 1) / s + 1, (W + 2p − d(V − 1) − 1) / s + 1, O]`, divisions rounded
/// down.
///
/// # Errors
/// When a rank, the channels, the bias, a dtype or the device does not fit, an option is 0, groups
/// do not divide the channels, the padded image is smaller than the kernel, or a size overflows.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{ConvOptions, conv2d};
/// use ctl_compute::ops::Activation;
///
/// let image = Tensor::new(&[[[[1f32], [2.0]], [[3.0], [4.0]]]], &Device::Cpu)?;
/// let sum = Tensor::ones((1, 1, 2, 2), candle_core::DType::F32, &Device::Cpu)?;
/// let out = conv2d(&image, &sum, None, Activation::Identity, &ConvOptions::default())?;
/// assert_eq!(out.dims(), [1, 1, 1, 1]);
/// assert_eq!(out.flatten_all()?.to_vec1::<f32>()?, [10.0]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn conv2d(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    options: &ConvOptions<2>,
) -> Result<Tensor> {
    convolve("conv2d", input, weight, bias, activation, options)
}

/// Convolution of volumes, channels last; [`conv2d`] with one axis more.
///
/// # Arguments
/// - `input`: `[B, D, H, W, C]`; `weight`: `[O, C / groups, T, U, V]`; `bias`: `[O]`
///
/// # Returns
/// `[B, D', H', W', O]`
///
/// # Errors
/// As for [`conv2d`].
///
/// # Examples
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_compute::ops::{ConvOptions, conv3d};
/// use ctl_compute::ops::Activation;
///
/// let volume = Tensor::ones((1, 4, 4, 4, 2), DType::F32, &Device::Cpu)?;
/// let weight = Tensor::ones((3, 2, 3, 3, 3), DType::F32, &Device::Cpu)?;
/// let out = conv3d(&volume, &weight, None, Activation::Relu, &ConvOptions::same([3; 3]))?;
/// assert_eq!(out.dims(), [1, 4, 4, 4, 3]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn conv3d(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    options: &ConvOptions<3>,
) -> Result<Tensor> {
    convolve("conv3d", input, weight, bias, activation, options)
}

/// Convolution of `f(x)`, channels last; [`conv2d`] behind an activation that is not kept.
///
/// The backward pass evaluates `f(x)` again, so that of the two tensors only `x` stays in memory.
///
/// # Arguments
/// As for [`conv2d`]; `function` acts on the input.
///
/// # Errors
/// As for [`conv2d`].
///
/// # Examples
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_compute::ops::{ConvOptions, Function, conv2d_after};
///
/// let image = Tensor::zeros((1, 2, 2, 1), DType::F64, &Device::Cpu)?;
/// let weight = Tensor::ones((1, 1, 1, 1), DType::F64, &Device::Cpu)?;
/// let bias = Tensor::ones(1, DType::F64, &Device::Cpu)?;
/// let f = Function::Sigmoid;
/// let out = conv2d_after(f, &image, &weight, &bias, &ConvOptions::default())?;
/// assert_eq!(out.flatten_all()?.to_vec1::<f64>()?, [1.5; 4]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn conv2d_after(
    function: Function,
    input: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    options: &ConvOptions<2>,
) -> Result<Tensor> {
    const OP: &str = "conv2d_after";
    let product = product(OP, input, weight, Some(bias), Activation::Identity, options)?;
    if !has_kernels(input) {
        return Ok(product.apply(&activate(input, function)?, weight, Some(bias))?);
    }
    let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
    let op = Behind { function, product };
    Ok(input.contiguous()?.apply_op3(&weight, &bias, op)?)
}

fn convolve<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    options: &ConvOptions<N>,
) -> Result<Tensor> {
    let product = product(op, input, weight, bias, activation, options)?;
    Ok(product.apply(input, weight, bias)?)
}

fn product<const N: usize>(
    op: &'static str,
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    options: &ConvOptions<N>,
) -> Result<Product> {
    checks::operands(op, input, weight, bias)?;
    let (batch, size, channels_in) = image::<N>(op, input)?;
    let (channels_out, group_in, kernel) = filter::<N>(op, weight)?;
    if group_in.checked_mul(options.groups) != Some(channels_in) {
        let expected = format!(
            "a weight for {channels_in} channels in {} groups",
            options.groups
        );
        return Err(ComputeError::shape(op, expected, weight.shape()));
    }
    checks::bias(op, bias, channels_out)?;
    let shape = ConvShape::new(
        op,
        &ConvSizes {
            batch,
            channels: [channels_in, channels_out],
            groups: options.groups,
            input: volume(size, 1),
            kernel: volume(kernel, 1),
            stride: volume(options.stride, 1),
            padding: volume(options.padding, 0),
            dilation: volume(options.dilation, 1),
        },
    )?;
    Ok(Product {
        name: op,
        geometry: Arc::new(Geometry {
            shape,
            input: input.shape().clone(),
            weight: weight.shape().clone(),
            output: image_shape::<N>(batch, shape.output(), channels_out),
        }),
        kind: Kind::Output,
        relu: activation == Activation::Relu,
    })
}

/// Batch, size and channels of `[B, …, C]`.
fn image<const N: usize>(op: &'static str, input: &Tensor) -> Result<(usize, [usize; N], usize)> {
    match input.dims() {
        [batch, size @ .., channels] if size.len() == N => {
            Ok((*batch, std::array::from_fn(|axis| size[axis]), *channels))
        }
        _ => {
            let expected = format!("an input [batch, {N} axes, channels]");
            Err(ComputeError::shape(op, expected, input.shape()))
        }
    }
}

/// The two leading sizes and the kernel of a weight.
fn filter<const N: usize>(op: &'static str, weight: &Tensor) -> Result<(usize, usize, [usize; N])> {
    match weight.dims() {
        [first, second, kernel @ ..] if kernel.len() == N => {
            Ok((*first, *second, std::array::from_fn(|axis| kernel[axis])))
        }
        _ => {
            let expected = format!("a weight [channels, channels / groups, {N} axes]");
            Err(ComputeError::shape(op, expected, weight.shape()))
        }
    }
}

/// `N` sizes as those of a volume, with `fill` for the axes that are missing.
fn volume<const N: usize>(sizes: [usize; N], fill: usize) -> [usize; 3] {
    std::array::from_fn(|axis| (axis + N).checked_sub(3).map_or(fill, |axis| sizes[axis]))
}

fn image_shape<const N: usize>(batch: usize, size: [usize; 3], channels: usize) -> Shape {
    let mut dims = vec![batch];
    dims.extend(&size[3 - N..]);
    dims.push(channels);
    Shape::from(dims)
}
