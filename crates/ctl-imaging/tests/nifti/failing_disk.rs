//! A disk that fills up: an error, the old files, nothing else.
#![cfg(unix)]

use crate::counting;
use crate::disk::{contents, fill, target};
use ctl_imaging::nifti::{self, WriteOptions};

/// Writes more than the limit of the process that the test below starts it in; there it must fail,
/// elsewhere it must not.
#[test]
fn helper_writes_forty_kilobytes() {
    let volume = counting(&[100, 100, 2]);
    let options = WriteOptions {
        level: 0,
        ..WriteOptions::default()
    };
    if let Some(path) = target() {
        let error = nifti::write(&path, &volume, &options).unwrap_err();
        assert!(error.to_string().starts_with("cannot write"), "{error}");
    } else {
        let folder = tempfile::tempdir().unwrap();
        nifti::write(&folder.path().join("a.nii"), &volume, &options).unwrap();
    }
}

#[test]
fn the_old_file_stays_and_nothing_partial() {
    for name in ["a.nii", "a.nii.gz", "a.img", "a.img.gz"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        nifti::write(&path, &counting(&[3, 2]), &WriteOptions::default()).unwrap();
        let before = contents(folder.path());
        fill("failing_disk::helper_writes_forty_kilobytes", &path);
        assert!(contents(folder.path()) == before, "{name}");
        assert_eq!(nifti::read(&path).unwrap().volume, counting(&[3, 2]));
    }
}

#[test]
fn a_missing_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent").join("a.nii");
    let error = nifti::write(&path, &counting(&[3, 2]), &WriteOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with("cannot create"), "{error}");
    assert!(contents(folder.path()).is_empty());
}
