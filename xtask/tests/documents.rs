//! Documents that quote code must quote what is there.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of a document.
fn blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let body = lines.by_ref().take_while(|line| !line.starts_with("```"));
            blocks.push(body.collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

/// Layout and trailing commas are the formatter's affair.
fn squeezed(code: &str) -> String {
    let text: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    text.replace(",}", "}").replace(",)", ")")
}

#[test]
fn the_six_steps_are_what_the_example_does() {
    let contributing = read("CONTRIBUTING.md");
    let (_, steps) = contributing.split_once("in six steps").unwrap();
    let (steps, _) = steps.split_once("\n## ").unwrap();
    let example =
        ["worst_case", "main"].map(|n| read(&format!("examples/add-a-method/src/{n}.rs")));
    let lines = example.concat();
    let manifest = read("examples/add-a-method/Cargo.toml");
    let example = squeezed(&format!("{lines}{manifest}"));
    let blocks = blocks(steps);
    assert!(blocks.len() >= 6, "a step without code");
    for block in &blocks {
        assert!(
            example.contains(&squeezed(block)),
            "not in the example:\n{block}"
        );
    }
    // A line alone may end with a comma that the formatter sets where lines are broken.
    let plain = |code: &str| -> String {
        let kept = code.chars().filter(|&c| !c.is_whitespace() && c != ',');
        kept.collect()
    };
    let quoted = plain(&blocks.concat());
    for line in lines.lines().chain(manifest.lines()) {
        let code = line.trim();
        let is_code = !code.is_empty() && !code.starts_with("//!") && !code.starts_with("# ");
        assert!(
            !is_code || quoted.contains(&plain(code)),
            "in no step: {line}"
        );
    }
    for number in 1..=6 {
        assert!(
            steps.contains(&format!("\n### {number}. ")),
            "step {number}"
        );
    }
}

/// Who follows the steps copies the list of dependencies first.
#[test]
fn the_dependencies_of_the_example_are_named() {
    let contributing = read("CONTRIBUTING.md");
    let sentence = contributing
        .lines()
        .find(|line| line.starts_with("A package of your own depends on "))
        .unwrap();
    let manifest = read("examples/add-a-method/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]\n").unwrap();
    let (dependencies, _) = dependencies.split_once("\n\n").unwrap();
    let mut named: Vec<&str> = sentence.split('`').skip(1).step_by(2).collect();
    let mut needed: Vec<&str> = dependencies
        .lines()
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect();
    named.sort_unstable();
    needed.sort_unstable();
    assert_eq!(named, needed);
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (folder, name) in [
        ("", "README.md"),
        ("", "CONTRIBUTING.md"),
        ("docs/", "ARCHITECTURE.md"),
        ("docs/", "COHORTS.md"),
        ("docs/", "DESIGN.md"),
        ("docs/", "COMPARE.md"),
    ] {
        let text = read(&format!("{folder}{name}"));
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        for (target, _) in targets.filter(|(target, _)| !target.starts_with("http")) {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let path = root.join(folder).join(target);
            assert!(path.exists(), "{folder}{name} points at {target}");
        }
    }
}

#[test]
fn blocks_are_told_from_text() {
    assert_eq!(
        blocks("a\n```rust\nx\ny\n```\nb\n```\nz\n```"),
        ["x\ny", "z"]
    );
    assert_eq!(squeezed("f(\n  a,\n)"), squeezed("f(a)"));
}
