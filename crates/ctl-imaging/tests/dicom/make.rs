//! Files made by dicom-object.

use dicom_core::value::{DataSetSequence, PixelFragmentSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use std::path::{Path, PathBuf};

pub(crate) type Object = InMemDicomObject;

pub(crate) const ROWS: u16 = 3;
pub(crate) const COLUMNS: u16 = 4;

/// A text element.
pub(crate) fn text(object: &mut Object, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

/// A 16-bit element.
pub(crate) fn number(object: &mut Object, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// A sequence.
pub(crate) fn sequence(object: &mut Object, tag: Tag, items: Vec<Object>) {
    let items = Value::from(DataSetSequence::from(items));
    object.put(DataElement::new(tag, VR::SQ, items));
}

/// Numbers as text between backslashes.
pub(crate) fn decimals(values: &[f64]) -> String {
    let words: Vec<String> = values.iter().map(f64::to_string).collect();
    words.join("\\")
}

/// An axial CT slice of 3 x 4 pixels of 2 mm x 0.5 mm, whose values start at `first`.
pub(crate) fn slice(position: [f64; 3], first: i16) -> Object {
    let mut object = Object::new_empty();
    let instance = format!(
        "1.2.3.{}",
        (position[2] * 1000.0).abs() as u64 * 7 + first as u64
    );
    text(
        &mut object,
        tags::SOP_CLASS_UID,
        VR::UI,
        uids::CT_IMAGE_STORAGE,
    );
    text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &instance);
    text(&mut object, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.100");
    text(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.200");
    text(&mut object, tags::MODALITY, VR::CS, "CT");
    text(&mut object, tags::SERIES_DESCRIPTION, VR::LO, "thorax");
    text(&mut object, tags::PATIENT_ID, VR::LO, "P1");
    text(&mut object, tags::PATIENT_NAME, VR::PN, "Doe^Jane");
    let place = decimals(&position);
    text(&mut object, tags::IMAGE_POSITION_PATIENT, VR::DS, &place);
    text(
        &mut object,
        tags::IMAGE_ORIENTATION_PATIENT,
        VR::DS,
        "1\\0\\0\\0\\1\\0",
    );
    text(&mut object, tags::PIXEL_SPACING, VR::DS, "2\\0.5");
    text(&mut object, tags::SLICE_THICKNESS, VR::DS, "5");
    text(&mut object, tags::RESCALE_SLOPE, VR::DS, "1");
    text(&mut object, tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    pixel_module(&mut object, 1);
    pixels(&mut object, &ramp(first, 1));
    object
}

/// Values from `first` upwards for some frames.
pub(crate) fn ramp(first: i16, frames: i16) -> Vec<i16> {
    let count = (ROWS * COLUMNS).cast_signed() * frames;
    (first..first + count).collect()
}

/// The image pixel module of signed 16-bit grey values.
pub(crate) fn pixel_module(object: &mut Object, frames: u16) {
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, ROWS),
        (tags::COLUMNS, COLUMNS),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 1),
    ] {
        number(object, tag, value);
    }
    let photometric = tags::PHOTOMETRIC_INTERPRETATION;
    text(object, photometric, VR::CS, "MONOCHROME2");
    if frames > 1 {
        text(object, tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string());
    }
}

pub(crate) fn pixels(object: &mut Object, values: &[i16]) {
    let words: Vec<u16> = values.iter().map(|value| value.cast_unsigned()).collect();
    let words = PrimitiveValue::U16(words.as_slice().into());
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, words));
}

/// Writes an object in explicit little endian.
pub(crate) fn save(object: &Object, folder: &Path, name: &str) -> PathBuf {
    save_as(object, folder, name, uids::EXPLICIT_VR_LITTLE_ENDIAN)
}

pub(crate) fn save_as(object: &Object, folder: &Path, name: &str, syntax: &str) -> PathBuf {
    let path = folder.join(name);
    let of = |tag| object.element(tag).ok()?.to_str().ok().map(String::from);
    let class = of(tags::SOP_CLASS_UID);
    let instance = of(tags::SOP_INSTANCE_UID);
    object
        .clone()
        .with_meta(
            FileMetaTableBuilder::new()
                .transfer_syntax(syntax)
                .media_storage_sop_class_uid(class.unwrap_or("1.2.3".to_owned()))
                .media_storage_sop_instance_uid(instance.unwrap_or("1.2.3".to_owned())),
        )
        .unwrap()
        .write_to_file(&path)
        .unwrap();
    path
}

/// Compressed fragments of an object, with an offset table.
pub(crate) fn encapsulated(
    object: &Object,
    folder: &Path,
    syntax: &str,
    table: &[u32],
    fragments: &[&[u8]],
) -> PathBuf {
    let mut object = object.clone();
    let fragments: Vec<Vec<u8>> = fragments.iter().map(|part| part.to_vec()).collect();
    let sequence = PixelFragmentSequence::new(table.to_vec(), fragments);
    let value: Value<Object> = Value::PixelSequence(sequence);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, value));
    save_as(&object, folder, "encapsulated.dcm", syntax)
}
