//! Comparison of computed with expected fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::case::Problem;

/// Values in a report are cut off here.
const SHOWN_CHARACTERS: usize = 60;

/// How far a number may be from the expected one.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    abs: f64,
    rel: f64,
}

impl Tolerance {
    /// Either one number for both parts, or an object with `abs` and `rel`.
    fn of(value: &Value) -> Option<Self> {
        if let Some(both) = value.as_f64() {
            return Some(Self {
                abs: both,
                rel: both,
            });
        }
        Some(Self {
            abs: value["abs"].as_f64()?,
            rel: value["rel"].as_f64()?,
        })
    }
}

/// The tolerances of a case.
#[derive(Debug)]
pub(super) struct Tolerances {
    all: Tolerance,
    by_field: BTreeMap<String, Tolerance>,
}

impl Tolerances {
    pub(super) fn of(case: &Value) -> Result<Self, Problem> {
        let ill = |name: &str| Problem(format!("{name}: expected a tolerance"));
        let all = Tolerance::of(&case["tol"]).ok_or_else(|| ill("tol"))?;
        let mut by_field = BTreeMap::new();
        for (field, value) in case["field_tol"].as_object().into_iter().flatten() {
            let tolerance = Tolerance::of(value).ok_or_else(|| ill(field))?;
            by_field.insert(field.clone(), tolerance);
        }
        Ok(Self { all, by_field })
    }

    fn field(&self, name: &str) -> Tolerance {
        self.by_field.get(name).copied().unwrap_or(self.all)
    }
}

/// One line for each expected field that the computed ones do not match.
pub(super) fn differences(
    expected: &Map<String, Value>,
    found: &Map<String, Value>,
    tolerances: &Tolerances,
) -> Vec<String> {
    let mut lines = Vec::new();
    compare_fields("", expected, found, tolerances, &mut lines);
    lines
}

fn compare_fields(
    prefix: &str,
    expected: &Map<String, Value>,
    found: &Map<String, Value>,
    tolerances: &Tolerances,
    lines: &mut Vec<String>,
) {
    for (name, wanted) in expected {
        let path = format!("{prefix}{name}");
        let Some(ours) = found.get(name) else {
            lines.push(format!("{path}: not computed by this crate"));
            continue;
        };
        if let (Some(wanted), Some(ours)) = (fields(wanted), fields(ours)) {
            compare_fields(&format!("{path}."), wanted, ours, tolerances, lines);
        } else if let (Some(wanted), Some(ours)) = (records(wanted), records(ours)) {
            compare_records(&path, &wanted, &ours, tolerances, lines);
        } else if let Some(line) = mismatch(wanted, ours, tolerances.field(name)) {
            lines.push(format!("{path}: {line}"));
        }
    }
}

fn compare_records(
    path: &str,
    expected: &[&Map<String, Value>],
    found: &[&Map<String, Value>],
    tolerances: &Tolerances,
    lines: &mut Vec<String>,
) {
    if expected.len() != found.len() {
        let (wanted, ours) = (expected.len(), found.len());
        lines.push(format!("{path}: expected {wanted} entries, found {ours}"));
    }
    for (index, (wanted, ours)) in expected.iter().zip(found).enumerate() {
        compare_fields(
            &format!("{path}[{index}]."),
            wanted,
            ours,
            tolerances,
            lines,
        );
    }
}

/// The fields of a group; a tensor is not one.
fn fields(value: &Value) -> Option<&Map<String, Value>> {
    value
        .as_object()
        .filter(|fields| !fields.contains_key("data"))
}

/// The entries of a list of named fields, such as one entry per step; tensors are not that.
fn records(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    let entries: Option<Vec<_>> = value.as_array()?.iter().map(fields).collect();
    entries.filter(|all| !all.is_empty())
}

fn mismatch(expected: &Value, found: &Value, tolerance: Tolerance) -> Option<String> {
    let allowed = tolerance.abs + tolerance.rel * largest(expected);
    match distance(expected, found) {
        Some(distance) if distance <= allowed => None,
        Some(distance) => Some(format!("off by {distance:e}, allowed {allowed:e}")),
        None => Some(format!(
            "expected {}, found {}",
            shown(expected),
            shown(found)
        )),
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(SHOWN_CHARACTERS).collect()
}

/// Largest magnitude in a number, a tensor's values, or lists of them.
fn largest(value: &Value) -> f64 {
    match value {
        Value::Array(items) => items.iter().map(largest).fold(0.0, f64::max),
        Value::Object(tensor) => tensor.get("data").map_or(0.0, largest),
        other => other.as_f64().map_or(0.0, f64::abs),
    }
}

/// Largest difference of two values of the same form; `None` where the form, an integer or a
/// string differs.
fn distance(expected: &Value, found: &Value) -> Option<f64> {
    match (expected, found) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b);
            pairs.map(|(x, y)| distance(x, y)).try_fold(0.0, farther)
        }
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => a
            .iter()
            .map(|(key, x)| distance(x, b.get(key)?))
            .try_fold(0.0, farther),
        (Value::Number(a), Value::Number(b)) if !(is_integer(expected) && is_integer(found)) => {
            Some((a.as_f64()? - b.as_f64()?).abs())
        }
        _ => (expected == found).then_some(0.0),
    }
}

fn farther(largest: f64, next: Option<f64>) -> Option<f64> {
    next.map(|next| largest.max(next))
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(expected: &Value, found: &Value) -> Vec<String> {
        let case = json!({"tol": {"abs": 0.0, "rel": 1e-3}, "field_tol": {"loose": 0.5}});
        let tolerances = Tolerances::of(&case).unwrap();
        let object = |value: &Value| value.as_object().unwrap().clone();
        differences(&object(expected), &object(found), &tolerances)
    }

    #[test]
    fn the_scale_of_a_field_is_its_maximum_without_its_shape() {
        let tensor = |data: [f64; 2]| json!({"x": [{"shape": [2000], "data": data}]});
        assert!(lines(&tensor([0.0, 100.0]), &tensor([0.09, 100.0])).is_empty());
        assert_eq!(lines(&tensor([0.0, 1.0]), &tensor([0.09, 1.0])).len(), 1);
    }

    #[test]
    fn shapes_and_integers_are_exact() {
        let tensor = |shape: [u64; 2]| json!({"x": {"shape": shape, "data": [0.0, 0.0]}});
        assert!(lines(&tensor([1, 2]), &tensor([1, 2])).is_empty());
        assert_eq!(lines(&tensor([1, 2]), &tensor([2, 1])).len(), 1);
        assert_eq!(lines(&json!({"n": 1000}), &json!({"n": 1001})).len(), 1);
        assert!(lines(&json!({"n": 1000.0}), &json!({"n": 1000.5})).is_empty());
        assert_eq!(lines(&json!({"n": 1.0}), &json!({"n": "nan"})).len(), 1);
        assert_eq!(
            lines(&json!({"n": [1.0]}), &json!({"n": [1.0, 1.0]})).len(),
            1
        );
    }

    #[test]
    fn steps_are_named_and_a_field_may_have_its_own_tolerance() {
        let expected = json!({"steps": [{"q": 1.0, "loose": 1.0}, {"q": 1.0, "r": 2.0}]});
        let found = json!({"steps": [{"q": 1.0, "loose": 1.9}, {"q": 2.0}]});
        assert_eq!(
            lines(&expected, &found),
            [
                "steps[1].q: off by 1e0, allowed 1e-3",
                "steps[1].r: not computed by this crate"
            ]
        );
        let shorter = json!({"steps": [{"q": 1.0, "loose": 1.0}]});
        assert_eq!(
            lines(&expected, &shorter),
            ["steps: expected 2 entries, found 1"]
        );
    }
}
