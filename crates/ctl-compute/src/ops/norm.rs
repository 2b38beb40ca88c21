//! Normalisation layers from operators whose gradients candle gets right.

use candle_core::Tensor;

use crate::{ComputeError, Result};

/// Mean and variance per channel, each `[C]`.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// Mean over batch and pixels.
    pub mean: Tensor,
    /// Population variance (1/n) over batch and pixels.
    pub variance: Tensor,
    /// Number of values that each mean was taken over.
    pub count: usize,
}

/// Batch normalisation by the statistics of the batch itself.
///
/// `y = (x − mean) / √(var + ε) · weight + bias`, mean and population variance per channel over
/// batch and pixels.
///
/// # Arguments
/// - `input`: `[B, C, H, W]`; `weight`, `bias`: `[C]`
///
/// # Returns
/// The normalised tensor and the (detached) statistics, for a running average.
///
/// # Errors
/// When the rank is not 4 or the channels differ.
///
/// # References
/// Ioffe & Szegedy 2015, algorithm 1.
pub fn batch_norm(
    input: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, BatchStatistics)> {
    let [batch, channels, height, width] = dims4("batch_norm", input)?;
    let pixels = height * width;
    let flat = input.reshape((batch, channels, pixels))?;
    let mean = flat.mean_keepdim(2)?.mean_keepdim(0)?;
    let centred = flat.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(2)?.mean_keepdim(0)?;
    let scale = weight
        .reshape((1, channels, 1))?
        .broadcast_div(&(&variance + epsilon)?.sqrt()?)?;
    let out = centred
        .broadcast_mul(&scale)?
        .broadcast_add(&bias.reshape((1, channels, 1))?)?;
    let statistics = BatchStatistics {
        mean: mean.flatten_all()?.detach(),
        variance: variance.flatten_all()?.detach(),
        count: batch * pixels,
    };
    Ok((out.reshape(input.shape())?, statistics))
}

/// Batch normalisation by given statistics (`mean`, `variance`: `[C]`).
///
/// # Errors
/// When the rank is not 4 or the channels differ.
pub fn batch_norm_with(
    input: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    (weight, bias): (&Tensor, &Tensor),
    epsilon: f64,
) -> Result<Tensor> {
    let [_, channels, _, _] = dims4("batch_norm", input)?;
    let scale = weight.div(&(variance + epsilon)?.sqrt()?)?;
    let shift = bias.sub(&mean.mul(&scale)?)?;
    let across = (1, channels, 1, 1);
    Ok(input
        .broadcast_mul(&scale.reshape(across)?)?
        .broadcast_add(&shift.reshape(across)?)?)
}

fn dims4(op: &'static str, input: &Tensor) -> Result<[usize; 4]> {
    match *input.dims() {
        [batch, channels, height, width] => Ok([batch, channels, height, width]),
        _ => Err(ComputeError::shape(op, "[B, C, H, W]", input.shape())),
    }
}
