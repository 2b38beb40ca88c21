//! From the voxels of the grid wanted to those of the image.

use super::taps::{Taps, is_inside};
use crate::volume::Grid;
use std::ops::Range;

/// Most that voxel axes may diverge across a whole grid, in voxels, for grids to be aligned.
const ALIGNED: f64 = 1e-9;

/// What each index of one axis reads; `None` outside the field of view.
pub(super) type Table<const K: usize> = Vec<Option<Taps<K>>>;

/// The affine map from voxel indices of one grid to those of another.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// Voxels of the image that is read.
    pub(super) from: [usize; 3],
    /// Voxels of the image that is made.
    pub(super) to: [usize; 3],
    rows: [[f64; 4]; 3],
}

impl Route {
    pub(super) fn new(from: &Grid, to: &Grid) -> Self {
        let inverse = from.affine().inverted().rows();
        let there = to.affine().rows();
        // Origins are subtracted before they are turned: far from the world's they are large.
        let origin = [0, 1, 2].map(|world: usize| there[world][3] - from.affine().origin()[world]);
        let rows = inverse.map(|inverse| {
            let along = |column: [f64; 3]| -> f64 {
                (0..3).map(|world| inverse[world] * column[world]).sum()
            };
            let column = |axis: usize| [0, 1, 2].map(|world: usize| there[world][axis]);
            [
                along(column(0)),
                along(column(1)),
                along(column(2)),
                along(origin),
            ]
        });
        Self {
            from: from.shape(),
            to: to.shape(),
            rows,
        }
    }

    /// For each axis of the grid wanted, the axis of the image that it runs along; `None` when an
    /// axis runs along several.
    pub(super) fn order(&self) -> Option<[usize; 3]> {
        let mut order = [0; 3];
        for (axis, from) in order.iter_mut().enumerate() {
            let steps = self.to[axis] as f64;
            let mut along = (0..3).filter(|&row| self.rows[row][axis].abs() * steps > ALIGNED);
            *from = along.next()?;
            if along.next().is_some() {
                return None;
            }
        }
        (0..3).all(|axis| order.contains(&axis)).then_some(order)
    }

    /// Whether each axis of the grid wanted runs along the same axis of the image.
    pub(super) fn is_straight(&self) -> bool {
        self.order() == Some([0, 1, 2])
    }

    /// What each index along each axis reads, of aligned grids whose axes have the same order.
    pub(super) fn tables<const K: usize>(
        &self,
        taps: impl Fn(f64, usize) -> Taps<K>,
    ) -> [Table<K>; 3] {
        [0, 1, 2].map(|axis| {
            let (step, start) = (self.rows[axis][axis], self.rows[axis][3]);
            let count = self.from[axis];
            (0..self.to[axis])
                .map(|index| start + step * index as f64)
                .map(|at| is_inside(at, count).then(|| taps(at, count)))
                .collect()
        })
    }

    /// The fractional index at the start of a row of the grid wanted, and how it moves along it.
    pub(super) fn row(&self, j: usize, k: usize) -> Row {
        let (j, k) = (j as f64, k as f64);
        Row {
            start: self
                .rows
                .map(|[_, second, third, origin]| origin + second * j + third * k),
            step: self.rows.map(|row| row[0]),
            from: self.from,
        }
    }
}

/// The fractional indices of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    start: [f64; 3],
    step: [f64; 3],
    from: [usize; 3],
}

impl Row {
    /// The fractional index at voxel `i`.
    pub(super) fn at(&self, i: usize) -> [f64; 3] {
        let i = i as f64;
        [0, 1, 2].map(|axis| self.start[axis] + self.step[axis] * i)
    }

    /// The voxels among the first `count` that lie within the field of view.
    pub(super) fn inside(&self, count: usize) -> Range<usize> {
        let is_in = |i: usize| (0..3).all(|axis| is_inside(self.at(i)[axis], self.from[axis]));
        let (mut low, mut high) = (0.0, count as f64);
        for axis in 0..3 {
            // An axis along which the row does not move bounds nothing, or everything.
            if self.step[axis] != 0.0 {
                let ends = [-0.5, self.from[axis] as f64 - 0.5];
                let [one, two] = ends.map(|end| (end - self.start[axis]) / self.step[axis]);
                low = one.min(two).max(low);
                high = one.max(two).min(high);
            }
        }
        // Rounding may have moved the ends by a voxel.
        let mut first = (low.floor() - 1.0).max(0.0) as usize;
        let mut end = ((high.ceil() + 2.0).max(0.0) as usize).min(count);
        while first < end && !is_in(first) {
            first += 1;
        }
        while first < end && !is_in(end - 1) {
            end -= 1;
        }
        first..end
    }
}
