//! Sums down the columns of a `[rows, channels]` block.
//!
//! Several rows are taken as one wide row, so that vectors are full whatever the number of
//! channels; the lanes of a channel are folded in double precision at the end.

use super::buffer::PIECE;
use super::float::Float;
use super::level::multiversion;

/// Lanes that fill the vectors of every level.
const LANES: usize = 64;

/// Rows that are taken as one, for `channels` channels.
pub(crate) fn rows_per_lane_row(channels: usize) -> usize {
    LANES.div_ceil(channels.max(1))
}

/// Rows of one piece of a `[rows, channels]` block.
pub(crate) fn rows_per_piece(channels: usize) -> usize {
    let fold = rows_per_lane_row(channels);
    (PIECE / channels.max(1)).max(1).next_multiple_of(fold)
}

/// `values` repeated over the lanes.
pub(crate) fn repeated<T: Float>(values: &[T]) -> Vec<T> {
    values.repeat(rows_per_lane_row(values.len()))
}

/// Adds the lanes of each channel to `sums`.
pub(crate) fn fold_lanes<T: Float>(lanes: &[T], sums: &mut [f64]) {
    for row in lanes.chunks(sums.len().max(1)) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += value.wide();
        }
    }
}

#[inline(always)]
fn add_rows_body<T: Float>(x: &[T], lanes: &mut [T]) {
    let width = lanes.len();
    let mut blocks = x.chunks_exact(4 * width);
    for block in &mut blocks {
        let (ab, cd) = block.split_at(2 * width);
        let ((a, b), (c, d)) = (ab.split_at(width), cd.split_at(width));
        for ((((sum, &a), &b), &c), &d) in lanes.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += (a + b) + (c + d);
        }
    }
    for row in blocks.remainder().chunks(width) {
        for (sum, &value) in lanes.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

multiversion! {
    /// Adds every wide row of `x` to `lanes`.
    pub(crate) fn add_rows<T: Float>(x: &[T], lanes: &mut [T]) = add_rows_body;
}

/// Sums of the columns of `x`, `[rows, channels]`, piece by piece in order.
pub(crate) fn column_sums<T: Float>(x: &[T], channels: usize) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    let mut lanes = vec![T::ZERO; channels * rows_per_lane_row(channels)];
    for piece in x.chunks((rows_per_piece(channels) * channels).max(1)) {
        lanes.fill(T::ZERO);
        add_rows(piece, &mut lanes);
        fold_lanes(&lanes, &mut sums);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_any_width() {
        for channels in [1, 2, 3, 17, 64, 65, 200] {
            for rows in [1, 3, 64, 517] {
                let x: Vec<f32> = (0..rows * channels).map(|i| (i % 11) as f32).collect();
                let sums = column_sums(&x, channels);
                for (c, &found) in sums.iter().enumerate() {
                    let expected: f64 = x[c..].iter().step_by(channels).map(|&v| v.wide()).sum();
                    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
                }
            }
        }
    }
}
