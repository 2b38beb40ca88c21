//! A disk that fills up, for tests that write.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a test that fills the disk is to write; it is set in the process that [`fill`] starts.
const TARGET: &str = "CTL_TEST_TARGET";

/// Where to write more than fits, in the process that [`fill`] started; elsewhere `None`.
pub(crate) fn target() -> Option<PathBuf> {
    std::env::var_os(TARGET).map(PathBuf::from)
}

/// Runs a test of this binary in a process of its own that cannot write more than 4 KiB to a file.
///
/// The limit stands for the full disk: every larger write fails part way.
pub(crate) fn fill(test: &str, path: &Path) {
    let binary = std::env::current_exe().unwrap();
    let command = format!(
        "trap '' XFSZ; ulimit -f 4; exec '{}' --exact {test}",
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
        "{}: {text}",
        path.display()
    );
}

/// Names and contents of a folder.
pub(crate) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut all: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap_or_default()))
        .collect();
    all.sort();
    all
}
