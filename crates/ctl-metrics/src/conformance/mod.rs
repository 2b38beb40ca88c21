//! Runs test vectors, computed by other programs, through this crate.
//!
//! A case is a JSON object with `metric` (its family), `inputs`, `params`, `expected` and `tol`.
//! Each expected field is compared by `max |a - b| <= tol.abs + tol.rel * max |expected|`, where
//! `field_tol` may hold a larger tolerance for a field; integers, booleans and strings must be
//! equal. An expected field that this crate does not compute is a failure, not a pass.

mod compare;
mod comparisons;
mod counterfactuals;
mod coverage;
mod decisions;
mod images;
mod input;

use serde_json::{Map, Value};

use compare::{Tolerances, differences};
use input::{Case, Problem};

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every expected field agrees.
    Passed,
    /// The fields that differ, are missing or could not be computed, one line each.
    Failed(Vec<String>),
    /// The family is not part of this crate.
    NotImplemented,
}

type Family = fn(Case<'_>) -> Result<Map<String, Value>, Problem>;

/// The computation of a family's fields, by the name in `metric`.
fn family(name: &str) -> Option<Family> {
    Some(match name {
        "binary" => decisions::binary,
        "multiclass" => decisions::multiclass,
        "fairness" => decisions::fairness,
        "regression" => decisions::regression,
        "segmentation" => images::segmentation,
        "segmentation_multiclass" => images::segmentation_multiclass,
        "image_quality" => images::image_quality,
        "anomaly" => images::anomaly,
        "conformal" => coverage::conformal,
        "survival" => decisions::survival,
        "paired_delong" => comparisons::paired_delong,
        "bootstrap" => comparisons::bootstrap,
        "wilcoxon_signed_rank" => comparisons::wilcoxon,
        "paired_permutation" => comparisons::permutation,
        "paired_t" => comparisons::paired_t,
        "mcnemar" => comparisons::mcnemar,
        "friedman_nemenyi" => comparisons::friedman_nemenyi,
        "multiplicity" => comparisons::multiplicity,
        "composition" | "reversibility" => counterfactuals::cycles,
        "effectiveness" => counterfactuals::effectiveness,
        "minimality_cld" => counterfactuals::divergence,
        "minimality_end_to_end" => counterfactuals::end_to_end,
        "fid" => counterfactuals::realism,
        _ => return None,
    })
}

/// Computes a case and compares every expected field.
///
/// # Arguments
/// - `case`: one element of a vector file's `cases`.
///
/// # Returns
/// The outcome; ill-formed cases are failures that say what is wrong with them.
///
/// # Examples
///
/// ```
/// use ctl_metrics::conformance::{Outcome, run_case};
/// let mut case = serde_json::json!({
///     "metric": "mcnemar",
///     "inputs": {"only_a_correct": 1, "only_b_correct": 4},
///     "expected": {"p_exact": 0.375, "chi2_corrected": 0.8},
///     "tol": {"abs": 1e-12, "rel": 1e-12}
/// });
/// assert_eq!(run_case(&case), Outcome::Passed);
/// case["expected"]["p_exact"] = serde_json::json!(0.4);
/// assert!(matches!(run_case(&case), Outcome::Failed(lines) if lines.len() == 1));
/// case["metric"] = serde_json::json!("kerning");
/// assert_eq!(run_case(&case), Outcome::NotImplemented);
/// ```
pub fn run_case(case: &Value) -> Outcome {
    let Some(name) = case["metric"].as_str() else {
        return Outcome::Failed(vec!["metric: expected a string".to_owned()]);
    };
    let Some(family) = family(name) else {
        return Outcome::NotImplemented;
    };
    match check(case, family) {
        Ok(lines) if lines.is_empty() => Outcome::Passed,
        Ok(lines) => Outcome::Failed(lines),
        Err(Problem(line)) => Outcome::Failed(vec![line]),
    }
}

fn check(case: &Value, family: Family) -> Result<Vec<String>, Problem> {
    let expected = case["expected"]
        .as_object()
        .filter(|fields| !fields.is_empty());
    let expected = expected.ok_or_else(|| Problem("expected: no fields".to_owned()))?;
    let tolerances = Tolerances::of(case)?;
    let found = family(Case::new(case))?;
    Ok(differences(expected, &found, &tolerances))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn multiplicity(expected: &Value) -> Outcome {
        run_case(&json!({
            "metric": "multiplicity",
            "inputs": {"p_values": [0.125, 0.5]},
            "expected": expected,
            "tol": {"abs": 1e-12, "rel": 1e-12},
        }))
    }

    #[test]
    fn unknown_fields_are_listed() {
        let outcome = multiplicity(&json!({"bonferroni": [0.25, 1.0], "sidak": [0.1, 0.2]}));
        let lines = vec!["sidak: not computed by this crate".to_owned()];
        assert_eq!(outcome, Outcome::Failed(lines));
    }

    #[test]
    fn values_and_lengths_are_compared() {
        assert_eq!(multiplicity(&json!({"holm": [0.25, 0.5]})), Outcome::Passed);
        assert!(matches!(
            multiplicity(&json!({"holm": [0.25, 0.6]})),
            Outcome::Failed(_)
        ));
        assert!(matches!(
            multiplicity(&json!({"holm": [0.25]})),
            Outcome::Failed(_)
        ));
    }

    #[test]
    fn ill_formed_cases_fail_with_a_reason() {
        for case in [
            json!({}),
            json!({"metric": "multiplicity"}),
            json!({"metric": "multiplicity", "expected": {"holm": []}}),
            json!({
                "metric": "multiplicity", "expected": {"holm": []},
                "tol": {"abs": 0.0, "rel": 0.0}, "inputs": {"p_values": ["x"]}
            }),
        ] {
            assert!(matches!(run_case(&case), Outcome::Failed(lines) if lines.len() == 1));
        }
    }
}
