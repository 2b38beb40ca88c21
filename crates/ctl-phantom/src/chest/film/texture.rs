//! Smooth random fields that are functions of a key and a place.

/// Moves every coordinate of a film above 0, where truncation is rounding down.
const OFFSET: f64 = 4096.0;

/// Smooth noise in -1 to 1 with features of about `1 / frequency`.
pub(crate) fn smooth_noise(key: u64, x: f64, y: f64, frequency: f64) -> f64 {
    let (column, s) = split(x * frequency);
    let (row, t) = split(y * frequency);
    let (s, t) = (fade(s), fade(t));
    let along = |row: u64| {
        let before = lattice(key, column, row);
        before + s * (lattice(key, column + 1, row) - before)
    };
    let upper = along(row);
    upper + t * (along(row + 1) - upper)
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

/// What is left of a number of at least -4096 after rounding down: 0 to 1.
pub(crate) fn fraction(value: f64) -> f64 {
    split(value).1
}

/// The lattice point before a coordinate, and the way from it.
fn split(value: f64) -> (u64, f64) {
    let moved = value + OFFSET;
    let whole = moved as u64;
    (whole, moved - whole as f64)
}

fn fade(t: f64) -> f64 {
    t * t * (3.0 - 2.0 * t)
}

/// A value in -1 to 1 for each lattice point, by hashing.
fn lattice(key: u64, column: u64, row: u64) -> f64 {
    let mut z = key
        .wrapping_add(column.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(row.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^= z >> 32;
    (z >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::{cloud, fraction, smooth_noise};

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

    #[test]
    fn lattice_values_do_not_go_together_with_their_neighbours() {
        let at = |column: i32, row: i32| smooth_noise(9, f64::from(column), f64::from(row), 1.0);
        let (mut own, mut right, mut below) = (0.0, 0.0, 0.0);
        for column in 0..60 {
            for row in 0..60 {
                let here = at(column, row);
                own += here * here;
                right += here * at(column + 1, row);
                below += here * at(column, row + 1);
            }
        }
        // Uniform on -1 to 1 has variance 1/3; 3600 products of independents add up to 20 at most.
        assert!((own / 3600.0 - 1.0 / 3.0).abs() < 0.02, "{own}");
        assert!(right.abs() < 80.0 && below.abs() < 80.0, "{right} {below}");
    }

    #[test]
    fn fractions_round_down_on_both_sides_of_zero() {
        for (value, expected) in [(2.25, 0.25), (-0.25, 0.75), (-3.0, 0.0)] {
            assert!((fraction(value) - expected).abs() < 1e-9);
        }
    }
}
