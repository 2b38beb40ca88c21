//! Finite structural models and Bayesian networks.

use std::path::Path;

use serde_json::Value;

use super::input::{
    Problem, diagram, indices, list, nodes, number, numbers, object, pairs, string, words,
};
use super::models::Comparison;
use super::{CaseOutcome, Outcome, each_case};
use crate::model::{
    BayesianNetwork, ConditionalTable, DiscreteScm, FunctionTable, InWorld, MediationQuery, Query,
    World,
};
use crate::{Diagram, NodeId};

pub(super) fn counterfactuals(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    each_case(file, "cases", |case| {
        let model = model(case)?;
        let mut compare = Comparison::new(number(case, "tol_abs")?);
        let all: Vec<InWorld> = model
            .diagram()
            .ids()
            .map(|node| InWorld { world: 0, node })
            .collect();
        let joint = model.parallel_worlds(&[World::factual()], &[], &all)?;
        compare.list("p_obs", &joint.values, &case["p_obs"])?;
        for query in list(case, "queries")? {
            match string(query, "kind")? {
                "counterfactual" => counterfactual(&model, query, &mut compare)?,
                "mediation" => mediation(&model, query, &mut compare)?,
                "causation" => causation(&model, query, &mut compare)?,
                other => return Err(Problem(format!("kind: {other} is not known"))),
            }
        }
        Ok(compare.differences)
    })
}

fn model(case: &Value) -> Result<DiscreteScm, Problem> {
    let diagram = diagram(&case["graph"])?;
    let noises = object(&case["noise"])?;
    let names: Vec<&String> = noises.keys().collect();
    let function = |node: NodeId| {
        let name = diagram.name(node);
        let wanted = string(&case["noise_of"], name)?;
        let noise = names.iter().position(|&noise| noise == wanted);
        let noise = noise.ok_or_else(|| Problem(format!("noise {wanted}: not given")))?;
        let function = &case["functions"][name];
        let parents = node_list(&diagram, &function["parents"])?;
        let states = indices(&function["table"])?;
        Ok(FunctionTable {
            noise,
            parents,
            states,
        })
    };
    let functions = diagram
        .ids()
        .map(function)
        .collect::<Result<Vec<_>, Problem>>()?;
    let noises = noises
        .values()
        .map(numbers)
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok(DiscreteScm::new(
        diagram,
        indices(&case["cards"])?,
        noises,
        functions,
    )?)
}

fn node_list(diagram: &Diagram, value: &Value) -> Result<Vec<NodeId>, Problem> {
    words(value)?
        .into_iter()
        .map(|name| Ok(diagram.node(name)?))
        .collect()
}

/// The states of an object keyed by node names.
fn states(diagram: &Diagram, value: &Value) -> Result<Vec<(NodeId, usize)>, Problem> {
    let entry = |(name, value): (&String, &Value)| {
        let state = value.as_u64().and_then(|state| usize::try_from(state).ok());
        let state = state.ok_or_else(|| Problem(format!("{name}: expected a state")))?;
        Ok((diagram.node(name)?, state))
    };
    object(value)?.iter().map(entry).collect()
}

fn world(diagram: &Diagram, value: &Value) -> Result<World, Problem> {
    let set = states(diagram, value)?.into_iter();
    Ok(set.fold(World::factual(), |world, (node, state)| {
        world.and(node, state)
    }))
}

fn counterfactual(
    model: &DiscreteScm,
    query: &Value,
    compare: &mut Comparison,
) -> Result<(), Problem> {
    let diagram = model.diagram();
    let evidence = states(diagram, &query["evidence"])?;
    let outcome = diagram.node(string(query, "outcome")?)?;
    let found = model.counterfactual(&evidence, &world(diagram, &query["do"])?, outcome)?;
    compare.list("truth", &found.values, &query["truth"])?;
    let probability = number(query, "evidence_prob")?;
    compare.number("evidence_prob", found.evidence_probability, probability);
    let joint = &query["joint"];
    if joint.is_null() {
        return Ok(());
    }
    let worlds = [
        World::factual(),
        world(diagram, &joint["do_a"])?,
        world(diagram, &joint["do_b"])?,
    ];
    let seen: Vec<_> = evidence
        .iter()
        .map(|&(node, state)| (InWorld { world: 0, node }, state))
        .collect();
    let axes = [1, 2].map(|world| InWorld {
        world,
        node: outcome,
    });
    let found = model.parallel_worlds(&worlds, &seen, &axes)?;
    let expected: Vec<Value> = list(joint, "values")?
        .iter()
        .flat_map(|row| row.as_array().cloned().unwrap_or_default())
        .collect();
    compare.list("joint", &found.values, &Value::Array(expected))
}

fn mediation(model: &DiscreteScm, query: &Value, compare: &mut Comparison) -> Result<(), Problem> {
    let diagram = model.diagram();
    let state = |key: &str| number(query, key).map(|state| state as usize);
    let found = model.mediation(&MediationQuery {
        treatment: diagram.node(string(query, "treatment")?)?,
        outcome: diagram.node(string(query, "outcome")?)?,
        mediators: nodes(diagram, &query["mediators"])?.iter().collect(),
        from: state("x0")?,
        to: state("x1")?,
    })?;
    for (field, value) in [
        ("TE", found.total),
        ("NDE", found.natural_direct),
        ("NIE", found.natural_indirect),
        ("EY_x1_Mx0", found.direct_mean),
        ("EY_x0_Mx1", found.indirect_mean),
    ] {
        compare.number(field, value, number(&query["truth"], field)?);
    }
    Ok(())
}

fn causation(model: &DiscreteScm, query: &Value, compare: &mut Comparison) -> Result<(), Problem> {
    let diagram = model.diagram();
    let node = |key: &str| Ok::<_, Problem>(diagram.node(string(query, key)?)?);
    let found = model.causation(node("treatment")?, node("outcome")?)?;
    let fields = [
        ("PNS", Some(found.both)),
        ("PN", found.necessity),
        ("PS", found.sufficiency),
    ];
    for (field, value) in fields {
        match (value, query["truth"][field].as_f64()) {
            (Some(found), Some(expected)) => compare.number(field, found, expected),
            (None, None) => {}
            (found, expected) => {
                let line = format!("{field}: expected {expected:?}, found {found:?}");
                compare.differences.push(line);
            }
        }
    }
    Ok(())
}

/// A network file: its marginals are one case, its queries one each.
pub(super) fn network(file: &Value, _folder: &Path) -> Result<Outcome, Problem> {
    let network = bayesian_network(file)?;
    let tolerance = number(file, "tol_abs")?;
    let marginals = CaseOutcome {
        id: "marginals".to_owned(),
        differences: marginals(&network, &file["marginals"], tolerance)?,
    };
    let mut outcome = each_case(file, "queries", |query| {
        let mut compare = Comparison::new(tolerance);
        let question = question(network.diagram(), query)?;
        let found = network.query(&question)?;
        compare.list("truth", &found.values, &query["truth"])?;
        let expected = number(query, "p_evidence_under_do")?;
        compare.number("p_evidence_under_do", found.evidence_probability, expected);
        Ok(compare.differences)
    })?;
    outcome.cases.insert(0, marginals);
    Ok(outcome)
}

fn question(diagram: &Diagram, query: &Value) -> Result<Query, Problem> {
    let mut question = Query::of(diagram.node(string(query, "outcome")?)?);
    question.evidence = states(diagram, &query["evidence"])?;
    question.interventions = states(diagram, &query["do"])?;
    Ok(question)
}

fn marginals(
    network: &BayesianNetwork,
    expected: &Value,
    tolerance: f64,
) -> Result<Vec<String>, Problem> {
    let mut compare = Comparison::new(tolerance);
    for (name, expected) in object(expected)? {
        let node = network.diagram().node(name)?;
        compare.list(name, &network.query(&Query::of(node))?.values, expected)?;
    }
    Ok(compare.differences)
}

fn bayesian_network(file: &Value) -> Result<BayesianNetwork, Problem> {
    let mut builder = Diagram::builder();
    for name in words(&file["nodes"])? {
        builder = builder.node(name)?;
    }
    for (from, to) in pairs(&file["edges"])? {
        builder = builder.directed(from, to)?;
    }
    let diagram = builder.build()?;
    let table = |node: NodeId| {
        let table = &file["cpts"][diagram.name(node)];
        let parents = node_list(&diagram, &table["parents"])?;
        Ok(ConditionalTable {
            parents,
            values: numbers(&table["values"])?,
        })
    };
    let tables = diagram
        .ids()
        .map(table)
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok(BayesianNetwork::new(
        diagram,
        indices(&file["cards"])?,
        tables,
    )?)
}
