//! Comparison of computed with expected fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::input::Problem;

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

    fn field(&self, name: &str, inherited: Tolerance) -> Tolerance {
        self.by_field.get(name).copied().unwrap_or(inherited)
    }
}

/// One line for each expected field that the computed ones do not match.
pub(super) fn differences(
    expected: &Map<String, Value>,
    found: &Map<String, Value>,
    tolerances: &Tolerances,
) -> Vec<String> {
    let mut lines = Vec::new();
    compare_fields(
        "",
        expected,
        found,
        (tolerances, tolerances.all),
        &mut lines,
    );
    lines
}

fn compare_fields(
    prefix: &str,
    expected: &Map<String, Value>,
    found: &Map<String, Value>,
    (tolerances, inherited): (&Tolerances, Tolerance),
    lines: &mut Vec<String>,
) {
    for (name, wanted) in expected {
        let path = format!("{prefix}{name}");
        let tolerance = tolerances.field(name, inherited);
        match (wanted, found.get(name)) {
            (_, None) => lines.push(format!("{path}: not computed by this crate")),
            (Value::Object(inner), Some(Value::Object(ours))) => {
                let inner_prefix = format!("{path}.");
                compare_fields(&inner_prefix, inner, ours, (tolerances, tolerance), lines);
            }
            (_, Some(ours)) if !matches(wanted, ours, tolerance) => {
                lines.push(format!("{path}: expected {wanted}, found {ours}"));
            }
            _ => {}
        }
    }
}

fn matches(expected: &Value, found: &Value, tolerance: Tolerance) -> bool {
    let scale = largest(expected);
    let allowed = tolerance.abs + tolerance.rel * scale;
    near(expected, found, allowed)
}

/// Largest finite magnitude in a number or in nested arrays of numbers.
fn largest(value: &Value) -> f64 {
    match value {
        Value::Array(items) => items.iter().map(largest).fold(0.0, f64::max),
        other => other.as_f64().map_or(0.0, f64::abs),
    }
}

fn near(expected: &Value, found: &Value, allowed: f64) -> bool {
    match (expected, found) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| near(x, y, allowed))
        }
        (Value::Number(a), Value::Number(b)) => {
            if is_integer(expected) && is_integer(found) {
                return a == b;
            }
            let apart = a.as_f64().zip(b.as_f64()).map(|(x, y)| (x - y).abs());
            apart.is_some_and(|distance| distance <= allowed)
        }
        _ => expected == found,
    }
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
    fn the_scale_of_an_array_is_its_maximum() {
        assert!(lines(&json!({"x": [0.0, 100.0]}), &json!({"x": [0.09, 100.0]})).is_empty());
        assert_eq!(
            lines(&json!({"x": [0.0, 1.0]}), &json!({"x": [0.09, 1.0]})).len(),
            1
        );
    }

    #[test]
    fn integers_are_exact_and_infinities_are_strings() {
        assert_eq!(lines(&json!({"n": 1000}), &json!({"n": 1001})).len(), 1);
        assert!(lines(&json!({"n": 1000.0}), &json!({"n": 1000.5})).is_empty());
        assert!(lines(&json!({"d": "inf"}), &json!({"d": "inf"})).is_empty());
        assert_eq!(lines(&json!({"d": "inf"}), &json!({"d": 3.0})).len(), 1);
        assert_eq!(lines(&json!({"d": null}), &json!({"d": 0.0})).len(), 1);
    }

    #[test]
    fn nested_fields_are_named_and_may_have_their_own_tolerance() {
        let expected = json!({"at": {"0.9": 1.0, "0.8": 1.0}, "loose": 1.0});
        let found = json!({"at": {"0.9": 2.0, "0.8": 1.0}, "loose": 1.9});
        assert_eq!(
            lines(&expected, &found),
            ["at.0.9: expected 1.0, found 2.0"]
        );
    }
}
