//! Bounds on gradients, applied in the pass that uses them.

use candle_core::Var;
use candle_core::backprop::GradStore;

use super::check_positive;
use crate::kernels::update::{Clip, square_sum};
use crate::ops::values;
use crate::{ComputeError, Result};

/// Added to the norm before dividing by it, as `PyTorch` does.
const NORM_EPSILON: f64 = 1e-6;

/// Bounds on the gradients of all variables of an optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clipping {
    /// Gradients are scaled down together until their Euclidean norm is at most this.
    pub norm: Option<f64>,
    /// Then each value is moved into `[−value, value]`.
    pub value: Option<f64>,
}

impl Clipping {
    pub(super) fn validate(&self) -> Result<()> {
        for (key, bound) in [("norm", self.norm), ("value", self.value)] {
            check_positive("clipping", key, bound.unwrap_or(1.0))?;
        }
        Ok(())
    }

    /// What to do with each gradient of this step.
    pub(super) fn of<'a>(
        &self,
        variables: impl Iterator<Item = &'a Var>,
        gradients: &GradStore,
    ) -> Result<Clip> {
        let mut clip = Clip::OFF;
        if let Some(norm) = self.norm {
            let found = gradient_norm(variables, gradients)?;
            let scale = norm / (found + NORM_EPSILON);
            // Written so that gradients that are no numbers are not let through as they are.
            clip.scale = if scale >= 1.0 { 1.0 } else { scale as f32 };
        }
        if let Some(value) = self.value {
            clip.bound = value as f32;
        }
        Ok(clip)
    }
}

/// Euclidean norm of the gradients of `variables`, all taken as one vector.
///
/// # Errors
/// When a gradient is not `f32` on the CPU.
pub fn gradient_norm<'a>(
    variables: impl Iterator<Item = &'a Var>,
    gradients: &GradStore,
) -> Result<f64> {
    let mut sum = 0.0;
    for variable in variables {
        if let Some(gradient) = gradients.get(variable) {
            if gradient.dtype() != candle_core::DType::F32 {
                return Err(ComputeError::Option {
                    op: "gradient_norm",
                    key: "dtype",
                    expected: "f32",
                    found: gradient.dtype().as_str().to_owned(),
                });
            }
            sum += values(gradient, square_sum)?;
        }
    }
    Ok(sum.sqrt())
}
