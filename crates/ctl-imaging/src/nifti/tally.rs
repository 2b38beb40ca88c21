//! Statistics and hash of numbers that come piece by piece.

use super::header::Endianness;
use crate::hash::hexadecimal;
use crate::volume::SampleType;
use sha2::{Digest, Sha256};

/// Sums that numbers are added to in turn, so that rounding stays small. The turn goes on where it
/// stopped, so that the result does not depend on how data are cut into chunks.
const LANES: usize = 8;

/// Statistics of numbers.
pub(super) struct Tally {
    low: f64,
    high: f64,
    sums: [f64; LANES],
    count: usize,
    has_nan: bool,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            sums: [0.0; LANES],
            count: 0,
            has_nan: false,
        }
    }

    pub(super) fn add(&mut self, numbers: &[f64]) {
        // The next lane comes first, as if the numbers before had come in the same call.
        let next = self.count % LANES;
        self.sums.rotate_left(next);
        let (eights, rest) = numbers.as_chunks::<LANES>();
        for eight in eights {
            for (sum, number) in self.sums.iter_mut().zip(eight) {
                *sum += number;
            }
        }
        for (sum, number) in self.sums.iter_mut().zip(rest) {
            *sum += number;
        }
        self.sums.rotate_right(next);
        self.count += numbers.len();
        for &number in numbers {
            self.low = self.low.min(number);
            self.high = self.high.max(number);
            self.has_nan |= number.is_nan();
        }
    }

    /// The smallest number, NaN where one is.
    pub(super) fn low(&self) -> f64 {
        if self.has_nan { f64::NAN } else { self.low }
    }

    /// The largest number, NaN where one is.
    pub(super) fn high(&self) -> f64 {
        if self.has_nan { f64::NAN } else { self.high }
    }

    pub(super) fn sum(&self) -> f64 {
        self.sums.iter().sum()
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum() / self.count as f64
    }
}

/// The hash of stored values as little-endian bytes, whatever the order of the file's.
pub(super) struct RawHash {
    digest: Sha256,
    /// Bytes of a number of a file in the other order.
    reversed: Option<usize>,
    turned: Vec<u8>,
}

impl RawHash {
    pub(super) fn new(kind: SampleType, order: Endianness) -> Self {
        let parts = if kind.is_complex() { 2 } else { 1 };
        let width = kind.bytes() / parts;
        Self {
            digest: Sha256::new(),
            reversed: (order == Endianness::Big && width > 1).then_some(width),
            turned: Vec::new(),
        }
    }

    /// Adds whole numbers.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let Some(width) = self.reversed else {
            self.digest.update(bytes);
            return;
        };
        self.turned.clear();
        for number in bytes.chunks_exact(width) {
            self.turned.extend(number.iter().rev());
        }
        self.digest.update(&self.turned);
    }

    pub(super) fn digits(self) -> String {
        hexadecimal(&self.digest.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_chunks() {
        let numbers: Vec<f64> = (0..1000)
            .map(|at| 1.0 / f64::from(at * 7 % 97 + 1))
            .collect();
        let sum_by = |size: usize| {
            let mut tally = Tally::new();
            numbers.chunks(size).for_each(|chunk| tally.add(chunk));
            tally.sum().to_bits()
        };
        for size in [1, 3, 8, 13, 64] {
            assert_eq!(sum_by(size), sum_by(1000), "{size}");
        }
    }
}
