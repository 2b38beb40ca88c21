//! The binary, and a cohort for it.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the binary to its end.
pub(crate) fn ctl(arguments: &[&str]) -> Output {
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    Command::new(binary).args(arguments).output().unwrap()
}

/// What it said on stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A simulated cohort: two classes, three source sites and a target, a patient an image.
pub(crate) fn cohort(folder: &Path, patients_per_site: usize) {
    let (folder, patients) = (folder.to_str().unwrap(), patients_per_site.to_string());
    let size = ["--patients-per-site", &patients, "--size", "24"];
    let made = ctl(&[&["data", "make", folder][..], &size].concat());
    assert!(made.status.success(), "{}", stderr(&made));
}
