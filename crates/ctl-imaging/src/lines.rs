//! Lines of a three-dimensional array along its slower axes, several neighbours together.

use rayon::prelude::*;

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
    let stride: usize = shape[..axis].iter().product();
    let length = shape[axis];
    values.par_chunks_mut(stride * length).for_each(|slab| {
        let mut bundles: Vec<Vec<&mut [T]>> = Vec::new();
        bundles.resize_with(stride.div_ceil(width), || Vec::with_capacity(length));
        for step in slab.chunks_mut(stride) {
            for (bundle, piece) in bundles.iter_mut().zip(step.chunks_mut(width)) {
                bundle.push(piece);
            }
        }
        bundles
            .into_par_iter()
            .for_each(|mut bundle| change(&mut bundle));
    });
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
}
