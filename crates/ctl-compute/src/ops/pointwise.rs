//! Activations and sums, closed under differentiation.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Tensor};

use super::composite::{has_kernels, pointwise as composite};
use super::custom::{by_dtype, check_floats, operands};
use super::normalisation::Rectifier;
use super::storage::slice;
use crate::kernels::pointwise::{self, Order};
use crate::{ComputeError, Result};

pub use crate::kernels::pointwise::Function;

/// `f(x)`, element by element; differentiable twice.
///
/// In `f32` the exponential is within 2 units in the last place, the hyperbolic tangent within 3,
/// and the normal law within 1.5e-7.
///
/// # Errors
/// When the values are not floats on a served device.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{Function, activate};
///
/// let x = Tensor::new(&[0f64, 1.0], &Device::Cpu)?;
/// let y = activate(&x, Function::Gelu)?.to_vec1::<f64>()?;
/// assert!(y[0] == 0.0 && (y[1] - 0.841_344_746).abs() < 1e-9);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn activate(input: &Tensor, function: Function) -> Result<Tensor> {
    check_floats("activate", &[input])?;
    if !has_kernels(input) {
        return Ok(composite::activate(input, function)?);
    }
    Ok(input.contiguous()?.apply_op1(Activate(function))?)
}

macro_rules! activation {
    ($(#[$meta:meta])* $name:ident, $function:ident) => {
        $(#[$meta])*
        ///
        /// # Errors
        /// When the values are not floats on a served device.
        pub fn $name(input: &Tensor) -> Result<Tensor> {
            activate(input, Function::$function)
        }
    };
}

activation!(
    /// `1 / (1 + e⁻ˣ)`
    sigmoid, Sigmoid);
activation!(
    /// Hyperbolic tangent.
    tanh, Tanh);
activation!(
    /// Error function.
    erf, Erf);
activation!(
    /// `log(1 + eˣ)`, without overflow.
    softplus, Softplus);
activation!(
    /// `x · σ(x)`
    silu, Silu);
activation!(
    /// `x · Φ(x)`, exactly.
    gelu, Gelu);
activation!(
    /// `x · Φ(x)` by the hyperbolic tangent.
    gelu_tanh, GeluTanh);

pub(super) struct Activate(pub(super) Function);

impl CustomOp1 for Activate {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => pointwise::apply::<T>(self.0, slice(s, l)?));
        Ok((out, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let op = Derivative(self.0, Order::First);
        Ok(Some(x.apply_op2(&dy.contiguous()?, op)?))
    }
}

/// `(x, dy) -> dy · f'(x)` or `dy · f''(x)`
pub(super) struct Derivative(Function, Order);

impl Derivative {
    pub(super) fn first(function: Function) -> Self {
        Self(function, Order::First)
    }
}

impl CustomOp2 for Derivative {
    fn name(&self) -> &'static str {
        "activation-derivative"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let Self(function, order) = *self;
        let out = by_dtype!(s1, T => {
            pointwise::derivative::<T>(function, order, slice(s1, l1)?, slice(s2, l2)?)
        });
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        dy: &Tensor,
        _: &Tensor,
        u: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        if self.1 == Order::Second {
            let op = CustomOp2::name(self);
            return Err(candle_core::Error::BackwardNotSupported { op });
        }
        let u = u.contiguous()?;
        let along = (dy * &u)?.contiguous()?;
        let in_x = x.apply_op2(&along, Derivative(self.0, Order::Second))?;
        let in_dy = x.apply_op2(&u, Derivative(self.0, Order::First))?;
        Ok((Some(in_x), Some(in_dy)))
    }
}

/// `max(x, 0)`, with gradient 0 at 0.
///
/// # Errors
/// When the values are not floats on a served device.
pub fn relu(input: &Tensor) -> Result<Tensor> {
    rectified("relu", input, Rectifier::Relu)
}

/// `x` where positive, else `slope · x`, the slope in `(0, 1)`.
///
/// # Errors
/// When the values are not floats on a served device or the slope is out of range.
pub fn leaky_relu(input: &Tensor, slope: f64) -> Result<Tensor> {
    rectified("leaky_relu", input, Rectifier::Leaky { slope })
}

fn rectified(op: &'static str, input: &Tensor, rectifier: Rectifier) -> Result<Tensor> {
    check_floats(op, &[input])?;
    rectifier.validate(op)?;
    if !has_kernels(input) {
        return Ok(composite::rectify(input, rectifier.slope())?);
    }
    Ok(input.contiguous()?.apply_op1(Bend(rectifier.slope()))?)
}

struct Bend(f64);

impl CustomOp1 for Bend {
    fn name(&self) -> &'static str {
        "rectifier"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => pointwise::bend::<T>(slice(s, l)?, self.0));
        Ok((out, l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(gate(dy, y, self.0)?))
    }
}

/// `dy` where `y` is positive, else `slope · dy`; `y` is a constant here, since the derivative of
/// a sign is 0 wherever it exists.
pub(super) fn gate(dy: &Tensor, y: &Tensor, slope: f64) -> candle_core::Result<Tensor> {
    let dy = dy.contiguous()?;
    #[expect(
        clippy::float_cmp,
        reason = "exactly 1 marks that there is no activation"
    )]
    if slope == 1.0 {
        return Ok(dy);
    }
    dy.apply_op2(&y.detach().contiguous()?, Gate(slope))
}

/// `(dy, y) -> dy` or `slope · dy`
struct Gate(f64);

impl CustomOp2 for Gate {
    fn name(&self) -> &'static str {
        "rectifier-gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s1, T => {
            pointwise::gate::<T>(slice(s1, l1)?, slice(s2, l2)?, self.0)
        });
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        y: &Tensor,
        _: &Tensor,
        u: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(gate(u, y, self.0)?), None))
    }
}

/// `a(x + y)` for two tensors of one shape.
///
/// # Errors
/// When the shapes differ, the values are not floats on a served device, or the slope is out of range.
pub fn add_activated(x: &Tensor, y: &Tensor, activation: Rectifier) -> Result<Tensor> {
    check_floats("add_activated", &[x, y])?;
    activation.validate("add_activated")?;
    if x.shape() != y.shape() {
        let expected = format!("{:?}", x.dims());
        return Err(ComputeError::shape("add_activated", expected, y.shape()));
    }
    if !has_kernels(x) {
        let sum = (x + y)?;
        return match activation {
            Rectifier::Identity => Ok(sum),
            _ => Ok(composite::rectify(&sum, activation.slope())?),
        };
    }
    let op = Add(activation.slope());
    Ok(x.contiguous()?.apply_op2(&y.contiguous()?, op)?)
}

struct Add(f64);

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add-activated"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s1, T => pointwise::add::<T>(slice(s1, l1)?, slice(s2, l2)?, self.0));
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        out: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [gated] = operands([&gate(dy, out, self.0)?]);
        Ok((Some(gated.clone()), Some(gated)))
    }
}

/// The sum of two or three tensors of one shape, from left to right, without the sum of the first
/// two being kept.
///
/// # Errors
/// When there is another number of them, their shapes differ, or the values are not floats on the
/// CPU.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::add_all;
///
/// let x = Tensor::new(&[1f32, 2.0], &Device::Cpu)?;
/// assert_eq!(add_all(&[&x, &x, &x])?.to_vec1::<f32>()?, [3.0, 6.0]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn add_all(terms: &[&Tensor]) -> Result<Tensor> {
    const OP: &str = "add_all";
    check_floats(OP, terms)?;
    if let Some(other) = terms.iter().find(|t| t.shape() != terms[0].shape()) {
        let expected = format!("{:?}", terms[0].dims());
        return Err(ComputeError::shape(OP, expected, other.shape()));
    }
    match *terms {
        [a, ref rest @ ..] if (1..=2).contains(&rest.len()) && !has_kernels(a) => {
            let sum = rest.iter().try_fold(a.clone(), |sum, &term| sum + term);
            Ok(sum?)
        }
        [a, b] => Ok(a.contiguous()?.apply_op2(&b.contiguous()?, Add(1.0))?),
        [a, b, c] => {
            let (b, c) = (b.contiguous()?, c.contiguous()?);
            Ok(a.contiguous()?.apply_op3(&b, &c, SumOfThree)?)
        }
        _ => Err(ComputeError::Option {
            op: OP,
            key: "terms",
            expected: "two or three",
            found: terms.len().to_string(),
        }),
    }
}

struct SumOfThree;

impl CustomOp3 for SumOfThree {
    fn name(&self) -> &'static str {
        "sum-of-three"
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
            pointwise::sum_of_three::<T>([slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?])
        });
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        Ok((Some(dy.clone()), Some(dy.clone()), Some(dy.clone())))
    }
}
