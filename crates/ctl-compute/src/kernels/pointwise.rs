//! Elementwise loops.

use std::mem::MaybeUninit;

use super::buffer::{PIECE, written};
use super::float::Float;
use super::level::multiversion;
use super::parallel::for_each_chunk;

/// A smooth activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `σ(x) = 1 / (1 + e⁻ˣ)`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Error function.
    Erf,
    /// `log(1 + eˣ)`
    Softplus,
    /// `x · σ(x)` (Elfwing, Uchibe & Doya 2018).
    Silu,
    /// `x · Φ(x)` with the distribution function of the normal law (Hendrycks & Gimpel 2016).
    Gelu,
    /// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`, the approximation of [`Function::Gelu`].
    GeluTanh,
}

pub(crate) const GELU_CUBE: f64 = 0.044_715;

/// `tanh u` and the first and second derivative of `u = √(2/π) (x + 0.044715 x³)`.
#[inline(always)]
fn gelu_inner<T: Float>(x: T) -> [T; 3] {
    let k = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
    let (rate, cube) = (T::of(k), T::of(GELU_CUBE));
    let u = rate * (x + cube * x * x * x);
    let first = rate * (T::ONE + T::of(3.0) * cube * x * x);
    [u.hyperbolic_tangent(), first, T::of(6.0) * rate * cube * x]
}

/// `2/√π · e^(−x²)`, the derivative of the error function.
#[inline(always)]
fn error_density<T: Float>(x: T) -> T {
    T::of(std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exponential()
}

/// Density of the standard normal law.
#[inline(always)]
fn normal_density<T: Float>(x: T) -> T {
    let factor = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 / 2.0;
    T::of(factor) * (T::of(-0.5) * x * x).exponential()
}

#[inline(always)]
fn value<T: Float>(function: Function, x: T) -> T {
    match function {
        Function::Sigmoid => x.logistic(),
        Function::Tanh => x.hyperbolic_tangent(),
        Function::Erf => x.error_function(),
        Function::Softplus => x.softplus(),
        Function::Silu => x * x.logistic(),
        Function::Gelu => x * x.normal_cdf(),
        Function::GeluTanh => T::of(0.5) * x * (T::ONE + gelu_inner(x)[0]),
    }
}

#[inline(always)]
fn first_derivative<T: Float>(function: Function, x: T) -> T {
    let half = T::of(0.5);
    match function {
        Function::Sigmoid => {
            let s = x.logistic();
            s * (T::ONE - s)
        }
        Function::Tanh => {
            let t = x.hyperbolic_tangent();
            T::ONE - t * t
        }
        Function::Erf => error_density(x),
        Function::Softplus => x.logistic(),
        Function::Silu => {
            let s = x.logistic();
            s + x * s * (T::ONE - s)
        }
        Function::Gelu => x.normal_cdf() + x * normal_density(x),
        Function::GeluTanh => {
            let [t, first, _] = gelu_inner(x);
            half * (T::ONE + t) + half * x * (T::ONE - t * t) * first
        }
    }
}

#[inline(always)]
fn second_derivative<T: Float>(function: Function, x: T) -> T {
    let (half, two) = (T::of(0.5), T::of(2.0));
    match function {
        Function::Sigmoid => {
            let s = x.logistic();
            s * (T::ONE - s) * (T::ONE - two * s)
        }
        Function::Tanh => {
            let t = x.hyperbolic_tangent();
            -two * t * (T::ONE - t * t)
        }
        Function::Erf => -two * x * error_density(x),
        Function::Softplus => first_derivative(Function::Sigmoid, x),
        Function::Silu => {
            let s = x.logistic();
            s * (T::ONE - s) * (two + x * (T::ONE - two * s))
        }
        Function::Gelu => normal_density(x) * (two - x * x),
        Function::GeluTanh => {
            let [t, first, second] = gelu_inner(x);
            let open = T::ONE - t * t;
            open * first + half * x * (open * second - two * t * open * first * first)
        }
    }
}

/// Order of a derivative that has a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    First,
    Second,
}

/// Repeats `$run` with the constant `$name` for each function, so that every loop is compiled for
/// one; a closure instead would not take the instructions of its caller.
macro_rules! for_function {
    ($function:expr, $name:ident => $run:expr) => {
        for_function!(@ $function, $name => $run;
            Sigmoid, Tanh, Erf, Softplus, Silu, Gelu, GeluTanh)
    };
    (@ $function:expr, $name:ident => $run:expr; $($variant:ident),*) => {
        match $function {
            $(Function::$variant => {
                const $name: Function = Function::$variant;
                $run
            })*
        }
    };
}

#[inline(always)]
fn map_body<T: Float>(function: Function, x: &[T], out: &mut [MaybeUninit<T>]) {
    for_function!(function, F => {
        for (slot, &x) in out.iter_mut().zip(x) {
            slot.write(value(F, x));
        }
    });
}

multiversion! {
    fn map<T: Float>(function: Function, x: &[T], out: &mut [MaybeUninit<T>]) = map_body;
}

/// `f(x)`
pub(crate) fn apply<T: Float>(function: Function, x: &[T]) -> Vec<T> {
    // SAFETY: the pieces cover the vector and each is written in full.
    unsafe {
        written(x.len(), |out| {
            for_each_chunk(out, PIECE, |i, out| {
                map(function, &x[i * PIECE..][..out.len()], out);
            });
        })
    }
}

#[inline(always)]
fn derivative_body<T: Float>(
    function: Function,
    order: Order,
    x: &[T],
    dy: &[T],
    out: &mut [MaybeUninit<T>],
) {
    match order {
        Order::First => for_function!(function, F => {
            for ((slot, &x), &dy) in out.iter_mut().zip(x).zip(dy) {
                slot.write(dy * first_derivative(F, x));
            }
        }),
        Order::Second => for_function!(function, F => {
            for ((slot, &x), &dy) in out.iter_mut().zip(x).zip(dy) {
                slot.write(dy * second_derivative(F, x));
            }
        }),
    }
}

multiversion! {
    fn derivative_piece<T: Float>(
        function: Function,
        order: Order,
        x: &[T],
        dy: &[T],
        out: &mut [MaybeUninit<T>],
    ) = derivative_body;
}

/// `dy · f'(x)` or `dy · f''(x)`
pub(crate) fn derivative<T: Float>(function: Function, order: Order, x: &[T], dy: &[T]) -> Vec<T> {
    binary(x, dy, |x, dy, out| {
        derivative_piece(function, order, x, dy, out);
    })
}

/// A vector that `work` writes piece by piece from two operands.
fn binary<T: Float>(
    a: &[T],
    b: &[T],
    work: impl Fn(&[T], &[T], &mut [MaybeUninit<T>]) + Sync + Send,
) -> Vec<T> {
    assert_eq!(a.len(), b.len());
    // SAFETY: the pieces cover the vector, and `work` writes each in full: it zips slices of the
    // same length.
    unsafe {
        written(a.len(), |out| {
            for_each_chunk(out, PIECE, |i, out| {
                let first = i * PIECE;
                work(&a[first..][..out.len()], &b[first..][..out.len()], out);
            });
        })
    }
}

#[inline(always)]
fn gate_body<T: Float>(dy: &[T], y: &[T], slope: T, out: &mut [MaybeUninit<T>]) {
    for ((slot, &dy), &y) in out.iter_mut().zip(dy).zip(y) {
        slot.write(if y > T::ZERO { dy } else { slope * dy });
    }
}

multiversion! {
    fn gate_piece<T: Float>(dy: &[T], y: &[T], slope: T, out: &mut [MaybeUninit<T>]) = gate_body;
}

/// `dy` where `y` is positive, else `slope · dy`.
pub(crate) fn gate<T: Float>(dy: &[T], y: &[T], slope: f64) -> Vec<T> {
    binary(dy, y, |dy, y, out| gate_piece(dy, y, T::of(slope), out))
}

#[inline(always)]
fn bend_body<T: Float>(x: &[T], slope: T, out: &mut [MaybeUninit<T>]) {
    for (slot, &x) in out.iter_mut().zip(x) {
        slot.write(if x > T::ZERO { x } else { slope * x });
    }
}

multiversion! {
    fn bend_piece<T: Float>(x: &[T], slope: T, out: &mut [MaybeUninit<T>]) = bend_body;
}

/// `x` where it is positive, else `slope · x`.
pub(crate) fn bend<T: Float>(x: &[T], slope: f64) -> Vec<T> {
    // SAFETY: the pieces cover the vector and each is written in full.
    unsafe {
        written(x.len(), |out| {
            for_each_chunk(out, PIECE, |i, out| {
                bend_piece(&x[i * PIECE..][..out.len()], T::of(slope), out);
            });
        })
    }
}

#[inline(always)]
fn add_body<T: Float>(a: &[T], b: &[T], slope: T, out: &mut [MaybeUninit<T>]) {
    for ((slot, &a), &b) in out.iter_mut().zip(a).zip(b) {
        let sum = a + b;
        slot.write(if sum > T::ZERO { sum } else { slope * sum });
    }
}

multiversion! {
    fn add_piece<T: Float>(a: &[T], b: &[T], slope: T, out: &mut [MaybeUninit<T>]) = add_body;
}

/// `a + b` where it is positive, else `slope · (a + b)`.
pub(crate) fn add<T: Float>(a: &[T], b: &[T], slope: f64) -> Vec<T> {
    binary(a, b, |a, b, out| add_piece(a, b, T::of(slope), out))
}

#[inline(always)]
fn sum_of_three_body<T: Float>([a, b, c]: [&[T]; 3], out: &mut [MaybeUninit<T>]) {
    for (((slot, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
        slot.write(a + b + c);
    }
}

multiversion! {
    fn sum_of_three_piece<T: Float>(
        terms: [&[T]; 3],
        out: &mut [MaybeUninit<T>],
    ) = sum_of_three_body;
}

/// `a + b + c`, in this order.
pub(crate) fn sum_of_three<T: Float>(terms: [&[T]; 3]) -> Vec<T> {
    let len = terms[0].len();
    assert!(terms.iter().all(|term| term.len() == len));
    // SAFETY: the pieces cover the vector, and each is written in full: the body zips slices of
    // the same length.
    unsafe {
        written(len, |out| {
            for_each_chunk(out, PIECE, |i, out| {
                sum_of_three_piece(terms.map(|t| &t[i * PIECE..][..out.len()]), out);
            });
        })
    }
}

/// Rows of matrices one after the other; each matrix comes with its width.
pub(crate) fn interleave<T: Float, const N: usize>(parts: [(&[T], usize); N]) -> Vec<T> {
    let mut out = Vec::with_capacity(parts.iter().map(|(values, _)| values.len()).sum());
    let rows = parts
        .first()
        .map_or(0, |(values, width)| values.len() / (*width).max(1));
    for row in 0..rows {
        for (values, width) in parts {
            out.extend_from_slice(&values[row * width..][..width]);
        }
    }
    out
}

/// Some columns of a matrix of `width` columns.
pub(crate) fn part<T: Float>(x: &[T], width: usize, columns: std::ops::Range<usize>) -> Vec<T> {
    let mut out = Vec::with_capacity(x.len() / width.max(1) * columns.len());
    for row in x.chunks_exact(width.max(1)) {
        out.extend_from_slice(&row[columns.clone()]);
    }
    out
}
