//! De-identification, read back by dicom-object.

use crate::make::{self, Object, save, sequence, slice, text};
use ctl_imaging::dicom::{
    Action, DeidentifyOptions, Secret, SeriesOptions, StoredBits, attributes, deidentify,
    phi_report, read_pixels, read_series_files,
};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::open_file;
use proptest::prelude::*;
use std::path::Path;

/// An image with identity at the top, in nested sequences and in private attributes.
fn identified() -> Object {
    let mut object = slice([0.0; 3], 0);
    text(&mut object, tags::PATIENT_BIRTH_DATE, VR::DA, "19500101");
    text(&mut object, tags::PATIENT_SEX, VR::CS, "F");
    text(&mut object, tags::PATIENT_AGE, VR::AS, "074Y");
    text(&mut object, tags::INSTITUTION_NAME, VR::LO, "St Mary");
    text(&mut object, tags::STUDY_DATE, VR::DA, "20240102");
    text(&mut object, tags::STUDY_DESCRIPTION, VR::LO, "Doe thorax");
    text(&mut object, tags::MANUFACTURER, VR::LO, "ACME");
    text(&mut object, Tag(0x0009, 0x0010), VR::LO, "ACME 1.0");
    text(&mut object, Tag(0x0009, 0x1001), VR::LO, "Jane Doe");
    let mut inner = Object::new_empty();
    text(&mut inner, tags::PATIENT_NAME, VR::PN, "Doe^Jane");
    text(
        &mut inner,
        tags::REFERENCED_SOP_INSTANCE_UID,
        VR::UI,
        "1.2.3.4",
    );
    text(
        &mut inner,
        tags::REFERENCED_SOP_CLASS_UID,
        VR::UI,
        uids::CT_IMAGE_STORAGE,
    );
    let mut outer = Object::new_empty();
    sequence(&mut outer, tags::REFERENCED_SERIES_SEQUENCE, vec![inner]);
    text(&mut outer, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.200");
    sequence(&mut object, tags::SOURCE_IMAGE_SEQUENCE, vec![outer]);
    object
}

fn word(object: &Object, tag: Tag) -> Option<String> {
    let element = object.element_opt(tag).unwrap()?;
    Some(element.to_str().unwrap().trim_end_matches('\0').to_owned())
}

fn export(from: &Path, to: &Path, options: DeidentifyOptions) -> Object {
    deidentify(from, to, &Secret::new(b"test"), options).unwrap();
    (*open_file(to).unwrap()).clone()
}

#[test]
fn nothing_identifies_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("out.dcm");
    for syntax in [
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.2",
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ] {
        let from = make::save_as(&identified(), folder.path(), "in.dcm", syntax);
        let object = export(&from, &to, DeidentifyOptions::default());
        for tag in [
            tags::PATIENT_AGE,
            tags::INSTITUTION_NAME,
            tags::STUDY_DESCRIPTION,
            Tag(0x0009, 0x0010),
            Tag(0x0009, 0x1001),
        ] {
            assert_eq!(word(&object, tag), None, "{tag}");
        }
        for tag in [tags::PATIENT_NAME, tags::STUDY_DATE, tags::PATIENT_SEX] {
            assert_eq!(word(&object, tag).as_deref(), Some(""), "{tag}");
        }
        assert_eq!(word(&object, tags::MANUFACTURER).unwrap(), "ACME");
        assert_eq!(
            word(&object, tags::PATIENT_IDENTITY_REMOVED).unwrap(),
            "YES"
        );
        assert_ne!(word(&object, tags::PATIENT_ID).unwrap(), "P1");
        let written = std::fs::read(&to).unwrap();
        for secret in [
            "Doe",
            "Jane",
            "St Mary",
            "19500101",
            "20240102",
            "1.2.3.200",
        ] {
            let found = written
                .windows(secret.len())
                .any(|bytes| bytes == secret.as_bytes());
            assert!(!found, "{secret} in {syntax}");
        }
        let read = |path: &Path| read_pixels(path, StoredBits::default()).unwrap();
        assert_eq!(read(&from), read(&to));
        let left = phi_report(&to).unwrap();
        assert!(left.private.is_empty());
        assert!(left.attributes.iter().all(|attribute| {
            attribute.action == Action::U || attribute.keyword == Some("PatientID")
        }));
        assert_eq!(left.patient_identity_removed.as_deref(), Some("YES"));
    }
}

#[test]
fn uids_are_mapped_alike_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let from = save(&identified(), folder.path(), "in.dcm");
    let to = folder.path().join("out.dcm");
    let object = export(&from, &to, DeidentifyOptions::default());
    let series = word(&object, tags::SERIES_INSTANCE_UID).unwrap();
    assert!(series.starts_with("2.25."));
    let source = object.element(tags::SOURCE_IMAGE_SEQUENCE).unwrap();
    let outer = &source.items().unwrap()[0];
    assert_eq!(word(outer, tags::SERIES_INSTANCE_UID), Some(series));
    let inner = outer.element(tags::REFERENCED_SERIES_SEQUENCE).unwrap();
    let inner = &inner.items().unwrap()[0];
    assert_eq!(word(inner, tags::PATIENT_NAME).as_deref(), Some(""));
    let class = word(inner, tags::REFERENCED_SOP_CLASS_UID);
    assert_eq!(class.as_deref(), Some(uids::CT_IMAGE_STORAGE));
    let meta = open_file(&to).unwrap().meta().clone();
    let instance = word(&object, tags::SOP_INSTANCE_UID).unwrap();
    assert_eq!(meta.media_storage_sop_instance_uid(), instance);

    // Another secret gives others.
    let other = folder.path().join("other.dcm");
    let options = DeidentifyOptions::default();
    deidentify(&from, &other, &Secret::new(b"other"), options).unwrap();
    let other = open_file(&other).unwrap();
    assert_ne!(word(&other, tags::SOP_INSTANCE_UID).unwrap(), instance);
}

#[test]
fn characteristics_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let from = save(&identified(), folder.path(), "in.dcm");
    let options = DeidentifyOptions {
        retain_patient_characteristics: true,
        ..DeidentifyOptions::default()
    };
    let object = export(&from, &folder.path().join("out.dcm"), options);
    assert_eq!(word(&object, tags::PATIENT_AGE).as_deref(), Some("074Y"));
    assert_eq!(word(&object, tags::PATIENT_SEX).as_deref(), Some("F"));
    let codes = object
        .element(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
        .unwrap();
    let codes: Vec<_> = codes
        .items()
        .unwrap()
        .iter()
        .map(|item| word(item, tags::CODE_VALUE).unwrap())
        .collect();
    assert_eq!(codes, ["113100", "113108"]);
}

#[test]
fn what_cannot_be_cleaned_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("out.dcm");
    std::fs::write(&to, "old").unwrap();
    let secret = Secret::new(b"test");
    let mut burned = identified();
    text(&mut burned, tags::BURNED_IN_ANNOTATION, VR::CS, "YES");
    let from = save(&burned, folder.path(), "burned.dcm");
    let error = deidentify(&from, &to, &secret, DeidentifyOptions::default()).unwrap_err();
    assert!(error.to_string().contains("BurnedInAnnotation"));
    let mut report = identified();
    report.remove_element(tags::PIXEL_DATA);
    let path = save(&report, folder.path(), "report.dcm");
    assert!(deidentify(&path, &to, &secret, DeidentifyOptions::default()).is_err());
    let whole = std::fs::read(save(&identified(), folder.path(), "in.dcm")).unwrap();
    let cut = folder.path().join("cut.dcm");
    std::fs::write(&cut, &whole[..whole.len() - 5]).unwrap();
    assert!(deidentify(&cut, &to, &secret, DeidentifyOptions::default()).is_err());
    assert_eq!(std::fs::read(&to).unwrap(), b"old");
    let allowed = DeidentifyOptions {
        allow_burned_in: true,
        ..DeidentifyOptions::default()
    };
    assert!(deidentify(&from, &to, &secret, allowed).is_ok());
}

#[test]
fn report_and_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(&identified(), folder.path(), "in.dcm");
    let report = phi_report(&path).unwrap();
    let has = |keyword| {
        let mut all = report.attributes.iter();
        all.any(|attribute| attribute.keyword == Some(keyword))
    };
    assert!(has("PatientName") && has("InstitutionName") && has("StudyDate"));
    assert!(!has("Manufacturer") && !has("SOPClassUID"));
    let nested = report
        .attributes
        .iter()
        .find(|attribute| attribute.path.contains('.'))
        .unwrap();
    assert!(
        nested.path.starts_with("(0008,2112)[0].(0008,1115)[0]."),
        "{nested:?}"
    );
    assert_eq!(report.private.len(), 2);
    assert_eq!(report.burned_in_annotation, None);

    let told = attributes(&path).unwrap();
    assert_eq!(told["PatientAge"], "074Y");
    assert_eq!(told["PixelSpacing"], "2\\0.5");
    assert_eq!(told["Rows"], "3");
    assert!(!told.contains_key("KVP"));
}

#[test]
fn numbers_of_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = identified();
    let value = PrimitiveValue::from(7_u16);
    object.put(DataElement::new(Tag(0x0011, 0x1001), VR::US, value));
    let from = save(&object, folder.path(), "in.dcm");
    let to = folder.path().join("out.dcm");
    let options = DeidentifyOptions::default();
    let done = deidentify(&from, &to, &Secret::new(b""), options).unwrap();
    // Removed: three private, age, institution, two descriptions. Emptied: both names, birth date,
    // sex, study date. Replaced: the ID. Mapped: instance, study, two series, the reference.
    let numbers = (done.removed, done.emptied, done.replaced, done.mapped);
    assert_eq!(numbers, (7, 5, 1, 5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Pixels and their place are read back as they were, whatever form the file has.
    #[test]
    fn what_is_exported_is_the_same_image(
        position in prop::array::uniform3(-500.0_f64..500.0),
        values in prop::collection::vec(any::<i16>(), 12),
        syntax in prop::sample::select(vec![
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
            uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
            "1.2.840.10008.1.2.2",
        ]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut object = slice(position, 0);
        make::pixels(&mut object, &values);
        let from = make::save_as(&object, folder.path(), "in.dcm", syntax);
        let to = folder.path().join("out.dcm");
        export(&from, &to, DeidentifyOptions::default());
        let pixels = |path| read_pixels(path, StoredBits::default()).unwrap();
        prop_assert_eq!(pixels(&to), pixels(&from));
        let volume = |path: &Path| {
            let series = read_series_files(&[path.to_owned()], &SeriesOptions::default()).unwrap();
            series[0].volume.clone()
        };
        prop_assert_eq!(volume(&to), volume(&from));
    }
}
