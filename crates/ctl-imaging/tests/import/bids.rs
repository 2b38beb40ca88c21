//! Data sets in the Brain Imaging Data Structure.

use crate::{rows, text, two_frames, volume};
use ctl_imaging::{AttributeValue, BidsImport, BidsMasks, Cohort, ImagingError, import_bids};
use rstest::rstest;
use std::path::Path;

const DESCRIPTION: &str = r#"{"Name": "brains", "BIDSVersion": "1.9.0", "License": "CC0"}"#;
const PARTICIPANTS: &str = "participant_id\tAge\tsex\tsite_id\tdiagnosis\tdose\n\
                            sub-01\t41\tF\tnorth\tNA\t1.5\n\
                            sub-02\tn/a\tM\tsouth\tcontrol\tn/a\n\
                            sub-03\t9\tF\tsouth\tcontrol\t2\n";
const T1W: &str = "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz";
const BRAIN: &str = "derivatives/strip/sub-01/ses-1/anat/sub-01_ses-1_desc-brain_mask.nii.gz";

/// Two participants of three, one with two sessions, sidecars and masks.
fn data_set(source: &Path) -> BidsImport {
    text(&source.join("dataset_description.json"), DESCRIPTION);
    text(&source.join("participants.tsv"), PARTICIPANTS);
    for (path, first) in [
        (T1W, 1),
        ("sub-01/ses-2/anat/sub-01_ses-2_acq-fast_T1w.nii", 2),
        ("sub-02/anat/sub-02_T1w.nii.gz", 3),
        ("sub-02/anat/sub-02_FLAIR.nii.gz", 4),
        (BRAIN, 0),
        (
            "derivatives/strip/sub-01/ses-1/anat/sub-01_ses-1_space-MNI152_desc-brain_mask.nii.gz",
            0,
        ),
        (
            "derivatives/other/sub-02/anat/sub-02_space-orig_mask.nii.gz",
            0,
        ),
    ] {
        volume(&source.join(path), first);
    }
    text(
        &source.join("T1w.json"),
        r#"{"MagneticFieldStrength": 1.5, "ImageType": ["A", 2]}"#,
    );
    text(
        &source.join("acq-fast_T1w.json"),
        r#"{"MagneticFieldStrength": 0}"#,
    );
    text(
        &source.join("sub-01/ses-1/sub-01_ses-1_T1w.json"),
        r#"{"MagneticFieldStrength": 3}"#,
    );
    BidsImport {
        source: source.to_owned(),
        suffix: Some("T1w".into()),
        label: Some("diagnosis".into()),
        ..BidsImport::default()
    }
}

fn cells<'a>(cohort: &'a Cohort, column: &str) -> Vec<&'a str> {
    let rows = rows(cohort).into_iter();
    rows.map(|row| cohort.cell(row, column).unwrap()).collect()
}

#[test]
fn participants_entities_sidecars_and_masks_become_columns() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("bids"), parent.path().join("cohort"));
    let mut import = data_set(&source);
    std::fs::remove_file(source.join("acq-fast_T1w.json")).unwrap();
    volume(&source.join("sub-01/anat/scan.nii.gz"), 0);
    import.sidecar = ["MagneticFieldStrength", "ImageType"]
        .map(str::to_owned)
        .to_vec();
    import.inputs = vec!["age".into(), "dose".into()];
    import.masks = Some(BidsMasks {
        suffix: "mask".into(),
        ..BidsMasks::default()
    });
    let imported = import_bids(&folder, &import).unwrap();
    assert_eq!(imported.images, 3);
    assert_eq!(
        imported.left_out[0].path,
        Path::new("sub-01/anat/scan.nii.gz")
    );
    assert_eq!(
        imported.notes,
        ["1 images without a mask", "1 masks that belong to no image"]
    );

    let cohort = Cohort::open(&folder).unwrap();
    assert_eq!((cohort.name(), cohort.licence()), ("brains", Some("CC0")));
    assert_eq!(cohort.sites(), ["north", "south"]);
    // A group called NA is one: what is unknown is n/a.
    assert_eq!(cohort.classes(), ["NA", "control"]);
    assert_eq!(cells(&cohort, "patient"), ["sub-01", "sub-01", "sub-02"]);
    assert_eq!(cells(&cohort, "ses"), ["1", "2", ""]);
    assert_eq!(cells(&cohort, "acq"), ["", "fast", ""]);
    assert_eq!(cells(&cohort, "MagneticFieldStrength"), ["3", "1.5", "1.5"]);
    assert_eq!(cells(&cohort, "ImageType"), [r"A\2"; 3]);
    let masks = [
        "mask/strip/sub-01/ses-1/anat/sub-01_ses-1_desc-brain_mask.nii.gz",
        "",
        "mask/other/sub-02/anat/sub-02_space-orig_mask.nii.gz",
    ];
    assert_eq!(cells(&cohort, "mask_path"), masks);
    let attributes = &cohort.records()[rows(&cohort)[2]].attributes;
    assert_eq!(attributes[..], [AttributeValue::Missing; 2]);
    for path in [&format!("img/{T1W}"), masks[0]] {
        assert!(folder.join(path).is_file(), "{path}");
    }
    let provenance = std::fs::read_to_string(folder.join("import.json")).unwrap();
    assert!(
        provenance.contains("\"bids_version\": \"1.9.0\""),
        "{provenance}"
    );
}

#[test]
fn entities_choose_and_a_pipeline_too() {
    let parent = tempfile::tempdir().unwrap();
    let source = parent.path().join("bids");
    let mut import = data_set(&source);
    import.entities = vec![("ses".into(), "1".into())];
    volume(&source.join(BRAIN.replace("strip", "hand")), 0);
    let mut masks = BidsMasks {
        suffix: "mask".into(),
        entities: vec![("desc".into(), "brain".into())],
        ..BidsMasks::default()
    };
    import.masks = Some(masks.clone());
    let error = import_bids(&parent.path().join("a"), &import).unwrap_err();
    assert!(error.to_string().contains("expected one mask"), "{error}");
    masks.pipeline = Some("hand".into());
    import.masks = Some(masks);
    let folder = parent.path().join("b");
    assert_eq!(import_bids(&folder, &import).unwrap().images, 1);
    let cohort = Cohort::open(&folder).unwrap();
    let mask = cohort.records()[0].mask_path.as_deref().unwrap();
    assert!(mask.starts_with("mask/hand/"));
}

#[test]
fn without_a_table_there_is_one_site() {
    let parent = tempfile::tempdir().unwrap();
    let source = parent.path().join("bids");
    let mut import = data_set(&source);
    std::fs::remove_file(source.join("participants.tsv")).unwrap();
    let error = import_bids(&parent.path().join("a"), &import).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("participants.tsv with the column `diagnosis`")
    );
    import.label = None;
    import_bids(&parent.path().join("a"), &import).unwrap();
    let cohort = Cohort::open(&parent.path().join("a")).unwrap();
    assert_eq!(cohort.sites(), ["all"]);
}

#[test]
fn names_and_frames_that_fit_no_row_are_left_out() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("bids"), parent.path().join("cohort"));
    let import = data_set(&source);
    volume(&source.join("sub-02/anat/sub-02_T1w.bak.nii.gz"), 0);
    two_frames(&source.join("sub-02/anat/sub-02_run-2_T1w.nii.gz"));
    let imported = import_bids(&folder, &import).unwrap();
    assert_eq!(imported.images, 3);
    let [name, frames] = &imported.left_out[..] else {
        panic!("two files: {:?}", imported.left_out);
    };
    assert_eq!(
        frames.path,
        Path::new("sub-02/anat/sub-02_run-2_T1w.nii.gz")
    );
    assert!(frames.reason.contains("2 frames"), "{}", frames.reason);
    assert_eq!(name.path, Path::new("sub-02/anat/sub-02_T1w.bak.nii.gz"));
}

#[test]
fn the_oldest_are_89_and_strangers_are_not_checked() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("bids"), parent.path().join("cohort"));
    let import = data_set(&source);
    let table = PARTICIPANTS
        .replace("\t41\t", "\t89+\t")
        .replace("\t9\t", "\told\t");
    text(&source.join("participants.tsv"), &table);
    let imported = import_bids(&folder, &import).unwrap();
    assert_eq!(imported.notes, ["1 participants of age 89+, read as 89"]);
    let cohort = Cohort::open(&folder).unwrap();
    assert_eq!(cells(&cohort, "age"), ["89", "89", ""]);
}

#[test]
fn columns_have_the_meaning_that_was_asked_for() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("bids"), parent.path().join("cohort"));
    let mut import = data_set(&source);
    import.site = Some("scanner".into());
    text(
        &source.join("participants.tsv"),
        "participant_id\tscanner\tsite\tlabel\tsplit\tacq\tdiagnosis\n\
         sub-01\tx\tnorth\t7\tearly\tp\till\n\
         sub-02\ty\tsouth\t8\tlate\tq\twell\n",
    );
    let imported = import_bids(&folder, &import).unwrap();
    assert_eq!(imported.notes.len(), 4, "{:?}", imported.notes);
    assert_eq!(
        imported.notes[0],
        "the column `site` of participants.tsv is `participant_site`"
    );
    let cohort = Cohort::open(&folder).unwrap();
    assert_eq!(cohort.sites(), ["x", "y"]);
    assert_eq!(cohort.classes(), ["ill", "well"]);
    for (column, expected) in [
        ("participant_site", ["north", "north", "south"]),
        ("participant_label", ["7", "7", "8"]),
        ("participant_split", ["early", "early", "late"]),
        ("participant_acq", ["p", "p", "q"]),
        ("acq", ["", "fast", ""]),
    ] {
        assert_eq!(cells(&cohort, column), expected, "{column}");
    }
}

#[test]
fn masks_are_of_the_images_data_type() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("bids"), parent.path().join("cohort"));
    let mut import = data_set(&source);
    // Of the same entities as the T1w image, and of another image.
    let other = "derivatives/other/sub-02/dwi/sub-02_space-orig_mask.nii.gz";
    volume(&source.join(other), 0);
    mask(&mut import, "mask");
    if let Some(masks) = &mut import.masks {
        masks.classes = vec!["outside".into(), "brain".into()];
    }
    import_bids(&folder, &import).unwrap();
    let cohort = Cohort::open(&folder).unwrap();
    assert_eq!(
        cells(&cohort, "mask_path")[2],
        "mask/other/sub-02/anat/sub-02_space-orig_mask.nii.gz"
    );
    let provenance = std::fs::read_to_string(folder.join("import.json")).unwrap();
    for said in ["mask_classes", "outside"] {
        assert!(provenance.contains(said), "{provenance}");
    }
}

type Change = fn(&Path, &mut BidsImport);

fn mask(import: &mut BidsImport, suffix: &str) {
    import.masks = Some(BidsMasks {
        suffix: suffix.into(),
        ..BidsMasks::default()
    });
}

#[rstest]
#[case::suffixes(|_: &Path, import: &mut BidsImport| import.suffix = None, "suffix: expected one of FLAIR (1), T1w (3)")]
#[case::suffix(|_: &Path, import: &mut BidsImport| import.suffix = Some("T2w".into()), "FLAIR (1), T1w (3), found `T2w`")]
#[case::entity(
    |_: &Path, import: &mut BidsImport| import.entities = vec![("acq".into(), "slow".into())],
    "an entity `acq` of fast, found `slow`"
)]
#[case::no_entity(|_: &Path, import: &mut BidsImport| import.entities = vec![("run".into(), "1".into())], "no entity `run`")]
#[case::no_data_set(
    |source: &Path, _: &mut BidsImport| std::fs::remove_file(source.join("dataset_description.json")).unwrap(),
    "dataset_description.json"
)]
#[case::version(
    |source: &Path, _: &mut BidsImport| text(&source.join("dataset_description.json"), &DESCRIPTION.replace("1.9", "2.0")),
    "version 1 of BIDS"
)]
#[case::site(|_: &Path, import: &mut BidsImport| import.site = Some("centre".into()), "one of the columns participant_id")]
#[case::unknown_site(
    |source: &Path, _: &mut BidsImport| text(&source.join("participants.tsv"), &PARTICIPANTS.replace("north", "n/a")),
    "expected a site of sub-01, found `n/a`"
)]
#[case::age(
    |source: &Path, _: &mut BidsImport| text(&source.join("participants.tsv"), &PARTICIPANTS.replace("41", "old")),
    "an age from 0 to 150 years, or n/a, of sub-01, found `old`"
)]
#[case::participant(
    |source: &Path, _: &mut BidsImport| text(&source.join("participants.tsv"), &PARTICIPANTS.replace("sub-02", "sub-04")),
    "a row for sub-02"
)]
#[case::twice(
    |source: &Path, _: &mut BidsImport| text(&source.join("participants.tsv"), &PARTICIPANTS.replace("sub-03", "sub-02")),
    "`sub-02` twice"
)]
#[case::a_column_twice(
    |source: &Path, _: &mut BidsImport| {
        let table = PARTICIPANTS.replace("dose", "participant_patient");
        text(&source.join("participants.tsv"), &table.replace("sex", "patient"));
    },
    "`participant_patient` twice"
)]
#[case::folders(
    |source: &Path, _: &mut BidsImport| volume(&source.join("sub-02/anat/sub-01_T1w.nii"), 0),
    "expected sub-02 in its name, as in its folders, found sub-01"
)]
#[case::no_image(
    |source: &Path, _: &mut BidsImport| text(&source.join("sub-02/anat/sub-02_T1w.nii.gz"), "nothing of the kind"),
    "sub-02_T1w.nii.gz"
)]
#[case::frames(
    |source: &Path, import: &mut BidsImport| {
        two_frames(&source.join("sub-02/func/sub-02_bold.nii.gz"));
        import.suffix = Some("bold".into());
    },
    "found 2 frames of 1 components"
)]
#[case::field(
    |source: &Path, import: &mut BidsImport| {
        std::fs::remove_file(source.join("acq-fast_T1w.json")).unwrap();
        import.sidecar = vec!["EchoTime".into()];
    },
    "the field `EchoTime`"
)]
#[case::sidecars(
    |_: &Path, import: &mut BidsImport| import.sidecar = vec!["ImageType".into()],
    "at most one sidecar in each folder, found T1w.json and acq-fast_T1w.json"
)]
#[case::mask(|_: &Path, import: &mut BidsImport| mask(import, "lesion"), "files of the suffix lesion, found mask")]
#[case::classes(|_: &Path, import: &mut BidsImport| mask(import, "dseg"), "the names of the values of dseg")]
fn what_does_not_fit_is_named_and_nothing_is_written(#[case] change: Change, #[case] said: &str) {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("bids"), parent.path().join("cohort"));
    let mut import = data_set(&source);
    change(&source, &mut import);
    let error = import_bids(&folder, &import).unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert!(!folder.exists());
}

#[test]
fn what_is_there_stays() {
    let parent = tempfile::tempdir().unwrap();
    let import = data_set(&parent.path().join("bids"));
    let folder = parent.path().join("cohort");
    text(&folder.join("mine"), "mine");
    let error = import_bids(&folder, &import).unwrap_err();
    assert!(matches!(error, ImagingError::NotEmpty { .. }), "{error}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}
