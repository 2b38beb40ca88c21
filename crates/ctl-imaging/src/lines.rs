//! Lines of a three-dimensional array along its slower axes, several neighbours together.

use rayon::prelude::*;
use std::iter::once;
use std::ops::Range;

/// Hands out all lines along one axis in bundles of neighbouring ones, in parallel.
///
/// # Arguments
/// * `values`: an array of `shape`, first axis fastest.
/// * `axis`: 1 or 2.
/// * `width`: most lines of a bundle.
/// * `change`: gets a bundle as its pieces: piece `p` holds value `p` of every line in it.
pub(crate) fn for_each_bundle<T: Send>(
    values: &mut [T],
    shape: [usize; 3],
    axis: usize,
    width: usize,
    change: impl Fn(&mut [&mut [T]]) + Sync + Send,
) {
    let whole = shape.map(|side| 0..side);
    for_each_bundle_within(values, shape, &whole, axis, width, change);
}

/// Hands out what of the lines lies in a box, as [`for_each_bundle`] does.
pub(crate) fn for_each_bundle_within<T: Send>(
    values: &mut [T],
    shape: [usize; 3],
    within: &[Range<usize>; 3],
    axis: usize,
    width: usize,
    change: impl Fn(&mut [&mut [T]]) + Sync + Send,
) {
    let stride: usize = shape[..axis].iter().product();
    let bounds = bundles_of_step(shape, within, axis, width);
    let along = &within[axis];
    let slabs = values.par_chunks_mut(stride * shape[axis]).enumerate();
    let slabs = slabs.filter(|(number, _)| axis == 2 || within[2].contains(number));
    slabs.for_each(|(_, slab)| {
        let mut bundles: Vec<Vec<&mut [T]>> = Vec::new();
        bundles.resize_with(bounds.len(), || Vec::with_capacity(along.len()));
        for step in slab.chunks_mut(stride).take(along.end).skip(along.start) {
            let (mut rest, mut done) = (step, 0);
            for (bundle, bound) in bundles.iter_mut().zip(&bounds) {
                let (_, from) = rest.split_at_mut(bound.start - done);
                let (piece, after) = from.split_at_mut(bound.len());
                bundle.push(piece);
                (rest, done) = (after, bound.end);
            }
        }
        bundles
            .into_par_iter()
            .for_each(|mut bundle| change(&mut bundle));
    });
}

/// Where the bundles lie in what one step along an axis holds, in ascending order.
fn bundles_of_step(
    shape: [usize; 3],
    within: &[Range<usize>; 3],
    axis: usize,
    width: usize,
) -> Vec<Range<usize>> {
    let [columns, rows, _] = within;
    let runs: Vec<Range<usize>> = if axis == 1 {
        once(columns.clone()).collect()
    } else if columns.len() == shape[0] {
        // Whole rows follow one another without a gap.
        once(rows.start * shape[0]..rows.end * shape[0]).collect()
    } else {
        let run = |row: usize| row * shape[0] + columns.start..row * shape[0] + columns.end;
        rows.clone().map(run).collect()
    };
    let cut = |run: &Range<usize>| {
        let end = run.end;
        let starts = run.clone().step_by(width);
        starts.map(move |start| start..end.min(start + width))
    };
    runs.iter().flat_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replaces every value by its position along the line.
    fn positions(shape: [usize; 3], axis: usize, width: usize) -> Vec<usize> {
        let mut values = vec![usize::MAX; shape.iter().product()];
        for_each_bundle(&mut values, shape, axis, width, |bundle| {
            for (position, piece) in bundle.iter_mut().enumerate() {
                piece.fill(position);
            }
        });
        values
    }

    #[test]
    fn every_value_is_visited_at_its_place() {
        let shape = [3, 4, 2];
        for width in [1, 2, 5, 100] {
            let rows = positions(shape, 1, width);
            assert!((0..24).all(|index| rows[index] == index / 3 % 4));
            let planes = positions(shape, 2, width);
            assert!((0..24).all(|index| planes[index] == index / 12));
        }
    }

    #[test]
    fn boxes_leave_alone_what_lies_outside() {
        let shape = [5, 4, 3];
        let at = |index: usize| [index % 5, index / 5 % 4, index / 20];
        for within in [
            [1..4, 1..3, 0..2],
            [0..5, 2..4, 1..3],
            [4..5, 0..4, 2..3],
            [2..2, 0..4, 0..3],
        ] {
            for (axis, width) in [(1, 1), (1, 2), (2, 1), (2, 2), (2, 100)] {
                let mut values = vec![usize::MAX; 60];
                for_each_bundle_within(&mut values, shape, &within, axis, width, |bundle| {
                    for (position, piece) in bundle.iter_mut().enumerate() {
                        piece.fill(position);
                    }
                });
                for (index, &value) in values.iter().enumerate() {
                    let place = at(index);
                    let is_in = (0..3).all(|axis| within[axis].contains(&place[axis]));
                    let expected = place[axis].wrapping_sub(within[axis].start);
                    assert_eq!(value, if is_in { expected } else { usize::MAX });
                }
            }
        }
    }
}
