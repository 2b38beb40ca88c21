//! Every command that the README shows is run here, in its order and in an empty folder.
//!
//! The comparisons themselves take minutes, so `benchmark` only plans there; the model that
//! `predict` is shown with comes from a sweep of a few steps.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

use std::path::Path;
use std::process::{Command, Output};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

const SMALL_SUITE: &str = r#"
schema = 1
name = "small"
title = "Small"
methods = ["erm"]
[training]
size = 20
steps = 5
batch_size = 4
evaluate_every = 5
[[simulated]]
tasks = ["classification"]
shifts = ["combined"]
patients_per_site = 24
source_sites = 2
"#;

/// Lines of the README's shell blocks.
fn shown_commands() -> Vec<String> {
    let text = std::fs::read_to_string(README).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    blocks
        .flat_map(|block| block.split("```").next().unwrap().lines())
        .map(str::to_owned)
        .collect()
}

fn ctl(folder: &Path, words: &[&str]) -> Output {
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    let mut command = Command::new(binary);
    command.args(words).current_dir(folder).output().unwrap()
}

/// Runs `ctl`, asserts its exit code and returns its stderr.
fn expect(folder: &Path, words: &[&str], code: i32) -> String {
    let output = ctl(folder, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    said
}

/// Cohorts under the names that the README uses, and a trained model.
fn prepare(folder: &Path) -> String {
    for name in ["my-cohort", "other-cohort"] {
        let words = [
            "data",
            "make",
            name,
            "--patients-per-site",
            "12",
            "--size",
            "24",
        ];
        expect(folder, &words, 0);
    }
    std::fs::create_dir(folder.join("mnist")).unwrap();
    std::fs::write(folder.join("small.toml"), SMALL_SUITE).unwrap();
    let words = [
        "benchmark",
        "--suite",
        "small.toml",
        "--out",
        "out/real",
        "--save-models",
    ];
    expect(folder, &words, 0);
    let mut runs = std::fs::read_dir(folder.join("out/real/runs")).unwrap();
    let run = runs.next().unwrap().unwrap().file_name();
    run.into_string().unwrap()
}

#[test]
fn commands_of_the_readme_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = prepare(folder);
    let mut tried = 0;
    for line in shown_commands() {
        let line = line.replace("RUN", &run);
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(["cargo", "xtask", words @ ..]) = words.get(..) else {
            panic!("the README shows `{line}`, which is none of ours");
        };
        let words = words.to_vec();
        match words[0] {
            "ci" => continue,
            "benchmark" => {
                let planned = [words, vec!["--launcher", "dry-run"]].concat();
                expect(folder, &planned, 0);
            }
            // MNIST is not at hand: the folder is looked into, and the missing file is named.
            "reproduce" => assert!(expect(folder, &words, 3).contains("train-images")),
            _ => drop(expect(folder, &words, 0)),
        }
        tried += 1;
    }
    assert!(tried >= 6, "the README shows commands");
    let predictions = std::fs::read_to_string(folder.join("predictions.csv")).unwrap();
    assert_eq!(predictions.lines().count(), 1 + 4 * 12);
}
