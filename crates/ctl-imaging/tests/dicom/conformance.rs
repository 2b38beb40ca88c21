//! Every file of pydicom's and nibabel's tests, against what pydicom 3.0.2 reads.
#![expect(clippy::print_stderr, reason = "a skipped test must say why")]

use ctl_imaging::dicom::{StoredBits, info, read_pixels};
use serde_json::Value;
use std::path::PathBuf;

/// By how much pixels of lossy files may differ, as decoders round differently.
const TOLERANCE: f64 = 2.0;

fn folder() -> Option<PathBuf> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/io_conformance");
    if !path.join("dicom_expected.json").exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn expected_values() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("dicom_expected.json")).unwrap();
    let expected: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(expected.len() >= 42);
    let wrong: Vec<String> = expected
        .iter()
        .flat_map(|entry| differences(&folder, entry))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn differences(folder: &std::path::Path, expected: &Value) -> Vec<String> {
    let name = expected["path"].as_str().unwrap();
    let told = match info(&folder.join(name)) {
        Ok(told) => serde_json::to_value(told).unwrap(),
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let mut wrong = Vec::new();
    for (key, value) in expected.as_object().unwrap() {
        let found = &told[key];
        let same = match key.as_str() {
            "path" => true,
            "pixel_error" => found.is_string(),
            "pixel" if expected["lossy"] == true => same_lossy(found, value),
            _ => same(found, value),
        };
        if !same {
            wrong.push(format!("{name}: {key} is {found}, not {value}"));
        }
    }
    if expected.get("pixel").is_none() && told.get("pixel").is_some() {
        wrong.push(format!("{name}: has pixels"));
    }
    wrong
}

/// Numbers may be written as integers or floats.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| same(a, b))
        }
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| same(found, value))),
        (Value::Number(found), Value::Number(expected)) => found.as_f64() == expected.as_f64(),
        _ => found == expected,
    }
}

fn same_lossy(found: &Value, expected: &Value) -> bool {
    let near = |key: &str, tolerance: f64| {
        let number = |value: &Value| value[key].as_f64().unwrap_or(f64::NAN);
        (number(found) - number(expected)).abs() <= tolerance
    };
    let count: f64 = expected["shape"]
        .as_array()
        .unwrap()
        .iter()
        .map(|side| side.as_f64().unwrap())
        .product();
    same(&found["shape"], &expected["shape"])
        && found["dtype"] == expected["dtype"]
        && near("min", TOLERANCE)
        && near("max", TOLERANCE)
        && near("sum", TOLERANCE * count / 4.0)
}

/// The same pixels in two transfer syntaxes.
#[test]
fn compressed_like_uncompressed() {
    let Some(folder) = folder() else { return };
    let read = |name: &str| {
        let path = folder.join("dicom").join(format!("pydicom_{name}.dcm"));
        read_pixels(&path, StoredBits::default()).unwrap()
    };
    assert_eq!(read("MR_small"), read("MR_small_jpeg_ls_lossless"));
    assert_eq!(read("MR_small"), read("MR_small_expb"));
    assert_eq!(
        read("SC_rgb_jls_lossy_line").samples,
        read("SC_rgb_jls_lossy_sample").samples
    );
}
