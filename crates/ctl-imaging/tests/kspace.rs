//! Raw data of a real scan, where it lies beside the workspace; skipped, saying so, where not.
#![expect(clippy::print_stderr, reason = "a skipped test must say why")]
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

use ctl_imaging::kspace::{Calibration, Coils, Transform, centred_fft, combine, read_coils};
use std::path::PathBuf;

fn coils(name: &str) -> Option<Coils> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/mr_recon")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(read_coils(&path).unwrap())
}

fn to_images(raw: &mut Coils) {
    let (height, width) = raw.size();
    for plane in raw.planes_mut() {
        centred_fft(plane, &[width, height], Transform::ToImage).unwrap();
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The figures of the data's `expected.json`: share of sampled points, sums, and how far the
/// zero-filled images of eight coils, combined, are from the combined reference.
#[test]
fn zero_filled_brain_against_its_reference() {
    let (Some(mut raw), Some(reference)) = (
        coils("brain8ch_bart_ksp.npy"),
        coils("brain8ch_reference_2maps.npy"),
    ) else {
        return;
    };
    assert_eq!((raw.count(), raw.size()), (8, (230, 180)));
    assert_eq!((reference.count(), reference.size()), (2, (230, 180)));
    let magnitudes = raw.planes().flatten().map(|v| f64::from(v.norm()));
    assert!((magnitudes.sum::<f64>() - 213.614_747).abs() < 1e-4);
    let first = raw.planes().next().unwrap();
    assert_eq!(first.iter().filter(|v| v.norm() > 0.0).count(), 5240);

    to_images(&mut raw);
    let found = wide(&raw.root_sum_of_squares());
    let expected = wide(&reference.root_sum_of_squares());
    let scale = dot(&found, &expected) / dot(&found, &found);
    let error = found
        .iter()
        .zip(&expected)
        .map(|(f, e)| (scale * f - e).powi(2))
        .sum::<f64>();
    let nmse = error / dot(&expected, &expected);
    assert!((nmse - 0.053_727_28).abs() < 1e-6, "{nmse}");
    let peak = expected.iter().fold(0.0, |m: f64, &v| m.max(v));
    let psnr = 10.0 * (peak.powi(2) * expected.len() as f64 / error).log10();
    assert!((psnr - 24.254_57).abs() < 1e-4, "{psnr}");
}

/// Combined by sensitivities from the 20 × 20 centre, which this scan samples fully, the image has
/// the magnitude of the root of the sum of squares, up to what the sensitivities leave out.
#[test]
fn zero_filled_brain_combined_by_its_own_sensitivities() {
    let Some(mut raw) = coils("brain8ch_bart_ksp.npy") else {
        return;
    };
    let calibration = Calibration {
        size: [20, 20],
        threshold: 0.05,
    };
    let sensitivities = calibration.sensitivities(&raw).unwrap();
    to_images(&mut raw);
    let combined = combine(&raw, &sensitivities).unwrap();
    let combined: Vec<f64> = combined.iter().map(|v| f64::from(v.norm())).collect();
    let squares = wide(&raw.root_sum_of_squares());
    let seen = wide(&sensitivities.root_sum_of_squares());
    let mut inside = (0.0, 0.0, 0.0);
    for ((c, s), seen) in combined.iter().zip(&squares).zip(seen) {
        // Cauchy and Schwarz: no combination exceeds the root of the sum of squares.
        assert!(*c <= s * (1.0 + 1e-4));
        if seen > 0.5 {
            inside = (inside.0 + c * s, inside.1 + c * c, inside.2 + s * s);
        } else {
            assert!(c.abs() <= 0.0);
        }
    }
    let related = inside.0 / (inside.1 * inside.2).sqrt();
    assert!(related > 0.98, "{related}");
}
