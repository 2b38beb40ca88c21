//! The inverse discrete cosine transform (T.81 section A.3.3).

use std::sync::LazyLock;

/// `C(u)/2 · cos((2x + 1)uπ/16)` by `[u][x]`.
static BASIS: LazyLock<[[f32; 8]; 8]> = LazyLock::new(|| {
    let mut basis = [[0.0; 8]; 8];
    for (u, row) in basis.iter_mut().enumerate() {
        let scale = if u == 0 { 0.5_f64.sqrt() } else { 1.0 } / 2.0;
        for (x, value) in row.iter_mut().enumerate() {
            let angle = (2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0;
            *value = (scale * angle.cos()) as f32;
        }
    }
    basis
});

/// Samples of a block of dequantised coefficients, shifted up by half of the range of `precision`
/// bits, rounded and clipped to it.
pub(super) fn inverse(coefficients: &[i32; 64], precision: u32) -> [u16; 64] {
    let middle = (1_u32 << (precision - 1)) as f32;
    let top = ((1_u32 << precision) - 1) as f32;
    let sample = |value: f32| (value + middle + 0.5).floor().clamp(0.0, top) as u16;
    if coefficients[1..].iter().all(|&value| value == 0) {
        return [sample(coefficients[0] as f32 / 8.0); 64];
    }
    let basis = &*BASIS;
    let mut rows = [0.0_f32; 64];
    for (row, from) in rows.chunks_exact_mut(8).zip(coefficients.chunks_exact(8)) {
        for (&coefficient, wave) in from.iter().zip(basis) {
            if coefficient != 0 {
                add(row, coefficient as f32, wave);
            }
        }
    }
    let mut samples = [0; 64];
    for (y, row) in samples.chunks_exact_mut(8).enumerate() {
        let mut sums = [0.0_f32; 8];
        for (from, wave) in rows.chunks_exact(8).zip(basis) {
            for (sum, &value) in sums.iter_mut().zip(from) {
                *sum += wave[y] * value;
            }
        }
        for (to, sum) in row.iter_mut().zip(sums) {
            *to = sample(sum);
        }
    }
    samples
}

fn add(row: &mut [f32], factor: f32, wave: &[f32; 8]) {
    for (sum, &value) in row.iter_mut().zip(wave) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_waves() {
        let mut block = [0; 64];
        block[0] = 80;
        assert_eq!(inverse(&block, 8), [138; 64]);
        assert_eq!(inverse(&block, 12), [2058; 64]);
        // u = 1, v = 0 varies along x alone: 100/√2/2 · cos((2x + 1)π/16)·½·... by the formula.
        block[0] = 0;
        block[1] = 100;
        let expected: Vec<u16> = (0..8)
            .map(|x| {
                let angle = f64::from(2 * x + 1) * std::f64::consts::PI / 16.0;
                (128.5 + 100.0 / 4.0 / 2_f64.sqrt() * angle.cos()).floor() as u16
            })
            .collect();
        for row in inverse(&block, 8).chunks(8) {
            assert_eq!(row, expected);
        }
        block[1] = 100_000;
        let clipped = inverse(&block, 8);
        assert_eq!((clipped[0], clipped[7]), (255, 0));
    }
}
