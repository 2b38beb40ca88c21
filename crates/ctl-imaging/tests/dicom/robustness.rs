//! Broken files: an error or a sound value, never a panic.

use crate::make::{save, slice};
use ctl_imaging::dicom::{
    DeidentifyOptions, Palette, Secret, SeriesOptions, StoredBits, Window, attributes, deidentify,
    info, phi_report, read_pixels, read_series_files,
};
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;

/// Everything that reads a file.
fn read_all(path: &Path) {
    let _ = info(path);
    let _ = read_pixels(path, StoredBits::default());
    let _ = attributes(path);
    let _ = phi_report(path);
    let _ = Window::read(path);
    let _ = Palette::read(path);
    let _ = read_series_files(&[path.to_owned()], &SeriesOptions::default());
    let to = path.with_extension("out");
    let _ = deidentify(path, &to, &Secret::new(b"x"), DeidentifyOptions::default());
}

/// A slice with a nested sequence, as bytes.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = save(&slice([0.0; 3], 0), folder.path(), "whole.dcm");
    std::fs::read(path).unwrap()
});

/// JPEG headers of processes that are read, before random data.
const JPEG_STARTS: [&[u8]; 2] = [
    // 8-bit DCT with tables of one code each.
    &[
        0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0xFF, 0xC4, 0, 21, 0, 0, 2, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0xFF, 0xC4, 0, 21, 0x10, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0x11, 0xFF, 0xC0, 0, 11, 8, 0, 3, 0, 4, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1,
        1, 0, 0, 63, 0,
    ],
    // Lossless.
    &[
        0xFF, 0xD8, 0xFF, 0xC4, 0, 22, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 16,
        0xFF, 0xC3, 0, 11, 16, 0, 3, 0, 4, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1, 1, 0, 4, 0, 0,
    ],
];

/// A slice whose pixels are one fragment in a transfer syntax.
fn compressed(syntax: &str, fragment: &[u8]) -> Vec<u8> {
    let mut bytes = WHOLE.clone();
    let old = b"1.2.840.10008.1.2.1\0";
    let at = bytes
        .windows(old.len())
        .position(|window| window == old)
        .unwrap();
    let mut uid = syntax.as_bytes().to_vec();
    uid.resize(uid.len().next_multiple_of(2), 0);
    bytes[at - 2] = uid.len() as u8;
    bytes.splice(at..at + old.len(), uid);
    let pixels = [0xE0, 0x7F, 0x10, 0, b'O', b'W'];
    let at = bytes
        .windows(6)
        .position(|window| window == pixels)
        .unwrap();
    bytes.truncate(at);
    bytes.extend([0xE0, 0x7F, 0x10, 0, b'O', b'B', 0, 0, 255, 255, 255, 255]);
    bytes.extend([0xFE, 0xFF, 0, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0, 0xE0]);
    bytes.extend((fragment.len() as u32).to_le_bytes());
    bytes.extend(fragment);
    bytes.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    bytes
}

#[test]
fn every_truncation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.dcm");
    for length in (1..WHOLE.len()).step_by(3) {
        std::fs::write(&path, &WHOLE[..length]).unwrap();
        assert!(
            read_pixels(&path, StoredBits::default()).is_err(),
            "{length}"
        );
        read_all(&path);
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut bytes = WHOLE[..WHOLE.len() - 36].to_vec();
    for _ in 0..100_000 {
        bytes.extend([0x08, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 255, 255, 255, 255]);
        bytes.extend([0xFE, 0xFF, 0, 0xE0, 255, 255, 255, 255]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep.dcm");
    std::fs::write(&path, bytes).unwrap();
    let error = read_pixels(&path, StoredBits::default()).unwrap_err();
    assert!(error.to_string().contains("nested"), "{error}");
    read_all(&path);
}

/// What stands behind a stray delimiter is not passed over.
#[test]
fn stray_delimiters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stray.dcm");
    let mut bytes = WHOLE.clone();
    bytes.extend([0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0]);
    std::fs::write(&path, &bytes).unwrap();
    assert!(read_pixels(&path, StoredBits::default()).is_ok());
    bytes.extend([0; 8]);
    std::fs::write(&path, &bytes).unwrap();
    let error = read_pixels(&path, StoredBits::default()).unwrap_err();
    assert!(error.to_string().contains("end of an item"), "{error}");
    assert_eq!(info(&path).unwrap().warnings.len(), 1);
}

/// Sizes that a header claims are not allocated.
#[test]
fn claims_of_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.dcm");
    for syntax in [
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.5",
    ] {
        let mut bytes = compressed(syntax, &JPEG_STARTS[1][..40]);
        for tag in [
            [0x28, 0, 0x10, 0, b'U', b'S'],
            [0x28, 0, 0x11, 0, b'U', b'S'],
        ] {
            let at = bytes.windows(6).position(|window| window == tag).unwrap();
            bytes[at + 8..at + 10].copy_from_slice(&[255, 255]);
        }
        std::fs::write(&path, bytes).unwrap();
        assert!(read_pixels(&path, StoredBits::default()).is_err());
    }
}

#[test]
fn no_dicom_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    assert!(info(&path).is_err());
    for content in [&b""[..], b"x", b"a text that is no image at all", &[0; 200]] {
        std::fs::write(&path, content).unwrap();
        assert!(read_pixels(&path, StoredBits::default()).is_err());
        read_all(&path);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn changed_bytes(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changed.dcm");
        let mut bytes = WHOLE.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        std::fs::write(&path, bytes).unwrap();
        read_all(&path);
    }

    #[test]
    fn random_fragments(
        start in 0..3_usize,
        syntax in 0..3_usize,
        data in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changed.dcm");
        let syntax = ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5"][syntax];
        let head = JPEG_STARTS.get(start).copied().unwrap_or_default();
        std::fs::write(&path, compressed(syntax, &[head, &data].concat())).unwrap();
        let _ = read_pixels(&path, StoredBits::default());
    }
}
