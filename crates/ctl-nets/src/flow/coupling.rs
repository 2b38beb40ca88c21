//! The affine coupling, conditional on parents.

use candle_core::Tensor;
use ctl_compute::ops::{Function, concat_channels, tanh};

use super::{CouplingFlowSpec, halves};
use crate::layers::{Conv, ConvSize};
use crate::zero_conv::ZeroConv;
use crate::{Linear, Parameters, Result};

/// `(a, b) -> (a, b · exp(s(a, parents)) + t(a, parents))`
pub(super) struct Coupling {
    first: Conv,
    parents: Linear,
    middle: Conv,
    last: ZeroConv,
    bound: f64,
}

impl Coupling {
    /// A coupling that does nothing at first.
    pub(super) fn new(
        p: &mut Parameters,
        name: &str,
        channels: usize,
        spec: &CouplingFlowSpec,
    ) -> Result<Self> {
        let (half, hidden) = (channels / 2, spec.hidden);
        let first = ConvSize::same(half, hidden, 3);
        let middle = ConvSize::same(hidden, hidden, 1);
        Ok(Self {
            first: Conv::biased(p, &format!("{name}.first"), first)?,
            parents: Linear::new(p, &format!("{name}.parents"), spec.context, hidden)?,
            middle: Conv::biased(p, &format!("{name}.middle"), middle)?,
            last: ZeroConv::new(p, &format!("{name}.last"), hidden, 2 * half)?,
            bound: spec.log_scale_bound,
        })
    }

    /// Log-scale and shift from the half that stays.
    fn law(&self, stays: &Tensor, parents: &Tensor) -> Result<[Tensor; 2]> {
        let own = self.parents.forward(parents)?.unsqueeze(1)?.unsqueeze(1)?;
        let inner = self.first.forward(stays)?.broadcast_add(&own)?;
        let inner = self.middle.forward_after(Function::Silu, &inner)?;
        let [raw, shift] = halves(&self.last.forward_silu(&inner)?)?;
        let log_scale = (tanh(&(raw / self.bound)?)? * self.bound)?;
        Ok([log_scale, shift])
    }

    /// `[B, h, w, K]` to the same shape, and the log-determinant of each image `[B]`.
    pub(super) fn forward(&self, x: &Tensor, parents: &Tensor) -> Result<(Tensor, Tensor)> {
        let [stays, moves] = halves(x)?;
        let [log_scale, shift] = self.law(&stays, parents)?;
        let moved = (moves.mul(&log_scale.exp()?)? + shift)?;
        let determinant = log_scale.flatten_from(1)?.sum(1)?;
        Ok((concat_channels(&[&stays, &moved])?, determinant))
    }

    pub(super) fn inverse(&self, y: &Tensor, parents: &Tensor) -> Result<Tensor> {
        let [stays, moved] = halves(y)?;
        let [log_scale, shift] = self.law(&stays, parents)?;
        let moves = (moved - shift)?.mul(&log_scale.neg()?.exp()?)?;
        Ok(concat_channels(&[&stays, &moves])?)
    }
}
