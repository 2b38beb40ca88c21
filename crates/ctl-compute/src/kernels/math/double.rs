//! Double precision, for checks: accuracy over speed.

/// Below this the series of the error function is summed; above, its complement is so small that
/// the continued fraction converges quickly.
const SERIES_BELOW: f64 = 3.0;
/// Terms of the continued fraction; at 3 the remainder is below 1e-17.
const FRACTION_TERMS: u32 = 60;

/// `eˣ`
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    x.exp()
}

/// `log(1 + x)`
#[inline(always)]
pub(crate) fn log_one_plus(x: f64) -> f64 {
    x.ln_1p()
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f64) -> f64 {
    x.tanh()
}

/// Error function, within 1e-15 of its value.
pub(crate) fn erf(x: f64) -> f64 {
    let t = x.abs();
    let value = if t < SERIES_BELOW {
        series(t)
    } else {
        1.0 - complement(t)
    };
    value.copysign(x)
}

/// `erf x = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!`: all terms are positive, nothing cancels.
fn series(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term > sum * f64::EPSILON / 4.0 {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// `erfc x = e^(−x²)/√π · 1/(x + ½/(x + 1/(x + 3⁄2/(x + …))))`
fn complement(x: f64) -> f64 {
    let tail = (1..=FRACTION_TERMS)
        .rev()
        .fold(x, |tail, n| x + f64::from(n) / 2.0 / tail);
    (-x * x).exp() / tail * std::f64::consts::FRAC_2_SQRT_PI / 2.0
}

/// Distribution function of the standard normal law.
pub(crate) fn normal_cdf(x: f64) -> f64 {
    let t = x * std::f64::consts::FRAC_1_SQRT_2;
    if t <= -SERIES_BELOW {
        0.5 * complement(-t)
    } else {
        0.5 + 0.5 * erf(t)
    }
}
