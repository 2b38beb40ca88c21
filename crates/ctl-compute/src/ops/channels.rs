//! Channels cut out and set side by side, closed under differentiation.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Tensor};

use super::composite::has_kernels;
use super::custom::{by_dtype, check_floats};
use super::storage::slice;
use crate::kernels::pointwise;
use crate::{ComputeError, Result};

/// The channels (last axis) from `first` on.
///
/// # Errors
/// When there is no such channel, or the values are not floats on a served device.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::channels_from;
///
/// let x = Tensor::new(&[[1f32, 2.0, 3.0]], &Device::Cpu)?;
/// assert_eq!(channels_from(&x, 1)?.to_vec2::<f32>()?, [[2.0, 3.0]]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn channels_from(input: &Tensor, first: usize) -> Result<Tensor> {
    const OP: &str = "channels_from";
    check_floats(OP, &[input])?;
    let channels = last(input.shape());
    if first >= channels {
        let expected = format!("more than {first} channels");
        return Err(ComputeError::shape(OP, expected, input.shape()));
    }
    let len = channels - first;
    if !has_kernels(input) {
        return Ok(input.narrow(input.rank() - 1, first, len)?.contiguous()?);
    }
    Ok(input.contiguous()?.apply_op1(Part { first, len })?)
}

/// Tensors side by side along the last axis; the gradient is cut apart again.
///
/// # Arguments
/// - `inputs`: at least one tensor `[B, …, Cᵢ]`, all sizes but the last alike
///
/// # Errors
/// When there is none, or shapes or types do not fit.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::concat_channels;
///
/// let a = Tensor::new(&[[1f32], [2.0]], &Device::Cpu)?;
/// let b = Tensor::new(&[[3f32, 4.0], [5.0, 6.0]], &Device::Cpu)?;
/// let joined = concat_channels(&[&a, &b])?;
/// assert_eq!(joined.to_vec2::<f32>()?, [[1.0, 3.0, 4.0], [2.0, 5.0, 6.0]]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn concat_channels(inputs: &[&Tensor]) -> Result<Tensor> {
    const OP: &str = "concat_channels";
    check_floats(OP, inputs)?;
    let Some((&first, rest)) = inputs.split_first() else {
        return Err(ComputeError::Option {
            op: OP,
            key: "inputs",
            expected: "at least one tensor",
            found: "none".into(),
        });
    };
    let a = first.dims();
    for next in rest {
        let b = next.dims();
        let alike = !a.is_empty() && a.len() == b.len() && a[..a.len() - 1] == b[..b.len() - 1];
        if !alike || a.contains(&0) || b.contains(&0) {
            let expected = format!("the sizes of {a:?} but for the last");
            return Err(ComputeError::shape(OP, expected, next.shape()));
        }
    }
    if !has_kernels(first) {
        return Ok(Tensor::cat(inputs, first.rank() - 1)?);
    }
    // Three at a time: what is joined in between is kept for the backward pass.
    let mut joined = first.contiguous()?;
    for pair in rest.chunks(2) {
        joined = match pair {
            [b, c] => joined.apply_op3(&b.contiguous()?, &c.contiguous()?, Concat)?,
            _ => joined.apply_op2(&pair[0].contiguous()?, Concat)?,
        };
    }
    Ok(joined)
}

fn last(shape: &Shape) -> usize {
    shape.dims().last().copied().unwrap_or(0)
}

fn with_last(shape: &Shape, channels: usize) -> Shape {
    let mut dims = shape.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = channels;
    }
    Shape::from(dims)
}

struct Concat;

impl CustomOp2 for Concat {
    fn name(&self) -> &'static str {
        "concat-channels"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (a, b) = (last(l1.shape()), last(l2.shape()));
        let out = by_dtype!(s1, T => {
            pointwise::interleave::<T, 2>([(slice(s1, l1)?, a), (slice(s2, l2)?, b)])
        });
        Ok((out, with_last(l1.shape(), a + b)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [in_x, in_y] = parts_of(&dy.contiguous()?, [x, y])?;
        Ok((in_x, in_y))
    }
}

impl CustomOp3 for Concat {
    fn name(&self) -> &'static str {
        "concat-channels"
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
        let [a, b, c] = [l1, l2, l3].map(|l| last(l.shape()));
        let out = by_dtype!(s1, T => {
            let parts = [(slice(s1, l1)?, a), (slice(s2, l2)?, b), (slice(s3, l3)?, c)];
            pointwise::interleave::<T, 3>(parts)
        });
        Ok((out, with_last(l1.shape(), a + b + c)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        z: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [in_x, in_y, in_z] = parts_of(&dy.contiguous()?, [x, y, z])?;
        Ok((in_x, in_y, in_z))
    }
}

/// The gradient of tensors side by side, cut apart; none where none is wanted.
fn parts_of<const N: usize>(
    dy: &Tensor,
    inputs: [&Tensor; N],
) -> candle_core::Result<[Option<Tensor>; N]> {
    let mut parts = [const { None }; N];
    let mut first = 0;
    for (part, input) in parts.iter_mut().zip(inputs) {
        let len = last(input.shape());
        if input.track_op() {
            *part = Some(dy.apply_op1(Part { first, len })?);
        }
        first += len;
    }
    Ok(parts)
}

/// The channels `first .. first + len`.
struct Part {
    first: usize,
    len: usize,
}

impl CustomOp1 for Part {
    fn name(&self) -> &'static str {
        "channel-part"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let channels = last(l.shape());
        let out = by_dtype!(s, T => {
            pointwise::part::<T>(slice(s, l)?, channels, self.first..self.first + self.len)
        });
        Ok((out, with_last(l.shape(), self.len)))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, u: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let channels = last(x.shape());
        let axis = x.rank() - 1;
        let behind = channels - self.first - self.len;
        Ok(Some(u.pad_with_zeros(axis, self.first, behind)?))
    }
}
