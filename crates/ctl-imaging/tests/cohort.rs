//! Reading manifests and `cohort.toml`, well-formed and not.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod support;

use ctl_imaging::{
    AttributeKind, AttributeValue, Cohort, HashDepth, ImageAddress, MaskRule, Problem, ProblemKind,
    Split, Task, data_hash, discover,
};
use rstest::rstest;
use support::{cohort, grey, write};

fn first_problem(files: &[(&str, &str)]) -> Problem {
    let folder = cohort(files);
    let error = Cohort::open(folder.path()).unwrap_err();
    error.problem().unwrap_or_else(|| panic!("{error}")).clone()
}

fn place(problem: &Problem) -> (&str, Option<u64>, Option<&str>) {
    let file = problem.file.file_name().unwrap().to_str().unwrap();
    (file, problem.row, problem.column.as_deref())
}

#[test]
fn every_known_column_is_read() {
    let folder = cohort(&[(
        "manifest.csv",
        "path,mask_path,label,site,patient,split,age,sex,note\n\
         a.png,m/a.png,1,south,p1,train,71.5,F,\"one, two\"\n\
         b.png,,0,north,p2,val,,M,\n\
         c.png,,,south,,,40,NA,x\n",
    )]);
    let cohort = Cohort::open(folder.path()).unwrap();
    assert_eq!(cohort.tasks(), [Task::Classification, Task::Segmentation]);
    assert_eq!(cohort.classes(), ["0", "1"]);
    assert_eq!(cohort.sites(), ["north", "south"]);
    let [a, b, c] = cohort.records() else {
        panic!("{:?}", cohort.records())
    };
    assert_eq!(
        (a.label, a.site, a.patient.as_str(), a.row),
        (Some(1), 1, "p1", 2)
    );
    assert_eq!(
        (a.mask_path.as_deref(), a.split),
        (Some("m/a.png"), Some(Split::Train))
    );
    assert_eq!(
        (b.mask_path.as_deref(), b.split, b.site),
        (None, Some(Split::Validation), 0)
    );
    // Whoever has no patient is one.
    assert_eq!(
        (c.patient.as_str(), c.label, c.split),
        ("c.png", None, None)
    );
    let levels = vec!["F".to_owned(), "M".to_owned()];
    let kinds: Vec<_> = cohort
        .attribute_inputs()
        .iter()
        .map(|input| input.kind.clone())
        .collect();
    assert_eq!(
        kinds,
        [
            AttributeKind::Numeric,
            AttributeKind::Categorical { levels }
        ]
    );
    assert_eq!(
        a.attributes,
        [AttributeValue::Number(71.5), AttributeValue::Level(0)]
    );
    assert_eq!(
        b.attributes,
        [AttributeValue::Missing, AttributeValue::Level(1)]
    );
    assert_eq!(
        c.attributes,
        [AttributeValue::Number(40.0), AttributeValue::Missing]
    );
    assert_eq!(cohort.cell(0, "note"), Some("one, two"));
    assert_eq!(cohort.cell(0, "no such column"), None);
}

#[test]
fn a_list_of_paths_is_a_cohort() {
    let folder = cohort(&[("manifest.csv", "path\nb.png\na.png\n")]);
    let cohort = Cohort::open(folder.path()).unwrap();
    assert_eq!(
        (cohort.sites(), cohort.tasks()),
        (
            ["all".to_owned()].as_slice(),
            [Task::Reconstruction].as_slice()
        )
    );
    assert!(cohort.classes().is_empty() && cohort.mask().is_none() && cohort.licence().is_none());
    assert_eq!(
        cohort.name(),
        folder.path().file_name().unwrap().to_str().unwrap()
    );
    let paths: Vec<_> = cohort
        .records()
        .iter()
        .map(|record| record.path.as_str())
        .collect();
    assert_eq!(paths, ["b.png", "a.png"]);
}

#[rstest]
#[case::windows("path,label\r\nå.png,ja\r\nb.png,nei\r\n")]
#[case::byte_order_mark("\u{feff}path,label\nå.png,ja\nb.png,nei\n")]
#[case::quoted("\"path\",\"label\"\n\"å.png\",\"ja\"\n\"b.png\",\"nei\"\n")]
#[case::no_final_newline("path,label\nå.png,ja\nb.png,nei")]
#[case::blanks("path, label \nå.png, ja\nb.png,nei \n")]
#[case::old_macintosh("path,label\rå.png,ja\rb.png,nei\r")]
fn dialects_of_csv_are_read(#[case] manifest: &str) {
    let folder = cohort(&[("manifest.csv", manifest)]);
    let cohort = Cohort::open(folder.path()).unwrap();
    assert_eq!(cohort.classes(), ["ja", "nei"]);
    assert_eq!(cohort.records()[0].path, "å.png");
    assert_eq!((cohort.records()[0].row, cohort.records()[1].row), (2, 3));
}

#[test]
fn rows_are_lines_also_after_blank_lines_and_long_cells() {
    let folder = cohort(&[(
        "manifest.csv",
        "path,note\r\n\r\na.png,\"two\r\nlines\"\r\n\r\nb.png,x\r\n",
    )]);
    let cohort = Cohort::open(folder.path()).unwrap();
    let rows: Vec<u64> = cohort.records().iter().map(|record| record.row).collect();
    assert_eq!(rows, [3, 6]);
    assert_eq!(cohort.cell(1, "note"), Some("x"));
}

#[rstest]
#[case::empty("", ProblemKind::NoManifest, None, None)]
#[case::header_only("path,label\n", ProblemKind::NoManifest, None, None)]
#[case::no_path("file,label\na,1\n", ProblemKind::BadHeader, Some(1), Some("path"))]
#[case::semicolons("path;label\na.png;1\n", ProblemKind::BadHeader, Some(1), Some("path"))]
#[case::header_twice("path,age,age\na,1,2\n", ProblemKind::BadHeader, Some(1), Some("age"))]
#[case::short_row(
    "path,label,site\na,1,s\nb,1\n",
    ProblemKind::BadCsv,
    Some(3),
    Some("site")
)]
#[case::long_row(
    "path,label\na,1\nb,1,x\n",
    ProblemKind::BadCsv,
    Some(3),
    Some("label")
)]
#[case::open_quote("path,label\na,\"1\nb,0\n", ProblemKind::BadCsv, Some(2), None)]
#[case::empty_path("path,label\n,1\n", ProblemKind::BadPath, Some(2), Some("path"))]
#[case::absolute("path\na\n/etc/b.png\n", ProblemKind::BadPath, Some(3), Some("path"))]
#[case::escaping("path\na/../../b.png\n", ProblemKind::BadPath, Some(2), Some("path"))]
#[case::escaping_mask(
    "path,mask_path\na,../m\n",
    ProblemKind::BadPath,
    Some(2),
    Some("mask_path")
)]
#[case::no_array("path\nx.npz#3\n", ProblemKind::BadPath, Some(2), Some("path"))]
#[case::same_path(
    "path\na.png\nb.png\n./a.png\n",
    ProblemKind::DuplicatePath,
    Some(4),
    Some("path")
)]
#[case::same_picture(
    "path\nx.npy#1\nx.npy#01\n",
    ProblemKind::DuplicatePath,
    Some(3),
    Some("path")
)]
#[case::split("path,split\na,Train\n", ProblemKind::BadSplit, Some(2), Some("split"))]
#[case::site("path,site\na,s\nb,\n", ProblemKind::BadValue, Some(3), Some("site"))]
#[case::age("path,age\na,4o\n", ProblemKind::BadNumber, Some(2), Some("age"))]
#[case::old_age(
    "path,age\na,40\nb,1000\n",
    ProblemKind::BadNumber,
    Some(3),
    Some("age")
)]
#[case::endless_age("path,age\na,inf\n", ProblemKind::BadNumber, Some(2), Some("age"))]
#[case::two_splits(
    "path,patient,split\na,p,train\nb,q,test\nc,p,test\n",
    ProblemKind::PatientInTwoSplits,
    Some(4),
    Some("split")
)]
fn faults_of_a_manifest_are_located(
    #[case] manifest: &str,
    #[case] kind: ProblemKind,
    #[case] row: Option<u64>,
    #[case] column: Option<&str>,
) {
    let problem = first_problem(&[("manifest.csv", manifest)]);
    assert_eq!(
        (problem.kind, place(&problem)),
        (kind, ("manifest.csv", row, column)),
        "{problem}"
    );
}

#[test]
fn text_that_is_not_utf_8_is_located() {
    let folder = cohort(&[]);
    write(
        folder.path(),
        "manifest.csv",
        b"path,site\na.png,north\nb.png,s\xfcd\n",
    );
    let error = Cohort::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("manifest.csv:3:site: expected UTF-8 text, found other bytes"),
        "{error}"
    );
}

#[test]
fn an_absent_manifest_is_said_to_be_absent() {
    let problem = first_problem(&[("cohort.toml", "schema = 1\n")]);
    assert_eq!(problem.kind, ProblemKind::NoManifest);
}

#[rstest]
#[case::not_toml("schema = ", Some(1), None)]
#[case::unknown_key("schema = 1\nlicense = \"MIT\"\n", Some(2), Some("license"))]
#[case::unknown_inner_key("schema = 1\n[mask]\ntreshold = 0.5\n", Some(3), Some("mask.treshold"))]
#[case::wrong_type(
    "schema = 1\n[label]\nclasses = \"a\"\n",
    Some(3),
    Some("label.classes")
)]
#[case::unknown_task("schema = 1\ntasks = [\"sorting\"]\n", Some(2), Some("tasks[0]"))]
#[case::no_schema("name = \"x\"\n", None, Some("schema"))]
#[case::other_schema("\nschema = 2\n", Some(2), Some("schema"))]
#[case::empty("", None, Some("schema"))]
#[case::threshold(
    "schema = 1\n[mask]\nthreshold = 1.5\n",
    Some(3),
    Some("mask.threshold")
)]
#[case::nan(
    "schema = 1\n[mask]\nthreshold = nan\n",
    Some(3),
    Some("mask.threshold")
)]
#[case::both(
    "schema = 1\n[mask]\nthreshold = 0.5\nvalues = [0, 1]\n",
    Some(4),
    Some("mask.values")
)]
#[case::values(
    "schema = 1\n[mask]\nclasses = [\"a\", \"b\"]\nvalues = [0]\n",
    Some(4),
    Some("mask.values")
)]
#[case::same_values(
    "schema = 1\n[mask]\nvalues = [7, 7.0]\n",
    Some(3),
    Some("mask.values")
)]
#[case::one_class(
    "schema = 1\n[label]\nclasses = [\"a\"]\n",
    Some(3),
    Some("label.classes")
)]
#[case::same_class(
    "schema = 1\n[label]\nclasses = [\"a\", \"a\"]\n",
    Some(3),
    Some("label.classes")
)]
#[case::label_as_input(
    "schema = 1\n[attributes]\ninputs = [\"label\"]\n",
    Some(3),
    Some("attributes.inputs")
)]
#[case::no_labels("schema = 1\ntasks = [\"segmentation\"]\n", None, Some("tasks"))]
fn faults_of_a_description_are_located(
    #[case] description: &str,
    #[case] row: Option<u64>,
    #[case] column: Option<&str>,
) {
    let manifest = "path,label,m\na.png,a,m.png\nb.png,b,m.png\n";
    let description = description.replace("[mask]\n", "[mask]\ncolumn = \"m\"\n");
    let shifted = if description.contains("[mask]") {
        row.map(|row| row + 1)
    } else {
        row
    };
    let problem = first_problem(&[("manifest.csv", manifest), ("cohort.toml", &description)]);
    assert_eq!(problem.kind, ProblemKind::BadConfig, "{problem}");
    assert_eq!(
        place(&problem),
        ("cohort.toml", shifted, column),
        "{problem}"
    );
}

#[rstest]
#[case("[label]\ncolumn = \"diagnosis\"\n", "diagnosis")]
#[case("[mask]\nsecond_observer = \"other\"\n", "mask_path")]
#[case("[anomaly]\ncolumn = \"odd\"\n", "odd")]
#[case("[attributes]\ninputs = [\"weight\"]\n", "weight")]
fn declared_columns_must_exist(#[case] section: &str, #[case] column: &str) {
    let description = format!("schema = 1\n{section}");
    let problem = first_problem(&[("manifest.csv", "path\na\n"), ("cohort.toml", &description)]);
    assert_eq!(problem.kind, ProblemKind::BadHeader);
    assert_eq!(place(&problem), ("manifest.csv", Some(1), Some(column)));
}

#[test]
fn a_label_outside_its_classes_says_what_would_fit() {
    let problem = first_problem(&[
        (
            "manifest.csv",
            "path,finding\na.png,well\nb.png,1\nc.png,2\n",
        ),
        (
            "cohort.toml",
            "schema = 1\n[label]\ncolumn = \"finding\"\nclasses = [\"well\", \"ill\"]\n",
        ),
    ]);
    assert_eq!(problem.kind, ProblemKind::LabelOutsideClasses);
    assert_eq!(place(&problem), ("manifest.csv", Some(4), Some("finding")));
    assert_eq!(
        problem.message,
        "expected one of `well`, `ill`, or 0 to 1, found `2`"
    );
}

#[test]
fn a_description_decides_what_columns_mean() {
    let folder = cohort(&[
        (
            "manifest.csv",
            "path,seg,seg2,fov,grade,weight,centre,odd,age\n\
                          a.png,s/a.png,s/b.png,f.png,high,61,1,0,40\n\
                          b.png,s/c.png,-,f.png,low,-,2,1,50\n",
        ),
        (
            "cohort.toml",
            "schema = 1\nname = \"gliomas\"\ntasks = [\"segmentation\", \"anomaly\"]\n\
                         licence = \"CC0\"\nmissing = [\"-\"]\n\
                         [label]\ncolumn = \"grade\"\nclasses = [\"low\", \"high\"]\n\
                         [mask]\ncolumn = \"seg\"\nclasses = [\"no\", \"core\", \"rim\"]\nvalues = [0, 1, 4]\n\
                         second_observer = \"seg2\"\nevaluate_within = \"fov\"\n\
                         [anomaly]\ncolumn = \"odd\"\n\
                         [attributes]\ninputs = [\"weight\", \"centre\"]\ncategorical = [\"centre\"]\n",
        ),
    ]);
    let cohort = Cohort::open(folder.path()).unwrap();
    assert_eq!((cohort.name(), cohort.licence()), ("gliomas", Some("CC0")));
    assert_eq!(cohort.tasks(), [Task::Segmentation, Task::Anomaly]);
    let mask = cohort.mask().unwrap();
    assert_eq!(mask.rule, MaskRule::Values(vec![0.0, 1.0, 4.0]));
    assert_eq!(mask.second_observer.as_deref(), Some("seg2"));
    let [a, b] = cohort.records() else { panic!() };
    assert_eq!((a.label, b.label), (Some(1), Some(0)));
    assert_eq!((a.anomalous, b.anomalous), (Some(false), Some(true)));
    assert_eq!(
        (
            a.second_observer_path.as_deref(),
            b.second_observer_path.as_deref()
        ),
        (Some("s/b.png"), None)
    );
    assert_eq!(a.evaluate_within_path.as_deref(), Some("f.png"));
    // `age` is no input here, though it is a known column.
    assert_eq!(
        a.attributes,
        [AttributeValue::Number(61.0), AttributeValue::Level(0)]
    );
    assert_eq!(
        b.attributes,
        [AttributeValue::Missing, AttributeValue::Level(1)]
    );
}

#[rstest]
#[case("img/a.png", "img/a.png")]
#[case("./img//a.png", "img/a.png")]
#[case("case#1.png", "case#1.png")]
#[case("x.npz#images/012", "x.npz#images/12")]
#[case("x.npz#group/images/3", "x.npz#group/images/3")]
#[case("train-images-idx3-ubyte.gz#0", "train-images-idx3-ubyte.gz#0")]
#[case("whole.npy", "whole.npy")]
fn addresses_have_a_normal_form(#[case] text: &str, #[case] normal: &str) {
    let address: ImageAddress = text.parse().unwrap();
    assert_eq!(address.to_string(), normal);
    assert_eq!(normal.parse::<ImageAddress>().unwrap(), address);
}

#[rstest]
#[case("")]
#[case(".")]
#[case("/a.png")]
#[case("a/../b.png")]
#[case("x.npz")]
#[case("x.npz#images")]
#[case("x.npz#/3")]
#[case("x.npy#")]
#[case("x.npy#-1")]
#[case("x.npy#+1")]
#[case("x.npy#a/1")]
#[case("x.npy#99999999999999999999")]
#[case("a\0b")]
fn ill_addresses_are_refused(#[case] text: &str) {
    assert!(text.parse::<ImageAddress>().is_err());
}

#[test]
fn cohorts_are_discovered() {
    let folder = cohort(&[
        ("b/manifest.csv", "path\nx\n"),
        ("a/manifest.csv", "path\nx\n"),
        ("c/notes.txt", ""),
        (".git/x", ""),
        ("README.md", ""),
    ]);
    let found = discover(folder.path()).unwrap();
    assert_eq!(
        found.cohorts,
        [folder.path().join("a"), folder.path().join("b")]
    );
    assert_eq!(
        found.skipped,
        [(folder.path().join("c"), "no manifest.csv".to_owned())]
    );
    let alone = discover(&folder.path().join("a")).unwrap();
    assert_eq!((alone.cohorts.len(), alone.skipped.len()), (1, 0));
    assert!(discover(&folder.path().join("nowhere")).is_err());
}

#[test]
fn the_hash_covers_what_a_run_depends_on() {
    let folder = cohort(&[
        ("manifest.csv", "path,mask_path\na.png,m.png\n"),
        ("m.png", "mask"),
    ]);
    grey(folder.path(), "a.png", (1, 1), &[1]);
    let hash = |depth| data_hash(&Cohort::open(folder.path()).unwrap(), depth).unwrap();
    let (sizes, contents) = (hash(HashDepth::Sizes), hash(HashDepth::Contents));
    assert_ne!(sizes, contents);
    write(folder.path(), "unrelated.txt", b"x");
    assert_eq!(
        (hash(HashDepth::Sizes), hash(HashDepth::Contents)),
        (sizes.clone(), contents.clone())
    );

    write(folder.path(), "m.png", b"MASK");
    assert_eq!(hash(HashDepth::Sizes), sizes);
    assert_ne!(hash(HashDepth::Contents), contents);
    write(folder.path(), "m.png", b"longer");
    assert_ne!(hash(HashDepth::Sizes), sizes);
    write(folder.path(), "m.png", b"mask");
    assert_eq!(hash(HashDepth::Contents), contents);
    write(folder.path(), "cohort.toml", b"schema = 1\n");
    assert_ne!(hash(HashDepth::Contents), contents);
}

#[rstest]
#[case::image("b.png", ProblemKind::MissingImage, 3, "path")]
#[case::mask("m.png", ProblemKind::MissingImage, 2, "mask_path")]
fn a_hash_names_the_cell_of_a_file_that_is_lost(
    #[case] file: &str,
    #[case] kind: ProblemKind,
    #[case] row: u64,
    #[case] column: &str,
) {
    let folder = cohort(&[
        ("manifest.csv", "path,mask_path\na.png,m.png\nb.png,\n"),
        ("a.png", "image"),
        ("b.png", "image"),
        ("m.png", "mask"),
    ]);
    std::fs::remove_file(folder.path().join(file)).unwrap();
    let cohort = Cohort::open(folder.path()).unwrap();
    for depth in [HashDepth::Sizes, HashDepth::Contents] {
        let error = data_hash(&cohort, depth).unwrap_err();
        let problem = error.problem().unwrap();
        assert_eq!(problem.kind, kind);
        assert_eq!(
            (problem.row, problem.column.as_deref()),
            (Some(row), Some(column))
        );
        assert!(problem.expected.contains(file), "{problem}");
        assert_eq!(problem.found, "no such file");
    }
}

const DOCUMENT: &str = include_str!("../../../docs/COHORTS.md");

/// The description that the document shows.
fn shown_description() -> &'static str {
    let (_, block) = DOCUMENT.split_once("```toml\nschema").unwrap();
    let start = DOCUMENT.len() - block.len() - "schema".len();
    DOCUMENT[start..].split_once("```").unwrap().0
}

#[test]
fn the_description_that_the_document_shows_is_read() {
    let header = "path,diagnosis,mask_path,mask2_path,field_path,abnormal,age,weight,view";
    let rows = format!("{header}\na.png,pneumonia,m.png,,,1,40,unknown,1\n");
    let folder = cohort(&[
        ("manifest.csv", &rows),
        ("cohort.toml", shown_description()),
    ]);
    let read = Cohort::open(folder.path()).unwrap();
    assert_eq!(read.name(), "two-hospitals");
    assert_eq!(read.classes(), ["healthy", "pneumonia"]);
    assert_eq!(read.mask().unwrap().classes.len(), 3);
    let kinds = read.attribute_inputs().iter().map(|input| &input.kind);
    let levels = vec!["1".to_owned()];
    let expected = [
        &AttributeKind::Numeric,
        &AttributeKind::Numeric,
        &AttributeKind::Categorical { levels },
    ];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
    let values = &read.records()[0].attributes;
    assert_eq!(values[1], AttributeValue::Missing);
}

/// What is said of an unknown key lists the known ones.
#[rstest]
#[case::top("schema = 1\nx = 1\n", "")]
#[case::label("schema = 1\n[label]\nx = 1\n", "label.")]
#[case::mask("schema = 1\n[mask]\nx = 1\n", "mask.")]
#[case::attributes("schema = 1\n[attributes]\nx = 1\n", "attributes.")]
fn every_key_of_a_description_is_documented(#[case] description: &str, #[case] prefix: &str) {
    let problem = first_problem(&[
        ("manifest.csv", "path\na.png\n"),
        ("cohort.toml", description),
    ]);
    let (_, known) = problem.found.split_once(", expected ").unwrap();
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    assert!(known.len() >= 2, "{problem}");
    for key in known {
        let row = format!("| `{prefix}{key}` |");
        let is_table = ["label", "mask", "anomaly", "attributes"].contains(&key);
        let documented = is_table || DOCUMENT.contains(&row);
        assert!(documented, "{row} in docs/COHORTS.md");
    }
}
