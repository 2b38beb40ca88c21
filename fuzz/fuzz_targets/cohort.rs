//! `manifest.csv` and `cohort.toml`: the input is both, with a zero byte between them.
#![no_main]

use std::fs;

use ctl_fuzz::{bounded, claims};
use ctl_imaging::{Cohort, VerifyOptions, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let manifest = parts.next().unwrap_or_default();
    fs::write(folder.path().join("manifest.csv"), manifest).expect("it is empty");
    if let Some(description) = parts.next() {
        fs::write(folder.path().join("cohort.toml"), description).expect("it is empty");
    }
    let open = || Cohort::open(folder.path());
    if let Ok(cohort) = bounded(bytes.len(), open, |_| claims::table(bytes)) {
        assert_eq!(cohort.records().len(), cohort.len());
    }
    // Whatever is wrong must be found, not panic.
    let found = || verify(folder.path(), &VerifyOptions::default());
    let _ = bounded(bytes.len(), found, |_| claims::table(bytes));
});
