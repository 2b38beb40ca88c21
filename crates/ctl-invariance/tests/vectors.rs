//! The published conformance vectors, where they are at hand.

use std::collections::BTreeMap;
use std::path::Path;

use ctl_invariance::conformance::{Outcome, run_case};
use serde_json::Value;

/// Objectives that the vectors hold and this crate computes.
const IMPLEMENTED: [&str; 29] = [
    "anchor-regression",
    "and-mask",
    "causirl-coral",
    "causirl-mmd",
    "cdann",
    "coral",
    "counterfactual-invariance",
    "dann",
    "deep-coral",
    "eqrm",
    "erm",
    "fish",
    "fishr",
    "group-dro",
    "ib-erm",
    "ib-irm",
    "iga",
    "importance-weighting",
    "irm",
    "label-shift",
    "mixup",
    "mldg",
    "mm-rex",
    "mmd",
    "rdm",
    "sand-mask",
    "sd",
    "tent",
    "v-rex",
];

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn implemented_objectives_pass_every_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../../../shared/vectors/objectives/objectives.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!(
            "skipped: the conformance vectors are not at {}",
            path.display()
        );
        return;
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    let mut failures = Vec::new();
    let mut passed = BTreeMap::from(IMPLEMENTED.map(|name| (name, 0)));
    for case in file["cases"].as_array().unwrap() {
        let objective = case["objective"].as_str().unwrap();
        match run_case(case) {
            Outcome::Passed => match passed.get_mut(objective) {
                Some(count) => *count += 1,
                None => failures.push(format!("{objective} passes and is not in IMPLEMENTED")),
            },
            Outcome::Failed(lines) => failures.push(format!("{}: {lines:#?}", case["id"])),
            Outcome::NotImplemented => {
                assert!(
                    !IMPLEMENTED.contains(&objective),
                    "{objective} is not implemented"
                );
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed.values().all(|&count| count > 0), "{passed:?}");
    eprintln!("passed: {passed:?}");
}
