//! Separation, ancestry and districts.

use std::path::Path;

use serde_json::Value;

use super::input::{Problem, boolean, diagram, list, node_sets, nodes};
use super::{Outcome, differs, each_case};
use crate::separation::separated;
use crate::{Diagram, Mixed};

pub(super) fn run(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", check)
}

fn check(case: &Value) -> Result<Vec<String>, Problem> {
    let diagram = diagram(&case["graph"])?;
    let mut differences = queries(&diagram, list(case, "queries")?)?;
    for entry in case["ancestry"].as_array().into_iter().flatten() {
        let of = nodes(&diagram, &entry["of"])?;
        let ancestors = nodes(&diagram, &entry["ancestors_inclusive"])?;
        let descendants = nodes(&diagram, &entry["descendants_inclusive"])?;
        differences.extend(differs("ancestors", &diagram.ancestors(&of), &ancestors));
        differences.extend(differs(
            "descendants",
            &diagram.descendants(&of),
            &descendants,
        ));
    }
    if !case["districts"].is_null() {
        let mut found = diagram.districts();
        found.sort();
        let expected = node_sets(&diagram, &case["districts"])?;
        differences.extend(differs("districts", &found, &expected));
    }
    Ok(differences)
}

/// Compares separation queries with their answers.
pub(super) fn queries(diagram: &Diagram, queries: &[Value]) -> Result<Vec<String>, Problem> {
    let mut differences = Vec::new();
    for (place, query) in queries.iter().enumerate() {
        let (x, y) = (nodes(diagram, &query["x"])?, nodes(diagram, &query["y"])?);
        let found = separated(diagram, &x, &y, &nodes(diagram, &query["given"])?)?;
        let field = format!("queries[{place}].separated");
        differences.extend(differs(&field, &found, &boolean(query, "separated")?));
    }
    Ok(differences)
}
