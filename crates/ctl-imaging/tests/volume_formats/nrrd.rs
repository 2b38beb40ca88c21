//! What an NRRD file may say, and what not.

use super::golden::unit;
use ctl_imaging::ImagingError;
use ctl_imaging::nrrd::{
    NrrdEncoding, NrrdOptions, NrrdSpace, parse_nrrd, read_nrrd, read_nrrd_header,
    read_nrrd_placed, write_nrrd,
};
use ctl_imaging::volume::{Affine, Samples, Scaling, SeriesUnit, Volume};
use rstest::rstest;
use std::fs;
use std::path::Path;

const FIELDS: [(&str, &str); 8] = [
    ("type", "uchar"),
    ("dimension", "3"),
    ("sizes", "2 2 1"),
    ("encoding", "raw"),
    ("space", "LPS"),
    ("space directions", "(1,0,0) (0,1,0) (0,0,2)"),
    ("space origin", "(0,0,0)"),
    ("content", "four"),
];

/// A sound file with some fields replaced, added, or left out where they are empty.
fn file(changes: &[(&str, &str)], data: &[u8]) -> Vec<u8> {
    let mut text = "NRRD0005\n".to_owned();
    let changed = |field: &str| changes.iter().find(|(name, _)| *name == field);
    for (name, value) in FIELDS {
        let value = changed(name).map_or(value, |(_, value)| value);
        if !value.is_empty() {
            text.extend([name, ": ", value, "\n"]);
        }
    }
    for (name, value) in changes {
        if !FIELDS.iter().any(|(known, _)| known == name) {
            text.extend([name, ": ", value, "\n"]);
        }
    }
    text.push('\n');
    [text.as_bytes(), data].concat()
}

fn parse(changes: &[(&str, &str)], data: &[u8]) -> ctl_imaging::Result<Volume> {
    parse_nrrd(&file(changes, data), Path::new("x.nrrd"))
}

#[rstest]
#[case(&[("type", "")], "a field `type`")]
#[case(&[("type", "block")], "an integer or floating-point type")]
#[case(&[("dimension", "")], "a field `dimension`")]
#[case(&[("dimension", "0")], "1 to 16 axes")]
#[case(&[("dimension", "17")], "1 to 16 axes")]
#[case(&[("dimension", "three")], "a number of axes")]
#[case(&[("sizes", "2 2")], "3 values (one an axis)")]
#[case(&[("sizes", "2 -2 1")], "whole numbers of at least 1")]
#[case(&[("sizes", "2 0 1")], "whole numbers of at least 1")]
#[case(&[("sizes", "2 2 99999999999999999999")], "whole numbers of at least 1")]
#[case(&[("sizes", "4000000000 4000000000 4000000000")], "an array of at most")]
#[case(&[("sizes", "1000 1000 1000")], "1000000000 bytes of data, found 4 (truncated)")]
#[case(&[("sizes", "2 1 1")], "the declared bytes of data, found more")]
#[case(&[("sizes", "2 3 1")], "6 bytes of data, found 4 (truncated)")]
#[case(&[("encoding", "")], "a field `encoding`")]
#[case(&[("encoding", "bzip2")], "bzip2 is not read")]
#[case(&[("encoding", "zip")], "raw, text, hex or gzip")]
#[case(&[("type", "short"), ("sizes", "2 1 1")], "a field `endian`")]
#[case(&[("endian", "middle")], "little or big")]
#[case(&[("space", "somewhere")], "a space of the format")]
#[case(&[("space", "RAS-time")], "a space of the format")]
#[case(&[("space", "")], "a `space` or `space dimension`")]
#[case(&[("space dimension", "3")], "no number beside a `space`")]
#[case(&[("space", ""), ("space dimension", "0")], "1 to 16 axes")]
#[case(&[("space", ""), ("space dimension", "3")], "none with anatomical axes")]
#[case(&[("space", "3D-right-handed")], "none with anatomical axes")]
#[case(&[("space", "3D-left-handed")], "none with anatomical axes")]
#[case(&[("space directions", "")], "no `space directions`")]
#[case(&[("space directions", "(1,0) (0,1) (0,0)")], "vectors of 3 numbers")]
#[case(&[("space directions", "(1,0,0) (0,1,0)")], "3 vectors of 3 numbers")]
#[case(&[("space directions", "(1,0,0) (0,inf,0) (0,0,1)")], "finite numbers")]
#[case(&[("space directions", "(1,0,0) (0,1,0) (1,1,0)")], "three voxel axes that span space")]
#[case(&[("space directions", "(1,0,0) none (0,0,1)")], "two or three neighbouring axes")]
#[case(&[("space directions", "(1,0,0) none none")], "two or three neighbouring axes")]
#[case(&[("space directions", "(1,0,0) (2,0,0) none")], "finite numbers")]
#[case(&[("space origin", "")], "no `space origin`")]
#[case(&[("space origin", "(0,0)")], "vectors of 3 numbers")]
#[case(&[("space origin", "(0,0,nan)")], "finite numbers")]
#[case(&[("space units", "\"mm\" \"mm\"")], "3 texts in quotation marks")]
#[case(&[("space units", "\"inch\" \"mm\" \"mm\"")], "`space units` of mm, cm, m or um")]
#[case(&[("spacings", "1 1 1")], "a direction or a spacing of each axis")]
#[case(&[("spacings", "1 1")], "3 values (one an axis)")]
#[case(&[("kinds", "domain domain")], "3 values (one an axis)")]
#[case(&[("byte skip", "-2")], "a number of bytes, or -1")]
#[case(&[("byte skip", "-1"), ("encoding", "gzip")], "a number of bytes, or -1")]
#[case(&[("byte skip", "99")], "99 bytes to skip, found 4 (truncated)")]
#[case(&[("line skip", "-1")], "a number of lines")]
#[case(&[("line skip", "3")], "the lines to skip")]
#[case(&[("siizes", "2 2 1")], "the unknown field \"siizes\"")]
#[case(&[("Content", "again")], "the field `Content` twice")]
#[case(&[("data file", "x.raw")], "data within an NRRD file in memory")]
#[case(&[("data file", "LIST 4")], "LIST, perhaps a number of axes, and names below")]
#[case(&[("data file", "x%d.raw 1 2 0")], "numbers of 1 to 65536 data files")]
#[case(&[("data file", "x%d.raw 1 2 1 9")], "1 to 3 axes of a data file")]
#[case(&[("data file", "x%s.raw 1 2 1")], "a name with one number")]
fn faults_of_the_header_are_named(#[case] changes: &[(&str, &str)], #[case] message: &str) {
    let error = parse(changes, &[1, 2, 3, 4]).unwrap_err();
    assert!(matches!(error, ImagingError::Content { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("x.nrrd: expected ") && text.contains(message),
        "{text}"
    );
}

#[rstest]
#[case(b"", "NRRD0001 to NRRD0005")]
#[case(b"NRRD0006\n", "NRRD0001 to NRRD0005")]
#[case(b"NRRD00055\n", "NRRD0001 to NRRD0005")]
#[case(b"NRRD0005\ntype\n\n", "field: value")]
#[case(b"NRRD0005\n\xff: 1\n\n", "text in UTF-8")]
#[case(b"\x89PNG", "text in UTF-8")]
fn what_is_no_header_is_refused(#[case] bytes: &[u8], #[case] message: &str) {
    let text = parse_nrrd(bytes, Path::new("x.nrrd"))
        .unwrap_err()
        .to_string();
    assert!(text.contains(message), "{text}");
}

#[test]
fn data_files_outside_the_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(folder.path().join("secret.raw"), [1, 2, 3, 4]).unwrap();
    let absolute = folder.path().join("secret.raw").display().to_string();
    let path = inner.join("x.nhdr");
    for (name, message) in [
        ("../secret.raw", "in the folder of its header or below"),
        (absolute.as_str(), "in the folder of its header or below"),
        ("a/../../secret.raw", "in the folder of its header or below"),
        ("..\\secret.raw", "in the folder of its header or below"),
        ("missing.raw", "cannot open"),
        (".", "found a folder"),
        (
            "%d.raw 1 2 1",
            "data files of 2 axes that make up [2, 2, 1]",
        ),
    ] {
        fs::write(&path, file(&[("data file", name), ("sizes", "2 2 1")], &[])).unwrap();
        let text = match read_nrrd(&path) {
            Err(error) => error.to_string(),
            Ok(volume) => panic!("{name}: {volume:?}"),
        };
        assert!(text.contains(message), "{name}: {text}");
    }
}

#[test]
fn a_file_without_place_needs_an_affine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.nrrd");
    let bare = [
        ("space", ""),
        ("space directions", ""),
        ("space origin", ""),
        ("spacings", "1 1 2"),
    ];
    fs::write(&path, file(&bare, &[1, 2, 3, 4])).unwrap();
    let text = read_nrrd(&path).unwrap_err().to_string();
    assert!(text.contains("read_nrrd_placed"), "{text}");
    let affine = Affine::from_spacing([3.0; 3], [1.0; 3]).unwrap();
    let volume = read_nrrd_placed(&path, affine).unwrap();
    assert_eq!(volume.shape(), [2, 2, 1]);
    assert_eq!(*volume.affine(), affine);
    // A place that the file has gives way as well.
    fs::write(&path, file(&[], &[1, 2, 3, 4])).unwrap();
    assert_eq!(*read_nrrd_placed(&path, affine).unwrap().affine(), affine);
    assert_ne!(*read_nrrd(&path).unwrap().affine(), affine);
}

#[test]
fn headers_keep_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.nrrd");
    let said = [
        ("labels", "\"x\" \"y \\\"z\\\"\" \"\""),
        ("thicknesses", "nan nan 1.5"),
        ("measurement frame", "(1,0,0) (0,0,1) (0,1,0)"),
    ];
    let text = String::from_utf8(file(&said, &[1, 2, 3, 4])).unwrap();
    fs::write(&path, text.replace("content", "a key:= a\\nb: \ncontent")).unwrap();
    let header = read_nrrd_header(&path).unwrap();
    assert_eq!(header.version, 5);
    assert_eq!(header.sizes(), [2, 2, 1]);
    assert_eq!(header.encoding, NrrdEncoding::Raw);
    assert_eq!(header.space, Some(NrrdSpace::Lps));
    assert_eq!(header.axes[1].label.as_deref(), Some("y \"z\""));
    assert_eq!(header.axes[2].thickness, Some(1.5));
    assert_eq!(header.measurement_frame[1], [0.0, 0.0, 1.0]);
    assert_eq!(header.content.as_deref(), Some("four"));
    assert_eq!(header.pairs, [("a key".to_owned(), " a\nb: ".to_owned())]);
}

#[test]
fn complex_axes_become_complex_values() {
    let data: Vec<u8> = [1.0_f32, -2.0, 0.5, 4.0]
        .iter()
        .flat_map(|v| v.to_be_bytes())
        .collect();
    let said = [
        ("type", "float"),
        ("endian", "big"),
        ("dimension", "4"),
        ("sizes", "2 2 1 1"),
        ("kinds", "complex domain domain domain"),
        ("space directions", "none (1,0,0) (0,1,0) (0,0,2)"),
    ];
    let volume = parse(&said, &data).unwrap();
    let Samples::Complex64(values) = volume.samples() else {
        panic!("{:?}", volume.sample_type());
    };
    assert_eq!(volume.shape(), [2, 1, 1]);
    assert_eq!((values[0].im, values[1].re), (-2.0, 0.5));
    let text = [&said[..1], &said[2..], &[("encoding", "text")]].concat();
    assert_eq!(parse(&text, b"1 -2 0.5 4").unwrap(), volume);
}

#[test]
fn images_of_two_axes_get_a_normal() {
    let said = [
        ("dimension", "2"),
        ("sizes", "2 2"),
        ("space directions", "(0,2,0) (0,0,3)"),
    ];
    let volume = parse(&said, &[1, 2, 3, 4]).unwrap();
    assert_eq!(volume.shape(), [2, 2]);
    assert_eq!(volume.affine().spacing().to_vec(), [2.0, 3.0, 1.0]);
    // Posterior × superior in LPS is left, which is right reversed.
    assert_eq!(volume.affine().axis_codes(), "PSL");
}

#[test]
fn what_the_format_has_no_place_for_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.nrrd");
    let volume = Volume::new(&[2, 1], Samples::U8(vec![1, 2]), unit()).unwrap();
    let scaling = Scaling {
        slope: 2.0,
        intercept: 0.0,
    };
    let scaled = volume.clone().with_scaling(scaling).unwrap();
    let half = volume
        .to_type(ctl_imaging::volume::SampleType::Float16)
        .unwrap();
    for refused in [scaled, half] {
        let error = write_nrrd(&refused, &path, &NrrdOptions::default()).unwrap_err();
        assert!(matches!(error, ImagingError::Argument { .. }), "{error}");
    }
    for key in ["", "a:b", "a\nb", "#a", "twice"] {
        let pairs = vec![
            ("twice".to_owned(), String::new()),
            (key.to_owned(), String::new()),
        ];
        let options = NrrdOptions {
            compress: false,
            pairs,
        };
        assert!(write_nrrd(&volume, &path, &options).is_err(), "{key}");
    }
    assert!(!path.exists());
}

#[test]
fn pairs_and_series_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.nrrd");
    let series = ctl_imaging::volume::SeriesStep {
        step: 0.5,
        unit: SeriesUnit::Second,
    };
    let volume = Volume::new(&[1, 1, 1, 2], Samples::U8(vec![1, 2]), unit()).unwrap();
    let volume = volume.with_series(series).unwrap();
    let pairs = vec![("k".to_owned(), "a\nb\\".to_owned())];
    let options = NrrdOptions {
        compress: true,
        pairs: pairs.clone(),
    };
    write_nrrd(&volume, &path, &options).unwrap();
    assert_eq!(read_nrrd(&path).unwrap(), volume);
    assert_eq!(read_nrrd_header(&path).unwrap().pairs, pairs);
}
