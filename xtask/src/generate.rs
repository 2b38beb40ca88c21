//! Files that are generated from the registry of methods.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::workspace::{self, Build};

/// A file in the repository and the words that make `ctl` print it.
const GENERATED: [(&str, [&str; 2]); 2] = [
    ("docs/METHODS.md", ["methods", "--markdown"]),
    ("docs/methods.schema.json", ["methods", "--schema"]),
];

/// Writes the generated files, or compares them; `false` when one was out of date.
///
/// # Errors
/// When `ctl` cannot be built or fails, or a file cannot be written.
pub(crate) fn run(check: bool, build: Build) -> anyhow::Result<bool> {
    let program = workspace::build_ctl(build)?;
    let mut up_to_date = true;
    for (file, words) in GENERATED {
        let expected = print(&program, &words)?;
        up_to_date &= settle(&workspace::root().join(file), &expected, check)?;
    }
    if !up_to_date {
        eprintln!("run `cargo xtask generate` and commit the result");
    }
    Ok(up_to_date)
}

fn print(program: &Path, words: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(program)
        .args(words)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "ctl {} failed with {}",
        words.join(" "),
        output.status
    );
    Ok(output.stdout)
}

/// Compares or writes one file; `false` when a comparison found a difference.
fn settle(path: &Path, expected: &[u8], check: bool) -> anyhow::Result<bool> {
    // A missing file is as out of date as an old one.
    let found = std::fs::read(path).unwrap_or_default();
    if found == expected {
        return Ok(true);
    }
    if check {
        let line = first_difference(&found, expected);
        eprintln!("{}: out of date from line {line} on", path.display());
        return Ok(false);
    }
    std::fs::write(path, expected).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(true)
}

/// Number of the first line, counted from 1, in which two texts differ.
fn first_difference(found: &[u8], expected: &[u8]) -> usize {
    let same = found
        .iter()
        .zip(expected)
        .take_while(|(a, b)| a == b)
        .map(|(byte, _)| byte);
    1 + same.filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found() {
        for (found, expected, line) in [
            ("", "a\n", 1),
            ("a\nb\nc\n", "a\nx\nc\n", 2),
            ("a\nb\n", "a\nb\nc\n", 3),
        ] {
            let result = first_difference(found.as_bytes(), expected.as_bytes());
            assert_eq!(result, line, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn a_check_writes_nothing_and_writing_makes_the_check_pass() {
        let path = std::env::temp_dir().join(format!("xtask-generate-{}", std::process::id()));
        std::fs::write(&path, "old\n").unwrap();
        assert!(!settle(&path, b"new\n", true).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old\n");
        assert!(settle(&path, b"new\n", false).unwrap());
        assert!(settle(&path, b"new\n", true).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!settle(&path, b"new\n", true).unwrap());
    }
}
