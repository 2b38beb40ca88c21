//! A DICOM file as everything reads it that takes a path, and a second one like it but for a byte.
//!
//! The first byte of the input says at which place the second file differs. What was de-identified
//! is de-identified again, which must find nothing broken.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use ctl_imaging::dicom::{
    DeidentifyOptions, Palette, Secret, SeriesOptions, StoredBits, Window, attributes, deidentify,
    phi_report, read_pixels, read_series_files,
};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("the folder for temporary files can be written"));

fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.path().join(name);
    fs::write(&path, bytes).expect("the folder is ours");
    path
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&place, file)) = bytes.split_first() else {
        return;
    };
    let first = written("a.dcm", file);
    let mut other = file.to_vec();
    let at = usize::from(place) * file.len() / 256;
    if let Some(byte) = other.get_mut(at) {
        *byte = byte.wrapping_add(1);
    }
    let second = written("b.dcm", &other);

    let _ = read_pixels(&first, StoredBits::BelowHighBit);
    let _ = attributes(&first);
    let _ = phi_report(&first);
    let _ = Window::read(&first);
    let _ = Palette::read(&first);
    let _ = read_series_files(&[first.clone(), second], &SeriesOptions::default());

    let to = FOLDER.path().join("c.dcm");
    let again = FOLDER.path().join("d.dcm");
    let secret = Secret::new(b"fuzz");
    let options = DeidentifyOptions {
        allow_burned_in: true,
        ..DeidentifyOptions::default()
    };
    if deidentify(&first, &to, &secret, options).is_ok() {
        deidentify(&to, &again, &secret, options).expect("it was written by this crate");
    }
});
