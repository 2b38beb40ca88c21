//! Softmax and its logarithm along any axis, closed under differentiation.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};

use super::composite::{has_kernels, laws};
use super::custom::{by_dtype, check_floats};
use super::storage::slice;
use crate::kernels::softmax::{self, Axis};
use crate::{ComputeError, Result};

/// `softmax(z)` along the axis `dim`, shifted by the maximum so that nothing overflows.
///
/// # Errors
/// When `dim` is not an axis of `logits`, or the values are not floats on a served device.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::softmax;
///
/// let logits = Tensor::new(&[[1000f64, 1000.0]], &Device::Cpu)?;
/// assert_eq!(softmax(&logits, 1)?.to_vec2::<f64>()?, [[0.5, 0.5]]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn softmax(logits: &Tensor, dim: usize) -> Result<Tensor> {
    apply("softmax", logits, dim, false)
}

/// `log softmax(z)` along the axis `dim`, shifted by the maximum so that nothing overflows.
///
/// # Errors
/// When `dim` is not an axis of `logits`, or the values are not floats on a served device.
pub fn log_softmax(logits: &Tensor, dim: usize) -> Result<Tensor> {
    apply("log_softmax", logits, dim, true)
}

fn apply(op: &'static str, logits: &Tensor, dim: usize, logarithm: bool) -> Result<Tensor> {
    check_floats(op, &[logits])?;
    let dims = logits.dims();
    if dim >= dims.len() || dims.contains(&0) {
        let expected = format!("an axis {dim}, and no size of 0");
        return Err(ComputeError::shape(op, expected, logits.shape()));
    }
    if !has_kernels(logits) {
        return Ok(laws::softmax(logits, dim, logarithm)?);
    }
    let op = Softmax {
        axis: Axis {
            n: dims[dim],
            inner: dims[dim + 1..].iter().product(),
        },
        dim,
        logarithm,
    };
    Ok(logits.contiguous()?.apply_op1(op)?)
}

#[derive(Clone, Copy)]
struct Softmax {
    axis: Axis,
    dim: usize,
    logarithm: bool,
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => {
            softmax::forward::<T>(self.axis, self.logarithm, slice(s, l)?)
        });
        Ok((out, l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(y.apply_op2(&dy.contiguous()?, Gradient(*self))?))
    }
}

/// `(y, dy) -> dx`
struct Gradient(Softmax);

impl CustomOp2 for Gradient {
    fn name(&self) -> &'static str {
        "softmax-gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let Softmax {
            axis, logarithm, ..
        } = self.0;
        let out = by_dtype!(s1, T => {
            softmax::backward::<T>(axis, logarithm, slice(s1, l1)?, slice(s2, l2)?)
        });
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        y: &Tensor,
        dy: &Tensor,
        _: &Tensor,
        u: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let u = u.contiguous()?;
        let sum = |t: &Tensor| t.sum_keepdim(self.0.dim);
        if self.0.logarithm {
            // `dx = dy − eʸ Σ dy`
            let along = (&u * y.exp()?)?;
            let in_y = along.broadcast_mul(&sum(dy)?)?.neg()?;
            let in_dy = u.broadcast_sub(&sum(&along)?)?;
            return Ok((Some(in_y), Some(in_dy)));
        }
        // `dx = y (dy − Σ dy y)` is symmetric in `dy` and `u`.
        let in_y = (&u * dy.broadcast_sub(&sum(&(dy * y)?)?)?)?;
        let in_y = (in_y - dy.broadcast_mul(&sum(&(&u * y)?)?)?)?;
        let in_dy = y.apply_op2(&u, Gradient(self.0))?;
        Ok((Some(in_y), Some(in_dy)))
    }
}
