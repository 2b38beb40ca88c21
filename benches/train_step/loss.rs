//! Losses over a batch.

use candle_core::Tensor;
use ctl_compute::ops::log_softmax;

use super::Result;

/// `−log softmax(z)[y]`, mean over the batch: logits `[B, K]`, labels `[B]`.
pub(super) fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let chosen = log_softmax(logits, 1)?.gather(&labels.unsqueeze(1)?, 1)?;
    Ok(chosen.mean_all()?.neg()?)
}

/// `max(z, 0) − z y + log(1 + e^{−|z|})`, mean over all values.
pub(super) fn binary_cross_entropy(logits: &Tensor, masks: &Tensor) -> Result<Tensor> {
    let soft = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    let hinge = (logits.relu()? - logits.mul(masks)?)?;
    Ok((hinge + soft)?.mean_all()?)
}
