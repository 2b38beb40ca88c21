//! Golden numbers from numpy; `golden/make_objectives.py` and `golden/make_gradients.py` made them.

use std::collections::BTreeMap;

use ctl_invariance::conformance::{Outcome, run_case};
use serde_json::{Value, json};

fn cases() -> Vec<Value> {
    let files = [
        include_str!("golden/objectives.json"),
        include_str!("golden/gradients.json"),
    ];
    let cases = files.into_iter().flat_map(|text| {
        let file: Value = serde_json::from_str(text).expect("the golden file is JSON");
        let cases = file["cases"].as_array();
        cases.expect("the golden file has cases").clone()
    });
    cases.collect()
}

#[test]
fn every_objective_matches_numpy() {
    let mut counts = BTreeMap::new();
    for case in cases() {
        assert_eq!(run_case(&case), Outcome::Passed, "{}", case["id"]);
        *counts.entry(case["objective"].to_string()).or_insert(0) += 1;
    }
    let counts: Vec<usize> = counts.into_values().collect();
    // anchor-regression, and-mask, causirl-coral, causirl-mmd, cdann, coral,
    // counterfactual-invariance, dann, deep-coral, eqrm, erm, fish, fishr, group-dro, ib-erm,
    // ib-irm, iga, importance-weighting, irm, mixup, mldg, mm-rex, mmd, rdm, sand-mask, sd, tent,
    // v-rex
    let expected = [
        2, 2, 2, 2, 1, 3, 2, 2, 2, 6, 10, 3, 9, 5, 2, 2, 5, 2, 10, 3, 5, 5, 3, 5, 2, 5, 2, 5,
    ];
    assert_eq!(counts, expected);
}

/// Each number that is compared matters: moving any expected field by 1 % fails its case.
#[test]
fn every_expected_field_is_compared() {
    for case in cases() {
        let Value::Object(fields) = &case["expected"] else {
            panic!("{}: no expected fields", case["id"]);
        };
        for name in fields.keys() {
            let mut moved = case.clone();
            stretch(&mut moved["expected"][name]);
            assert!(
                matches!(run_case(&moved), Outcome::Failed(_)),
                "{}: {name} is not compared",
                case["id"]
            );
        }
    }
}

/// Multiplies the numbers of a field, a tensor's shape excepted, and shifts integers.
fn stretch(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(stretch),
        Value::Object(fields) => {
            let fields = fields.iter_mut().filter(|(name, _)| *name != "shape");
            fields.for_each(|(_, inner)| stretch(inner));
        }
        Value::Number(number) => {
            let moved = number.as_u64().map(|count| json!(count + 1));
            *value = moved.unwrap_or_else(|| json!(number.as_f64().unwrap_or(0.0) * 1.01));
        }
        _ => {}
    }
}
