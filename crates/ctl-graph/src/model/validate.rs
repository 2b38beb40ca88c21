//! Checks shared by every kind of model.

use super::ModelError;
use crate::graph::{Diagram, NodeId};

/// How far the entries of a distribution may add up beside 1: published tables are rounded.
const SUM_TOLERANCE: f64 = 1e-6;

/// A model without latent common causes needs a DAG.
pub(super) fn is_dag(diagram: &Diagram) -> Result<(), ModelError> {
    match diagram.bidirected_edges().next() {
        None => Ok(()),
        Some((from, to)) => Err(ModelError::Bidirected {
            from: diagram.name(from).to_owned(),
            to: diagram.name(to).to_owned(),
        }),
    }
}

pub(super) fn node(diagram: &Diagram, node: NodeId) -> Result<(), ModelError> {
    Ok(diagram.check(&node.into())?)
}

pub(super) fn length(
    subject: impl Into<String>,
    expected: usize,
    found: usize,
) -> Result<(), ModelError> {
    if expected == found {
        return Ok(());
    }
    Err(ModelError::Shape {
        subject: subject.into(),
        expected,
        found,
    })
}

pub(super) fn finite(subject: &str, value: f64) -> Result<(), ModelError> {
    check(subject, value, f64::is_finite(value), "a finite number")
}

pub(super) fn positive(subject: &str, value: f64) -> Result<(), ModelError> {
    check(
        subject,
        value,
        value.is_finite() && value > 0.0,
        "a positive number",
    )
}

pub(super) fn non_negative(subject: &str, value: f64) -> Result<(), ModelError> {
    check(
        subject,
        value,
        value.is_finite() && value >= 0.0,
        "a number from 0",
    )
}

fn check(subject: &str, found: f64, holds: bool, expected: &'static str) -> Result<(), ModelError> {
    if holds {
        return Ok(());
    }
    Err(ModelError::Value {
        subject: subject.to_owned(),
        expected,
        found,
    })
}

pub(super) fn distribution(subject: &str, probabilities: &[f64]) -> Result<(), ModelError> {
    for &probability in probabilities {
        non_negative(subject, probability)?;
    }
    let sum: f64 = probabilities.iter().sum();
    if (sum - 1.0).abs() <= SUM_TOLERANCE {
        return Ok(());
    }
    Err(ModelError::NotADistribution {
        subject: subject.to_owned(),
        sum,
    })
}

pub(super) fn state(
    diagram: &Diagram,
    node: NodeId,
    cardinalities: &[usize],
    found: usize,
) -> Result<(), ModelError> {
    self::node(diagram, node)?;
    let cardinality = cardinalities[node.index()];
    if found < cardinality {
        return Ok(());
    }
    Err(ModelError::State {
        node: diagram.name(node).to_owned(),
        cardinality,
        found,
    })
}

/// The parents that a mechanism reads must be exactly those of the diagram, each once.
pub(super) fn parents(
    diagram: &Diagram,
    node: NodeId,
    listed: &[NodeId],
) -> Result<(), ModelError> {
    let drawn = diagram.parents(node);
    for (i, &parent) in listed.iter().enumerate() {
        is_parent(diagram, node, parent)?;
        if listed[..i].contains(&parent) {
            let node = diagram.name(parent).to_owned();
            return Err(ModelError::Repeated {
                node,
                subject: "a table's parents",
            });
        }
    }
    let subject = || format!("parents of node {}", diagram.name(node));
    length(subject(), drawn.len(), listed.len())
}

pub(super) fn is_parent(diagram: &Diagram, node: NodeId, parent: NodeId) -> Result<(), ModelError> {
    if diagram.parents(node).contains(parent) {
        return Ok(());
    }
    self::node(diagram, parent)?;
    Err(ModelError::NotAParent {
        node: diagram.name(node).to_owned(),
        parent: diagram.name(parent).to_owned(),
    })
}

/// Spreads pairs over the nodes: the value of each node that has one.
pub(super) fn assignment<T: Copy>(
    diagram: &Diagram,
    pairs: &[(NodeId, T)],
    subject: &'static str,
) -> Result<Vec<Option<T>>, ModelError> {
    let mut values = vec![None; diagram.len()];
    for &(node, value) in pairs {
        self::node(diagram, node)?;
        if values[node.index()].replace(value).is_some() {
            return Err(ModelError::Repeated {
                node: diagram.name(node).to_owned(),
                subject,
            });
        }
    }
    Ok(values)
}

/// One column of finite values per node, all of one length, which is returned.
pub(super) fn columns(diagram: &Diagram, columns: &[Vec<f64>]) -> Result<usize, ModelError> {
    length("columns", diagram.len(), columns.len())?;
    let rows = columns.first().map_or(0, Vec::len);
    for (node, column) in diagram.ids().zip(columns) {
        length(diagram.name(node), rows, column.len())?;
        column
            .iter()
            .try_for_each(|&value| finite(diagram.name(node), value))?;
    }
    Ok(rows)
}
