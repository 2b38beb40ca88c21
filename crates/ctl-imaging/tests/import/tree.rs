//! A folder for each class.

use crate::picture;
use ctl_imaging::{Cohort, Split, TreeLevel, import_tree};
use rstest::rstest;
use std::path::Path;

fn pictures(source: &Path, files: &[&str]) {
    for file in files {
        picture(&source.join(file));
    }
}

#[test]
fn folders_are_classes_and_other_files_are_left_out() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("films"), parent.path().join("cohort"));
    pictures(&source, &["well/b.png", "well/a.png", "ill/a.png"]);
    std::fs::write(source.join("well/Thumbs.db"), "nothing").unwrap();
    std::fs::write(source.join(".hidden.png"), "nothing").unwrap();
    let imported = import_tree(&folder, &source, &[]).unwrap();
    assert_eq!(imported.images, 3);
    let left: Vec<(&Path, &str)> = imported
        .left_out
        .iter()
        .map(|left| (left.path.as_path(), left.reason.as_str()))
        .collect();
    assert_eq!(left, [(Path::new("well/Thumbs.db"), "no picture")]);
    let provenance = std::fs::read_to_string(folder.join("import.json")).unwrap();
    assert!(provenance.contains("\"layout\": \"tree\"") && provenance.contains("\"films\""));
    let cohort = Cohort::open(&folder).unwrap();
    let rows: Vec<(&str, &str)> = cohort
        .records()
        .iter()
        .map(|r| (r.path.as_str(), cohort.classes()[r.label.unwrap()].as_str()))
        .collect();
    let expected = [
        ("img/ill/a.png", "ill"),
        ("img/well/a.png", "well"),
        ("img/well/b.png", "well"),
    ];
    assert_eq!(rows, expected);
    assert!(folder.join("img/ill/a.png").exists());
}

#[test]
fn outermost_folders_called_like_splits_are_splits() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("films"), parent.path().join("cohort"));
    pictures(&source, &["train/0/a.png", "valid/0/a.png", "test/1/a.png"]);
    import_tree(&folder, &source, &[]).unwrap();
    let cohort = Cohort::open(&folder).unwrap();
    let splits: Vec<Option<Split>> = cohort.records().iter().map(|r| r.split).collect();
    let expected = [Split::Test, Split::Train, Split::Validation].map(Some);
    assert_eq!(splits, expected);
    assert_eq!(cohort.classes(), ["0", "1"]);
}

#[test]
fn levels_say_what_folders_are() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("films"), parent.path().join("cohort"));
    pictures(&source, &["north/ill/p1/a.png", "south/well/p1/a.png"]);
    let levels = ["site", "class", "patient"].map(|level| level.parse::<TreeLevel>().unwrap());
    import_tree(&folder, &source, &levels).unwrap();
    let cohort = Cohort::open(&folder).unwrap();
    assert_eq!(cohort.sites(), ["north", "south"]);
    assert_eq!(cohort.records()[0].patient, "p1");
}

#[rstest]
#[case::too_deep(&["a/b/x.png", "a/y.png"], &[], "y.png")]
#[case::not_deep_enough(&["x.png"], &[], "x.png: expected a picture in folders for label, found 0 folders")]
#[case::none(&[], &[], "expected PNG, JPEG or TIFF files in folders, found none")]
#[case::twice(&["a/x.png"], &[TreeLevel::Class, TreeLevel::Class], "levels: expected each level once")]
fn other_shapes_are_refused(
    #[case] files: &[&str],
    #[case] levels: &[TreeLevel],
    #[case] said: &str,
) {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("films"), parent.path().join("cohort"));
    std::fs::create_dir(&source).unwrap();
    pictures(&source, files);
    let levels = if files.len() == 2 {
        &[TreeLevel::Site, TreeLevel::Class]
    } else {
        levels
    };
    let error = import_tree(&folder, &source, levels)
        .unwrap_err()
        .to_string();
    assert!(error.contains(said), "{error}");
    assert!(!folder.exists());
}

#[test]
fn a_broken_picture_is_named_and_nothing_is_written() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("films"), parent.path().join("cohort"));
    pictures(&source, &["ill/a.png"]);
    std::fs::write(source.join("ill/b.PNG"), "no picture").unwrap();
    let error = import_tree(&folder, &source, &[]).unwrap_err().to_string();
    assert!(error.contains("b.PNG"), "{error}");
    assert!(!folder.exists());
}

#[test]
fn a_folder_that_holds_something_is_not_touched() {
    let parent = tempfile::tempdir().unwrap();
    let (source, folder) = (parent.path().join("films"), parent.path().join("cohort"));
    pictures(&source, &["ill/a.png"]);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("mine"), "mine").unwrap();
    assert!(import_tree(&folder, &source, &[]).is_err());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}
