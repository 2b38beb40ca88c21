//! Preprocessing, checked against closed forms and against `NumPy`, `SciPy`, scikit-image
//! and `SimpleITK` (`tests/golden/make_preprocess.py`, `tests/golden/make_n4.py`).
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]
#![expect(
    clippy::float_cmp,
    reason = "what must not change must not change in its last bit"
)]

mod augment;
mod fourier;
mod geometry;
mod intensity;
mod lines;
mod moved;
mod n4;
mod patches;
mod pipeline;

use ctl_imaging::preprocess::{Mask, Pipeline, Step};
use ctl_imaging::volume::{Affine, Samples, Volume};
use serde_json::Value;

/// An image of these values on voxels of 1, 1.5 and 3 mm.
fn image(shape: &[usize], values: Vec<f32>) -> Volume {
    let affine = Affine::from_spacing([1.0, 1.5, 3.0], [-10.0, 4.0, 7.0]).unwrap();
    Volume::new(shape, Samples::F32(values), affine).unwrap()
}

/// A smooth positive image.
fn waves(shape: [usize; 3]) -> Volume {
    let [width, height, depth] = shape;
    let value = |at: usize| {
        let (i, j, k) = (at % width, at / width % height, at / (width * height));
        2.0 + (i as f32 * 0.7).sin() + (j as f32 * 0.4).cos() * (0.3 + k as f32 * 0.2).sin()
    };
    image(&shape, (0..width * height * depth).map(value).collect())
}

/// Two classes and background in a box.
fn boxed_mask(shape: [usize; 3]) -> Mask {
    let [width, height, depth] = shape;
    let inside = |at: usize, side: usize| side == 1 || (side / 4..side - side / 4).contains(&at);
    let class = |at: usize| {
        let (i, j, k) = (at % width, at / width % height, at / (width * height));
        let held = inside(i, width) && inside(j, height) && inside(k, depth);
        u8::from(held) * (1 + u8::from(i > width / 2))
    };
    Mask::new(shape, (0..width * height * depth).map(class).collect()).unwrap()
}

fn one(step: Step) -> Pipeline {
    Pipeline { steps: vec![step] }
}

/// What one step makes of an image.
fn stepped(step: Step, volume: &Volume, mask: Option<&Mask>) -> Vec<f32> {
    one(step).apply(volume, mask, 3).unwrap().0.to_f32()
}

fn refused(step: Step, volume: &Volume, mask: Option<&Mask>) -> String {
    one(step).apply(volume, mask, 3).unwrap_err().to_string()
}

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

fn singles(value: &Value) -> Vec<f32> {
    numbers(value)
        .into_iter()
        .map(|number| number as f32)
        .collect()
}

fn farthest(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let apart = found
        .iter()
        .zip(expected)
        .map(|(f, e)| (f64::from(*f) - e).abs());
    apart.fold(0.0, f64::max)
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product = |x: &[f64], mean_x: f64, y: &[f64], mean_y: f64| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| (x - mean_x) * (y - mean_y))
            .sum()
    };
    product(a, mean_a, b, mean_b)
        / (product(a, mean_a, a, mean_a) * product(b, mean_b, b, mean_b)).sqrt()
}
