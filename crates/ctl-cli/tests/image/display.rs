//! What a DICOM file says of its display, which series is meant, and labels over images.

use crate::made::{Elements, save, set, slice};
use crate::{ctl, stderr, text};
use ctl_imaging::volume::{Affine, Samples, Volume, read_volume, write_volume};
use ctl_imaging::{Colour, read_raster};
use rstest::rstest;
use std::path::Path;

const VALUES: [i16; 12] = [-2000, 0, 50, 100, 150, 200, 255, 300, -5, 10, 20, 30];

/// Shows 0 to 255 (PS3.3 equation C.11-1 with center 128 and width 256); −2000 is padding.
fn windowed(photometric: &str) -> Elements {
    let mut elements = slice("1.2.3.4", 0, &VALUES);
    set(&mut elements, (0x0028, 0x0004), "CS", photometric);
    set(&mut elements, (0x0028, 0x1050), "DS", "128");
    set(&mut elements, (0x0028, 0x1051), "DS", "256");
    let padding = (-2000_i16).to_le_bytes().to_vec();
    elements.insert((0x0028, 0x0120), ("SS", padding));
    elements
}

/// The bytes of the first channel of a picture.
fn bytes(picture: &Path) -> Vec<u8> {
    let raster = read_raster(picture, Colour::Native).unwrap();
    let channel = raster.channel(0).unwrap().iter();
    channel
        .map(|sample| (sample * 255.0).round() as u8)
        .collect()
}

#[rstest]
#[case::as_it_is("MONOCHROME2", [0, 0, 50, 100, 150, 200, 255, 255, 0, 10, 20, 30])]
// Padding stays black.
#[case::inverted("MONOCHROME1", [0, 255, 205, 155, 105, 55, 0, 0, 255, 245, 235, 225])]
fn the_file_says_how_it_is_shown(#[case] photometric: &str, #[case] expected: [u8; 12]) {
    let folder = tempfile::tempdir().unwrap();
    let (from, picture) = (folder.path().join("a.dcm"), folder.path().join("a.png"));
    save(&windowed(photometric), &from);
    let out = ctl(&["image", "show", text(&from), text(&picture)]);
    assert!(out.status.success(), "{}", stderr(&out));
    // Right is left and front is top, as the rows of an axial slice are stored.
    assert_eq!(bytes(&picture), expected);
}

#[test]
fn what_another_format_does_not_hold_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.dcm"), folder.path().join("a.nii"));
    let mut elements = windowed("MONOCHROME1");
    elements.remove(&(0x0018, 0x0050));
    save(&elements, &from);
    let out = ctl(&["image", "convert", text(&from), text(&to)]);
    let said = stderr(&out);
    assert!(out.status.success(), "{said}");
    for word in [
        "center 128, width 256",
        "MONOCHROME1",
        "from -2000 to -2000",
        "taken to be 1 mm deep",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(read_volume(&to).unwrap().value(&[0, 0, 0]), Some(-2000.0));
}

#[test]
fn one_of_several_series_is_chosen_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (series, z, first) in [("1.2.9", 0, 7), ("1.2.9", 2, 8), ("1.2.8", 0, 9)] {
        let mut elements = slice(series, z, &[first; 12]);
        set(
            &mut elements,
            (0x0008, 0x103e),
            "LO",
            &format!("scan {series}"),
        );
        save(&elements, &folder.path().join(format!("{series} {z}.dcm")));
    }
    // A second stack of the second series, seen from the side.
    let mut aside = slice("1.2.9", 4, &[6; 12]);
    set(&mut aside, (0x0020, 0x0037), "DS", "0\\1\\0\\0\\0\\-1");
    let info = |series: &[&str]| {
        let path = text(folder.path());
        ctl(&[&["image", "info", path, "--json"][..], series].concat())
    };
    let out = info(&[]);
    assert_eq!(out.status.code(), Some(3));
    let said = stderr(&out);
    for word in [
        "found 2: ",
        "1.2.8 (CT, scan 1.2.8, slices: 1)",
        "1.2.9 (CT, scan 1.2.9, slices: 2)",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let shape = |out: std::process::Output| {
        assert!(out.status.success(), "{}", stderr(&out));
        let found: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        found["shape"].clone()
    };
    assert_eq!(
        shape(info(&["--series", "1.2.9"])),
        serde_json::json!([4, 3, 2])
    );
    let said = stderr(&info(&["--series", "1.2.7"]));
    assert!(
        said.contains("expected the series 1.2.7, found 2: 1.2.8"),
        "{said}"
    );

    save(&aside, &folder.path().join("aside.dcm"));
    let said = stderr(&info(&["--series", "1.2.9"]));
    for word in ["found 2: ", "1.2.9:1 (CT, ", "1.2.9:2 (CT, "] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let sides = ["1.2.9:1", "1.2.9:2"].map(|stack| shape(info(&["--series", stack]))[2].clone());
    assert_eq!(
        sides
            .iter()
            .filter_map(serde_json::Value::as_u64)
            .sum::<u64>(),
        3
    );
    assert_eq!(info(&["--series", "1.2.9:3"]).status.code(), Some(3));
}

/// Voxels of 1 mm beside each other, and what follows them in time.
fn row(path: &Path, shape: &[usize], components: usize, samples: Samples) {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let volume = Volume::with_components(shape, components, samples, affine).unwrap();
    write_volume(path, &volume).unwrap();
}

#[rstest]
#[case::first("0", [true, false])]
#[case::second("1", [false, true])]
fn labels_are_those_of_the_frame_that_is_shown(#[case] frame: &str, #[case] coloured: [bool; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    row(
        &path("a.nii"),
        &[2, 1, 1, 2],
        1,
        Samples::U8(vec![10, 20, 30, 40]),
    );
    // x runs to the right, which is shown on the left.
    row(
        &path("labels.nii"),
        &[2, 1, 1, 2],
        1,
        Samples::U8(vec![0, 1, 1, 0]),
    );
    let (from, to, labels) = (path("a.nii"), path("a.png"), path("labels.nii"));
    let words = ["--overlay", text(&labels), "--frame", frame];
    let out = ctl(&[&["image", "show", text(&from), text(&to)][..], &words].concat());
    assert!(out.status.success(), "{}", stderr(&out));
    let picture = read_raster(&to, Colour::Native).unwrap();
    let (red, blue) = (picture.channel(0).unwrap(), picture.channel(2).unwrap());
    let differ = [0, 1].map(|pixel| (red[pixel] - blue[pixel]).abs() > 0.1);
    assert_eq!(differ, coloured);
}

#[rstest]
#[case::colours(&[2, 1, 1], 3, Samples::U8(vec![1; 6]), "one real label a voxel, found 3 of uint8")]
#[case::halves(&[2, 1, 1], 1, Samples::F32(vec![1.0, 0.5]), "whole numbers, found 0.5")]
#[case::none(&[2, 1, 1], 1, Samples::F32(vec![f32::NAN, 1.0]), "whole numbers, found NaN")]
#[case::frames(&[2, 1, 1, 3], 1, Samples::U8(vec![1; 6]), "frame of the overlay: expected a number below 3")]
fn what_are_no_labels_is_refused(
    #[case] shape: &[usize],
    #[case] components: usize,
    #[case] samples: Samples,
    #[case] said: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    row(&path("a.nii"), &[2, 1, 1, 4], 1, Samples::U8(vec![1; 8]));
    row(&path("labels.nii"), shape, components, samples);
    let (from, to, labels) = (path("a.nii"), path("a.png"), path("labels.nii"));
    let words = ["--overlay", text(&labels), "--frame", "3"];
    let out = ctl(&[&["image", "show", text(&from), text(&to)][..], &words].concat());
    assert_eq!(out.status.code(), Some(3));
    assert!(stderr(&out).contains(said), "{}", stderr(&out));
    assert!(!to.exists());
}
