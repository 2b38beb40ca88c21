//! What surrounds a convolution's sums: bias gradient and the gate of `ReLU`.

use super::simd::Float;
use crate::kernels::level::multiversion;
use crate::kernels::parallel::{for_each, for_each_chunk};

/// Rows that one piece of a column sum adds up.
const SUM_ROWS: usize = 1024;
/// Elements of a piece of an elementwise pass.
const GATE_LEN: usize = 1 << 16;

/// Sums over pixels: `out[c] = Σ_p values[p, c]`, the gradient of a bias.
///
/// # Arguments
/// - `values`: `[P, channels]`
///
/// # Panics
/// When `channels` does not divide the length.
pub fn channel_sums<T: Float>(values: &[T], channels: usize) -> Vec<T> {
    if values.is_empty() || channels == 0 {
        return vec![T::ZERO; channels];
    }
    assert!(values.len().is_multiple_of(channels), "rows of the values");
    let step = SUM_ROWS * channels;
    let mut parts = vec![T::ZERO; values.len().div_ceil(step) * channels];
    for_each_chunk(&mut parts, channels, |index, part| {
        let rows = &values[index * step..values.len().min((index + 1) * step)];
        add_rows(part, rows);
    });
    let (out, rest) = parts.split_at_mut(channels);
    add_rows(out, rest);
    out.to_vec()
}

multiversion! {
    /// Adds every row of `rows` to `sums`.
    fn add_rows<T: Float>(sums: &mut [T], rows: &[T]) = add_rows_body;
}

#[inline(always)]
fn add_rows_body<T: Float>(sums: &mut [T], rows: &[T]) {
    for row in rows.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += *value;
        }
    }
}

/// `gradient` where `output` is positive, else 0: the gradient through `max(·, 0)`.
///
/// # Panics
/// When the lengths differ.
pub fn relu_gate<T: Float>(gradient: &[T], output: &[T]) -> Vec<T> {
    assert_eq!(gradient.len(), output.len(), "length of the output");
    let mut out = Vec::with_capacity(gradient.len());
    let to = super::pack::Shared::<T>(out.as_mut_ptr());
    for_each(gradient.len().div_ceil(GATE_LEN), |piece| {
        let range = piece * GATE_LEN..gradient.len().min((piece + 1) * GATE_LEN);
        // SAFETY: the range lies within the capacity, and each piece has a range of its own.
        unsafe {
            gate(
                &gradient[range.clone()],
                &output[range.clone()],
                to.get().add(range.start),
            );
        };
    });
    // SAFETY: the pieces have written every element.
    unsafe { out.set_len(gradient.len()) };
    out
}

/// # Safety
/// `to` is valid for the gradient's length.
unsafe fn gate<T: Float>(gradient: &[T], output: &[T], to: *mut T) {
    for (index, (&g, &y)) in gradient.iter().zip(output).enumerate() {
        // SAFETY: `index` is less than the gradient's length.
        unsafe { *to.add(index) = if y > T::ZERO { g } else { T::ZERO } };
    }
}
