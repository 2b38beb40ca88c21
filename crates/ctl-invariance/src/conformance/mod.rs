//! Runs test vectors, computed by other programs, through this crate's objectives.
//!
//! A case is a JSON object with `objective`, `variant`, `task`, `hyper`, the environments' `logits`,
//! `features` and `labels`, `expected` and `tol`.
//! Each expected field is compared by `max |a - b| <= tol.abs + tol.rel * max |expected|`, where
//! `field_tol` may hold a larger tolerance for a field; integers and strings must be equal.
//! An expected field that this crate does not compute is a failure, not a pass.

mod adversarial;
mod alignment;
mod case;
mod compare;
mod deployment;
mod dispersion;
mod environments;
mod losses;
mod risks;
mod rules;
mod selection;

use serde_json::{Map, Value};

use case::{Case, Problem};
use compare::{Tolerances, differences};

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Every expected field agrees.
    Passed,
    /// The fields that differ, are missing or could not be computed, one line each.
    Failed(Vec<String>),
    /// The objective is not part of this crate.
    NotImplemented,
}

type Family = fn(&Case<'_>) -> Result<Map<String, Value>, Problem>;

/// The computation of an objective's fields, by the name in `objective`.
fn family(name: &str) -> Option<Family> {
    Some(match name {
        "erm" => risks::erm,
        "irm" => risks::irm,
        "v-rex" => risks::v_rex,
        "mm-rex" => risks::mm_rex,
        "group-dro" => risks::group_dro,
        "mixup" => risks::mixup,
        "sd" => losses::sd,
        "ib-erm" => losses::ib_erm,
        "ib-irm" => losses::ib_irm,
        "rdm" => losses::rdm,
        "eqrm" => losses::eqrm,
        "coral" => alignment::coral,
        "deep-coral" => alignment::deep_coral,
        "mmd" => alignment::mmd,
        "causirl-coral" => alignment::causirl_coral,
        "causirl-mmd" => alignment::causirl_mmd,
        "counterfactual-invariance" => alignment::counterfactual_invariance,
        "dann" => adversarial::dann,
        "cdann" => adversarial::cdann,
        "label-shift" => deployment::label_shift,
        "iga" => dispersion::iga,
        "fishr" => dispersion::fishr,
        "and-mask" => rules::and,
        "sand-mask" => rules::sand,
        "fish" => rules::fish,
        "mldg" => rules::mldg,
        "anchor-regression" => selection::anchor_regression,
        "importance-weighting" => deployment::importance_weighting,
        "tent" => deployment::tent,
        _ => return None,
    })
}

/// Computes a case in double precision and compares every expected field.
///
/// # Arguments
/// - `case`: one element of a vector file's `cases`.
///
/// # Returns
/// The outcome; ill-formed cases are failures that say what is wrong with them.
///
/// # Examples
/// Squared errors 1 and 4 in two environments, with the gradient of their mean:
/// ```
/// use ctl_invariance::conformance::{Outcome, run_case};
///
/// let column = |value: f64| serde_json::json!({"shape": [1, 1], "data": [value]});
/// let mut case = serde_json::json!({
///     "objective": "erm",
///     "task": "regression",
///     "hyper": {},
///     "envs": [
///         {"logits": column(2.0), "labels": column(1.0)},
///         {"logits": column(2.0), "labels": column(4.0)},
///     ],
///     "expected": {
///         "risks": [1.0, 4.0],
///         "total": 2.5,
///         "grad_logits": [column(1.0), column(-2.0)],
///     },
///     "tol": {"abs": 1e-12, "rel": 1e-12},
/// });
/// assert_eq!(run_case(&case), Outcome::Passed);
/// case["expected"]["total"] = serde_json::json!(2.0);
/// assert!(matches!(run_case(&case), Outcome::Failed(lines) if lines.len() == 1));
/// case["objective"] = serde_json::json!("kerning");
/// assert_eq!(run_case(&case), Outcome::NotImplemented);
/// ```
pub fn run_case(case: &Value) -> Outcome {
    let Some(name) = case["objective"].as_str() else {
        return Outcome::Failed(vec!["objective: expected a string".to_owned()]);
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
    let found = family(&Case::new(case)?)?;
    Ok(differences(expected, &found, &tolerances))
}

#[cfg(test)]
mod tests;
