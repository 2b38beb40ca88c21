//! Morphology and rotation against numbers of other programs, on pictures that a formula draws.

use crate::support::draw;
use ctl_phantom::digits::morphology::{Morphology, Morphometrics};
use ctl_phantom::digits::{DigitError, Interpolation, Plane, rotate};
use serde::Deserialize;

#[derive(Deserialize)]
struct Stroke {
    name: String,
    pieces: Vec<[f64; 5]>,
    sum: u64,
    at_4: Morphometrics,
    at_16: Morphometrics,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    thickness: f64,
    row_sums: Vec<u64>,
    column_sums: Vec<u64>,
}

fn strokes() -> Vec<Stroke> {
    serde_json::from_str(include_str!("golden/morphomnist_strokes.json")).unwrap()
}

fn row_sums(image: &Plane<u8>) -> Vec<u64> {
    let sum = |y| image.row(y).iter().map(|&value| u64::from(value)).sum();
    (0..image.shape()[0]).map(sum).collect()
}

fn column_sums(image: &Plane<u8>) -> Vec<u64> {
    let [height, width] = image.shape();
    let sum = |x: usize| (0..height).map(|y| u64::from(image.row(y)[x])).sum();
    (0..width).map(sum).collect()
}

#[track_caller]
fn assert_close(found: Morphometrics, expected: Morphometrics, name: &str) {
    let pairs = [
        (found.area, expected.area),
        (found.length, expected.length),
        (found.thickness, expected.thickness),
        (found.slant, expected.slant),
    ];
    for (found, expected) in pairs {
        assert!(
            (found - expected).abs() < 1e-9,
            "{name}: {found} and {expected}"
        );
    }
}

#[test]
fn strokes_measure_as_the_published_program_has_it() {
    for stroke in strokes() {
        let image = draw(&stroke.pieces);
        assert_eq!(
            row_sums(&image).iter().sum::<u64>(),
            stroke.sum,
            "{}",
            stroke.name
        );
        for (scale, expected) in [(4, stroke.at_4), (16, stroke.at_16)] {
            let found = Morphology::new(&image, scale).unwrap().measures();
            assert_close(found, expected, &stroke.name);
        }
    }
}

#[test]
fn strokes_grow_and_shrink_as_the_published_program_has_it() {
    for stroke in strokes() {
        let morphology = Morphology::new(&draw(&stroke.pieces), 16).unwrap();
        for target in stroke.targets {
            let image = morphology.with_thickness(target.thickness).unwrap();
            let name = format!("{} at {}", stroke.name, target.thickness);
            // One grey level for each of 28 pixels, should another machine round another way.
            let sides = [
                (row_sums(&image), target.row_sums),
                (column_sums(&image), target.column_sums),
            ];
            for (found, expected) in sides {
                let mut lines = found.iter().zip(&expected);
                assert!(
                    lines.all(|(a, b)| a.abs_diff(*b) <= 28),
                    "{name}: {found:?}, {expected:?}"
                );
            }
        }
    }
}

#[test]
fn the_thickness_of_a_stroke_is_twice_its_radius() {
    for radius in [1.0, 1.5, 2.25, 3.0] {
        let image = draw(&[[13.5, 5.0, 13.5, 22.0, radius]]);
        let measures = Morphology::new(&image, 16).unwrap().measures();
        let off = measures.thickness - 2.0 * radius;
        assert!(off.abs() < 0.15, "{radius}: {measures:?}");
        // A capsule: a rectangle and a disk.
        let area = 2.0 * radius * 17.0 + std::f64::consts::PI * radius.powi(2);
        assert!(
            (measures.area / area - 1.0).abs() < 0.1,
            "{radius}: {measures:?} and {area}"
        );
    }
}

#[test]
fn a_stroke_can_be_given_any_thickness() {
    let morphology = Morphology::new(&draw(&[[13.5, 6.0, 13.5, 21.0, 2.0]]), 16).unwrap();
    // At 28 pixels no stroke is narrower at half of its height than the smoothing leaves it.
    let asked_and_found = [(1.5, 2.0), (2.5, 2.5), (3.5, 3.5), (5.0, 5.0), (7.0, 7.0)];
    for (thickness, expected) in asked_and_found {
        let image = morphology.with_thickness(thickness).unwrap();
        let found = Morphology::new(&image, 16).unwrap().thickness();
        assert!((found - expected).abs() < 0.15, "{thickness}: {found}");
    }
    let gone = morphology.with_thickness(0.0).unwrap();
    assert!(gone.values().iter().all(|&value| value == 0));
}

#[test]
fn slant_follows_the_lean() {
    for lean in [-6.0, -2.0, 0.0, 3.0, 7.0] {
        let image = draw(&[[13.5 + lean / 2.0, 5.0, 13.5 - lean / 2.0, 22.0, 1.5]]);
        let slant = Morphology::new(&image, 4).unwrap().measures().slant;
        let expected = (lean / 17.0_f64).atan();
        assert!(
            (slant - expected).abs() < 0.03,
            "{lean}: {slant} and {expected}"
        );
    }
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let blank = Plane::new([28, 28], vec![7_u8; 784]).unwrap();
    let error = Morphology::new(&blank, 4).unwrap_err();
    assert!(matches!(error, DigitError::Blank { value: 7 }));
    let bar = draw(&[[13.5, 6.0, 13.5, 21.0, 2.0]]);
    for scale in [0, 65] {
        let error = Morphology::new(&bar, scale).unwrap_err();
        assert!(matches!(error, DigitError::Setting { key: "scale", .. }));
    }
    let morphology = Morphology::new(&bar, 4).unwrap();
    for thickness in [-0.1, 64.5, f64::NAN] {
        let error = morphology.with_thickness(thickness).unwrap_err();
        assert!(matches!(
            error,
            DigitError::Value {
                name: "thickness",
                ..
            }
        ));
    }
}

#[derive(Deserialize)]
struct Turned {
    interpolation: Interpolation,
    degrees: f64,
    pixels: Vec<u8>,
}

#[test]
fn rotations_are_those_of_pillow() {
    let grey = |y: u32, x: u32| ((37 * x * x + 91 * y + 53 * x * y) % 256) as u8;
    let pixels = (0..9).flat_map(|y| (0..7).map(move |x| grey(y, x)));
    let image = Plane::new([9, 7], pixels.collect()).unwrap();
    let golden: Vec<Turned> = serde_json::from_str(include_str!("golden/rotations.json")).unwrap();
    for turned in golden {
        let found = rotate(&image, turned.degrees, turned.interpolation);
        let what = format!("{:?} {}", turned.interpolation, turned.degrees);
        assert_eq!(found.values(), turned.pixels, "{what}");
    }
}
