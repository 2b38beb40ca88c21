//! Folders of series as cohorts.

use crate::make::{Object, number, pixels, ramp, save, slice, text};
use ctl_imaging::dicom::{DeidentifyOptions, Secret, deidentify};
use ctl_imaging::volume::read_volume;
use ctl_imaging::{Cohort, DicomImport, import_dicom};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use rstest::rstest;
use std::path::Path;

/// A slice of a series of a patient.
fn of(series: &str, patient: &str, place: f64) -> Object {
    let mut object = slice([0.0, 0.0, place], 5);
    text(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, series);
    text(&mut object, tags::PATIENT_ID, VR::LO, patient);
    text(
        &mut object,
        tags::INSTITUTION_NAME,
        VR::LO,
        if patient == "P1" { "north" } else { "south" },
    );
    text(&mut object, tags::PATIENT_AGE, VR::AS, "018M");
    text(&mut object, tags::MANUFACTURER, VR::LO, "Acme");
    object
}

fn class(mut object: Object, class: &str) -> Object {
    text(&mut object, tags::SOP_CLASS_UID, VR::UI, class);
    object
}

/// Two series of two patients, three slices each, among other things.
fn archive(source: &Path) -> DicomImport {
    std::fs::create_dir_all(source.join("deep")).unwrap();
    for number in 0..3_i32 {
        let place = f64::from(number) * 5.0;
        save(&of("1.2.1", "P1", place), source, &format!("a{number}"));
        save(
            &of("1.2.2", "P2", place),
            &source.join("deep"),
            &format!("b{number}"),
        );
    }
    save(
        &class(of("1.2.3", "P1", 0.0), uids::SEGMENTATION_STORAGE),
        source,
        "seg",
    );
    std::fs::write(source.join("readme.txt"), "no DICOM").unwrap();
    DicomImport {
        source: source.to_owned(),
        salt: "salt".into(),
        site: Some("InstitutionName".into()),
        ..DicomImport::default()
    }
}

#[test]
fn a_series_is_a_row_that_names_nobody() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("archive"), parent.path().join("cohort"));
    let mut import = archive(&source);
    import.tags = vec!["PatientAge".into(), "Manufacturer".into()];
    let imported = import_dicom(&folder, &import).unwrap();
    assert_eq!(imported.images, 2);
    let expected = [
        "1 left out: a segmentation (SEG), which is out of scope",
        "1 left out: a file that is no DICOM",
        "may help to identify patients (PS3.15 table E.1-1): InstitutionName, PatientAge",
    ];
    assert_eq!(imported.notes, expected);

    let cohort = Cohort::open(&folder).unwrap();
    assert_eq!(cohort.sites(), ["north", "south"]);
    assert_eq!(cohort.cell(0, "age"), Some("1.5"));
    assert_eq!(cohort.cell(0, "Manufacturer"), Some("Acme"));
    let manifest = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let provenance = std::fs::read_to_string(folder.join("import.json")).unwrap();
    for hidden in ["P1", "P2", "1.2.1", "1.2.3.100", "salt", "Doe"] {
        assert!(!manifest.contains(hidden), "{hidden}");
    }
    assert!(!provenance.contains("\"salt\""));
    // The folder of a series, read in place, is the volume.
    let place = folder.join(cohort.records()[0].address().unwrap().file());
    assert_eq!(read_volume(&place).unwrap().shape(), [4, 3, 3]);
    assert!(place.join("00001.dcm").is_symlink());

    // The pseudonym is the one of exported files, and another salt gives another.
    let exported = parent.path().join("exported.dcm");
    let secret = Secret::new(b"salt");
    deidentify(
        &source.join("a0"),
        &exported,
        &secret,
        DeidentifyOptions::default(),
    )
    .unwrap();
    let attributes = ctl_imaging::dicom::attributes(&exported).unwrap();
    let patients: Vec<&str> = cohort
        .records()
        .iter()
        .map(|r| r.patient.as_str())
        .collect();
    assert!(patients.contains(&attributes["PatientID"].as_str()));
    import.salt = "other".into();
    let other = parent.path().join("other");
    import_dicom(&other, &import).unwrap();
    let other = Cohort::open(&other).unwrap();
    assert!(
        other
            .records()
            .iter()
            .all(|r| !patients.contains(&r.patient.as_str()))
    );
}

#[test]
fn converted_series_are_the_same_volumes() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("archive"), parent.path().join("cohort"));
    let mut import = archive(&source);
    import.convert = true;
    import_dicom(&folder, &import).unwrap();
    std::fs::remove_dir_all(source.join("deep")).unwrap();
    std::fs::remove_file(source.join("seg")).unwrap();
    let expected = read_volume(&source).unwrap();
    let cohort = Cohort::open(&folder).unwrap();
    let record = cohort
        .records()
        .iter()
        .find(|record| cohort.sites()[record.site] == "north");
    let record = record.unwrap();
    let address = record.address().unwrap();
    let file = Path::new(address.file());
    assert!(file.extension().is_some_and(|end| end == "gz"));
    let volume = read_volume(&folder.join(file)).unwrap();
    assert_eq!(volume.to_f64(), expected.to_f64());
    let (ours, theirs) = (volume.affine().matrix(), expected.affine().matrix());
    for (ours, theirs) in ours.iter().flatten().zip(theirs.iter().flatten()) {
        assert!((ours - theirs).abs() < 1e-5);
    }
}

#[test]
fn what_makes_no_volume_is_left_out_with_its_reason() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("archive"), parent.path().join("cohort"));
    let mut import = archive(&source);
    // A localiser: one axial and one sagittal slice.
    save(&of("1.2.4", "P1", 0.0), &source, "l0");
    let mut sagittal = of("1.2.4", "P1", 9.0);
    let turned = "0\\1\\0\\0\\0\\-1";
    text(
        &mut sagittal,
        tags::IMAGE_ORIENTATION_PATIENT,
        VR::DS,
        turned,
    );
    save(&sagittal, &source, "l1");
    let mut photograph = of("1.2.5", "P1", 0.0);
    photograph.remove_element(tags::IMAGE_POSITION_PATIENT);
    save(&photograph, &source, "photograph");
    let imported = import_dicom(&folder, &import).unwrap();
    let left = &imported.left_out[0];
    let found = (left.path.to_str(), left.reason.as_str());
    assert_eq!(found, (Some("l0"), "a series of 2 stacks"));
    let unplaced = "1 left out: an image that does not say where it lies";
    assert!(
        imported.notes.iter().any(|note| note == unplaced),
        "{:?}",
        imported.notes
    );

    std::fs::remove_file(source.join("a1")).unwrap();
    save(&of("1.2.1", "P1", 15.0), &source, "a3");
    save(&of("1.2.1", "P1", 20.0), &source, "a4");
    let again = parent.path().join("again");
    let error = import_dicom(&again, &import).unwrap_err().to_string();
    assert!(error.contains("missing slices"), "{error}");
    import.skip_faulty = true;
    let imported = import_dicom(&again, &import).unwrap();
    assert_eq!((imported.images, imported.left_out.len()), (1, 2));
    assert!(imported.left_out[0].reason.contains("missing slices"));
}

#[test]
fn times_and_colours_are_left_out() {
    let parent = tempfile::tempdir().unwrap();
    // A folder that is named after its patient stays out of what is written.
    let (source, folder) = (parent.path().join("Doe_Jane"), parent.path().join("cohort"));
    let import = archive(&source);
    for time in ["1", "2"] {
        for place in 0..2_u8 {
            let mut object = of("1.2.6", "P1", f64::from(place) * 5.0);
            text(
                &mut object,
                tags::TEMPORAL_POSITION_IDENTIFIER,
                VR::IS,
                time,
            );
            let uid = format!("1.2.3.6.{time}.{place}");
            text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &uid);
            save(&object, &source, &format!("t{time}{place}"));
        }
    }
    for place in 0..2_u8 {
        let mut object = of("1.2.7", "P1", f64::from(place) * 5.0);
        text(&mut object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB");
        number(&mut object, tags::SAMPLES_PER_PIXEL, 3);
        number(&mut object, tags::PLANAR_CONFIGURATION, 0);
        number(&mut object, tags::PIXEL_REPRESENTATION, 0);
        pixels(&mut object, &ramp(0, 3));
        save(&object, &source, &format!("c{place}"));
    }
    let imported = import_dicom(&folder, &import).unwrap();
    assert_eq!(imported.images, 2);
    let left: Vec<(&str, &str)> = imported
        .left_out
        .iter()
        .map(|left| {
            let (what, _) = left.reason.split_once(':').unwrap();
            (left.path.to_str().unwrap(), what)
        })
        .collect();
    assert_eq!(
        left,
        [
            ("c0", "1 frames of 3 components"),
            ("t10", "2 frames of 1 components")
        ]
    );
    let provenance = std::fs::read_to_string(folder.join("import.json")).unwrap();
    assert!(!provenance.contains("Doe"), "{provenance}");
}

type Change = fn(&Path, &mut DicomImport);

/// Writes a slice of the first series again, with another value.
fn changed(source: &Path, tag: Tag, vr: VR, value: &str) {
    let mut object = of("1.2.1", "P1", 5.0);
    text(&mut object, tag, vr, value);
    save(&object, source, "a1");
}

#[rstest]
#[case::salt(|_: &Path, import: &mut DicomImport| import.salt.clear(), "salt: expected some text")]
#[case::keyword(|_: &Path, import: &mut DicomImport| import.tags = vec!["Manufacture".into()], "a keyword of PS3.6")]
#[case::absent(|_: &Path, import: &mut DicomImport| import.tags = vec!["EchoTime".into()], "expected EchoTime in one series")]
#[case::twice(|_: &Path, import: &mut DicomImport| import.tags = vec!["Manufacturer".into(); 2], "`Manufacturer` twice")]
#[case::modality(|_: &Path, import: &mut DicomImport| import.modality = Some("MR".into()), "modalities CT, found `MR`")]
#[case::patient(|s: &Path, _: &mut DicomImport| changed(s, tags::PATIENT_ID, VR::LO, "P9"), "one PatientID in all files")]
#[case::site(|s: &Path, _: &mut DicomImport| changed(s, tags::INSTITUTION_NAME, VR::LO, "east"), "one InstitutionName")]
#[case::no_site(|_: &Path, import: &mut DicomImport| import.site = Some("StationName".into()), "StationName as the site")]
#[case::age(|s: &Path, import: &mut DicomImport| {
    for number in 0..3_i32 {
        let mut object = of("1.2.1", "P1", f64::from(number) * 5.0);
        text(&mut object, tags::PATIENT_AGE, VR::AS, "old");
        save(&object, s, &format!("a{number}"));
    }
    import.tags = vec!["PatientAge".into()];
}, "a PatientAge such as 045Y")]
#[case::truncated(|s: &Path, _: &mut DicomImport| {
    let bytes = std::fs::read(s.join("a1")).unwrap();
    std::fs::write(s.join("a1"), &bytes[..400]).unwrap();
}, "a1")]
#[case::a_slice_without_place(|s: &Path, _: &mut DicomImport| {
    let mut object = of("1.2.1", "P1", 10.0);
    object.remove_element(tags::IMAGE_POSITION_PATIENT);
    save(&object, s, "a2");
}, "ImagePositionPatient")]
#[case::nothing(|s: &Path, _: &mut DicomImport| {
    for file in ["a0", "a1", "a2", "deep/b0", "deep/b1", "deep/b2"] {
        std::fs::remove_file(s.join(file)).unwrap();
    }
}, "series of DICOM images, found 1 left out: a segmentation (SEG), which is out of scope")]
fn what_does_not_fit_is_named_and_nothing_is_written(#[case] change: Change, #[case] said: &str) {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("archive"), parent.path().join("cohort"));
    let mut import = archive(&source);
    change(&source, &mut import);
    let error = import_dicom(&folder, &import).unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert!(!folder.exists());
}
