//! The run mode (T.87 section A.7).

use super::Result;
use super::bits::Bits;
use super::model::{Model, golomb_parameter, initial_magnitude};

/// Order of the run-length codes by index (J).
const ORDERS: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// What is known of the errors after runs, of one of two kinds.
#[derive(Debug, Clone, Copy)]
struct Context {
    magnitude: i64,
    count: i32,
    negative: i32,
}

/// The state of the run mode that all components share.
pub(super) struct Runs {
    /// By whether the neighbours left and above are alike.
    contexts: [Context; 2],
}

/// The index into [`ORDERS`], which grows with the runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RunIndex(usize);

impl Runs {
    pub(super) fn new(range: i32) -> Self {
        let fresh = Context {
            magnitude: initial_magnitude(range),
            count: 1,
            negative: 0,
        };
        Self {
            contexts: [fresh; 2],
        }
    }

    /// The value after a run.
    ///
    /// `alike` is whether the left value and the one above are within reach of each other, which
    /// decides the context and which of them predicts.
    pub(super) fn interruption(
        &mut self,
        model: &Model,
        bits: &mut Bits<'_>,
        (left, above): (i32, i32),
        alike: bool,
        index: RunIndex,
    ) -> Result<i32> {
        let kind = i32::from(alike);
        let context = &mut self.contexts[usize::from(alike)];
        let magnitude = context.magnitude + i64::from(context.count >> 1) * i64::from(kind);
        let k = golomb_parameter(context.count, magnitude);
        let code = model.code(bits, k, model.limit - index.order() - 1)?;
        let error = context.error(code + kind, k);
        model.check(error)?;
        context.update(error, (code + 1 - kind) >> 1, model.coding.reset);
        let (predicted, sign) = if alike {
            (left, 1)
        } else {
            (above, if left > above { -1 } else { 1 })
        };
        Ok(model.reconstructed(predicted, sign * error))
    }
}

impl Context {
    /// The error of a code (T.87 section A.7.2.1, reversed).
    fn error(&self, code: i32, k: u32) -> i32 {
        let odd = code & 1 == 1;
        let size = (code + 1) >> 1;
        let mostly_negative = 2 * self.negative >= self.count;
        if odd == (k != 0 || mostly_negative) {
            -size
        } else {
            size
        }
    }

    /// T.87 code segment A.23.
    fn update(&mut self, error: i32, growth: i32, reset: i32) {
        self.negative += i32::from(error < 0);
        self.magnitude += i64::from(growth);
        if self.count == reset {
            self.magnitude >>= 1;
            self.count >>= 1;
            self.negative >>= 1;
        }
        self.count += 1;
    }
}

impl RunIndex {
    fn order(self) -> u32 {
        ORDERS[self.0]
    }

    /// How many values repeat the last one, of at most `left` to the end of the line.
    ///
    /// The index is lowered by [`interrupted`](Self::interrupted), after the value that follows.
    pub(super) fn length(&mut self, bits: &mut Bits<'_>, left: usize) -> Result<usize> {
        let mut length = 0;
        while bits.take(1)? == 1 {
            let block = 1 << self.order();
            if block > left - length {
                return Ok(left);
            }
            length += block;
            // Only whole blocks make the next ones longer.
            self.0 = (self.0 + 1).min(ORDERS.len() - 1);
            if length == left {
                return Ok(left);
            }
        }
        let rest = bits.take(self.order())? as usize;
        Ok(length.saturating_add(rest))
    }

    pub(super) fn interrupted(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }
}
