//! What of a file may identify the patient.

use super::profile::{Action, STANDARD_UIDS, action};
use crate::Result;
use crate::dicom::data::{DataSet, Element, Source, Until, dictionary_vr, keyword};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use std::path::Path;

/// Deepest nesting that is looked into, as deep as is read.
const MAX_DEPTH: usize = 64;

/// An attribute with a value that the profile would not keep.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PhiAttribute {
    /// Where it stands: tags of sequences with the number of the item, then its own.
    pub path: String,
    /// Its keyword in PS3.6; `None` for private and unknown ones.
    pub keyword: Option<&'static str>,
    /// What [`deidentify`](super::deidentify) would do to it.
    pub action: Action,
}

/// What of a file may identify the patient. Values are not told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PhiReport {
    /// Public attributes of the profile with a value.
    pub attributes: Vec<PhiAttribute>,
    /// Private attributes with a value.
    pub private: Vec<PhiAttribute>,
    /// `BurnedInAnnotation`: whether pixels are said to show who the patient is.
    pub burned_in_annotation: Option<String>,
    /// `RecognizableVisualFeatures`: whether they are said to show a face.
    pub recognizable_features: Option<String>,
    /// `PatientIdentityRemoved`: whether the file is said to be de-identified.
    pub patient_identity_removed: Option<String>,
    /// `DeidentificationMethod`.
    pub deidentification_method: Option<String>,
}

/// Lists the attributes of a file that may identify the patient, in all nested sequences.
///
/// # Errors
/// [`ImagingError::Io`](crate::ImagingError::Io) when the file cannot be read;
/// [`ImagingError::Content`](crate::ImagingError::Content) when it is malformed: what cannot be read
/// may identify as well.
pub fn phi_report(path: &Path) -> Result<PhiReport> {
    let source = Source::read_header(path)?;
    let set = source.sound_data_set(Until::Pixels)?;
    let mut report = PhiReport {
        attributes: Vec::new(),
        private: Vec::new(),
        burned_in_annotation: set.word(tags::BURNED_IN_ANNOTATION),
        recognizable_features: set.word(tags::RECOGNIZABLE_VISUAL_FEATURES),
        patient_identity_removed: set.word(tags::PATIENT_IDENTITY_REMOVED),
        deidentification_method: set.word(tags::DEIDENTIFICATION_METHOD),
    };
    report
        .collect(&set, "", 0)
        .map_err(|fault| source.fault(&fault))?;
    Ok(report)
}

impl PhiReport {
    fn collect(
        &mut self,
        set: &DataSet<'_>,
        prefix: &str,
        depth: usize,
    ) -> std::result::Result<(), crate::dicom::data::Fault> {
        if let Some(fault) = set.fault() {
            return Err(fault.clone());
        }
        for element in set.elements() {
            let path = format!("{prefix}{}", element.tag);
            let action = action(element.tag, false);
            let sequence = element.written_vr() == Some(VR::SQ)
                || dictionary_vr(element.tag, false) == Some(VR::SQ);
            if action == Action::K && sequence && depth < MAX_DEPTH {
                for (index, item) in element.items()?.iter().enumerate() {
                    self.collect(item, &format!("{path}[{index}]."), depth + 1)?;
                }
            } else if identifies(set, element, action) {
                let attribute = PhiAttribute {
                    path,
                    keyword: keyword(element.tag),
                    action,
                };
                if element.tag.group() % 2 == 1 {
                    self.private.push(attribute);
                } else {
                    self.attributes.push(attribute);
                }
            }
        }
        Ok(())
    }
}

/// Whether there is a value that would not be kept. Mapped UIDs name images and not patients, but
/// lead to them where the archive is known.
fn identifies(set: &DataSet<'_>, element: &Element<'_>, action: Action) -> bool {
    let has_value = element.value.iter().any(|byte| ![b' ', 0].contains(byte));
    match action {
        Action::K => false,
        Action::U => {
            let uid = set.charset().decode(element.value);
            has_value && !uid.starts_with(STANDARD_UIDS)
        }
        _ => has_value && element.tag.element() != 0,
    }
}
