//! Small files of other programs, which lie among the tests of `ctl-imaging`.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{Failure, Files};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/ctl-imaging/tests/golden")
}

fn cases(file: &str) -> Result<Value, Failure> {
    let text = fs::read_to_string(folder().join(file))?;
    Ok(serde_json::from_str(&text)?)
}

fn bytes(hex: &Value) -> Result<Vec<u8>, Failure> {
    let digits = hex.as_str().ok_or("a golden file has no digits")?;
    let byte = |at: usize| Ok(u8::from_str_radix(&digits[at..at + 2], 16)?);
    (0..digits.len()).step_by(2).map(byte).collect()
}

pub(crate) fn all() -> Result<Vec<(&'static str, Files)>, Failure> {
    let mut all = vec![
        ("fastmri", hdf5()?),
        ("jpegls", streams("jpegls.json")?),
        ("raster", group("pictures")?),
        ("npy", group("arrays")?),
        ("idx", group("arrays")?),
        ("npz", group("archives")?),
    ];
    for (target, file) in [
        ("nrrd", "volume_nrrd.json"),
        ("metaimage", "volume_metaimage.json"),
        ("tiff_pages", "volume_tiff.json"),
        ("npy_volume", "volume_npy.json"),
    ] {
        all.push((target, volumes(file)?));
    }
    Ok(all)
}

/// The streams that `file` holds.
pub(crate) fn streams(file: &str) -> Result<Files, Failure> {
    let cases = cases(file)?;
    let cases = cases.as_array().ok_or("golden streams are a list")?;
    let named =
        |(number, case): (usize, &Value)| Ok((format!("golden-{number}"), bytes(&case["stream"])?));
    cases.iter().enumerate().map(named).collect()
}

fn group(name: &str) -> Result<Files, Failure> {
    let cases = cases("formats.json")?;
    let cases = cases[name].as_array().ok_or("golden files are a list")?;
    let named = |case: &Value| {
        let name = case["name"].as_str().ok_or("a golden file has a name")?;
        Ok((format!("golden-{name}"), bytes(&case["hex"])?))
    };
    cases.iter().map(named).collect()
}

/// Files by themselves, and of several the one that is read first.
fn volumes(file: &str) -> Result<Files, Failure> {
    let cases = cases(file)?;
    let cases = cases.as_array().ok_or("golden volumes are a list")?;
    let named = |(number, case): (usize, &Value)| {
        let header = case["header"].as_str().unwrap_or_default();
        let hex = case.get("hex").unwrap_or(&case["files"][header]);
        Ok((format!("golden-{number}"), bytes(hex)?))
    };
    cases.iter().enumerate().map(named).collect()
}

fn hdf5() -> Result<Files, Failure> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder().join("fastmri"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.push((format!("golden-{name}"), fs::read(&path)?));
    }
    Ok(files)
}
