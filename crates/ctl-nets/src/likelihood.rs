//! The discretised Gaussian likelihood.

use candle_core::Tensor;

use crate::layers::{Conv, ConvSize};
use crate::{Parameters, Result};

const LOG_SCALE_MIN: f64 = -9.0;
/// Half the width of a grey value on `[−1, 1]`.
const HALF_BIN: f64 = 1.0 / 255.0;
/// Beyond this a value counts as black or white, and its bin reaches to infinity.
const EDGE: f64 = 0.999;
const PROBABILITY_MIN: f64 = 1e-12;
/// `√(2/π)` and the cubic term of the tanh approximation of the normal distribution function.
const CDF_SCALE: f64 = 0.797_884_560_802_865_4;
const CDF_CUBIC: f64 = 0.044_715;

/// Independent Gaussians over grey values, mean and log standard deviation from 1×1 convolutions.
pub(crate) struct DiscretisedGaussian {
    location: Conv,
    log_scale: Conv,
}

impl DiscretisedGaussian {
    /// Weights `likelihood.…` that read images of `channels` off `width` features.
    pub(crate) fn new(p: &mut Parameters, width: usize, channels: usize) -> Result<Self> {
        let size = ConvSize::same(width, channels, 1);
        Ok(Self {
            location: Conv::biased(p, "likelihood.x_loc", size)?,
            log_scale: Conv::biased(p, "likelihood.x_logscale", size)?,
        })
    }

    /// Mean and log standard deviation, each `[B, H, W, C]`.
    pub(crate) fn moments(&self, hidden: &Tensor) -> Result<(Tensor, Tensor)> {
        let log_scale = self.log_scale.forward(hidden)?.maximum(LOG_SCALE_MIN)?;
        Ok((self.location.forward(hidden)?, log_scale))
    }

    /// `−log p` of images `[B, H, W, C]`, mean over the values of each, `[B]`.
    pub(crate) fn negative_log(&self, hidden: &Tensor, images: &Tensor) -> Result<Tensor> {
        let (mean, log_scale) = self.moments(hidden)?;
        let precision = log_scale.neg()?.exp()?;
        let centred = (images - mean)?;
        let above = cdf(&(&centred + HALF_BIN)?.mul(&precision)?)?;
        let below = cdf(&(&centred - HALF_BIN)?.mul(&precision)?)?;
        let inside = floored(&(&above - &below)?)?;
        let right = floored(&below.affine(-1.0, 1.0)?)?;
        let left = floored(&above)?;
        let white = images.gt(EDGE)?;
        let black = images.lt(-EDGE)?;
        let probability = black.where_cond(&left, &white.where_cond(&right, &inside)?)?;
        Ok(probability.log()?.flatten_from(1)?.mean(1)?.neg()?)
    }
}

fn floored(probability: &Tensor) -> Result<Tensor> {
    Ok(probability.maximum(PROBABILITY_MIN)?)
}

fn cdf(x: &Tensor) -> Result<Tensor> {
    let inner = ((x.sqr()?.mul(x)? * CDF_CUBIC)? + x)?;
    Ok((inner * CDF_SCALE)?.tanh()?.affine(0.5, 0.5)?)
}
