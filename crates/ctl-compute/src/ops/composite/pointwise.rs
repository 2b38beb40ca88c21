//! Activations from candle's exponential, hyperbolic tangent and error function.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use candle_core::{Result, Tensor};

use crate::kernels::pointwise::{Function, GELU_CUBE};

/// `f(x)`, element by element.
pub(in crate::ops) fn activate(x: &Tensor, function: Function) -> Result<Tensor> {
    match function {
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => x.tanh(),
        Function::Erf => x.erf(),
        Function::Softplus => softplus(x),
        Function::Silu => x * sigmoid(x)?,
        Function::Gelu => {
            let law = ((x * FRAC_1_SQRT_2)?.erf()? + 1.0)?;
            (x * law)? * 0.5
        }
        Function::GeluTanh => {
            let cubic = (x + (x * x.sqr()?)? * GELU_CUBE)?;
            let law = ((cubic * (FRAC_2_SQRT_PI * FRAC_1_SQRT_2))?.tanh()? + 1.0)?;
            (x * law)? * 0.5
        }
    }
}

/// `(1 + tanh(x / 2)) / 2`, which does not overflow.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    ((x * 0.5)?.tanh()? * 0.5)? + 0.5
}

/// `m + log(e^(x − m) + e^−m)` with the constant `m = max(x, 0)`: no overflow, and no kink in any
/// derivative.
pub(in crate::ops) fn softplus(x: &Tensor) -> Result<Tensor> {
    let shift = x.detach().relu()?;
    let sum = ((x - &shift)?.exp()? + shift.neg()?.exp()?)?;
    shift + sum.log()?
}

/// `x` where positive, else `slope · x`, as the pointwise kernels have it: what is not a number stays
/// so, and a slope of 0 makes `−∞` none.
pub(in crate::ops) fn rectify(x: &Tensor, slope: f64) -> Result<Tensor> {
    // candle's own rectifier has gradient 1 at 0, ours 0.
    x.gt(&x.zeros_like()?)?.where_cond(x, &(x * slope)?)
}
