//! Group normalisation with a closed-form gradient.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Shape, Tensor};

use super::channel::{dot, sum};
use super::storage::slice;
use crate::gemm::Real;
use crate::{ComputeError, Result};

/// Group normalisation: mean and population variance per sample and group of channels.
///
/// `y = (x − mean) / √(var + ε) · weight + bias`
///
/// The gradient is exact; it is not itself differentiable.
///
/// # Arguments
/// - `input`: `[B, C, H, W]`; `groups` divides `C`; `weight`, `bias`: `[C]`
///
/// # Errors
/// When the rank is not 4, the channels differ, or `groups` is 0 or does not divide them.
///
/// # References
/// Wu & He 2018, equation 7.
pub fn group_norm(
    input: &Tensor,
    groups: usize,
    (weight, bias): (&Tensor, &Tensor),
    epsilon: f64,
) -> Result<Tensor> {
    let &[batch, channels, height, width] = input.dims() else {
        return Err(ComputeError::shape(
            "group_norm",
            "[B, C, H, W]",
            input.shape(),
        ));
    };
    if groups == 0 || channels % groups != 0 {
        return Err(ComputeError::Option {
            op: "group_norm",
            key: "groups",
            expected: "a divisor of the channels",
            found: format!("{groups} for {channels} channels"),
        });
    }
    for affine in [weight, bias] {
        if affine.dims() != [channels] {
            let expected = format!("weight and bias [{channels}]");
            return Err(ComputeError::shape("group_norm", expected, affine.shape()));
        }
    }
    let shape = NormShape {
        batch,
        channels,
        pixels: height * width,
        groups,
        epsilon,
    };
    let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
    Ok(input
        .contiguous()?
        .apply_op3(&weight, &bias, Forward(shape))?)
}

#[derive(Clone, Copy)]
struct NormShape {
    batch: usize,
    channels: usize,
    pixels: usize,
    groups: usize,
    epsilon: f64,
}

impl NormShape {
    fn per_group(&self) -> usize {
        self.channels / self.groups * self.pixels
    }

    /// Mean and inverse standard deviation of a group's values.
    fn moments<T: Real>(&self, values: &[T]) -> (T, T) {
        let count = T::from_f64(values.len() as f64);
        let mean = sum(values) / count;
        let mut centred = Vec::with_capacity(values.len());
        centred.extend(values.iter().map(|&v| v - mean));
        let variance = dot(&centred, &centred).to_f64() / values.len() as f64;
        (mean, T::from_f64(1.0 / (variance + self.epsilon).sqrt()))
    }

    fn forward<T: Real>(&self, input: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let mut out = Vec::with_capacity(input.len());
        for (index, group) in input.chunks_exact(self.per_group()).enumerate() {
            let (mean, inverse) = self.moments(group);
            let first = index % self.groups * (self.channels / self.groups);
            for (offset, plane) in group.chunks_exact(self.pixels).enumerate() {
                let scale = inverse * weight[first + offset];
                let shift = bias[first + offset] - mean * scale;
                out.extend(plane.iter().map(|&v| v * scale + shift));
            }
        }
        out
    }

    /// `dx`, `dweight` and `dbias`, one after the other.
    ///
    /// With `x̂` the normalised input, `g = dy · weight` and means over the group:
    /// `dx = (g − mean g − x̂ · mean(g x̂)) / √(var + ε)`,
    /// `dweight = Σ dy x̂`, `dbias = Σ dy`.
    fn backward<T: Real>(&self, input: &[T], weight: &[T], gradient: &[T]) -> Vec<T> {
        let total = self.batch * self.channels * self.pixels;
        let mut out = vec![T::ZERO; total + 2 * self.channels];
        let (dx, affine) = out.split_at_mut(total);
        let (d_weight, d_bias) = affine.split_at_mut(self.channels);
        let size = self.per_group();
        let count = T::from_f64(size as f64);
        for (index, target) in dx.chunks_exact_mut(size).enumerate() {
            let (x, dy) = (
                &input[index * size..][..size],
                &gradient[index * size..][..size],
            );
            let (mean, inverse) = self.moments(x);
            let first = index % self.groups * (self.channels / self.groups);
            let (mut sum_g, mut sum_gx) = (T::ZERO, T::ZERO);
            let planes = x
                .chunks_exact(self.pixels)
                .zip(dy.chunks_exact(self.pixels));
            for (offset, (x, dy)) in planes.enumerate() {
                let plain = sum(dy);
                let product = (dot(dy, x) - plain * mean) * inverse;
                let channel = first + offset;
                d_bias[channel] += plain;
                d_weight[channel] += product;
                sum_g += plain * weight[channel];
                sum_gx += product * weight[channel];
            }
            let (mean_g, mean_gx) = (sum_g / count, sum_gx / count);
            let planes = x
                .chunks_exact(self.pixels)
                .zip(dy.chunks_exact(self.pixels));
            let targets = target.chunks_exact_mut(self.pixels);
            for (offset, ((x, dy), target)) in planes.zip(targets).enumerate() {
                let scale = weight[first + offset];
                for ((&x, &dy), slot) in x.iter().zip(dy).zip(target) {
                    let normal = (x - mean) * inverse;
                    *slot = (dy * scale - mean_g - normal * mean_gx) * inverse;
                }
            }
        }
        out
    }
}

struct Forward(NormShape);
/// `(x, weight, dy) -> [dx, dweight, dbias]` in one flat tensor.
struct Backward(NormShape);

impl CustomOp3 for Forward {
    fn name(&self) -> &'static str {
        "group-norm"
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
        let op = &self.0;
        let out = match candle_core::backend::BackendStorage::dtype(s1) {
            DType::F64 => {
                CpuStorage::F64(op.forward(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?))
            }
            _ => CpuStorage::F32(op.forward(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?)),
        };
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let op = Backward(self.0);
        let all = input.apply_op3(weight, &gradient.contiguous()?, op)?;
        let (total, channels) = (input.elem_count(), self.0.channels);
        let dx = all.narrow(0, 0, total)?.reshape(input.shape())?;
        let d_weight = all.narrow(0, total, channels)?;
        let d_bias = all.narrow(0, total + channels, channels)?;
        Ok((Some(dx), Some(d_weight), Some(d_bias)))
    }
}

impl CustomOp3 for Backward {
    fn name(&self) -> &'static str {
        "group-norm-gradient"
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
        let op = &self.0;
        let out = match candle_core::backend::BackendStorage::dtype(s1) {
            DType::F64 => {
                CpuStorage::F64(op.backward(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?))
            }
            _ => CpuStorage::F32(op.backward(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?)),
        };
        let values = op.batch * op.channels * op.pixels + 2 * op.channels;
        Ok((out, Shape::from(values)))
    }
}
