//! Reading what the cases of a vector file hold.

use serde_json::Value;

use crate::estimand::EstimandError;
use crate::{Diagram, GraphError, NodeSet};

/// Why a case could not be computed.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) String);

impl From<EstimandError> for Problem {
    fn from(error: EstimandError) -> Self {
        Self(error.to_string())
    }
}

impl From<GraphError> for Problem {
    fn from(error: GraphError) -> Self {
        Self(error.to_string())
    }
}

/// An element that must be there.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], Problem> {
    let list = value[key].as_array().map(Vec::as_slice);
    list.ok_or_else(|| Problem(format!("{key}: expected a list")))
}

pub(crate) fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str, Problem> {
    value[key]
        .as_str()
        .ok_or_else(|| Problem(format!("{key}: expected a string")))
}

pub(crate) fn boolean(value: &Value, key: &str) -> Result<bool, Problem> {
    value[key]
        .as_bool()
        .ok_or_else(|| Problem(format!("{key}: expected true or false")))
}

pub(crate) fn number(value: &Value, key: &str) -> Result<f64, Problem> {
    value[key]
        .as_f64()
        .ok_or_else(|| Problem(format!("{key}: expected a number")))
}

pub(crate) fn count(value: &Value, key: &str) -> Result<usize, Problem> {
    let count = value[key]
        .as_u64()
        .and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| Problem(format!("{key}: expected a count")))
}

/// The strings of a list.
pub(crate) fn words(value: &Value) -> Result<Vec<&str>, Problem> {
    let list = value
        .as_array()
        .and_then(|list| list.iter().map(Value::as_str).collect());
    list.ok_or_else(|| Problem(format!("expected a list of strings, found {value}")))
}

/// The nodes named by a list of strings, or by one string.
pub(crate) fn nodes(diagram: &Diagram, value: &Value) -> Result<NodeSet, Problem> {
    match value.as_str() {
        Some(name) => Ok(diagram.set(&[name])?),
        None => Ok(diagram.set(&words(value)?)?),
    }
}

/// The sets named by a list of lists, ascending.
pub(crate) fn node_sets(diagram: &Diagram, value: &Value) -> Result<Vec<NodeSet>, Problem> {
    let list = value
        .as_array()
        .ok_or_else(|| Problem(format!("expected sets, found {value}")))?;
    let mut sets = list
        .iter()
        .map(|set| nodes(diagram, set))
        .collect::<Result<Vec<_>, _>>()?;
    sets.sort();
    Ok(sets)
}

/// A graph with `nodes`, `directed` and, optionally, `bidirected` edges and `latent` nodes.
pub(crate) fn diagram(value: &Value) -> Result<Diagram, Problem> {
    let mut builder = Diagram::builder();
    for name in words(&value["nodes"])? {
        builder = builder.node(name)?;
    }
    for (a, b) in pairs(&value["directed"])? {
        builder = builder.directed(a, b)?;
    }
    for (a, b) in pairs(&value["bidirected"])? {
        builder = builder.bidirected(a, b)?;
    }
    if !value["latent"].is_null() {
        for name in words(&value["latent"])? {
            builder = builder.latent(name)?;
        }
    }
    Ok(builder.build()?)
}

/// The pairs of strings of a list; none where the list is absent.
pub(crate) fn pairs(value: &Value) -> Result<Vec<(&str, &str)>, Problem> {
    let Some(list) = value.as_array() else {
        return if value.is_null() {
            Ok(Vec::new())
        } else {
            Err(Problem("expected pairs".into()))
        };
    };
    let pair = |value| match words(value)?[..] {
        [a, b] => Ok((a, b)),
        _ => Err(Problem(format!("expected a pair, found {value}"))),
    };
    list.iter().map(pair).collect()
}

/// The numbers of a list.
pub(crate) fn numbers(value: &Value) -> Result<Vec<f64>, Problem> {
    let list = value
        .as_array()
        .and_then(|list| list.iter().map(Value::as_f64).collect());
    list.ok_or_else(|| Problem("expected a list of numbers".to_owned()))
}

/// The counts of a list.
pub(crate) fn indices(value: &Value) -> Result<Vec<usize>, Problem> {
    let index = |value: &Value| value.as_u64().and_then(|index| usize::try_from(index).ok());
    let list = value
        .as_array()
        .and_then(|list| list.iter().map(index).collect());
    list.ok_or_else(|| Problem("expected a list of counts".to_owned()))
}

/// An object, whose entries come in the order of their keys.
pub(crate) fn object(value: &Value) -> Result<&serde_json::Map<String, Value>, Problem> {
    value
        .as_object()
        .ok_or_else(|| Problem(format!("expected an object, found {value}")))
}
