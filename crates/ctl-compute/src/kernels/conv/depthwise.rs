//! Inner loops for one channel per group: no sum over channels, vectors along them.

use super::micro::{Outer, Segment};
use super::simd::{Body, Simd};

/// `dst[p, c] = act(bias[c] + Σ_t src[p + t, c] · panel[t, c])` for a block of channels.
pub(crate) struct Depthwise<'a, T> {
    /// The block's first channel of the source and of the destination.
    pub(crate) source: *const T,
    pub(crate) destination: *mut T,
    /// Offsets of each pixel in either.
    pub(crate) pixels: &'a [(usize, usize)],
    /// One tap each.
    pub(crate) segments: &'a [Segment],
    /// `[taps, registers · LANES]`
    pub(crate) panel: *const T,
    /// What the sums start from.
    pub(crate) bias: *const T,
    pub(crate) relu: bool,
    pub(crate) registers: usize,
    pub(crate) last_lanes: usize,
}

impl<V: Simd> Body<V> for Depthwise<'_, V::Elem> {
    /// Reads and writes the block's channels of the pixels and of their segments.
    #[inline(always)]
    unsafe fn call(self) {
        for register in 0..self.registers {
            let channel = register * V::LANES;
            let last = register + 1 == self.registers;
            let lanes = if last { self.last_lanes } else { V::LANES };
            for &(from, to) in self.pixels {
                // SAFETY: the caller vouches for the block's channels at every offset; lanes
                // beyond them are neither read nor written.
                unsafe {
                    let to = self.destination.add(to + channel);
                    let mut sum = V::load(self.bias.add(channel));
                    for segment in self.segments {
                        let source = self.source.add(from + segment.source + channel);
                        let weight = segment.row * self.registers * V::LANES + channel;
                        let weight = V::load(self.panel.add(weight));
                        sum = sum.mul_add(V::load_partial(source, lanes), weight);
                    }
                    let sum = if self.relu { sum.relu() } else { sum };
                    sum.store_partial(to, lanes);
                }
            }
        }
    }
}

/// `sums[c] += Σ_p input[p, c] · gradient[p, c]` over the runs of one tap.
pub(crate) struct DepthwiseWeight<'a, T> {
    pub(crate) tile: Outer<'a, T>,
    pub(crate) registers: usize,
}

impl<V: Simd> Body<V> for DepthwiseWeight<'_, V::Elem> {
    /// Reads the block's channels of input and gradient at every pixel of the runs.
    #[inline(always)]
    unsafe fn call(self) {
        let tile = &self.tile;
        for register in 0..self.registers {
            let channel = register * V::LANES;
            let last = register + 1 == self.registers;
            let lanes = if last { tile.last_lanes } else { V::LANES };
            // SAFETY: the caller vouches for the block's channels at every pixel.
            unsafe {
                let to = tile.sums.add(channel);
                let mut sum = V::load(to);
                for &(input, gradient) in tile.runs {
                    for step in 0..tile.len {
                        let x = tile.input.add(input + step * tile.strides.0 + channel);
                        let g = tile
                            .gradient
                            .add(gradient + step * tile.strides.1 + channel);
                        sum = sum.mul_add(V::load_partial(x, lanes), V::load_partial(g, lanes));
                    }
                }
                sum.store(to);
            }
        }
    }
}

/// Whether a convolution has one channel in and out per group.
pub(crate) fn applies(groups: usize, channels: [usize; 2]) -> bool {
    groups > 1 && channels == [groups; 2]
}
