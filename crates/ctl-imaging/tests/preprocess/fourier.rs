//! Transforms against `NumPy`, and coils against closed forms.

use super::{golden, image, numbers};
use ctl_imaging::kspace::{
    Calibration, Coils, Complex, Transform, centred_fft, combine, transformed,
};
use ctl_imaging::volume::Samples;
use proptest::prelude::*;

fn complex(value: &serde_json::Value) -> Vec<Complex<f64>> {
    let parts = numbers(&value["re"]).into_iter().zip(numbers(&value["im"]));
    parts.map(|(re, im)| Complex::new(re, im)).collect()
}

fn farthest(a: &[Complex<f64>], b: &[Complex<f64>]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).norm())
        .fold(0.0, f64::max)
}

#[test]
fn transforms_are_those_of_numpy() {
    for case in golden(include_str!("../golden/preprocess.json"))["fourier"]
        .as_array()
        .unwrap()
    {
        let shape: Vec<usize> = numbers(&case["shape"])
            .iter()
            .map(|&n| n as usize)
            .collect();
        for (transform, key) in [
            (Transform::ToFrequencies, "there"),
            (Transform::ToImage, "back"),
        ] {
            let mut values = complex(&case["x"]);
            centred_fft(&mut values, &shape, transform).unwrap();
            assert!(farthest(&values, &complex(&case[key])) < 1e-13, "{shape:?}");
        }
    }
}

proptest! {
    #[test]
    fn there_and_back_is_where_it_was(shape in prop::collection::vec(1_usize..7, 1..4), seed in any::<u32>()) {
        let count: usize = shape.iter().product();
        let value = |at: usize| (at as f64 * 1.3 + f64::from(seed)).sin();
        let start: Vec<Complex<f64>> = (0..count).map(|at| Complex::new(value(at), value(at + 7))).collect();
        let mut values = start.clone();
        centred_fft(&mut values, &shape, Transform::ToFrequencies).unwrap();
        let energy = |values: &[Complex<f64>]| values.iter().map(Complex::norm_sqr).sum::<f64>();
        prop_assert!((energy(&values) - energy(&start)).abs() < 1e-10);
        centred_fft(&mut values, &shape, Transform::ToImage).unwrap();
        prop_assert!(farthest(&values, &start) < 1e-12);
    }
}

#[test]
fn values_must_fill_the_shape() {
    let mut values = vec![Complex::new(0.0_f32, 0.0); 6];
    assert!(centred_fft(&mut values, &[2, 4], Transform::ToImage).is_err());
    assert!(centred_fft(&mut values, &[usize::MAX, 4], Transform::ToImage).is_err());
    assert!(centred_fft::<f32>(&mut [], &[0, 4], Transform::ToImage).is_err());
    assert!(centred_fft(&mut values, &[2, 3], Transform::ToImage).is_ok());
}

#[test]
fn frames_of_a_volume_are_transformed_each() {
    let volume = image(&[2, 1, 1, 2], vec![1.0, 3.0, 5.0, 5.0]);
    let there = transformed(&volume, Transform::ToFrequencies).unwrap();
    let Samples::Complex64(values) = there.samples() else {
        panic!("{:?}", there.sample_type());
    };
    let root = 0.5_f32.sqrt();
    let expected = [-2.0 * root, 4.0 * root, 0.0, 10.0 * root];
    // Of two frequencies the second is zero; the first is x₁ − x₀ with the centre at x₁.
    for (value, expected) in values.iter().zip(expected) {
        assert!((value.re.abs() - expected.abs()).abs() < 1e-6 && value.im.abs() < 1e-6);
    }
    assert_eq!(there.affine(), volume.affine());
    let back = transformed(&there, Transform::ToImage).unwrap();
    for (a, b) in back.to_f32().iter().zip(volume.to_f32()) {
        assert!((a - b).abs() < 1e-6);
    }
}

/// Coils whose sensitivities are so smooth that few frequencies hold them.
fn smooth_coils(height: usize, width: usize) -> (Coils, Coils) {
    let mut sensitivities = Vec::new();
    for phase in [0.0_f64, 1.5, 3.0] {
        for row in 0..height {
            for column in 0..width {
                let (y, x) = (row as f64 / height as f64, column as f64 / width as f64);
                let size = 1.0 + 0.5 * (std::f64::consts::TAU * x + phase).cos();
                let angle = phase + 0.3 * (std::f64::consts::TAU * y).sin();
                sensitivities.push(Complex::<f64>::from_polar(size, angle));
            }
        }
    }
    let plane = height * width;
    let root = |at: usize| {
        let coils = (0..3).map(|coil| sensitivities[at + coil * plane].norm_sqr());
        coils.sum::<f64>().sqrt()
    };
    let relative = sensitivities.iter().enumerate();
    let relative: Vec<Complex<f64>> = relative.map(|(at, s)| s / root(at % plane)).collect();
    let narrow = |values: &[Complex<f64>]| {
        values
            .iter()
            .map(|v| Complex::new(v.re as f32, v.im as f32))
            .collect()
    };
    let images: Vec<Complex<f64>> = sensitivities;
    (
        Coils::new(height, width, narrow(&images)).unwrap(),
        Coils::new(height, width, narrow(&relative)).unwrap(),
    )
}

/// Of a uniform object the low-resolution images are the sensitivities themselves.
#[test]
fn sensitivities_are_found_from_the_centre() {
    let (images, expected) = smooth_coils(32, 24);
    let mut raw = images.clone();
    for plane in raw.planes_mut() {
        centred_fft(plane, &[24, 32], Transform::ToFrequencies).unwrap();
    }
    let calibration = Calibration {
        size: [31, 23],
        threshold: 0.0,
    };
    let found = calibration.sensitivities(&raw).unwrap();
    for (found, expected) in found.planes().zip(expected.planes()) {
        let apart = found.iter().zip(expected).map(|(a, b)| (a - b).norm());
        assert!(apart.fold(0.0, f32::max) < 0.03);
    }
    let sizes = found.root_sum_of_squares();
    assert!(sizes.iter().all(|size| (size - 1.0).abs() < 1e-5));
}

#[test]
fn a_combination_by_true_sensitivities_is_the_object() {
    let (images, sensitivities) = smooth_coils(8, 6);
    let object = |at: usize| Complex::new(1.0 + at as f32, -0.5 * at as f32);
    let mut coils = sensitivities.clone();
    for plane in coils.planes_mut() {
        for (at, value) in plane.iter_mut().enumerate() {
            *value *= object(at);
        }
    }
    for (at, value) in combine(&coils, &sensitivities).unwrap().iter().enumerate() {
        assert!((value - object(at)).norm() < 1e-4 * (1.0 + at as f32));
    }
    // Sensitivities of any size are divided out.
    assert!(
        combine(&images, &images)
            .unwrap()
            .iter()
            .all(|v| (v - 1.0).norm() < 1e-6)
    );
    let one = Coils::new(8, 6, vec![Complex::new(1.0, 0.0); 48]).unwrap();
    assert!(combine(&images, &one).is_err());
}

#[test]
fn where_no_coil_sees_nothing_is_combined() {
    let raw = Coils::new(1, 2, vec![Complex::new(1.0, 0.0), Complex::new(1.0, 0.0)]).unwrap();
    let calibration = |size, threshold| Calibration { size, threshold };
    // Both frequencies alike is a point in the centre, column 1; a Hann window over two of them
    // leaves ½ (1 + cos 120°) = ¼ of the lower one.
    let found = calibration([1, 2], 0.7).sensitivities(&raw).unwrap();
    let values = found.planes().next().unwrap();
    assert_eq!(values[0], Complex::new(0.0, 0.0));
    assert!((values[1].norm() - 1.0).abs() < 1e-6);
    let combined = combine(&raw, &found).unwrap();
    assert_eq!(combined[0], Complex::new(0.0, 0.0));
    assert!(calibration([1, 3], 0.1).sensitivities(&raw).is_err());
    assert!(calibration([0, 1], 0.1).sensitivities(&raw).is_err());
    assert!(calibration([1, 1], -0.1).sensitivities(&raw).is_err());
}
