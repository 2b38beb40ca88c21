//! The classical examples: one file with a list for each topic.

use std::path::Path;

use serde_json::Value;

use super::input::{Problem, boolean, diagram, list, nodes, string};
use super::separation::queries;
use super::{Outcome, differs, each_case};
use crate::separation::separated;

type Check = fn(&Value) -> Result<Vec<String>, Problem>;

/// The lists of the file and how their elements are checked.
const SECTIONS: &[(&str, Check)] = &[
    ("d_separation", separation),
    ("shift_diagrams", invariance),
    ("identification", super::identification::check),
    ("transportability", super::transport::check_single_source),
];

pub(super) fn run(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    let mut outcome = Outcome::default();
    for (section, check) in SECTIONS {
        if !file[section].is_null() {
            outcome.cases.extend(each_case(file, section, check)?.cases);
        }
    }
    Ok(outcome)
}

fn separation(case: &Value) -> Result<Vec<String>, Problem> {
    queries(&diagram(case)?, list(case, "queries")?)
}

/// A factor is invariant when the domain node is separated from its variable.
fn invariance(case: &Value) -> Result<Vec<String>, Problem> {
    let diagram = diagram(&case["graph"])?;
    let domain = nodes(&diagram, &case["domain_node"])?;
    let mut differences = Vec::new();
    for factor in list(case, "invariances")? {
        let variable = nodes(&diagram, &factor["variable"])?;
        let found = separated(
            &diagram,
            &domain,
            &variable,
            &nodes(&diagram, &factor["given"])?,
        )?;
        let expected = boolean(factor, "invariant")?;
        differences.extend(differs(string(factor, "factor")?, &found, &expected));
    }
    Ok(differences)
}
