//! `ctl image`: what is printed, written and refused.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

mod conformance;
mod damage;
mod display;
mod made;
mod space;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ctl_imaging::volume::{Affine, SampleType, Samples, Volume, read_volume, write_volume};
use ctl_imaging::{Colour, read_raster};
use rstest::rstest;

/// Runs the binary in a folder.
fn ctl_in(folder: &Path, words: &[&str]) -> Output {
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    let mut command = Command::new(binary);
    command.args(words).current_dir(folder).output().unwrap()
}

fn ctl(words: &[&str]) -> Output {
    ctl_in(Path::new("."), words)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Numbered voxels of 1 × 2 × 3 mm that run to the left, the back and the head.
fn image(folder: &Path, name: &str) -> PathBuf {
    let affine = Affine::new([
        [-1.0, 0.0, 0.0, 10.0],
        [0.0, -2.0, 0.0, 20.0],
        [0.0, 0.0, 3.0, 30.0],
    ]);
    let samples = Samples::I16((0..24).collect());
    let volume = Volume::new(&[4, 3, 2], samples, affine.unwrap()).unwrap();
    let path = folder.join(name);
    write_volume(&path, &volume).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[rstest]
#[case::nifti("a.nii")]
#[case::compressed("a.nii.gz")]
#[case::nrrd("a.nrrd")]
#[case::metaimage("a.mha")]
fn header_and_numbers_are_printed_as_json(#[case] name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path(), name);
    let out = ctl(&["image", "info", text(&path), "--json", "--voxel", "3,2,1"]);
    assert!(out.status.success(), "{}", stderr(&out));
    let info: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(info["shape"], serde_json::json!([4, 3, 2]));
    assert_eq!(info["dtype"], "int16");
    assert_eq!(info["affine"][0], serde_json::json!([-1.0, 0.0, 0.0, 10.0]));
    let numbers = [
        "scaled_min",
        "scaled_max",
        "scaled_mean",
        "scaled_sum",
        "value",
    ];
    let numbers = numbers.map(|name| (info[name].as_f64().unwrap() * 10.0) as i64);
    assert_eq!(numbers, [0, 230, 115, 2760, 230]);
}

#[test]
fn an_image_is_turned_resampled_and_stored_in_another_type() {
    let folder = tempfile::tempdir().unwrap();
    let from = image(folder.path(), "a.nii");
    let to = folder.path().join("b.mha");
    let words = ["--orientation", "RAS", "--dtype", "uint8"];
    let out = ctl(&[&["image", "convert", text(&from), text(&to)][..], &words].concat());
    assert!(out.status.success(), "{}", stderr(&out));
    let turned = read_volume(&to).unwrap();
    assert_eq!(turned.affine().axis_codes(), "RAS");
    assert_eq!(turned.sample_type(), SampleType::UInt8);
    // The voxel (3, 2, 0) of before.
    assert_eq!(turned.value(&[0, 0, 0]), Some(11.0));

    let words = ["--spacing", "1,1,1", "--interpolation", "nearest"];
    let out = ctl(&[&["image", "convert", text(&from), text(&to)][..], &words].concat());
    assert!(out.status.success(), "{}", stderr(&out));
    assert_eq!(read_volume(&to).unwrap().shape(), [4, 6, 6]);
}

#[test]
fn slices_are_drawn_with_labels_in_colour() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path(), "a.nii.gz");
    let picture = folder.path().join("sheet.png");
    let show = ["image", "show", text(&path), text(&picture)];
    assert!(ctl(&show).status.success());
    let grey = read_raster(&picture, Colour::Native).unwrap();
    // Two slices of 4 mm × 6 mm.
    assert_eq!(grey.shape(), [3, 6, 8]);
    assert_eq!(grey.channel(0), grey.channel(2));

    let out = ctl(&[&show[..], &["--overlay", text(&path), "--slices", "1"]].concat());
    assert!(out.status.success(), "{}", stderr(&out));
    let coloured = read_raster(&picture, Colour::Native).unwrap();
    assert_eq!(coloured.shape(), [3, 6, 4]);
    assert_ne!(coloured.channel(0), coloured.channel(2));
}

#[rstest]
#[case::missing(&["image", "info", "nothing.nii"], 3, "cannot open")]
#[case::folder(&["image", "info", "."], 3, "error: ")]
#[case::picture(&["image", "info", "p.png"], 3, "found a PNG picture")]
#[case::empty(&["image", "info", "empty"], 3, "an empty file")]
#[case::cut(&["image", "info", "cut.nii"], 3, "cut.nii")]
#[case::outside(&["image", "info", "a.nii", "--voxel", "9,9,9"], 3, "9")]
#[case::no_format(&["image", "convert", "a.nii", "b.jpg"], 3, "expected a name that ends in .nii")]
#[case::spacing(&["image", "convert", "a.nii", "b.nii", "--spacing", "1,0,1"], 2, "three numbers above 0")]
#[case::orientation(&["image", "convert", "a.nii", "b.nii", "--orientation", "RLS"], 2, "one of R and L")]
#[case::too_narrow(&["image", "convert", "a.nii", "b.nii", "--dtype", "int"], 2, "expected one of uint8")]
#[case::frame(&["image", "show", "a.nii", "b.png", "--frame", "1"], 3, "a number below 1")]
#[case::window(&["image", "show", "a.nii", "b.png", "--window", "3,3"], 2, "the second above the first")]
#[case::endless_window(&["image", "show", "a.nii", "b.png", "--window", "-inf,3"], 2, "two finite numbers")]
#[case::no_window(&["image", "show", "a.nii", "b.png", "--window", "0,nan"], 2, "two finite numbers")]
#[case::half_a_window(&["image", "show", "a.nii", "b.png", "--window", "-5"], 2, "two finite numbers")]
#[case::negative_spacing(&["image", "convert", "a.nii", "b.nii", "--spacing", "-1,1,1"], 2, "three numbers above 0")]
#[case::two_spacings(&["image", "convert", "a.nii", "b.nii", "--spacing", "1,1"], 2, "three numbers above 0")]
#[case::nothing_to_interpolate(&["image", "convert", "a.nii", "b.nii", "--interpolation", "nearest"], 2, "--spacing")]
#[case::negative_voxel(&["image", "info", "a.nii", "--voxel", "-1,0,0"], 2, "--voxel")]
#[case::series_of_nifti(&["image", "info", "a.nii", "--series", "1.2"], 3, "not DICOM")]
#[case::other_text(&["image", "convert", "text", "b.nii"], 3, "expected DICOM, NIfTI, NRRD or MetaImage")]
#[case::short_text(&["image", "info", "text"], 3, "expected DICOM, NIfTI, NRRD or MetaImage")]
#[case::folder_to_write(&["image", "convert", "a.nii", "folder.nii"], 3, "found a folder")]
#[case::no_folder_to_write(&["image", "show", "a.nii", "absent/b.png"], 3, "cannot create")]
fn what_cannot_be_is_said_and_nothing_is_written(
    #[case] words: &[&str],
    #[case] code: i32,
    #[case] said: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path(), "a.nii");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(folder.path().join("cut.nii"), &bytes[..bytes.len() - 1]).unwrap();
    std::fs::write(folder.path().join("empty"), "").unwrap();
    std::fs::write(folder.path().join("text"), "hello").unwrap();
    std::fs::create_dir(folder.path().join("folder.nii")).unwrap();
    let png = ctl_imaging::Raster::new(1, 1, 1, vec![0.5]).unwrap();
    png.write_png(&folder.path().join("p.png")).unwrap();
    let before = std::fs::read_dir(folder.path()).unwrap().count();
    let out = ctl_in(folder.path(), words);
    assert_eq!(out.status.code(), Some(code), "{}", stderr(&out));
    assert!(stderr(&out).contains(said), "{}", stderr(&out));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
}
