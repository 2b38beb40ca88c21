//! Activations, sums and concatenation, closed under differentiation.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};

use super::custom::{by_dtype, check_floats};
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
/// When the values are not floats on the CPU.
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
    Ok(input.contiguous()?.apply_op1(Activate(function))?)
}

macro_rules! activation {
    ($(#[$meta:meta])* $name:ident, $function:ident) => {
        $(#[$meta])*
        ///
        /// # Errors
        /// When the values are not floats on the CPU.
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

struct Activate(Function);

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
struct Derivative(Function, Order);

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
/// When the values are not floats on the CPU.
pub fn relu(input: &Tensor) -> Result<Tensor> {
    rectified("relu", input, Rectifier::Relu)
}

/// `x` where positive, else `slope · x`, the slope in `(0, 1)`.
///
/// # Errors
/// When the values are not floats on the CPU or the slope is out of range.
pub fn leaky_relu(input: &Tensor, slope: f64) -> Result<Tensor> {
    rectified("leaky_relu", input, Rectifier::Leaky { slope })
}

fn rectified(op: &'static str, input: &Tensor, rectifier: Rectifier) -> Result<Tensor> {
    check_floats(op, &[input])?;
    rectifier.validate(op)?;
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
/// When the shapes differ, the values are not floats on the CPU, or the slope is out of range.
pub fn add_activated(x: &Tensor, y: &Tensor, activation: Rectifier) -> Result<Tensor> {
    check_floats("add_activated", &[x, y])?;
    activation.validate("add_activated")?;
    if x.shape() != y.shape() {
        let expected = format!("{:?}", x.dims());
        return Err(ComputeError::shape("add_activated", expected, y.shape()));
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
        let gated = gate(dy, out, self.0)?;
        Ok((Some(gated.clone()), Some(gated)))
    }
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
    check_floats("concat_channels", inputs)?;
    let Some((&first, rest)) = inputs.split_first() else {
        return Err(ComputeError::Option {
            op: "concat_channels",
            key: "inputs",
            expected: "at least one tensor",
            found: "none".into(),
        });
    };
    let mut joined = first.contiguous()?;
    for next in rest {
        let (a, b) = (joined.dims(), next.dims());
        if a.is_empty()
            || a.len() != b.len()
            || a[..a.len() - 1] != b[..b.len() - 1]
            || a.contains(&0)
            || b.contains(&0)
        {
            let expected = format!("the sizes of {a:?} but for the last");
            return Err(ComputeError::shape(
                "concat_channels",
                expected,
                next.shape(),
            ));
        }
        joined = joined.apply_op2(&next.contiguous()?, Concat)?;
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
            pointwise::interleave::<T>([(slice(s1, l1)?, a), (slice(s2, l2)?, b)])
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
        let dy = dy.contiguous()?;
        let (a, b) = (last(x.shape()), last(y.shape()));
        let part = |first, len, of: &Tensor| {
            of.track_op()
                .then(|| dy.apply_op1(Part { first, len }))
                .transpose()
        };
        Ok((part(0, a, x)?, part(a, b, y)?))
    }
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
