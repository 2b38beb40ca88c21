//! Interpolation between aligned grids: one axis after the other, slice by slice.

use super::route::{Route, Table};
use super::taps::{Taps, nearest};
use crate::parallel::{Spare, each_piece};

/// Interpolates one image of one component.
///
/// # Arguments
/// * `source`: its values, first axis fastest.
/// * `route`: between aligned grids whose axes have the same order.
/// * `taps`: what an index of a line of so many voxels reads.
/// * `fill`: what stands outside the field of view.
pub(super) fn interpolated<const K: usize, T: Copy + Into<f64> + Sync>(
    source: &[T],
    route: &Route,
    taps: impl Fn(f64, usize) -> Taps<K>,
    fill: f32,
) -> Vec<f32> {
    let [columns, rows, planes] = route.tables(taps);
    let blend = Blend {
        source,
        width: route.from[0],
        height: route.from[1],
        used: used(&rows, route.from[1]),
        columns,
        rows,
    };
    let mut result = vec![fill; route.to.iter().product()];
    let spare = Spare::new();
    each_piece(&mut result, route.to[0] * route.to[1], |number, slice| {
        if let Some(planes) = &planes[number] {
            let make = || Scratch::new(route.from);
            spare.with(make, |scratch| blend.slice(planes, slice, scratch));
        }
    });
    result
}

/// Nearest values of one image of one component; arguments as of [`interpolated`].
pub(super) fn nearest_values<T: Copy + Send + Sync>(
    source: &[T],
    route: &Route,
    fill: T,
) -> Vec<T> {
    let [columns, rows, planes] = route.tables(|at, count| Taps {
        index: [nearest(at, count)],
        weight: [1.0],
    });
    let [width, height, _] = route.from;
    let mut result = vec![fill; route.to.iter().product()];
    each_piece(&mut result, route.to[0] * route.to[1], |number, slice| {
        for (row, line) in slice.chunks_exact_mut(route.to[0]).zip(&rows) {
            let (Some(plane), Some(line)) = (&planes[number], line) else {
                continue;
            };
            let start = (plane.index[0] * height + line.index[0]) * width;
            let values = &source[start..start + width];
            for (value, column) in row.iter_mut().zip(&columns) {
                *value = column.as_ref().map_or(fill, |taps| values[taps.index[0]]);
            }
        }
    });
    result
}

/// Which of `count` lines a table reads.
fn used<const K: usize>(table: &Table<K>, count: usize) -> Vec<bool> {
    let mut used = vec![false; count];
    for index in table.iter().flatten().flat_map(|taps| taps.index) {
        used[index] = true;
    }
    used
}

struct Blend<'a, const K: usize, T> {
    source: &'a [T],
    width: usize,
    height: usize,
    /// Rows of a plane that any row of the result reads.
    used: Vec<bool>,
    columns: Table<K>,
    rows: Table<K>,
}

/// What a thread keeps between slices.
struct Scratch {
    plane: Vec<f64>,
    row: Vec<f64>,
}

impl Scratch {
    fn new([width, height, _]: [usize; 3]) -> Self {
        Self {
            plane: vec![0.0; width * height],
            row: vec![0.0; width],
        }
    }
}

impl<const K: usize, T: Copy + Into<f64>> Blend<'_, K, T> {
    fn slice(&self, planes: &Taps<K>, slice: &mut [f32], scratch: &mut Scratch) {
        let Scratch { plane, row } = scratch;
        for line in (0..self.height).filter(|&line| self.used[line]) {
            let start = line * self.width;
            mix(&mut plane[start..start + self.width], planes, |plane| {
                &self.source[(plane * self.height + line) * self.width..]
            });
        }
        let lines = slice.chunks_exact_mut(self.columns.len()).zip(&self.rows);
        for (line, rows) in lines {
            let Some(rows) = rows else { continue };
            mix(row, rows, |line| &plane[line * self.width..]);
            for (value, columns) in line.iter_mut().zip(&self.columns) {
                if let Some(Taps { index, weight }) = columns {
                    let sum: f64 = (0..K).map(|tap| weight[tap] * row[index[tap]]).sum();
                    *value = sum as f32;
                }
            }
        }
    }
}

/// The weighted sum of whole lines.
fn mix<'a, const K: usize, T: Copy + Into<f64> + 'a>(
    into: &mut [f64],
    taps: &Taps<K>,
    line: impl Fn(usize) -> &'a [T],
) {
    let first = taps.index[0];
    if taps.index.iter().all(|&index| index == first) {
        for (sum, &value) in into.iter_mut().zip(line(first)) {
            *sum = value.into();
        }
        return;
    }
    into.fill(0.0);
    for (&index, &weight) in taps.index.iter().zip(&taps.weight) {
        for (sum, &value) in into.iter_mut().zip(line(index)) {
            *sum += weight * value.into();
        }
    }
}
