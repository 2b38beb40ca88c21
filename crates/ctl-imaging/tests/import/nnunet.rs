//! Data sets in the layout of nnU-Net.

use crate::{file, picture, rows, text, two_frames, volume};
use ctl_imaging::{
    Cohort, MaskRule, NnunetImport, NnunetSplits, Raster, Split, VerifyOptions, import_nnunet,
    verify,
};
use rstest::rstest;
use std::path::Path;

const SECOND: &str = r#"{
    "channel_names": {"0": "T2", "1": "ADC"},
    "labels": {"background": 0, "PZ": 1, "TZ": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
    "name": "prostate", "licence": "CC BY"
}"#;
const FIRST: &str = r#"{
    "modality": {"0": "T2", "1": "ADC"},
    "labels": {"0": "background", "1": "PZ", "2": "TZ"},
    "numTraining": 2, "numTest": 1,
    "training": [], "test": []
}"#;
const SPLITS: &str = r#"[{"train": ["p_a"], "val": ["p_b"]}]"#;

/// Two training cases of two channels and a test case.
fn data_set(source: &Path, description: &str) -> NnunetImport {
    text(&source.join("dataset.json"), description);
    for case in ["p_a", "p_b"] {
        volume(&source.join(format!("labelsTr/{case}.nii.gz")), 0);
    }
    for case in ["Tr/p_a", "Tr/p_b", "Ts/p_c"] {
        for channel in 0..2 {
            volume(
                &source.join(format!("images{case}_000{channel}.nii.gz")),
                channel,
            );
        }
    }
    NnunetImport {
        source: source.to_owned(),
        ..NnunetImport::default()
    }
}

#[rstest]
#[case::first(FIRST, "cohort")]
#[case::second(SECOND, "prostate")]
fn a_case_is_a_row_for_each_channel(#[case] description: &str, #[case] name: &str) {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("nnunet"), parent.path().join("cohort"));
    let imported = import_nnunet(&folder, &data_set(&source, description)).unwrap();
    assert_eq!(imported.images, 4);
    assert_eq!(imported.notes, ["1 test cases of imagesTs left out"]);
    let cohort = Cohort::open(&folder).unwrap();
    assert_eq!(cohort.name(), name);
    let first = rows(&cohort);
    let records = first.iter().map(|&index| &cohort.records()[index]);
    let rows: Vec<(&str, Option<&str>, &str)> = records
        .map(|r| {
            (
                file(&r.path),
                r.mask_path.as_deref().map(file),
                r.patient.as_str(),
            )
        })
        .collect();
    let mask = Some("mask/labelsTr/p_a.nii.gz");
    assert_eq!(rows[0], ("img/imagesTr/p_a_0000.nii.gz", mask, "p_a"));
    assert_eq!(rows[1], ("img/imagesTr/p_a_0001.nii.gz", mask, "p_a"));
    assert_eq!(cohort.cell(first[1], "channel"), Some("ADC"));
    let spec = cohort.mask().unwrap();
    assert_eq!(spec.classes, ["background", "PZ", "TZ"]);
    assert_eq!(spec.rule, MaskRule::Values(vec![0.0, 1.0, 2.0]));
    assert!(folder.join("mask/labelsTr/p_b.nii.gz").is_file());
}

#[test]
fn a_channel_a_fold_and_the_test_cases_are_chosen() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("nnunet"), parent.path().join("cohort"));
    let mut import = data_set(&source, SECOND);
    text(&parent.path().join("splits.json"), SPLITS);
    import.channel = Some("ADC".into());
    import.test = true;
    import.splits = Some(NnunetSplits {
        file: parent.path().join("splits.json"),
        fold: 0,
    });
    // The other channel is not asked for.
    std::fs::remove_file(source.join("imagesTs/p_c_0000.nii.gz")).unwrap();
    import_nnunet(&folder, &import).unwrap();
    let cohort = Cohort::open(&folder).unwrap();
    let first = rows(&cohort);
    let records: Vec<_> = first
        .iter()
        .map(|&index| &cohort.records()[index])
        .collect();
    let splits: Vec<Option<Split>> = records.iter().map(|r| r.split).collect();
    assert_eq!(
        splits,
        [Split::Train, Split::Validation, Split::Test].map(Some)
    );
    assert_eq!(file(&records[2].path), "img/imagesTs/p_c_0001.nii.gz");
    assert_eq!(records[2].mask_path, None);
    let provenance = std::fs::read_to_string(folder.join("import.json")).unwrap();
    assert!(
        provenance.contains("\"splits\": \"splits.json\""),
        "{provenance}"
    );
}

#[test]
fn test_cases_may_lack_masks_and_are_counted_where_not_asked_for() {
    let parent = tempfile::tempdir().unwrap();
    let source = parent.path().join("nnunet");
    let mut import = data_set(&source, SECOND);
    // Names that fit no channel matter only where the cases are asked for.
    for case in ["p_d_0000", "p_d_0001", "p_e_0009"] {
        volume(&source.join(format!("imagesTs/{case}.nii.gz")), 0);
    }
    let imported = import_nnunet(&parent.path().join("a"), &import).unwrap();
    assert_eq!(imported.notes, ["3 test cases of imagesTs left out"]);
    import.test = true;
    let error = import_nnunet(&parent.path().join("b"), &import).unwrap_err();
    assert!(error.to_string().contains("channels 0 to 1"), "{error}");

    remove(&source, "imagesTs/p_e_0009.nii.gz");
    volume(&source.join("labelsTs/p_d.nii.gz"), 0);
    let folder = parent.path().join("b");
    import_nnunet(&folder, &import).unwrap();
    let cohort = Cohort::open(&folder).unwrap();
    let masked = |case: &str| {
        let mut of_case = cohort.records().iter().filter(|r| r.patient == case);
        of_case.all(|record| record.mask_path.is_some())
    };
    assert!(masked("p_d") && masked("p_a") && !masked("p_c"));
}

#[test]
fn png_files_are_pictures() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("nnunet"), parent.path().join("cohort"));
    let description = SECOND
        .replace(".nii.gz", ".png")
        .replace(", \"1\": \"ADC\"", "");
    text(&source.join("dataset.json"), &description);
    let levels = [0.0, 1.0, 2.0, 0.0].map(|label: f32| label / 255.0);
    for case in ["p_a", "p_b"] {
        picture(&source.join(format!("imagesTr/{case}_0000.png")));
        let mask = source.join(format!("labelsTr/{case}.png"));
        picture(&mask);
        let labels = Raster::new(1, 2, 2, levels.to_vec()).unwrap();
        labels.write_png(&mask).unwrap();
    }
    let import = NnunetImport {
        source,
        ..NnunetImport::default()
    };
    assert_eq!(import_nnunet(&folder, &import).unwrap().images, 2);
    let cohort = Cohort::open(&folder).unwrap();
    assert!(cohort.volumes().is_none());
    let records: Vec<&str> = cohort.records().iter().map(|r| r.path.as_str()).collect();
    assert_eq!(
        records,
        ["img/imagesTr/p_a_0000.png", "img/imagesTr/p_b_0000.png"]
    );
    let decode = VerifyOptions {
        decode: true,
        ..VerifyOptions::default()
    };
    let report = verify(&folder, &decode).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(report.masks_checked, 2);
}

#[test]
fn values_in_further_files_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("nnunet"), parent.path().join("cohort"));
    let description = SECOND
        .replace(".nii.gz", ".nrrd")
        .replace(", \"1\": \"ADC\"", "");
    text(&source.join("dataset.json"), &description);
    for case in ["p_a", "p_b"] {
        volume(&source.join(format!("imagesTr/{case}_0000.nrrd")), 0);
        volume(&source.join(format!("labelsTr/{case}.nrrd")), 0);
    }
    let header = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 3 2 2\n\
                  space: left-posterior-superior\n\
                  space directions: (1,0,0) (0,1,0) (0,0,2)\nspace origin: (0,0,0)\n\
                  encoding: raw\ndata file: p_b.raw\n\n";
    text(&source.join("imagesTr/p_b_0000.nrrd"), header);
    text(&source.join("imagesTr/p_b.raw"), "twelve bytes");
    let import = NnunetImport {
        source,
        ..NnunetImport::default()
    };
    let error = import_nnunet(&folder, &import).unwrap_err();
    assert!(error.to_string().contains("values in p_b.raw"), "{error}");
    assert!(!folder.exists());
}

type Change = fn(&Path, &mut NnunetImport);

fn described(source: &Path, from: &str, to: &str) {
    assert!(SECOND.contains(from));
    text(&source.join("dataset.json"), &SECOND.replace(from, to));
}

fn remove(source: &Path, file: &str) {
    std::fs::remove_file(source.join(file)).unwrap();
}

fn fold(source: &Path, import: &mut NnunetImport, splits: &str, fold: usize) {
    let file = source.join("splits_final.json");
    text(&file, splits);
    import.splits = Some(NnunetSplits { file, fold });
}

#[rstest]
#[case::no_description(|s: &Path, _: &mut NnunetImport| remove(s, "dataset.json"), "dataset.json")]
#[case::no_labels(|s: &Path, _: &mut NnunetImport| described(s, "\"labels\"", "\"lables\""), "expected the key `labels`")]
#[case::number(|s: &Path, _: &mut NnunetImport| described(s, "\"numTraining\": 2", "\"numTraining\": 3"), "expected 3 training cases")]
#[case::ending(|s: &Path, _: &mut NnunetImport| described(s, ".nii.gz", ".tif"), "found `.tif`")]
#[case::regions(|s: &Path, _: &mut NnunetImport| described(s, "\"TZ\": 2", "\"whole\": [1, 2]"), "the region `whole` of [1,2]")]
#[case::ignore(|s: &Path, _: &mut NnunetImport| described(s, "\"TZ\"", "\"ignore\""), "the label `ignore`")]
#[case::gap(|s: &Path, _: &mut NnunetImport| described(s, "\"TZ\": 2", "\"TZ\": 3"), "labels 0 to 2, each once, found 3 for `TZ`")]
#[case::background(
    |s: &Path, _: &mut NnunetImport| described(s, "\"background\": 0, \"PZ\": 1", "\"background\": 1, \"PZ\": 0"),
    "expected `background` as label 0, found `PZ`"
)]
#[case::channels(|s: &Path, _: &mut NnunetImport| described(s, "\"1\": \"ADC\"", "\"2\": \"ADC\""), "channels 0 to 1")]
#[case::list(|s: &Path, _: &mut NnunetImport| described(s, "\"numTraining\"", "\"dataset\": {}, \"numTraining\""), "`dataset`")]
#[case::no_mask(|s: &Path, _: &mut NnunetImport| remove(s, "labelsTr/p_b.nii.gz"), "a mask p_b.nii.gz of the case p_b")]
#[case::mask_alone(|s: &Path, _: &mut NnunetImport| volume(&s.join("labelsTr/p_x.nii.gz"), 0), "images of the case p_x")]
#[case::no_channel(|s: &Path, _: &mut NnunetImport| remove(s, "imagesTr/p_b_0001.nii.gz"), "channel 1 of the case p_b")]
#[case::further_channel(|s: &Path, _: &mut NnunetImport| volume(&s.join("imagesTr/p_b_0002.nii.gz"), 0), "channels 0 to 1 in the name")]
#[case::decathlon(|s: &Path, _: &mut NnunetImport| volume(&s.join("imagesTr/p_x.nii.gz"), 0), "Medical Segmentation Decathlon")]
#[case::no_image(|s: &Path, _: &mut NnunetImport| text(&s.join("imagesTr/p_b_0001.nii.gz"), "nothing"), "p_b_0001.nii.gz")]
#[case::frames(
    |s: &Path, _: &mut NnunetImport| two_frames(&s.join("imagesTr/p_b_0001.nii.gz")),
    "cohort/img/imagesTr/p_b_0001.nii.gz: expected one frame"
)]
#[case::channel(|_: &Path, i: &mut NnunetImport| i.channel = Some("DWI".into()), "channel: expected one of T2, ADC")]
#[case::no_test(|s: &Path, i: &mut NnunetImport| {
    std::fs::remove_dir_all(s.join("imagesTs")).unwrap();
    i.test = true;
}, "test cases in imagesTs")]
#[case::fold(|s: &Path, i: &mut NnunetImport| fold(s, i, SPLITS, 5), "a fold 5")]
#[case::unknown_case(|s: &Path, i: &mut NnunetImport| fold(s, i, &SPLITS.replace("p_b", "p_x"), 0), "found `p_x`")]
#[case::case_left(|s: &Path, i: &mut NnunetImport| fold(s, i, &SPLITS.replace("\"p_b\"", ""), 0), "the case p_b in fold 0")]
#[case::case_twice(|s: &Path, i: &mut NnunetImport| fold(s, i, &SPLITS.replace("p_b", "p_a"), 0), "`p_a` twice")]
fn what_does_not_fit_is_named_and_nothing_is_written(#[case] change: Change, #[case] said: &str) {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("nnunet"), parent.path().join("cohort"));
    let mut import = data_set(&source, SECOND);
    change(&source, &mut import);
    let error = import_nnunet(&folder, &import).unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert!(!folder.exists());
}
