//! Softmax, losses from logits and diagonal Gaussians.

use candle_core::{Result, Tensor};

use super::pointwise::softplus;

/// `softmax(z)` or its logarithm along `dim`.
pub(in crate::ops) fn softmax(z: &Tensor, dim: usize, logarithm: bool) -> Result<Tensor> {
    // The result does not depend on the shift, and neither does its gradient.
    let shifted = z.broadcast_sub(&z.detach().max_keepdim(dim)?)?;
    let exponential = shifted.exp()?;
    let total = exponential.sum_keepdim(dim)?;
    if logarithm {
        shifted.broadcast_sub(&total.log()?)
    } else {
        exponential.broadcast_div(&total)
    }
}

/// `log Σ e^z − z[class]` per row.
///
/// A product with the indicator of the class, because candle's gradient of a gradient through
/// `gather` loses what arrives from elsewhere.
pub(in crate::ops) fn cross_entropy(z: &Tensor, classes: &[u32]) -> Result<Tensor> {
    let last = z.rank() - 1;
    let n = z.dim(last)?;
    let mut indicator = vec![0f32; z.elem_count()];
    for (row, &class) in indicator.chunks_exact_mut(n).zip(classes) {
        row[class as usize] = 1.0;
    }
    let indicator = Tensor::from_vec(indicator, z.shape(), z.device())?.to_dtype(z.dtype())?;
    (softmax(z, last, true)? * indicator)?.sum(last)?.neg()
}

/// `log(1 + eˣ) − x t` per element.
pub(in crate::ops) fn binary_cross_entropy(x: &Tensor, targets: &Tensor) -> Result<Tensor> {
    softplus(x)? - (x * targets)?
}

/// Means and log deviations: the first and the second `latent` channels.
fn moments(law: &Tensor, latent: usize) -> Result<[Tensor; 2]> {
    let axis = law.rank() - 1;
    Ok([
        law.narrow(axis, 0, latent)?,
        law.narrow(axis, latent, latent)?,
    ])
}

/// `μ + e^s ε`
pub(in crate::ops) fn draw(law: &Tensor, noise: &Tensor, latent: usize) -> Result<Tensor> {
    let [mean, log] = moments(law, latent)?;
    mean + (log.exp()? * noise)?
}

/// `KL(q ‖ p)` per image.
pub(in crate::ops) fn divergence(q: &Tensor, p: &Tensor, latent: usize) -> Result<Tensor> {
    let ([mean, log], [other_mean, other_log]) = (moments(q, latent)?, moments(p, latent)?);
    let gap = (log - &other_log)?;
    let pull = ((mean - other_mean)?.sqr()? * (other_log * -2.0)?.exp()?)?;
    let spread = (((&gap * 2.0)?.exp()? + pull)? * 0.5)?;
    (spread - gap)?.affine(1.0, -0.5)?.flatten_from(1)?.sum(1)
}
