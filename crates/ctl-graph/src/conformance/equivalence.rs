//! CPDAGs and PAGs.

use std::path::Path;

use serde_json::Value;

use super::adjustment::sorted;
use super::input::{
    Problem, boolean, count, diagram, list, node_sets, nodes, pairs, string, words,
};
use super::{Outcome, differs, each_case};
use crate::equivalence::{Cpdag, MagMembers, VStructure, mag_of, pag_of, v_structures};
use crate::graph::{Mark, MarkedGraph};
use crate::{Diagram, NodeSet};

/// More parts than the classes of the vectors have.
const PARTS: usize = 100_000;

pub(super) fn run_cpdag(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", check_cpdag)
}

pub(super) fn run_pag(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", check_pag)
}

fn check_cpdag(case: &Value) -> Result<Vec<String>, Problem> {
    let dag = diagram(&case["dag"])?;
    let cpdag = Cpdag::of(&dag)?;
    let mut lines = Vec::new();
    lines.extend(differs(
        "cpdag",
        cpdag.graph(),
        &expected_cpdag(&dag, &case["cpdag"])?,
    ));
    let found: Vec<[&str; 3]> = v_structures(cpdag.graph())
        .into_iter()
        .map(
            |VStructure {
                 first,
                 collider,
                 second,
             }| [first, collider, second].map(|n| dag.name(n)),
        )
        .collect();
    let mut expected = Vec::new();
    for entry in list(case, "v_structures")? {
        let [a, c, b] = words(entry)?[..] else {
            return Err(Problem("v_structures: expected three nodes".to_owned()));
        };
        expected.push([a.min(b), c, a.max(b)]);
    }
    let mut found: Vec<[&str; 3]> = found
        .into_iter()
        .map(|[a, c, b]| [a.min(b), c, a.max(b)])
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    lines.extend(differs("v_structures", &found, &expected));
    let size = count(case, "mec_size")?;
    lines.extend(differs("mec_size", &cpdag.size(PARTS)?, &(size as u128)));
    lines.extend(differs("members", &cpdag.members().count(), &size));
    if !case["possible"].is_null() {
        lines.extend(check_possible(&dag, &cpdag, &case["possible"])?);
    }
    if !case["adjustment"].is_null() {
        lines.extend(check_adjustment(&dag, &cpdag, &case["adjustment"])?);
    }
    Ok(lines)
}

/// A class as lists of `directed` and `undirected` edges, over the nodes of a member.
pub(super) fn expected_cpdag(dag: &Diagram, value: &Value) -> Result<MarkedGraph, Problem> {
    let names: Vec<&str> = dag.ids().map(|node| dag.name(node)).collect();
    let mut graph = MarkedGraph::new(&names)?;
    for (a, b) in pairs(&value["directed"])? {
        graph.join_directed(dag.node(a)?, dag.node(b)?);
    }
    for (a, b) in pairs(&value["undirected"])? {
        graph.join_undirected(dag.node(a)?, dag.node(b)?);
    }
    Ok(graph)
}

fn check_possible(dag: &Diagram, cpdag: &Cpdag, value: &Value) -> Result<Vec<String>, Problem> {
    let of = dag.node(string(value, "of")?)?;
    let possible = cpdag.possible_descendants(&NodeSet::single(of));
    let expected = nodes(dag, &value["possible_descendants"])?;
    let mut lines = Vec::from_iter(differs("possible_descendants", &possible, &expected));
    let expected = nodes(dag, &value["definite_descendants"])?;
    lines.extend(differs(
        "definite_descendants",
        &cpdag.definite_descendants(of),
        &expected,
    ));
    Ok(lines)
}

fn check_adjustment(dag: &Diagram, cpdag: &Cpdag, value: &Value) -> Result<Vec<String>, Problem> {
    let (x, y) = (
        nodes(dag, &value["treatment"])?,
        nodes(dag, &value["outcome"])?,
    );
    let adjustment = cpdag.adjustment(&x, &y)?;
    let expected = node_sets(dag, &value["minimal_sets"])?;
    let found = sorted(adjustment.minimal());
    let mut lines = Vec::from_iter(differs("adjustment.minimal_sets", &found, &expected));
    let exists = boolean(value, "exists")?;
    lines.extend(differs(
        "adjustment.exists",
        &adjustment.canonical().is_some(),
        &exists,
    ));
    let valid = count(value, "n_valid")?;
    lines.extend(differs(
        "adjustment.n_valid",
        &adjustment.all().count(),
        &valid,
    ));
    Ok(lines)
}

fn check_pag(case: &Value) -> Result<Vec<String>, Problem> {
    let dag = diagram(&case["dag"])?;
    let projected = diagram(&case["latent_projection"])?;
    let mut lines = Vec::from_iter(differs(
        "latent_projection",
        &dag.project_latent()?,
        &projected,
    ));
    let pag = pag_of(&mag_of(&dag)?)?;
    let names: Vec<&str> = pag.ids().map(|node| pag.name(node)).collect();
    let mut expected = MarkedGraph::new(&names)?;
    for entry in list(case, "pag_marks")? {
        let (a, b) = (
            pag.node(string(entry, "a")?)?,
            pag.node(string(entry, "b")?)?,
        );
        expected.join(a, b, mark(entry, "mark_at_a")?, mark(entry, "mark_at_b")?);
    }
    lines.extend(differs("pag_marks", &pag, &expected));
    if !case["n_mags_in_class"].is_null() {
        let members = MagMembers::new(&pag).count();
        lines.extend(differs(
            "n_mags_in_class",
            &members,
            &count(case, "n_mags_in_class")?,
        ));
    }
    Ok(lines)
}

fn mark(entry: &Value, key: &str) -> Result<Mark, Problem> {
    match string(entry, key)? {
        "tail" => Ok(Mark::Tail),
        "arrow" => Ok(Mark::Arrow),
        "circle" => Ok(Mark::Circle),
        other => Err(Problem(format!(
            "{key}: expected tail, arrow or circle, found {other}"
        ))),
    }
}
