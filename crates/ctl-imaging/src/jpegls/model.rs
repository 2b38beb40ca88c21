//! Contexts, prediction and error codes of the regular mode (T.87 sections A.3 to A.6).

use super::bits::Bits;
use super::header::Coding;
use super::{JpegLsError, Result};

/// Contexts of the regular mode, of which the first is not used.
const CONTEXTS: usize = 365;
const CORRECTIONS: std::ops::RangeInclusive<i32> = -128..=127;

/// What is known of the errors in a context.
#[derive(Debug, Clone, Copy)]
struct Context {
    /// Sum of absolute errors (A).
    magnitude: i64,
    /// Sum of errors (B).
    bias: i32,
    /// Correction of predictions (C).
    correction: i32,
    /// Errors counted (N).
    count: i32,
}

/// The neighbours of a value: left, above, above left, above right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbours {
    pub(super) a: i32,
    pub(super) b: i32,
    pub(super) c: i32,
    pub(super) d: i32,
}

/// The state of the regular mode and what both modes share.
pub(super) struct Model {
    pub(super) coding: Coding,
    pub(super) range: i32,
    /// Bits of an error that is coded as it is.
    pub(super) error_bits: u32,
    pub(super) limit: u32,
    contexts: Vec<Context>,
}

impl Model {
    pub(super) fn new(coding: Coding) -> Self {
        let Coding {
            max_value, near, ..
        } = coding;
        let range = (max_value + 2 * near) / (2 * near + 1) + 1;
        let bits = bits_for(max_value + 1).max(2);
        let fresh = Context {
            magnitude: initial_magnitude(range),
            bias: 0,
            correction: 0,
            count: 1,
        };
        Self {
            coding,
            range,
            error_bits: bits_for(range),
            limit: 2 * (bits + bits.max(8)),
            contexts: vec![fresh; CONTEXTS],
        }
    }

    /// The context of a neighbourhood and whether errors are negated in it; `None` for run mode.
    pub(super) fn context(&self, near: Neighbours) -> Option<(usize, bool)> {
        let Neighbours { a, b, c, d } = near;
        let number = 81 * self.quantised(d - b) + 9 * self.quantised(b - c) + self.quantised(c - a);
        (number != 0).then(|| (number.unsigned_abs() as usize, number < 0))
    }

    fn quantised(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.coding.thresholds;
        let size = gradient.abs();
        let region = if size <= self.coding.near {
            0
        } else if size < t1 {
            1
        } else if size < t2 {
            2
        } else if size < t3 {
            3
        } else {
            4
        };
        region * gradient.signum()
    }

    /// The next value in regular mode.
    pub(super) fn value(
        &mut self,
        bits: &mut Bits<'_>,
        near: Neighbours,
        (number, negated): (usize, bool),
    ) -> Result<i32> {
        let context = self.contexts[number];
        let sign = if negated { -1 } else { 1 };
        let predicted = (median(near) + sign * context.correction).clamp(0, self.coding.max_value);
        let k = golomb_parameter(context.count, context.magnitude);
        let code = self.code(bits, k, self.limit)?;
        let inverted = self.coding.near == 0 && k == 0 && 2 * context.bias <= -context.count;
        let error = unmapped(code, inverted);
        self.check(error)?;
        self.contexts[number].update(error, &self.coding);
        Ok(self.reconstructed(predicted, sign * error))
    }

    /// A Golomb code of limited length (T.87 section A.5.3).
    pub(super) fn code(&self, bits: &mut Bits<'_>, k: u32, limit: u32) -> Result<i32> {
        let longest = limit - self.error_bits - 1;
        let zeros = bits.zeros(longest)?;
        let code = if zeros < longest {
            u64::from(zeros) << k | u64::from(bits.take(k)?)
        } else {
            u64::from(bits.take(self.error_bits)?) + 1
        };
        i32::try_from(code).map_err(|_| JpegLsError::new("an error of 16 bits", "more"))
    }

    /// Refuses errors that no encoder produces, of which sums could overflow.
    pub(super) fn check(&self, error: i32) -> Result<()> {
        if error.abs() <= self.range {
            return Ok(());
        }
        let expected = format!("an error of at most {}", self.range);
        Err(JpegLsError::new(expected, error.to_string()))
    }

    /// The value that a prediction and an error make (T.87 section A.4.5).
    pub(super) fn reconstructed(&self, predicted: i32, error: i32) -> i32 {
        let Coding {
            near, max_value, ..
        } = self.coding;
        let step = 2 * near + 1;
        let value = predicted + error * step;
        let wrapped = if value < -near {
            value + self.range * step
        } else if value > max_value + near {
            value - self.range * step
        } else {
            value
        };
        wrapped.clamp(0, max_value)
    }
}

impl Context {
    /// T.87 code segments A.12 and A.13.
    fn update(&mut self, error: i32, coding: &Coding) {
        self.bias += error * (2 * coding.near + 1);
        self.magnitude += i64::from(error.abs());
        if self.count == coding.reset {
            self.magnitude >>= 1;
            self.bias >>= 1;
            self.count >>= 1;
        }
        self.count += 1;
        if self.bias <= -self.count {
            self.bias = (self.bias + self.count).max(1 - self.count);
            self.correction = (self.correction - 1).max(*CORRECTIONS.start());
        } else if self.bias > 0 {
            self.bias = (self.bias - self.count).min(0);
            self.correction = (self.correction + 1).min(*CORRECTIONS.end());
        }
    }
}

pub(super) fn initial_magnitude(range: i32) -> i64 {
    i64::from(((range + 32) / 64).max(2))
}

/// Bits that tell `count` values apart.
fn bits_for(count: i32) -> u32 {
    (count - 1).max(1).ilog2() + 1
}

/// The smallest k with `count·2^k ≥ magnitude`.
pub(super) fn golomb_parameter(count: i32, magnitude: i64) -> u32 {
    let mut k = 0;
    while i64::from(count) << k < magnitude {
        k += 1;
    }
    k
}

/// The median of the neighbours and their plane, T.87 section A.4.1.
fn median(Neighbours { a, b, c, .. }: Neighbours) -> i32 {
    if c >= a.max(b) {
        a.min(b)
    } else if c <= a.min(b) {
        a.max(b)
    } else {
        a + b - c
    }
}

/// The error of a code (T.87 section A.5.2): even codes are 0, 1, 2, …, odd ones −1, −2, …, or
/// the other way round.
fn unmapped(code: i32, inverted: bool) -> i32 {
    let half = code >> 1;
    match (code & 1 == 1, inverted) {
        (false, false) | (true, true) => half,
        (true, false) | (false, true) => -half - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_rules() {
        assert_eq!(
            [0, 1, 2, 3].map(|code| unmapped(code, false)),
            [0, -1, 1, -2]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|code| unmapped(code, true)),
            [-1, 0, -2, 1]
        );
        assert_eq!(golomb_parameter(1, 4), 2);
        assert_eq!(golomb_parameter(3, 3), 0);
        assert_eq!([2, 255, 256, 257].map(bits_for), [1, 8, 8, 9]);
        let near = |a, b, c| Neighbours { a, b, c, d: 0 };
        assert_eq!(median(near(3, 7, 9)), 3);
        assert_eq!(median(near(3, 7, 1)), 7);
        assert_eq!(median(near(3, 7, 5)), 5);
    }
}
