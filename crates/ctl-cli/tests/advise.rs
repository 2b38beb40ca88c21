//! `ctl advise` from outside.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

use std::process::{Command, Output};

use rstest::rstest;

fn ctl(arguments: &[&str]) -> Output {
    let binary = assert_cmd::cargo::cargo_bin!("ctl");
    Command::new(binary).args(arguments).output().unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = ctl(arguments);
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn advice_comes_as_text_and_as_data() {
    let text = stdout(&["advise", "--template", "anticausal-prevalence"]);
    assert!(text.contains("label-shift-correction"), "{text}");
    assert!(text.contains("Not licensed"), "{text}");
    let json = stdout(&["advise", "--template", "anticausal-prevalence", "--json"]);
    let advice: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(advice["prediction"]["remedy"], "label-shift-correction");
}

#[test]
fn a_printed_template_is_a_diagram_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.toml");
    let name = "causal-confounded-split";
    std::fs::write(&path, stdout(&["advise", "--template", name, "--diagram"])).unwrap();
    let from_file = stdout(&["advise", path.to_str().unwrap()]);
    assert_eq!(from_file, stdout(&["advise", "--template", name]));
}

#[rstest]
#[case::no_edge("schema = 1\nedges = \"film ->\"\n", "expected a node")]
#[case::unknown_key("schema = 1\nedge = \"a -> b\"\n", "edge")]
#[case::cycle("schema = 1\nedges = \"a -> b; b -> a\"\n", "a -> b")]
#[case::no_image("schema = 1\nedges = \"a -> b\"\n", "role = \"image\"")]
fn ill_diagrams_are_named_with_their_file(#[case] content: &str, #[case] named: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.toml");
    std::fs::write(&path, content).unwrap();
    let output = ctl(&["advise", path.to_str().unwrap()]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(
        error.contains("study.toml") && error.contains(named),
        "{error}"
    );
}

#[rstest]
#[case(&["advise"], 2)]
#[case(&["advise", "--template", "anticausal-population-prevalence-nothing"], 2)]
#[case(&["advise", "--template", "causal-prevalence"], 2)]
#[case(&["advise", "missing.toml"], 3)]
fn advice_has_the_exit_codes_of_all_commands(#[case] words: &[&str], #[case] code: i32) {
    let output = ctl(words);
    assert_eq!(output.status.code(), Some(code));
    assert!(output.stdout.is_empty());
}
