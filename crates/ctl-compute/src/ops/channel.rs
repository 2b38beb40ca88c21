//! A bias per channel, and `ReLU` in the same pass.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Shape, Tensor};

use super::linear::{Activation, Gate};
use super::storage::slice;
use crate::gemm::Real;
use crate::{ComputeError, Result};

/// `y[b, c] = a(x[b, c] + bias[c])`
///
/// # Arguments
/// - `input`: `[B, C, H, W]`; `bias`: `[C]`
///
/// # Errors
/// When the rank is not 4 or the channels differ.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{Activation, channel_bias};
///
/// let x = Tensor::new(&[[[[1f32]], [[-3.0]]]], &Device::Cpu)?;
/// let bias = Tensor::new(&[1f32, 2.0], &Device::Cpu)?;
/// let y = channel_bias(&x, &bias, Activation::Relu)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2.0, 0.0]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn channel_bias(input: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    let &[_, channels, _, _] = input.dims() else {
        return Err(ComputeError::shape(
            "channel_bias",
            "[B, C, H, W]",
            input.shape(),
        ));
    };
    if bias.dims() != [channels] {
        let expected = format!("a bias [{channels}]");
        return Err(ComputeError::shape("channel_bias", expected, bias.shape()));
    }
    let op = ChannelBias { activation };
    Ok(input.contiguous()?.apply_op2(&bias.contiguous()?, op)?)
}

struct ChannelBias {
    activation: Activation,
}

impl ChannelBias {
    fn compute<T: Real>(&self, input: &[T], bias: &[T], pixels: usize) -> Vec<T> {
        let mut out = Vec::with_capacity(input.len());
        for (plane, values) in input.chunks_exact(pixels).enumerate() {
            let shift = bias[plane % bias.len()];
            out.extend(values.iter().map(|&v| v + shift));
        }
        if self.activation == Activation::Relu {
            for value in &mut out {
                *value = if *value > T::ZERO { *value } else { T::ZERO };
            }
        }
        out
    }
}

impl CustomOp2 for ChannelBias {
    fn name(&self) -> &'static str {
        "channel-bias"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (_, _, height, width) = l1.shape().dims4()?;
        let pixels = height * width;
        let out = match candle_core::backend::BackendStorage::dtype(s1) {
            DType::F64 => CpuStorage::F64(self.compute(slice(s1, l1)?, slice(s2, l2)?, pixels)),
            _ => CpuStorage::F32(self.compute(slice(s1, l1)?, slice(s2, l2)?, pixels)),
        };
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        _bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gradient = gradient.contiguous()?;
        if self.activation == Activation::Relu {
            gradient = gradient.apply_op2(&output.detach(), Gate)?;
        }
        let sums = gradient.apply_op1(ChannelSum)?;
        Ok((input.track_op().then_some(gradient), Some(sums)))
    }
}

/// `[B, C, H, W] -> [C]`
struct ChannelSum;

impl CustomOp1 for ChannelSum {
    fn name(&self) -> &'static str {
        "channel-sum"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        fn sums<T: Real>(values: &[T], channels: usize, pixels: usize) -> Vec<T> {
            let mut out = vec![T::ZERO; channels];
            for (plane, values) in values.chunks_exact(pixels).enumerate() {
                out[plane % channels] += sum(values);
            }
            out
        }
        let (_, channels, height, width) = l.shape().dims4()?;
        let pixels = height * width;
        let out = match candle_core::backend::BackendStorage::dtype(s) {
            DType::F64 => CpuStorage::F64(sums(slice(s, l)?, channels, pixels)),
            _ => CpuStorage::F32(sums(slice(s, l)?, channels, pixels)),
        };
        Ok((out, Shape::from(channels)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let across = gradient.reshape((1, gradient.elem_count(), 1, 1))?;
        Ok(Some(across.broadcast_as(input.shape())?.contiguous()?))
    }
}

/// Lanes of a sum: enough for the compiler to use vectors, always in the same order.
const LANES: usize = 16;

/// The sum of some values, in lanes.
pub(super) fn sum<T: Real>(values: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += *value;
        }
    }
    let mut total = T::ZERO;
    for value in lanes.iter().chain(rest) {
        total += *value;
    }
    total
}

/// `Σ a·b`, in lanes.
pub(super) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let mut total = T::ZERO;
    for (x, y) in rest {
        total += *x * *y;
    }
    for (x, y) in a_chunks.zip(b_chunks) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += *x * *y;
        }
    }
    for lane in lanes {
        total += lane;
    }
    total
}
