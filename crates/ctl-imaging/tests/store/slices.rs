//! Slices of volumes as the pictures of a cohort.

use crate::volumes::{SHAPE, affine, cohort, everywhere, labels, marked, number, replace};
use ctl_imaging::nifti::{self, WriteOptions};
use ctl_imaging::volume::{Plane, Samples, Volume};
use ctl_imaging::{
    Cohort, Colour, HashDepth, ImageRequest, ImageStore, MaskRole, ProblemKind, VerifyOptions,
    VerifyReport, data_hash, verify,
};
use rstest::rstest;
use std::path::Path;
use std::sync::Arc;

/// Slices as they are stored, every second from the feet.
const SLICES: &str = "schema = 1\n[volumes]\nplane = \"axial\"\nevery = 2\nsteps = []\n";

fn store(folder: &Path, colour: Colour, limit: usize) -> ImageStore {
    let request = ImageRequest {
        height: SHAPE[1],
        width: SHAPE[0],
        colour,
    };
    ImageStore::new(Arc::new(Cohort::open(folder).unwrap()), request, limit)
}

/// A slice from the feet: the right of the patient on the left, the front on top.
fn axial<T>(value: impl Fn([usize; 3]) -> T, k: usize) -> Vec<T> {
    let mut all = Vec::new();
    for j in (0..SHAPE[1]).rev() {
        for i in (0..SHAPE[0]).rev() {
            all.push(value([i, j, k]));
        }
    }
    all
}

#[test]
fn every_slice_is_a_record_of_its_row() {
    let folder = cohort(SLICES);
    let cohort = Cohort::open(folder.path()).unwrap();
    let paths: Vec<&str> = cohort
        .records()
        .iter()
        .map(|record| record.path.as_str())
        .collect();
    assert_eq!(paths.len(), 9);
    assert_eq!(
        paths[..3],
        ["0.nii.gz#axial/0", "0.nii.gz#axial/2", "0.nii.gz#axial/4"]
    );
    let last = &cohort.records()[8];
    assert_eq!(last.mask_path.as_deref(), Some("2-mask.nii#axial/4"));
    assert_eq!((last.patient.as_str(), last.row), ("p2", 4));
    assert_eq!(cohort.cell(8, "site"), Some("north"));
    let address = last.address().unwrap();
    assert_eq!(
        (address.file(), address.plane(), address.index()),
        ("2.nii", Some(Plane::Axial), Some(4))
    );
}

#[rstest]
#[case(0)]
#[case(200)]
#[case(1 << 20)]
fn slices_show_image_and_mask_whatever_is_kept(#[case] limit: usize) {
    let folder = cohort(SLICES);
    let store = store(folder.path(), Colour::Grey, limit);
    let order = [8, 0, 4, 0, 7];
    let images = store.load(&order).unwrap();
    let masks = store.load_masks(&order).unwrap();
    for (position, &index) in order.iter().enumerate() {
        let (study, k) = (index / 3, 2 * (index % 3));
        let expected = axial(|voxel| f32::from(number(study, voxel)), k);
        assert_eq!(images[position].samples(), expected, "record {index}");
        let expected = axial(|voxel| f32::from(u8::from(marked(voxel))), k);
        assert_eq!(masks[position].samples(), expected, "record {index}");
    }
    assert_eq!(store.source_size(4).unwrap(), [SHAPE[1], SHAPE[0]]);
    assert_eq!(store.source_pixel_mm(4).unwrap(), Some([2.0, 1.0]));
    assert!(store.load_masks_of(MaskRole::SecondObserver, &[0]).unwrap()[0].is_none());
}

#[test]
fn neighbours_are_colours() {
    let folder = cohort(&SLICES.replace("every = 2", "every = 2\nneighbours = 1"));
    let store = store(folder.path(), Colour::Rgb, 1 << 20);
    let image = Arc::clone(&store.load(&[5]).unwrap()[0]);
    let slice = |k| axial(|voxel| f32::from(number(1, voxel)), k);
    // The lowest first; above the topmost it is repeated.
    assert_eq!(image.samples(), [slice(3), slice(4), slice(4)].concat());
}

#[test]
fn other_planes_and_parts() {
    let description = SLICES
        .replace("axial", "sagittal")
        .replace("every = 2", "between = [0.25, 0.75]");
    let folder = cohort(&description);
    let cohort = Cohort::open(folder.path()).unwrap();
    assert_eq!(cohort.records()[1].path, "0.nii.gz#sagittal/2");
    assert_eq!(cohort.len(), 6);
    let request = ImageRequest::grey(SHAPE[2], SHAPE[1]);
    let store = ImageStore::new(Arc::new(cohort), request, 0);
    let image = Arc::clone(&store.load(&[1]).unwrap()[0]);
    // The head on top, the front on the left.
    assert_eq!(image.samples()[..3], [224.0, 214.0, 204.0]);
    assert_eq!(store.source_pixel_mm(1).unwrap(), Some([3.0, 2.0]));
}

#[test]
fn usual_steps_make_pictures_of_them() {
    let folder = cohort("schema = 1\n[volumes]\n");
    let store = store(folder.path(), Colour::Grey, 1 << 20);
    let all: Vec<usize> = (0..store.cohort().len()).collect();
    let images = store.load(&all).unwrap();
    let numbers = images.iter().flat_map(|image| image.samples()).copied();
    let (low, high) = numbers.fold((1.0_f32, 0.0_f32), |(low, high), number| {
        (low.min(number), high.max(number))
    });
    assert_eq!((low, high), (0.0, 1.0));
}

fn report(folder: &Path, decode: bool) -> VerifyReport {
    let options = VerifyOptions {
        decode,
        ..VerifyOptions::default()
    };
    verify(folder, &options).unwrap()
}

fn found(report: &VerifyReport) -> Vec<(ProblemKind, Option<u64>, Option<&str>)> {
    let problems = report.problems.iter();
    problems
        .map(|p| (p.kind, p.row, p.column.as_deref()))
        .collect()
}

#[test]
fn the_section_that_the_document_shows_is_read() {
    let document = include_str!("../../../../docs/COHORTS.md");
    let (_, section) = document.split_once("```toml\n[volumes]").unwrap();
    let section = section.split_once("```").unwrap().0;
    let folder = cohort(&format!("schema = 1\n[volumes]{section}"));
    let cohort = Cohort::open(folder.path()).unwrap();
    let spec = cohort.volumes().unwrap();
    assert_eq!(spec.preparation.steps.steps.len(), 2);
    // Of five slices the middles of the second, third and fourth lie between 0.2 and 0.8.
    let paths: Vec<&str> = cohort.records()[..2]
        .iter()
        .map(|r| r.path.as_str())
        .collect();
    assert_eq!(paths, ["0.nii.gz#axial/1", "0.nii.gz#axial/3"]);
}

#[test]
fn whole_cohorts_are_clean() {
    let folder = cohort(SLICES);
    for decode in [false, true] {
        let report = report(folder.path(), decode);
        assert_eq!(found(&report), []);
        assert_eq!(
            (report.rows, report.images_checked, report.masks_checked),
            (9, 3, 3)
        );
    }
}

#[test]
fn faults_of_volumes_and_masks_are_found() {
    let folder = cohort(SLICES);
    std::fs::remove_file(folder.path().join("0.nii.gz")).unwrap();
    let flat = Volume::new(&[4, 3, 4], Samples::U8(vec![0; 48]), affine()).unwrap();
    replace(folder.path(), "1-mask.nrrd", &flat);
    let stray = everywhere(|voxel| 2 * u8::from(marked(voxel)));
    let stray = Volume::new(&SHAPE, Samples::U8(stray), affine()).unwrap();
    replace(folder.path(), "2-mask.nii", &stray);
    let headers = report(folder.path(), false);
    let missing = (ProblemKind::MissingImage, Some(2), Some("path"));
    let size = (ProblemKind::WrongSize, Some(3), Some("mask_path"));
    assert_eq!(found(&headers), [missing, size]);
    let decoded = report(folder.path(), true);
    let class = (ProblemKind::MaskOutsideClasses, Some(4), Some("mask_path"));
    assert_eq!(found(&decoded), [missing, size, class]);
    assert!(Cohort::open(folder.path()).is_err());
}

/// The rows of a manifest, each an image and a mask.
fn rows(folder: &Path, rows: &[(&str, &str)]) -> VerifyReport {
    let lines = rows.iter().map(|(image, mask)| format!("{image},{mask}\n"));
    let manifest = format!("path,mask_path\n{}", lines.collect::<String>());
    crate::support::write(folder, "manifest.csv", manifest.as_bytes());
    report(folder, false)
}

#[test]
fn rows_may_name_one_slice() {
    let folder = cohort(SLICES);
    let path = folder.path();
    let named = [
        ("2.nii#coronal/2", "2-mask.nii"),
        ("2.nii#axial/0", "2-mask.nii#axial/0"),
    ];
    assert_eq!(found(&rows(path, &named)), []);
    let store = store(path, Colour::Grey, 0);
    assert_eq!(
        store.cohort().records()[0].mask_path.as_deref(),
        Some("2-mask.nii#coronal/2")
    );
    let image = Arc::clone(&store.load(&[1]).unwrap()[0]);
    assert_eq!(
        image.samples(),
        axial(|voxel| f32::from(number(2, voxel)), 0)
    );
    for (wrong, expected) in [
        ([("2.nii#axial/5", "2-mask.nii")], "one of 5 axial slices"),
        (
            [("2.nii#axial/1", "2-mask.nii#axial/2")],
            "or `2-mask.nii#axial/1` as the image",
        ),
        ([("2.nii", "2-mask.nii#axial/2")], "the mask's volume"),
        (
            [("lost.nii#axial/1", "2-mask.nii")],
            "an image at lost.nii#axial/1",
        ),
    ] {
        let report = rows(path, &wrong);
        assert!(
            report.problems[0].message.contains(expected),
            "{}",
            report.problems[0]
        );
    }
    let two = [
        ("2.nii#axial/1", "2-mask.nii"),
        ("2.nii#axial/2", "0-mask.nii.gz"),
    ];
    let report = rows(path, &two);
    assert!(
        report.problems[0]
            .message
            .contains("the masks of other slices"),
        "{:?}",
        report.problems
    );
    assert_eq!(report.problems[0].row, Some(3));
}

#[rstest]
#[case("every = 0", "volumes.every")]
#[case("between = [0.5, 0.5]", "volumes.between")]
#[case("neighbours = 2", "volumes.neighbours")]
#[case("spacing = [1, 0, 1]", "volumes.spacing")]
#[case("steps = [{ step = \"orient\", axes = \"LPS\" }]", "volumes.steps")]
#[case("plane = \"oblique\"", "volumes.plane")]
#[case("thickness = 3", "volumes.thickness")]
fn settings_out_of_range_are_named(#[case] line: &str, #[case] column: &str) {
    let folder = cohort(&format!("schema = 1\n[volumes]\n{line}\n"));
    let report = report(folder.path(), false);
    let problem = &report.problems[0];
    assert_eq!(problem.kind, ProblemKind::BadConfig, "{problem}");
    assert!(
        problem.column.as_deref().unwrap().starts_with(column),
        "{problem}"
    );
}

#[test]
fn pictures_and_volumes_are_not_mistaken_for_each_other() {
    let folder = cohort("schema = 1\n");
    let report = report(folder.path(), false);
    assert!(
        report.problems[0].message.contains("[volumes]"),
        "{}",
        report.problems[0]
    );
    assert_eq!(report.problems.len(), 6, "every image and mask");
}

#[test]
fn the_hash_follows_every_file_of_a_volume() {
    let folder = cohort(SLICES);
    let hash = || {
        let cohort = Cohort::open(folder.path()).unwrap();
        data_hash(&cohort, HashDepth::Contents).unwrap()
    };
    let before = hash();
    assert_eq!(hash(), before);
    let mut other = everywhere(|voxel| u8::from(marked(voxel)));
    other[0] = 1;
    let other = Volume::new(&SHAPE, Samples::U8(other), *labels().affine()).unwrap();
    replace(folder.path(), "2-mask.nii", &other);
    let changed = hash();
    assert_ne!(changed, before);
    // The half of a pair that the manifest does not name.
    let pair = |value: u8| {
        let path = folder.path().join("2.hdr");
        nifti::write(&path, &constant(value), &WriteOptions::default()).unwrap();
    };
    let manifest = std::fs::read_to_string(folder.path().join("manifest.csv")).unwrap();
    let manifest = manifest.replace("2.nii", "2.hdr").replace("2-mask.nii", "");
    crate::support::write(folder.path(), "manifest.csv", manifest.as_bytes());
    pair(1);
    let before = hash();
    pair(2);
    assert_ne!(hash(), before);
}

/// An image of one value.
fn constant(value: u8) -> Volume {
    Volume::new(&SHAPE, Samples::U8(vec![value; 60]), affine()).unwrap()
}
