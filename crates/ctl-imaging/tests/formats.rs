//! Every picture and array format against files written by other programs
//! (`golden/make_formats.py`), and files that must be refused.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

use ctl_imaging::{
    Colour, ImagingError, Raster, decode_raster, idx, npy, npz, raster_size, read_raster,
};
use rstest::rstest;
use serde::Deserialize;
use std::error::Error;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
struct Golden {
    pictures: Vec<Picture>,
    arrays: Vec<Array>,
    archives: Vec<Archive>,
}

#[derive(Deserialize)]
struct Picture {
    name: String,
    hex: String,
    tolerance: f64,
    shape: Option<[usize; 3]>,
    samples: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Array {
    name: String,
    hex: String,
    shape: Option<Vec<usize>>,
    values: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Archive {
    name: String,
    hex: String,
    images: Vec<u8>,
    labels: Option<Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/formats.json")).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .map(|c| (c as char).to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

#[test]
fn pictures_have_the_samples_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = golden().pictures;
    assert_eq!(pictures.len(), 24);
    for picture in pictures {
        let path = folder.path().join(&picture.name);
        fs::write(&path, bytes(&picture.hex)).unwrap();
        let (Some(shape), Some(samples)) = (picture.shape, &picture.samples) else {
            let error = read_raster(&path, Colour::Native).unwrap_err();
            assert!(matches!(error, ImagingError::Content { .. }), "{error}");
            assert!(raster_size(&path).is_err());
            continue;
        };
        let raster = read_raster(&path, Colour::Native).unwrap();
        assert_eq!(raster.shape(), shape, "{}", picture.name);
        for (ours, golden) in raster.samples().iter().zip(samples) {
            let difference = (f64::from(*ours) - golden).abs();
            assert!(
                difference <= picture.tolerance + 1e-7,
                "{}: {ours}, {golden}",
                picture.name
            );
        }
        let size = raster_size(&path).unwrap();
        assert_eq!(
            [size.channels, size.height, size.width],
            shape,
            "{}",
            picture.name
        );
    }
}

#[test]
fn arrays_have_the_values_that_were_written() {
    let arrays = golden().arrays;
    assert_eq!(arrays.len(), 19);
    for array in arrays {
        let read = npy::parse_npy(&bytes(&array.hex), Path::new(&array.name));
        let (Some(shape), Some(values)) = (array.shape, array.values) else {
            assert!(
                matches!(read, Err(ImagingError::Content { .. })),
                "{}: {read:?}",
                array.name
            );
            continue;
        };
        let read = read.unwrap_or_else(|error| panic!("{}: {error}", array.name));
        assert_eq!(read.shape, shape, "{}", array.name);
        assert_eq!(read.to_f64(), values, "{}", array.name);
    }
}

#[test]
fn archives_have_the_arrays_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    for archive in golden().archives {
        let path = folder.path().join(&archive.name);
        fs::write(&path, bytes(&archive.hex)).unwrap();
        let Some(labels) = archive.labels else {
            let array = idx::read_idx(&path).unwrap();
            assert_eq!(
                (array.shape.as_slice(), array.bytes),
                ([2, 2, 3].as_slice(), archive.images)
            );
            assert_eq!(idx::idx_shape(&path).unwrap(), [2, 2, 3]);
            continue;
        };
        assert_eq!(npz::npz_names(&path).unwrap(), ["images", "labels"]);
        assert_eq!(npz::npz_shape(&path, "images").unwrap(), [2, 2, 3]);
        let images = npz::read_npz(&path, "images").unwrap();
        assert_eq!(images.data, npy::NpyData::U8(archive.images));
        assert_eq!(npz::read_npz(&path, "labels").unwrap().to_f64(), labels);
        let error = npz::read_npz(&path, "masks").unwrap_err().to_string();
        assert!(
            error.ends_with("expected an array `masks`, found images, labels"),
            "{error}"
        );
    }
}

/// Cutting off even the end marker is noticed, wherever the cut is.
#[test]
fn truncated_pictures_are_refused() {
    for picture in golden().pictures {
        let whole = bytes(&picture.hex);
        let decoded = picture.samples.is_some();
        let is_tiff = Path::new(&picture.name)
            .extension()
            .is_some_and(|ending| ending == "tif");
        for length in (0..whole.len()).filter(|_| decoded) {
            let cut = decode_raster(&whole[..length], Path::new("cut"), Colour::Native);
            // What stands last in a TIFF may be an entry that we do not need.
            let must_fail = !is_tiff || length < whole.len() / 2;
            assert!(
                cut.is_err() || !must_fail,
                "{} cut to {length}",
                picture.name
            );
        }
    }
}

#[test]
fn truncated_arrays_are_refused() {
    let Golden {
        arrays, archives, ..
    } = golden();
    for array in arrays {
        let whole = bytes(&array.hex);
        for length in 0..whole.len() {
            assert!(npy::parse_npy(&whole[..length], Path::new("cut")).is_err());
        }
    }
    for archive in archives.iter().filter(|archive| archive.labels.is_some()) {
        let whole = bytes(&archive.hex);
        for length in 0..whole.len() {
            assert!(npz::parse_npz(&whole[..length], "images", Path::new("cut")).is_err());
        }
    }
}

#[test]
fn a_damaged_gzip_stream_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let golden = golden();
    let archive = golden
        .archives
        .iter()
        .find(|archive| archive.name == "images-idx3-ubyte.gz")
        .unwrap();
    let mut content = bytes(&archive.hex);
    let checksum = content.len() - 8;
    content[checksum] ^= 1;
    let path = folder.path().join("images.gz");
    fs::write(&path, &content).unwrap();
    let error = idx::read_idx(&path).unwrap_err();
    assert!(matches!(error, ImagingError::Io { .. }), "{error}");
    assert!(error.source().is_some());
}

#[rstest]
#[case::empty(b"", "an empty file")]
#[case::text(b"path,label\n", "content of no known format")]
#[case::png_signature_only(b"\x89PNG\r\n\x1a\n", "truncated")]
#[case::jpeg_start_only(b"\xff\xd8\xff\xe0", "truncated")]
#[case::gif(b"GIF89a......", "gif")]
fn unreadable_pictures_say_why(#[case] content: &[u8], #[case] found: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.png");
    fs::write(&path, content).unwrap();
    let error = read_raster(&path, Colour::Grey).unwrap_err().to_string();
    assert!(error.contains("x.png") && error.contains(found), "{error}");
    let error = raster_size(&path).unwrap_err().to_string();
    assert!(error.contains("x.png") && error.contains(found), "{error}");
}

#[test]
fn folders_and_absent_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_raster(folder.path(), Colour::Grey)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("expected a file, found a folder"),
        "{error}"
    );
    let error = read_raster(&folder.path().join("none.png"), Colour::Grey).unwrap_err();
    assert!(
        matches!(error, ImagingError::Io { .. }) && error.source().is_some(),
        "{error}"
    );
}

/// A header of 45 bytes must not make us allocate what it claims.
#[test]
fn huge_declared_sizes_are_refused() {
    let mut picture = bytes(&golden().pictures[3].hex);
    assert_eq!(&picture[12..16], b"IHDR");
    picture[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    assert!(decode_raster(&picture, Path::new("huge.png"), Colour::Native).is_err());
    let golden = golden();
    let mut jpeg = golden.pictures.iter().filter(|entry| {
        Path::new(&entry.name)
            .extension()
            .is_some_and(|end| end == "jpg")
    });
    let mut picture = bytes(&jpeg.next().unwrap().hex);
    let frame = picture
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    picture[frame + 5..frame + 9].copy_from_slice(&[0x30, 0, 0x30, 0]);
    let error = decode_raster(&picture, Path::new("huge.jpg"), Colour::Native).unwrap_err();
    assert!(
        error.to_string().contains("in a file of this size"),
        "{error}"
    );

    let huge = [
        0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9,
    ];
    let error = idx::parse_idx(&huge, Path::new("huge"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("at most"), "{error}");
    let claimed = [0, 0, 8, 1, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3];
    let error = idx::parse_idx(&claimed, Path::new("claimed"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("expected 2147483647 bytes of data, found 3 (truncated)"),
        "{error}"
    );
}

#[rstest]
#[case::overflow("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }")]
#[case::too_large(
    "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,), }"
)]
#[case::negative("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }")]
#[case::no_shape("{'descr': '<f8', 'fortran_order': False, }")]
#[case::not_a_dictionary("42")]
#[case::nested("((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((")]
#[case::pickled("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }")]
#[case::not_ascii("{'descr': '<f8\u{e9}', 'fortran_order': False, 'shape': (1,), }")]
fn ill_npy_headers_are_refused(#[case] header: &str) {
    let mut content = b"\x93NUMPY\x01\x00".to_vec();
    content.extend((header.len() as u16).to_le_bytes());
    content.extend(header.as_bytes());
    content.extend([0; 64]);
    assert!(npy::parse_npy(&content, Path::new("ill.npy")).is_err());
}

#[rstest]
#[case::not_idx(&[1, 0, 8, 1, 0, 0, 0, 0], "IDX header")]
#[case::floats(&[0, 0, 0x0d, 1, 0, 0, 0, 0], "0x0d")]
#[case::surplus(&[0, 0, 8, 1, 0, 0, 0, 1, 5, 6], "found more")]
#[case::short_header(&[0, 0, 8, 2, 0, 0], "truncated")]
fn ill_idx_files_are_refused(#[case] content: &[u8], #[case] found: &str) {
    let error = idx::parse_idx(content, Path::new("ill"))
        .unwrap_err()
        .to_string();
    assert!(error.contains(found), "{error}");
}

#[test]
fn written_pictures_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let samples: Vec<f32> = (0..30).map(|step| step as f32 / 255.0).collect();
    for channels in [1, 3] {
        let path = folder.path().join(format!("{channels}.png"));
        let raster = Raster::new(channels, 2, 30 / channels / 2, samples.clone()).unwrap();
        raster.write_png(&path).unwrap();
        assert_eq!(read_raster(&path, Colour::Native).unwrap(), raster);
        raster.write_png(&path).unwrap();
    }
    // Nothing temporary is left.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn samples_beyond_the_range_are_clamped_when_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    Raster::new(1, 1, 3, vec![-2.0, 0.5, 7.0])
        .unwrap()
        .write_png(&path)
        .unwrap();
    let read = read_raster(&path, Colour::Native).unwrap();
    assert_eq!(read.samples(), [0.0, 128.0 / 255.0, 1.0]);
}

#[test]
fn pictures_that_cannot_be_written_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    assert!(
        Raster::new(2, 1, 1, vec![0.0; 2])
            .unwrap()
            .write_png(&path)
            .is_err()
    );
    assert!(
        Raster::new(1, 1, 1, vec![f32::NAN])
            .unwrap()
            .write_png(&path)
            .is_err()
    );
    let lost = folder.path().join("no/such/folder/a.png");
    assert!(
        Raster::new(1, 1, 1, vec![0.0])
            .unwrap()
            .write_png(&lost)
            .is_err()
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[rstest]
#[case(1, Colour::Rgb, Some(3))]
#[case(3, Colour::Grey, Some(1))]
#[case(4, Colour::Native, Some(4))]
#[case(4, Colour::Grey, None)]
#[case(2, Colour::Rgb, None)]
fn colours_are_converted(#[case] from: usize, #[case] to: Colour, #[case] gives: Option<usize>) {
    let raster = Raster::new(from, 1, 2, vec![0.5; from * 2]).unwrap();
    let converted = raster.to_colour(to);
    assert_eq!(converted.as_ref().ok().map(Raster::channels), gives);
    // Grey is a fixed point: the weights of luma add up to 1.
    if let Ok(converted) = converted {
        assert!(
            converted
                .samples()
                .iter()
                .all(|sample| (sample - 0.5).abs() < 1e-6)
        );
    }
}
