//! A disk that fills up: an error, the old files, nothing else.
#![cfg(unix)]

use crate::counting;
use ctl_imaging::nifti::{self, WriteOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the helper below is to write.
const TARGET: &str = "CTL_TEST_NIFTI_TARGET";

/// Writes more than the limit of the process that the test below starts it in; there it must fail,
/// elsewhere it must not.
#[test]
fn helper_writes_forty_kilobytes() {
    let volume = counting(&[100, 100, 2]);
    let options = WriteOptions {
        level: 0,
        ..WriteOptions::default()
    };
    if let Some(path) = std::env::var_os(TARGET) {
        let error = nifti::write(Path::new(&path), &volume, &options).unwrap_err();
        assert!(error.to_string().starts_with("cannot write"), "{error}");
    } else {
        let folder = tempfile::tempdir().unwrap();
        nifti::write(&folder.path().join("a.nii"), &volume, &options).unwrap();
    }
}

fn write_with_little_space(path: &Path) {
    // A limit on file size stands for the full disk: every larger write fails part way.
    let binary = std::env::current_exe().unwrap();
    let command = format!(
        "trap '' XFSZ; ulimit -f 4; exec '{}' --exact failing_disk::helper_writes_forty_kilobytes",
        binary.display()
    );
    let output = Command::new("bash")
        .args(["-c", &command])
        .env(TARGET, path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    names
}

#[test]
fn the_old_file_stays_and_nothing_partial() {
    for name in ["a.nii", "a.nii.gz", "a.img"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        nifti::write(&path, &counting(&[3, 2]), &WriteOptions::default()).unwrap();
        let before = names(folder.path());
        write_with_little_space(&path);
        assert_eq!(names(folder.path()), before);
        assert_eq!(nifti::read(&path).unwrap().volume, counting(&[3, 2]));
    }
}

#[test]
fn a_missing_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent").join("a.nii");
    let error = nifti::write(&path, &counting(&[3, 2]), &WriteOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with("cannot create"), "{error}");
    assert!(names(folder.path()).is_empty());
}
