//! Slices as they are looked at: which side is where, and what is refused.

use ctl_imaging::volume::{Affine, Orientation, Plane, Samples, SheetOptions, Volume};
use rstest::rstest;

/// Eight voxels of 1 mm, numbered 1 for the patient's right, plus 2 for the front, plus 4 for the
/// head.
fn corners() -> Volume {
    // In RAS+ indices grow to the right, the front and the head.
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    Volume::new(&[2, 2, 2], Samples::U8((0..8).collect()), affine).unwrap()
}

const RIGHT: u8 = 1;
const FRONT: u8 = 2;
const HEAD: u8 = 4;

/// The numbers of a picture, row by row, of its first slice and then its second.
fn numbers(volume: &Volume, plane: Plane) -> Vec<u8> {
    let options = SheetOptions {
        plane,
        window: Some([0.0, 8.0]),
        ..SheetOptions::default()
    };
    let sheet = volume.sheet(None, &options).unwrap();
    // Two slices of 2 × 2 pixels beside each other.
    assert_eq!(sheet.shape(), [3, 2, 4]);
    let pixel = |row: usize, column: usize| {
        (sheet.channel(0).unwrap()[row * 4 + column] * 8.0).round() as u8
    };
    let slice = |left: usize| {
        [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(row, column)| pixel(row, left + column))
    };
    [slice(0), slice(2)].concat()
}

/// Top left, top right, bottom left, bottom right of two slices.
#[rstest]
#[case::axial(Plane::Axial, [RIGHT | FRONT, FRONT, RIGHT, 0], HEAD)]
#[case::coronal(Plane::Coronal, [RIGHT | HEAD, HEAD, RIGHT, 0], FRONT)]
#[case::sagittal(Plane::Sagittal, [FRONT | HEAD, HEAD, FRONT, 0], RIGHT)]
fn radiologists_find_right_on_the_left_and_the_front_on_top_or_left(
    #[case] plane: Plane,
    #[case] first: [u8; 4],
    #[case] second: u8,
) {
    let expected = [first, first.map(|number| number | second)].concat();
    for orientation in Orientation::all() {
        let stored = corners().reoriented(orientation).unwrap();
        assert_eq!(numbers(&stored, plane), expected, "{}", orientation.codes());
    }
}

#[test]
fn a_sheet_that_no_picture_holds_is_refused_before_it_is_drawn() {
    // Each slice would be 1024 × 1024 pixels, which 400 KB of voxels ask for.
    let affine = Affine::from_spacing([1.0, 1024.0, 1.0], [0.0; 3]).unwrap();
    let samples = Samples::U8(vec![1; 1024 * 400]);
    let volume = Volume::new(&[1024, 1, 400], samples, affine).unwrap();
    let options = SheetOptions {
        slices: 400,
        ..SheetOptions::default()
    };
    let error = volume.sheet(None, &options).unwrap_err().to_string();
    let expected = "slices of a sheet: expected at most about 341 of 1024 × 1024 pixels, found 400";
    assert_eq!(error, expected);
    let options = SheetOptions {
        slices: 4,
        ..options
    };
    assert_eq!(
        volume.sheet(None, &options).unwrap().shape(),
        [3, 2048, 2048]
    );
}

#[rstest]
#[case::backwards([2.0, 1.0])]
#[case::flat([1.0, 1.0])]
#[case::endless([0.0, f64::INFINITY])]
#[case::nan([f64::NAN, 1.0])]
fn a_window_has_two_finite_ends_in_order(#[case] window: [f64; 2]) {
    let options = SheetOptions {
        window: Some(window),
        ..SheetOptions::default()
    };
    let error = corners().sheet(None, &options).unwrap_err().to_string();
    assert!(
        error.starts_with("window: expected two finite numbers"),
        "{error}"
    );
}
