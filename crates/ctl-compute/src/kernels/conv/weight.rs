//! Weight gradient: sums over pixels, with vectors along output channels.

use std::ops::Range;

use super::buffer::Buffer;
use super::depthwise::{self, DepthwiseWeight};
use super::micro::Outer;
use super::pack::{self, Block, Shared};
use super::plan::{Piece, pieces, ranges};
use super::shape::ConvShape;
use super::simd::{Float, Simd, Task};
use crate::kernels::parallel;

/// Pixels whose gradients stay in the second cache while every row of weights uses them.
const PIECE_PIXELS: usize = 256;
/// Pieces of work to aim for; more would cost more private sums.
const SHARES: usize = 16;
/// Pixels below which a share does not pay for its private sums.
const SHARE_PIXELS: usize = 1024;
/// Input channels up to which the taps of a row are summed together, as one would fill no tile.
const FEW_CHANNELS: usize = 4;
/// Channels that are transposed together at the end.
const STRIP: usize = 16;

/// `dw[o, c, u] = Σ_{b, q} g[b, q, o] · x[b, q·stride + u·dilation − padding, c]`
pub(crate) struct Problem<'a, T> {
    pub(crate) shape: &'a ConvShape,
    pub(crate) x: &'a [T],
    pub(crate) g: &'a [T],
}

/// A problem with the way it is divided.
struct Running<'a, T> {
    shape: &'a ConvShape,
    x: &'a [T],
    g: &'a [T],
    blocks: Vec<Block>,
    pieces: Vec<Piece>,
    /// Private copies of the sums; each adds up its share of the pieces.
    copies: usize,
    /// Elements of one copy.
    copy_len: usize,
    /// Whether the roles of `x` and `g` are exchanged, and the sums lie as the result does.
    exchanged: bool,
    /// Whether every channel is a group, and blocks are of groups.
    depthwise: bool,
}

impl<T: Float> Task<T> for Problem<'_, T> {
    type Out = Vec<T>;

    fn run<V: Simd<Elem = T>>(self) -> Vec<T> {
        // Without taps the sum is symmetric, and vectors along the input's channels spare the
        // transposition of the result.
        let exchanged = self.shape.is_product() && self.shape.channels_in >= V::LANES;
        let turned = ConvShape {
            channels_in: self.shape.channels_out,
            channels_out: self.shape.channels_in,
            ..*self.shape
        };
        let (s, x, g) = if exchanged {
            (&turned, self.g, self.x)
        } else {
            (self.shape, self.x, self.g)
        };
        let depthwise = depthwise::applies(s.groups, [s.channels_in, s.channels_out]);
        let (groups, width) = if depthwise {
            (1, s.channels_out)
        } else {
            (s.groups, s.group_out())
        };
        let blocks = pack::blocks::<V>(groups, width);
        let pieces = pieces(s.batch, s.output, PIECE_PIXELS);
        let pixels = s.batch * s.output.iter().product::<usize>();
        let copies = (SHARES / blocks.len().max(1))
            .min(pixels / SHARE_PIXELS)
            .min(pieces.len())
            .max(1);
        let columns: usize = blocks.iter().map(Block::columns::<V>).sum();
        let running = Running {
            shape: s,
            x,
            g,
            blocks,
            pieces,
            copies,
            copy_len: s.taps() * s.group_in() * columns,
            exchanged,
            depthwise,
        };
        running.all::<V>()
    }
}

/// The gradients of a piece as the inner loop reads them.
struct Gradients<T> {
    base: *const T,
    /// Elements between images, planes, rows and pixels.
    strides: [usize; 4],
    /// Valid lanes of the last register.
    last_lanes: usize,
}

impl<T: Float> Running<'_, T> {
    fn all<V: Simd<Elem = T>>(&self) -> Vec<T> {
        let mut sums = Buffer::<T>::new(self.copies * self.copy_len);
        let base = Shared(sums.as_mut_ptr());
        parallel::for_each(self.copies * self.blocks.len(), |index| {
            let (copy, block) = (
                index / self.blocks.len(),
                &self.blocks[index % self.blocks.len()],
            );
            let rows = self.shape.taps() * self.shape.group_in();
            // SAFETY: every block of every copy is a part of the buffer of its own.
            unsafe {
                let sums = base.get().add(copy * self.copy_len + rows * block.column);
                let share = self.pieces.len().div_ceil(self.copies);
                let pieces = self
                    .pieces
                    .chunks(share.max(1))
                    .nth(copy)
                    .unwrap_or_default();
                // One tap reaches every pixel: its first piece sets the sums.
                let mut fresh = self.exchanged && !pieces.is_empty();
                if !fresh {
                    sums.write_bytes(0, rows * block.columns::<V>());
                }
                for piece in pieces {
                    self.piece::<V>(piece, block, sums, fresh);
                    fresh = false;
                }
            }
        });
        self.collect::<V>(base)
    }

    /// Adds a piece's pixels to a block's sums.
    ///
    /// # Safety
    /// `sums` is valid for the block.
    unsafe fn piece<V: Simd<Elem = T>>(
        &self,
        piece: &Piece,
        block: &Block,
        sums: *mut T,
        fresh: bool,
    ) {
        let s = self.shape;
        let mut scratch = None;
        let gradients = self.gradients::<V>(piece, block, &mut scratch);
        if s.groups == 1 && s.channels_in <= FEW_CHANNELS && s.kernel[2] > 1 && s.dilation[2] == 1 {
            // SAFETY: the caller's promise is passed on.
            unsafe { self.by_lines::<V>(piece, block, &gradients, sums) };
            return;
        }
        for tap in 0..s.taps() {
            let [_, kh, kw] = s.kernel;
            let taps = [tap / kw / kh, tap / kw % kh, tap % kw];
            let (runs, len, strides) = self.runs(piece, taps, &gradients);
            if self.depthwise && !runs.is_empty() {
                self.check(&runs, len, strides.0, block.channel + block.width);
                // SAFETY: `check` states that the block's channels lie in the input at every
                // pixel, and `gradients` covers the piece.
                unsafe {
                    V::vectorize(DepthwiseWeight {
                        tile: Outer {
                            input: self.x.as_ptr().add(block.channel),
                            gradient: gradients.base,
                            runs: &runs,
                            len,
                            strides,
                            sums: sums.add(tap * block.columns::<V>()),
                            fresh: false,
                            last_lanes: block.last_lanes::<V>(),
                        },
                        registers: block.registers,
                    });
                }
                continue;
            }
            let channels = s.group_in();
            let mut channel = 0;
            while channel < channels && !runs.is_empty() {
                let (rows, kernel) = kernel::<V>(block.registers, channels - channel);
                let input = block.group * channels + channel;
                self.check(&runs, len, strides.0, input + rows);
                // SAFETY: `check` states that the channels lie in the input at every pixel, and
                // `gradients` covers the piece; the level is one that the processor has.
                unsafe {
                    kernel(&Outer {
                        input: self.x.as_ptr().add(input),
                        gradient: gradients.base,
                        runs: &runs,
                        len,
                        strides,
                        sums: sums.add((tap * channels + channel) * block.columns::<V>()),
                        fresh,
                        last_lanes: gradients.last_lanes,
                    });
                }
                channel += rows;
            }
        }
    }

    fn check(&self, runs: &[(usize, usize)], len: usize, stride: usize, reach: usize) {
        debug_assert!(
            runs.iter()
                .all(|run| run.0 + (len - 1) * stride + reach <= self.x.len()),
            "a run leaves the input"
        );
    }

    /// The runs of a piece's pixels that a tap reaches: along the width or, where images are
    /// small, along the batch.
    fn runs(
        &self,
        piece: &Piece,
        taps: [usize; 3],
        gradients: &Gradients<T>,
    ) -> (Vec<(usize, usize)>, usize, (usize, usize)) {
        let s = self.shape;
        let own = [piece.depth.clone(), piece.height.clone(), 0..s.output[2]];
        let valid = [0, 1, 2].map(|axis| intersect(&own[axis], &self.reached(axis, taps[axis])));
        let x = self.input_strides();
        let at = |axis: usize, q: usize| {
            (
                self.input_at(axis, q, taps[axis]) * x[axis + 1],
                (q - own[axis].start) * gradients.strides[axis + 1],
            )
        };
        let along_batch = piece.batch.len() > valid[2].len();
        let images = piece
            .batch
            .clone()
            .map(|b| (b * x[0], (b - piece.batch.start) * gradients.strides[0]));
        let starts = if along_batch { 1 } else { piece.batch.len() };
        let columns = if along_batch {
            valid[2].clone()
        } else {
            valid[2].start..valid[2].end.min(valid[2].start + 1)
        };
        let mut runs = Vec::with_capacity(starts * valid[0].len() * valid[1].len() * columns.len());
        for image in images.take(starts) {
            for d in valid[0].clone() {
                for h in valid[1].clone() {
                    for w in columns.clone() {
                        let (d, h, w) = (at(0, d), at(1, h), at(2, w));
                        runs.push((image.0 + d.0 + h.0 + w.0, image.1 + d.1 + h.1 + w.1));
                    }
                }
            }
        }
        if along_batch {
            (runs, piece.batch.len(), (x[0], gradients.strides[0]))
        } else {
            (
                runs,
                valid[2].len(),
                (x[3] * s.stride[2], gradients.strides[3]),
            )
        }
    }

    /// Output pixels along an axis that a tap reaches.
    fn reached(&self, axis: usize, tap: usize) -> Range<usize> {
        let s = self.shape;
        let (shift, stride) = (tap * s.dilation[axis], s.stride[axis]);
        let start = s.padding[axis].saturating_sub(shift).div_ceil(stride);
        let end = (s.input[axis] + s.padding[axis])
            .saturating_sub(shift)
            .div_ceil(stride)
            .min(s.output[axis]);
        start..end.max(start)
    }

    fn input_strides(&self) -> [usize; 4] {
        let s = self.shape;
        let row = s.input[2] * s.channels_in;
        [
            s.input[0] * s.input[1] * row,
            s.input[1] * row,
            row,
            s.channels_in,
        ]
    }

    /// The piece's gradients: in place where a block has all channels, else copied together.
    fn gradients<V: Simd<Elem = T>>(
        &self,
        piece: &Piece,
        block: &Block,
        scratch: &mut Option<Buffer<T>>,
    ) -> Gradients<T> {
        let s = self.shape;
        let strides = |[d, h, w]: [usize; 3], c: usize| [d * h * w * c, h * w * c, w * c, c];
        let whole = strides(s.output, s.channels_out);
        let first = piece.batch.start * whole[0]
            + piece.depth.start * whole[1]
            + piece.height.start * whole[2]
            + block.group * s.group_out()
            + block.channel;
        if self.blocks.len() == 1 {
            return Gradients {
                // SAFETY: the piece's first pixel lies in the gradient, which is not empty.
                base: unsafe { self.g.as_ptr().add(first) },
                strides: whole,
                last_lanes: block.last_lanes::<V>(),
            };
        }
        let columns = block.columns::<V>();
        let rows = piece.batch.len() * piece.depth.len() * piece.height.len();
        let buffer = scratch.insert(Buffer::new(rows * s.output[2] * columns));
        let mut to = buffer.as_mut_ptr();
        for b in 0..piece.batch.len() {
            for d in 0..piece.depth.len() {
                let plane = first + b * whole[0] + d * whole[1];
                for pixel in 0..piece.height.len() * s.output[2] {
                    let from = &self.g[plane + pixel * whole[3]..][..block.width];
                    // SAFETY: the buffer has `columns` elements for each of the piece's pixels.
                    unsafe {
                        to.copy_from_nonoverlapping(from.as_ptr(), block.width);
                        to.add(block.width).write_bytes(0, columns - block.width);
                        to = to.add(columns);
                    }
                }
            }
        }
        Gradients {
            base: buffer.as_ptr(),
            strides: strides(
                [piece.depth.len(), piece.height.len(), s.output[2]],
                columns,
            ),
            last_lanes: V::LANES,
        }
    }

    /// Few channels: the taps of a kernel's row lie side by side in a padded line of the input.
    ///
    /// # Safety
    /// `sums` is valid for the block.
    unsafe fn by_lines<V: Simd<Elem = T>>(
        &self,
        piece: &Piece,
        block: &Block,
        gradients: &Gradients<T>,
        sums: *mut T,
    ) {
        let s = self.shape;
        let rows = s.kernel[2] * s.channels_in;
        let step = s.stride[2] * s.channels_in;
        let mut line = vec![T::ZERO; (s.output[2] - 1) * step + rows];
        for kernel_line in 0..s.kernel[0] * s.kernel[1] {
            let taps = [kernel_line / s.kernel[1], kernel_line % s.kernel[1]];
            // SAFETY: the kernel line's rows lie in the block's sums.
            let sums = unsafe { sums.add(kernel_line * rows * block.columns::<V>()) };
            let depth = intersect(&piece.depth, &self.reached(0, taps[0]));
            let height = intersect(&piece.height, &self.reached(1, taps[1]));
            for b in piece.batch.clone() {
                for d in depth.clone() {
                    for h in height.clone() {
                        self.fill_line(
                            &mut line,
                            [
                                b,
                                self.input_at(0, d, taps[0]),
                                self.input_at(1, h, taps[1]),
                            ],
                        );
                        let run = (b - piece.batch.start) * gradients.strides[0]
                            + (d - piece.depth.start) * gradients.strides[1]
                            + (h - piece.height.start) * gradients.strides[2];
                        // SAFETY: the line holds `rows` elements from each pixel's step on.
                        unsafe { self.line::<V>(&line, (rows, step), block, gradients, run, sums) };
                    }
                }
            }
        }
    }

    /// # Safety
    /// `line` holds `rows` elements from every pixel's step on; `sums` is valid for `rows` rows.
    unsafe fn line<V: Simd<Elem = T>>(
        &self,
        line: &[T],
        (rows, step): (usize, usize),
        block: &Block,
        gradients: &Gradients<T>,
        run: usize,
        sums: *mut T,
    ) {
        let mut row = 0;
        while row < rows {
            let (size, kernel) = kernel::<V>(block.registers, rows - row);
            // SAFETY: `row + size <= rows`, and the caller vouches for the rest.
            unsafe {
                kernel(&Outer {
                    input: line.as_ptr().add(row),
                    gradient: gradients.base,
                    runs: &[(0, run)],
                    len: self.shape.output[2],
                    strides: (step, gradients.strides[3]),
                    sums: sums.add(row * block.columns::<V>()),
                    fresh: false,
                    last_lanes: gradients.last_lanes,
                });
            }
            row += size;
        }
    }

    /// The input's coordinate under a tap that reaches the image.
    fn input_at(&self, axis: usize, q: usize, tap: usize) -> usize {
        q * self.shape.stride[axis] + tap * self.shape.dilation[axis] - self.shape.padding[axis]
    }

    /// Copies an input row behind its padding, which stays zero.
    fn fill_line(&self, line: &mut [T], [b, d, h]: [usize; 3]) {
        let s = self.shape;
        let x = self.input_strides();
        let row = &self.x[b * x[0] + d * x[1] + h * x[2]..][..x[2]];
        let first = (s.padding[2] * s.channels_in).min(line.len());
        let len = (line.len() - first).min(row.len());
        line[first..first + len].copy_from_slice(&row[..len]);
    }

    /// Adds the copies up, in their order, and transposes the sums into the weight's layout.
    fn collect<V: Simd<Elem = T>>(&self, sums: Shared<T>) -> Vec<T> {
        let s = self.shape;
        let mut out = Vec::with_capacity(s.weight_len());
        let to = Shared(out.as_mut_ptr());
        let strips: Vec<_> = ranges(s.group_in(), STRIP).collect();
        parallel::for_each(self.blocks.len() * strips.len(), |index| {
            let block = &self.blocks[index / strips.len()];
            let strip = &strips[index % strips.len()];
            // SAFETY: all sums are written by now; every strip of every block has elements of its
            // own in both buffers.
            unsafe { self.collect_strip::<V>(block, strip, sums.get(), to.get()) };
        });
        // SAFETY: the blocks cover all output channels, the strips all input channels.
        unsafe { out.set_len(s.weight_len()) };
        out
    }

    /// # Safety
    /// `sums` holds all copies and `out` has room for the weight; nobody else uses the strip's part.
    unsafe fn collect_strip<V: Simd<Elem = T>>(
        &self,
        block: &Block,
        strip: &Range<usize>,
        sums: *mut T,
        out: *mut T,
    ) {
        let s = self.shape;
        let (taps, channels, columns) = (s.taps(), s.group_in(), block.columns::<V>());
        // SAFETY: offsets are those of the strip's elements.
        unsafe {
            let sums = sums.add(taps * channels * block.column);
            for tap in 0..taps {
                let first = (tap * channels + strip.start) * columns;
                for copy in 1..self.copies {
                    for index in first..first + strip.len() * columns {
                        *sums.add(index) += *sums.add(copy * self.copy_len + index);
                    }
                }
            }
            if self.exchanged {
                for row in strip.clone() {
                    let to = out.add(row * s.channels_out + block.channel);
                    to.copy_from_nonoverlapping(sums.add(row * columns), block.width);
                }
                return;
            }
            for o in 0..block.width {
                let output = block.group * s.group_out() + block.channel + o;
                for c in strip.clone() {
                    let to = out.add((output * channels + c) * taps);
                    for tap in 0..taps {
                        *to.add(tap) = *sums.add((tap * channels + c) * columns + o);
                    }
                }
            }
        }
    }
}

fn intersect(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

type Kernel<T> = unsafe fn(&Outer<'_, T>);

/// The tile for that many registers of output channels, and its rows: parts of nearly equal size.
fn kernel<V: Simd>(registers: usize, rows: usize) -> (usize, Kernel<V::Elem>) {
    let largest = V::ACCUMULATORS / registers;
    let size = rows.div_ceil(rows.div_ceil(largest));
    macro_rules! choose {
        ($registers:literal: $($size:literal),+) => {{
            $(if size >= $size {
                return ($size, V::outer::<$registers, $size>);
            })+
            (1, V::outer::<$registers, 1>)
        }};
    }
    if V::ACCUMULATORS >= 24 {
        match registers {
            1 => choose!(1: 24, 16, 12, 8, 4, 2),
            2 => choose!(2: 12, 8, 4, 2),
            3 => choose!(3: 8, 6, 4, 2),
            _ => choose!(4: 6, 5, 4, 3, 2),
        }
    } else if registers == 1 {
        choose!(1: 12, 8, 4, 2)
    } else {
        choose!(2: 6, 5, 4, 3, 2)
    }
}
