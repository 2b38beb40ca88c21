//! Several images of one place, and files of several frames.

use crate::make::{self, Object, decimals, number, save, sequence, slice, text};
use ctl_imaging::dicom::{SeriesAxis, SeriesOptions, read_series, read_series_files};
use ctl_imaging::volume::Scaling;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use std::path::Path;

fn options() -> SeriesOptions {
    SeriesOptions::default()
}

/// Three places and two times, the later time saved first; `mark` tells times apart.
fn two_times(folder: &Path, mark: impl Fn(&mut Object, usize)) {
    for time in [1_u8, 0] {
        for place in 0..3_u8 {
            let first = 1000 * i16::from(time) + 100 * i16::from(place);
            let mut object = slice([0.0, 0.0, 4.0 * f64::from(place)], first);
            mark(&mut object, time.into());
            save(&object, folder, &format!("{}{place}.dcm", 1 - time));
        }
    }
}

#[test]
fn times_echoes_and_b_values() {
    let cases = [
        (
            tags::TEMPORAL_POSITION_IDENTIFIER,
            VR::IS,
            SeriesAxis::TemporalPosition,
            ["1", "2"],
            [1.0, 2.0],
        ),
        (
            tags::TRIGGER_TIME,
            VR::DS,
            SeriesAxis::TriggerTime,
            ["0", "45.5"],
            [0.0, 45.5],
        ),
        (
            tags::ECHO_TIME,
            VR::DS,
            SeriesAxis::EchoTime,
            ["9", "80"],
            [9.0, 80.0],
        ),
        (
            tags::ACQUISITION_NUMBER,
            VR::IS,
            SeriesAxis::Acquisition,
            ["9", "10"],
            [9.0, 10.0],
        ),
    ];
    for (tag, vr, axis, values, numbers) in cases {
        let folder = tempfile::tempdir().unwrap();
        two_times(folder.path(), |object, time| {
            text(object, tag, vr, values[time]);
        });
        let series = &read_series(folder.path(), &options()).unwrap()[0];
        assert_eq!(series.axis, Some(axis));
        assert_eq!(series.axis_values, numbers);
        assert_eq!(series.volume.shape(), [4, 3, 3, 2]);
        assert_eq!(series.volume.value(&[1, 0, 2, 1]), Some(1201.0 - 1024.0));
    }
}

#[test]
fn b_value_and_direction_together() {
    let folder = tempfile::tempdir().unwrap();
    let images = [
        (0.0, [0.0; 3]),
        (1000.0, [1.0, 0.0, 0.0]),
        (1000.0, [0.0, 1.0, 0.0]),
    ];
    for (name, (value, direction)) in (0_i16..).zip(images) {
        for place in 0..2 {
            let mut object = slice([0.0, 0.0, f64::from(place)], 100 * name);
            let number = PrimitiveValue::from(value);
            object.put(DataElement::new(tags::DIFFUSION_B_VALUE, VR::FD, number));
            let direction = PrimitiveValue::F64(direction.as_slice().into());
            let tag = tags::DIFFUSION_GRADIENT_ORIENTATION;
            object.put(DataElement::new(tag, VR::FD, direction));
            save(&object, folder.path(), &format!("{name}{place}.dcm"));
        }
    }
    let series = &read_series(folder.path(), &options()).unwrap()[0];
    assert_eq!(series.axis, Some(SeriesAxis::Several));
    assert_eq!(series.volume.shape(), [4, 3, 2, 3]);
    let at = |time| series.volume.value(&[0, 0, 0, time]).unwrap() + 1024.0;
    assert_eq!([at(0), at(1), at(2)], [0.0, 200.0, 100.0]);
}

#[test]
fn duplicates_are_named() {
    let folder = tempfile::tempdir().unwrap();
    two_times(folder.path(), |_, _| {});
    let error = read_series(folder.path(), &options())
        .unwrap_err()
        .to_string();
    assert!(error.contains("00.dcm and 10.dcm at 0.000 mm"), "{error}");
    std::fs::remove_file(folder.path().join("11.dcm")).unwrap();
    let error = read_series(folder.path(), &options())
        .unwrap_err()
        .to_string();
    assert!(error.contains("2 images in each place"), "{error}");
}

/// A short stack of one acquisition over a long one of another, in one series.
#[test]
fn acquisitions_that_do_not_fit_are_stacks_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for place in 0..6 {
        let mut object = slice([0.0, 0.0, f64::from(place)], 0);
        text(&mut object, tags::ACQUISITION_NUMBER, VR::IS, "1");
        save(&object, folder.path(), &format!("a{place}.dcm"));
    }
    for place in 0..3 {
        let mut object = slice([0.0, 0.0, 2.5 * f64::from(place)], 0);
        text(&mut object, tags::ACQUISITION_NUMBER, VR::IS, "2");
        save(&object, folder.path(), &format!("b{place}.dcm"));
    }
    let series = read_series(folder.path(), &options()).unwrap();
    let depths: Vec<_> = series
        .iter()
        .map(|series| {
            (
                series.volume.shape()[2],
                series.volume.affine().spacing()[2],
            )
        })
        .collect();
    assert_eq!(depths, [(6, 1.0), (3, 2.5)]);
}

/// An enhanced MR image of two places and two times, frames in the order of times.
fn enhanced(change: impl Fn(usize, &mut Object)) -> Object {
    let mut object = slice([0.0; 3], 0);
    for tag in [
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PIXEL_SPACING,
        tags::RESCALE_SLOPE,
        tags::RESCALE_INTERCEPT,
    ] {
        object.remove_element(tag);
    }
    text(
        &mut object,
        tags::SOP_CLASS_UID,
        VR::UI,
        uids::ENHANCED_MR_IMAGE_STORAGE,
    );
    make::pixel_module(&mut object, 4);
    make::pixels(&mut object, &make::ramp(0, 4));
    let mut shared = Object::new_empty();
    let mut measures = Object::new_empty();
    text(&mut measures, tags::PIXEL_SPACING, VR::DS, "2\\0.5");
    sequence(&mut shared, tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    let mut orientation = Object::new_empty();
    let cosines = tags::IMAGE_ORIENTATION_PATIENT;
    text(&mut orientation, cosines, VR::DS, "0\\1\\0\\0\\0\\-1");
    sequence(
        &mut shared,
        tags::PLANE_ORIENTATION_SEQUENCE,
        vec![orientation],
    );
    sequence(
        &mut object,
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        vec![shared],
    );
    let frames = (0..4)
        .map(|frame| {
            let mut groups = Object::new_empty();
            let mut place = Object::new_empty();
            let position = decimals(&[6.0 - 3.0 * (frame % 2) as f64, 0.0, 0.0]);
            text(&mut place, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
            sequence(&mut groups, tags::PLANE_POSITION_SEQUENCE, vec![place]);
            let mut content = Object::new_empty();
            let index = PrimitiveValue::from(frame as u32 / 2 + 1);
            content.put(DataElement::new(
                tags::TEMPORAL_POSITION_INDEX,
                VR::UL,
                index,
            ));
            sequence(&mut groups, tags::FRAME_CONTENT_SEQUENCE, vec![content]);
            let mut transformation = Object::new_empty();
            text(&mut transformation, tags::RESCALE_SLOPE, VR::DS, "2");
            text(&mut transformation, tags::RESCALE_INTERCEPT, VR::DS, "5");
            change(frame, &mut transformation);
            let tag = tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE;
            sequence(&mut groups, tag, vec![transformation]);
            groups
        })
        .collect();
    sequence(
        &mut object,
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        frames,
    );
    object
}

#[test]
fn enhanced_multi_frame() {
    let folder = tempfile::tempdir().unwrap();
    for syntax in [
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ] {
        let path = make::save_as(&enhanced(|_, _| {}), folder.path(), "mr.dcm", syntax);
        let series = &read_series_files(&[path], &options()).unwrap()[0];
        let volume = &series.volume;
        assert_eq!(volume.shape(), [4, 3, 2, 2]);
        assert_eq!(series.axis, Some(SeriesAxis::TemporalPosition));
        let scaling = Scaling {
            slope: 2.0,
            intercept: 5.0,
        };
        assert_eq!(volume.scaling(), scaling);
        // The normal is (-1, 0, 0): frame 0 at x = 6 comes first, as along the normal.
        let at = |place, time| volume.value(&[0, 0, place, time]).unwrap();
        assert_eq!(
            [at(0, 0), at(1, 0), at(0, 1), at(1, 1)],
            [5.0, 29.0, 53.0, 77.0]
        );
        assert_eq!(volume.affine().to_world([0.0, 0.0, 1.0]), [-3.0, 0.0, 0.0]);
        assert_eq!(volume.affine().axis_codes(), "PIR");
    }
}

#[test]
fn enhanced_with_other_rescaling_or_too_few_groups() {
    let folder = tempfile::tempdir().unwrap();
    let varying = enhanced(|frame, transformation| {
        let slope = decimals(&[1.0 + frame as f64]);
        text(transformation, tags::RESCALE_SLOPE, VR::DS, &slope);
    });
    let path = save(&varying, folder.path(), "mr.dcm");
    let series = &read_series_files(&[path], &options()).unwrap()[0];
    assert_eq!(series.volume.value(&[1, 0, 1, 1]), Some(37.0 * 4.0 + 5.0));

    let mut short = enhanced(|_, _| {});
    make::pixel_module(&mut short, 5);
    let path = save(&short, folder.path(), "short.dcm");
    let error = read_series_files(&[path], &options())
        .unwrap_err()
        .to_string();
    assert!(error.contains("functional groups of 5 frames"), "{error}");
}

#[test]
fn dose_grid() {
    let folder = tempfile::tempdir().unwrap();
    let mut dose = slice([1.0, 2.0, 3.0], 0);
    text(
        &mut dose,
        tags::SOP_CLASS_UID,
        VR::UI,
        uids::RT_DOSE_STORAGE,
    );
    make::pixel_module(&mut dose, 3);
    make::pixels(&mut dose, &make::ramp(0, 3));
    text(
        &mut dose,
        tags::GRID_FRAME_OFFSET_VECTOR,
        VR::DS,
        "0\\-4\\-8",
    );
    text(&mut dose, tags::DOSE_GRID_SCALING, VR::DS, "0.001");
    dose.remove_element(tags::RESCALE_SLOPE);
    dose.remove_element(tags::RESCALE_INTERCEPT);
    let path = save(&dose, folder.path(), "dose.dcm");
    let series = &read_series_files(std::slice::from_ref(&path), &options()).unwrap()[0];
    assert_eq!(series.volume.shape(), [4, 3, 3]);
    assert_eq!(series.volume.scaling().slope, 0.001);
    // The lowest frame, the last in the file, comes first.
    assert_eq!(series.volume.affine().origin(), [-1.0, -2.0, -5.0]);
    assert_eq!(series.volume.value(&[0, 0, 0]), Some(0.024));
    text(&mut dose, tags::GRID_FRAME_OFFSET_VECTOR, VR::DS, "0\\-4");
    save(&dose, folder.path(), "dose.dcm");
    assert!(read_series_files(&[path], &options()).is_err());
}

/// Colours have three components; indices become colours where that is asked for.
#[test]
fn palette_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = slice([0.0; 3], 0);
    object.remove_element(tags::RESCALE_INTERCEPT);
    let photometric = tags::PHOTOMETRIC_INTERPRETATION;
    text(&mut object, photometric, VR::CS, "PALETTE COLOR");
    number(&mut object, tags::PIXEL_REPRESENTATION, 0);
    let tables = [
        (
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
    ];
    for (channel, (descriptor, data)) in (0_u16..).zip(tables) {
        let words = PrimitiveValue::U16([4, 2, 16].as_slice().into());
        object.put(DataElement::new(descriptor, VR::US, words));
        let entries: Vec<u16> = (0..4).map(|entry| 1000 * entry + channel).collect();
        let entries = PrimitiveValue::U16(entries.as_slice().into());
        object.put(DataElement::new(data, VR::OW, entries));
    }
    let path = save(&object, folder.path(), "palette.dcm");
    let files = [path];
    let indices = &read_series_files(&files, &options()).unwrap()[0];
    assert_eq!(indices.volume.components(), 1);
    let coloured = SeriesOptions {
        apply_palette: true,
        ..options()
    };
    let colours = &read_series_files(&files, &coloured).unwrap()[0];
    assert_eq!(colours.volume.components(), 3);
    // Below the first index 2 its colour, above the last that one's.
    let red = |column, row| colours.volume.value(&[column, row, 0]);
    assert_eq!(red(0, 0), Some(0.0));
    assert_eq!(red(3, 0), Some(1000.0));
    assert_eq!(red(3, 2), Some(3000.0));
}
