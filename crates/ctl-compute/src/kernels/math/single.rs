//! Single precision without branches or calls.
//!
//! The coefficients are printed by `tests/golden/make_polynomials.py`.
//! Errors, measured against double precision over the stated ranges: [`exp`] 2 units in the last
//! place, [`tanh`] 3, [`erf`] 2, [`log_one_plus`] 3; [`normal_cdf`] is within 1.5e-7 of its value.

const EXP: [f32; 6] = [
    5e-1,
    1.666_666_7e-1,
    4.166_646_7e-2,
    8.333_310_5e-3,
    1.393_364_2e-3,
    1.989_098e-4,
];
const TANH: [f32; 6] = [
    -3.333_333_4e-1,
    1.333_330_4e-1,
    -5.395_925_8e-2,
    2.176_891_8e-2,
    -8.343_945e-3,
    2.292_744_8e-3,
];
const ERF_SMALL: [f32; 8] = [
    1.283_791_7e-1,
    -3.761_263_8e-1,
    1.128_378_2e-1,
    -2.686_543e-2,
    5.221_031_6e-3,
    -8.484_080_3e-4,
    1.126_595_9e-4,
    -9.667_045e-6,
];
const ERFC_LOG: [f32; 9] = [
    1.287_418_6e-1,
    6.348_001_4e-1,
    1.067_475_8e-1,
    -2.410_584e-2,
    3.723_577_4e-3,
    -2.976_495_3e-4,
    -7.807_548e-6,
    3.862_445_3e-6,
    -2.430_824e-7,
];
const LOG: [f32; 5] = [
    3.333_333_4e-1,
    1.999_985_3e-1,
    1.429_617_9e-1,
    1.085_328_8e-1,
    1.161_216_5e-1,
];

/// Beyond these `eˣ` is 0 (with subnormal numbers taken for 0) or infinite in single precision.
const EXP_LOWEST: f32 = -87.336_54;
const EXP_HIGHEST: f32 = 88.722_83;
/// Adding 1.5 · 2²³ leaves the nearest integer in the low bits of the sum.
const ROUNDING: f32 = 12_582_912.0;
/// log 2 in two parts: products of the first with integers below 2⁹ are exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Where the polynomial around 0 ends.
const TANH_SMALL: f32 = 0.625;
const ERF_SPLIT: f32 = 0.95;
/// The complement of the error function is below 1e-8 from here on.
const ERF_LARGE: f32 = 4.1;

#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = sum * x + coefficients[i];
    }
    sum
}

/// `a` or `b` by their bits: a branch would let the compiler move the work behind an operand into
/// it, and the loop around would not become vector instructions.
#[inline(always)]
fn select(first: bool, a: f32, b: f32) -> f32 {
    let mask = u32::from(first).wrapping_neg();
    f32::from_bits((a.to_bits() & mask) | (b.to_bits() & !mask))
}

/// `eˣ`; 0 below −87.3, where the result would be subnormal.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let n = shifted - ROUNDING;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mantissa = 1.0 + (r + r * r * polynomial(&EXP, r));
    // Two factors, since 2ⁿ itself may be too large where the product is not.
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUNDING.to_bits())
        .cast_signed();
    let half = exponent >> 1;
    let value = mantissa * power_of_two(half) * power_of_two(exponent.wrapping_sub(half));
    let value = if x < EXP_LOWEST { 0.0 } else { value };
    if x > EXP_HIGHEST {
        f32::INFINITY
    } else {
        value
    }
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127).cast_unsigned()) << 23)
}

/// `log(1 + u)` for `u` in `[0, 1]`, as `2 artanh(u / (2 + u))`.
#[inline(always)]
pub(crate) fn log_one_plus(u: f32) -> f32 {
    let s = u / (2.0 + u);
    let z = s * s;
    let double = s + s;
    double + double * z * polynomial(&LOG, z)
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let t = x.abs();
    let s = x * x;
    let small = t + t * s * polynomial(&TANH, s);
    let large = 1.0 - 2.0 / (exp(t + t) + 1.0);
    select(t < TANH_SMALL, small, large).copysign(x)
}

/// Error function.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let t = x.abs();
    select(t < ERF_SPLIT, erf_small(t), 1.0 - erfc_large(t)).copysign(x)
}

#[inline(always)]
fn erf_small(t: f32) -> f32 {
    t + t * polynomial(&ERF_SMALL, t * t)
}

#[inline(always)]
fn erfc_large(t: f32) -> f32 {
    let bounded = select(t < ERF_LARGE, t, ERF_LARGE);
    let value = exp(-bounded - bounded * polynomial(&ERFC_LOG, bounded));
    select(t < ERF_LARGE, value, t * 0.0)
}

/// Distribution function of the standard normal law; exactly 0 below −5.8.
#[inline(always)]
pub(crate) fn normal_cdf(x: f32) -> f32 {
    let t = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let middle = 0.5 * erf_small(t);
    let tail = 0.5 * erfc_large(t);
    let upper = select(t < ERF_SPLIT, 0.5 + middle, 1.0 - tail);
    let lower = select(t < ERF_SPLIT, 0.5 - middle, tail);
    select(x < 0.0, lower, upper)
}

#[cfg(test)]
mod tests {
    use super::super::double;
    use super::*;

    /// Largest error in units in the last place of the exact value.
    fn worst(f: fn(f32) -> f32, exact: fn(f64) -> f64, low: f32, high: f32) -> f64 {
        let steps = 400_000;
        (0..=steps)
            .map(|i| low + (high - low) * (i as f32 / steps as f32))
            .map(|x| {
                let expected = exact(f64::from(x));
                let unit = (expected.abs() as f32).max(f32::MIN_POSITIVE);
                let unit = f64::from(f32::from_bits(unit.to_bits() + 1)) - f64::from(unit);
                (f64::from(f(x)) - expected).abs() / unit
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn errors_are_as_stated() {
        let found = [
            ("exp", worst(exp, f64::exp, -87.0, 88.5), 2.0),
            ("exp near 0", worst(exp, f64::exp, -1.0, 1.0), 2.0),
            ("tanh", worst(tanh, f64::tanh, -10.0, 10.0), 3.0),
            ("tanh near 0", worst(tanh, f64::tanh, -0.7, 0.7), 3.0),
            ("erf", worst(erf, double::erf, -5.0, 5.0), 2.0),
            ("log", worst(log_one_plus, f64::ln_1p, 0.0, 1.0), 3.0),
        ];
        for (name, error, bound) in found {
            assert!(error <= bound, "{name}: {error} units in the last place");
        }
    }

    #[test]
    fn normal_law_is_within_its_bound() {
        for i in -80_000..=80_000i32 {
            let x = i as f32 * 1e-4;
            let error = (f64::from(normal_cdf(x)) - double::normal_cdf(f64::from(x))).abs();
            assert!(error < 1.5e-7, "at {x}: {error}");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these values are exact")]
    fn ends_of_the_range() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan() && erf(f32::NAN).is_nan());
        assert_eq!(
            [tanh(50.0), tanh(-50.0), erf(9.0), erf(-9.0)],
            [1.0, -1.0, 1.0, -1.0]
        );
    }

    /// Abramowitz & Stegun 1964, table 7.1.
    #[test]
    fn error_function_of_the_table() {
        for (x, expected) in [
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (3.5, 0.999_999_256_9),
        ] {
            assert!((double::erf(x) - expected).abs() < 1e-10);
        }
    }
}
