//! Transport queries: the decision, and the formula's value from the allowed distributions.

use std::path::Path;

use serde_json::{Value, json};

use super::finite::{FiniteModel, table_differs};
use super::identification::query;
use super::input::{Problem, boolean, diagram, list, nodes, string};
use super::{Outcome, differs, each_case};
use crate::Diagram;
use crate::estimand::{Distributions, Domain, Estimand};
use crate::identification::identify;
use crate::transport::{Experiments, Population, SelectionDiagram, transport};

pub(super) fn run(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", check)
}

/// The classical examples have one source, written into the case itself.
pub(super) fn check_single_source(case: &Value) -> Result<Vec<String>, Problem> {
    let mut case = case.clone();
    case["sources"] = json!([{
        "name": "pi",
        "selection_nodes_point_to": case["selection_nodes_point_to"],
        "experiments_on_subsets_of": case["source_experiments_on_subsets_of"],
    }]);
    if !case["scm_source"].is_null() {
        case["scm_sources"] = json!([case["scm_source"]]);
    }
    check(&case)
}

fn check(case: &Value) -> Result<Vec<String>, Problem> {
    let diagram = diagram(&case["graph"])?;
    let query = query(&diagram, case)?;
    let selection = selection(&diagram, case)?;
    let answer = transport(&selection, &query)?;
    let found = answer.estimand().is_some();
    let mut differences: Vec<String> =
        differs("transportable", &found, &boolean(case, "transportable")?)
            .into_iter()
            .collect();
    if let Some(expected) = case["identifiable_in_target_alone"].as_bool() {
        let found = identify(&diagram, &query)?.estimand().is_some();
        differences.extend(differs("identifiable_in_target_alone", &found, &expected));
    }
    if let Some(estimand) = answer.estimand()
        && !case["truth"].is_null()
    {
        let known = distributions(&diagram, &selection, case, estimand)?;
        for (field, estimand) in [
            ("estimand", estimand),
            ("simplified", &estimand.simplified()),
        ] {
            let found = estimand.evaluate_over(&query.variables(), &known)?;
            differences.extend(table_differs(&diagram, field, &found, &case["truth"])?);
        }
    }
    Ok(differences)
}

fn selection(diagram: &Diagram, case: &Value) -> Result<SelectionDiagram, Problem> {
    let mut selection = SelectionDiagram::new(diagram.clone());
    let target = &case["target"];
    if !target.is_null() {
        let experiments = if boolean(target, "observational")? {
            Experiments::SubsetsOf(nodes(diagram, &target["experiments_on_subsets_of"])?)
        } else {
            Experiments::none()
        };
        selection = selection.with_target_data(experiments)?;
    }
    for source in list(case, "sources")? {
        let experiments = nodes(diagram, &source["experiments_on_subsets_of"])?;
        let population = Population::new(string(source, "name")?)
            .differing_in(&nodes(diagram, &source["selection_nodes_point_to"])?)
            .offering(Experiments::SubsetsOf(experiments));
        selection = selection.with_source(population)?;
    }
    Ok(selection)
}

/// Computes the distributions that the formula mentions, each of which must be allowed.
fn distributions(
    diagram: &Diagram,
    selection: &SelectionDiagram,
    case: &Value,
    estimand: &Estimand,
) -> Result<Distributions, Problem> {
    let mut known = Distributions::new(diagram);
    for probability in estimand.probabilities() {
        let (domain, intervention) = (probability.domain(), probability.intervention());
        if !selection.offers(domain, intervention) {
            return Err(Problem(format!(
                "{domain:?}: formula uses an experiment not offered"
            )));
        }
        if known.table(domain, intervention).is_err() {
            let model = match domain {
                Domain::Target => &case["scm_target"],
                Domain::Source(index) => &case["scm_sources"][index],
            };
            let table = FiniteModel::read(diagram, model)?.under(intervention)?;
            known.insert(domain, intervention, table)?;
        }
    }
    Ok(known)
}
