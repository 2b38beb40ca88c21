//! Masks of what was imaged.

use ctl_imaging::volume::{Affine, Samples, Volume};
use ctl_imaging::{ForegroundOptions, foreground_mask, otsu_threshold};
use num_complex::Complex;
use rstest::rstest;

const SIDE: usize = 24;

fn affine() -> Affine {
    Affine::from_spacing([1.0, 1.0, 2.0], [0.0; 3]).unwrap()
}

/// How far a voxel of a plane lies from the middle.
fn from_middle(i: usize, j: usize) -> f64 {
    let middle = 0.5 * (SIDE - 1) as f64;
    (i as f64 - middle).hypot(j as f64 - middle)
}

/// A head: a bright disc with a dark hole in it and a bright crumb beside it, in noisy air.
fn head(depth: usize) -> Vec<f32> {
    let mut values = Vec::new();
    for _ in 0..depth {
        for j in 0..SIDE {
            for i in 0..SIDE {
                let is_head = from_middle(i, j) < 8.0 && from_middle(i, j) > 3.5;
                let is_crumb = i == 1 && j == 1;
                let noise = ((i * 31 + j * 17) % 10) as f32;
                values.push(noise + if is_head || is_crumb { 100.0 } else { 0.0 });
            }
        }
    }
    values
}

#[test]
fn the_head_is_found_whole_and_alone() {
    let volume = Volume::new(&[SIDE, SIDE], Samples::F32(head(1)), affine()).unwrap();
    let mask = foreground_mask(&volume, &ForegroundOptions::default()).unwrap();
    for (index, mark) in mask.into_iter().enumerate() {
        let (i, j) = (index % SIDE, index / SIDE);
        assert_eq!(mark, from_middle(i, j) < 8.0, "({i}, {j})");
    }
}

#[test]
fn a_picture_a_flat_volume_and_the_mean_of_frames_agree() {
    let one = head(1);
    let twice: Vec<f32> = one
        .iter()
        .map(|value| value * 0.5)
        .chain(one.iter().map(|v| v * 1.5))
        .collect();
    let pairs = one
        .iter()
        .flat_map(|&value| [value - 7.0, value + 7.0])
        .collect();
    let options = ForegroundOptions::default();
    let images = [
        Volume::new(&[SIDE, SIDE], Samples::F32(one.clone()), affine()),
        Volume::new(&[SIDE, SIDE, 1], Samples::F32(one.clone()), affine()),
        Volume::new(&[SIDE, SIDE, 1, 2], Samples::F32(twice), affine()),
        Volume::with_components(&[SIDE, SIDE], 2, Samples::F32(pairs), affine()),
    ];
    let masks = images.map(|image| foreground_mask(&image.unwrap(), &options).unwrap());
    assert!(masks.iter().all(|mask| *mask == masks[0]));
}

#[test]
fn a_tunnel_is_no_hole_of_a_volume() {
    let volume = Volume::new(&[SIDE, SIDE, 5], Samples::F32(head(5)), affine()).unwrap();
    let options = ForegroundOptions {
        closing_radius: 0.0,
        ..Default::default()
    };
    let mask = foreground_mask(&volume, &options).unwrap();
    for (index, mark) in mask.into_iter().enumerate() {
        let (i, j) = (index % SIDE, index / SIDE % SIDE);
        // It is open at both ends, and nothing closes it.
        let is_head = from_middle(i, j) < 8.0 && from_middle(i, j) > 3.5;
        assert_eq!(mark, is_head, "({i}, {j})");
    }
}

#[test]
fn an_image_of_one_number_has_no_foreground() {
    let volume = Volume::new(&[4, 3], Samples::U8(vec![9; 12]), affine()).unwrap();
    let mask = foreground_mask(&volume, &ForegroundOptions::default()).unwrap();
    assert_eq!(mask, [false; 12]);
}

#[rstest]
#[case::none(&[])]
#[case::nan(&[1.0, f64::NAN])]
#[case::infinite(&[1.0, f64::INFINITY])]
#[case::range(&[-1.5e308, 1.5e308])]
fn ill_numbers_are_refused(#[case] values: &[f64]) {
    let error = otsu_threshold(values).unwrap_err();
    assert!(
        error.to_string().starts_with("values to separate"),
        "{error}"
    );
}

#[test]
fn ill_images_and_options_are_refused() {
    let volume = Volume::new(&[2, 1], Samples::U8(vec![0, 1]), affine()).unwrap();
    let options = ForegroundOptions {
        closing_radius: -1.0,
        ..Default::default()
    };
    assert!(foreground_mask(&volume, &options).is_err());
    let complex = Samples::Complex64(vec![Complex::new(0.0, 1.0); 2]);
    let volume = Volume::new(&[2, 1], complex, affine()).unwrap();
    assert!(foreground_mask(&volume, &ForegroundOptions::default()).is_err());
}
