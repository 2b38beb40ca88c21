//! Layers with weights, over images with channels last: `[B, H, W, C]` or `[B, D, H, W, C]`.
//!
//! Weights have the shapes and names that `PyTorch` gives them.

mod conv;
mod linear;
mod norm;

pub(crate) use conv::ConvSize;
pub use conv::{Conv, TransposedConv};
pub use linear::Linear;
pub(crate) use norm::ConvNorm;
pub use norm::{BATCH_NORM_MOMENTUM, BatchNorm, GroupNorm};

use candle_core::Tensor;

use crate::Result;

/// `[B, C, …] -> [B, …, C]`; for one channel nothing moves.
pub(crate) fn to_channels_last(images: &Tensor) -> Result<Tensor> {
    let mut shape = images.dims().to_vec();
    if shape.len() < 3 {
        return Ok(images.clone());
    }
    let channels = shape.remove(1);
    shape.push(channels);
    if channels == 1 {
        return Ok(images.reshape(shape)?);
    }
    let order: Vec<usize> = (0..1).chain(2..shape.len()).chain(1..2).collect();
    Ok(images.permute(order)?.contiguous()?)
}

/// `[B, …, C] -> [B, C, …]`; for one channel nothing moves.
pub(crate) fn to_channels_first(values: &Tensor) -> Result<Tensor> {
    let mut shape = values.dims().to_vec();
    let last = shape.len() - 1;
    let channels = shape.remove(last);
    shape.insert(1, channels);
    if channels == 1 {
        return Ok(values.reshape(shape)?);
    }
    let order: Vec<usize> = [0, last].into_iter().chain(1..last).collect();
    Ok(values.permute(order)?.contiguous()?)
}
