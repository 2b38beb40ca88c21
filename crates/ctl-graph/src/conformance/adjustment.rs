//! Adjustment sets, front-door sets and instruments.

use std::path::Path;

use serde_json::Value;

use super::input::{Problem, boolean, count, diagram, list, node_sets, nodes};
use super::{Outcome, differs, each_case};
use crate::adjustment::{Adjustment, FrontDoor, Instrument, conditional_instruments};
use crate::{Diagram, Mixed, NodeSet};

/// The size up to which the vectors list conditions of instruments.
const MOST_GIVEN: usize = 2;

pub(super) fn run(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", check)
}

pub(super) fn run_front_door(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", check_front_door)
}

/// The sets of an enumeration, ascending, as vectors are compared.
pub(super) fn sorted(sets: impl Iterator<Item = NodeSet>) -> Vec<NodeSet> {
    let mut sets: Vec<NodeSet> = sets.collect();
    sets.sort();
    sets
}

fn check(case: &Value) -> Result<Vec<String>, Problem> {
    let diagram = diagram(&case["graph"])?;
    let (x, y) = (
        nodes(&diagram, &case["treatment"])?,
        nodes(&diagram, &case["outcome"])?,
    );
    let general = Adjustment::new(&diagram, &x, &y)?;
    let pearl = Adjustment::back_door(&diagram, &x, &y)?;
    let mut lines = Vec::new();
    lines.extend(differs(
        "forbidden",
        general.forbidden(),
        &nodes(&diagram, &case["forbidden"])?,
    ));
    let minimal = sorted(general.minimal());
    let expected = node_sets(&diagram, &case["minimal_sets"])?;
    lines.extend(differs("minimal_sets", &minimal, &expected));
    lines.extend(differs(
        "exists",
        &!minimal.is_empty(),
        &boolean(case, "exists")?,
    ));
    lines.extend(differs(
        "one_minimal",
        &general.one_minimal().is_some(),
        &!minimal.is_empty(),
    ));
    let smallest = minimal.iter().map(NodeSet::len).min();
    let expected = case["minimum_size"].as_u64().map(|size| size as usize);
    lines.extend(differs("minimum_size", &smallest, &expected));
    lines.extend(differs(
        "n_valid_sets",
        &general.all().count(),
        &count(case, "n_valid_sets")?,
    ));
    let expected = node_sets(&diagram, &case["minimal_backdoor_sets"])?;
    lines.extend(differs(
        "minimal_backdoor_sets",
        &sorted(pearl.minimal()),
        &expected,
    ));
    let seen = diagram
        .nodes()
        .difference(&nodes(&diagram, &case["unobserved"])?);
    let expected = node_sets(&diagram, &case["minimal_sets_given_unobserved"])?;
    let found = sorted(general.clone().among(&seen).minimal());
    lines.extend(differs("minimal_sets_given_unobserved", &found, &expected));
    let expected = optional(&diagram, &case["canonical_set"])?;
    lines.extend(differs("canonical_set", &general.canonical(), &expected));
    if let Some(optimal) = case.get("optimal_set") {
        let expected = optional(&diagram, optimal)?;
        lines.extend(differs("optimal_set", &general.optimal()?, &expected));
    }
    for entry in list(case, "checks")? {
        let set = nodes(&diagram, &entry["set"])?;
        let expected = (
            boolean(entry, "valid_generalized")?,
            boolean(entry, "valid_backdoor")?,
        );
        let found = (general.is_valid(&set)?, pearl.is_valid(&set)?);
        lines.extend(differs("checks", &found, &expected));
    }
    Ok(lines)
}

fn optional(diagram: &Diagram, value: &Value) -> Result<Option<NodeSet>, Problem> {
    if value.is_null() {
        Ok(None)
    } else {
        nodes(diagram, value).map(Some)
    }
}

fn check_front_door(case: &Value) -> Result<Vec<String>, Problem> {
    let diagram = diagram(&case["graph"])?;
    let (x, y) = (
        nodes(&diagram, &case["treatment"])?,
        nodes(&diagram, &case["outcome"])?,
    );
    let front_door = FrontDoor::new(&diagram, &x, &y)?;
    let mut lines = Vec::new();
    let expected = node_sets(&diagram, &case["frontdoor_sets_all"])?;
    lines.extend(differs(
        "frontdoor_sets_all",
        &sorted(front_door.all()),
        &expected,
    ));
    let expected = node_sets(&diagram, &case["frontdoor_minimal"])?;
    lines.extend(differs(
        "frontdoor_minimal",
        &sorted(front_door.minimal()),
        &expected,
    ));
    let (Some(x), Some(y)) = (x.first(), y.first()) else {
        return Err(Problem(
            "treatment and outcome: expected a node each".to_owned(),
        ));
    };
    let expected = boolean(case, "has_direct_edge")?;
    lines.extend(differs(
        "has_direct_edge",
        &diagram.has_directed(x, y),
        &expected,
    ));
    let mut found: Vec<Instrument> = conditional_instruments(&diagram, x, y, MOST_GIVEN)?.collect();
    found.sort();
    let expected = instruments(&diagram, &case["conditional_instruments_up_to_2"])?;
    lines.extend(differs(
        "conditional_instruments_up_to_2",
        &found,
        &expected,
    ));
    Ok(lines)
}

fn instruments(diagram: &Diagram, value: &Value) -> Result<Vec<Instrument>, Problem> {
    let mut expected = Vec::new();
    for entry in value.as_array().into_iter().flatten() {
        let instrument = nodes(diagram, &entry["instrument"])?.first();
        let instrument = instrument.ok_or_else(|| Problem("instrument: expected a node".into()))?;
        expected.push(Instrument {
            instrument,
            given: nodes(diagram, &entry["given"])?,
        });
    }
    expected.sort();
    Ok(expected)
}
