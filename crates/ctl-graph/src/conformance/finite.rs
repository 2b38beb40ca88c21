//! Finite models with hidden causes, from which the distributions of experiments are computed.

use std::rc::Rc;

use serde_json::Value;

use super::input::{Problem, list, string, words};
use crate::estimand::{Factor, sum_product};
use crate::{Diagram, NodeId, NodeSet};

/// A model given by tables: P(v | parents, hidden causes) for each variable, P(u) for each cause.
pub(crate) struct FiniteModel {
    /// The tables of the variables, by node.
    mechanisms: Vec<Rc<Factor>>,
    /// The tables of the hidden causes, which follow the variables in the numbering.
    causes: Vec<Rc<Factor>>,
}

impl FiniteModel {
    /// A model from its tables; axes beyond the mechanisms' number are hidden causes.
    pub(crate) fn new(mechanisms: Vec<Factor>, causes: Vec<Factor>) -> Self {
        let shared = |tables: Vec<Factor>| tables.into_iter().map(Rc::new).collect();
        Self {
            mechanisms: shared(mechanisms),
            causes: shared(causes),
        }
    }

    /// The model of a vector file: `cards`, `latents` and `cpts` with the variable on the last axis.
    pub(crate) fn read(diagram: &Diagram, value: &Value) -> Result<Self, Problem> {
        let latents = list(value, "latents")?;
        let names = latents.iter().map(|latent| string(latent, "name"));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let place = |name: &str| match names.iter().position(|known| *known == name) {
            Some(index) => Ok(NodeId::new(diagram.len() + index)),
            None => diagram.node(name),
        };
        let mut mechanisms = Vec::new();
        for id in diagram.ids() {
            let table = &value["cpts"][diagram.name(id)];
            let parents = words(&table["parents"])?;
            let mut axes = parents
                .into_iter()
                .map(place)
                .collect::<Result<Vec<_>, _>>()?;
            axes.push(id);
            mechanisms.push(read_table(&axes, table)?);
        }
        let causes = latents.iter().enumerate().map(|(index, latent)| {
            let values = numbers(&latent["prob"])?;
            Ok(Factor::new(
                &[NodeId::new(diagram.len() + index)],
                &[values.len()],
                values,
            )?)
        });
        Ok(Self::new(
            mechanisms,
            causes.collect::<Result<Vec<_>, Problem>>()?,
        ))
    }

    /// P(v \ z | do(z)) over all variables, those of the intervention included.
    pub(crate) fn under(&self, intervention: &NodeSet) -> Result<Factor, Problem> {
        let kept = self.mechanisms.iter().enumerate();
        let kept = kept.filter(|(index, _)| !intervention.contains(NodeId::new(*index)));
        let mut tables: Vec<Rc<Factor>> = kept.map(|(_, table)| Rc::clone(table)).collect();
        tables.extend(self.causes.iter().cloned());
        for node in intervention {
            let card = self.mechanisms[node.index()].card(node).unwrap_or(1);
            tables.push(Rc::new(Factor::new(&[node], &[card], vec![1.0; card])?));
        }
        let first = self.mechanisms.len();
        let causes = (first..first + self.causes.len())
            .map(NodeId::new)
            .collect();
        // A hidden cause without children sums to one in its own table.
        Ok(sum_product(&causes, tables, |_| Ok(1))?)
    }
}

fn read_table(axes: &[NodeId], value: &Value) -> Result<Factor, Problem> {
    let shape = value["shape"].as_array().map_or(0, Vec::len);
    let cards = (0..shape).map(|axis| {
        let card = value["shape"][axis]
            .as_u64()
            .and_then(|card| usize::try_from(card).ok());
        card.ok_or_else(|| Problem("shape: expected counts".to_owned()))
    });
    Ok(Factor::new(
        axes,
        &cards.collect::<Result<Vec<_>, _>>()?,
        numbers(&value["values"])?,
    )?)
}

/// The joint distribution in a flat list over all nodes in their order.
pub(crate) fn joint(diagram: &Diagram, cards: &Value, values: &Value) -> Result<Factor, Problem> {
    let axes: Vec<NodeId> = diagram.ids().collect();
    let wrapped = serde_json::json!({"shape": cards, "values": values});
    read_table(&axes, &wrapped)
}

/// The numbers of a list.
pub(crate) fn numbers(value: &Value) -> Result<Vec<f64>, Problem> {
    let list = value
        .as_array()
        .and_then(|list| list.iter().map(Value::as_f64).collect());
    list.ok_or_else(|| Problem("expected a list of numbers".to_owned()))
}

/// Compares a table with `axes` and `values` of a case; a line for the largest difference.
pub(crate) fn table_differs(
    diagram: &Diagram,
    field: &str,
    found: &Factor,
    truth: &Value,
) -> Result<Option<String>, Problem> {
    /// The files' tolerance for estimands.
    const TOLERANCE: f64 = 1e-9;
    let axes = words(&truth["axes"])?
        .into_iter()
        .map(|name| diagram.node(name));
    let found = found.in_order(&axes.collect::<Result<Vec<_>, _>>()?)?;
    let expected = numbers(&truth["values"])?;
    if found.len() != expected.len() {
        let (expected, found) = (expected.len(), found.len());
        return Ok(Some(format!(
            "{field}: expected {expected} values, found {found}"
        )));
    }
    let tolerance = truth["tol_abs"].as_f64().unwrap_or(TOLERANCE);
    let worst = found
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    Ok((worst > tolerance).then(|| format!("{field}: largest difference {worst:e}")))
}
