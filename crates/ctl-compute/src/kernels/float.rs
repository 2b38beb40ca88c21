//! The two float types that kernels are compiled for.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use super::math::{double, single};

/// `f32` or `f64`, with the functions that the kernels need.
///
/// The functions of `f32` are polynomials that compile to vector instructions; their errors stand
/// in [`single`]. Those of `f64` are for checks and favour accuracy.
pub(crate) trait Float:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + 'static
{
    /// Additive identity.
    const ZERO: Self;
    /// Multiplicative identity.
    const ONE: Self;
    /// Below every number.
    const LOWEST: Self;

    /// The nearest value.
    fn of(value: f64) -> Self;
    /// The same value in double precision.
    fn wide(self) -> f64;
    /// Absolute value.
    fn magnitude(self) -> Self;
    /// `eˣ`
    fn exponential(self) -> Self;
    /// `log(1 + x)` for `x ≥ 0`; the single-precision form needs `x ≤ 1`.
    fn log_one_plus(self) -> Self;
    /// Hyperbolic tangent.
    fn hyperbolic_tangent(self) -> Self;
    /// Error function.
    fn error_function(self) -> Self;
    /// Distribution function of the standard normal law.
    fn normal_cdf(self) -> Self;

    /// The larger of two numbers.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// `1 / (1 + e⁻ˣ)`
    #[inline(always)]
    fn logistic(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exponential())
    }

    /// `log(1 + eˣ)` without overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        self.larger(Self::ZERO) + (-self.magnitude()).exponential().log_one_plus()
    }
}

macro_rules! float {
    ($type:ty, $math:ident) => {
        impl Float for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = Self::NEG_INFINITY;

            #[inline(always)]
            fn of(value: f64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn wide(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn magnitude(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn exponential(self) -> Self {
                $math::exp(self)
            }
            #[inline(always)]
            fn log_one_plus(self) -> Self {
                $math::log_one_plus(self)
            }
            #[inline(always)]
            fn hyperbolic_tangent(self) -> Self {
                $math::tanh(self)
            }
            #[inline(always)]
            fn error_function(self) -> Self {
                $math::erf(self)
            }
            #[inline(always)]
            fn normal_cdf(self) -> Self {
                $math::normal_cdf(self)
            }
        }
    };
}

float!(f32, single);
float!(f64, double);
