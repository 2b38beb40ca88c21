//! Sequential DCT scans (T.81 annex F).

use super::Problem;
use super::dct;
use super::huffman::{Bits, Table};
use super::segments::{Component, Frame, Part, Scan, Tables, zigzag};
use super::upsample::upsample;

/// A block takes a code for its first coefficient and one for its end, a bit each at least.
const BLOCKS_A_BYTE: usize = 4;

/// The samples of all components, each at its own resolution.
pub(super) struct Blocks {
    frame: Frame,
    horizontal: usize,
    vertical: usize,
    planes: Vec<Plane>,
}

/// The samples of a component.
pub(super) struct Plane {
    pub(super) component: Component,
    /// Samples that belong to the picture.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Samples of a row in memory.
    pub(super) stride: usize,
    pub(super) samples: Vec<u16>,
    done: bool,
}

/// What decodes the blocks of a component in a scan.
struct Coder<'a> {
    plane: usize,
    dc: &'a Table,
    ac: &'a Table,
    quantisation: &'a [u16; 64],
    predicted: i32,
}

impl Blocks {
    /// Room for a frame, if `available` bytes can hold it.
    pub(super) fn new(frame: Frame, available: usize) -> Result<Self, Problem> {
        let greatest = |factor: fn(&Component) -> usize| {
            frame.components.iter().map(factor).max().unwrap_or(1)
        };
        let horizontal = greatest(|part| part.horizontal);
        let vertical = greatest(|part| part.vertical);
        let whole =
            |part: &Component| horizontal % part.horizontal == 0 && vertical % part.vertical == 0;
        if !frame.components.iter().all(whole) {
            let expected = "whole numbers of pixels a sample";
            return Err(Problem::new(
                expected,
                "sampling factors that divide each other not",
            ));
        }
        let across = frame.width.div_ceil(8 * horizontal);
        let down = frame.height.div_ceil(8 * vertical);
        let blocks: usize = frame
            .components
            .iter()
            .map(|part| across * part.horizontal * down * part.vertical)
            .sum();
        // Blocks that only fill up the last units need not be in a scan of one component.
        let padding = (across + down) * 16 * frame.components.len();
        if blocks > available.saturating_mul(BLOCKS_A_BYTE) + padding {
            let expected = format!("JPEG data of {blocks} blocks");
            return Err(Problem::new(
                expected,
                format!("{available} bytes (truncated)"),
            ));
        }
        let planes = frame
            .components
            .iter()
            .map(|&component| {
                let stride = across * component.horizontal * 8;
                Plane {
                    component,
                    width: (frame.width * component.horizontal).div_ceil(horizontal),
                    height: (frame.height * component.vertical).div_ceil(vertical),
                    stride,
                    samples: vec![0; stride * down * component.vertical * 8],
                    done: false,
                }
            })
            .collect();
        Ok(Self {
            frame,
            horizontal,
            vertical,
            planes,
        })
    }

    pub(super) fn is_complete(&self) -> bool {
        self.planes.iter().all(|plane| plane.done)
    }

    /// Decodes a scan; returns how many bytes it took.
    pub(super) fn scan(
        &mut self,
        scan: &Scan,
        tables: &Tables,
        bytes: &[u8],
    ) -> Result<usize, Problem> {
        if (scan.start, scan.end, scan.approximation) != (0, 63, 0) {
            let found = format!("{} to {}, {}", scan.start, scan.end, scan.approximation);
            return Err(Problem::new(
                "coefficients 0 to 63 without approximation in a sequential scan",
                found,
            ));
        }
        let mut coders = scan
            .parts
            .iter()
            .map(|part| self.coder(part, tables))
            .collect::<Result<Vec<_>, _>>()?;
        let mut bits = Bits::new(bytes);
        let (across, down) = self.units(&coders);
        for unit in 0..across * down {
            if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
                bits.restart(unit / tables.restart_interval - 1)?;
                for coder in &mut coders {
                    coder.predicted = 0;
                }
            }
            self.unit(&mut coders, &mut bits, unit % across, unit / across)?;
        }
        for coder in &coders {
            self.planes[coder.plane].done = true;
        }
        Ok(bits.end())
    }

    fn coder<'t>(&self, part: &Part, tables: &'t Tables) -> Result<Coder<'t>, Problem> {
        let missing = |what| Problem::new(format!("a {what} of each scan"), "none");
        let plane = self
            .planes
            .iter()
            .position(|plane| plane.component.id == part.id)
            .ok_or_else(|| missing("component in the frame"))?;
        let quantisation = self.planes[plane].component.quantisation;
        Ok(Coder {
            plane,
            dc: tables.dc[part.dc]
                .as_ref()
                .ok_or_else(|| missing("DC table"))?,
            ac: tables.ac[part.ac]
                .as_ref()
                .ok_or_else(|| missing("AC table"))?,
            quantisation: tables.quantisation[quantisation]
                .as_ref()
                .ok_or_else(|| missing("quantisation table"))?,
            predicted: 0,
        })
    }

    /// Units across and down: blocks of a lone component, else blocks of all together.
    fn units(&self, coders: &[Coder<'_>]) -> (usize, usize) {
        if let [coder] = coders {
            let plane = &self.planes[coder.plane];
            (plane.width.div_ceil(8), plane.height.div_ceil(8))
        } else {
            (
                self.frame.width.div_ceil(8 * self.horizontal),
                self.frame.height.div_ceil(8 * self.vertical),
            )
        }
    }

    fn unit(
        &mut self,
        coders: &mut [Coder<'_>],
        bits: &mut Bits<'_>,
        x: usize,
        y: usize,
    ) -> Result<(), Problem> {
        let alone = coders.len() == 1;
        for coder in coders {
            let plane = &mut self.planes[coder.plane];
            let (across, down) = if alone {
                (1, 1)
            } else {
                (plane.component.horizontal, plane.component.vertical)
            };
            for row in 0..down {
                for column in 0..across {
                    let block = coder.block(bits)?;
                    let samples = dct::inverse(&block, self.frame.precision);
                    plane.put(x * across + column, y * down + row, &samples);
                }
            }
        }
        Ok(())
    }

    /// The frame and its samples at full resolution, those of a pixel together.
    pub(super) fn finish(self) -> (Frame, Vec<u16>) {
        let (width, height) = (self.frame.width, self.frame.height);
        let components = self.planes.len();
        let mut values = vec![0; width * height * components];
        for (index, plane) in self.planes.iter().enumerate() {
            let ratio = (
                self.horizontal / plane.component.horizontal,
                self.vertical / plane.component.vertical,
            );
            let full = upsample(plane, ratio, (width, height));
            for (to, from) in values.iter_mut().skip(index).step_by(components).zip(full) {
                *to = from;
            }
        }
        (self.frame, values)
    }
}

impl Plane {
    fn put(&mut self, x: usize, y: usize, samples: &[u16; 64]) {
        for (row, from) in samples.chunks_exact(8).enumerate() {
            let start = (y * 8 + row) * self.stride + x * 8;
            if let Some(to) = self.samples.get_mut(start..start + 8) {
                to.copy_from_slice(from);
            }
        }
    }
}

impl Coder<'_> {
    /// The next block's dequantised coefficients (T.81 sections F.2.2.1 and F.2.2.2).
    fn block(&mut self, bits: &mut Bits<'_>) -> Result<[i32; 64], Problem> {
        let mut block = [0; 64];
        let size = bits.symbol(self.dc)?;
        self.predicted = self.predicted.wrapping_add(bits.difference(size)?);
        block[0] = self.predicted.wrapping_mul(i32::from(self.quantisation[0]));
        let mut index = 1;
        while index < 64 {
            let symbol = bits.symbol(self.ac)?;
            let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
            if size == 0 {
                if zeros < 15 {
                    break;
                }
                index += 16;
                continue;
            }
            index += zeros;
            if index > 63 {
                return Err(Problem::new("64 coefficients of a block", "more"));
            }
            let place = zigzag(index);
            let value = bits.difference(size)?;
            block[place] = value.wrapping_mul(i32::from(self.quantisation[place]));
            index += 1;
        }
        Ok(block)
    }
}
