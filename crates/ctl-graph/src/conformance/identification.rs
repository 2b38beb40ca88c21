//! Interventional queries: the decision, and the formula's value from the observed joint.

use std::path::Path;

use serde_json::Value;

use super::finite::{joint, table_differs};
use super::input::{Problem, boolean, diagram, nodes};
use super::{Outcome, differs, each_case};
use crate::Diagram;
use crate::estimand::Distributions;
use crate::identification::{Query, identify};

pub(super) fn run(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", check)
}

/// Checks the decision and, where it is yes, the value of the formula and of its shorter form.
pub(super) fn check(case: &Value) -> Result<Vec<String>, Problem> {
    let diagram = diagram(&case["graph"])?;
    let query = query(&diagram, case)?;
    let answer = identify(&diagram, &query)?;
    let decision = differs(
        "identifiable",
        &answer.estimand().is_some(),
        &boolean(case, "identifiable")?,
    );
    let mut differences: Vec<String> = decision.into_iter().collect();
    if let Some(estimand) = answer.estimand()
        && let Some(truth) = ["truth", "interventional_truth_even_if_not_identifiable"]
            .iter()
            .map(|key| &case[*key])
            .find(|truth| !truth.is_null())
    {
        let joint = joint(&diagram, &case["scm"]["cards"], &case["p_obs"])?;
        let known = Distributions::observational(&diagram, joint)?;
        for (field, estimand) in [
            ("estimand", estimand),
            ("simplified", &estimand.simplified()),
        ] {
            let found = estimand.evaluate_over(&query.variables(), &known)?;
            differences.extend(table_differs(&diagram, field, &found, truth)?);
        }
    }
    Ok(differences)
}

/// The query of a case: `outcome`, `treatment` and, optionally, `conditioning`.
pub(super) fn query(diagram: &Diagram, case: &Value) -> Result<Query, Problem> {
    let query =
        Query::of(&nodes(diagram, &case["outcome"])?).under(&nodes(diagram, &case["treatment"])?);
    if case["conditioning"].is_null() {
        return Ok(query);
    }
    Ok(query.given(&nodes(diagram, &case["conditioning"])?))
}
