//! JPEG against streams and values of libjpeg-turbo (`golden/make_jpeg.py`).

use crate::make::{Object, encapsulated, number, slice, text};
use ctl_imaging::dicom::{StoredBits, read_pixels};
use ctl_imaging::volume::Samples;
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    rows: u16,
    columns: u16,
    components: u16,
    bits: u16,
    lossless: bool,
    stream: String,
    values: String,
}

impl Case {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../golden/jpeg.json")).unwrap()
    }

    fn values(&self) -> Vec<u16> {
        let bytes = unhex(&self.values);
        if self.bits > 8 {
            let pairs = bytes.as_chunks().0;
            pairs.iter().map(|&two| u16::from_le_bytes(two)).collect()
        } else {
            bytes.into_iter().map(u16::from).collect()
        }
    }

    /// The values that are read from a file with the stream.
    fn read(&self, stream: &[u8]) -> Result<Vec<u16>, String> {
        let folder = tempfile::tempdir().unwrap();
        let syntax = match (self.lossless, self.bits) {
            (true, _) => uids::JPEG_LOSSLESS,
            (false, 8) => uids::JPEG_BASELINE8_BIT,
            (false, _) => uids::JPEG_EXTENDED12_BIT,
        };
        let path = encapsulated(&self.object(), folder.path(), syntax, &[], &[stream]);
        let pixels = read_pixels(&path, StoredBits::default()).map_err(|e| e.to_string())?;
        Ok(match pixels.samples {
            Samples::U8(values) => values.into_iter().map(u16::from).collect(),
            Samples::U16(values) => values,
            other => panic!("{:?}", other.sample_type()),
        })
    }

    fn object(&self) -> Object {
        let mut object = slice([0.0; 3], 0);
        let allocated = if self.bits > 8 { 16 } else { 8 };
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, self.components),
            (tags::PLANAR_CONFIGURATION, 0),
            (tags::ROWS, self.rows),
            (tags::COLUMNS, self.columns),
            (tags::BITS_ALLOCATED, allocated),
            (tags::BITS_STORED, self.bits),
            (tags::HIGH_BIT, self.bits - 1),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            number(&mut object, tag, value);
        }
        if self.components == 3 {
            let photometric = tags::PHOTOMETRIC_INTERPRETATION;
            text(&mut object, photometric, VR::CS, "RGB");
        }
        object
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn golden_streams() {
    for (index, case) in Case::all().iter().enumerate() {
        let found = case.read(&unhex(&case.stream)).unwrap();
        let expected = case.values();
        assert_eq!(found.len(), expected.len());
        // The transform's rounding is the decoder's own.
        let tolerance = u16::from(!case.lossless);
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found.abs_diff(*expected) <= tolerance, "{index}");
        }
    }
}

#[test]
fn restarts_of_a_lossless_scan() {
    // After a restart prediction begins anew, so that scans of two pictures are one of both.
    let cases = Case::all();
    let case = &cases[1];
    let stream = unhex(&case.stream);
    let start = stream
        .windows(2)
        .position(|pair| pair == [0xFF, 0xDA])
        .unwrap()
        + 10;
    let data = &stream[start..stream.len() - 2];
    let mut joined = stream[..start].to_vec();
    let frame = stream
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC3])
        .unwrap();
    joined[frame + 6] = 2 * case.rows as u8;
    let interval = (case.rows * case.columns) as u8;
    joined.splice(2..2, [0xFF, 0xDD, 0, 4, 0, interval]);
    joined.extend(data);
    joined.extend([0xFF, 0xD0]);
    joined.extend(data);
    joined.extend([0xFF, 0xD9]);
    let double = Case {
        rows: 2 * case.rows,
        values: String::new(),
        stream: String::new(),
        ..*case
    };
    let values = case.values();
    assert_eq!(
        double.read(&joined).unwrap(),
        [values.clone(), values].concat()
    );
    let marker = joined.len() - 3 - data.len();
    joined[marker] = 0xD1;
    assert!(double.read(&joined).unwrap_err().contains("ff d0"));
}

#[test]
fn what_is_not_read_is_named() {
    let cases = Case::all();
    let (lossless, baseline) = (&cases[0], &cases[11]);
    let changed = |case: &Case, marker: u8, offset: usize, value: u8| {
        let mut stream = unhex(&case.stream);
        let at = stream
            .windows(2)
            .position(|pair| pair == [0xFF, marker])
            .unwrap();
        stream[at + offset] = value;
        case.read(&stream).unwrap_err()
    };
    assert!(changed(baseline, 0xC0, 1, 0xC2).contains("progressive"));
    assert!(changed(baseline, 0xDA, 8, 20).contains("coefficients 0 to 63"));
    assert!(changed(lossless, 0xDA, 7, 8).contains("predictor"));
    assert!(changed(lossless, 0xC3, 6, 4).contains("13 x 9"));
    let stream = unhex(&lossless.stream);
    assert!(
        lossless
            .read(&stream[..stream.len() / 2])
            .unwrap_err()
            .contains("truncated")
    );
}
