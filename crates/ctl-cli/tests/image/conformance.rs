//! Every file beside the workspace that nibabel or pydicom was asked about, through the command.
#![expect(clippy::print_stderr, reason = "a skipped test must say why")]

use crate::{ctl_in, stderr};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// By how much pixels of lossy files may differ, as decoders round differently.
const TOLERANCE: f64 = 2.0;

fn entries(name: &str) -> Option<(PathBuf, Vec<Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/io_conformance");
    let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
        eprintln!("skipped: {} is absent", folder.join(name).display());
        return None;
    };
    Some((folder, serde_json::from_str(&text).unwrap()))
}

/// What the command prints of a file; `Err` with what it said when it refused, with code 3.
fn shown(folder: &Path, path: &str, more: &[&str]) -> Result<Value, String> {
    let out = ctl_in(
        folder,
        &[&["image", "info", path, "--json"][..], more].concat(),
    );
    let said = stderr(&out);
    match out.status.code() {
        Some(0) => Ok(serde_json::from_slice(&out.stdout).unwrap()),
        Some(3) if said.starts_with("error: ") && out.stdout.is_empty() => Err(said),
        code => panic!("{path}: {code:?} {said}"),
    }
}

/// Equal; numbers up to the rounding of sums, which `NumPy` adds in another order.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| same(a, b))
        }
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| same(found, value))),
        (Value::Number(found), Value::Number(expected)) => {
            let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
            (found - expected).abs() <= 1e-12 * expected.abs() + 1e-15
        }
        _ => found == expected,
    }
}

/// The fields that differ, without those that `known` knows.
fn differences(
    path: &str,
    found: &Value,
    expected: &Value,
    known: impl Fn(&str, &Value) -> Option<bool>,
) -> Vec<String> {
    let fields = expected.as_object().unwrap().iter();
    fields
        .filter(|(key, value)| {
            let found = found.get(key.as_str()).unwrap_or(&Value::Null);
            !known(key, found).unwrap_or_else(|| same(found, value))
        })
        .map(|(key, value)| format!("{path}: {key} is {}, not {value}", found[key.as_str()]))
        .collect()
}

fn wrong_nifti(folder: &Path, expected: &Value) -> Vec<String> {
    let path = expected["path"].as_str().unwrap();
    let found = match (shown(folder, path, &[]), expected.get("nibabel_error")) {
        (Err(_), Some(_)) => return Vec::new(),
        (Ok(_), Some(error)) => return vec![format!("{path}: read, not {error}")],
        // The half of a pair whose header is not there.
        (Err(_), None) if expected.get("note").is_some() => return Vec::new(),
        (Err(said), None) => return vec![said],
        (Ok(found), None) => found,
    };
    let elsewhere = |key: &str, _: &Value| ["note", "voxels"].contains(&key).then_some(true);
    let mut wrong = differences(path, &found, expected, elsewhere);
    for voxel in expected["voxels"].as_array().into_iter().flatten() {
        let index: Vec<usize> = serde_json::from_value(voxel["idx"].clone()).unwrap();
        let index: Vec<String> = index.iter().map(ToString::to_string).collect();
        let found = shown(folder, path, &["--voxel", &index.join(",")]).unwrap();
        if found["value"].as_f64() != voxel["scaled"].as_f64() {
            wrong.push(format!("{path}: {voxel} is {}", found["value"]));
        }
    }
    wrong
}

fn wrong_dicom(folder: &Path, expected: &Value) -> Vec<String> {
    let path = expected["path"].as_str().unwrap();
    let found = match shown(folder, path, &[]) {
        Ok(found) => found,
        Err(said) => return vec![said],
    };
    let mut wrong = differences(path, &found, expected, |key, value| match key {
        // Decoders have words of their own.
        "pixel_error" => Some(value.is_string()),
        "pixel" if expected["lossy"] == true => Some(same_lossy(value, &expected["pixel"])),
        _ => None,
    });
    if expected.get("pixel").is_none() && found.get("pixel").is_some() {
        wrong.push(format!("{path}: has pixels"));
    }
    wrong
}

fn same_lossy(found: &Value, expected: &Value) -> bool {
    let near = |key: &str, tolerance: f64| {
        let number = |value: &Value| value[key].as_f64().unwrap_or(f64::NAN);
        (number(found) - number(expected)).abs() <= tolerance
    };
    let sides = expected["shape"].as_array().unwrap();
    let count: f64 = sides.iter().map(|side| side.as_f64().unwrap()).product();
    same(&found["shape"], &expected["shape"])
        && found["dtype"] == expected["dtype"]
        && near("min", TOLERANCE)
        && near("max", TOLERANCE)
        && near("sum", TOLERANCE * count / 4.0)
}

#[test]
fn every_nifti_file_is_what_nibabel_says() {
    let Some((folder, entries)) = entries("nifti_expected.json") else {
        return;
    };
    assert!(entries.len() >= 30, "{}", entries.len());
    let wrong: Vec<String> = entries
        .iter()
        .flat_map(|entry| wrong_nifti(&folder, entry))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_dicom_file_is_what_pydicom_says() {
    let Some((folder, entries)) = entries("dicom_expected.json") else {
        return;
    };
    assert!(entries.len() >= 42, "{}", entries.len());
    let wrong: Vec<String> = entries
        .iter()
        .flat_map(|entry| wrong_dicom(&folder, entry))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
