//! Normalisation over `[samples, pixels, groups, width]`.

use candle_core::{DType, Result, Tensor};

use super::pointwise::rectify;
use crate::kernels::normalise::{Moments, Normalisation};

/// `a(x̂ · weight + bias + residual)` and the moments behind `x̂`.
///
/// # Arguments
/// - `weight`, `bias`: one value per channel
pub(in crate::ops) fn normalise(
    x: &Tensor,
    [weight, bias]: [&Tensor; 2],
    residual: Option<&Tensor>,
    op: &Normalisation,
) -> Result<(Tensor, Moments)> {
    let g = &op.grouping;
    let view = x.reshape((g.samples, g.pixels, g.groups, g.width))?;
    let (mean, variance) = match &op.given {
        Some(given) => (row(&given.mean, x)?, row(&given.variance, x)?),
        None => own_moments(&view)?,
    };
    let scale = (&variance + op.epsilon)?.sqrt()?.recip()?;
    let normal = view.broadcast_sub(&mean)?.broadcast_mul(&scale)?;
    let channels = (1, 1, g.groups, g.width);
    let scaled = normal.broadcast_mul(&weight.reshape(channels)?)?;
    let mut z = scaled
        .broadcast_add(&bias.reshape(channels)?)?
        .reshape(x.shape())?;
    if let Some(residual) = residual {
        z = (z + residual)?;
    }
    let moments = Moments {
        mean: read(&mean)?,
        variance: read(&variance)?,
    };
    #[expect(
        clippy::float_cmp,
        reason = "exactly 1 marks that there is no activation"
    )]
    let out = if op.slope == 1.0 {
        z
    } else {
        rectify(&z, op.slope)?
    };
    Ok((out, moments))
}

fn own_moments(view: &Tensor) -> Result<(Tensor, Tensor)> {
    let group_mean = |t: &Tensor| t.mean_keepdim(3)?.mean_keepdim(1);
    let mean = group_mean(view)?;
    let variance = group_mean(&view.broadcast_sub(&mean)?.sqr()?)?;
    Ok((mean, variance))
}

fn row(values: &[f64], like: &Tensor) -> Result<Tensor> {
    Tensor::from_slice(values, (1, 1, values.len(), 1), like.device())?.to_dtype(like.dtype())
}

fn read(moment: &Tensor) -> Result<Vec<f64>> {
    moment.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}
