//! The operator behind every normalisation, its gradient, and the gradient's gradient.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

use crate::Result;
use crate::kernels::normalise::{Affine, Gradients, Moments, Normalisation};
use crate::ops::composite::{has_kernels, normalisation as composite};
use crate::ops::custom::{Element, by_dtype, operands};
use crate::ops::pointwise::gate;
use crate::ops::storage::slice;

/// Moments that the forward pass finds and the backward pass needs.
type Found = Arc<OnceLock<Moments>>;

pub(super) fn normalise(
    input: &Tensor,
    [weight, bias]: [&Tensor; 2],
    residual: Option<&Tensor>,
    op: Normalisation,
) -> Result<(Tensor, Moments)> {
    if !has_kernels(input) {
        let found = composite::normalise(input, [weight, bias], residual, &op)?;
        return Ok(found);
    }
    let channels = op.grouping.channels();
    let row = |t: &Tensor| t.reshape((1, channels));
    let affine = Tensor::cat(&[row(weight)?, row(bias)?], 0)?;
    let found = Found::default();
    let op = Forward {
        op,
        found: found.clone(),
    };
    let input = input.contiguous()?;
    let out = match residual {
        Some(residual) => input.apply_op3(&affine, &residual.contiguous()?, op)?,
        None => input.apply_op2(&affine, op)?,
    };
    let moments = found.get().cloned().unwrap_or_default();
    Ok((out, moments))
}

/// `(x, [weight; bias]) -> y` and `(x, [weight; bias], residual) -> y`
struct Forward {
    op: Normalisation,
    found: Found,
}

fn split<T>(affine: &[T]) -> Affine<'_, T> {
    let (weight, bias) = affine.split_at(affine.len() / 2);
    Affine { weight, bias }
}

impl Forward {
    fn compute<T: Element>(&self, x: &[T], affine: &[T], residual: Option<&[T]>) -> Vec<T> {
        let (out, moments) = self.op.forward(x, split(affine), residual);
        // The operator is applied once, so that nothing is there before.
        self.found.get_or_init(|| moments);
        out
    }

    /// `[dx, d[weight; bias]]` for the gradient `dz` of what enters the activation.
    fn gradients(
        &self,
        [x, affine, dz]: [&Tensor; 3],
        slope: f64,
    ) -> candle_core::Result<[Tensor; 2]> {
        let op = Backward {
            op: Normalisation {
                slope,
                ..self.op.clone()
            },
            moments: self.found.get().cloned().unwrap_or_default(),
        };
        let [x, affine, dz] = operands([x, affine, &dz.contiguous()?]);
        let flat = x.apply_op3(&affine, &dz, op)?;
        let len = x.elem_count();
        let dx = flat.narrow(0, 0, len)?.reshape(x.shape())?;
        // A view would hold `dx` as long as somebody keeps the gradient of the weights.
        let d_affine = flat
            .narrow(0, len, affine.elem_count())?
            .force_contiguous()?;
        Ok([dx, d_affine.reshape(affine.shape())?])
    }
}

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "normalisation"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s1, T => self.compute::<T>(slice(s1, l1)?, slice(s2, l2)?, None));
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        affine: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, d_affine] = self.gradients([x, affine, dy], self.op.slope)?;
        Ok((Some(dx), Some(d_affine)))
    }
}

impl CustomOp3 for Forward {
    fn name(&self) -> &'static str {
        "normalisation-residual"
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
            self.compute::<T>(slice(s1, l1)?, slice(s2, l2)?, Some(slice(s3, l3)?))
        });
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        affine: &Tensor,
        _: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        // `y` has the sign of what entered the activation.
        let dz = gate(dy, y, self.op.slope)?;
        let [dx, d_affine] = self.gradients([x, affine, &dz], 1.0)?;
        Ok((Some(dx), Some(d_affine), Some(dz)))
    }
}

/// `(x, [weight; bias], dy) -> dx, dweight and dbias`, one after the other in one vector.
struct Backward {
    op: Normalisation,
    moments: Moments,
}

impl Backward {
    fn compute<T: Element>(&self, x: &[T], affine: &[T], dy: &[T]) -> Vec<T> {
        self.op.backward(Gradients {
            x,
            affine: split(affine),
            moments: &self.moments,
            dy,
        })
    }
}

impl CustomOp3 for Backward {
    fn name(&self) -> &'static str {
        "normalisation-gradient"
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
            self.compute::<T>(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?)
        });
        let len = l1.shape().elem_count() + l2.shape().elem_count();
        Ok((out, Shape::from(len)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        affine: &Tensor,
        dy: &Tensor,
        _: &Tensor,
        u: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let view = View::new(self, x, affine)?;
        let [x_gradient, weight_gradient, dy_gradient] = view.second_order(dy, u)?;
        let weight_gradient = weight_gradient.reshape((1, ()))?;
        let zeros = weight_gradient.zeros_like()?;
        Ok((
            Some(x_gradient.reshape(x.shape())?),
            Some(Tensor::cat(&[weight_gradient, zeros], 0)?),
            Some(dy_gradient.reshape(dy.shape())?),
        ))
    }
}

/// A normalisation from candle's own operations over `[samples, pixels, groups, width]`: slow, but
/// differentiable to any order.
struct View {
    dims: (usize, usize, usize, usize),
    /// Whether the moments are constants.
    constant: bool,
    /// `1 / √(variance + ε)`
    inverse: Tensor,
    /// `x̂`
    normal: Tensor,
    weight: Tensor,
    /// What enters the activation, for its sign.
    z: Tensor,
    slope: f64,
}

fn add(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    a.broadcast_add(b)
}

fn sub(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    a.broadcast_sub(b)
}

fn mul(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    a.broadcast_mul(b)
}

fn group_mean(t: &Tensor) -> candle_core::Result<Tensor> {
    t.mean_keepdim(3)?.mean_keepdim(1)
}

impl View {
    fn new(at: &Backward, x: &Tensor, affine: &Tensor) -> candle_core::Result<Self> {
        let g = &at.op.grouping;
        let dims = (g.samples, g.pixels, g.groups, g.width);
        let x = x.reshape(dims)?;
        let (mean, variance) = if let Some(given) = &at.op.given {
            let constant = |values: &[f64]| {
                Tensor::from_slice(values, (1, 1, g.groups, 1), x.device())?.to_dtype(x.dtype())
            };
            (constant(&given.mean)?, constant(&given.variance)?)
        } else {
            let mean = group_mean(&x)?;
            let variance = group_mean(&sub(&x, &mean)?.sqr()?)?;
            (mean, variance)
        };
        let inverse = (variance + at.op.epsilon)?.sqrt()?.recip()?;
        let normal = mul(&sub(&x, &mean)?, &inverse)?;
        let row = |i: usize| affine.narrow(0, i, 1)?.reshape((1, 1, g.groups, g.width));
        let (weight, bias) = (row(0)?, row(1)?);
        let z = add(&mul(&normal, &weight)?, &bias)?.detach();
        Ok(Self {
            dims,
            constant: at.op.given.is_some(),
            inverse,
            normal,
            weight,
            z,
            slope: at.op.slope,
        })
    }

    /// Mean over the group of what passes through the moments.
    fn mean(&self, t: &Tensor) -> candle_core::Result<Tensor> {
        let mean = group_mean(t)?;
        if self.constant {
            mean.zeros_like()
        } else {
            Ok(mean)
        }
    }

    /// `P(h) = s · (h − mean h − x̂ · mean(h x̂))`, the transposed derivative of `x̂`.
    fn project(&self, h: &Tensor) -> candle_core::Result<Tensor> {
        let along = mul(&self.normal, &self.mean(&mul(h, &self.normal)?)?)?;
        mul(&sub(&sub(h, &self.mean(h)?)?, &along)?, &self.inverse)
    }

    /// The transposed derivative of `(x, weight, dy) -> (dx, dweight, dbias)` at `u`.
    ///
    /// With `h = g · weight`, `a = mean(h x̂)`, `b = mean(u_x x̂)`,
    /// `c = mean(u_x h) − mean u_x · mean h`:
    /// in `x`: `P(g · u_w − s (h b + u_x a)) − s² x̂ (c − a b)`; in `weight`: `Σ g · P(u_x)`;
    /// in `g`: `weight · P(u_x) + u_w x̂ + u_b`.
    fn second_order(&self, dy: &Tensor, u: &Tensor) -> candle_core::Result<[Tensor; 3]> {
        let (samples, pixels, groups, width) = self.dims;
        let (len, channels) = (samples * pixels * groups * width, groups * width);
        let row = |i: usize| {
            u.narrow(0, len + i * channels, channels)?
                .reshape((1, 1, groups, width))
        };
        let (u_x, u_w, u_b) = (u.narrow(0, 0, len)?.reshape(self.dims)?, row(0)?, row(1)?);
        let g = gate(&dy.reshape(self.dims)?, &self.z, self.slope)?;
        let h = mul(&g, &self.weight)?;
        let projected = self.project(&u_x)?;
        let a = self.mean(&mul(&h, &self.normal)?)?;
        let b = self.mean(&mul(&u_x, &self.normal)?)?;
        let c = sub(
            &self.mean(&mul(&u_x, &h)?)?,
            &mul(&self.mean(&u_x)?, &self.mean(&h)?)?,
        )?;

        let through_scale = mul(&add(&mul(&h, &b)?, &mul(&u_x, &a)?)?, &self.inverse)?;
        let through_normal = self.project(&sub(&mul(&g, &u_w)?, &through_scale)?)?;
        let size = mul(&sub(&c, &mul(&a, &b)?)?, &self.inverse.sqr()?)?;
        let x_gradient = sub(&through_normal, &mul(&self.normal, &size)?)?;

        let weight_gradient = mul(&g, &projected)?.sum_keepdim((0, 1))?;
        let linear = add(&mul(&self.normal, &u_w)?, &u_b)?;
        let g_gradient = add(&mul(&projected, &self.weight)?, &linear)?;
        Ok([
            x_gradient,
            weight_gradient,
            gate(&g_gradient, &self.z, self.slope)?,
        ])
    }
}
