//! A DICOM file as everything reads it that takes a path, and a second one like it but for a byte.
//!
//! The first byte of the input says at which place the second file differs. What was de-identified
//! is de-identified again, which must find nothing broken.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use ctl_fuzz::{DEFLATE, bounded, claims};
use ctl_imaging::dicom::{
    DeidentifyOptions, Palette, Secret, SeriesOptions, StoredBits, Window, attributes, deidentify,
    phi_report, read_pixels, read_series_files,
};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Bytes of a value, the widest ones.
const VALUE: usize = 8;

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

    // Values of pixels, where there are some; else what the header claims, for as many frames as
    // there can be fragments.
    let inflated = file.len() * DEFLATE;
    let fragments = file.len() / 8 + 1;
    let claimed = || claims::dicom(file, fragments).max(claims::dicom(&other, fragments));
    let pixels = || read_pixels(&first, StoredBits::BelowHighBit);
    let _ = bounded(file.len(), pixels, |read| match read {
        Ok(pixels) => inflated + pixels.samples.len() * VALUE,
        Err(_) => inflated.saturating_add(claimed()),
    });
    let without_pixels = || {
        let _ = attributes(&first);
        let _ = phi_report(&first);
        let _ = Window::read(&first);
        let _ = Palette::read(&first);
    };
    bounded(file.len(), without_pixels, |()| inflated);
    let series = || read_series_files(&[first.clone(), second], &SeriesOptions::default());
    let _ = bounded(2 * file.len(), series, |_| {
        2 * inflated.saturating_add(claimed())
    });

    let to = FOLDER.path().join("c.dcm");
    let again = FOLDER.path().join("d.dcm");
    let secret = Secret::new(b"fuzz");
    let options = DeidentifyOptions {
        allow_burned_in: true,
        ..DeidentifyOptions::default()
    };
    let rewritten = || deidentify(&first, &to, &secret, options);
    let claimed = |_: &_| inflated.saturating_add(claimed());
    if bounded(file.len(), rewritten, claimed).is_ok() {
        deidentify(&to, &again, &secret, options).expect("it was written by this crate");
    }
});
