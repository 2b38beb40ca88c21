//! Operators that take images and volumes alike: the input's rank says which.

use candle_core::Tensor;
use ctl_compute::ops::Activation;
use ctl_compute::ops::{
    ConvOptions, ConvTransposeOptions, Windows, conv_transpose2d, conv_transpose3d, conv2d, conv3d,
    max_pool2d, max_pool3d,
};

use crate::Result;

const RANK_OF_VOLUMES: usize = 5;

/// Stride and padding, the same along every axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

pub(crate) fn conv(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    Steps { stride, padding }: Steps,
) -> Result<Tensor> {
    if input.rank() == RANK_OF_VOLUMES {
        let options = ConvOptions::default()
            .with_stride([stride; 3])
            .with_padding([padding; 3]);
        return Ok(conv3d(input, weight, bias, activation, &options)?);
    }
    let options = ConvOptions::default()
        .with_stride([stride; 2])
        .with_padding([padding; 2]);
    Ok(conv2d(input, weight, bias, activation, &options)?)
}

pub(crate) fn conv_transpose(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    Steps { stride, padding }: Steps,
) -> Result<Tensor> {
    if input.rank() == RANK_OF_VOLUMES {
        let options = ConvTransposeOptions::default()
            .with_stride([stride; 3])
            .with_padding([padding; 3]);
        return Ok(conv_transpose3d(input, weight, bias, activation, &options)?);
    }
    let options = ConvTransposeOptions::default()
        .with_stride([stride; 2])
        .with_padding([padding; 2]);
    Ok(conv_transpose2d(input, weight, bias, activation, &options)?)
}

/// The largest value of windows of this side that lie side by side.
pub(crate) fn max_pool(input: &Tensor, side: usize) -> Result<Tensor> {
    Ok(if input.rank() == RANK_OF_VOLUMES {
        max_pool3d(input, &Windows::tiles(side))?
    } else {
        max_pool2d(input, &Windows::tiles(side))?
    })
}
