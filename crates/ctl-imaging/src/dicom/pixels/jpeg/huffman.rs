//! Huffman codes and the bits of a scan (T.81 annexes C and F).

use super::Problem;

/// Codes of at most this many bits are found in one step.
const FAST: u32 = 9;

/// A table of codes.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// By the next [`FAST`] bits: a symbol and the length of its code, 0 where it is longer.
    fast: Vec<(u8, u8)>,
    /// By length: the first code, one more than the last, and the place of the first's symbol.
    ranges: [(u32, u32, usize); 17],
    symbols: Vec<u8>,
}

impl Table {
    /// The canonical codes with `counts[n]` of `n + 1` bits.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Problem> {
        let mut fast = vec![(0, 0); 1 << FAST];
        let mut ranges = [(0, 0, 0); 17];
        let mut code = 0_u32;
        let mut place = 0;
        for (length, &count) in (1_u32..).zip(counts) {
            let (first, start) = (code, place);
            for _ in 0..count {
                if code >= 1 << length {
                    return Err(Problem::new("Huffman codes that can be told apart", "more"));
                }
                if length <= FAST {
                    let shift = FAST - length;
                    let from = (code << shift) as usize;
                    fast[from..from + (1 << shift)].fill((symbols[place], length as u8));
                }
                place += 1;
                code += 1;
            }
            ranges[length as usize] = (first, code, start);
            code <<= 1;
        }
        Ok(Self {
            fast,
            ranges,
            symbols: symbols.to_vec(),
        })
    }
}

/// Bits of entropy-coded data, without its stuffing.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    /// Bits in the buffer.
    filled: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            buffer: 0,
            filled: 0,
        }
    }

    /// Fills the buffer up to a marker.
    fn fill(&mut self) {
        while self.filled <= 48 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return;
            };
            if byte == 0xFF {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.filled += 8;
        }
    }

    /// The next bits, zeros behind the end.
    fn peek(&mut self, count: u32) -> u32 {
        if self.filled < count {
            self.fill();
        }
        let bits = if self.filled >= count {
            self.buffer >> (self.filled - count)
        } else {
            self.buffer << (count - self.filled)
        };
        bits as u32 & ((1 << count) - 1)
    }

    fn consume(&mut self, count: u32) -> Result<(), Problem> {
        self.filled = self.filled.checked_sub(count).ok_or_else(|| {
            Problem::new(
                "more entropy-coded JPEG data",
                "a marker or the end (truncated)",
            )
        })?;
        Ok(())
    }

    /// The next `count` bits, at most 16, as a number.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Problem> {
        let bits = self.peek(count);
        self.consume(count)?;
        Ok(bits)
    }

    /// The next symbol of a table.
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, Problem> {
        let window = self.peek(16);
        let (symbol, length) = table.fast[(window >> (16 - FAST)) as usize];
        if length > 0 {
            self.consume(length.into())?;
            return Ok(symbol);
        }
        for length in FAST + 1..=16 {
            let code = window >> (16 - length);
            let (first, limit, start) = table.ranges[length as usize];
            if code < limit {
                self.consume(length)?;
                // Shorter codes are no starts of longer ones, so that this is not below the first.
                let place = start + code.saturating_sub(first) as usize;
                return table.symbols.get(place).copied().ok_or_else(unknown_code);
            }
        }
        Err(unknown_code())
    }

    /// A difference of `size` bits (T.81 table F.1 and F.2.2.1): 0 to 15, or 16 for 32768.
    pub(super) fn difference(&mut self, size: u8) -> Result<i32, Problem> {
        match size {
            0 => Ok(0),
            1..=15 => {
                let size = u32::from(size);
                let bits = self.take(size)?.cast_signed();
                let is_negative = bits < 1 << (size - 1);
                Ok(if is_negative {
                    bits - (1 << size) + 1
                } else {
                    bits
                })
            }
            16 => Ok(32768),
            other => Err(Problem::new(
                "a difference of at most 16 bits",
                other.to_string(),
            )),
        }
    }

    /// Passes over the restart marker number `count`.
    pub(super) fn restart(&mut self, count: usize) -> Result<(), Problem> {
        let expected = 0xD0 + (count % 8) as u8;
        self.buffer = 0;
        self.filled = 0;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let fill = rest.iter().take_while(|&&byte| byte == 0xFF).count();
        match rest.get(fill) {
            Some(&marker) if fill > 0 && marker == expected => {
                self.at += fill + 1;
                Ok(())
            }
            other => Err(Problem::new(
                format!("restart marker ff {expected:02x}"),
                other.map_or("the end".to_owned(), |byte| format!("{byte:02x}")),
            )),
        }
    }

    /// How many bytes there are before the marker that ends the scan.
    pub(super) fn end(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let next = rest
            .windows(2)
            .position(|pair| pair[0] == 0xFF && pair[1] != 0 && pair[1] != 0xFF);
        self.at + next.unwrap_or(rest.len())
    }
}

fn unknown_code() -> Problem {
    Problem::new("a known Huffman code", "another")
}
