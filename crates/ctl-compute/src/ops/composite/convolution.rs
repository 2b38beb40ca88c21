//! Convolutions in any number of dimensions from candle's two-dimensional one.
//!
//! Padding, steps that differ between the axes and the third dimension are taken off it: candle
//! has one padding, stride and dilation for both axes, and its gradient refuses images whose two
//! sizes leave different remainders.

use candle_core::{Result, Tensor};

use super::pointwise::rectify;
use crate::kernels::conv::ConvShape;

/// First spatial axis of `[B, D, H, W, C]`, and of `[O, C, T, U, V]` less one.
const DEPTH: usize = 1;

/// `relu(bias + x ∗ w)` for a convolution of `shape`, the rectifier where asked for.
///
/// # Arguments
/// - `x`: `[B, …, C]`; `w`: `[O, C / groups, …]`
///
/// # Returns
/// The values of `[B, D', H', W', O]`.
pub(in crate::ops) fn forward(shape: &ConvShape, x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let mut dims = vec![shape.batch];
    dims.extend(shape.input);
    dims.push(shape.channels_in);
    let mut x = x.reshape(dims)?;
    for axis in 0..3 {
        let reach = (shape.output[axis] - 1) * shape.stride[axis]
            + (shape.kernel[axis] - 1) * shape.dilation[axis]
            + 1;
        x = fit(&x, axis + DEPTH, [shape.padding[axis], 0], reach)?;
    }
    let mut dims = vec![shape.channels_out, shape.group_in()];
    dims.extend(shape.kernel);
    correlate(shape, &x, &w.reshape(dims)?)
}

/// The gradient of [`forward`] in its input: pixels set apart by the stride, then a convolution
/// with the mirrored kernel whose channels are exchanged.
pub(in crate::ops) fn transposed(shape: &ConvShape, y: &Tensor, w: &Tensor) -> Result<Tensor> {
    let mut dims = vec![shape.batch];
    dims.extend(shape.output);
    dims.push(shape.channels_out);
    let mut y = y.reshape(dims)?;
    for axis in 0..3 {
        let margin = (shape.kernel[axis] - 1) * shape.dilation[axis];
        let padding = shape.padding[axis];
        let ends = [
            margin.saturating_sub(padding),
            padding.saturating_sub(margin),
        ];
        y = set_apart(&y, axis + DEPTH, shape.stride[axis])?;
        y = fit(&y, axis + DEPTH, ends, shape.input[axis] + margin)?;
    }
    let mut dims = vec![shape.groups, shape.group_out(), shape.group_in()];
    dims.extend(shape.kernel);
    let w = w.reshape(dims.clone())?.transpose(1, 2)?.contiguous()?;
    let mut dims = vec![shape.channels_in, shape.group_out()];
    dims.extend(shape.kernel);
    let w = w.reshape(dims)?.flip(&[2, 3, 4])?;
    let mirrored = ConvShape {
        channels_in: shape.channels_out,
        channels_out: shape.channels_in,
        input: shape.output,
        output: shape.input,
        stride: [1; 3],
        ..*shape
    };
    correlate(&mirrored, &y, &w)
}

/// Adds the bias and applies the rectifier.
pub(in crate::ops) fn epilogue(y: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y.clone(),
    };
    if relu { rectify(&y, 0.0) } else { Ok(y) }
}

/// `len` pixels of `x`: `before` zeros, then `x` without its first `cut` pixels, then zeros.
fn fit(x: &Tensor, axis: usize, [before, cut]: [usize; 2], len: usize) -> Result<Tensor> {
    let kept = x.dim(axis)? - cut;
    let behind = len.saturating_sub(before + kept);
    let x = x.narrow(axis, cut, kept)?;
    x.pad_with_zeros(axis, before, behind)?.narrow(axis, 0, len)
}

/// Zeros between neighbours, so that they lie `step` apart.
fn set_apart(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(x.clone());
    }
    let len = x.dim(axis)?;
    let apart = x
        .unsqueeze(axis + 1)?
        .pad_with_zeros(axis + 1, 0, step - 1)?;
    apart
        .flatten(axis, axis + 1)?
        .narrow(axis, 0, (len - 1) * step + 1)
}

/// Every `step`-th of `count` places from `first` on.
fn every(x: &Tensor, axis: usize, [first, step, count]: [usize; 3]) -> Result<Tensor> {
    if step == 1 {
        return x.narrow(axis, first, count);
    }
    let places: Vec<u32> = (0..count).map(|i| (first + i * step) as u32).collect();
    x.index_select(&Tensor::from_vec(places, count, x.device())?, axis)
}

/// The sum over the kernel's depth of images convolved without padding.
fn correlate(shape: &ConvShape, x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let [depth, height, width] = shape.output;
    let frames = shape.batch * depth;
    let mut sum: Option<Tensor> = None;
    for t in 0..shape.kernel[0] {
        let slices = every(x, DEPTH, [t * shape.dilation[0], shape.stride[0], depth])?;
        let (rows, columns) = (slices.dim(2)?, slices.dim(3)?);
        let images = slices.reshape((frames, rows, columns, shape.channels_in))?;
        let images = images.permute((0, 3, 1, 2))?.contiguous()?;
        let part = planar(
            shape,
            &images,
            &w.narrow(2, t, 1)?.squeeze(2)?.contiguous()?,
        )?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
    }
    // A kernel has at least one tap.
    let Some(sum) = sum else {
        candle_core::bail!("convolution: a kernel without depth");
    };
    let y = sum.permute((0, 2, 3, 1))?.contiguous()?;
    y.reshape((shape.batch, depth, height, width, shape.channels_out))
}

/// `[N, C, H, W] ∗ [O, C / groups, U, V]` by the two last axes of `shape`, without padding.
fn planar(shape: &ConvShape, x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let ([_, down, right], [_, tall, wide]) = (shape.stride, shape.dilation);
    let (w, dilation) = if tall == wide {
        (w.clone(), tall)
    } else {
        let w = set_apart(&set_apart(w, 2, tall)?, 3, wide)?;
        (w.contiguous()?, 1)
    };
    if down == right {
        return x.conv2d(&w, 0, down, dilation, shape.groups);
    }
    let y = x.conv2d(&w, 0, 1, dilation, shape.groups)?;
    let y = every(&y, 2, [0, down, shape.output[1]])?;
    every(&y, 3, [0, right, shape.output[2]])
}
