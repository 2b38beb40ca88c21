//! Attributes for cohorts: what an image is of, who took it and how.

use super::data::{DataSet, Source, Until, keyword};
use crate::Result;
use dicom_core::Tag;
use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::{StandardDataDictionary, tags};
use std::collections::BTreeMap;
use std::path::Path;

/// Retired in favour of `EthnicGroups`, but the one in use.
const ETHNIC_GROUP: Tag = Tag(0x0010, 0x2160);

/// The attributes that are read.
const READ: [Tag; 56] = [
    tags::SOP_CLASS_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::MODALITY,
    tags::IMAGE_TYPE,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::SOFTWARE_VERSIONS,
    tags::INSTITUTION_NAME,
    tags::STATION_NAME,
    tags::STUDY_DATE,
    tags::STUDY_DESCRIPTION,
    tags::SERIES_DESCRIPTION,
    tags::SERIES_NUMBER,
    tags::PROTOCOL_NAME,
    tags::BODY_PART_EXAMINED,
    tags::LATERALITY,
    tags::IMAGE_LATERALITY,
    tags::VIEW_POSITION,
    tags::PATIENT_POSITION,
    tags::PATIENT_ID,
    tags::PATIENT_AGE,
    tags::PATIENT_SEX,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    ETHNIC_GROUP,
    tags::MAGNETIC_FIELD_STRENGTH,
    tags::SCANNING_SEQUENCE,
    tags::SEQUENCE_VARIANT,
    tags::MR_ACQUISITION_TYPE,
    tags::ECHO_TIME,
    tags::REPETITION_TIME,
    tags::INVERSION_TIME,
    tags::FLIP_ANGLE,
    tags::ECHO_TRAIN_LENGTH,
    tags::PIXEL_BANDWIDTH,
    tags::KVP,
    tags::X_RAY_TUBE_CURRENT,
    tags::EXPOSURE_TIME,
    tags::EXPOSURE,
    tags::CONVOLUTION_KERNEL,
    tags::FILTER_TYPE,
    tags::RECONSTRUCTION_DIAMETER,
    tags::GANTRY_DETECTOR_TILT,
    tags::CONTRAST_BOLUS_AGENT,
    tags::SLICE_THICKNESS,
    tags::SPACING_BETWEEN_SLICES,
    tags::PIXEL_SPACING,
    tags::IMAGER_PIXEL_SPACING,
    tags::ROWS,
    tags::COLUMNS,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::DETECTOR_TYPE,
    tags::DETECTOR_ID,
    tags::BURNED_IN_ANNOTATION,
    tags::PATIENT_IDENTITY_REMOVED,
];

/// Reads the attributes of a file that tell cohorts apart.
///
/// Among them are `Modality`, `Manufacturer`, `ManufacturerModelName`, `MagneticFieldStrength`,
/// `KVP`, `ViewPosition`, `BodyPartExamined`, `PatientAge`, `PatientSex`, `InstitutionName`,
/// `StationName`, `ConvolutionKernel`, `SliceThickness`, `PixelSpacing` and the descriptions of
/// study and series. They may identify patients: see [`phi_report`](super::phi_report).
///
/// # Returns
/// Values by keyword, as they are written (several between backslashes); those that are absent or
/// empty are left out.
///
/// # Errors
/// [`ImagingError::Io`](crate::ImagingError::Io) when the file cannot be read;
/// [`ImagingError::Content`](crate::ImagingError::Content) when it is no DICOM file or malformed
/// before its pixels.
///
/// # Examples
/// ```no_run
/// let attributes = ctl_imaging::dicom::attributes("slice.dcm".as_ref())?;
/// assert_eq!(attributes["Modality"], "CT");
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn attributes(path: &Path) -> Result<BTreeMap<&'static str, String>> {
    let source = Source::read_header(path)?;
    let set = source.sound_data_set(Until::Pixels)?;
    Ok(READ
        .iter()
        .filter_map(|&tag| Some((keyword(tag)?, written(&set, tag)?)))
        .collect())
}

/// The tag of a keyword of PS3.6.
pub(crate) fn tag_of(keyword: &str) -> Option<Tag> {
    let entry = StandardDataDictionary.by_name(keyword)?;
    Some(entry.tag.inner())
}

/// Values of a file as they are written, several between backslashes; empty where there is none.
///
/// # Errors
/// Those of [`attributes`].
pub(crate) fn values(path: &Path, tags: &[Tag]) -> Result<Vec<String>> {
    let source = Source::read_header(path)?;
    let set = source.sound_data_set(Until::Pixels)?;
    let values = tags
        .iter()
        .map(|&tag| written(&set, tag).unwrap_or_default());
    Ok(values.collect())
}

fn written(set: &DataSet<'_>, tag: Tag) -> Option<String> {
    set.word(tag).or_else(|| {
        let numbers = set.numbers(tag)?;
        let words: Vec<String> = numbers.iter().map(f64::to_string).collect();
        (!words.is_empty()).then(|| words.join("\\"))
    })
}
