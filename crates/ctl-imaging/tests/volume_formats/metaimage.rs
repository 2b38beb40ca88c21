//! What a `MetaImage` may say, and what not.

use super::golden::unit;
use ctl_imaging::ImagingError;
use ctl_imaging::metaimage::{
    MetaOptions, parse_metaimage, read_metaimage, read_metaimage_header, read_metaimage_placed,
    write_metaimage,
};
use ctl_imaging::volume::{SampleType, Samples, Scaling, Volume};
use rstest::rstest;
use std::fs;
use std::path::Path;

const KEYS: [(&str, &str); 7] = [
    ("ObjectType", "Image"),
    ("NDims", "3"),
    ("TransformMatrix", "1 0 0 0 1 0 0 0 1"),
    ("Offset", "0 0 0"),
    ("ElementSpacing", "1 1 2"),
    ("DimSize", "2 2 1"),
    ("ElementType", "MET_UCHAR"),
];

/// A sound file with some keys replaced, added, or left out where they are empty.
fn file(changes: &[(&str, &str)], data: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    let changed = |key: &str| changes.iter().find(|(name, _)| *name == key);
    for (key, value) in KEYS {
        let value = changed(key).map_or(value, |(_, value)| value);
        if !value.is_empty() {
            text.extend([key, " = ", value, "\n"]);
        }
    }
    let is_new =
        |key: &str| key != "ElementDataFile" && !KEYS.iter().any(|(known, _)| *known == key);
    for (key, value) in changes.iter().filter(|(key, _)| is_new(key)) {
        text.extend([key, " = ", value, "\n"]);
    }
    let data_file = changed("ElementDataFile").map_or("LOCAL", |(_, value)| value);
    text.extend(["ElementDataFile = ", data_file, "\n"]);
    [text.as_bytes(), data].concat()
}

fn parse(changes: &[(&str, &str)], data: &[u8]) -> ctl_imaging::Result<Volume> {
    parse_metaimage(&file(changes, data), Path::new("x.mha"))
}

#[rstest]
#[case(&[("ObjectType", "Tube")], "Image as `ObjectType`")]
#[case(&[("NDims", "1")], "2 to 7 axes")]
#[case(&[("NDims", "8")], "2 to 7 axes")]
#[case(&[("NDims", "-3")], "a number of axes")]
#[case(&[("ObjectType", ""), ("NDims", ""), ("Comment", "x")], "a MetaImage header")]
#[case(&[("DimSize", "")], "a key `DimSize`")]
#[case(&[("DimSize", "2 2")], "3 whole numbers of at least 1")]
#[case(&[("DimSize", "2 -2 1")], "3 whole numbers of at least 1")]
#[case(&[("DimSize", "2 0 1")], "3 whole numbers of at least 1")]
#[case(&[("DimSize", "4000000000 4000000000 4000000000")], "an array of at most")]
#[case(&[("DimSize", "1000 1000 1000")], "1000000000 bytes of data, found 4 (truncated)")]
#[case(&[("DimSize", "1 1 1")], "the declared bytes of data, found more")]
#[case(&[("ElementType", "")], "a key `ElementType`")]
#[case(&[("ElementType", "MET_STRING")], "an integer or floating-point type")]
#[case(&[("ElementNumberOfChannels", "0")], "1 to 65536")]
#[case(&[("ElementNumberOfChannels", "99999999")], "1 to 65536")]
#[case(&[("TransformMatrix", "1 0 0 1")], "9 finite numbers")]
#[case(&[("TransformMatrix", "1 0 0 0 1 0 0 0 inf")], "9 finite numbers")]
#[case(&[("TransformMatrix", "1 0 0 0 1 0 1 1 0")], "three voxel axes that span space")]
#[case(&[("Rotation", "1 0 0 0 1 0 0 0 1")], "one of `TransformMatrix` and `Rotation`")]
#[case(&[("Origin", "0 0 0")], "one of `Offset` and `Origin`")]
#[case(&[("Offset", "0 0")], "3 finite numbers")]
#[case(&[("ElementSpacing", "1 1 0")], "numbers above 0")]
#[case(&[("ElementSpacing", "1 -1 1")], "numbers above 0")]
#[case(&[("ElementSpacing", "1 nan 1")], "3 finite numbers")]
#[case(&[("ElementSpacing", "")], "read_metaimage_placed")]
#[case(&[("DistanceUnits", "inch")], "mm, cm or um")]
#[case(&[("TransformMatrix", ""), ("AnatomicalOrientation", "LPS")], "a TransformMatrix where axes")]
#[case(&[("BinaryData", "maybe")], "True or False")]
#[case(&[("CompressedDataSize", "-1")], "a number of bytes")]
#[case(&[("CompressedData", "True"), ("BinaryData", "False")], "compressed data to be binary")]
#[case(&[("CompressedData", "True"), ("HeaderSize", "-1")], "HeaderSize of 0 or more")]
#[case(&[("HeaderSize", "4")], "no HeaderSize with LOCAL data")]
#[case(&[("HeaderSize", "-2")], "a number of bytes or -1")]
#[case(&[("ElementToIntensityFunctionSlope", "0")], "a finite slope that is not 0")]
#[case(&[("Offest", "5 5 5")], "is `Offset` meant?")]
#[case(&[("Name", "a"), ("Name", "b")], "the key `Name` twice")]
#[case(&[("ElementDataFile", "")], "LOCAL or a file name")]
#[case(&[("ElementDataFile", "x.raw")], "data within a MetaImage in memory")]
#[case(&[("ElementDataFile", "LIST 9")], "1 to 3 axes of a data file")]
#[case(&[("ElementDataFile", "x%03d.raw 1 2")], "a pattern, perhaps with first, last and step")]
#[case(&[("ElementDataFile", "x%s.raw 1 2 1")], "a name with one number")]
fn faults_of_the_header_are_named(#[case] changes: &[(&str, &str)], #[case] message: &str) {
    let error = parse(changes, &[1, 2, 3, 4]).unwrap_err();
    assert!(matches!(error, ImagingError::Content { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("x.mha: expected ") && text.contains(message),
        "{text}"
    );
}

#[test]
fn text_without_keys_is_refused() {
    for (bytes, message) in [
        (b"".as_slice(), "a MetaImage header"),
        (b"\x89PNG\n", "a MetaImage header"),
        (b"ObjectType = Image\nNDims 3\n", "key = value"),
        (
            b"ObjectType = Image\nNDims = 3\n",
            "`ElementDataFile` as the last",
        ),
        (b"ObjectType = Image\n\xff = 3\n", "text in UTF-8"),
    ] {
        let text = parse_metaimage(bytes, Path::new("x"))
            .unwrap_err()
            .to_string();
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn broken_compressed_data_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mha");
    let volume = Volume::new(&[2, 2, 1], Samples::U8(vec![1, 2, 3, 4]), unit()).unwrap();
    write_metaimage(&volume, &path, MetaOptions { compress: true }).unwrap();
    let bytes = fs::read(&path).unwrap();
    let start = bytes
        .windows(6)
        .position(|window| window == b"LOCAL\n")
        .unwrap()
        + 6;
    for cut in start..bytes.len() {
        assert!(parse_metaimage(&bytes[..cut], &path).is_err(), "{cut}");
    }
    for at in start..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x10;
        // The bits after the last code of a stream mean nothing.
        let read = parse_metaimage(&broken, &path);
        assert!(
            read.is_err() || (at + 5 == bytes.len() && read.unwrap() == volume),
            "{at}"
        );
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    let text = parse_metaimage(&longer, &path).unwrap_err().to_string();
    assert!(text.contains("found more"), "{text}");
}

#[test]
fn data_files_outside_the_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(folder.path().join("secret.raw"), [1, 2, 3, 4]).unwrap();
    let absolute = folder.path().join("secret.raw").display().to_string();
    let path = inner.join("x.mhd");
    for (name, message) in [
        ("../secret.raw", "in the folder of its header or below"),
        (absolute.as_str(), "in the folder of its header or below"),
        (
            "LIST\n../secret.raw",
            "in the folder of its header or below",
        ),
        ("LIST 3", "names of data files below LIST"),
        ("missing.raw", "cannot open"),
        (
            "%d.raw 1 2 1",
            "data files of 2 axes that make up [2, 2, 1]",
        ),
    ] {
        fs::write(&path, file(&[("ElementDataFile", name)], &[])).unwrap();
        let text = read_metaimage(&path).unwrap_err().to_string();
        assert!(text.contains(message), "{name}: {text}");
    }
}

#[test]
fn images_of_two_axes_need_an_affine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mha");
    let flat = [
        ("NDims", "2"),
        ("DimSize", "2 2"),
        ("TransformMatrix", "1 0 0 1"),
        ("Offset", "0 0"),
        ("ElementSpacing", "1 1"),
    ];
    fs::write(&path, file(&flat, &[1, 2, 3, 4])).unwrap();
    let text = read_metaimage(&path).unwrap_err().to_string();
    assert!(text.contains("read_metaimage_placed"), "{text}");
    let volume = read_metaimage_placed(&path, unit()).unwrap();
    assert_eq!(volume.samples(), &Samples::U8(vec![1, 2, 3, 4]));
}

#[test]
fn slope_and_offset_scale_values() {
    let said = [
        ("ElementToIntensityFunctionSlope", "2"),
        ("ElementToIntensityFunctionOffset", "-1"),
    ];
    let volume = parse(&said, &[1, 2, 3, 4]).unwrap();
    assert_eq!(volume.to_f64(), [1.0, 3.0, 5.0, 7.0]);
    assert_eq!(volume.samples(), &Samples::U8(vec![1, 2, 3, 4]));
}

#[test]
fn headers_keep_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mha");
    fs::write(
        &path,
        file(
            &[("Modality", "MET_MOD_MR"), ("Note", "a = b")],
            &[1, 2, 3, 4],
        ),
    )
    .unwrap();
    let header = read_metaimage_header(&path).unwrap();
    assert_eq!(header.sizes, [2, 2, 1]);
    assert_eq!(header.spacing, Some(vec![1.0, 1.0, 2.0]));
    assert!(
        header
            .pairs
            .contains(&("Note".to_owned(), "a = b".to_owned()))
    );
}

#[test]
fn what_the_format_has_no_place_for_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mha");
    let volume = Volume::new(&[2, 1], Samples::U8(vec![1, 2]), unit()).unwrap();
    let scaling = Scaling {
        slope: 2.0,
        intercept: 0.0,
    };
    let refused = [
        volume.clone().with_scaling(scaling).unwrap(),
        volume.to_type(SampleType::Float16).unwrap(),
        volume.to_type(SampleType::Complex64).unwrap(),
    ];
    for refused in refused {
        let error = write_metaimage(&refused, &path, MetaOptions::default()).unwrap_err();
        assert!(matches!(error, ImagingError::Argument { .. }), "{error}");
    }
    assert!(!path.exists());
}
