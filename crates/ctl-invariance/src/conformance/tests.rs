//! Ill-formed cases and the choice of families.

use serde_json::{Value, json};

use super::{Outcome, run_case};

fn column(values: [f64; 2]) -> Value {
    json!({"shape": [2, 1], "data": values})
}

/// Squared errors 1, 1 and 4, 4.
fn regression() -> Value {
    json!({
        "objective": "v-rex",
        "task": "regression",
        "hyper": {"lambda": 2.0},
        "envs": [
            {"logits": column([1.0, 1.0]), "labels": column([0.0, 2.0])},
            {"logits": column([1.0, 1.0]), "labels": column([3.0, -1.0])},
        ],
        "expected": {"risks": [1.0, 4.0], "penalty": 2.25, "total": 7.0},
        "tol": {"abs": 1e-12, "rel": 1e-12},
    })
}

fn failure(case: &Value) -> String {
    match run_case(case) {
        Outcome::Failed(lines) => lines.join("\n"),
        other => panic!("expected a failure, found {other:?}"),
    }
}

#[test]
fn a_case_by_hand_passes() {
    assert_eq!(run_case(&regression()), Outcome::Passed);
}

#[test]
fn unknown_expected_fields_are_failures() {
    let mut case = regression();
    case["expected"]["curvature"] = json!(0.0);
    assert_eq!(failure(&case), "curvature: not computed by this crate");
}

#[test]
fn other_objectives_are_not_implemented() {
    let mut case = regression();
    case["objective"] = json!("kerning");
    assert_eq!(run_case(&case), Outcome::NotImplemented);
}

/// What is wrong is named.
#[test]
fn ill_formed_cases_fail_with_a_reason() {
    let huge = json!({"shape": [u64::MAX, 2], "data": [1.0, 2.0]});
    for (pointer, ill, reason) in [
        ("/objective", json!(3), "objective"),
        ("/expected", json!({}), "expected"),
        ("/tol", json!("tight"), "tol"),
        ("/task", json!("parsing"), "parsing"),
        ("/hyper", json!({}), "hyper.lambda"),
        ("/hyper/lambda", json!(-1.0), "penalty_weight = -1"),
        (
            "/hyper",
            json!({"lambda": 1.0, "rescale": 1}),
            "hyper.rescale",
        ),
        (
            "/hyper",
            json!({"lambda": 1.0, "aggregation": "pooled"}),
            "pooled",
        ),
        ("/envs", json!([]), "envs"),
        ("/envs", json!("two"), "envs"),
        ("/envs/1/logits", Value::Null, "envs[1].logits"),
        ("/envs/1/labels", Value::Null, "envs[1].labels"),
        ("/envs/0/logits", huge, "envs[0].logits"),
        (
            "/envs/0/labels",
            json!({"shape": [2], "data": [0.0, 1.0]}),
            "[2, 1]",
        ),
        (
            "/envs/0/labels/data",
            json!([0.0, "one"]),
            "envs[0].labels.data",
        ),
        (
            "/envs/0/logits",
            json!({"shape": [0, 1], "data": []}),
            "envs[0].logits",
        ),
    ] {
        let mut case = regression();
        *case.pointer_mut(pointer).expect("the case has the part") = ill;
        let found = failure(&case);
        assert!(found.contains(reason), "{pointer}: {found}");
    }
}

#[test]
fn labels_outside_the_classes_and_flat_logits_are_failures() {
    let flat = json!({"shape": [2], "data": [0.5, 1.0]});
    for (logits, labels) in [
        (column([0.5, 1.0]), json!([0, 1])),
        (column([0.5, 1.0]), json!([0, -1])),
        (column([0.5, 1.0]), json!([0, 0.5])),
        (flat, json!([0, 0])),
    ] {
        let case = json!({
            "objective": "erm", "task": "classification", "hyper": {},
            "envs": [{"logits": logits, "labels": {"shape": [2], "data": labels}}],
            "expected": {"total": 0.0},
            "tol": {"abs": 1e-12, "rel": 1e-12},
        });
        failure(&case);
    }
}

/// Every family names what it misses instead of panicking.
#[test]
fn bare_cases_of_every_family_fail() {
    for objective in [
        "erm",
        "irm",
        "v-rex",
        "mm-rex",
        "group-dro",
        "mixup",
        "coral",
        "mmd",
        "dann",
        "iga",
        "fishr",
        "and-mask",
        "sand-mask",
        "fish",
        "mldg",
        "anchor-regression",
        "deep-coral",
        "cdann",
        "sd",
        "ib-erm",
        "ib-irm",
        "causirl-coral",
        "causirl-mmd",
        "eqrm",
        "rdm",
        "counterfactual-invariance",
        "importance-weighting",
        "tent",
    ] {
        let case = json!({
            "objective": objective, "task": "binary",
            "expected": {"total": 0.0}, "tol": {"abs": 1e-12, "rel": 1e-12},
        });
        assert!(failure(&case).contains(':'), "{objective}");
    }
}
