use ctl_compute::random::stream;
use proptest::prelude::*;
use rand::RngExt;
use rand_distr::{Distribution as _, StandardNormal};
use rstest::rstest;

use super::*;

const SIZE: [usize; 2] = [12, 14];

/// A disc of radius 3.5 around (5, 6).
fn disc() -> Vec<bool> {
    let inside = |index: usize| {
        let (y, x) = (index / SIZE[1], index % SIZE[1]);
        y.abs_diff(5).pow(2) + x.abs_diff(6).pow(2) <= 12
    };
    (0..SIZE[0] * SIZE[1]).map(inside).collect()
}

fn field(f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let place = |index: usize| ((index / SIZE[1]) as f64, (index % SIZE[1]) as f64);
    (0..SIZE[0] * SIZE[1])
        .map(|index| f(place(index).0, place(index).1))
        .collect()
}

fn broken(plane: &[f64], hole: &[bool]) -> Vec<f64> {
    let pixels = plane.iter().zip(hole);
    pixels
        .map(|(&value, &inside)| if inside { f64::NAN } else { value })
        .collect()
}

fn with(smoothness: Smoothness) -> InpaintConfig {
    InpaintConfig {
        smoothness,
        ..InpaintConfig::default()
    }
}

fn farthest(a: &[f64], b: &[f64]) -> f64 {
    let gaps = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    gaps.fold(0.0, |most, gap| {
        if gap.is_nan() {
            gap
        } else {
            f64::max(most, gap)
        }
    })
}

/// The five-point stencil has no error on polynomials of degree 3: x² − y² and x y are harmonic on
/// the grid, x³ and x² y are biharmonic.
#[rstest]
#[case(Smoothness::Harmonic, |y: f64, x: f64| 0.3 + 0.02 * x - 0.05 * y)]
#[case(Smoothness::Harmonic, |y: f64, x: f64| x * x - y * y)]
#[case(Smoothness::Harmonic, |y: f64, x: f64| x * y)]
#[case(Smoothness::Biharmonic, |y: f64, x: f64| 0.3 + 0.02 * x - 0.05 * y)]
#[case(Smoothness::Biharmonic, |y: f64, x: f64| x * x + 3.0 * y * y)]
#[case(Smoothness::Biharmonic, |y: f64, x: f64| 0.1 * x.powi(3) - 0.2 * x * x * y)]
fn solutions_are_reproduced(#[case] smoothness: Smoothness, #[case] f: fn(f64, f64) -> f64) {
    let (plane, hole) = (field(f), disc());
    let found = filled(&broken(&plane, &hole), &hole, SIZE, &with(smoothness)).unwrap();
    assert!(farthest(&found, &plane) < 1e-6, "{smoothness:?}");
    let kept = found.iter().zip(&plane).zip(&hole);
    assert!(
        kept.filter(|(_, inside)| !**inside)
            .all(|((a, b), _)| a.to_bits() == b.to_bits())
    );
}

/// x² is not harmonic: a membrane through its rim lies above it, a plate does not.
#[test]
fn a_membrane_does_not_bend() {
    let (plane, hole) = (field(|_, x| x * x), disc());
    let centre = 5 * SIZE[1] + 6;
    let value = |smoothness| {
        filled(&broken(&plane, &hole), &hole, SIZE, &with(smoothness)).unwrap()[centre]
    };
    assert!(value(Smoothness::Harmonic) > plane[centre] + 2.0);
    assert!((value(Smoothness::Biharmonic) - plane[centre]).abs() < 1e-6);
}

/// Two pixels in a corner: with no flow across the border, 2 a = b + 1 and 3 b = a + 5, hence
/// a = 8/5 and b = 11/5.
#[test]
fn a_corner_by_hand() {
    let plane = [f64::NAN, f64::NAN, 4.0, 1.0, 1.0, 7.0];
    let hole = [true, true, false, false, false, false];
    let found = filled(&plane, &hole, [2, 3], &InpaintConfig::default()).unwrap();
    assert!(farthest(&found, &[1.6, 2.2, 4.0, 1.0, 1.0, 7.0]) < 1e-9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing harmonic leaves the range of what is known, and each of its values is the mean of
    /// those around it.
    #[test]
    fn the_maximum_principle(seed in 0u64..1000, share in 0.05f64..0.95) {
        let rng = &mut stream(seed, "t", "plane");
        let plane: Vec<f64> = (0..48).map(|_| rng.random()).collect();
        let mut hole: Vec<bool> = (0..48).map(|_| rng.random::<f64>() < share).collect();
        hole[rng.random_range(0..48)] = false;
        let found = filled(&plane, &hole, [6, 8], &InpaintConfig::default()).unwrap();
        let known = || plane.iter().zip(&hole).filter(|(_, inside)| !**inside).map(|(v, _)| *v);
        let (low, high) = (known().fold(1.0, f64::min), known().fold(0.0, f64::max));
        for index in 0..48 {
            if !hole[index] {
                prop_assert_eq!(found[index].to_bits(), plane[index].to_bits());
                continue;
            }
            prop_assert!((low - 1e-8..=high + 1e-8).contains(&found[index]));
            let around = crate::generators::region::neighbours(index, [6, 8]);
            let mean = around.iter().map(|&q| found[q]).sum::<f64>() / around.len() as f64;
            prop_assert!((found[index] - mean).abs() < 1e-8);
        }
    }
}

/// Mean over draws of the products of two pixels of the hole, by spot noise, against the sum over
/// the ring that their covariance is.
#[test]
fn texture_has_the_covariance_of_the_ring() {
    let rng = &mut stream(3, "t", "noise");
    let white: Vec<f64> = (0..=SIZE[0] * SIZE[1])
        .map(|_| StandardNormal.sample(rng))
        .collect();
    // Neighbours along a row share a half.
    let plane: Vec<f64> = white
        .windows(2)
        .map(|pair| 0.5 + pair[0] + pair[1])
        .collect();
    let hole = disc();
    let config = InpaintConfig {
        texture: Texture::Spectrum,
        ring: 3,
        ..InpaintConfig::default()
    };
    let smooth = filled(&plane, &hole, SIZE, &config).unwrap();
    let ring = texture::residuals(&plane, &hole, SIZE, config.ring);
    let expected = |lag: usize| {
        let product = |&(k, r): &(usize, f64)| {
            let other = ring.iter().find(|(other, _)| *other == k + lag);
            // A lag never wraps around here: the ring ends before the last column.
            other.map_or(0.0, |(_, value)| r * value)
        };
        ring.iter().map(product).sum::<f64>() / ring.len() as f64
    };
    let inside: Vec<usize> = (0..hole.len()).filter(|&i| hole[i]).collect();
    let draws = 2000;
    let (mut square, mut product, mut pairs) = (0.0, 0.0, 0);
    for _ in 0..draws {
        let found = inpaint(&plane, &hole, SIZE, (&config, rng)).unwrap();
        let noise = |index: usize| found[index] - smooth[index];
        for &index in &inside {
            square += noise(index).powi(2);
            if hole[index + 1] {
                product += noise(index) * noise(index + 1);
                pairs += 1;
            }
        }
    }
    let variance = square / f64::from(draws) / inside.len() as f64;
    assert!((variance / expected(0) - 1.0).abs() < 0.05, "{variance}");
    let covariance = product / f64::from(pairs);
    assert!(expected(1) > 0.1 * expected(0));
    assert!((covariance - expected(1)).abs() < 0.05 * expected(0));
}

/// The residuals of white noise have its variance.
#[test]
fn residuals_of_white_noise() {
    let rng = &mut stream(5, "t", "noise");
    let size = [80, 80];
    let plane: Vec<f64> = (0..6400).map(|_| StandardNormal.sample(rng)).collect();
    let mut hole = vec![false; 6400];
    hole[3240] = true;
    let ring = texture::residuals(&plane, &hole, size, 64);
    let square: f64 = ring.iter().map(|(_, r)| r * r).sum();
    let variance = square / ring.len() as f64;
    // Neighbouring residuals are all but uncorrelated: the deviation is near √(2 / 6399) = 0.018.
    assert!((variance - 1.0).abs() < 0.06, "{variance}");
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let (plane, hole) = (field(|y, x| (x * 3.7 + y * y).sin()), disc());
    let config = InpaintConfig {
        texture: Texture::Spectrum,
        ..InpaintConfig::default()
    };
    let draw = |seed| {
        let rng = &mut stream(seed, "t", "texture");
        let found = inpaint(&plane, &hole, SIZE, (&config, rng)).unwrap();
        found.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn what_cannot_be_filled_is_an_error() {
    let config = InpaintConfig::default();
    let message = |plane: &[f64], hole: &[bool], config: &InpaintConfig| {
        let result = filled(plane, hole, [1, 3], config);
        result.unwrap_err().to_string()
    };
    let plane = [0.0, 0.5, 2.0];
    for (found, expected) in [
        (message(&plane, &[true; 3], &config), "all 3 pixels"),
        (message(&plane, &[true; 2], &config), "hole: expected 1 × 3"),
        (message(&[0.0; 4], &[false; 3], &config), "plane: expected"),
        (
            message(&[f64::NAN, 0.0, 0.0], &[false, true, false], &config),
            "finite",
        ),
    ] {
        assert!(found.contains(expected), "{found}");
    }
    // Nothing to fill is no error, nor is it a change.
    assert_eq!(filled(&plane, &[false; 3], [1, 3], &config).unwrap(), plane);
    let (plane, hole) = (field(|y, x| (x * 3.7 + y * y).sin()), disc());
    let hasty = InpaintConfig {
        max_iterations: 1,
        ..config
    };
    let found = filled(&plane, &hole, SIZE, &hasty).unwrap_err().to_string();
    assert!(found.contains("within 1 iterations"), "{found}");
    for (ill, key) in [
        (InpaintConfig { ring: 0, ..config }, "ring"),
        (
            InpaintConfig {
                tolerance: f64::NAN,
                ..config
            },
            "tolerance",
        ),
        (
            InpaintConfig {
                max_iterations: 0,
                ..config
            },
            "max_iterations",
        ),
    ] {
        let found = ill.validate().unwrap_err().to_string();
        assert!(found.contains(key), "{found}");
    }
    let unknown = serde_json::from_str::<InpaintConfig>(r#"{"rings": 3}"#);
    assert!(unknown.unwrap_err().to_string().contains("rings"));
}
