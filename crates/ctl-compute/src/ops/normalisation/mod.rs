//! Normalisation with channels last: batch, group, instance and layer, each followed in the same
//! pass by an optional residual and a rectifier, closed under differentiation.

mod batch;
mod custom;
mod grouped;
mod statistics;

use candle_core::Tensor;

pub use batch::{batch_norm, batch_norm_with, channel_bias};
pub use grouped::{group_norm, instance_norm, layer_norm};
pub use statistics::ChannelStatistics;

use super::custom::check_floats;
use crate::kernels::normalise::{Grouping, Moments, Normalisation};
use crate::{ComputeError, Result};

/// Added to a variance where nothing else is asked for.
const DEFAULT_EPSILON: f64 = 1e-5;

/// A piecewise linear activation that a normalisation applies in its own pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Rectifier {
    /// Nothing.
    #[default]
    Identity,
    /// `max(z, 0)`, with gradient 0 at 0.
    Relu,
    /// `z` where positive, else `slope · z`, the slope in `(0, 1)`.
    Leaky {
        /// Factor on values that are not positive.
        slope: f64,
    },
}

impl Rectifier {
    /// The factor on values that are not positive.
    pub(crate) fn slope(self) -> f64 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => 0.0,
            Self::Leaky { slope } => slope,
        }
    }

    pub(crate) fn validate(self, op: &'static str) -> Result<()> {
        match self {
            // A slope of 0 or below would hide the sign of `z` from the gradient.
            Self::Leaky { slope } if !(slope > 0.0 && slope < 1.0) => Err(ComputeError::Option {
                op,
                key: "slope",
                expected: "in (0, 1)",
                found: slope.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// What a normalisation does after subtracting the mean and dividing by the deviation:
/// `y = a(x̂ · weight + bias + residual)`.
#[derive(Clone, Copy, Debug)]
pub struct NormParams<'a> {
    weight: &'a Tensor,
    bias: &'a Tensor,
    epsilon: f64,
    residual: Option<&'a Tensor>,
    activation: Rectifier,
}

impl<'a> NormParams<'a> {
    /// Weight and bias per channel, `ε = 1e-5`, nothing after.
    pub fn new(weight: &'a Tensor, bias: &'a Tensor) -> Self {
        Self {
            weight,
            bias,
            epsilon: DEFAULT_EPSILON,
            residual: None,
            activation: Rectifier::Identity,
        }
    }

    /// With another `ε`, positive.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// With a tensor of the input's shape added before the activation.
    #[must_use]
    pub fn residual(self, residual: &'a Tensor) -> Self {
        Self {
            residual: Some(residual),
            ..self
        }
    }

    /// With an activation.
    #[must_use]
    pub fn activation(self, activation: Rectifier) -> Self {
        Self { activation, ..self }
    }

    fn validate(&self, op: &'static str, input: &Tensor) -> Result<()> {
        check_floats(op, &[input, self.weight, self.bias])?;
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(ComputeError::Option {
                op,
                key: "epsilon",
                expected: "positive and finite",
                found: self.epsilon.to_string(),
            });
        }
        self.activation.validate(op)?;
        if input.elem_count() == 0 {
            return Err(ComputeError::shape(op, "no size of 0", input.shape()));
        }
        if let Some(residual) = self.residual {
            check_floats(op, &[input, residual])?;
            if residual.shape() != input.shape() {
                let expected = format!("a residual {:?}", input.dims());
                return Err(ComputeError::shape(op, expected, residual.shape()));
            }
        }
        Ok(())
    }

    /// Checks everything and applies the fused operator; returns the moments that were used.
    fn apply(
        &self,
        op: &'static str,
        input: &Tensor,
        grouping: Grouping,
        given: Option<Moments>,
    ) -> Result<(Tensor, Moments)> {
        self.validate(op, input)?;
        for affine in [self.weight, self.bias] {
            if affine.elem_count() != grouping.channels() {
                let expected = format!("weight and bias [{}]", grouping.channels());
                return Err(ComputeError::shape(op, expected, affine.shape()));
            }
        }
        let normalisation = Normalisation {
            grouping,
            epsilon: self.epsilon,
            slope: self.activation.slope(),
            given,
        };
        custom::normalise(
            input,
            [self.weight, self.bias],
            self.residual,
            normalisation,
        )
    }
}

/// Channels of `[B, …, C]`, and the number of values of each.
fn channels_of(op: &'static str, input: &Tensor) -> Result<(usize, usize)> {
    match *input.dims() {
        [_, .., channels] if channels > 0 => Ok((channels, input.elem_count() / channels)),
        _ => Err(ComputeError::shape(op, "[B, …, C]", input.shape())),
    }
}
