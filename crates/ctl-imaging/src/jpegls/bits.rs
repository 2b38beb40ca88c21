//! Bits of a scan, without the zero bit that follows each byte of ones (T.87 section A.1).

use super::{JpegLsError, Result};

pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    /// Bits in the buffer, its lowest ones.
    filled: u32,
    after_ones: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            buffer: 0,
            filled: 0,
            after_ones: false,
        }
    }

    /// Fills the buffer up to a marker.
    fn fill(&mut self) {
        while self.filled <= 48 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return;
            };
            let is_marker = self.after_ones && byte >= 0x80;
            let starts_marker =
                byte == 0xFF && self.bytes.get(self.at + 1).is_none_or(|&next| next >= 0x80);
            if is_marker || starts_marker {
                return;
            }
            let bits = if self.after_ones { 7 } else { 8 };
            self.buffer = self.buffer << bits | u64::from(byte);
            self.filled += bits;
            self.after_ones = byte == 0xFF;
            self.at += 1;
        }
    }

    /// The next `count` bits, at most 32.
    pub(super) fn take(&mut self, count: u32) -> Result<u32> {
        if self.filled < count {
            self.fill();
        }
        self.filled = self.filled.checked_sub(count).ok_or_else(truncated)?;
        Ok((self.buffer >> self.filled) as u32 & (((1_u64 << count) - 1) as u32))
    }

    /// Counts zeros up to and over the next one; an error if there are more than `limit`.
    pub(super) fn zeros(&mut self, limit: u32) -> Result<u32> {
        let mut count = 0;
        loop {
            if self.filled == 0 {
                self.fill();
                if self.filled == 0 {
                    return Err(truncated());
                }
            }
            let window = self.buffer << (64 - self.filled);
            let zeros = window.leading_zeros().min(self.filled);
            count += zeros;
            if count > limit {
                return Err(JpegLsError::new(
                    format!("a code with at most {limit} leading zeros"),
                    "more",
                ));
            }
            if zeros < self.filled {
                self.filled -= zeros + 1;
                return Ok(count);
            }
            self.filled = 0;
        }
    }

    /// Passes over the restart marker number `count`.
    pub(super) fn restart(&mut self, count: usize) -> Result<()> {
        let marker = 0xD0 + (count % 8) as u8;
        self.at = self.end();
        if self.bytes.get(self.at..self.at + 2) != Some(&[0xFF, marker]) {
            return Err(JpegLsError::new(
                format!("restart marker ff {marker:02x}"),
                "another or none",
            ));
        }
        *self = Self {
            at: self.at + 2,
            ..Self::new(self.bytes)
        };
        Ok(())
    }

    /// How many bytes there are before the next marker.
    pub(super) fn end(&self) -> usize {
        // The byte before may have been ones whose successor is the marker's second byte.
        let from = self.at;
        let rest = self.bytes.get(from..).unwrap_or_default();
        let next = rest
            .windows(2)
            .position(|pair| pair[0] == 0xFF && pair[1] >= 0x80);
        from + next.unwrap_or(rest.len())
    }
}

fn truncated() -> JpegLsError {
    JpegLsError::new("more coded data", "a marker or the end (truncated)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_bits_are_dropped() {
        // 11111111 (0)1010101 1.......
        let mut bits = Bits::new(&[0xFF, 0x55, 0x80]);
        assert_eq!(bits.take(8), Ok(0xFF));
        assert_eq!(bits.take(7), Ok(0x55));
        assert_eq!(bits.take(1), Ok(1));
    }

    #[test]
    fn unary_codes_cross_bytes_and_end_at_markers() {
        let mut bits = Bits::new(&[0, 0, 0x40, 0xFF, 0xD9]);
        assert_eq!(bits.zeros(30), Ok(17));
        assert!(bits.zeros(30).is_err());
        assert!(bits.take(1).is_err());
        assert_eq!(Bits::new(&[0x20, 0xFF, 0xD9]).end(), 1);
        assert!(Bits::new(&[0, 0x80]).zeros(7).is_err());
    }
}
