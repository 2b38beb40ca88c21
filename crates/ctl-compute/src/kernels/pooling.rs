//! Pooling windows over `[B, D, H, W, C]`.
//!
//! A pass towards the output goes by output rows, a pass towards the input gathers by input rows:
//! every row is written by one piece of work, in one order.

use std::mem::MaybeUninit;

use super::buffer::{filled, written};
use super::float::Float;
use super::level::multiversion;
use super::parallel::{for_each_chunk, for_each_chunk_pair};

/// Sizes of one pooling; depth, height and width in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolShape {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) input: [usize; 3],
    pub(crate) output: [usize; 3],
    pub(crate) kernel: [usize; 3],
    pub(crate) stride: [usize; 3],
    pub(crate) padding: [usize; 3],
}

impl PoolShape {
    pub(crate) fn input_len(&self) -> usize {
        self.batch * self.input.iter().product::<usize>() * self.channels
    }

    pub(crate) fn output_len(&self) -> usize {
        self.batch * self.output.iter().product::<usize>() * self.channels
    }

    /// Taps along `axis` that fall inside the input for an output index: `first..end`.
    #[inline(always)]
    fn taps(&self, axis: usize, output: usize) -> (usize, usize) {
        let start = output * self.stride[axis];
        let first = self.padding[axis].saturating_sub(start);
        let end = (self.input[axis] + self.padding[axis]).saturating_sub(start);
        (first, end.min(self.kernel[axis]))
    }

    /// Outputs along `axis` whose window covers an input index: `first..end`.
    #[inline(always)]
    fn outputs_over(&self, axis: usize, input: usize) -> (usize, usize) {
        let reach = input + self.padding[axis];
        let first = (reach + 1).saturating_sub(self.kernel[axis]);
        let end = reach / self.stride[axis] + 1;
        (
            first.div_ceil(self.stride[axis]),
            end.min(self.output[axis]),
        )
    }

    /// `(b, z, y)` of a row of `sizes`.
    #[inline(always)]
    fn row_at(sizes: [usize; 3], row: usize) -> [usize; 3] {
        let (slab, y) = (row / sizes[1], row % sizes[1]);
        [slab / sizes[0], slab % sizes[0], y]
    }

    /// Calls `visit(tap, offset of its pixel)` for the taps inside the input, row by row.
    #[inline(always)]
    fn for_each_tap(&self, [b, z, y]: [usize; 3], x: usize, mut visit: impl FnMut(u32, usize)) {
        let [(z_first, z_end), (y_first, y_end), (x_first, x_end)] =
            [self.taps(0, z), self.taps(1, y), self.taps(2, x)];
        let start =
            |axis: usize, o: usize, tap: usize| o * self.stride[axis] + tap - self.padding[axis];
        for i in z_first..z_end {
            let slab = b * self.input[0] + start(0, z, i);
            for j in y_first..y_end {
                let row = slab * self.input[1] + start(1, y, j);
                for k in x_first..x_end {
                    let tap = (i * self.kernel[1] + j) * self.kernel[2] + k;
                    let pixel = row * self.input[2] + start(2, x, k);
                    visit(tap as u32, pixel * self.channels);
                }
            }
        }
    }

    /// Calls `visit(tap, first element of the output pixel, first element inside the input row)`
    /// for every pair of an output pixel and a tap that reads the input row.
    #[inline(always)]
    fn for_each_reader(&self, row: usize, mut visit: impl FnMut(u32, usize, usize)) {
        let [b, z, y] = Self::row_at(self.input, row);
        let ((z_first, z_end), (y_first, y_end)) =
            (self.outputs_over(0, z), self.outputs_over(1, y));
        for oz in z_first..z_end {
            let i = z + self.padding[0] - oz * self.stride[0];
            for oy in y_first..y_end {
                let j = y + self.padding[1] - oy * self.stride[1];
                let tap_row = (i * self.kernel[1] + j) * self.kernel[2];
                let out_row = ((b * self.output[0] + oz) * self.output[1] + oy) * self.output[2];
                for ox in 0..self.output[2] {
                    let (first, end) = self.taps(2, ox);
                    for k in first..end {
                        let x = ox * self.stride[2] + k - self.padding[2];
                        let tap = (tap_row + k) as u32;
                        visit(tap, (out_row + ox) * self.channels, x * self.channels);
                    }
                }
            }
        }
    }

    fn out_row_len(&self) -> usize {
        self.output[2] * self.channels
    }

    fn in_row_len(&self) -> usize {
        self.input[2] * self.channels
    }

    /// Offset of the pixel that `tap` reads for an output pixel.
    fn pixel_of(&self, [b, z, y]: [usize; 3], x: usize, tap: u32) -> usize {
        let tap = tap as usize;
        let (rest, k) = (tap / self.kernel[2], tap % self.kernel[2]);
        let (i, j) = (rest / self.kernel[1], rest % self.kernel[1]);
        let z = z * self.stride[0] + i - self.padding[0];
        let y = y * self.stride[1] + j - self.padding[1];
        let x = x * self.stride[2] + k - self.padding[2];
        (((b * self.input[0] + z) * self.input[1] + y) * self.input[2] + x) * self.channels
    }
}

/// Replaces the best value where `value` beats it or is not a number.
#[inline(always)]
fn challenge<T: Float>(best: &mut T, winner: &mut u32, value: T, tap: u32) {
    #[expect(
        clippy::eq_op,
        reason = "only what is not a number differs from itself"
    )]
    let wins = value > *best || value != value;
    *best = if wins { value } else { *best };
    *winner = if wins { tap } else { *winner };
}

/// Windows of this many taps are compared in one pass.
const PAIRED_TAPS: usize = 4;

#[inline(always)]
fn max_of_four<T: Float>(
    x: &[T],
    taps: &[(u32, usize); PAIRED_TAPS],
    best: &mut [MaybeUninit<T>],
    winner: &mut [MaybeUninit<u32>],
) {
    let channels = best.len();
    let [a, b, c, d] = taps.map(|(_, offset)| &x[offset..][..channels]);
    let names = taps.map(|(tap, _)| tap);
    let rows = a.iter().zip(b).zip(c).zip(d);
    for (((((&a, &b), &c), &d), best), winner) in rows.zip(best).zip(winner) {
        let (mut value, mut tap) = (a, names[0]);
        challenge(&mut value, &mut tap, b, names[1]);
        challenge(&mut value, &mut tap, c, names[2]);
        challenge(&mut value, &mut tap, d, names[3]);
        best.write(value);
        winner.write(tap);
    }
}

#[inline(always)]
fn max_row_body<T: Float>(
    shape: &PoolShape,
    x: &[T],
    row: usize,
    best: &mut [MaybeUninit<T>],
    winner: &mut [MaybeUninit<u32>],
) {
    let channels = shape.channels;
    let at = PoolShape::row_at(shape.output, row);
    let pixels = best
        .chunks_exact_mut(channels)
        .zip(winner.chunks_exact_mut(channels));
    for (ox, (best, winner)) in pixels.enumerate() {
        let (mut taps, mut count) = ([(0, 0); PAIRED_TAPS], 0);
        shape.for_each_tap(at, ox, |tap, offset| {
            if count < PAIRED_TAPS {
                taps[count] = (tap, offset);
            }
            count += 1;
        });
        if count == PAIRED_TAPS {
            max_of_four(x, &taps, best, winner);
            continue;
        }
        let (best, winner) = (filled(best, T::LOWEST), filled(winner, taps[0].0));
        shape.for_each_tap(at, ox, |tap, offset| {
            let values = &x[offset..][..channels];
            for ((best, winner), &value) in best.iter_mut().zip(&mut *winner).zip(values) {
                challenge(best, winner, value, tap);
            }
        });
    }
}

multiversion! {
    fn max_row<T: Float>(
        shape: &PoolShape,
        x: &[T],
        row: usize,
        best: &mut [MaybeUninit<T>],
        winner: &mut [MaybeUninit<u32>],
    ) = max_row_body;
}

/// Largest value of every window and the tap that holds it; the first of equals wins.
pub(crate) fn max<T: Float>(shape: &PoolShape, x: &[T]) -> (Vec<T>, Vec<u32>) {
    assert_eq!(x.len(), shape.input_len());
    let len = shape.out_row_len();
    let mut best = Vec::new();
    // SAFETY: the chunks cover both vectors and every pixel of a row is written.
    let winner = unsafe {
        written(shape.output_len(), |winner| {
            best = written(shape.output_len(), |best| {
                for_each_chunk_pair((best, len), (winner, len), |row, best, winner| {
                    max_row(shape, x, row, best, winner);
                });
            });
        })
    };
    (best, winner)
}

#[inline(always)]
fn spread_row_body<T: Float>(
    shape: &PoolShape,
    y: &[T],
    winner: &[u32],
    row: usize,
    out: &mut [MaybeUninit<T>],
) {
    let (out, channels) = (filled(out, T::ZERO), shape.channels);
    shape.for_each_reader(row, |tap, from, to| {
        let source = y[from..][..channels]
            .iter()
            .zip(&winner[from..][..channels]);
        for (slot, (&value, &winner)) in out[to..][..channels].iter_mut().zip(source) {
            *slot += if winner == tap { value } else { T::ZERO };
        }
    });
}

multiversion! {
    fn spread_row<T: Float>(
        shape: &PoolShape,
        y: &[T],
        winner: &[u32],
        row: usize,
        out: &mut [MaybeUninit<T>],
    ) = spread_row_body;
}

/// Adds every output value to the pixel that won its window.
pub(crate) fn spread<T: Float>(shape: &PoolShape, y: &[T], winner: &[u32]) -> Vec<T> {
    assert_eq!([y.len(), winner.len()], [shape.output_len(); 2]);
    // SAFETY: the chunks cover the vector and each row is filled first.
    unsafe {
        written(shape.input_len(), |out| {
            for_each_chunk(out, shape.in_row_len(), |row, out| {
                spread_row(shape, y, winner, row, out);
            });
        })
    }
}

/// The values of the pixels that won.
pub(crate) fn select<T: Float>(shape: &PoolShape, x: &[T], winner: &[u32]) -> Vec<T> {
    assert_eq!(
        [x.len(), winner.len()],
        [shape.input_len(), shape.output_len()]
    );
    let len = shape.out_row_len();
    let mut out = vec![T::ZERO; shape.output_len()];
    for_each_chunk(&mut out, len, |row, out| {
        let at = PoolShape::row_at(shape.output, row);
        for (i, slot) in out.iter_mut().enumerate() {
            let (ox, channel) = (i / shape.channels, i % shape.channels);
            *slot = x[shape.pixel_of(at, ox, winner[row * len + i]) + channel];
        }
    });
    out
}

/// Pooling by the mean of each window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Average {
    pub(crate) shape: PoolShape,
    /// Whether padding counts as zeros; otherwise the mean is over the pixels inside.
    pub(crate) count_padding: bool,
}

impl Average {
    /// One over the number of pixels of a window.
    #[inline(always)]
    fn share(&self, [_, z, y]: [usize; 3], x: usize) -> f64 {
        let along = |axis: usize, o: usize| {
            let (first, end) = self.shape.taps(axis, o);
            if self.count_padding {
                self.shape.kernel[axis]
            } else {
                end - first
            }
        };
        1.0 / (along(0, z) * along(1, y) * along(2, x)) as f64
    }
}

#[inline(always)]
fn average_row_body<T: Float>(op: &Average, x: &[T], row: usize, out: &mut [MaybeUninit<T>]) {
    let (shape, channels) = (&op.shape, op.shape.channels);
    let at = PoolShape::row_at(shape.output, row);
    for (ox, out) in out.chunks_exact_mut(channels).enumerate() {
        let out = filled(out, T::ZERO);
        shape.for_each_tap(at, ox, |_, offset| {
            for (sum, &value) in out.iter_mut().zip(&x[offset..][..channels]) {
                *sum += value;
            }
        });
        let share = T::of(op.share(at, ox));
        for sum in out {
            *sum = *sum * share;
        }
    }
}

multiversion! {
    fn average_row<T: Float>(op: &Average, x: &[T], row: usize, out: &mut [MaybeUninit<T>])
        = average_row_body;
}

/// Mean of every window.
pub(crate) fn average<T: Float>(op: &Average, x: &[T]) -> Vec<T> {
    assert_eq!(x.len(), op.shape.input_len());
    // SAFETY: the chunks cover the vector and each pixel is filled first.
    unsafe {
        written(op.shape.output_len(), |out| {
            for_each_chunk(out, op.shape.out_row_len(), |row, out| {
                average_row(op, x, row, out);
            });
        })
    }
}

#[inline(always)]
fn share_row_body<T: Float>(op: &Average, y: &[T], row: usize, out: &mut [MaybeUninit<T>]) {
    let (shape, channels) = (&op.shape, op.shape.channels);
    let out = filled(out, T::ZERO);
    shape.for_each_reader(row, |_, from, to| {
        let pixel = from / channels;
        let out_row = pixel / shape.output[2];
        let at = PoolShape::row_at(shape.output, out_row);
        let share = T::of(op.share(at, pixel % shape.output[2]));
        for (slot, &value) in out[to..][..channels].iter_mut().zip(&y[from..][..channels]) {
            *slot += value * share;
        }
    });
}

multiversion! {
    fn share_row<T: Float>(op: &Average, y: &[T], row: usize, out: &mut [MaybeUninit<T>])
        = share_row_body;
}

/// Transpose of [`average`].
pub(crate) fn share_out<T: Float>(op: &Average, y: &[T]) -> Vec<T> {
    assert_eq!(y.len(), op.shape.output_len());
    // SAFETY: the chunks cover the vector and each row is filled first.
    unsafe {
        written(op.shape.input_len(), |out| {
            for_each_chunk(out, op.shape.in_row_len(), |row, out| {
                share_row(op, y, row, out);
            });
        })
    }
}
