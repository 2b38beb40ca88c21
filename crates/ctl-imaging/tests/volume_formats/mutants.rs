//! Whatever bytes a file holds, readers return: they neither panic nor allocate without bound.

use super::golden::{bytes, metaimage_cases, nrrd_cases, unit};
use super::{fastmri, npy, tiff};
use ctl_imaging::bart::parse_bart;
use ctl_imaging::metaimage::parse_metaimage;
use ctl_imaging::npy::{LastAxis, parse_npy_volume};
use ctl_imaging::nrrd::parse_nrrd;
use ctl_imaging::tiff::{PageAxis, parse_pages};
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;

/// Valid files by format.
static FILES: LazyLock<Vec<(Format, Vec<u8>)>> = LazyLock::new(|| {
    let mut files = Vec::new();
    for case in nrrd_cases().iter().filter(|case| case.files.len() == 1) {
        files.push((Format::Nrrd, bytes(&case.files[&case.header])));
    }
    for case in metaimage_cases()
        .iter()
        .filter(|case| case.files.len() == 1)
    {
        files.push((Format::MetaImage, bytes(&case.files[&case.header])));
    }
    files.extend(
        npy::cases()
            .iter()
            .map(|case| (Format::Npy, bytes(&case.hex))),
    );
    files.extend(
        tiff::cases()
            .iter()
            .map(|case| (Format::Tiff, bytes(&case.hex))),
    );
    for name in ["multicoil.h5", "chunked.h5", "singlecoil.h5"] {
        files.push((
            Format::FastMri,
            std::fs::read(fastmri::golden(name)).unwrap(),
        ));
    }
    let bart = b"# Dimensions\n1 2 1 1 1 1 1 1 1 1 1 1 1 1 1 1 \n# Command\nones\n";
    files.push((Format::Bart, bart.to_vec()));
    files
});

#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Nrrd,
    MetaImage,
    Npy,
    Tiff,
    FastMri,
    Bart,
}

fn read(format: Format, bytes: &[u8]) -> bool {
    let path = Path::new("mutant");
    match format {
        Format::Nrrd => parse_nrrd(bytes, path).is_ok(),
        Format::MetaImage => parse_metaimage(bytes, path).is_ok(),
        Format::Npy => {
            let voxels = parse_npy_volume(bytes, path, LastAxis::Voxels, unit());
            let components = parse_npy_volume(bytes, path, LastAxis::Components, unit());
            voxels.is_ok() && components.is_ok()
        }
        Format::Tiff => parse_pages(bytes, path, PageAxis::Frames, unit()).is_ok(),
        Format::FastMri => fastmri::read_everything(bytes.to_vec()).is_ok(),
        Format::Bart => parse_bart(bytes, &[0; 16], path).is_ok(),
    }
}

fn mutants() -> impl Strategy<Value = (Format, Vec<u8>)> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cut = prop::option::of(any::<prop::sample::Index>());
    (0..FILES.len(), edits, cut).prop_map(|(file, edits, cut)| {
        let (format, mut bytes) = FILES[file].clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        (format, bytes)
    })
}

#[test]
fn the_unmutated_files_are_read() {
    for (format, bytes) in FILES.iter() {
        assert!(
            read(*format, bytes),
            "{format:?} {:02x?}",
            &bytes[..bytes.len().min(64)]
        );
    }
}

#[test]
fn every_single_byte_may_be_wrong() {
    // One file a format; of HDF5, which is long, every third byte.
    let formats = [
        Format::Nrrd,
        Format::MetaImage,
        Format::Bart,
        Format::FastMri,
    ];
    for wanted in formats {
        let (format, bytes) = FILES.iter().find(|(format, _)| *format == wanted).unwrap();
        let step = if wanted == Format::FastMri { 3 } else { 1 };
        for at in (0..bytes.len()).step_by(step) {
            let mut mutant = bytes.clone();
            mutant[at] ^= [0x01, 0x80, 0xff, 0x10][at / step % 4];
            read(*format, &mutant);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn mutated_files_do_not_panic((format, bytes) in mutants()) {
        read(format, &bytes);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Nrrd, Format::MetaImage, Format::Npy, Format::Tiff, Format::FastMri, Format::Bart] {
            read(format, &bytes);
        }
    }
}
