//! What nibabel reads from files of every kind.

use crate::parsed;
use ctl_imaging::nifti::{self, NiftiInfo, Reader};
use ctl_imaging::volume::Samples;
use flate2::read::ZlibDecoder;
use serde_json::Value;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

static GOLDEN: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../golden/nifti.json")).unwrap());

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let compressed: Vec<u8> = digits.map(byte).collect();
    let mut bytes = Vec::new();
    ZlibDecoder::new(&compressed[..])
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// Files of the table that we read, for other tests.
pub(crate) static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let cases = GOLDEN["cases"].as_array().unwrap();
    cases
        .iter()
        .filter(|case| case.get("image").is_none())
        .map(|case| bytes(&case["hex"]))
        .collect()
});

/// A number, or the name of one that JSON does not have.
fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some(name) => name.parse().unwrap(),
        None => value.as_f64().unwrap(),
    }
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(number).collect()
}

/// Equal but for what nibabel's extended precision rounds off later than we do.
fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let both_nan = found.is_nan() && expected.is_nan();
        let close = (found - expected).abs() <= 1e-13 + 1e-13 * expected.abs();
        assert!(both_nan || close, "{what}: {found}, nibabel {expected}");
    }
}

/// The image's numbers in the order of the file, whatever their type.
fn file_values(reader: &Reader) -> Vec<f64> {
    let scaling = reader.scaling();
    let volume = reader.volume().unwrap();
    let components = volume.components();
    let parts = |re: f64, im: f64| [re * scaling.slope + scaling.intercept, im * scaling.slope];
    match volume.samples() {
        Samples::Complex64(values) => values
            .iter()
            .flat_map(|value| parts(value.re.into(), value.im.into()))
            .collect(),
        Samples::Complex128(values) => values
            .iter()
            .flat_map(|value| parts(value.re, value.im))
            .collect(),
        _ if reader.header().intent_code == 1007 => {
            let together = volume.to_f64();
            (0..components)
                .flat_map(|component| together.iter().skip(component).step_by(components))
                .copied()
                .collect()
        }
        _ => volume.to_f64(),
    }
}

fn check(case: &Value, reader: &Reader, info: &NiftiInfo) {
    let name = case["name"].as_str().unwrap();
    let shown = serde_json::to_value(info).unwrap();
    // NumPy names the endianness that is not the machine's own.
    for key in ["shape", "qform_code", "sform_code"] {
        assert_eq!(shown[key], case[key], "{name}: {key}");
    }
    let is_structured = info.structured.is_some();
    if !is_structured {
        assert_eq!(shown["dtype"], case["dtype"], "{name}");
    }
    assert_close(&info.zooms, &numbers(&case["zooms"]), name);
    let affine = &GOLDEN["affines"][case["affine"].as_u64().unwrap() as usize];
    for (row, expected) in info.affine.iter().zip(affine.as_array().unwrap()) {
        assert_close(row, &numbers(expected), name);
    }
    let extensions = case["extensions"].as_array();
    let found = reader.extensions();
    assert_eq!(found.len(), extensions.map_or(0, Vec::len), "{name}");
    for (found, expected) in found.iter().zip(extensions.into_iter().flatten()) {
        let hex = found.trimmed().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        assert_eq!(serde_json::json!([found.code, hex]), *expected, "{name}");
    }
    let values = numbers(&GOLDEN["values"][case["values"].as_u64().unwrap() as usize]);
    if info
        .affine
        .as_flattened()
        .iter()
        .all(|value| value.is_finite())
    {
        assert_close(&file_values(reader), &values, name);
    } else {
        // Such a place is refused; values can be had all the same.
        let error = reader.volume().unwrap_err().to_string();
        assert!(error.contains("that can be inverted"), "{error}");
        let single: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        assert_eq!(reader.to_f32().unwrap(), single);
    }
}

#[test]
fn what_nibabel_reads_we_read_and_what_it_refuses_we_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let (header, image) = (folder.path().join("a.hdr"), folder.path().join("a.img"));
    let cases = GOLDEN["cases"].as_array().unwrap();
    assert!(cases.len() > 200);
    for case in cases {
        let first = bytes(&case["hex"]);
        let reader = match case.get("image") {
            None => Reader::from_bytes(first, Path::new("a.nii")),
            Some(second) => {
                std::fs::write(&header, first).unwrap();
                std::fs::write(&image, bytes(second)).unwrap();
                // Either file names both.
                let other = nifti::read_header(&image).unwrap();
                assert_eq!(other, nifti::read_header(&header).unwrap());
                Reader::open(&header)
            }
        };
        if case.get("error").is_some() || case.get("strict").is_some() {
            let error = reader.map(|_| case["name"].clone()).unwrap_err();
            assert!(!error.to_string().is_empty());
        } else {
            let reader = reader.unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
            let info = reader.info().unwrap();
            check(case, &reader, &info);
        }
    }
}

#[test]
fn both_versions_and_byte_orders_hold_the_same() {
    let all: Vec<_> = GOLDEN["cases"]
        .as_array()
        .unwrap()
        .iter()
        .take(56)
        .collect();
    for four in all.chunks(4) {
        let read: Vec<_> = four
            .iter()
            .map(|case| parsed(&bytes(&case["hex"])).unwrap().volume)
            .collect();
        for other in &read[1..] {
            assert_eq!(other.samples(), read[0].samples());
            assert_eq!(other.affine(), read[0].affine());
            assert_eq!(other.series(), read[0].series());
        }
    }
}

#[test]
fn odd_headers_are_warned_of() {
    let expected = [
        ("qfac 0<1", "qfac (pixdim[0]) is 0, taken as 1"),
        (
            "negative zoom<1",
            "pixdim[1] is -2, its absolute value used",
        ),
        ("zero zoom<1", "pixdim[2] is 0, taken as 1"),
        ("unknown sform<1", "sform_code is 9, taken as 0"),
        ("size wrong<1", "sizeof_hdr is 77, not 348"),
        ("bitpix wrong<1", "bitpix 7 does not match datatype 4"),
        (
            "extension odd<1",
            "extension of 20 bytes, no multiple of 16",
        ),
    ];
    let cases = GOLDEN["cases"].as_array().unwrap();
    for (name, warning) in expected {
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        let image = parsed(&bytes(&case["hex"])).unwrap();
        assert!(
            image.warnings.iter().any(|found| found == warning),
            "{name}: {:?}",
            image.warnings
        );
    }
    let sound = parsed(&bytes(&cases[0]["hex"])).unwrap();
    assert!(sound.warnings.is_empty(), "{:?}", sound.warnings);
}
