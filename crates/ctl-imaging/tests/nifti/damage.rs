//! Damaged files: an error or a sound image, never a panic, never more memory than has come.

use crate::golden::FILES;
use crate::{counting, parsed, written};
use ctl_imaging::nifti::{Extension, Reader, Version, WriteOptions};
use proptest::prelude::*;
use rstest::rstest;
use std::path::Path;

/// Whatever the bytes are, every way of reading them returns.
fn read_every_way(bytes: &[u8]) {
    let image = parsed(bytes);
    let Ok(reader) = Reader::from_bytes(bytes.to_vec(), Path::new("mutant")) else {
        assert!(image.is_err());
        return;
    };
    let info = reader.info();
    let last: Vec<usize> = reader.shape().iter().map(|side| side - 1).collect();
    let value = reader.value(&last);
    if let Ok(image) = image {
        let volume = image.volume;
        let found = volume.value(&last).unwrap();
        assert_eq!(found.to_bits(), value.unwrap().to_bits());
        assert!(info.unwrap().shape.iter().product::<usize>() >= volume.voxels());
    }
    let _ = reader.slice(0, 0);
    let _ = reader.frame(0);
}

fn sample(version: Version, name: &str) -> Vec<u8> {
    let options = WriteOptions {
        version: Some(version),
        extensions: vec![Extension::text(6, "a comment")],
        ..WriteOptions::default()
    };
    written(&counting(&[5, 4, 3]), name, &options)
}

#[rstest]
#[case(Version::One)]
#[case(Version::Two)]
fn headers_with_one_byte_changed_do_not_panic(#[case] version: Version) {
    let sound = sample(version, "a.nii");
    let end = version.header_bytes() + 4 + 16;
    for at in 0..end {
        for byte in [0, 1, 0x7f, 0x80, 0xff, !sound[at]] {
            let mut bytes = sound.clone();
            bytes[at] = byte;
            read_every_way(&bytes);
        }
    }
}

#[rstest]
#[case(Version::One, "a.nii")]
#[case(Version::Two, "a.nii")]
#[case(Version::One, "a.nii.gz")]
#[case(Version::Two, "a.nii.gz")]
fn truncation_is_an_error_everywhere(#[case] version: Version, #[case] name: &str) {
    let bytes = sample(version, name);
    assert!(parsed(&bytes).is_ok());
    let ends = (0..bytes.len()).step_by(16).chain([bytes.len() - 1]);
    for end in ends {
        let error = parsed(&bytes[..end]).unwrap_err();
        assert!(!error.to_string().is_empty(), "{end}");
    }
}

#[test]
fn a_wrong_checksum_is_an_error() {
    let mut bytes = sample(Version::One, "a.nii.gz");
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    assert!(parsed(&bytes).is_err());
}

#[rstest]
#[case("a.nii", "expected 70362301923710 bytes, found 504 (truncated)")]
#[case("a.nii.gz", "bytes of content, found fewer (truncated)")]
fn a_huge_size_in_a_small_file_allocates_nothing(#[case] name: &str, #[case] message: &str) {
    // 32767³ voxels of two bytes; memory for them does not exist.
    let plain = sample(Version::One, "a.nii");
    let mut bytes = plain.clone();
    for axis in 0..3 {
        bytes[42 + 2 * axis..][..2].copy_from_slice(&i16::MAX.to_le_bytes());
    }
    if name == "a.nii.gz" {
        bytes = gzip(&bytes);
    }
    let error = parsed(&bytes).unwrap_err().to_string();
    assert!(error.ends_with(message), "{error}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn sizes_that_overflow_are_refused() {
    let mut bytes = sample(Version::Two, "a.nii");
    for axis in 0..3 {
        bytes[24 + 8 * axis..][..8].copy_from_slice(&(1_i64 << 40).to_le_bytes());
    }
    let error = parsed(&bytes).unwrap_err().to_string();
    assert!(error.contains("an image that can be addressed"), "{error}");
    bytes[24..32].copy_from_slice(&(-5_i64).to_le_bytes());
    let error = parsed(&bytes).unwrap_err().to_string();
    assert!(error.contains("1 voxel or more along each axis"), "{error}");
    assert!(error.contains("-5"), "{error}");
}

#[test]
fn what_is_not_nifti_says_so() {
    let cases: [(&[u8], &str); 4] = [
        (b"", "0 bytes"),
        (b"\x89PNG\r\n\x1a\n", "8 bytes"),
        (&[7; 600], "something else"),
        (
            &analyze(),
            "an ANALYZE 7.5 header without the magic string of NIfTI",
        ),
    ];
    for (bytes, found) in cases {
        let error = parsed(bytes).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("bytes: expected a NIfTI header, found {found}")
        );
    }
}

fn analyze() -> Vec<u8> {
    let mut bytes = sample(Version::One, "a.nii");
    bytes[344..348].fill(0);
    bytes
}

#[test]
fn compression_is_told_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let plain = sample(Version::One, "a.nii");
    let (one, other) = (folder.path().join("a.nii"), folder.path().join("a.nii.gz"));
    std::fs::write(&one, gzip(&plain)).unwrap();
    std::fs::write(&other, &plain).unwrap();
    let read = |path: &Path| ctl_imaging::nifti::read(path).unwrap().volume;
    assert_eq!(read(&one), read(&other));
    assert_eq!(read(&one), counting(&[5, 4, 3]));
}

#[test]
fn a_pair_without_its_other_half_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.img");
    ctl_imaging::nifti::write(&path, &counting(&[2, 2]), &WriteOptions::default()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let header = folder.path().join("a.hdr");
    let error = ctl_imaging::nifti::read(&header).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot open") && error.ends_with("a.img"),
        "{error}"
    );
    // The header can still be looked at.
    assert_eq!(
        ctl_imaging::nifti::read_header(&header).unwrap().dim[..3],
        [2, 2, 2]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn mutated_files_do_not_panic(
        file in any::<prop::sample::Index>(),
        edits in prop::collection::vec((0_usize..640, any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = FILES[file.index(FILES.len())].clone();
        for (at, byte) in edits {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_every_way(&bytes);
    }
}
