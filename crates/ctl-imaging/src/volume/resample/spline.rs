//! Coefficients of the cubic B-spline that passes through given values.
//!
//! # References
//! Unser, "Splines: a perfect fit for signal and image processing", 1999, box 2 (pole `√3 − 2`,
//! gain 6); the first causal value is the exact sum over the mirrored line, as in `SciPy`.

use crate::lines::for_each_bundle;
use rayon::prelude::*;

/// The pole of the cubic B-spline's inverse filter, `√3 − 2`.
const POLE: f64 = -0.267_949_192_431_122_7;

/// What makes the filter keep constants: `(1 − z)(1 − 1/z)`.
const GAIN: f64 = 6.0;

/// Powers of the pole beyond this one lie below the last bit of double precision.
const HORIZON: usize = 40;

/// Lines that are filtered together; a few cache lines of every piece.
const WIDTH: usize = 64;

/// Rows along the first axis that are filtered together: a cache line of every piece.
const ROWS: usize = 8;

/// Replaces values of `shape`, first axis fastest, by the spline's coefficients; lines are mirrored
/// at the centres of their first and last voxels.
pub(super) fn prefilter(values: &mut [f64], shape: [usize; 3]) {
    if shape[0] > 1 {
        values
            .par_chunks_mut(shape[0] * ROWS)
            .for_each(|rows| filter_rows(rows, shape[0]));
    }
    for axis in [1, 2] {
        if shape[axis] > 1 {
            for_each_bundle(values, shape, axis, WIDTH, filter);
        }
    }
}

/// Filters rows of `length` values, turned so that neighbouring ones are filtered together.
fn filter_rows(rows: &mut [f64], length: usize) {
    let count = rows.len() / length;
    let mut turned = vec![0.0; rows.len()];
    for (row, values) in rows.chunks_exact(length).enumerate() {
        for (value, turned) in values.iter().zip(turned.chunks_exact_mut(count)) {
            turned[row] = *value;
        }
    }
    filter(&mut turned.chunks_exact_mut(count).collect::<Vec<_>>());
    for (row, values) in rows.chunks_exact_mut(length).enumerate() {
        for (value, turned) in values.iter_mut().zip(turned.chunks_exact(count)) {
            *value = turned[row];
        }
    }
}

/// Filters a bundle of lines of at least two values, forwards and backwards.
fn filter(lines: &mut [&mut [f64]]) {
    let last = lines.len() - 1;
    let first = first_causal(lines);
    lines[0].copy_from_slice(&first);
    for position in 1..=last {
        let (before, after) = lines.split_at_mut(position);
        for (value, previous) in after[0].iter_mut().zip(before[position - 1].iter()) {
            *value = GAIN * *value + POLE * previous;
        }
    }
    let (before, after) = lines.split_at_mut(last);
    let ratio = POLE / (POLE * POLE - 1.0);
    for (value, previous) in after[0].iter_mut().zip(before[last - 1].iter()) {
        *value = ratio * (*value + POLE * previous);
    }
    for position in (0..last).rev() {
        let (before, after) = lines.split_at_mut(position + 1);
        for (value, next) in before[position].iter_mut().zip(after[0].iter()) {
            *value = POLE * (next - *value);
        }
    }
}

/// `Σ zⁱ s(i)` over the endless mirrored line, whose period is `2 (n − 1)`.
fn first_causal(lines: &[&mut [f64]]) -> Vec<f64> {
    let period = 2 * (lines.len() - 1);
    let mut sum = vec![0.0; lines[0].len()];
    let mut power = GAIN;
    for position in 0..period.min(HORIZON) {
        for (sum, value) in sum.iter_mut().zip(&*lines[position.min(period - position)]) {
            *sum += power * value;
        }
        power *= POLE;
    }
    // Whole periods repeat the sum; beyond the horizon they no longer count.
    if period < HORIZON {
        let repeated = 1.0 / (1.0 - power / GAIN);
        for sum in &mut sum {
            *sum *= repeated;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::resample::taps::cubic;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_spline_passes_through_the_values(
            values in (1_usize..70).prop_flat_map(|count| prop::collection::vec(-9.0..9.0, count)),
        ) {
            let count = values.len();
            for shape in [[count, 1, 1], [1, count, 1], [1, 1, count]] {
                let mut coefficients = values.clone();
                prefilter(&mut coefficients, shape);
                for (index, value) in values.iter().enumerate() {
                    let taps = cubic(index as f64, count);
                    let found: f64 = (0..4)
                        .map(|tap| taps.weight[tap] * coefficients[taps.index[tap]])
                        .sum();
                    prop_assert!((found - value).abs() < 1e-12, "{} for {}", found, value);
                }
            }
        }
    }
}
