//! Values of images outside and inside of networks.

use candle_core::{DType, Tensor};
use ctl_compute::random::normal;
use rand_chacha::ChaCha8Rng;

use crate::Result;

/// Least deviation that a residual is divided by, on the scale from −1 to 1.
const LEAST_DEVIATION: f64 = 1e-6;

/// From 0 to 1 to −1 to 1.
pub(crate) fn signed(images: &Tensor) -> Result<Tensor> {
    Ok(images.affine(2.0, -1.0)?)
}

/// From −1 to 1 to 0 to 1; what lies beyond is black or white.
pub(crate) fn unsigned(images: &Tensor) -> Result<Tensor> {
    Ok(images.affine(0.5, 0.5)?.clamp(0f32, 1f32)?)
}

/// `(x − μ) / σ` on the scale from −1 to 1.
pub(super) fn residual(images: &Tensor, (mean, log_scale): (&Tensor, &Tensor)) -> Result<Tensor> {
    let deviation = (log_scale.exp()?.maximum(LEAST_DEVIATION))?;
    Ok((images - mean)?.div(&deviation)?)
}

/// A residual of new images, where residuals are part of the noise.
pub(super) fn drawn_residual(
    is_part: bool,
    (batch, [channels, height, width]): (usize, [usize; 3]),
    rng: &mut ChaCha8Rng,
) -> Result<Option<Tensor>> {
    if !is_part {
        return Ok(None);
    }
    let shape = (batch, channels, height, width);
    Ok(Some(normal(rng, shape, 0.0, 1.0)?))
}

/// Bounds of `ln p` in nats, from distortion and divergence per value of an image, each `[B]`.
pub(super) fn bounds(distortion: &Tensor, kl: &Tensor, shape: [usize; 3]) -> Result<Vec<f64>> {
    let values = shape.iter().product::<usize>() as f64;
    let nats = (distortion + kl)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    Ok(nats.iter().map(|nats| nats * -values).collect())
}

/// The images, 0 to 1, of a mean, a log deviation and what is left between image and mean.
pub(super) fn with_residual(
    (mean, log_scale): (&Tensor, &Tensor),
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    match residual {
        None => unsigned(mean),
        Some(residual) => {
            let deviation = (log_scale.exp()?.maximum(LEAST_DEVIATION))?;
            unsigned(&(mean + deviation.mul(residual)?)?)
        }
    }
}
