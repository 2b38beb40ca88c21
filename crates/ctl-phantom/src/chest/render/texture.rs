//! Smooth random fields that are functions of a key and a place.

/// Smooth noise in -1 to 1 with features of about `1 / frequency`.
pub(crate) fn smooth_noise(key: u64, x: f64, y: f64, frequency: f64) -> f64 {
    let (u, v) = (x * frequency, y * frequency);
    let (left, top) = (u.floor(), v.floor());
    let (s, t) = (fade(u - left), fade(v - top));
    let corner = |dx: f64, dy: f64| lattice(key, (left + dx) as i64, (top + dy) as i64);
    let upper = corner(0.0, 0.0) * (1.0 - s) + corner(1.0, 0.0) * s;
    let lower = corner(0.0, 1.0) * (1.0 - s) + corner(1.0, 1.0) * s;
    upper * (1.0 - t) + lower * t
}

/// Sum of [`smooth_noise`] at `octaves` frequencies, each twice the last and half as strong;
/// within -1 to 1.
pub(crate) fn cloud(key: u64, x: f64, y: f64, frequency: f64, octaves: u32) -> f64 {
    let (mut sum, mut strength, mut total) = (0.0, 1.0, 0.0);
    for octave in 0..octaves {
        let scale = frequency * f64::from(1_u32 << octave);
        sum += strength * smooth_noise(key.wrapping_add(u64::from(octave)), x, y, scale);
        total += strength;
        strength *= 0.5;
    }
    sum / total
}

fn fade(t: f64) -> f64 {
    t * t * (3.0 - 2.0 * t)
}

/// A value in -1 to 1 for each lattice point, by hashing (the finaliser of `SplitMix64`).
fn lattice(key: u64, column: i64, row: i64) -> f64 {
    let mut z = key
        .wrapping_add(column.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(row.cast_unsigned().wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::{cloud, smooth_noise};

    #[test]
    fn noise_is_bounded_continuous_and_keyed() {
        let mut largest = 0.0_f64;
        for step in 0..4000 {
            let x = f64::from(step) * 0.01 - 20.0;
            let here = smooth_noise(5, x, 0.3, 2.0);
            let next = smooth_noise(5, x + 1e-6, 0.3, 2.0);
            assert!(here.abs() <= 1.0 && (here - next).abs() < 1e-4);
            assert!(cloud(5, x, 0.3, 2.0, 3).abs() <= 1.0);
            largest = largest.max(here.abs());
        }
        assert!(largest > 0.5);
        let other_key = smooth_noise(6, 0.4, 0.3, 2.0);
        assert!((smooth_noise(5, 0.4, 0.3, 2.0) - other_key).abs() > 1e-3);
    }
}
