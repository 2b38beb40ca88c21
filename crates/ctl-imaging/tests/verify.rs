//! Every kind of fault is found, with its place; large manifests are quick.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod support;

use ctl_imaging::{ProblemKind, Raster, VerifyOptions, VerifyReport, verify};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{cohort, grey, write};

const HEADERS_ONLY: VerifyOptions = VerifyOptions {
    decode: false,
    max_problems: 100,
};
const PIXELS: VerifyOptions = VerifyOptions {
    decode: true,
    max_problems: 100,
};

type Found = (ProblemKind, Option<u64>, Option<String>);

fn found(report: &VerifyReport) -> Vec<Found> {
    let problems = report.problems.iter();
    problems
        .map(|problem| (problem.kind, problem.row, problem.column.clone()))
        .collect()
}

fn at(kind: ProblemKind, row: u64, column: &str) -> Found {
    (kind, Some(row), Some(column.to_owned()))
}

/// A cohort with one fault of each kind that needs files, and some that do not.
fn faulty() -> tempfile::TempDir {
    let folder = cohort(&[
        (
            "manifest.csv",
            "path,mask_path,label,patient,split\n\
             good.png,good_mask.png,0,p1,train\n\
             lost.png,,1,p2,train\n\
             small_mask.png,small.png,1,p3,test\n\
             odd_mask.png,odd.png,1,p4,test\n\
             cut.png,,1,p5,test\n\
             empty.png,,1,p6,test\n\
             good2.png,lost_mask.png,7,p1,test\n\
             damaged.png,,1,p8,test\n",
        ),
        (
            "cohort.toml",
            "schema = 1\n[label]\nclasses = [\"no\", \"yes\"]\n\
             [mask]\nclasses = [\"a\", \"b\"]\nvalues = [0, 9]\n",
        ),
        ("empty.png", ""),
    ]);
    for name in [
        "good.png",
        "good2.png",
        "small_mask.png",
        "odd_mask.png",
        "cut.png",
        "damaged.png",
    ] {
        grey(folder.path(), name, (2, 3), &[0, 50, 100, 150, 200, 250]);
    }
    grey(folder.path(), "good_mask.png", (2, 3), &[0, 9, 0, 9, 0, 9]);
    grey(folder.path(), "small.png", (2, 2), &[0, 9, 0, 9]);
    grey(folder.path(), "odd.png", (2, 3), &[0, 9, 0, 9, 3, 9]);
    let whole = fs::read(folder.path().join("cut.png")).unwrap();
    write(folder.path(), "cut.png", &whole[..20]);
    // The header is whole, the pixels are not.
    write(folder.path(), "damaged.png", &whole[..45]);
    folder
}

#[test]
fn headers_show_all_but_pixels() {
    let report = verify(faulty().path(), &HEADERS_ONLY).unwrap();
    let expected = [
        at(ProblemKind::MissingImage, 3, "path"),
        at(ProblemKind::WrongSize, 4, "mask_path"),
        at(ProblemKind::UnreadableImage, 6, "path"),
        at(ProblemKind::UnreadableImage, 7, "path"),
        at(ProblemKind::LabelOutsideClasses, 8, "label"),
        at(ProblemKind::PatientInTwoSplits, 8, "split"),
        at(ProblemKind::MissingImage, 8, "mask_path"),
    ];
    assert_eq!(found(&report), expected);
    assert_eq!(
        (report.rows, report.images_checked, report.masks_checked),
        (8, 8, 4)
    );
    assert_eq!(
        report.problems[1].message,
        "expected a mask of 2x3 like its image, found 2x2 in small.png"
    );
}

#[test]
fn pixels_show_the_rest() {
    let report = verify(faulty().path(), &PIXELS).unwrap();
    let new: Vec<Found> = found(&report)
        .into_iter()
        .filter(|found| !visible_in_headers().contains(found))
        .collect();
    let expected = [
        at(ProblemKind::MaskOutsideClasses, 5, "mask_path"),
        at(ProblemKind::UnreadableImage, 9, "path"),
    ];
    assert_eq!(new, expected);
    let odd = &report.problems[2];
    assert_eq!(
        odd.message,
        "expected one of the mask values [0.0, 9.0], \
         found 3 at pixel row 1, column 1 in odd.png"
    );
}

fn visible_in_headers() -> Vec<Found> {
    found(&verify(faulty().path(), &HEADERS_ONLY).unwrap())
}

#[test]
fn a_sound_cohort_has_no_problems() {
    let folder = cohort(&[("manifest.csv", "path,mask_path\na.png,m.png\nb.png,\n")]);
    grey(folder.path(), "a.png", (1, 2), &[9; 2]);
    grey(folder.path(), "b.png", (4, 2), &[9; 8]);
    grey(folder.path(), "m.png", (1, 2), &[255; 2]);
    let report = verify(folder.path(), &PIXELS).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!((report.images_checked, report.masks_checked), (2, 1));
}

#[test]
fn faults_of_the_description_do_not_hide_those_of_the_manifest() {
    let folder = cohort(&[
        ("manifest.csv", "path,split\na.png,tran\n"),
        ("cohort.toml", "schema = 1\nlicense = \"MIT\"\n"),
    ]);
    let report = verify(folder.path(), &HEADERS_ONLY).unwrap();
    let expected = [
        at(ProblemKind::BadConfig, 2, "license"),
        at(ProblemKind::BadSplit, 2, "split"),
        at(ProblemKind::MissingImage, 2, "path"),
    ];
    assert_eq!(found(&report), expected);
}

#[test]
fn problems_beyond_the_limit_are_counted() {
    let folder = cohort(&[("manifest.csv", "path\na\nb\nc\n")]);
    let options = VerifyOptions {
        max_problems: 2,
        ..HEADERS_ONLY
    };
    let report = verify(folder.path(), &options).unwrap();
    assert_eq!((report.problems.len(), report.problems_found), (2, 3));
}

#[test]
fn masks_of_zeros_and_ones_are_not_taken_for_empty() {
    let folder = cohort(&[("manifest.csv", "path,mask_path\na.png,m.png\n")]);
    grey(folder.path(), "a.png", (1, 2), &[9, 9]);
    grey(folder.path(), "m.png", (1, 2), &[0, 1]);
    let report = verify(folder.path(), &PIXELS).unwrap();
    assert_eq!(
        found(&report),
        [at(ProblemKind::MaskOutsideClasses, 2, "mask_path")]
    );
    assert!(report.problems[0].message.contains("values = [0, 1]"));
}

#[test]
fn pictures_of_arrays_are_verified() {
    let folder = cohort(&[(
        "manifest.csv",
        "path\ndigits-idx3-ubyte#0\ndigits-idx3-ubyte#2\nlost.npz#images/0\n",
    )]);
    write(
        folder.path(),
        "digits-idx3-ubyte",
        &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 9, 7, 9],
    );
    for options in [HEADERS_ONLY, PIXELS] {
        let report = verify(folder.path(), &options).unwrap();
        let expected = [
            at(ProblemKind::UnreadableImage, 3, "path"),
            at(ProblemKind::MissingImage, 4, "path"),
        ];
        assert_eq!(found(&report), expected);
        assert!(
            report.problems[0]
                .message
                .contains("a picture index below 2, found 2")
        );
    }
}

#[test]
fn a_report_is_data() {
    let report = verify(faulty().path(), &HEADERS_ONLY).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["problems"][0]["kind"], "missing-image");
    assert_eq!(json["problems"][0]["row"], 3);
    assert_eq!(json["problems"][0]["column"], "path");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    assert!(verify(Path::new("no/such/folder"), &HEADERS_ONLY).is_err());
    let empty = cohort(&[]);
    let report = verify(empty.path(), &HEADERS_ONLY).unwrap();
    assert_eq!(found(&report), [(ProblemKind::NoManifest, None, None)]);
}

#[test]
fn the_report_does_not_depend_on_threads() {
    let folder = faulty();
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| verify(folder.path(), &PIXELS).unwrap())
    };
    assert_eq!(with_threads(1), with_threads(3));
}

/// A file system allows fewer links to one file than we need.
const LINKS: usize = 20_000;

#[test]
fn a_hundred_thousand_rows_take_seconds() {
    let folder = cohort(&[]);
    let mut manifest = String::from("path,label,site,patient,split,age\n");
    for row in 0..100_000 {
        let original = format!("originals/{}.png", row / LINKS);
        if row % LINKS == 0 {
            grey(folder.path(), &original, (2, 2), &[0; 4]);
            fs::create_dir_all(folder.path().join(format!("{}", row / LINKS))).unwrap();
        }
        let path = format!("{}/{row}.png", row / LINKS);
        fs::hard_link(folder.path().join(original), folder.path().join(&path)).unwrap();
        let split = ["train", "val", "test"][row / 7 % 3];
        writeln!(
            manifest,
            // As many classes as rows: nobody means that, and it must not take hours.
            "{path},{row},s{},p{},{split},{}",
            row % 5,
            row / 7,
            row % 90
        )
        .unwrap();
    }
    write(folder.path(), "manifest.csv", manifest.as_bytes());
    let start = Instant::now();
    let report = verify(folder.path(), &HEADERS_ONLY).unwrap();
    let taken = start.elapsed();
    assert!(report.is_clean(), "{:?}", report.problems.first());
    assert_eq!(report.images_checked, 100_000);
    assert!(taken < Duration::from_secs(10), "{taken:?}");
}

#[test]
fn a_header_that_no_decoder_would_follow_is_a_fault() {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    for side in [60_000u32, 60_000] {
        png.extend(side.to_be_bytes());
    }
    png.extend([8, 0, 0, 0, 0, 0, 0, 0, 0]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.png"), png).unwrap();
    std::fs::write(folder.path().join("manifest.csv"), "path\na.png\n").unwrap();
    let report = verify(folder.path(), &VerifyOptions::default()).unwrap();
    assert_eq!(report.problems_found, 1);
    assert!(
        report.problems[0].to_string().contains("60000"),
        "{}",
        report.problems[0]
    );
}

#[test]
fn a_column_that_misses_its_meaning_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    Raster::new(1, 2, 2, vec![0.5; 4])
        .unwrap()
        .write_png(&folder.path().join("a.png"))
        .unwrap();
    std::fs::write(folder.path().join("manifest.csv"), "path,Site\na.png,x\n").unwrap();
    let report = verify(folder.path(), &VerifyOptions::default()).unwrap();
    assert!(report.is_clean());
    assert_eq!(report.notices.len(), 1);
    assert!(report.notices[0].contains("`site`"), "{:?}", report.notices);
}
