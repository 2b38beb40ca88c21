//! Discovery of structure from data.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::equivalence::expected_cpdag;
use super::independence::table;
use super::input::{Problem, boolean, diagram, list, string, words};
use super::{Outcome, differs, each_case};
use crate::discovery::{
    ColliderConflict, DagmaOptions, DirectLingamOptions, DiscoveryError, FciOptions, GaussianBic,
    GesOptions, IcpOptions, InvariantPrediction, LocalScore, PcOptions, SeparationOracle,
    WeightedDag, dagma, direct_lingam, fci, ges, invariant_prediction, pc,
};
use crate::graph::MarkedGraph;
use crate::stats::{Contingency, CountStatistic, FisherZ, IndependenceTest, Table};
use crate::{NodeId, NodeSet};

/// Marks by which a graph may differ where the order of colliders decides.
const MARKS: usize = 4;
/// Edges by which a structure may be further from the truth than the peer's.
const EDGES: usize = 2;
/// Largest difference from the peer's coefficients.
const COEFFICIENT: f64 = 0.02;
/// Distance of a p-value from the level within which acceptance is open.
const OPEN: f64 = 1e-3;
/// Share of a score below which two scores are equal.
const SCORE: f64 = 1e-6;

impl From<DiscoveryError> for Problem {
    fn from(error: DiscoveryError) -> Self {
        Self(error.to_string())
    }
}

pub(super) fn run(file: &Value, folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "datasets", |case| check(case, folder))
}

fn check(case: &Value, folder: &Path) -> Result<Vec<String>, Problem> {
    let table = table(folder, string(case, "csv")?)?;
    match string(case, "kind")? {
        "linear_gaussian" => gaussian(case, &table),
        "latent_confounded" => latent(case, &table),
        "lingam" => lingam(case, &table),
        "discrete" => discrete(case, table),
        "icp" => prediction(case, &table),
        "equal_variance" | "linear_equal_variance" => optimised(case, &table),
        other => Err(Problem(format!("kind {other}: not computed by this crate"))),
    }
}

/// The marks of a list of edges, one `(from, at, mark)` for either end.
fn marks(edges: &Value) -> Result<BTreeSet<(String, String, char)>, Problem> {
    let mut found = BTreeSet::new();
    for edge in edges.as_array().into_iter().flatten() {
        let [a, text, b] = words(edge)?[..] else {
            return Err(Problem(format!("expected an edge, found {edge}")));
        };
        let ends = (text.chars().next(), text.chars().last());
        let (Some(left), Some(right)) = ends else {
            return Err(Problem(format!("expected an edge, found {edge}")));
        };
        let mark = |symbol| if symbol == '<' { '>' } else { symbol };
        found.insert((b.to_owned(), a.to_owned(), mark(left)));
        found.insert((a.to_owned(), b.to_owned(), mark(right)));
    }
    Ok(found)
}

fn marks_of(graph: &MarkedGraph) -> Result<BTreeSet<(String, String, char)>, Problem> {
    let edges = graph.edges().map(|edge| {
        let text = graph.edge_text(edge);
        text.split(' ').map(str::to_owned).collect::<Vec<_>>()
    });
    marks(&edges.collect())
}

/// Compares adjacencies exactly, and marks up to a number of differences.
fn compare(
    name: &str,
    found: &MarkedGraph,
    expected: &Value,
    allowed: usize,
) -> Result<Vec<String>, Problem> {
    let (found_marks, expected) = (marks_of(found)?, marks(&expected["edges"])?);
    let ends = |marks: &BTreeSet<(String, String, char)>| -> BTreeSet<(String, String)> {
        marks
            .iter()
            .map(|(a, b, _)| (a.clone(), b.clone()))
            .collect()
    };
    if ends(&found_marks) != ends(&expected) {
        return Ok(vec![format!("{name}: another skeleton, found {found}")]);
    }
    let differing = found_marks.difference(&expected).count();
    if differing > allowed {
        return Ok(vec![format!(
            "{name}: {differing} marks differ, found {found}"
        )]);
    }
    Ok(Vec::new())
}

fn stable(
    name: &str,
    test: &impl IndependenceTest,
    expected: &Value,
) -> Result<Vec<String>, Problem> {
    // The peer keeps the first of two contradictory colliders.
    let options = PcOptions {
        conflict: ColliderConflict::First,
        ..PcOptions::default()
    };
    let found = pc(test, &options)?;
    let exact = expected["orientation_rule_independent"] == Value::Bool(true);
    compare(name, &found.graph, expected, if exact { 0 } else { MARKS })
}

fn gaussian(case: &Value, table: &Table) -> Result<Vec<String>, Problem> {
    let key = "pc_stable_fisherz_alpha005";
    let mut differences = stable(key, &FisherZ::new(table)?, &case[key])?;
    let score = GaussianBic::new(table, 0.5)?;
    differences.extend(true_score(case, table, &score)?);
    differences.extend(true_class(case)?);
    let found = ges(&score, &GesOptions::default())?;
    let peers = ["ges_bic", "ges_gamella"].map(|peer| case[peer]["bic"].as_f64());
    let best = peers
        .into_iter()
        .flatten()
        .fold(f64::NEG_INFINITY, f64::max);
    if found.score < best - SCORE * best.abs() {
        differences.push(format!(
            "ges: expected a score of {best}, found {}",
            found.score
        ));
    }
    differences.extend(optimised(case, table)?);
    Ok(differences)
}

/// The score of the true diagram, by which the peers' scores are known to be defined as ours.
fn true_score(case: &Value, table: &Table, score: &GaussianBic) -> Result<Option<String>, Problem> {
    let Some(expected) = case["bic_true_dag"].as_f64() else {
        return Ok(None);
    };
    let mut parents = vec![NodeSet::new(); table.columns()];
    for (from, to) in truth(case, table)? {
        parents[to].insert(NodeId::new(from));
    }
    let mut found = 0.0;
    for (node, parents) in parents.iter().enumerate() {
        found += score.local(NodeId::new(node), parents)?;
    }
    let apart = (found - expected).abs() > SCORE * expected.abs();
    Ok(apart.then(|| format!("bic_true_dag: expected {expected}, found {found}")))
}

/// What PC finds when the separations of the true diagram take the place of tests.
fn true_class(case: &Value) -> Result<Option<String>, Problem> {
    if case["true_cpdag"].is_null() {
        return Ok(None);
    }
    let dag = diagram(&case["true_dag"])?;
    let expected = expected_cpdag(&dag, &case["true_cpdag"])?;
    let found = pc(&SeparationOracle::new(&dag), &PcOptions::default())?;
    Ok(differs("true_cpdag", &found.graph, &expected))
}

fn latent(case: &Value, table: &Table) -> Result<Vec<String>, Problem> {
    let key = "fci_fisherz_alpha005";
    let found = fci(&FisherZ::new(table)?, &FciOptions::default())?;
    let mut differences = compare(key, &found.graph, &case[key], 0)?;
    let key = "fci_oracle_causal_learn";
    if !case[key].is_null() {
        let dag = diagram(&case["true_dag_with_latents"])?;
        let found = fci(&SeparationOracle::new(&dag), &FciOptions::default())?;
        let expected = json!({ "edges": case[key] });
        differences.extend(compare(key, &found.graph, &expected, 0)?);
    }
    Ok(differences)
}

fn discrete(case: &Value, table: Table) -> Result<Vec<String>, Problem> {
    let table = table.all_categories();
    let mut differences = Vec::from_iter(true_class(case)?);
    for (key, statistic) in [
        ("pc_stable_chisq_alpha005", CountStatistic::Pearson),
        ("pc_stable_gsq_alpha005", CountStatistic::LikelihoodRatio),
    ] {
        let test = Contingency::new(&table, statistic)?;
        differences.extend(stable(key, &test, &case[key])?);
    }
    Ok(differences)
}

/// The true edges as positions, from cause to effect.
fn truth(case: &Value, table: &Table) -> Result<BTreeSet<(usize, usize)>, Problem> {
    let edges = list(&case["true_dag"], "directed")?.iter();
    let positions = edges.map(|edge| match words(edge)?[..] {
        [from, to] => Ok((table.position(from)?, table.position(to)?)),
        _ => Err(Problem(format!("expected an edge, found {edge}"))),
    });
    positions.collect()
}

/// Pairs whose edge is missing, superfluous or the other way round.
fn distance(truth: &BTreeSet<(usize, usize)>, found: &WeightedDag) -> usize {
    let found: BTreeSet<(usize, usize)> = found.edges().map(|(a, b, _)| (a, b)).collect();
    let pairs = truth.symmetric_difference(&found);
    let pairs: BTreeSet<(usize, usize)> = pairs.map(|&(a, b)| (a.min(b), a.max(b))).collect();
    pairs.len()
}

fn optimised(case: &Value, table: &Table) -> Result<Vec<String>, Problem> {
    let keys = ["dagma_l2_lambda0.02_thr0.3", "notears_l2_lambda0.1_thr0.3"];
    let peers = keys.map(|key| (key, case[key]["raw"]["shd"].as_u64()));
    if peers.iter().all(|(_, peer)| peer.is_none()) {
        return Ok(Vec::new());
    }
    let found = dagma(table, &DagmaOptions::default())?;
    let apart = distance(&truth(case, table)?, &found);
    let known = peers
        .iter()
        .filter_map(|&(key, peer)| Some((key, usize::try_from(peer?).ok()?)));
    Ok(known
        .filter(|&(_, peer)| apart > peer + EDGES)
        .map(|(key, peer)| format!("{key}: distance {apart}, the peer's is {peer}"))
        .collect())
}

fn lingam(case: &Value, table: &Table) -> Result<Vec<String>, Problem> {
    let found = direct_lingam(table, &DirectLingamOptions::default())?;
    let mut differences = Vec::new();
    let place = |v: usize| found.order().iter().position(|&other| other == v);
    for (from, to) in truth(case, table)? {
        if place(from) > place(to) {
            differences.push(format!(
                "order {:?}: {from} is a cause of {to}",
                found.order()
            ));
        }
    }
    let rows = list(&case["direct_lingam"], "adjacency_row_effect")?;
    for (to, row) in rows.iter().enumerate() {
        for (from, value) in row.as_array().into_iter().flatten().enumerate() {
            let (expected, weight) = (value.as_f64(), found.weights()[(to, from)]);
            if !expected.is_some_and(|expected| (weight - expected).abs() <= COEFFICIENT) {
                differences.push(format!(
                    "weight {from} -> {to}: expected {value}, found {weight}"
                ));
            }
        }
    }
    Ok(differences)
}

fn prediction(case: &Value, table: &Table) -> Result<Vec<String>, Problem> {
    let target = string(case, "target")?;
    let at = |alpha| {
        let options = IcpOptions {
            alpha,
            ..IcpOptions::default()
        };
        Ok::<_, Problem>(invariant_prediction(table, "env", target, &options)?)
    };
    let level = IcpOptions::default().alpha;
    let found = at(level)?;
    let expected = list(&case["causalicp_alpha005"], "accepted_sets")?;
    let expected: BTreeSet<_> = expected.iter().map(strings).collect::<Result<_, _>>()?;
    // A set whose p-value is this near to the level may be accepted or not.
    let (surely, perhaps) = (at(level + OPEN)?, at(level - OPEN)?);
    let (surely, perhaps) = (accepted(&surely, table), accepted(&perhaps, table));
    let mut differences = Vec::new();
    for set in surely.difference(&expected) {
        differences.push(format!("accepted {set:?}, which the peer rejects"));
    }
    for set in expected.difference(&perhaps) {
        differences.push(format!("rejected {set:?}, which the peer accepts"));
    }
    if accepted(&found, table) == expected {
        differences.extend(p_values(case, table, &found)?);
    }
    let parents = strings(&case["true_parents"])?;
    let causes = found.causes.map(|causes| names(&causes, table));
    if boolean(case, "coverage_ok")? && causes.is_some_and(|causes| !causes.is_subset(&parents)) {
        differences.push("causes beyond the true parents".to_owned());
    }
    Ok(differences)
}

fn strings(set: &Value) -> Result<BTreeSet<String>, Problem> {
    Ok(words(set)?.into_iter().map(str::to_owned).collect())
}

fn names(set: &[usize], table: &Table) -> BTreeSet<String> {
    set.iter().map(|&v| table.names()[v].clone()).collect()
}

fn accepted(found: &InvariantPrediction, table: &Table) -> BTreeSet<BTreeSet<String>> {
    let sets = found.accepted.iter();
    sets.map(|set| names(&set.predictors, table)).collect()
}

/// Compares the variables' p-values, which follow from those of all sets.
fn p_values(
    case: &Value,
    table: &Table,
    found: &InvariantPrediction,
) -> Result<Vec<String>, Problem> {
    let mut differences = Vec::new();
    for (name, expected) in case["causalicp_alpha005"]["pvalues"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let found = found.p_values[table.position(name)?];
        let agree = match (found, expected.as_f64()) {
            (Some(found), Some(expected)) => (found - expected).abs() <= OPEN,
            (found, expected) => found.is_none() && expected.is_none(),
        };
        if !agree {
            differences.push(format!(
                "pvalues.{name}: expected {expected}, found {found:?}"
            ));
        }
    }
    Ok(differences)
}
