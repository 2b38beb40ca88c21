//! Damaged inputs of every format: one error that names the file, code 3, and nothing written.

use crate::made::{save, slice};
use crate::{ctl_in, stderr};
use ctl_imaging::nifti::{self, WriteOptions};
use ctl_imaging::volume::{Affine, Samples, Volume, write_volume};
use rstest::rstest;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Numbers that do not compress, on a grid of so many voxels along each axis.
pub(crate) fn noise(side: usize) -> Volume {
    let mut state = 1_u32;
    let numbers = (0..side.pow(3)).map(|_| {
        // A linear congruence (Numerical Recipes, 7.1).
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16).cast_signed() as i16
    });
    let affine = Affine::from_spacing([1.0, 2.0, 3.0], [0.0; 3]).unwrap();
    Volume::new(&[side; 3], Samples::I16(numbers.collect()), affine).unwrap()
}

/// Writes a sound image in the format of its name.
fn sound(path: &Path) {
    match path.extension().and_then(|end| end.to_str()) {
        Some("dcm") => save(&slice("1.2.3", 0, &[3; 12]), path),
        Some("img") => nifti::write(path, &noise(4), &WriteOptions::default()).unwrap(),
        _ => write_volume(path, &noise(4)).unwrap(),
    }
}

/// Names and contents of a folder.
pub(crate) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut all: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap_or_default()))
        .collect();
    all.sort();
    all
}

/// Runs a command on a damaged file beside files that were there, which must all stay as they are.
fn run(folder: &Path, words: &[&str]) -> Output {
    let before = contents(folder);
    let out = ctl_in(folder, words);
    assert!(contents(folder) == before, "{words:?} changed the folder");
    out
}

fn assert_refused(out: &Output, name: &str, said: &str) {
    let text = stderr(out);
    assert_eq!(out.status.code(), Some(3), "{name}: {text}");
    assert!(
        text.starts_with("error: ") && text.lines().count() == 1,
        "{text}"
    );
    let stem = name.split('.').next().unwrap();
    assert!(text.contains(stem) && text.contains(said), "{said}: {text}");
    assert!(out.stdout.is_empty());
}

/// A folder with an older picture and an older image, and one sound input.
fn prepared(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for older in ["old.nii", "old.png"] {
        std::fs::write(folder.path().join(older), "older").unwrap();
    }
    let path = folder.path().join(name);
    sound(&path);
    (folder, path)
}

fn all_three(name: &str) -> [Vec<&str>; 3] {
    [
        vec!["image", "info", name, "--json"],
        vec!["image", "convert", name, "old.nii"],
        vec!["image", "show", name, "old.png"],
    ]
}

#[rstest]
#[case::nifti("scan.nii", "truncated")]
#[case::compressed("scan.nii.gz", "truncated")]
#[case::pair("scan.img", "truncated")]
#[case::nrrd("scan.nrrd", "scan.nrrd")]
#[case::metaimage("scan.mha", "scan.mha")]
fn a_cut_file_is_refused(#[case] name: &str, #[case] said: &str) {
    let (folder, path) = prepared(name);
    let bytes = std::fs::read(&path).unwrap();
    for words in all_three(name) {
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        assert_refused(&run(folder.path(), &words), name, said);
    }
}

#[rstest]
#[case::magic("scan.nii", 345, 0x20, "magic string")]
#[case::datatype("scan.nii", 71, 0x40, "a datatype that can be read")]
#[case::deflated("scan.nii.gz", -20, 0x01, "scan.nii.gz")]
#[case::header_of_a_pair("scan.hdr", 345, 0x20, "magic string")]
#[case::first_line("scan.nrrd", 0, 0x01, "scan.nrrd")]
#[case::deflated_nrrd("scan.nrrd", -20, 0x10, "scan.nrrd")]
#[case::deflated_metaimage("scan.mha", -20, 0x10, "scan.mha")]
#[case::first_word("scan.mha", 0, 0x01, "scan.mha")]
fn a_flipped_bit_is_found(
    #[case] name: &str,
    #[case] byte: isize,
    #[case] bit: u8,
    #[case] said: &str,
) {
    let (folder, path) = prepared(&name.replace(".hdr", ".img"));
    let path = path.with_file_name(name);
    let mut bytes = std::fs::read(&path).unwrap();
    // Negative ones are counted from the end.
    let byte = byte.rem_euclid(bytes.len().cast_signed()).cast_unsigned();
    bytes[byte] ^= bit;
    std::fs::write(&path, &bytes).unwrap();
    for words in all_three(name) {
        assert_refused(&run(folder.path(), &words), name, said);
    }
}

/// `info` is there to look at broken DICOM files: it tells what there is, and what is wrong.
#[rstest]
#[case::cut(|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 9))]
// Of 16 bits allocated 17 become.
#[case::flipped(|bytes: &mut Vec<u8>| {
    let tag = [0x28, 0x00, 0x00, 0x01, b'U', b'S', 2, 0];
    let at = bytes.windows(8).position(|window| window == tag).unwrap();
    bytes[at + 8] ^= 1;
})]
fn broken_dicom_is_told_but_not_converted(#[case] damage: fn(&mut Vec<u8>)) {
    let (folder, path) = prepared("scan.dcm");
    let mut bytes = std::fs::read(&path).unwrap();
    damage(&mut bytes);
    std::fs::write(&path, &bytes).unwrap();
    let [info, convert, show] = all_three("scan.dcm");
    let out = run(folder.path(), &info);
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(
        told["pixel_error"].is_string() && told["pixel"].is_null(),
        "{told}"
    );
    for words in [convert, show] {
        assert_refused(&run(folder.path(), &words), "scan.dcm", "expected");
    }
}

#[rstest]
fn what_is_no_file_is_refused(
    #[values(
        "scan.nii",
        "scan.nii.gz",
        "scan.img",
        "scan.nrrd",
        "scan.mha",
        "scan.dcm"
    )]
    name: &str,
) {
    let (folder, path) = prepared(name);
    for words in all_three(name) {
        std::fs::write(&path, "").unwrap();
        assert_refused(&run(folder.path(), &words), name, "found an empty file");
        std::fs::remove_file(&path).unwrap();
        // Of a pair the other half may be missed first.
        assert_refused(&run(folder.path(), &words), name, "cannot open");
        std::fs::create_dir(&path).unwrap();
        let said = "expected DICOM images, found none";
        assert_refused(&run(folder.path(), &words), name, said);
        std::fs::remove_dir(&path).unwrap();
    }
}

#[test]
fn a_folder_in_the_place_of_an_output_stays() {
    let (folder, _) = prepared("scan.nii");
    for name in ["there.nii", "there.png"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    for words in [["convert", "there.nii"], ["show", "there.png"]] {
        let words = ["image", words[0], "scan.nii", words[1]];
        let out = run(folder.path(), &words);
        assert_refused(&out, "there", "expected a file to write, found a folder");
    }
}
