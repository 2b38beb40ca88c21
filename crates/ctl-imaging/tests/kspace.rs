//! Raw data of a real scan, where it lies beside the workspace; skipped, saying so, where not.
#![expect(clippy::print_stderr, reason = "a skipped test must say why")]
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

use ctl_imaging::kspace::{Coils, Complex, read_coils};
use rustfft::{FftDirection, FftPlanner};
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

/// Brings index `⌊n / 2⌋` to 0 (`back`), or 0 to `⌊n / 2⌋`.
fn shift(plane: &mut [Complex<f32>], (height, width): (usize, usize), back: bool) {
    let by = |n: usize| if back { n / 2 } else { n.div_ceil(2) };
    for row in plane.chunks_exact_mut(width) {
        row.rotate_left(by(width));
    }
    plane.rotate_left(by(height) * width);
}

fn transpose(plane: &[Complex<f32>], (height, width): (usize, usize)) -> Vec<Complex<f32>> {
    let columns = (0..width).flat_map(|c| (0..height).map(move |r| r * width + c));
    columns.map(|place| plane[place]).collect()
}

/// `fftshift(ifft2(ifftshift(k)))`, orthonormal.
fn centred_inverse(plane: &mut [Complex<f32>], (height, width): (usize, usize)) {
    let mut planner = FftPlanner::new();
    shift(plane, (height, width), true);
    planner
        .plan_fft(width, FftDirection::Inverse)
        .process(plane);
    let mut columns = transpose(plane, (height, width));
    planner
        .plan_fft(height, FftDirection::Inverse)
        .process(&mut columns);
    plane.copy_from_slice(&transpose(&columns, (width, height)));
    shift(plane, (height, width), false);
    let scale = 1.0 / ((height * width) as f32).sqrt();
    for value in plane.iter_mut() {
        *value *= scale;
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

    let size = raw.size();
    raw.planes_mut()
        .for_each(|plane| centred_inverse(plane, size));
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
