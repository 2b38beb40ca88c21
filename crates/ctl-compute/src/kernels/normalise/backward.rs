//! Gradients of a normalisation.
//!
//! With `g = dz`, `h = g · weight`, `s = 1 / √(variance + ε)`, `d = x − mean` and means over the
//! group: `dx = s · (h − mean h) − s³ · d · mean(h d)`, `dweight = Σ g s d`, `dbias = Σ g`.
//! Whether `z` was positive is found again from `x`, which is read anyway.

use std::mem::MaybeUninit;

use super::{Affine, Moments, Normalisation, columns, rows};
use crate::kernels::buffer::written;
use crate::kernels::columns::{fold_lanes, repeated};
use crate::kernels::float::Float;
use crate::kernels::level::multiversion;
use crate::kernels::parallel::{for_each_chunk, for_each_chunk_pair};

/// What a gradient is taken at.
#[derive(Clone, Copy)]
pub(crate) struct Gradients<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) affine: Affine<'a, T>,
    pub(crate) moments: &'a Moments,
    pub(crate) dy: &'a [T],
}

impl Normalisation {
    /// `dx`, then `dweight`, then `dbias`, in one vector. There is no residual here: its gradient
    /// is `dz` itself, and `dy` is then `dz`.
    pub(crate) fn backward<T: Float>(&self, at: Gradients<'_, T>) -> Vec<T> {
        let (len, channels) = (self.grouping.len(), self.grouping.channels());
        assert_eq!([at.x.len(), at.dy.len()], [len; 2]);
        assert_eq!(
            [at.affine.weight.len(), at.affine.bias.len()],
            [channels; 2]
        );
        assert_eq!(
            at.moments.mean.len(),
            self.grouping.samples * self.grouping.groups
        );
        // SAFETY: both ways write all of `dx`; the sums are written one by one.
        unsafe {
            written(len + 2 * channels, |out| {
                let (dx, affine) = out.split_at_mut(len);
                let sums = if self.is_by_rows() {
                    by_rows(self, at, dx)
                } else {
                    by_columns(self, at, dx)
                };
                for (slot, sum) in affine.iter_mut().zip(sums) {
                    slot.write(T::of(sum));
                }
            })
        }
    }
}

/// Adds up vectors of `2 · channels` sums in order.
fn total(parts: &[f64], len: usize) -> Vec<f64> {
    let mut total = vec![0.0; len];
    for part in parts.chunks(len.max(1)) {
        for (sum, value) in total.iter_mut().zip(part) {
            *sum += value;
        }
    }
    total
}

/// Lanes of the first pass over columns.
struct Read<T> {
    mean: Vec<T>,
    scale: Vec<T>,
    bias: Vec<T>,
    slope: T,
}

/// Lanes of the second: `dx = gain · g − offset − tilt · d`.
struct Write<T> {
    gain: Vec<T>,
    offset: Vec<T>,
    tilt: Vec<T>,
}

/// `dz` from `dy`: the sign of `z` comes from the same expression as in the forward pass.
#[inline(always)]
fn gate<T: Float>(z: T, dy: T, slope: T) -> T {
    if z > T::ZERO { dy } else { slope * dy }
}

// Indices into slices cut to one length: longer chains of zipped iterators are not vectorised.
#[inline(always)]
fn column_sums_body<T: Float>(x: &[T], dy: &[T], at: &Read<T>, plain: &mut [T], moved: &mut [T]) {
    let width = plain.len();
    let bends = at.slope != T::ONE;
    for (x, dy) in x.chunks(width).zip(dy.chunks(width)) {
        let n = x.len();
        let dy = &dy[..n];
        let (mean, scale, bias) = (&at.mean[..n], &at.scale[..n], &at.bias[..n]);
        let (plain, moved) = (&mut plain[..n], &mut moved[..n]);
        if bends {
            for i in 0..n {
                let d = x[i] - mean[i];
                let g = gate(d * scale[i] + bias[i], dy[i], at.slope);
                plain[i] += g;
                moved[i] += g * d;
            }
        } else {
            for i in 0..n {
                plain[i] += dy[i];
                moved[i] += dy[i] * (x[i] - mean[i]);
            }
        }
    }
}

multiversion! {
    fn column_sums<T: Float>(x: &[T], dy: &[T], at: &Read<T>, plain: &mut [T], moved: &mut [T])
        = column_sums_body;
}

#[inline(always)]
fn column_write_body<T: Float>(
    x: &[T],
    dy: &[T],
    at: &Read<T>,
    to: &Write<T>,
    dx: &mut [MaybeUninit<T>],
) {
    let width = at.mean.len();
    let bends = at.slope != T::ONE;
    for ((x, dy), dx) in x
        .chunks(width)
        .zip(dy.chunks(width))
        .zip(dx.chunks_mut(width))
    {
        let n = x.len();
        let (dy, dx) = (&dy[..n], &mut dx[..n]);
        let (mean, scale, bias) = (&at.mean[..n], &at.scale[..n], &at.bias[..n]);
        let (gain, offset, tilt) = (&to.gain[..n], &to.offset[..n], &to.tilt[..n]);
        if bends {
            for i in 0..n {
                let d = x[i] - mean[i];
                let g = gate(d * scale[i] + bias[i], dy[i], at.slope);
                dx[i].write(gain[i] * g - offset[i] - tilt[i] * d);
            }
        } else {
            for i in 0..n {
                dx[i].write(gain[i] * dy[i] - offset[i] - tilt[i] * (x[i] - mean[i]));
            }
        }
    }
}

multiversion! {
    fn column_write<T: Float>(
        x: &[T],
        dy: &[T],
        at: &Read<T>,
        to: &Write<T>,
        dx: &mut [MaybeUninit<T>],
    ) = column_write_body;
}

impl<T: Float> Read<T> {
    fn new(op: &Normalisation, affine: Affine<'_, T>, mean: &[f64], inverse: &[f64]) -> Self {
        let width = op.grouping.width;
        let each = |f: &dyn Fn(usize) -> T| -> Vec<T> {
            repeated(&(0..op.grouping.channels()).map(f).collect::<Vec<_>>())
        };
        Self {
            mean: each(&|c| T::of(mean[c / width])),
            scale: each(&|c| T::of(inverse[c / width] * affine.weight[c].wide())),
            bias: repeated(affine.bias),
            slope: T::of(op.slope),
        }
    }
}

impl<T: Float> Write<T> {
    /// From `Σ g` and `Σ g d` per channel.
    fn new(op: &Normalisation, weight: &[T], inverse: &[f64], sums: &[f64]) -> Self {
        let (width, count) = (op.grouping.width, op.grouping.count() as f64);
        let (plain, moved) = sums.split_at(weight.len());
        let mean = |sums: &[f64], c: usize| {
            if op.given.is_some() {
                return 0.0;
            }
            let group = c / width * width..(c / width + 1) * width;
            let weighted = sums[group.clone()].iter().zip(&weight[group]);
            weighted.map(|(sum, w)| sum * w.wide()).sum::<f64>() / count
        };
        let each = |f: &dyn Fn(usize) -> f64| -> Vec<T> {
            let values: Vec<T> = (0..weight.len()).map(|c| T::of(f(c))).collect();
            repeated(&values)
        };
        Self {
            gain: each(&|c| inverse[c / width] * weight[c].wide()),
            offset: each(&|c| inverse[c / width] * mean(plain, c)),
            tilt: each(&|c| inverse[c / width].powi(3) * mean(moved, c)),
        }
    }
}

/// `Σ g` and `Σ g d` of one sample: pieces added in order.
fn sums_of_sample<T: Float>(
    x: &[T],
    dy: &[T],
    at: &Read<T>,
    [len, channels]: [usize; 2],
) -> Vec<f64> {
    let mut parts = vec![0.0; x.len().div_ceil(len) * 2 * channels];
    for_each_chunk(&mut parts, 2 * channels, |piece, out| {
        let range = piece * len..x.len().min((piece + 1) * len);
        let lanes = at.mean.len();
        let mut sums = vec![T::ZERO; 2 * lanes];
        let (plain, moved) = sums.split_at_mut(lanes);
        column_sums(&x[range.clone()], &dy[range], at, plain, moved);
        let (to_plain, to_moved) = out.split_at_mut(channels);
        fold_lanes(plain, to_plain);
        fold_lanes(moved, to_moved);
    });
    total(&parts, 2 * channels)
}

fn by_columns<T: Float>(
    op: &Normalisation,
    at: Gradients<'_, T>,
    dx: &mut [MaybeUninit<T>],
) -> Vec<f64> {
    let grouping = &op.grouping;
    let (sample, channels, groups) = (grouping.sample_len(), grouping.channels(), grouping.groups);
    let len = columns::piece_len(grouping);
    let mut sums = vec![0.0; grouping.samples * 2 * channels];
    for_each_chunk_pair(
        (&mut sums, 2 * channels),
        (dx, sample),
        |index, sums, dx| {
            let (x, dy) = (
                &at.x[index * sample..][..sample],
                &at.dy[index * sample..][..sample],
            );
            let mean = &at.moments.mean[index * groups..][..groups];
            let variance = &at.moments.variance[index * groups..][..groups];
            let inverse: Vec<f64> = variance.iter().map(|&v| op.inverse(v)).collect();
            let read = Read::new(op, at.affine, mean, &inverse);
            sums.copy_from_slice(&sums_of_sample(x, dy, &read, [len, channels]));
            let write = Write::new(op, at.affine.weight, &inverse, sums);
            for (c, moved) in sums[channels..].iter_mut().enumerate() {
                *moved *= inverse[c / grouping.width];
            }
            for_each_chunk(dx, len, |piece, dx| {
                let first = piece * len;
                let (x, dy) = (&x[first..][..dx.len()], &dy[first..][..dx.len()]);
                column_write(x, dy, &read, &write, dx);
            });
        },
    );
    let total = total(&sums, 2 * channels);
    [&total[channels..], &total[..channels]].concat()
}

/// One row: its values, and the sums of the channels that its gradient adds to.
struct Row<'a, T> {
    x: &'a [T],
    dy: &'a [T],
    affine: Affine<'a, T>,
    mean: T,
    inverse: T,
    slope: T,
}

impl<T: Float> Row<'_, T> {
    /// `(x̂, g)` at `i`.
    #[inline(always)]
    fn terms(&self, i: usize) -> (T, T) {
        let normal = (self.x[i] - self.mean) * self.inverse;
        let z = normal * self.affine.weight[i] + self.affine.bias[i];
        (normal, gate(z, self.dy[i], self.slope))
    }

    /// Adds the terms at `i` to the channels' sums and to one lane of the row's.
    #[inline(always)]
    fn add(
        &self,
        i: usize,
        lane: usize,
        [d_weight, d_bias]: [&mut [T]; 2],
        lanes: &mut [[T; rows::LANES]; 2],
    ) {
        let (normal, g) = self.terms(i);
        d_weight[i] += g * normal;
        d_bias[i] += g;
        let h = g * self.affine.weight[i];
        lanes[0][lane] += h;
        lanes[1][lane] += h * normal;
    }
}

#[inline(always)]
fn row_body<T: Float>(row: &Row<'_, T>, sums: &mut [T], dx: &mut [MaybeUninit<T>]) {
    let width = dx.len();
    let row = &Row {
        x: &row.x[..width],
        dy: &row.dy[..width],
        affine: row.affine.part(0, width),
        ..*row
    };
    let (d_weight, d_bias) = sums.split_at_mut(width);
    let d_bias = &mut d_bias[..width];
    let (mut plain, mut moved) = (0.0, 0.0);
    for first in (0..width).step_by(rows::BLOCK) {
        let end = width.min(first + rows::BLOCK);
        let mut lanes = [[T::ZERO; rows::LANES]; 2];
        let whole = first + (end - first) / rows::LANES * rows::LANES;
        for start in (first..whole).step_by(rows::LANES) {
            for lane in 0..rows::LANES {
                row.add(
                    start + lane,
                    lane,
                    [&mut *d_weight, &mut *d_bias],
                    &mut lanes,
                );
            }
        }
        for i in whole..end {
            row.add(i, i - whole, [&mut *d_weight, &mut *d_bias], &mut lanes);
        }
        plain += lanes[0].iter().map(|v| v.wide()).sum::<f64>();
        moved += lanes[1].iter().map(|v| v.wide()).sum::<f64>();
    }
    let [plain, moved] = [plain, moved].map(|sum| T::of(sum / width as f64));
    for (i, slot) in dx.iter_mut().enumerate() {
        let (normal, g) = row.terms(i);
        slot.write((g * row.affine.weight[i] - plain - normal * moved) * row.inverse);
    }
}

multiversion! {
    fn one_row<T: Float>(row: &Row<'_, T>, sums: &mut [T], dx: &mut [MaybeUninit<T>]) = row_body;
}

fn by_rows<T: Float>(
    op: &Normalisation,
    at: Gradients<'_, T>,
    dx: &mut [MaybeUninit<T>],
) -> Vec<f64> {
    let (width, groups) = (op.grouping.width, op.grouping.groups);
    let channels = op.grouping.channels();
    // Whole samples, so that every channel meets each piece equally often.
    let rows = rows::rows_per_piece(width).next_multiple_of(groups);
    let pieces = (op.grouping.samples * groups).div_ceil(rows);
    let mut parts = vec![0.0; pieces * 2 * channels];
    for_each_chunk_pair(
        (&mut parts, 2 * channels),
        (dx, rows * width),
        |piece, parts, dx| {
            let mut sums = vec![T::ZERO; 2 * channels];
            for (i, dx) in dx.chunks_exact_mut(width).enumerate() {
                let row = piece * rows + i;
                let group = row % groups * width;
                let values = Row {
                    x: &at.x[row * width..][..width],
                    dy: &at.dy[row * width..][..width],
                    affine: at.affine.part(group, width),
                    mean: T::of(at.moments.mean[row]),
                    inverse: T::of(op.inverse(at.moments.variance[row])),
                    slope: T::of(op.slope),
                };
                one_row(&values, &mut sums[2 * group..][..2 * width], dx);
            }
            for (group, sums) in sums.chunks_exact(2 * width).enumerate() {
                let (d_weight, d_bias) = sums.split_at(width);
                let first = group * width;
                fold_lanes(d_weight, &mut parts[first..][..width]);
                fold_lanes(d_bias, &mut parts[channels + first..][..width]);
            }
        },
    );
    total(&parts, 2 * channels)
}
