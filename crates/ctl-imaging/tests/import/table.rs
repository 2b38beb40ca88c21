//! A table beside a folder of pictures.

use crate::picture;
use ctl_imaging::{AttributeValue, Cohort, TableImport, import_table};
use proptest::prelude::*;
use rstest::rstest;
use std::path::Path;

const TABLE: &str = "Image Index,Finding,Patient ID,Age,Mask\n\
                     a,ill,7,41,m/a.png\n\
                     sub/b,well,8,,\n";

/// Pictures, a table, and how its columns are called.
fn import(parent: &Path, table: &str) -> TableImport {
    for file in ["films/a.png", "films/sub/b.png", "films/m/a.png"] {
        picture(&parent.join(file));
    }
    std::fs::write(parent.join("findings.csv"), table).unwrap();
    let columns = [
        ("path", "Image Index"),
        ("label", "Finding"),
        ("patient", "Patient ID"),
        ("age", "Age"),
    ];
    TableImport {
        table: parent.join("findings.csv"),
        images: parent.join("films"),
        columns: columns
            .map(|(to, from)| (to.to_owned(), from.to_owned()))
            .into(),
        site: Some("north".into()),
        ending: ".png".into(),
        mask_ending: String::new(),
        inputs: vec!["age".into()],
    }
}

#[test]
fn columns_take_the_manifests_names_and_others_stay() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("cohort");
    let imported = import_table(&folder, &import(parent.path(), TABLE)).unwrap();
    assert_eq!((imported.images, imported.left_out.len()), (2, 0));
    let cohort = Cohort::open(&folder).unwrap();
    assert_eq!(cohort.sites(), ["north"]);
    let [first, second] = cohort.records() else {
        panic!("two rows");
    };
    assert_eq!(
        (first.path.as_str(), first.patient.as_str()),
        ("img/a.png", "7")
    );
    assert_eq!(second.path, "img/sub/b.png");
    assert_eq!(first.attributes, [AttributeValue::Number(41.0)]);
    assert_eq!(second.attributes, [AttributeValue::Missing]);
    assert_eq!(cohort.cell(0, "Mask"), Some("m/a.png"));
    let provenance = std::fs::read_to_string(folder.join("import.json")).unwrap();
    assert!(provenance.contains("\"images\": \"films\""), "{provenance}");
}

#[test]
fn masks_are_copied_as_well() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("cohort");
    // What stands after images does not stand after masks.
    let table = "path,mask_path\na,m/a.p\nsub/b,\n";
    let mut import = import(parent.path(), table);
    import.columns.clear();
    import.inputs.clear();
    import.mask_ending = "ng".into();
    import_table(&folder, &import).unwrap();
    let cohort = Cohort::open(&folder).unwrap();
    assert_eq!(
        cohort.records()[0].mask_path.as_deref(),
        Some("img/m/a.png")
    );
    assert_eq!(cohort.records()[1].mask_path, None);
    assert!(folder.join("img/m/a.png").exists());
}

#[rstest]
#[case::a_file_that_is_not_there(TABLE.replace("sub/b", "sub/c"), "cannot copy")]
#[case::a_way_out(TABLE.replace("sub/b", "../b"), "findings.csv: expected a path without `..` in line 3")]
#[case::no_rows("Image Index,Finding,Patient ID,Age\n".to_owned(), "expected one row or more")]
#[case::no_such_column(TABLE.replace("Finding", "Diagnosis"), "one of the columns Image Index, Diagnosis")]
#[case::site_twice(TABLE.replace("Mask", "site"), "`site` twice")]
#[case::a_short_row(format!("{TABLE}c\n"), "cannot decode")]
#[case::an_age_that_is_none(TABLE.replace("41", "-1"), "cohort/manifest.csv:2:age")]
fn what_does_not_fit_is_named_and_nothing_is_written(#[case] table: String, #[case] said: &str) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("cohort");
    let error = import_table(&folder, &import(parent.path(), &table)).unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert!(!folder.exists());
}

#[test]
fn a_column_without_meaning_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let mut import = import(parent.path(), TABLE);
    import.columns.insert("diagnosis".into(), "Finding".into());
    let error = import_table(&parent.path().join("cohort"), &import).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected one of path, mask_path, label")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever stands in a cell comes back from the manifest, quotes and line breaks included.
    #[test]
    fn cells_survive_the_manifest(cells in prop::collection::vec("[a-zß,;\"\\n #]{0,12}", 2)) {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let parent = tempfile::tempdir().unwrap();
        let rows = ["a", "sub/b"].iter().zip(&cells);
        let rows = rows.map(|(path, cell)| format!("{path},ill,7,41,{}\n", quoted(cell)));
        let table = format!("Image Index,Finding,Patient ID,Age,note\n{}", rows.collect::<String>());
        let folder = parent.path().join("cohort");
        import_table(&folder, &import(parent.path(), &table)).unwrap();
        let cohort = Cohort::open(&folder).unwrap();
        for (row, cell) in cells.iter().enumerate() {
            prop_assert_eq!(cohort.cell(row, "note"), Some(cell.as_str()));
        }
    }
}
