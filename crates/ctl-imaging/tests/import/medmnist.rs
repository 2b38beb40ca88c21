//! Archives in the layout of `MedMNIST` become cohorts.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

use ctl_imaging::{AttributeValue, Cohort, ImagingError, Split, import_medmnist};
use ctl_imaging::{ImageRequest, ImageStore};
use rstest::rstest;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An array of bytes as `NumPy` saves it.
fn npy(shape: &[usize], data: &[u8]) -> Vec<u8> {
    let lengths: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let header = format!(
        "{{'descr': '|u1', 'fortran_order': False, 'shape': ({}), }}\n",
        lengths.join(" ")
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn archive(folder: &Path, name: &str, arrays: &[(&str, Vec<u8>)]) -> PathBuf {
    let path = folder.join(name);
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (array, bytes) in arrays {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("{array}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// Five images of two by two pixels, the value of whose first is their number times ten.
fn usual(folder: &Path, name: &str) -> PathBuf {
    let images = |numbers: &[u8]| {
        let data: Vec<u8> = numbers.iter().flat_map(|n| [n * 10, 0, 0, 255]).collect();
        npy(&[numbers.len(), 2, 2], &data)
    };
    archive(
        folder,
        name,
        &[
            ("train_images", images(&[0, 1, 2])),
            ("train_labels", npy(&[3, 1], &[0, 1, 2])),
            ("train_age", npy(&[3], &[30, 40, 50])),
            ("val_images", images(&[3])),
            ("val_labels", npy(&[1], &[1])),
            ("val_age", npy(&[1], &[60])),
            ("val_severity", npy(&[1], &[3])),
            ("val_patient", npy(&[1, 1], &[7])),
            ("test_images", images(&[4])),
            ("test_labels", npy(&[1, 1], &[0])),
        ],
    )
}

#[test]
fn archives_become_sites_with_their_splits_and_columns() {
    let folder = tempfile::tempdir().unwrap();
    let archives = [
        usual(folder.path(), "north.npz"),
        usual(folder.path(), "south.npz"),
    ];
    let target = folder.path().join("deep/cohort");
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    import_medmnist(&target, &archives).unwrap();

    let cohort = Arc::new(Cohort::open(&target).unwrap());
    assert_eq!(cohort.sites(), ["north", "south"]);
    let records = cohort.records();
    let splits = [
        Split::Train,
        Split::Train,
        Split::Train,
        Split::Validation,
        Split::Test,
    ];
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.split, Some(splits[index % 5]));
    }
    // An attribute that a part lacks is missing, not zero.
    let ages: Vec<_> = records.iter().map(|r| r.attributes[0]).collect();
    assert!(matches!(ages[3], AttributeValue::Number(age) if (age - 60.0).abs() < 1e-9));
    assert!(matches!(ages[4], AttributeValue::Missing));

    // What may be derived from the label is a column and no input; patients are named where known.
    let named: Vec<&str> = cohort.columns().iter().map(String::as_str).collect();
    assert!(named.contains(&"severity"));
    assert_eq!(cohort.records()[0].attributes.len(), 1);
    assert_eq!(cohort.records()[3].patient, "north-7");

    let store = ImageStore::new(cohort, ImageRequest::grey(2, 2), 1 << 20);
    let all: Vec<usize> = (0..10).collect();
    for (index, image) in store.load(&all).unwrap().iter().enumerate() {
        let first = (index % 5) as f32 * 10.0 / 255.0;
        assert!((image.samples()[0] - first).abs() < 1e-6);
    }
}

#[rstest]
#[case::lengths(
    "x.npz",
    &[
        ("test_images", npy(&[1, 1, 1], &[0])), ("test_labels", npy(&[1], &[0])),
        ("test_age", npy(&[2], &[0, 1])),
    ],
    "test_age of shape [1]"
)]
#[case::column(
    "x.npz",
    &[
        ("test_images", npy(&[1, 1, 1], &[0])), ("test_labels", npy(&[1], &[0])),
        ("test_split", npy(&[1], &[0])),
    ],
    "test_split"
)]
#[case::unreadable_age(
    "x.npz",
    &[
        ("test_images", npy(&[1, 1, 1], &[0])), ("test_labels", npy(&[1], &[0])),
        ("test_age", npy(&[1], &[200])),
    ],
    "age"
)]
#[case::no_images("x.npz", &[("train_labels", npy(&[1], &[0]))], "train_images")]
#[case::no_labels("x.npz", &[("train_images", npy(&[1, 1, 1], &[0]))], "train_labels")]
#[case::fewer_labels(
    "x.npz",
    &[("val_images", npy(&[2, 1, 1], &[0, 0])), ("val_labels", npy(&[1], &[0]))],
    "[2] or [2, 1]"
)]
#[case::several_labels(
    "x.npz",
    &[("test_images", npy(&[1, 1, 1], &[0])), ("test_labels", npy(&[1, 3], &[0, 1, 0]))],
    "one class an image"
)]
#[case::name("a,b.npz", &[("train_images", npy(&[0, 1, 1], &[]))], "letters, digits")]
#[case::empty("x.npz", &[("other", npy(&[1], &[0]))], "train_images, train_labels")]
fn faulty_archives_leave_nothing(
    #[case] name: &str,
    #[case] arrays: &[(&str, Vec<u8>)],
    #[case] said: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), name, arrays);
    let error = import_medmnist(&folder.path().join("new"), &[path]).unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = usual(folder.path(), "north.npz");
    let there = folder.path().join("there");
    std::fs::create_dir(&there).unwrap();
    std::fs::write(there.join("mine"), "mine").unwrap();
    for (target, archives) in [
        (&there, vec![path.clone()]),
        (&folder.path().join("new"), vec![path.clone(), path]),
        (&folder.path().join("new"), Vec::new()),
    ] {
        let error = import_medmnist(target, &archives).unwrap_err();
        let known = matches!(
            error,
            ImagingError::Argument { .. } | ImagingError::NotEmpty { .. }
        );
        assert!(known, "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
