//! Layouts and codecs of pixels.

use crate::make::{self, Object, encapsulated, number, save, slice, text};
use ctl_imaging::dicom::{Palette, StoredBits, Window, WindowShape, info, read_pixels};
use ctl_imaging::volume::Samples;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use std::path::Path;

fn bytes(object: &mut Object, vr: VR, values: &[u8]) {
    let values = PrimitiveValue::U8(values.into());
    object.put(DataElement::new(tags::PIXEL_DATA, vr, values));
}

fn samples(path: &Path) -> Samples {
    read_pixels(path, StoredBits::default()).unwrap().samples
}

/// An RGB object of 2 x 3 pixels.
fn colours() -> Object {
    let mut object = slice([0.0; 3], 0);
    let photometric = tags::PHOTOMETRIC_INTERPRETATION;
    text(&mut object, photometric, VR::CS, "RGB");
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::PLANAR_CONFIGURATION, 0),
        (tags::ROWS, 2),
        (tags::COLUMNS, 3),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        number(&mut object, tag, value);
    }
    object
}

#[test]
fn planes_and_subsampling() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = colours();
    let values: Vec<u8> = (0..18).collect();
    bytes(&mut object, VR::OB, &values);
    let path = save(&object, folder.path(), "rgb.dcm");
    assert_eq!(samples(&path), Samples::U8(values.clone()));
    number(&mut object, tags::PLANAR_CONFIGURATION, 1);
    let path = save(&object, folder.path(), "planar.dcm");
    let interleaved = (0..6).flat_map(|at| [at, at + 6, at + 12]).collect();
    assert_eq!(samples(&path), Samples::U8(interleaved));

    number(&mut object, tags::PLANAR_CONFIGURATION, 0);
    let photometric = tags::PHOTOMETRIC_INTERPRETATION;
    text(&mut object, photometric, VR::CS, "YBR_FULL_422");
    number(&mut object, tags::COLUMNS, 2);
    bytes(&mut object, VR::OB, &[10, 20, 128, 128, 30, 40, 128, 128]);
    let path = save(&object, folder.path(), "422.dcm");
    let grey = [10, 20, 30, 40].into_iter().flat_map(|value| [value; 3]);
    assert_eq!(samples(&path), Samples::U8(grey.collect()));
    assert_eq!(
        read_pixels(&path, StoredBits::default())
            .unwrap()
            .photometric,
        "RGB"
    );
}

#[test]
fn stored_bits_and_overlays() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = slice([0.0; 3], 0);
    number(&mut object, tags::ROWS, 1);
    number(&mut object, tags::BITS_STORED, 12);
    number(&mut object, tags::HIGH_BIT, 11);
    let words = [0xF001_u16, 0x0FFF, 0x8800, 0x07FF];
    let as_signed: Vec<i16> = words.iter().map(|word| word.cast_signed()).collect();
    make::pixels(&mut object, &as_signed);
    let path = save(&object, folder.path(), "signed.dcm");
    assert_eq!(samples(&path), Samples::I16(vec![1, -1, -2048, 2047]));
    number(&mut object, tags::PIXEL_REPRESENTATION, 0);
    let path = save(&object, folder.path(), "unsigned.dcm");
    assert_eq!(samples(&path), Samples::U16(vec![1, 4095, 2048, 2047]));
    number(&mut object, tags::HIGH_BIT, 15);
    let path = save(&object, folder.path(), "high.dcm");
    assert_eq!(samples(&path), Samples::U16(vec![0xF00, 0xFF, 0x880, 0x7F]));
    let lowest = read_pixels(&path, StoredBits::Lowest).unwrap();
    assert_eq!(lowest.samples, Samples::U16(vec![1, 4095, 2048, 2047]));
    number(&mut object, tags::HIGH_BIT, 5);
    let path = save(&object, folder.path(), "low.dcm");
    assert!(read_pixels(&path, StoredBits::default()).is_err());
}

#[test]
fn single_bits_and_floats() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = slice([0.0; 3], 0);
    for (tag, value) in [
        (tags::BITS_ALLOCATED, 1),
        (tags::BITS_STORED, 1),
        (tags::HIGH_BIT, 0),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        number(&mut object, tag, value);
    }
    bytes(&mut object, VR::OB, &[0b1000_0101, 0b0000_1010]);
    let path = save(&object, folder.path(), "bits.dcm");
    let bits = vec![1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 1];
    assert_eq!(samples(&path), Samples::U8(bits));

    let mut object = slice([0.0; 3], 0);
    object.remove_element(tags::PIXEL_DATA);
    number(&mut object, tags::BITS_ALLOCATED, 32);
    let values: Vec<f32> = (0..12).map(|value| value as f32 / 4.0).collect();
    let floats = PrimitiveValue::F32(values.as_slice().into());
    object.put(DataElement::new(tags::FLOAT_PIXEL_DATA, VR::OF, floats));
    let path = save(&object, folder.path(), "float.dcm");
    assert_eq!(samples(&path), Samples::F32(values));
    let told = serde_json::to_value(info(&path).unwrap()).unwrap();
    assert_eq!(told["pixel"]["max"], 2.75);
    let mut values = vec![f64::NAN; 12];
    values[1] = f64::INFINITY;
    object.remove_element(tags::FLOAT_PIXEL_DATA);
    number(&mut object, tags::BITS_ALLOCATED, 64);
    let doubles = PrimitiveValue::F64(values.as_slice().into());
    object.put(DataElement::new(
        tags::DOUBLE_FLOAT_PIXEL_DATA,
        VR::OD,
        doubles,
    ));
    let path = save(&object, folder.path(), "double.dcm");
    let told = serde_json::to_value(info(&path).unwrap()).unwrap();
    assert_eq!(told["pixel"]["dtype"], "float64");
    assert_eq!(told["pixel"]["max"], "nan");
}

/// An RLE frame of 12 bytes of one value.
fn rle(value: u8) -> Vec<u8> {
    let mut frame = vec![0; 64];
    frame[0] = 1;
    frame[4] = 64;
    frame.extend([0xF5, value]);
    frame
}

#[test]
fn frames_with_and_without_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = slice([0.0; 3], 0);
    make::pixel_module(&mut object, 2);
    for (tag, value) in [
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        number(&mut object, tag, value);
    }
    let (first, second) = (rle(3), rle(9));
    let expected = Samples::U8([vec![3; 12], vec![9; 12]].concat());
    let whole = encapsulated(
        &object,
        folder.path(),
        uids::RLE_LOSSLESS,
        &[],
        &[&first, &second],
    );
    assert_eq!(samples(&whole), expected);
    // The first frame in two fragments, told apart by the table alone.
    let (head, tail) = first.split_at(40);
    let split = encapsulated(
        &object,
        folder.path(),
        uids::RLE_LOSSLESS,
        &[0, 82],
        &[head, tail, &second],
    );
    assert_eq!(samples(&split), expected);
    let short = encapsulated(&object, folder.path(), uids::RLE_LOSSLESS, &[], &[&first]);
    let error = read_pixels(&short, StoredBits::default()).unwrap_err();
    assert!(error.to_string().contains("2 frames"), "{error}");
}

#[test]
fn truncated_and_surplus_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = slice([0.0; 3], 0);
    make::pixels(&mut object, &make::ramp(0, 1)[..11]);
    let path = save(&object, folder.path(), "short.dcm");
    let error = read_pixels(&path, StoredBits::default()).unwrap_err();
    assert!(error.to_string().contains("24 bytes"), "{error}");
    make::pixels(&mut object, &make::ramp(0, 2)[..17]);
    let path = save(&object, folder.path(), "padded.dcm");
    assert_eq!(samples(&path), Samples::I16(make::ramp(0, 1)));
    make::pixels(&mut object, &make::ramp(0, 2));
    let path = save(&object, folder.path(), "more.dcm");
    assert_eq!(
        read_pixels(&path, StoredBits::default()).unwrap().shape(),
        [2, 3, 4]
    );
}

#[test]
fn files_without_palette_or_with_odd_windows() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = slice([0.0; 3], 0);
    let path = save(&object, folder.path(), "one.dcm");
    assert_eq!(Palette::read(&path).unwrap(), None);
    assert!(Window::read(&path).unwrap().is_empty());
    text(&mut object, tags::WINDOW_CENTER, VR::DS, "50");
    text(&mut object, tags::WINDOW_WIDTH, VR::DS, "100");
    text(&mut object, tags::VOILUT_FUNCTION, VR::CS, "SIGMOID");
    let windows = Window::read(&save(&object, folder.path(), "one.dcm")).unwrap();
    assert_eq!(windows[0].shape(), WindowShape::Sigmoid);
    // Half a width above the center: 1/(1 + exp(-4 · 50/100)).
    let expected = 1.0 / (1.0 + (-2.0_f64).exp());
    assert!((windows[0].apply(100.0) - expected).abs() < 1e-12);
    text(&mut object, tags::WINDOW_WIDTH, VR::DS, "100\\200");
    assert!(Window::read(&save(&object, folder.path(), "one.dcm")).is_err());
    text(&mut object, tags::WINDOW_WIDTH, VR::DS, "-1");
    assert!(Window::read(&save(&object, folder.path(), "one.dcm")).is_err());
    text(&mut object, tags::WINDOW_WIDTH, VR::DS, "100");
    text(&mut object, tags::VOILUT_FUNCTION, VR::CS, "CURVY");
    assert!(Window::read(&save(&object, folder.path(), "one.dcm")).is_err());
}
