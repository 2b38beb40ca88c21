//! The published conformance vectors, where they are at hand.

use std::collections::BTreeSet;
use std::path::Path;

use ctl_metrics::conformance::{Outcome, run_case};
use rstest::rstest;
use serde_json::Value;

#[expect(
    clippy::print_stderr,
    clippy::expect_used,
    reason = "a skipped test says why, a damaged file fails"
)]
fn read(file: &str) -> Option<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../../../shared/vectors").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!(
            "skipped: the conformance vectors are not at {}",
            path.display()
        );
        return None;
    };
    Some(serde_json::from_str(&text).expect("the vectors are JSON"))
}

/// Every case passes, of every family that a file holds.
#[rstest]
#[case::metrics("metrics/metrics.json", 18)]
#[case::counterfactual("counterfactual/counterfactual.json", 6)]
fn every_case_passes(#[case] file: &str, #[case] families: usize) {
    let Some(file) = read(file) else { return };
    let mut failures = Vec::new();
    let mut passed = BTreeSet::new();
    for case in file["cases"].as_array().unwrap() {
        match run_case(case) {
            Outcome::Passed => {
                passed.insert(case["metric"].as_str().unwrap());
            }
            Outcome::Failed(lines) => failures.push(format!("{}: {lines:#?}", case["id"])),
            Outcome::NotImplemented => failures.push(format!("{}: not implemented", case["id"])),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed.len() >= families, "only {passed:?} were run");
}
