//! Elementary functions in a form that compiles to vector instructions.

/// Exponential of numbers up to zero, to about one unit in the last place.
#[inline(always)]
pub(super) fn exp_of_negative(x: f64) -> f64 {
    /// Adding it leaves the nearest integer in the low bits of the sum.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    /// Below it the result is as good as zero and its exponent would overflow.
    const LEAST: f64 = -700.0;
    let x = if x < LEAST { LEAST } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let rest = (x - power * LN_2_HIGH) - power * LN_2_LOW;
    // Taylor's polynomial of degree 13 on |rest| <= ln(2) / 2.
    let mut sum = 1.0 / 6_227_020_800.0;
    for divisor in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0,
    ] {
        sum = sum * rest + 1.0 / divisor;
    }
    f64::from_bits(sum.to_bits().wrapping_add(shifted.to_bits() << 52))
}

/// `ln(1 + y)` for y between 0 and 1.
#[inline(always)]
pub(super) fn ln_1p_of_fraction(y: f64) -> f64 {
    /// Terms of the series of artanh: the ratio of two is below 1/9.
    const TERMS: usize = 17;
    let s = y / (2.0 + y);
    let square = s * s;
    let mut sum = 0.0;
    for term in (0..TERMS).rev() {
        sum = sum * square + 1.0 / (2 * term + 1) as f64;
    }
    2.0 * s * sum
}

/// `ln cosh u`, without overflow.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled within a dispatched closure"
)]
pub(super) fn ln_cosh(u: f64) -> f64 {
    let size = u.abs();
    size + ln_1p_of_fraction(exp_of_negative(-2.0 * size)) - std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agree_with_the_library_functions() {
        for step in 0..4000 {
            let x = f64::from(step) * -0.0173;
            assert!(
                (exp_of_negative(x) - x.exp()).abs() <= 4e-16 * x.exp() + 1e-300,
                "{x}"
            );
            let y = f64::from(step) / 4000.0;
            assert!((ln_1p_of_fraction(y) - y.ln_1p()).abs() < 1e-15, "{y}");
            let u = f64::from(step - 2000) * 0.01;
            assert!((ln_cosh(u) - u.cosh().ln()).abs() < 1e-14, "{u}");
        }
        assert!(exp_of_negative(-1e9) < 1e-300);
    }
}
