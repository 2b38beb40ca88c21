//! Groups that stretch over pixels: a channel is a column, sums run down the rows.

use std::mem::MaybeUninit;

use super::{Affine, Grouping, Moments, Normalisation, Spread};
use crate::kernels::columns::{add_rows, fold_lanes, repeated, rows_per_lane_row, rows_per_piece};
use crate::kernels::float::Float;
use crate::kernels::level::multiversion;
use crate::kernels::parallel::{for_each_chunk, for_each_chunk_pair};

/// Elements of one piece of a sample.
pub(super) fn piece_len(grouping: &Grouping) -> usize {
    let channels = grouping.channels();
    (rows_per_piece(channels) * channels).max(1)
}

#[inline(always)]
fn add_squares_body<T: Float>(x: &[T], mean: &[T], lanes: &mut [T]) {
    let width = lanes.len();
    let mean = &mean[..width];
    for pair in x.chunks(2 * width) {
        let (a, b) = pair.split_at(width.min(pair.len()));
        if b.len() == width {
            for (((sum, &m), &a), &b) in lanes.iter_mut().zip(mean).zip(a).zip(b) {
                let (a, b) = (a - m, b - m);
                *sum += a * a + b * b;
            }
        } else {
            for row in [a, b] {
                for ((sum, &m), &a) in lanes.iter_mut().zip(mean).zip(row) {
                    *sum += (a - m) * (a - m);
                }
            }
        }
    }
}

multiversion! {
    /// Adds the squared deviations of every wide row of `x` from `mean` to `lanes`.
    fn add_squares<T: Float>(x: &[T], mean: &[T], lanes: &mut [T]) = add_squares_body;
}

/// Mean and squared deviations of every column of one piece, which stays in the cache between the
/// two passes.
fn spreads_of_piece<T: Float>(x: &[T], out: &mut [Spread]) {
    let channels = out.len();
    let count = (x.len() / channels) as f64;
    let mut lanes = vec![T::ZERO; channels * rows_per_lane_row(channels)];
    let mut sums = vec![0.0; channels];
    add_rows(x, &mut lanes);
    fold_lanes(&lanes, &mut sums);
    let means: Vec<T> = sums.iter().map(|&sum| T::of(sum / count)).collect();
    lanes.fill(T::ZERO);
    add_squares(x, &repeated(&means), &mut lanes);
    let mut squares = vec![0.0; channels];
    fold_lanes(&lanes, &mut squares);
    for ((spread, sum), squares) in out.iter_mut().zip(&sums).zip(squares) {
        let mean = sum / count;
        *spread = Spread {
            count,
            mean,
            squares,
        };
    }
}

/// The spread of every channel of one sample: pieces joined in order.
pub(crate) fn spreads<T: Float>(grouping: &Grouping, x: &[T]) -> Vec<Spread> {
    let (channels, len) = (grouping.channels(), piece_len(grouping));
    let mut parts = vec![Spread::default(); channels * x.len().div_ceil(len)];
    for_each_chunk(&mut parts, channels, |piece, out| {
        spreads_of_piece(&x[piece * len..x.len().min((piece + 1) * len)], out);
    });
    let mut total = vec![Spread::default(); channels];
    for part in parts.chunks_exact(channels) {
        for (total, &part) in total.iter_mut().zip(part) {
            *total = total.join(part);
        }
    }
    total
}

/// Values per lane that the elementwise pass needs.
struct Lanes<T> {
    mean: Vec<T>,
    scale: Vec<T>,
    bias: Vec<T>,
}

impl<T: Float> Lanes<T> {
    fn new(op: &Normalisation, affine: Affine<'_, T>, mean: &[f64], variance: &[f64]) -> Self {
        let width = op.grouping.width;
        let each = |f: &dyn Fn(usize) -> T| -> Vec<T> {
            repeated(&(0..op.grouping.channels()).map(f).collect::<Vec<_>>())
        };
        Self {
            mean: each(&|c| T::of(mean[c / width])),
            scale: each(&|c| T::of(op.inverse(variance[c / width]) * affine.weight[c].wide())),
            bias: repeated(affine.bias),
        }
    }
}

#[inline(always)]
fn apply_body<T: Float>(
    x: &[T],
    lanes: &Lanes<T>,
    residual: Option<&[T]>,
    slope: T,
    out: &mut [MaybeUninit<T>],
) {
    let width = lanes.mean.len();
    let (mean, scale, bias) = (&lanes.mean[..], &lanes.scale[..width], &lanes.bias[..width]);
    let bend = |z: T| if z > T::ZERO { z } else { slope * z };
    for (row, (x, out)) in x.chunks(width).zip(out.chunks_mut(width)).enumerate() {
        let lanes = mean.iter().zip(scale).zip(bias);
        if let Some(residual) = residual {
            let residual = &residual[row * width..][..x.len()];
            let values = x.iter().zip(residual);
            for ((((&m, &s), &b), (&x, &r)), out) in lanes.zip(values).zip(out) {
                out.write(bend((x - m) * s + b + r));
            }
        } else {
            for ((((&m, &s), &b), &x), out) in lanes.zip(x).zip(out) {
                out.write(bend((x - m) * s + b));
            }
        }
    }
}

multiversion! {
    fn apply<T: Float>(
        x: &[T],
        lanes: &Lanes<T>,
        residual: Option<&[T]>,
        slope: T,
        out: &mut [MaybeUninit<T>],
    ) = apply_body;
}

/// Moments of the groups of one sample.
fn sample_moments<T: Float>(grouping: &Grouping, x: &[T], moments: &mut [[f64; 2]]) {
    let spreads = spreads(grouping, x);
    for (slot, channels) in moments.iter_mut().zip(spreads.chunks_exact(grouping.width)) {
        let joined = channels
            .iter()
            .copied()
            .fold(Spread::default(), Spread::join);
        *slot = [joined.mean, joined.variance()];
    }
}

fn copy_moments(given: &Moments, moments: &mut [[f64; 2]]) {
    for ((slot, &mean), &variance) in moments.iter_mut().zip(&given.mean).zip(&given.variance) {
        *slot = [mean, variance];
    }
}

pub(super) fn forward<T: Float>(
    op: &Normalisation,
    x: &[T],
    affine: Affine<'_, T>,
    residual: Option<&[T]>,
    out: &mut [MaybeUninit<T>],
) -> Moments {
    let (grouping, len) = (&op.grouping, piece_len(&op.grouping));
    let sample = grouping.sample_len();
    let mut moments = vec![[0.0; 2]; grouping.samples * grouping.groups];
    let pieces = ((&mut moments[..], grouping.groups), (out, sample));
    for_each_chunk_pair(pieces.0, pieces.1, |index, moments, out| {
        let start = index * sample;
        let x = &x[start..][..sample];
        match &op.given {
            Some(given) => copy_moments(given, moments),
            None => sample_moments(grouping, x, moments),
        }
        let (mean, variance): (Vec<_>, Vec<_>) = moments.iter().map(|&[m, v]| (m, v)).unzip();
        let lanes = Lanes::new(op, affine, &mean, &variance);
        for_each_chunk(out, len, |piece, out| {
            let first = piece * len;
            let residual = residual.map(|r| &r[start + first..][..out.len()]);
            apply(
                &x[first..][..out.len()],
                &lanes,
                residual,
                T::of(op.slope),
                out,
            );
        });
    });
    let (mean, variance) = moments.into_iter().map(|[m, v]| (m, v)).unzip();
    Moments { mean, variance }
}
