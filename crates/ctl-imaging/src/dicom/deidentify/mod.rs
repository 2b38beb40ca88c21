//! De-identification on export (PS3.15 annex E).

mod profile;
mod report;
mod secret;
mod table;
mod walk;
mod write;

pub use profile::Action;
pub(crate) use profile::action;
pub use report::{PhiAttribute, PhiReport, phi_report};
pub use secret::Secret;

use super::data::{DataSet, Encoding, Fault, Source, Until};
use crate::Result;
use crate::error::ImagingError;
use crate::write::replace_file;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use std::io::Write;
use std::path::Path;
use walk::{Done, Walker};

/// Name of the code sets in `DeidentificationMethodCodeSequence` (PS3.16 CID 7050).
const BASIC: (&str, &str) = ("113100", "Basic Application Confidentiality Profile");
const CHARACTERISTICS: (&str, &str) = ("113108", "Retain Patient Characteristics Option");

const METHOD: &str = "PS3.15 E Basic Profile (ctl-imaging)";

/// This implementation, as files name it.
const IMPLEMENTATION_UID: &str = "2.25.169388293853024118247539226714011264973";
const IMPLEMENTATION_NAME: &str = "CTL_IMAGING_0_1";

/// Retired from the standard, not from archives.
const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// What is kept and what is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeidentifyOptions {
    /// Keeps sex, age, size, weight, smoking and the like (Retain Patient Characteristics Option).
    pub retain_patient_characteristics: bool,
    /// Exports images whose pixels are said to show who the patient is; pixels are never cleaned.
    pub allow_burned_in: bool,
}

/// What was done to a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Deidentified {
    /// Elements removed.
    pub removed: usize,
    /// Elements emptied.
    pub emptied: usize,
    /// Elements replaced by a dummy or pseudonym.
    pub replaced: usize,
    /// Elements with mapped UIDs.
    pub mapped: usize,
}

/// Writes an image without what identifies the patient.
///
/// Actions are those of the Basic Application Level Confidentiality Profile of PS3.15 table
/// E.1-1, in all nested sequences:
///
/// * **removed**: private attributes; descriptions, comments, addresses, telephone numbers, names
///   of physicians and operators, institution, station and device serial numbers, requests, visits,
///   admissions, patient age, size, weight and history, digital signatures, original attributes,
///   icons, curves, overlays; and, beyond the table, every other name of a person, date, time,
///   group length and attribute that PS3.6 does not know;
/// * **emptied**: `PatientName`, `PatientBirthDate`, `PatientSex`, `StudyDate`, `StudyTime`,
///   `ContentDate`, `AccessionNumber`, `StudyID`, `ReferringPhysicianName` and others of type 2;
/// * **replaced**: `PatientID` by a pseudonym, identifiers of clinical trials by a dummy;
/// * **mapped**: all UIDs but the standard's own (classes, transfer syntaxes), the same one to the
///   same one wherever it stands.
///
/// `PatientIdentityRemoved`, `DeidentificationMethod` with its codes and
/// `LongitudinalTemporalInformationModified` are set, meta information and preamble are written anew.
/// Pixels are copied as they are.
///
/// # Arguments
/// * `from`: a DICOM image.
/// * `to`: where to write; a file there is replaced when the new one is whole.
/// * `secret`: what UIDs and pseudonyms depend on.
///
/// # Errors
/// [`ImagingError::Io`] when a file cannot be read or written; [`ImagingError::Content`] when the
/// file is malformed anywhere (what cannot be read cannot be cleaned), is no image, or its pixels
/// are said to identify the patient (`BurnedInAnnotation`).
pub fn deidentify(
    from: &Path,
    to: &Path,
    secret: &Secret,
    options: DeidentifyOptions,
) -> Result<Deidentified> {
    let source = Source::read(from)?;
    let set = source.sound_data_set(Until::End)?;
    check(&set, options, from)?;
    let (bytes, done) =
        rewritten(&source, &set, secret, options).map_err(|fault| source.fault(&fault))?;
    replace_file(to, |file| file.write_all(&bytes))?;
    Ok(Deidentified {
        removed: done.removed,
        emptied: done.emptied,
        replaced: done.replaced,
        mapped: done.mapped,
    })
}

fn check(set: &DataSet<'_>, options: DeidentifyOptions, path: &Path) -> Result<()> {
    if !set
        .elements()
        .iter()
        .any(|element| super::data::is_pixels(element.tag))
    {
        return Err(ImagingError::content(
            path,
            "an image (the free text of other objects is not cleaned)",
            "a data set without pixels",
        ));
    }
    let burned_in = set.word(tags::BURNED_IN_ANNOTATION);
    if burned_in.as_deref() == Some("YES") && !options.allow_burned_in {
        return Err(ImagingError::content(
            path,
            "pixels that do not show who the patient is",
            "BurnedInAnnotation YES",
        ));
    }
    Ok(())
}

fn rewritten(
    source: &Source,
    set: &DataSet<'_>,
    secret: &Secret,
    options: DeidentifyOptions,
) -> std::result::Result<(Vec<u8>, Done), Fault> {
    let mut walker = Walker {
        secret,
        keep_characteristics: options.retain_patient_characteristics,
        done: Done::default(),
    };
    let mut elements = walker.elements(set, 0)?;
    let encoding = source.encoding();
    let marks = marks(options, encoding);
    elements.retain(|(tag, _)| !marks.iter().any(|(mark, _)| mark == tag));
    elements.extend(marks);
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(meta(source, set, secret));
    bytes.extend(write::joined(elements));
    Ok((bytes, walker.done))
}

/// The attributes that say what was done.
fn marks(options: DeidentifyOptions, encoding: Encoding) -> Vec<(Tag, Vec<u8>)> {
    let text = |tag, vr, value: &str| {
        let bytes = write::element(tag, vr, value.as_bytes().to_vec(), encoding);
        (tag, bytes)
    };
    let kept = options
        .retain_patient_characteristics
        .then_some(CHARACTERISTICS);
    let codes: Vec<u8> = [BASIC]
        .into_iter()
        .chain(kept)
        .flat_map(|(code, meaning)| {
            let item = vec![
                text(tags::CODE_VALUE, VR::SH, code),
                text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
                text(tags::CODE_MEANING, VR::LO, meaning),
            ];
            write::item(item, encoding)
        })
        .collect();
    let sequence = tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE;
    vec![
        text(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"),
        text(tags::DEIDENTIFICATION_METHOD, VR::LO, METHOD),
        (sequence, write::element(sequence, VR::SQ, codes, encoding)),
        text(
            tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
            VR::CS,
            "REMOVED",
        ),
    ]
}

/// Meta information written anew (PS3.10 section 7.1).
fn meta(source: &Source, set: &DataSet<'_>, secret: &Secret) -> Vec<u8> {
    let encoding = Encoding::EXPLICIT;
    let text =
        |tag, vr, value: String| (tag, write::element(tag, vr, value.into_bytes(), encoding));
    let uid = |tag, value: &str| text(tag, VR::UI, value.to_owned());
    let old = source.meta();
    let class = set
        .word(tags::SOP_CLASS_UID)
        .or_else(|| old.word(tags::MEDIA_STORAGE_SOP_CLASS_UID));
    let instance = set
        .word(tags::SOP_INSTANCE_UID)
        .or_else(|| old.word(tags::MEDIA_STORAGE_SOP_INSTANCE_UID));
    // A deflated data set is written as it was inside.
    let syntax = match source.syntax() {
        Some(syntax) if !syntax.deflated => syntax.uid.clone(),
        _ => match source.encoding() {
            Encoding { implicit: true, .. } => uids::IMPLICIT_VR_LITTLE_ENDIAN,
            Encoding {
                big_endian: true, ..
            } => EXPLICIT_BIG_ENDIAN,
            _ => uids::EXPLICIT_VR_LITTLE_ENDIAN,
        }
        .to_owned(),
    };
    let version = tags::FILE_META_INFORMATION_VERSION;
    let mut elements = vec![
        (
            version,
            write::element(version, VR::OB, vec![0, 1], encoding),
        ),
        uid(tags::TRANSFER_SYNTAX_UID, &syntax),
        uid(tags::IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_UID),
        text(
            tags::IMPLEMENTATION_VERSION_NAME,
            VR::SH,
            IMPLEMENTATION_NAME.to_owned(),
        ),
    ];
    elements.extend(class.map(|class| uid(tags::MEDIA_STORAGE_SOP_CLASS_UID, &class)));
    elements
        .extend(instance.map(|old| uid(tags::MEDIA_STORAGE_SOP_INSTANCE_UID, &secret.uid(&old))));
    let content = write::joined(elements);
    let length = (content.len() as u32).to_le_bytes().to_vec();
    let group = tags::FILE_META_INFORMATION_GROUP_LENGTH;
    let mut bytes = write::element(group, VR::UL, length, encoding);
    bytes.extend(content);
    bytes
}
