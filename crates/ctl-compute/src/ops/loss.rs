//! Losses from logits in one operator each, with closed-form gradients.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Shape, Tensor};

use super::composite::{has_kernels, laws};
use super::custom::{by_dtype, check_floats};
use super::pointwise::sigmoid;
use super::softmax::softmax;
use super::storage::slice;
use crate::kernels::softmax as kernels;
use crate::{ComputeError, Result};

/// What is done with the loss of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The mean, a scalar.
    Mean,
    /// Nothing: one loss per element.
    None,
}

/// `log Σ e^z − z[class]`, the cross-entropy of class indices under logits.
///
/// # Arguments
/// - `logits`: `[…, C]`
/// - `classes`: `[…]`, `u32` below `C`
///
/// # Returns
/// A scalar, or `[…]` without reduction.
///
/// # Errors
/// When the shapes do not fit, a class is not below `C`, or the types are others.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{Reduction, cross_entropy};
///
/// let logits = Tensor::new(&[[0f64, 0.0], [0.0, 0.0]], &Device::Cpu)?;
/// let classes = Tensor::new(&[0u32, 1], &Device::Cpu)?;
/// let loss = cross_entropy(&logits, &classes, Reduction::Mean)?.to_scalar::<f64>()?;
/// assert!((loss - std::f64::consts::LN_2).abs() < 1e-15);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn cross_entropy(logits: &Tensor, classes: &Tensor, reduction: Reduction) -> Result<Tensor> {
    const OP: &str = "cross_entropy";
    check_floats(OP, &[logits])?;
    let (&[ref rows @ .., n], false) = (logits.dims(), logits.elem_count() == 0) else {
        return Err(ComputeError::shape(
            OP,
            "logits […, C], not empty",
            logits.shape(),
        ));
    };
    if classes.dims() != rows || classes.dtype() != DType::U32 {
        return Err(ComputeError::Shape {
            op: OP,
            expected: format!("classes {rows:?} as u32"),
            found: format!("{:?} as {}", classes.dims(), classes.dtype().as_str()),
        });
    }
    let classes = classes.flatten_all()?.to_vec1::<u32>()?;
    if let Some(class) = classes.iter().find(|&&class| class as usize >= n) {
        return Err(ComputeError::Option {
            op: OP,
            key: "class",
            expected: "below the number of logits",
            found: format!("{class} of {n}"),
        });
    }
    let losses = if has_kernels(logits) {
        let op = CrossEntropy {
            n,
            classes: Arc::new(classes),
        };
        logits.contiguous()?.apply_op1(op)?
    } else {
        laws::cross_entropy(logits, &classes)?
    };
    reduced(&losses, reduction)
}

fn reduced(losses: &Tensor, reduction: Reduction) -> Result<Tensor> {
    match reduction {
        Reduction::Mean => Ok(losses.mean_all()?),
        Reduction::None => Ok(losses.clone()),
    }
}

#[derive(Clone)]
struct CrossEntropy {
    n: usize,
    classes: Arc<Vec<u32>>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => {
            kernels::cross_entropy::<T>(self.n, slice(s, l)?, &self.classes)
        });
        let dims = l.dims();
        Ok((out, Shape::from(&dims[..dims.len() - 1])))
    }

    fn bwd(&self, z: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let op = CrossEntropyGradient(self.clone());
        Ok(Some(z.apply_op2(&dy.contiguous()?, op)?))
    }
}

/// `(z, dy) -> dy (softmax z − 1[class])`
struct CrossEntropyGradient(CrossEntropy);

impl CustomOp2 for CrossEntropyGradient {
    fn name(&self) -> &'static str {
        "cross-entropy-gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let CrossEntropy { n, classes } = &self.0;
        let out = by_dtype!(s1, T => {
            kernels::cross_entropy_gradient::<T>(*n, slice(s1, l1)?, classes, slice(s2, l2)?)
        });
        Ok((out, l1.shape().clone()))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "no third derivative is promised, and `gather` itself has a right gradient"
    )]
    fn bwd(
        &self,
        z: &Tensor,
        dy: &Tensor,
        _: &Tensor,
        u: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let last = z.rank() - 1;
        let share = softmax(z, last)?;
        let mean = (u * &share)?.sum_keepdim(last)?;
        let curvature = (&share * u.broadcast_sub(&mean)?)?;
        let in_z = curvature.broadcast_mul(&dy.unsqueeze(last)?)?;
        let classes = Tensor::from_slice(&self.0.classes, dy.shape(), z.device())?;
        let picked = u.contiguous()?.gather(&classes.unsqueeze(last)?, last)?;
        let in_dy = (mean - picked)?.squeeze(last)?;
        Ok((Some(in_z), Some(in_dy)))
    }
}

/// `log(1 + eˣ) − x t`, the cross-entropy of a probability `t` under the logit `x`.
///
/// # Arguments
/// - `logits`, `targets`: one shape, the targets in `[0, 1]`
///
/// # Returns
/// A scalar, or the shape of the logits without reduction.
///
/// # Errors
/// When the shapes or types differ, or there is no element.
pub fn binary_cross_entropy(
    logits: &Tensor,
    targets: &Tensor,
    reduction: Reduction,
) -> Result<Tensor> {
    const OP: &str = "binary_cross_entropy";
    check_floats(OP, &[logits, targets])?;
    if logits.shape() != targets.shape() || logits.elem_count() == 0 {
        let expected = format!("targets {:?}, not empty", logits.dims());
        return Err(ComputeError::shape(OP, expected, targets.shape()));
    }
    if !has_kernels(logits) {
        return reduced(&laws::binary_cross_entropy(logits, targets)?, reduction);
    }
    let op = BinaryCrossEntropy(reduction);
    Ok(logits.contiguous()?.apply_op2(&targets.contiguous()?, op)?)
}

struct BinaryCrossEntropy(Reduction);

impl CustomOp2 for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary-cross-entropy"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s1, T => {
            let (x, t) = (slice::<T>(s1, l1)?, slice(s2, l2)?);
            match self.0 {
                Reduction::Mean => vec![kernels::mean_binary_cross_entropy(x, t)],
                Reduction::None => kernels::binary_cross_entropy(x, t),
            }
        });
        let shape = match self.0 {
            Reduction::Mean => Shape::from(()),
            Reduction::None => l1.shape().clone(),
        };
        Ok((out, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        targets: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let share = match self.0 {
            Reduction::Mean => (dy / x.elem_count() as f64)?,
            Reduction::None => dy.contiguous()?,
        };
        let in_x = x.apply_op3(targets, &share, BinaryGradient)?;
        let in_targets = || x.broadcast_mul(&share)?.neg();
        Ok((Some(in_x), targets.track_op().then(in_targets).transpose()?))
    }
}

/// `(x, t, dy) -> dy (σ(x) − t)`, where `dy` is a scalar or has the shape of `x`.
struct BinaryGradient;

impl CustomOp3 for BinaryGradient {
    fn name(&self) -> &'static str {
        "binary-cross-entropy-gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s1, T => {
            kernels::binary_gradient::<T>(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?)
        });
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        targets: &Tensor,
        dy: &Tensor,
        _: &Tensor,
        u: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let chance = sigmoid(x)?;
        let slope = (&chance - chance.sqr()?)?;
        let along = u.broadcast_mul(dy)?;
        let in_x = (&along * slope)?;
        let in_dy = (u * (chance - targets)?)?;
        let in_dy = if dy.rank() == 0 {
            in_dy.sum_all()?
        } else {
            in_dy
        };
        Ok((Some(in_x), Some(along.neg()?), Some(in_dy)))
    }
}
