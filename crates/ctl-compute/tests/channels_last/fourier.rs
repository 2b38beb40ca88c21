//! Centred transforms of complex images, which have their channels first.

use std::f64::consts::TAU;

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::ops::fourier::{
    Complex, data_consistency, fft2, fft2_centred, ifft2, ifft2_centred,
};

use super::support::{distance, first_order, same_everywhere, sample, second_order, values};

const SIZES: [[usize; 2]; 6] = [[1, 1], [1, 5], [4, 6], [5, 3], [7, 8], [6, 9]];

/// By the definition: frequencies and places are counted from the middles `⌊n / 2⌋`.
fn by_definition(image: &[f64], [height, width]: [usize; 2], sign: f64) -> Vec<f64> {
    let pixels = height * width;
    let mut out = vec![0.0; 2 * pixels];
    let from_middle = |i: usize, n: usize| i as f64 - (n / 2) as f64;
    for place in 0..pixels {
        let (u, v) = (place / width, place % width);
        for pixel in 0..pixels {
            let (r, c) = (pixel / width, pixel % width);
            let turns = from_middle(u, height) * from_middle(r, height) / height as f64
                + from_middle(v, width) * from_middle(c, width) / width as f64;
            let (sine, cosine) = (sign * TAU * turns).sin_cos();
            let (re, im) = (image[pixel], image[pixels + pixel]);
            out[place] += re * cosine - im * sine;
            out[pixels + place] += re * sine + im * cosine;
        }
    }
    out.iter().map(|v| v / (pixels as f64).sqrt()).collect()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum()
}

/// Every other column and the middle one.
fn some_columns(batch: usize, width: usize) -> Tensor {
    let row = |image: usize| {
        (0..width)
            .map(move |c| f64::from(u8::from((c + image).is_multiple_of(2) || c == width / 2)))
    };
    let all: Vec<f64> = (0..batch).flat_map(row).collect();
    Tensor::from_vec(all, (batch, width), &Device::Cpu).unwrap()
}

#[test]
fn transforms_follow_the_definition() {
    for size in SIZES {
        let [height, width] = size;
        let images = sample(&[2, 2, height, width], "images");
        let each = values(&images);
        let expected = |sign: f64| -> Vec<f64> {
            let images = each.chunks(2 * height * width);
            images
                .flat_map(|image| by_definition(image, size, sign))
                .collect()
        };
        assert!(
            distance(&fft2(&images).unwrap(), &expected(-1.0)) < 1e-13,
            "{size:?}"
        );
        assert!(
            distance(&ifft2(&images).unwrap(), &expected(1.0)) < 1e-13,
            "{size:?}"
        );
    }
}

/// Parseval: `‖F x‖ = ‖x‖`; `⟨F x, y⟩ = ⟨x, Fᴴ y⟩`; `Fᴴ F x = x`.
#[test]
fn the_transform_is_unitary() {
    for [height, width] in SIZES {
        let x = sample(&[3, 2, height, width], "x");
        let y = sample(&[3, 2, height, width], "y");
        let there = fft2(&x).unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12 * (1.0 + a.abs());
        assert!(close(dot(&there, &there), dot(&x, &x)));
        assert!(close(dot(&there, &y), dot(&x, &ifft2(&y).unwrap())));
        assert!(distance(&ifft2(&there).unwrap(), &values(&x)) < 1e-13);
    }
}

#[test]
fn gradients_of_both_orders() {
    for [height, width] in [[1, 5], [4, 3], [3, 6]] {
        let shape = [2, 2, height, width];
        let vars = [sample(&shape, "x"), sample(&shape, "measured")];
        first_order(&|v| fft2(&v[0]).unwrap(), &vars[..1]);
        second_order(&|v| ifft2(&v[0]).unwrap(), &vars[..1]);
        let columns = some_columns(2, width);
        let consistent = |v: &[Tensor]| data_consistency(&v[0], &v[1], &columns).unwrap();
        first_order(&consistent, &vars);
        second_order(&consistent, &vars);
    }
}

/// The short way over rows agrees with `x + Fᴴ M (F m − F x)` written out.
#[test]
fn consistency_follows_the_definition() {
    for [height, width] in SIZES {
        let shape = [2, 2, height, width];
        let (x, measured) = (sample(&shape, "x"), sample(&shape, "measured"));
        let columns = some_columns(2, width);
        let mask = columns.reshape((2, 1, 1, width)).unwrap();
        let gap = (fft2(&measured).unwrap() - fft2(&x).unwrap()).unwrap();
        let filled = ifft2(&gap.broadcast_mul(&mask).unwrap()).unwrap();
        let expected = values(&(x.as_tensor() + filled).unwrap());
        let found = data_consistency(&x, &measured, &columns).unwrap();
        assert!(distance(&found, &expected) < 1e-13);
    }
}

/// Sampled frequencies become the measured ones, the others stay, and once is enough.
#[test]
fn consistency_is_a_projection() {
    let shape = [2, 2, 6, 7];
    let (x, measured) = (sample(&shape, "x"), sample(&shape, "measured"));
    let columns = some_columns(2, 7);
    let once = data_consistency(&x, &measured, &columns).unwrap();
    let twice = data_consistency(&once, &measured, &columns).unwrap();
    assert!(distance(&twice, &values(&once)) < 1e-13);
    let frequencies =
        [&once, x.as_tensor(), measured.as_tensor()].map(|t| values(&fft2(t).unwrap()));
    let sampled = values(&columns);
    for (place, found) in frequencies[0].iter().enumerate() {
        let is_sampled = sampled[place / (2 * 6 * 7) * 7 + place % 7] > 0.5;
        let expected = frequencies[if is_sampled { 2 } else { 1 }][place];
        assert!((found - expected).abs() < 1e-12, "{place}");
    }
    let all = columns.ones_like().unwrap();
    let replaced = data_consistency(&x, &measured, &all).unwrap();
    assert!(distance(&replaced, &values(&measured)) < 1e-13);
    let none = columns.zeros_like().unwrap();
    let kept = data_consistency(&x, &measured, &none).unwrap();
    assert!(distance(&kept, &values(&x)) < 1e-13);
}

#[test]
fn slices_are_transformed_as_tensors_are() {
    let images = sample(&[1, 2, 5, 6], "images");
    let flat = values(&images);
    let mut slice: Vec<_> = (0..30)
        .map(|i| Complex::new(flat[i] as f32, flat[30 + i] as f32))
        .collect();
    let start = slice.clone();
    fft2_centred(&mut slice, 5, 6).unwrap();
    let expected = values(&fft2(&images).unwrap());
    for (i, value) in slice.iter().enumerate() {
        let wide = Complex::new(expected[i], expected[30 + i]);
        assert!((f64::from(value.re) - wide.re).abs() < 1e-5);
        assert!((f64::from(value.im) - wide.im).abs() < 1e-5);
    }
    ifft2_centred(&mut slice, 5, 6).unwrap();
    let gap = slice.iter().zip(&start).map(|(a, b)| (a - b).norm());
    assert!(gap.fold(0.0, f32::max) < 1e-5);
}

#[test]
fn same_bits_on_levels_and_threads() {
    let shape = [3, 2, 15, 24];
    let vars: [Var; 2] = [sample(&shape, "x"), sample(&shape, "measured")];
    same_everywhere(
        |v| (fft2(&v[0]).unwrap() * ifft2(&v[1]).unwrap()).unwrap(),
        &vars,
    );
    same_everywhere(
        |v| {
            let columns = some_columns(3, 24).to_dtype(v[0].dtype()).unwrap();
            data_consistency(&v[0], &v[1], &columns).unwrap()
        },
        &vars,
    );
}

#[test]
fn misfits_are_errors_that_name_the_operator() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    for shape in [&[2, 3, 4, 4][..], &[2, 4, 4], &[2, 2, 0, 4], &[0, 2, 4, 4]] {
        let message = fft2(&zeros(shape)).unwrap_err().to_string();
        assert!(
            message.starts_with("fft2: expected [B, 2, H, W]"),
            "{message}"
        );
    }
    let x = zeros(&[2, 2, 4, 5]);
    for (measured, columns) in [
        (&[2, 2, 5, 4][..], &[2, 5][..]),
        (&[2, 2, 4, 5], &[2, 4]),
        (&[2, 2, 4, 5], &[1, 5]),
    ] {
        let found = data_consistency(&x, &zeros(measured), &zeros(columns));
        let message = found.unwrap_err().to_string();
        assert!(
            message.starts_with("data_consistency: expected"),
            "{message}"
        );
    }
    let whole = Tensor::zeros((2, 2, 4, 5), DType::U8, &Device::Cpu).unwrap();
    assert!(ifft2(&whole).is_err());
    let mut slice = [Complex::new(0.0, 0.0); 6];
    for (height, width) in [(2, 4), (0, 6), (usize::MAX, 2)] {
        let message = fft2_centred(&mut slice, height, width)
            .unwrap_err()
            .to_string();
        assert!(message.starts_with("fft2_centred: image"), "{message}");
    }
    assert!(ifft2_centred(&mut [], 0, 0).is_err());
}
