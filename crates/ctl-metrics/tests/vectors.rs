//! The published conformance vectors, where they are at hand.

use std::path::Path;

use ctl_metrics::conformance::{Outcome, run_case};
use serde_json::Value;

/// Families that the vectors hold and this crate computes.
const IMPLEMENTED: [&str; 18] = [
    "anomaly",
    "binary",
    "bootstrap",
    "conformal",
    "fairness",
    "friedman_nemenyi",
    "image_quality",
    "mcnemar",
    "multiclass",
    "multiplicity",
    "paired_delong",
    "paired_permutation",
    "paired_t",
    "regression",
    "segmentation",
    "segmentation_multiclass",
    "survival",
    "wilcoxon_signed_rank",
];

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn implemented_families_pass_every_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../../../shared/vectors/metrics/metrics.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!(
            "skipped: the conformance vectors are not at {}",
            path.display()
        );
        return;
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    let mut failures = Vec::new();
    let mut passed = 0;
    for case in file["cases"].as_array().unwrap() {
        let implemented = IMPLEMENTED.contains(&case["metric"].as_str().unwrap());
        match run_case(case) {
            Outcome::Passed => passed += 1,
            Outcome::Failed(lines) => failures.push(format!("{}: {lines:#?}", case["id"])),
            Outcome::NotImplemented => {
                assert!(!implemented, "{} is not implemented", case["metric"]);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed >= IMPLEMENTED.len(), "only {passed} cases were run");
}
