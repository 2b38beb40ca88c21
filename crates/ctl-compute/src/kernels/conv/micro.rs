//! The two inner loops. Everything else only prepares their pointers.

use super::simd::{Float, Simd};

/// Pixels of the largest tile.
pub(crate) const MAX_PIXELS: usize = 24;

/// Repeats a body for `index` from 0 to a constant of at most 24.
///
/// The compiler unrolls a loop over so many accumulators only sometimes, and where it does not, it
/// keeps them in memory.
macro_rules! unrolled {
    ($index:ident < $count:ident => $body:block) => {
        unrolled!(@ $index $count $body
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23)
    };
    (@ $index:ident $count:ident $body:block $($n:literal)*) => {
        $(if $n < $count {
            let $index: usize = $n;
            $body
        })*
    };
}

/// A stretch of the sum: contiguous in the source pixel and in the weight panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Elements from the pixel's base.
    pub(crate) source: usize,
    /// First row of the panel.
    pub(crate) row: usize,
    /// Rows.
    pub(crate) len: usize,
}

/// What the accumulators of a tile start from.
#[derive(Clone, Copy)]
pub(crate) enum Start<T> {
    /// A vector for all pixels: the bias.
    Bias(*const T),
    /// What the destination holds: the earlier part of the sum.
    Destination,
}

/// `PIXELS × REGISTERS` accumulators: `dst[p, o] = start + Σ_k src[p, k] · panel[k, o]`.
pub(crate) struct Gather<'a, T> {
    pub(crate) source: [*const T; MAX_PIXELS],
    pub(crate) destination: [*mut T; MAX_PIXELS],
    /// Pixels that are stored; the others repeat the last one.
    pub(crate) pixels: usize,
    pub(crate) segments: &'a [Segment],
    /// `[K, REGISTERS · LANES]`
    pub(crate) panel: *const T,
    pub(crate) start: Start<T>,
    pub(crate) relu: bool,
    /// Valid lanes of the last register, 1 to `LANES`.
    pub(crate) last_lanes: usize,
}

/// # Safety
/// The level's instructions exist; every source is valid over every segment, every destination and
/// the bias for the tile's channels, the panel for the segments' rows.
#[inline(always)]
pub(crate) unsafe fn gather<V: Simd, const REGISTERS: usize, const PIXELS: usize>(
    tile: &Gather<'_, V::Elem>,
) {
    // SAFETY: all accesses are the ones that the caller vouches for.
    unsafe {
        let mut sums = start::<V, REGISTERS, PIXELS>(tile);
        for segment in tile.segments {
            let panel = tile.panel.add(segment.row * REGISTERS * V::LANES);
            let mut source = [tile.source[0]; PIXELS];
            unrolled!(p < PIXELS => {
                source[p] = tile.source[p].add(segment.source);
            });
            // With few registers of channels the pointers do not fit the general registers: each
            // is fetched once for several rows.
            if REGISTERS == 1 {
                accumulate::<V, REGISTERS, PIXELS, 4>(&mut sums, &source, panel, segment.len);
            } else if REGISTERS == 2 {
                accumulate::<V, REGISTERS, PIXELS, 2>(&mut sums, &source, panel, segment.len);
            } else {
                accumulate::<V, REGISTERS, PIXELS, 1>(&mut sums, &source, panel, segment.len);
            }
        }
        finish::<V, REGISTERS, PIXELS>(tile, &sums);
    }
}

/// # Safety
/// As for [`gather`].
#[inline(always)]
unsafe fn accumulate<V: Simd, const REGISTERS: usize, const PIXELS: usize, const ROWS: usize>(
    sums: &mut [[V; REGISTERS]; PIXELS],
    source: &[*const V::Elem; PIXELS],
    panel: *const V::Elem,
    len: usize,
) {
    // SAFETY: `k + ROWS <= len` in the first loop and `k < len` in the second.
    unsafe {
        let mut k = 0;
        while k + ROWS <= len {
            let mut weights = [[V::splat(V::Elem::ZERO); REGISTERS]; ROWS];
            for (row, weights) in weights.iter_mut().enumerate() {
                for (r, weight) in weights.iter_mut().enumerate() {
                    *weight = V::load(panel.add(((k + row) * REGISTERS + r) * V::LANES));
                }
            }
            unrolled!(p < PIXELS => {
                for (row, weights) in weights.iter().enumerate() {
                    let value = V::splat(*source[p].add(k + row));
                    for (sum, weight) in sums[p].iter_mut().zip(weights) {
                        *sum = sum.mul_add(value, *weight);
                    }
                }
            });
            k += ROWS;
        }
        while ROWS > 1 && k < len {
            let mut weights = [V::splat(V::Elem::ZERO); REGISTERS];
            for (r, weight) in weights.iter_mut().enumerate() {
                *weight = V::load(panel.add((k * REGISTERS + r) * V::LANES));
            }
            unrolled!(p < PIXELS => {
                let value = V::splat(*source[p].add(k));
                for (sum, weight) in sums[p].iter_mut().zip(&weights) {
                    *sum = sum.mul_add(value, *weight);
                }
            });
            k += 1;
        }
    }
}

/// # Safety
/// As for [`gather`].
#[inline(always)]
unsafe fn start<V: Simd, const REGISTERS: usize, const PIXELS: usize>(
    tile: &Gather<'_, V::Elem>,
) -> [[V; REGISTERS]; PIXELS] {
    // SAFETY: the bias is padded to whole registers; destinations are read over valid lanes only.
    unsafe {
        let mut sums = [[V::splat(V::Elem::ZERO); REGISTERS]; PIXELS];
        match tile.start {
            Start::Bias(bias) => {
                unrolled!(p < PIXELS => {
                    for (r, sum) in sums[p].iter_mut().enumerate() {
                        *sum = V::load(bias.add(r * V::LANES));
                    }
                });
            }
            Start::Destination => {
                unrolled!(p < PIXELS => {
                    for (r, sum) in sums[p].iter_mut().enumerate() {
                        let from = tile.destination[p].add(r * V::LANES);
                        *sum = if r + 1 == REGISTERS && tile.last_lanes < V::LANES {
                            V::load_partial(from, tile.last_lanes)
                        } else {
                            V::load(from)
                        };
                    }
                });
            }
        }
        sums
    }
}

/// # Safety
/// As for [`gather`].
#[inline(always)]
unsafe fn finish<V: Simd, const REGISTERS: usize, const PIXELS: usize>(
    tile: &Gather<'_, V::Elem>,
    sums: &[[V; REGISTERS]; PIXELS],
) {
    // SAFETY: destinations are written over valid lanes only.
    unsafe {
        unrolled!(p < PIXELS => {
            if p >= tile.pixels {
                return;
            }
            for (r, &sum) in sums[p].iter().enumerate() {
                let value = if tile.relu { sum.relu() } else { sum };
                let to = tile.destination[p].add(r * V::LANES);
                if r + 1 == REGISTERS && tile.last_lanes < V::LANES {
                    value.store_partial(to, tile.last_lanes);
                } else {
                    value.store(to);
                }
            }
        });
    }
}

/// `ROWS × REGISTERS` accumulators of a weight gradient:
/// `sums[c, o] += Σ_p input[p, c] · gradient[p, o]` over runs of pixels.
pub(crate) struct Outer<'a, T> {
    pub(crate) input: *const T,
    pub(crate) gradient: *const T,
    /// Offsets of each run's first pixel in `input` and `gradient`.
    pub(crate) runs: &'a [(usize, usize)],
    /// Pixels of each run.
    pub(crate) len: usize,
    /// Distances between pixels of a run in `input` and `gradient`.
    pub(crate) strides: (usize, usize),
    /// `[ROWS, REGISTERS · LANES]`
    pub(crate) sums: *mut T,
    /// Whether the sums start from 0 and not from what is there.
    pub(crate) fresh: bool,
    /// Valid lanes of the gradient's last register, 1 to `LANES`.
    pub(crate) last_lanes: usize,
}

/// # Safety
/// The level's instructions exist; `input` is valid for `ROWS` elements and `gradient` for the
/// tile's channels at every pixel of every run; `sums` is valid.
#[inline(always)]
pub(crate) unsafe fn outer<V: Simd, const REGISTERS: usize, const ROWS: usize>(
    tile: &Outer<'_, V::Elem>,
) {
    // SAFETY: all accesses are the ones that the caller vouches for.
    unsafe {
        if tile.last_lanes < V::LANES {
            outer_runs::<V, REGISTERS, ROWS, true>(tile);
        } else {
            outer_runs::<V, REGISTERS, ROWS, false>(tile);
        }
    }
}

/// # Safety
/// As for [`outer`].
#[inline(always)]
unsafe fn outer_runs<V: Simd, const REGISTERS: usize, const ROWS: usize, const PARTIAL: bool>(
    tile: &Outer<'_, V::Elem>,
) {
    // SAFETY: as for `outer`; the pointers move from pixel to pixel and past the last one by
    // wrapping arithmetic only.
    unsafe {
        let mut sums = [[V::splat(V::Elem::ZERO); REGISTERS]; ROWS];
        if !tile.fresh {
            unrolled!(row < ROWS => {
                for (r, sum) in sums[row].iter_mut().enumerate() {
                    *sum = V::load(tile.sums.add((row * REGISTERS + r) * V::LANES));
                }
            });
        }
        for &(input, gradient) in tile.runs {
            let mut input = tile.input.add(input);
            let mut gradient = tile.gradient.add(gradient);
            for _ in 0..tile.len {
                let mut values = [V::splat(V::Elem::ZERO); REGISTERS];
                for (r, value) in values.iter_mut().enumerate() {
                    let from = gradient.add(r * V::LANES);
                    *value = if PARTIAL && r + 1 == REGISTERS {
                        V::load_partial(from, tile.last_lanes)
                    } else {
                        V::load(from)
                    };
                }
                unrolled!(row < ROWS => {
                    let x = V::splat(*input.add(row));
                    for (sum, value) in sums[row].iter_mut().zip(&values) {
                        *sum = sum.mul_add(x, *value);
                    }
                });
                input = input.wrapping_add(tile.strides.0);
                gradient = gradient.wrapping_add(tile.strides.1);
            }
        }
        unrolled!(row < ROWS => {
            for (r, &sum) in sums[row].iter().enumerate() {
                sum.store(tile.sums.add((row * REGISTERS + r) * V::LANES));
            }
        });
    }
}
