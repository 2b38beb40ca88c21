//! A disk that fills up while an image is de-identified.
#![cfg(unix)]

use crate::disk::{contents, fill, target};
use crate::make::{number, pixels, save, slice};
use ctl_imaging::dicom::{DeidentifyOptions, Secret, deidentify};
use dicom_dictionary_std::tags;
use std::path::Path;

/// An image of 8 KiB.
fn large(folder: &Path) -> std::path::PathBuf {
    let mut object = slice([0.0; 3], 0);
    number(&mut object, tags::ROWS, 64);
    number(&mut object, tags::COLUMNS, 64);
    pixels(&mut object, &[7; 64 * 64]);
    save(&object, folder, "large.dcm")
}

/// Writes more than the limit of the process that the test below starts it in; there it must fail,
/// elsewhere it must not.
#[test]
fn helper_writes_eight_kilobytes() {
    let folder = tempfile::tempdir().unwrap();
    let secret = Secret::new(b"test");
    let options = DeidentifyOptions::default();
    if let Some(to) = target() {
        let from = to.with_file_name("large.dcm");
        let error = deidentify(&from, &to, &secret, options).unwrap_err();
        assert!(error.to_string().starts_with("cannot write"), "{error}");
    } else {
        let to = folder.path().join("clean.dcm");
        deidentify(&large(folder.path()), &to, &secret, options).unwrap();
    }
}

#[test]
fn the_old_file_stays_and_nothing_partial() {
    let folder = tempfile::tempdir().unwrap();
    large(folder.path());
    let to = folder.path().join("clean.dcm");
    std::fs::write(&to, "older").unwrap();
    let before = contents(folder.path());
    fill("failing_disk::helper_writes_eight_kilobytes", &to);
    assert!(contents(folder.path()) == before, "the folder changed");
}
