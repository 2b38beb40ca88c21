//! A disk that fills up: an error, the old files, nothing else, whatever is written.
#![cfg(unix)]

use crate::disk::{contents, fill, target};
use ctl_imaging::bart::{BartArray, write_bart};
use ctl_imaging::kspace::Complex;
use ctl_imaging::metaimage::{MetaOptions, write_metaimage};
use ctl_imaging::npy::{NpyArray, NpyData, write_npy};
use ctl_imaging::npz::write_npz;
use ctl_imaging::nrrd::{NrrdOptions, write_nrrd};
use ctl_imaging::volume::{Affine, Samples, Volume};
use ctl_imaging::{ImagingError, Raster, Result};
use std::path::Path;

/// What is written, by the names of the files: of each pair the one that is named.
const NAMES: [&str; 9] = [
    "packed.nrrd",
    "plain.nrrd",
    "packed.mha",
    "plain.mha",
    "a.npy",
    "packed.npz",
    "plain.npz",
    "a.png",
    "a.cfl",
];

/// Bytes that do not compress.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        // A linear congruence (Numerical Recipes, 7.1).
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Writes so many numbers, a multiple of 100, in the format of a name.
fn write(path: &Path, count: usize) -> Result<()> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let compress = name.starts_with("packed");
    let bytes = noise(count);
    let array = NpyArray {
        shape: vec![count],
        data: NpyData::U8(bytes.clone()),
    };
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let volume = Volume::new(&[100, count / 100], Samples::U8(bytes.clone()), affine).unwrap();
    match name.rsplit_once('.').unwrap().1 {
        "nrrd" => {
            let options = NrrdOptions {
                compress,
                ..NrrdOptions::default()
            };
            write_nrrd(&volume, path, &options)
        }
        "mha" => write_metaimage(&volume, path, MetaOptions { compress }),
        "npy" => write_npy(&array, path),
        "npz" => write_npz(&[("a", (&array).into())], path, compress),
        "png" => {
            let grey = bytes.iter().map(|&byte| f32::from(byte) / 255.0);
            Raster::new(1, 100, count / 100, grey.collect())?.write_png(path)
        }
        _ => {
            let values = bytes.iter().map(|&byte| Complex::new(f32::from(byte), 0.0));
            write_bart(&BartArray::new(&[count], values.collect())?, path)
        }
    }
}

/// Writes more than the limit of the process that the test below starts it in; there it must fail,
/// elsewhere it must not.
#[test]
fn helper_writes_ten_kilobytes() {
    if let Some(path) = target() {
        let error = write(&path, 10_000).unwrap_err();
        assert!(error.to_string().starts_with("cannot write"), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        write(&folder.path().join(name), 10_000).unwrap();
    }
}

#[test]
fn the_old_file_stays_and_nothing_partial() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        write(&path, 100).unwrap();
        let before = contents(folder.path());
        fill("failing_disk::helper_writes_ten_kilobytes", &path);
        assert!(contents(folder.path()) == before, "{name}");
    }
}

#[test]
fn a_folder_or_no_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let error = write(&folder.path().join("absent").join(name), 100).unwrap_err();
        assert!(error.to_string().starts_with("cannot create"), "{error}");
        std::fs::create_dir(folder.path().join(name)).unwrap();
        let error = write(&folder.path().join(name), 100).unwrap_err();
        assert!(matches!(error, ImagingError::Content { .. }), "{error}");
        assert!(error.to_string().ends_with("found a folder"), "{error}");
    }
    assert_eq!(contents(folder.path()).len(), NAMES.len());
}

#[test]
fn neither_file_of_a_pair_is_new_where_one_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cfl");
    std::fs::write(&path, "older").unwrap();
    std::fs::create_dir(folder.path().join("a.hdr")).unwrap();
    let before = contents(folder.path());
    let error = write(&path, 100).unwrap_err();
    assert!(error.to_string().ends_with("found a folder"), "{error}");
    assert!(contents(folder.path()) == before, "the folder changed");
}
