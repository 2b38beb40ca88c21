//! Series of slices made by dicom-object.

use crate::make::{self, Object, decimals, save, slice, text};
use ctl_imaging::ImagingError;
use ctl_imaging::dicom::{
    Gaps, SeriesOptions, StoredBits, discover_series, read_pixels, read_series, read_series_files,
};
use ctl_imaging::volume::{SampleType, Samples, Scaling, read_volume, read_volume_header};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use rstest::rstest;
use std::path::Path;

fn options() -> SeriesOptions {
    SeriesOptions::default()
}

/// Five slices, 2.5 mm apart, saved so that names are not in order.
fn five(folder: &Path, change: impl Fn(usize, &mut Object)) {
    for (name, index) in [3_u8, 0, 4, 1, 2].into_iter().enumerate() {
        let position = [-10.0, 20.0, 2.5 * f64::from(index)];
        let mut object = slice(position, 100 * i16::from(index));
        change(index.into(), &mut object);
        save(&object, folder, &format!("{name}.dcm"));
    }
}

fn only_error(folder: &Path, options: &SeriesOptions) -> String {
    match read_series(folder, options) {
        Err(error @ ImagingError::Content { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn shuffled_slices_make_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    five(folder.path(), |_, _| {});
    std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
    let [series] = &read_series(folder.path(), &options()).unwrap()[..] else {
        panic!("one series");
    };
    assert_eq!(
        (series.uid.as_str(), series.modality.as_str()),
        ("1.2.3.200", "CT")
    );
    let volume = &series.volume;
    assert_eq!(volume.shape(), [4, 3, 5]);
    assert_eq!(volume.sample_type(), SampleType::Int16);
    let scaling = Scaling {
        slope: 1.0,
        intercept: -1024.0,
    };
    assert_eq!(volume.scaling(), scaling);
    // Value 7 of slice 3: column 3 of row 1.
    assert_eq!(volume.value(&[3, 1, 3]), Some(307.0 - 1024.0));
    // Left and posterior become right and anterior.
    let rows = [
        [-0.5, 0.0, 0.0, 10.0],
        [0.0, -2.0, 0.0, -20.0],
        [0.0, 0.0, 2.5, 0.0],
    ];
    assert_eq!(volume.affine().rows(), rows);
    assert_eq!(volume.affine().axis_codes(), "LPS");
    let names: Vec<_> = series
        .files
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["1.dcm", "3.dcm", "4.dcm", "0.dcm", "2.dcm"]);
    assert!(series.warnings.is_empty() && series.axis.is_none());
}

/// The gap check cannot see the loss of an end slice.
#[rstest]
#[case::empty(0)]
#[case::stub(40)]
#[case::header(400)]
fn damaged_slices_are_no_smaller_volume(#[case] bytes: usize) {
    let folder = tempfile::tempdir().unwrap();
    five(folder.path(), |_, _| {});
    // The last of the five along the normal.
    let last = folder.path().join("2.dcm");
    let whole = std::fs::read(&last).unwrap();
    std::fs::write(&last, &whole[..bytes]).unwrap();
    let error = only_error(folder.path(), &options());
    assert!(error.contains("2.dcm"), "{error}");
    for read in [
        read_volume(folder.path()).map(drop),
        read_volume_header(folder.path()).map(drop),
    ] {
        let error = read.unwrap_err().to_string();
        assert!(error.contains("2.dcm"), "{error}");
    }
}

#[test]
fn headers_are_those_of_the_volume() {
    let folder = tempfile::tempdir().unwrap();
    five(folder.path(), |_, _| {});
    // What marks a folder is no slice.
    std::fs::write(folder.path().join(".keep"), "").unwrap();
    let header = read_volume_header(folder.path()).unwrap();
    let volume = read_volume(folder.path()).unwrap();
    assert_eq!(header.grid, volume.grid());
    assert_eq!(header.sample_type, volume.sample_type());
}

#[test]
fn oblique_orientation() {
    let folder = tempfile::tempdir().unwrap();
    let (sine, cosine) = 30_f64.to_radians().sin_cos();
    // Rows to the left, columns down and back: the normal is (0, sin, -cos)·(-1).
    let orientation = decimals(&[1.0, 0.0, 0.0, 0.0, cosine, sine]);
    five(folder.path(), |index, object| {
        let way = 3.0 * index as f64;
        let position = decimals(&[1.0, -way * sine, way * cosine]);
        text(
            object,
            tags::IMAGE_ORIENTATION_PATIENT,
            VR::DS,
            &orientation,
        );
        text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
    });
    let series = read_series(folder.path(), &options()).unwrap();
    let affine = series[0].volume.affine();
    let [i, j, k] = affine.spacing();
    assert!((i - 0.5).abs() < 1e-6 && (j - 2.0).abs() < 1e-6 && (k - 3.0).abs() < 1e-6);
    let world = affine.to_world([2.0, 1.0, 4.0]);
    let expected = [
        -(1.0 + 1.0),
        -(2.0 * cosine - 12.0 * sine),
        2.0 * sine + 12.0 * cosine,
    ];
    for (found, expected) in world.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{world:?}");
    }
    assert!(series[0].tilt_degrees < 1e-3);
}

#[test]
fn gantry_tilt_is_kept_as_shear() {
    let folder = tempfile::tempdir().unwrap();
    five(folder.path(), |index, object| {
        let z = 2.5 * index as f64;
        let y = 20.0 + z * 15_f64.to_radians().tan();
        let position = decimals(&[-10.0, y, z]);
        text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
    });
    let series = read_series(folder.path(), &options()).unwrap();
    assert!((series[0].tilt_degrees - 15.0).abs() < 0.01);
    assert!(series[0].warnings[0].contains("tilted by 15.00 degrees"));
    let [_, [_, _, shear, _], _] = series[0].volume.affine().rows();
    assert!((shear + 2.5 * 15_f64.to_radians().tan()).abs() < 1e-3);
}

#[test]
fn bent_stacks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    five(folder.path(), |index, object| {
        let y = if index == 2 { 21.0 } else { 20.0 };
        let position = decimals(&[-10.0, y, 2.5 * index as f64]);
        text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
    });
    let message = only_error(folder.path(), &options());
    assert!(
        message.contains("on one line") && message.contains("4.dcm"),
        "{message}"
    );
}

#[test]
fn missing_slices_are_named_or_reported() {
    let folder = tempfile::tempdir().unwrap();
    five(folder.path(), |_, _| {});
    for index in 5..8 {
        let object = slice([-10.0, 20.0, 2.5 * f64::from(index) + 5.0], 0);
        save(&object, folder.path(), &format!("{index}.dcm"));
    }
    let message = only_error(folder.path(), &options());
    assert!(message.contains("slices every 2.500 mm"), "{message}");
    assert!(
        message.contains("2 missing slices between 2.dcm and 5.dcm"),
        "{message}"
    );
    let report = SeriesOptions {
        gaps: Gaps::Report,
        ..options()
    };
    let series = read_series(folder.path(), &report).unwrap();
    assert_eq!(series[0].volume.shape(), [4, 3, 8]);
    assert!(series[0].warnings[0].contains("2 missing slices"));
    assert!((series[0].volume.affine().spacing()[2] - 2.5).abs() < 1e-9);
}

#[test]
fn spacing_within_the_tolerance() {
    let folder = tempfile::tempdir().unwrap();
    let place = |extra: f64| {
        move |index: usize, object: &mut Object| {
            let z = 2.5 * index as f64 + if index == 2 { extra } else { 0.0 };
            let position = decimals(&[-10.0, 20.0, z]);
            text(object, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
        }
    };
    five(folder.path(), place(0.02));
    assert!(read_series(folder.path(), &options()).is_ok());
    five(folder.path(), place(0.3));
    assert!(only_error(folder.path(), &options()).contains("2.800 mm between"));
    let wide = SeriesOptions {
        spacing_tolerance: 0.2,
        ..options()
    };
    assert!(read_series(folder.path(), &wide).is_ok());
    let wrong = SeriesOptions {
        spacing_tolerance: 0.6,
        ..options()
    };
    assert!(matches!(
        read_series(folder.path(), &wrong),
        Err(ImagingError::Argument { .. })
    ));
}

#[test]
fn rescale_of_each_slice() {
    let folder = tempfile::tempdir().unwrap();
    five(folder.path(), |index, object| {
        let slope = decimals(&[0.1 + index as f64]);
        text(object, tags::RESCALE_SLOPE, VR::DS, &slope);
    });
    let series = read_series(folder.path(), &options()).unwrap();
    let volume = &series[0].volume;
    assert_eq!(volume.sample_type(), SampleType::Float32);
    assert_eq!(volume.scaling(), Scaling::NONE);
    let expected = (307.0 * 3.1 - 1024.0) as f32;
    assert_eq!(volume.value(&[3, 1, 3]), Some(expected.into()));
}

/// Twelve bits of sixteen whose other four hold something else, at both ends of the word, signed
/// and not, with scalings that single precision has exactly and one that it does not.
#[rstest]
#[case(0, 12, 11, [1.0, -1024.0])]
#[case(0, 12, 15, [2.0, 0.0])]
#[case(1, 12, 11, [0.1, 3.7])]
#[case(1, 16, 15, [-3.0, 1.0])]
#[case(0, 16, 15, [1.0, 0.0])]
#[case(0, 16, 15, [1000.0, 1.0])]
fn values_come_as_they_are_or_as_numbers(
    #[case] signed: u16,
    #[case] stored: u16,
    #[case] high: u16,
    #[case] scaling: [f64; 2],
) {
    let folder = tempfile::tempdir().unwrap();
    five(folder.path(), |index, object| {
        make::number(object, tags::PIXEL_REPRESENTATION, signed);
        make::number(object, tags::BITS_STORED, stored);
        make::number(object, tags::HIGH_BIT, high);
        let values = (0..12_usize).map(|value| ((value * 5003 + 777 * index) as u16).cast_signed());
        make::pixels(object, &values.collect::<Vec<_>>());
        for (tag, value) in [tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT]
            .iter()
            .zip(scaling)
        {
            text(object, *tag, VR::DS, &value.to_string());
        }
    });
    let as_stored = read_series(folder.path(), &options()).unwrap().remove(0);
    // Each file by itself, by way of its whole data set.
    let mut expected = Vec::new();
    for path in &as_stored.files {
        let pixels = read_pixels(path, StoredBits::BelowHighBit).unwrap();
        expected.extend(match pixels.samples {
            Samples::U16(values) => values
                .iter()
                .map(|&value| f64::from(value))
                .collect::<Vec<_>>(),
            Samples::I16(values) => values.iter().map(|&value| f64::from(value)).collect(),
            other => panic!("{other:?}"),
        });
    }
    let [slope, intercept] = scaling;
    let numbers = |value: &f64| (value * slope + intercept) as f32;
    let expected: Vec<f32> = expected.iter().map(numbers).collect();
    let volume = &as_stored.volume;
    assert_eq!(volume.scaling(), Scaling { slope, intercept });
    assert_eq!(volume.to_f32(), expected);
    let single = SeriesOptions {
        single_precision: true,
        ..options()
    };
    let numbers = read_series(folder.path(), &single)
        .unwrap()
        .remove(0)
        .volume;
    assert_eq!(numbers.samples(), &Samples::F32(expected));
    assert_eq!(numbers.scaling(), Scaling::NONE);
    assert_eq!(numbers.affine(), volume.affine());
}

#[test]
fn series_and_orientations_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    five(folder.path(), |_, _| {});
    for index in 0..3 {
        let mut scout = slice([0.0, f64::from(index) * 4.0, 0.0], 0);
        text(
            &mut scout,
            tags::IMAGE_ORIENTATION_PATIENT,
            VR::DS,
            "1\\0\\0\\0\\0\\-1",
        );
        save(&scout, folder.path(), &format!("coronal{index}.dcm"));
        let mut other = slice([0.0, 0.0, f64::from(index)], 0);
        text(&mut other, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.900");
        save(&other, folder.path(), &format!("other{index}.dcm"));
    }
    let mut report = slice([0.0; 3], 0);
    text(
        &mut report,
        tags::SOP_CLASS_UID,
        VR::UI,
        uids::SEGMENTATION_STORAGE,
    );
    save(&report, folder.path(), "segmentation.dcm");

    let found = discover_series(folder.path()).unwrap();
    let slices: Vec<usize> = found.series.iter().map(|series| series.slices).collect();
    assert_eq!(slices, [8, 3]);
    let [(path, reason)] = &found.skipped[..] else {
        panic!("{:?}", found.skipped);
    };
    assert!(path.ends_with("segmentation.dcm"));
    assert!(reason.to_string().contains("a segmentation"));
    let all = read_series(folder.path(), &options()).unwrap();
    let codes: Vec<_> = all
        .iter()
        .map(|series| {
            (
                series.volume.affine().axis_codes(),
                series.volume.shape()[2],
            )
        })
        .collect();
    let expected = [
        ("LIP".to_owned(), 3),
        ("LPS".to_owned(), 5),
        ("LPS".to_owned(), 3),
    ];
    let mut sorted = codes.clone();
    sorted.sort();
    let mut wanted = expected.to_vec();
    wanted.sort();
    assert_eq!(sorted, wanted);
}

#[test]
fn objects_out_of_scope_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (class, what) in [
        (uids::RT_STRUCTURE_SET_STORAGE, "structures"),
        (uids::TWELVE_LEAD_ECG_WAVEFORM_STORAGE, "waveform"),
        (uids::SEGMENTATION_STORAGE, "segmentation"),
        (uids::COMPREHENSIVE_SR_STORAGE, "report"),
    ] {
        let mut object = slice([0.0; 3], 0);
        text(&mut object, tags::SOP_CLASS_UID, VR::UI, class);
        let path = save(&object, folder.path(), "one.dcm");
        let error = read_series_files(&[path], &options()).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    let mut object = slice([0.0; 3], 0);
    make::sequence(
        &mut object,
        tags::MODALITY_LUT_SEQUENCE,
        vec![Object::new_empty()],
    );
    let path = save(&object, folder.path(), "one.dcm");
    let error = read_series_files(&[path], &options()).unwrap_err();
    assert!(error.to_string().contains("look-up table"), "{error}");
}

#[test]
fn geometry_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    for tag in [
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PIXEL_SPACING,
        tags::SERIES_INSTANCE_UID,
    ] {
        let mut object = slice([0.0; 3], 0);
        object.remove_element(tag);
        let path = save(&object, folder.path(), "one.dcm");
        assert!(read_series_files(&[path], &options()).is_err(), "{tag}");
    }
    for (tag, value) in [
        (tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\1\\0\\0"),
        (tags::PIXEL_SPACING, "0\\1"),
        (tags::IMAGE_POSITION_PATIENT, "0\\nan\\1"),
        (tags::RESCALE_SLOPE, "0"),
        (tags::RESCALE_SLOPE, "steep"),
    ] {
        let mut object = slice([0.0; 3], 0);
        text(&mut object, tag, VR::DS, value);
        let path = save(&object, folder.path(), "one.dcm");
        assert!(read_series_files(&[path], &options()).is_err(), "{value}");
    }
}

#[test]
fn single_slice_with_padding_and_inversion() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = slice([1.0, 2.0, 3.0], 0);
    make::number(&mut object, tags::PIXEL_PADDING_VALUE, 63536);
    let photometric = tags::PHOTOMETRIC_INTERPRETATION;
    text(&mut object, photometric, VR::CS, "MONOCHROME1");
    text(&mut object, tags::WINDOW_CENTER, VR::DS, "40\\-600");
    text(&mut object, tags::WINDOW_WIDTH, VR::DS, "400\\1500");
    let explanation = tags::WINDOW_CENTER_WIDTH_EXPLANATION;
    text(&mut object, explanation, VR::LO, "SOFT\\LUNG");
    let path = save(&object, folder.path(), "one.dcm");
    let series = &read_series_files(&[path], &options()).unwrap()[0];
    assert_eq!(series.volume.affine().spacing(), [0.5, 2.0, 5.0]);
    assert_eq!(series.padding, Some((-2000, -2000)));
    assert!(series.inverted_display);
    assert_eq!(series.windows[1].explanation(), Some("LUNG"));
    let values: Vec<i16> = (0..12).collect();
    assert_eq!(series.volume.samples(), &Samples::I16(values));
}
