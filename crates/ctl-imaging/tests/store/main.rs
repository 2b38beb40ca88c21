//! Loading images and masks: values, order, caching, threads.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod feeds;
mod slices;
mod studies;
#[path = "../support/mod.rs"]
mod support;
mod volumes;

use ctl_imaging::{
    Cohort, Colour, ImageRequest, ImageStore, ImagingError, MaskRole, ProblemKind, Raster,
};
use rstest::rstest;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use support::{cohort, grey, write};

fn store(folder: &Path, request: ImageRequest, limit: usize) -> ImageStore {
    ImageStore::new(Arc::new(Cohort::open(folder).unwrap()), request, limit)
}

/// `count` pictures of 2×2 pixels, each of one grey.
fn greys(count: u8) -> tempfile::TempDir {
    let folder = cohort(&[]);
    let mut manifest = "path\n".to_owned();
    for index in 0..count {
        grey(folder.path(), &format!("{index}.png"), (2, 2), &[index; 4]);
        writeln!(manifest, "{index}.png").unwrap();
    }
    write(folder.path(), "manifest.csv", manifest.as_bytes());
    folder
}

#[test]
fn images_come_in_the_order_asked_for() {
    let folder = greys(20);
    let store = store(folder.path(), ImageRequest::rgb(3, 1), 1 << 20);
    let indices = [7, 0, 7, 19];
    let images = store.load(&indices).unwrap();
    for (index, image) in indices.iter().zip(&images) {
        assert_eq!(image.shape(), [3, 3, 1]);
        assert!(
            image
                .samples()
                .iter()
                .all(|sample| (sample * 255.0 - *index as f32).abs() < 1e-4)
        );
    }
    assert!(store.load(&[]).unwrap().is_empty());
}

#[test]
fn what_fits_is_decoded_once() {
    let folder = greys(3);
    // Four samples of four bytes and the overhead: one image fits, not two.
    let store = store(folder.path(), ImageRequest::grey(2, 2), 100);
    let once = store.load(&[1]).unwrap();
    let again = store.load(&[1]).unwrap();
    assert!(Arc::ptr_eq(&once[0], &again[0]));
    let other = store.load(&[2]).unwrap();
    assert!(!Arc::ptr_eq(&other[0], &store.load(&[2]).unwrap()[0]));
    assert_eq!(other[0], store.load(&[2]).unwrap()[0]);
}

#[test]
fn nothing_depends_on_threads_or_cache() {
    let folder = greys(40);
    let indices: Vec<usize> = (0..40).rev().collect();
    let load = |threads, limit| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let store = store(folder.path(), ImageRequest::grey(3, 3), limit);
        pool.install(|| [store.load(&indices).unwrap(), store.load(&indices).unwrap()].concat())
    };
    let reference = load(1, 0);
    assert_eq!(load(2, 0), reference);
    assert_eq!(load(3, 700), reference);
    assert_eq!(load(2, 1 << 20), reference);
}

#[test]
fn the_first_failure_is_reported() {
    let folder = greys(4);
    std::fs::remove_file(folder.path().join("1.png")).unwrap();
    std::fs::remove_file(folder.path().join("2.png")).unwrap();
    let store = store(folder.path(), ImageRequest::grey(2, 2), 0);
    for _ in 0..20 {
        let error = store.load(&[0, 2, 1, 3]).unwrap_err();
        assert!(
            error.to_string().ends_with("manifest.csv:4:path"),
            "{error}"
        );
        let file = std::error::Error::source(&error).unwrap().to_string();
        assert!(file.ends_with("2.png"), "{file}");
    }
    let error = store.load(&[4]).unwrap_err().to_string();
    assert_eq!(error, "image index: expected a position below 4, found 4");
}

#[test]
fn an_impossible_size_is_an_error() {
    let folder = greys(1);
    assert!(
        store(folder.path(), ImageRequest::grey(0, 2), 0)
            .load(&[0])
            .is_err()
    );
}

fn segmented(description: &str) -> tempfile::TempDir {
    let folder = cohort(&[
        (
            "manifest.csv",
            "path,mask_path,second,fov\na.png,m.png,,f.png\nb.png,,m2.png,\n",
        ),
        (
            "cohort.toml",
            &format!(
                "schema = 1\n[mask]\n{description}\nsecond_observer = \"second\"\nevaluate_within = \"fov\"\n"
            ),
        ),
    ]);
    grey(folder.path(), "a.png", (2, 2), &[0; 4]);
    grey(folder.path(), "b.png", (2, 2), &[0; 4]);
    grey(folder.path(), "m.png", (2, 2), &[0, 128, 127, 255]);
    grey(folder.path(), "m2.png", (2, 2), &[255; 4]);
    grey(folder.path(), "f.png", (2, 2), &[255, 255, 0, 0]);
    folder
}

#[rstest]
#[case::threshold("threshold = 0.5", &[0.0, 1.0, 0.0, 1.0])]
#[case::usual("", &[0.0, 1.0, 0.0, 1.0])]
#[case::high_threshold("threshold = 1.0", &[0.0, 0.0, 0.0, 1.0])]
#[case::values("values = [127, 0, 255, 128]", &[1.0, 3.0, 0.0, 2.0])]
fn masks_become_classes(#[case] description: &str, #[case] classes: &[f32]) {
    let folder = segmented(description);
    let store = store(folder.path(), ImageRequest::rgb(2, 2), 1 << 20);
    let masks = store.load_masks(&[0]).unwrap();
    assert_eq!((masks[0].shape(), masks[0].samples()), ([1, 2, 2], classes));
}

#[test]
fn masks_of_each_role_are_told_apart() {
    let folder = segmented("threshold = 0.5");
    let store = store(folder.path(), ImageRequest::grey(1, 4), 1 << 20);
    let region = store
        .load_masks_of(MaskRole::EvaluateWithin, &[0, 1])
        .unwrap();
    // Of two rows, the centre of one row lies in the lower.
    assert_eq!(region[0].as_ref().unwrap().samples(), [0.0; 4]);
    assert_eq!(region[1], None);
    let second = store
        .load_masks_of(MaskRole::SecondObserver, &[0, 1])
        .unwrap();
    assert_eq!(second[0], None);
    assert_eq!(second[1].as_ref().unwrap().samples(), [1.0; 4]);
    let mask = store.load_masks_of(MaskRole::Annotation, &[0]).unwrap();
    assert_eq!(mask[0].as_ref().unwrap().samples(), [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn faults_of_masks_name_the_row() {
    let folder = segmented("values = [0, 255]");
    let store = store(folder.path(), ImageRequest::grey(2, 2), 0);
    let error = store.load_masks(&[0]).unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(problem.kind, ProblemKind::MaskOutsideClasses);
    assert_eq!(
        (problem.row, problem.column.as_deref()),
        (Some(2), Some("mask_path"))
    );
    let error = store.load_masks(&[1]).unwrap_err();
    assert_eq!(error.problem().unwrap().row, Some(3));
}

#[test]
fn coloured_masks_must_have_equal_channels() {
    let folder = cohort(&[("manifest.csv", "path,mask_path\na.png,m.png\nb.png,n.png\n")]);
    for name in ["a.png", "b.png"] {
        grey(folder.path(), name, (1, 1), &[0]);
    }
    let red = Raster::new(3, 1, 1, vec![1.0, 0.0, 0.0]).unwrap();
    red.write_png(&folder.path().join("m.png")).unwrap();
    let white = Raster::new(3, 1, 1, vec![1.0; 3]).unwrap();
    white.write_png(&folder.path().join("n.png")).unwrap();
    let store = store(folder.path(), ImageRequest::grey(1, 1), 0);
    let error = store.load_masks(&[0]).unwrap_err().to_string();
    assert!(error.contains("3 channels that differ"), "{error}");
    assert_eq!(store.load_masks(&[1]).unwrap()[0].samples(), [1.0]);
}

/// The stored numbers of masks of few bits, and of palettes, are what `values` means.
#[rstest]
#[case::one_bit("grey1.png", 0..2)]
#[case::two_bits("grey2.png", 0..4)]
#[case::four_bits("grey4.png", 0..16)]
#[case::palette("palette.png", 0..4)]
#[case::sixteen_bits("grey16.png", 0..1)]
fn stored_values_are_compared(#[case] name: &str, #[case] values: std::ops::Range<usize>) {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../golden/formats.json")).unwrap();
    let pictures = golden["pictures"].as_array().unwrap();
    let picture = pictures
        .iter()
        .find(|picture| picture["name"] == name)
        .unwrap();
    let hex = picture["hex"].as_str().unwrap().as_bytes().chunks(2);
    let bytes = hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    let folder = cohort(&[
        ("manifest.csv", "path,mask_path\na.png,m.png\n"),
        (
            "cohort.toml",
            &format!(
                "schema = 1\n[mask]\nvalues = {:?}\n",
                values.clone().collect::<Vec<_>>()
            ),
        ),
    ]);
    grey(folder.path(), "a.png", (1, 1), &[0]);
    write(folder.path(), "m.png", &bytes.collect::<Vec<u8>>());
    let store = store(folder.path(), ImageRequest::grey(3, 3), 0);
    let masks = store.load_masks(&[0]);
    if name == "grey16.png" {
        assert!(masks.is_err(), "sixteen bits of noise are not all zero");
    } else {
        let classes = masks.unwrap();
        let highest = classes[0].samples().iter().copied().fold(0.0, f32::max);
        assert!((1.0..values.end as f32).contains(&highest));
    }
}

#[test]
fn pictures_of_array_files_are_loaded() {
    let manifest = "path\nimages-idx3-ubyte#1\nimages-idx3-ubyte#0\nx.npy#0\nwide.npy\n";
    let folder = cohort(&[("manifest.csv", manifest)]);
    let idx = [
        0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 102, 153,
    ];
    write(folder.path(), "images-idx3-ubyte", &idx);
    write(
        folder.path(),
        "x.npy",
        &npy(
            "<f4",
            "(1, 1, 2, 3)",
            &[0.1_f32, 0.2, 0.3, 0.4, 0.5, 0.6]
                .map(f32::to_le_bytes)
                .concat(),
        ),
    );
    write(
        folder.path(),
        "wide.npy",
        &npy("<i8", "(1, 1)", &7_i64.to_le_bytes()),
    );
    let request = ImageRequest {
        height: 1,
        width: 2,
        colour: Colour::Native,
    };
    let store = store(folder.path(), request, 0);
    let images = store.load(&[0, 1, 2]).unwrap();
    assert_eq!(images[0].samples(), [0.4, 0.6]);
    assert_eq!(images[1].samples(), [0.0, 0.2]);
    // Channels come last in the file and first in the raster.
    assert_eq!(
        (images[2].shape(), images[2].samples()),
        ([3, 1, 2], [0.1, 0.4, 0.2, 0.5, 0.3, 0.6].as_slice())
    );
    let error = store.load(&[3]).unwrap_err();
    let ImagingError::Image { row, source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(row, 5);
    assert!(matches!(*source, ImagingError::Content { .. }), "{source}");
}

fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}
