//! Softmax along the middle of `[outer, n, inner]`, and the losses built on it.
//!
//! A piece of work is taken in whole passes that stay in the cache: shifts row by row, one
//! exponential over everything, sums row by row.

use std::mem::MaybeUninit;

use super::buffer::{PIECE, filled, written};
use super::float::Float;
use super::level::multiversion;
use super::normalise::lane_sum;
use super::parallel::for_each_chunk;

/// Sizes of the normalised axis and of what lies behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) n: usize,
    pub(crate) inner: usize,
}

impl Axis {
    fn block(self) -> usize {
        self.n * self.inner
    }

    /// Elements of one piece of work: whole blocks.
    fn piece(self) -> usize {
        PIECE.div_ceil(self.block().max(1)) * self.block()
    }
}

/// Running maxima that stand side by side.
const LANES: usize = 16;

/// Largest value of a stretch; one running maximum alone would wait for itself at every step.
#[inline(always)]
fn lane_max<T: Float>(x: &[T]) -> T {
    let mut lanes = [T::LOWEST; LANES];
    let mut rows = x.chunks_exact(LANES);
    for row in &mut rows {
        for (lane, &value) in lanes.iter_mut().zip(row) {
            *lane = value.larger(*lane);
        }
    }
    let rest = rows.remainder().iter().chain(&lanes);
    rest.fold(T::LOWEST, |max, &value| value.larger(max))
}

/// Largest value of every column of `block`.
#[inline(always)]
fn column_max<T: Float>(block: &[T], out: &mut [T]) {
    if let [single] = out {
        *single = lane_max(block);
        return;
    }
    out.fill(T::LOWEST);
    for row in block.chunks_exact(out.len()) {
        for (max, &value) in out.iter_mut().zip(row) {
            *max = value.larger(*max);
        }
    }
}

/// Sum of every column of `block`.
#[inline(always)]
fn column_sum<T: Float>(block: &[T], out: &mut [T]) {
    if let [single] = out {
        *single = T::of(lane_sum(block, |v| v));
        return;
    }
    out.fill(T::ZERO);
    for row in block.chunks_exact(out.len()) {
        for (sum, &value) in out.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

/// Replaces every value by `f(value, number of its column)`.
#[inline(always)]
fn with_columns<T: Float>(block: &mut [T], columns: &[T], f: impl Fn(T, T) -> T) {
    if let &[single] = columns {
        for value in block {
            *value = f(*value, single);
        }
        return;
    }
    for row in block.chunks_exact_mut(columns.len()) {
        for (value, &column) in row.iter_mut().zip(columns) {
            *value = f(*value, column);
        }
    }
}

#[inline(always)]
fn forward_body<T: Float>(axis: Axis, logarithm: bool, x: &[T], out: &mut [MaybeUninit<T>]) {
    let (block, mut columns) = (axis.block(), vec![T::ZERO; axis.inner]);
    for (slot, &x) in out.iter_mut().zip(x) {
        slot.write(x);
    }
    // SAFETY: the loop above wrote every element, since both slices have one length.
    let out = unsafe { super::buffer::assume_written(out) };
    for block in out.chunks_exact_mut(block) {
        column_max(block, &mut columns);
        with_columns(block, &columns, |value, max| value - max);
    }
    if logarithm {
        let powers: Vec<T> = out.iter().map(|v| v.exponential()).collect();
        for (block, powers) in out.chunks_exact_mut(block).zip(powers.chunks_exact(block)) {
            column_sum(powers, &mut columns);
            for sum in &mut columns {
                *sum = T::of(sum.wide().ln());
            }
            with_columns(block, &columns, |value, log| value - log);
        }
    } else {
        for value in out.iter_mut() {
            *value = value.exponential();
        }
        for block in out.chunks_exact_mut(block) {
            column_sum(block, &mut columns);
            with_columns(block, &columns, |value, sum| value / sum);
        }
    }
}

multiversion! {
    fn forward_piece<T: Float>(
        axis: Axis,
        logarithm: bool,
        x: &[T],
        out: &mut [MaybeUninit<T>],
    ) = forward_body;
}

/// `softmax x` or its logarithm.
pub(crate) fn forward<T: Float>(axis: Axis, logarithm: bool, x: &[T]) -> Vec<T> {
    let piece = axis.piece();
    // SAFETY: the pieces cover the vector and each is written in full.
    unsafe {
        written(x.len(), |out| {
            for_each_chunk(out, piece, |i, out| {
                forward_piece(axis, logarithm, &x[i * piece..][..out.len()], out);
            });
        })
    }
}

#[inline(always)]
fn backward_body<T: Float>(
    axis: Axis,
    logarithm: bool,
    y: &[T],
    dy: &[T],
    out: &mut [MaybeUninit<T>],
) {
    let (len, mut columns) = (axis.block(), vec![T::ZERO; axis.inner]);
    let out = filled(out, T::ZERO);
    for ((slot, &y), &dy) in out.iter_mut().zip(y).zip(dy) {
        *slot = if logarithm { y.exponential() } else { dy * y };
    }
    let blocks = out
        .chunks_exact_mut(len)
        .zip(y.chunks_exact(len))
        .zip(dy.chunks_exact(len));
    for ((out, y), dy) in blocks {
        if logarithm {
            column_sum(dy, &mut columns);
            with_columns(out, &columns, |power, sum| power * sum);
            for (slot, &dy) in out.iter_mut().zip(dy) {
                *slot = dy - *slot;
            }
        } else {
            column_sum(out, &mut columns);
            out.copy_from_slice(dy);
            with_columns(out, &columns, |dy, sum| dy - sum);
            for (slot, &y) in out.iter_mut().zip(y) {
                *slot = *slot * y;
            }
        }
    }
}

multiversion! {
    fn backward_piece<T: Float>(
        axis: Axis,
        logarithm: bool,
        y: &[T],
        dy: &[T],
        out: &mut [MaybeUninit<T>],
    ) = backward_body;
}

/// `dx` from the output `y`: `y (dy − Σ dy y)`, or `dy − eʸ Σ dy` for the logarithm.
pub(crate) fn backward<T: Float>(axis: Axis, logarithm: bool, y: &[T], dy: &[T]) -> Vec<T> {
    assert_eq!(y.len(), dy.len());
    let piece = axis.piece();
    // SAFETY: the pieces cover the vector and each is filled first.
    unsafe {
        written(y.len(), |out| {
            for_each_chunk(out, piece, |i, out| {
                let range = i * piece..i * piece + out.len();
                backward_piece(axis, logarithm, &y[range.clone()], &dy[range], out);
            });
        })
    }
}

/// `log Σ e^z − z[class]` for every row of `n` logits.
pub(crate) fn cross_entropy<T: Float>(n: usize, logits: &[T], classes: &[u32]) -> Vec<T> {
    assert_eq!(logits.len(), classes.len() * n);
    let axis = Axis { n, inner: 1 };
    let rows = axis.piece() / n;
    let mut out = vec![T::ZERO; classes.len()];
    for_each_chunk(&mut out, rows, |piece, out| {
        let first = piece * rows;
        let logits = &logits[first * n..][..out.len() * n];
        let logs = forward(axis, true, logits);
        let picked = logs.chunks_exact(n).zip(&classes[first..]);
        for (slot, (row, &class)) in out.iter_mut().zip(picked) {
            *slot = -row[class as usize];
        }
    });
    out
}

#[inline(always)]
fn scale_rows_body<T: Float>(n: usize, factors: &[T], rows: &mut [T]) {
    for (row, &factor) in rows.chunks_exact_mut(n).zip(factors) {
        for value in row {
            *value = *value * factor;
        }
    }
}

multiversion! {
    fn scale_rows<T: Float>(n: usize, factors: &[T], rows: &mut [T]) = scale_rows_body;
}

/// `dy · (softmax z − 1[class])` for every row of `n` logits.
pub(crate) fn cross_entropy_gradient<T: Float>(
    n: usize,
    logits: &[T],
    classes: &[u32],
    dy: &[T],
) -> Vec<T> {
    assert_eq!([logits.len(), dy.len() * n], [classes.len() * n; 2]);
    let axis = Axis { n, inner: 1 };
    let mut out = forward(axis, false, logits);
    let rows = axis.piece() / n;
    for_each_chunk(&mut out, rows * n, |piece, out| {
        let first = piece * rows;
        for (row, &class) in out.chunks_exact_mut(n).zip(&classes[first..]) {
            row[class as usize] = row[class as usize] - T::ONE;
        }
        scale_rows(n, &dy[first..], out);
    });
    out
}

#[inline(always)]
fn binary_body<T: Float>(x: &[T], targets: &[T], out: &mut [MaybeUninit<T>]) {
    for ((slot, &x), &t) in out.iter_mut().zip(x).zip(targets) {
        slot.write(x.softplus() - x * t);
    }
}

multiversion! {
    fn binary_piece<T: Float>(x: &[T], targets: &[T], out: &mut [MaybeUninit<T>]) = binary_body;
}

/// `log(1 + eˣ) − x t`, element by element.
pub(crate) fn binary_cross_entropy<T: Float>(x: &[T], targets: &[T]) -> Vec<T> {
    assert_eq!(x.len(), targets.len());
    // SAFETY: the pieces cover the vector and each is written in full.
    unsafe {
        written(x.len(), |out| {
            for_each_chunk(out, PIECE, |i, out| {
                let range = i * PIECE..i * PIECE + out.len();
                binary_piece(&x[range.clone()], &targets[range], out);
            });
        })
    }
}

/// Mean of [`binary_cross_entropy`]: pieces are summed in double precision, in order.
pub(crate) fn mean_binary_cross_entropy<T: Float>(x: &[T], targets: &[T]) -> T {
    assert_eq!(x.len(), targets.len());
    let mut sums = vec![0.0; x.len().div_ceil(PIECE)];
    for_each_chunk(&mut sums, 1, |i, sum| {
        let range = i * PIECE..x.len().min((i + 1) * PIECE);
        let losses = binary_cross_entropy(&x[range.clone()], &targets[range]);
        sum[0] = lane_sum(&losses, |v| v);
    });
    T::of(sums.iter().sum::<f64>() / x.len().max(1) as f64)
}

#[inline(always)]
fn binary_gradient_body<T: Float>(x: &[T], targets: &[T], dy: &[T], out: &mut [MaybeUninit<T>]) {
    if let &[dy] = dy {
        for ((slot, &x), &t) in out.iter_mut().zip(x).zip(targets) {
            slot.write(dy * (x.logistic() - t));
        }
    } else {
        for (((slot, &x), &t), &dy) in out.iter_mut().zip(x).zip(targets).zip(dy) {
            slot.write(dy * (x.logistic() - t));
        }
    }
}

multiversion! {
    fn binary_gradient_piece<T: Float>(
        x: &[T],
        targets: &[T],
        dy: &[T],
        out: &mut [MaybeUninit<T>],
    ) = binary_gradient_body;
}

/// `dy (σ(x) − t)`; a single `dy` stands for all elements.
pub(crate) fn binary_gradient<T: Float>(x: &[T], targets: &[T], dy: &[T]) -> Vec<T> {
    assert_eq!(x.len(), targets.len());
    assert!(dy.len() == x.len() || dy.len() == 1);
    // SAFETY: the pieces cover the vector; each `dy` is one value or as long as the piece, so that
    // each is written in full.
    unsafe {
        written(x.len(), |out| {
            for_each_chunk(out, PIECE, |i, out| {
                let range = i * PIECE..i * PIECE + out.len();
                let dy = if dy.len() == 1 {
                    dy
                } else {
                    &dy[range.clone()]
                };
                binary_gradient_piece(&x[range.clone()], &targets[range], dy, out);
            });
        })
    }
}
