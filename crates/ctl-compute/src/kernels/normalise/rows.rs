//! Groups that are stretches of one row: sums run along memory.

use std::mem::MaybeUninit;

use super::{Affine, Moments, Normalisation, Spread};
use crate::kernels::buffer::PIECE;
use crate::kernels::float::Float;
use crate::kernels::level::multiversion;
use crate::kernels::parallel::for_each_chunk_pair;

/// Partial sums that run side by side.
pub(super) const LANES: usize = 16;
/// Elements that are summed before the sum moves to double precision.
pub(super) const BLOCK: usize = 4096;

/// `Σ f(i)` over `0..len`: blocks of [`LANES`] running sums, joined in double precision.
#[inline(always)]
pub(crate) fn lane_sum<T: Float>(x: &[T], f: impl Fn(T) -> T) -> f64 {
    let mut total = 0.0;
    for block in x.chunks(BLOCK) {
        let mut lanes = [T::ZERO; LANES];
        let mut rows = block.chunks_exact(LANES);
        for row in &mut rows {
            for (lane, &value) in lanes.iter_mut().zip(row) {
                *lane += f(value);
            }
        }
        for (lane, &value) in lanes.iter_mut().zip(rows.remainder()) {
            *lane += f(value);
        }
        total += lanes.iter().map(|lane| lane.wide()).sum::<f64>();
    }
    total
}

#[inline(always)]
fn spread_body<T: Float>(x: &[T]) -> Spread {
    let count = x.len() as f64;
    let mean = lane_sum(x, |v| v) / count;
    let centre = T::of(mean);
    Spread {
        count,
        mean,
        squares: lane_sum(x, |v| (v - centre) * (v - centre)),
    }
}

multiversion! {
    /// Mean and squared deviations of a row.
    pub(super) fn spread<T: Float>(x: &[T]) -> Spread = spread_body;
}

#[inline(always)]
fn apply_body<T: Float>(
    x: &[T],
    [mean, inverse, slope]: [T; 3],
    affine: Affine<'_, T>,
    residual: Option<&[T]>,
    out: &mut [MaybeUninit<T>],
) {
    let bend = |z: T| if z > T::ZERO { z } else { slope * z };
    let affine = affine.weight.iter().zip(affine.bias);
    if let Some(residual) = residual {
        for (((&x, &r), (&w, &b)), out) in x.iter().zip(residual).zip(affine).zip(out) {
            out.write(bend((x - mean) * inverse * w + b + r));
        }
    } else {
        for ((&x, (&w, &b)), out) in x.iter().zip(affine).zip(out) {
            out.write(bend((x - mean) * inverse * w + b));
        }
    }
}

multiversion! {
    fn apply<T: Float>(
        x: &[T],
        constants: [T; 3],
        affine: Affine<'_, T>,
        residual: Option<&[T]>,
        out: &mut [MaybeUninit<T>],
    ) = apply_body;
}

/// Rows of one piece of work.
pub(super) fn rows_per_piece(width: usize) -> usize {
    PIECE.div_ceil(width.max(1))
}

pub(super) fn forward<T: Float>(
    op: &Normalisation,
    x: &[T],
    affine: Affine<'_, T>,
    residual: Option<&[T]>,
    out: &mut [MaybeUninit<T>],
) -> Moments {
    let (width, groups) = (op.grouping.width, op.grouping.groups);
    let rows = rows_per_piece(width);
    let mut moments = vec![[0.0; 2]; op.grouping.samples * groups];
    for_each_chunk_pair(
        (&mut moments, rows),
        (out, rows * width),
        |piece, moments, out| {
            for (i, (slot, out)) in moments
                .iter_mut()
                .zip(out.chunks_exact_mut(width))
                .enumerate()
            {
                let row = piece * rows + i;
                let x = &x[row * width..][..width];
                let found = spread(x);
                *slot = [found.mean, found.variance()];
                let constants = [found.mean, op.inverse(found.variance()), op.slope].map(T::of);
                let affine = affine.part(row % groups * width, width);
                let residual = residual.map(|r| &r[row * width..][..width]);
                apply(x, constants, affine, residual, out);
            }
        },
    );
    let (mean, variance) = moments.into_iter().map(|[m, v]| (m, v)).unzip();
    Moments { mean, variance }
}
