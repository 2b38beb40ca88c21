//! Real files, where they lie beside the workspace; skipped, saying so, where they do not.
#![expect(clippy::print_stderr, reason = "a skipped test must say why")]

use ctl_imaging::nifti::{self, Reader};
use ctl_imaging::volume::Samples;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn folder() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/io_conformance");
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn sha256(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(bytes) {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

/// Stored values as little-endian bytes.
fn little_endian(samples: &Samples) -> Vec<u8> {
    macro_rules! bytes {
        ($values:expr) => {
            $values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        };
    }
    macro_rules! complex {
        ($values:expr) => {
            $values
                .iter()
                .flat_map(|value| [value.re.to_le_bytes(), value.im.to_le_bytes()].concat())
                .collect()
        };
    }
    match samples {
        Samples::U8(values) => values.clone(),
        Samples::I8(values) => bytes!(values),
        Samples::U16(values) => bytes!(values),
        Samples::I16(values) => bytes!(values),
        Samples::U32(values) => bytes!(values),
        Samples::I32(values) => bytes!(values),
        Samples::U64(values) => bytes!(values),
        Samples::I64(values) => bytes!(values),
        Samples::F16(values) => bytes!(values),
        Samples::F32(values) => bytes!(values),
        Samples::F64(values) => bytes!(values),
        Samples::Complex64(values) => complex!(values),
        Samples::Complex128(values) => complex!(values),
    }
}

/// Equal up to the rounding of sums, which `NumPy` adds in another order.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| same(a, b))
        }
        (Value::Number(found), Value::Number(expected)) => {
            let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
            (found - expected).abs() <= 1e-12 * expected.abs() + 1e-15
        }
        _ => found == expected,
    }
}

fn check(path: &Path, expected: &Value) {
    let reader = Reader::open(path).unwrap();
    let shown = serde_json::to_value(reader.info().unwrap()).unwrap();
    for (key, value) in expected.as_object().unwrap() {
        if !["path", "voxels"].contains(&key.as_str()) {
            assert!(
                same(&shown[key], value),
                "{}: {key} {}",
                path.display(),
                shown[key]
            );
        }
    }
    let volume = reader.volume().unwrap();
    assert_eq!(
        sha256(&little_endian(volume.samples())),
        expected["raw_sha256_le_fortran"],
        "{}",
        path.display()
    );
    for voxel in expected["voxels"].as_array().into_iter().flatten() {
        let index: Vec<usize> = serde_json::from_value(voxel["idx"].clone()).unwrap();
        let value = voxel["scaled"].as_f64().unwrap();
        assert_eq!(volume.value(&index), Some(value));
        assert_eq!(reader.value(&index).unwrap().to_bits(), value.to_bits());
    }
    assert_eq!(reader.to_f32().unwrap(), volume.to_f32());
}

#[test]
fn every_file_gives_what_nibabel_gives() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("nifti_expected.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut read = 0;
    for entry in &entries {
        let path = folder.join(entry["path"].as_str().unwrap());
        if entry.get("nibabel_error").is_some() {
            assert!(nifti::read(&path).is_err(), "{}", path.display());
        } else if entry.get("note").is_none() {
            check(&path, entry);
            read += 1;
        }
    }
    assert!(read >= 15, "{read} files");
}

#[test]
fn the_data_half_of_a_pair_is_the_pair() {
    let Some(folder) = folder() else { return };
    let folder = folder.join("nifti/nifti-rs");
    for ending in ["", ".gz"] {
        let half = nifti::read(&folder.join(format!("minimal.img{ending}"))).unwrap();
        let whole = nifti::read(&folder.join(format!("minimal.hdr{ending}"))).unwrap();
        assert_eq!(half, whole);
    }
    assert!(nifti::read(&folder.join("minimal2.img.gz")).is_err());
}

#[test]
fn slopes_are_those_of_the_file() {
    let Some(folder) = folder() else { return };
    let info = nifti::info(&folder.join("nifti/niivue/CT_AVM.nii.gz")).unwrap();
    // As `struct` unpacks them at byte 108; the largest value is 255 of these.
    assert_eq!(
        (info.file_scl_slope, info.file_scl_inter),
        (2.208_627_462_387_085, 0.0)
    );
    assert_eq!(info.file_vox_offset, 352);
    assert_eq!(info.scaled_max, Some(255.0 * info.file_scl_slope));
    // nibabel's header has them no more once the image is loaded.
    assert!(info.scl_slope.is_nan() && info.scl_inter.is_nan());
    assert_eq!(info.vox_offset, 0);
}
