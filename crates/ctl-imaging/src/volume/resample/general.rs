//! Interpolation between grids whose axes do not run along each other: voxel by voxel.

use super::route::Route;
use super::taps::{Neighbours, Taps, nearest};
use crate::parallel::each_piece;

/// Interpolates one image of one component; arguments as of
/// [`separable::interpolated`](super::separable::interpolated), for any route.
pub(super) fn interpolated<const K: usize, T: Copy + Into<f64> + Sync>(
    source: &[T],
    route: &Route,
    taps: impl Fn(f64, usize) -> Taps<K> + Sync,
    fill: f32,
) -> Vec<f32> {
    let from = route.from;
    mapped(route, fill, |at| {
        let taps = [0, 1, 2].map(|axis| taps(at[axis], from[axis]));
        sum(source, from, &taps) as f32
    })
}

/// Linear interpolation of one image of one component, for any route: the numbers of
/// [`interpolated`] with linear taps.
pub(super) fn linear<T: Copy + Into<f64> + Sync>(
    source: &[T],
    route: &Route,
    fill: f32,
) -> Vec<f32> {
    let from = route.from;
    let strides = [1, from[0], from[0] * from[1]];
    mapped(route, fill, |at| {
        let axis = |axis: usize| Neighbours::new(at[axis], from[axis], strides[axis]);
        let (columns, rows, planes) = (axis(0), axis(1), axis(2));
        let value = |at: usize| -> f64 { source[at].into() };
        let line = |at: usize| mixed(&columns, value(at), value(at + columns.step));
        let plane = |at: usize| mixed(&rows, line(at), line(at + rows.step));
        let first = columns.low + rows.low + planes.low;
        mixed(&planes, plane(first), plane(first + planes.step)) as f32
    })
}

fn mixed(neighbours: &Neighbours, low: f64, high: f64) -> f64 {
    neighbours.weight[0] * low + neighbours.weight[1] * high
}

/// Nearest values of one image of one component, for any route.
pub(super) fn nearest_values<T: Copy + Send + Sync>(
    source: &[T],
    route: &Route,
    fill: T,
) -> Vec<T> {
    let from = route.from;
    mapped(route, fill, |at| {
        let [i, j, k] = [0, 1, 2].map(|axis| nearest(at[axis], from[axis]));
        source[(k * from[1] + j) * from[0] + i]
    })
}

/// A value for every voxel of the grid wanted, from its fractional index in the image.
pub(super) fn mapped<T: Copy + Send + Sync>(
    route: &Route,
    fill: T,
    value: impl Fn([f64; 3]) -> T + Sync,
) -> Vec<T> {
    let [width, height, _] = route.to;
    let mut result = vec![fill; route.to.iter().product()];
    each_piece(&mut result, width, |line, values| {
        let row = route.row(line % height, line / height);
        for i in row.inside(width) {
            values[i] = value(row.at(i));
        }
    });
    result
}

/// The weighted sum over the box of voxels that three lines of taps span.
fn sum<const K: usize, T: Copy + Into<f64>>(
    source: &[T],
    [width, height, _]: [usize; 3],
    [columns, rows, planes]: &[Taps<K>; 3],
) -> f64 {
    let mut total = 0.0;
    for k in 0..K {
        let mut plane = 0.0;
        for j in 0..K {
            let start = (planes.index[k] * height + rows.index[j]) * width;
            let values = &source[start..start + width];
            let mut line = 0.0;
            for i in 0..K {
                line += columns.weight[i] * values[columns.index[i]].into();
            }
            plane += rows.weight[j] * line;
        }
        total += planes.weight[k] * plane;
    }
    total
}
