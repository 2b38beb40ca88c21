//! Sparse matrices along one axis: interpolation and its transpose.

use std::mem::MaybeUninit;

use super::buffer::{filled, written};
use super::float::Float;
use super::level::multiversion;
use super::parallel::for_each_chunk;

/// Rows at least this long are pieces of work by themselves.
const LONG_ROW: usize = 4096;

/// A sparse matrix by rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sparse {
    columns: usize,
    /// First entry of each row, and the number of entries.
    starts: Vec<usize>,
    /// Column and weight.
    entries: Vec<(usize, f64)>,
}

impl Sparse {
    /// From the entries of each row.
    pub(crate) fn new(columns: usize, rows: impl Iterator<Item = Vec<(usize, f64)>>) -> Self {
        let (mut starts, mut entries) = (vec![0], Vec::new());
        for row in rows {
            entries.extend(row);
            starts.push(entries.len());
        }
        Self {
            columns,
            starts,
            entries,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    fn row(&self, i: usize) -> &[(usize, f64)] {
        &self.entries[self.starts[i]..self.starts[i + 1]]
    }

    pub(crate) fn transposed(&self) -> Self {
        let mut rows = vec![Vec::new(); self.columns];
        for i in 0..self.rows() {
            for &(column, weight) in self.row(i) {
                rows[column].push((i, weight));
            }
        }
        Self::new(self.rows(), rows.into_iter())
    }

    pub(crate) fn is_identity(&self) -> bool {
        let own = |i: usize| matches!(*self.row(i), [(column, 1.0)] if column == i);
        self.rows() == self.columns && (0..self.rows()).all(own)
    }

    /// All entries, row by row.
    pub(crate) fn dense(&self) -> Vec<f64> {
        let mut dense = vec![0.0; self.rows() * self.columns];
        for (i, row) in dense.chunks_exact_mut(self.columns).enumerate() {
            for &(column, weight) in self.row(i) {
                row[column] += weight;
            }
        }
        dense
    }

    /// `[outer, columns, inner] -> [outer, rows, inner]`
    pub(crate) fn apply<T: Float>(&self, inner: usize, x: &[T]) -> Vec<T> {
        let (rows, from) = (self.rows(), self.columns * inner);
        let outer = x.len() / from.max(1);
        assert_eq!(x.len(), outer * from);
        let together = if inner >= LONG_ROW { 1 } else { rows };
        // SAFETY: the pieces cover the vector and every row of each is written.
        unsafe {
            written(outer * rows * inner, |out| {
                for_each_chunk(out, together * inner, |piece, out| {
                    let first = piece * together;
                    let x = &x[first / rows * from..][..from];
                    for (i, out) in out.chunks_exact_mut(inner).enumerate() {
                        combine(x, self.row((first + i) % rows), out);
                    }
                });
            })
        }
    }
}

#[inline(always)]
fn combine_body<T: Float>(x: &[T], entries: &[(usize, f64)], out: &mut [MaybeUninit<T>]) {
    let inner = out.len();
    let row = |&(column, weight): &(usize, f64)| (&x[column * inner..][..inner], T::of(weight));
    match entries {
        [a] => {
            let (a, w) = row(a);
            for (slot, &a) in out.iter_mut().zip(a) {
                slot.write(a * w);
            }
        }
        [a, b] => {
            let ((a, v), (b, w)) = (row(a), row(b));
            for ((slot, &a), &b) in out.iter_mut().zip(a).zip(b) {
                slot.write(a * v + b * w);
            }
        }
        _ => {
            let out = filled(out, T::ZERO);
            for entry in entries {
                let (a, w) = row(entry);
                for (slot, &a) in out.iter_mut().zip(a) {
                    *slot += a * w;
                }
            }
        }
    }
}

multiversion! {
    /// The rows of `x` that `entries` name, by their weights.
    fn combine<T: Float>(x: &[T], entries: &[(usize, f64)], out: &mut [MaybeUninit<T>])
        = combine_body;
}
