//! Diagonal Gaussians of latent variables: draws and divergences in one operator each.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

use super::composite::{has_kernels, laws};
use super::custom::{Element, by_dtype, check_floats};
use super::storage::slice;
use crate::kernels::gaussian::{self as kernels, Law, Rows};
use crate::{ComputeError, Result};

/// `μ + e^s ε`, a draw from a diagonal Gaussian as a function of its parameters (Kingma & Welling
/// 2014).
///
/// # Arguments
/// - `law`: `[B, …, C]`; of the channels the first `Z` are means `μ`, the next `Z` logarithms `s`
///   of standard deviations, further ones are passed over
/// - `noise`: `[B, …, Z]`, standard normal values `ε`, taken as constants
///
/// # Returns
/// `[B, …, Z]`
///
/// # Errors
/// When the shapes do not fit, `C < 2 Z`, or the types are others.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::gaussian_draw;
///
/// let law = Tensor::new(&[[3f64, 2f64.ln()]], &Device::Cpu)?;
/// let noise = Tensor::new(&[[-1f64]], &Device::Cpu)?;
/// let drawn = gaussian_draw(&law, &noise)?.to_vec2::<f64>()?;
/// assert!((drawn[0][0] - 1.0).abs() < 1e-15);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn gaussian_draw(law: &Tensor, noise: &Tensor) -> Result<Tensor> {
    const OP: &str = "gaussian_draw";
    check_floats(OP, &[law, noise])?;
    let latent = noise.dims().last().copied().unwrap_or(0);
    check_law(OP, law, latent)?;
    let rows = |t: &Tensor| t.dims()[..t.rank() - 1].to_vec();
    if rows(law) != rows(noise) {
        let expected = format!("noise {:?} but for the last axis", law.dims());
        return Err(ComputeError::shape(OP, expected, noise.shape()));
    }
    let noise = noise.detach().contiguous()?;
    if !has_kernels(law) {
        return Ok(laws::draw(law, &noise, latent)?);
    }
    Ok(law.contiguous()?.apply_op2(&noise, Draw { latent })?)
}

/// `KL(q ‖ p)` of diagonal Gaussians, summed over everything but the batch.
///
/// `Σ ½ (e^{2(s_q − s_p)} + (μ_q − μ_p)² e^{−2 s_p} − 1) − (s_q − s_p)`, in double precision
/// over the positions of an image.
///
/// # Arguments
/// - `q`, `p`: `[B, …, C]`, as the law of [`gaussian_draw`]; their `C` may differ
/// - `latent`: `Z`
///
/// # Returns
/// `[B]`
///
/// # Errors
/// When the shapes differ but for the channels, these are fewer than `2 Z`, or the types are
/// others.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::gaussian_divergence;
///
/// let q = Tensor::new(&[[1f64, 0.0]], &Device::Cpu)?;
/// let p = Tensor::new(&[[0f64, 0.0]], &Device::Cpu)?;
/// assert_eq!(gaussian_divergence(&q, &p, 1)?.to_vec1::<f64>()?, [0.5]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn gaussian_divergence(q: &Tensor, p: &Tensor, latent: usize) -> Result<Tensor> {
    const OP: &str = "gaussian_divergence";
    check_floats(OP, &[q, p])?;
    check_law(OP, q, latent)?;
    check_law(OP, p, latent)?;
    if q.dims()[..q.rank() - 1] != p.dims()[..p.rank() - 1] {
        let expected = format!("{:?} but for the last axis", q.dims());
        return Err(ComputeError::shape(OP, expected, p.shape()));
    }
    if !has_kernels(q) {
        return Ok(laws::divergence(q, p, latent)?);
    }
    let op = Divergence { latent };
    Ok(q.contiguous()?.apply_op2(&p.contiguous()?, op)?)
}

fn check_law(op: &'static str, law: &Tensor, latent: usize) -> Result<()> {
    let channels = law.dims().last().copied().unwrap_or(0);
    if law.rank() > 1 && law.elem_count() > 0 && latent > 0 && channels >= 2 * latent {
        return Ok(());
    }
    let expected = format!("[B, …, C] with C at least 2 × {latent}, neither of them 0");
    Err(ComputeError::shape(op, expected, law.shape()))
}

fn rows<'a, T: Element>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> candle_core::Result<Rows<'a, T>> {
    let width = layout.dims().last().copied().unwrap_or(1);
    let values = slice(storage, layout)?;
    Ok(Rows { values, width })
}

struct Draw {
    latent: usize,
}

impl CustomOp2 for Draw {
    fn name(&self) -> &'static str {
        "gaussian-draw"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s1, T => {
            kernels::draw::<T>(rows(s1, l1)?, slice(s2, l2)?, self.latent)
        });
        Ok((out, l2.shape().clone()))
    }

    fn bwd(
        &self,
        law: &Tensor,
        noise: &Tensor,
        _: &Tensor,
        dz: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let op = DrawGradient {
            latent: self.latent,
        };
        let in_law = law.apply_op3(noise, &dz.contiguous()?, op)?;
        Ok((Some(in_law), None))
    }
}

/// `(law, ε, dz) -> (dz, dz ε e^s, 0)`
struct DrawGradient {
    latent: usize,
}

impl CustomOp3 for DrawGradient {
    fn name(&self) -> &'static str {
        "gaussian-draw-gradient"
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
            let (noise, dz) = (slice(s2, l2)?, slice(s3, l3)?);
            kernels::draw_gradient::<T>(rows(s1, l1)?, noise, dz, self.latent)
        });
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        law: &Tensor,
        noise: &Tensor,
        dz: &Tensor,
        _: &Tensor,
        u: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let axis = law.rank() - 1;
        let [_, s] = moments(law, self.latent)?;
        let [u_mean, u_log] = moments(u, self.latent)?;
        let spread = (s.exp()? * noise)?;
        let along = (&u_log * &spread)?;
        let in_log = (dz * &along)?;
        let behind = law.dims()[axis] - 2 * self.latent;
        let in_law = in_log.pad_with_zeros(axis, self.latent, behind)?;
        Ok((Some(in_law), None, Some((u_mean + along)?)))
    }
}

/// Means and log deviations.
fn moments(law: &Tensor, latent: usize) -> candle_core::Result<[Tensor; 2]> {
    let axis = law.rank() - 1;
    Ok([
        law.narrow(axis, 0, latent)?.contiguous()?,
        law.narrow(axis, latent, latent)?.contiguous()?,
    ])
}

struct Divergence {
    latent: usize,
}

impl CustomOp2 for Divergence {
    fn name(&self) -> &'static str {
        "gaussian-divergence"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let batch = l1.dims()[0];
        let out = by_dtype!(s1, T => {
            kernels::divergence::<T>(rows(s1, l1)?, rows(s2, l2)?, self.latent, batch)
        });
        Ok((out, Shape::from(batch)))
    }

    fn bwd(
        &self,
        q: &Tensor,
        p: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let latent = self.latent;
        let side = |law, of: &Tensor| {
            let gradient = || q.apply_op3(p, &dy, DivergenceGradient { latent, law });
            of.track_op().then(gradient).transpose()
        };
        Ok((side(Law::First, q)?, side(Law::Second, p)?))
    }
}

/// `(q, p, dy) -> dy ∂KL/∂q` or `dy ∂KL/∂p`
struct DivergenceGradient {
    latent: usize,
    law: Law,
}

impl CustomOp3 for DivergenceGradient {
    fn name(&self) -> &'static str {
        "gaussian-divergence-gradient"
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
            let (q, p, dy) = (rows(s1, l1)?, rows(s2, l2)?, slice(s3, l3)?);
            kernels::divergence_gradient::<T>(self.law, q, p, self.latent, dy)
        });
        let shape = match self.law {
            Law::First => l1.shape(),
            Law::Second => l2.shape(),
        };
        Ok((out, shape.clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        p: &Tensor,
        dy: &Tensor,
        _: &Tensor,
        u: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let curvature = Curvature::new(q, p, dy, u, self.latent)?;
        let (in_q, in_p, in_dy) = match self.law {
            Law::First => curvature.of_first()?,
            Law::Second => curvature.of_second()?,
        };
        let back = |[mean, log]: [Tensor; 2], to: &Tensor| {
            let axis = to.rank() - 1;
            let both = Tensor::cat(&[mean, log], axis)?;
            both.pad_with_zeros(axis, 0, to.dims()[axis] - 2 * self.latent)
        };
        Ok((Some(back(in_q, q)?), Some(back(in_p, p)?), Some(in_dy)))
    }
}

type InLaws = ([Tensor; 2], [Tensor; 2], Tensor);

/// What the second derivatives of a divergence are made of, all `[B, …, Z]` but `dy`.
struct Curvature {
    /// `d w` with `d = μ_q − μ_p` and `w = e^{−2 s_p}`.
    pull: Tensor,
    /// `d² w`
    squared: Tensor,
    /// `r = e^{2(s_q − s_p)}`
    ratio: Tensor,
    precision: Tensor,
    /// `[B, 1, …, 1]`
    dy: Tensor,
    u_mean: Tensor,
    u_log: Tensor,
}

impl Curvature {
    fn new(
        q: &Tensor,
        p: &Tensor,
        dy: &Tensor,
        u: &Tensor,
        latent: usize,
    ) -> candle_core::Result<Self> {
        let ([mean, log], [other_mean, other_log]) = (moments(q, latent)?, moments(p, latent)?);
        let [u_mean, u_log] = moments(u, latent)?;
        let gap = (mean - other_mean)?;
        let precision = (&other_log * -2.0)?.exp()?;
        let pull = (&gap * &precision)?;
        let mut scalars = vec![1; q.rank()];
        scalars[0] = q.dims()[0];
        Ok(Self {
            squared: (&gap * &pull)?,
            ratio: ((log - other_log)? * 2.0)?.exp()?,
            dy: dy.reshape(scalars)?,
            pull,
            precision,
            u_mean,
            u_log,
        })
    }

    /// `Σ u · ∂KL` of each image.
    fn along(terms: &Tensor) -> candle_core::Result<Tensor> {
        terms.flatten_from(1)?.sum(1)
    }

    fn scaled(&self, terms: &Tensor) -> candle_core::Result<Tensor> {
        terms.broadcast_mul(&self.dy)
    }

    /// Of `u · (d w, r − 1)`, the gradient in `q`.
    fn of_first(&self) -> candle_core::Result<InLaws> {
        let mean = self.scaled(&(&self.precision * &self.u_mean)?)?;
        let spread = self.scaled(&((&self.ratio * &self.u_log)? * 2.0)?)?;
        let slide = self.scaled(&((&self.pull * &self.u_mean)? * -2.0)?)?;
        let in_p = [mean.neg()?, (slide - &spread)?];
        let dy = (&self.pull * &self.u_mean)? + (self.ratio.affine(1.0, -1.0)? * &self.u_log)?;
        Ok(([mean, spread], in_p, Self::along(&dy?)?))
    }

    /// Of `u · (−d w, 1 − r − d² w)`, the gradient in `p`.
    fn of_second(&self) -> candle_core::Result<InLaws> {
        let straight = (&self.precision * &self.u_mean)?;
        let crossed = ((&self.pull * &self.u_log)? * 2.0)?;
        let in_mean = self.scaled(&(straight + crossed)?)?;
        let spread = ((&self.ratio * &self.u_log)? * 2.0)?;
        let bent = ((&self.squared * &self.u_log)? * 2.0)?;
        let slide = ((&self.pull * &self.u_mean)? * 2.0)?;
        let in_q = [in_mean.neg()?, self.scaled(&spread.neg()?)?];
        let in_p = [in_mean, self.scaled(&((slide + spread)? + bent)?)?];
        let level = (self.ratio.affine(-1.0, 1.0)? - &self.squared)?;
        let dy = (level * &self.u_log)? - (&self.pull * &self.u_mean)?;
        Ok((in_q, in_p, Self::along(&dy?)?))
    }
}
