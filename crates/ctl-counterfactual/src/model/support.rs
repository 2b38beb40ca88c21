//! What a model has seen, and what lies beyond.

use std::fmt;

use ctl_graph::NodeId;
use serde::{Deserialize, Serialize};

use super::{Act, Acts, Amount};
use crate::encoding::moments;
use crate::{Columns, CounterfactualError, Kind, Result, Schema};

/// An intervention that sets an attribute to what no training individual had.
#[derive(Clone, Debug, PartialEq)]
pub struct Extrapolation {
    /// Name of the attribute.
    pub attribute: String,
    /// Value that is set; of several, the one farthest away.
    pub value: f64,
    /// Least and greatest value of the training data.
    pub seen: [f64; 2],
    /// How far beyond them the value is, in standard deviations of the training data.
    pub distance: f64,
}

impl fmt::Display for Extrapolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            attribute,
            value,
            seen: [least, greatest],
            distance,
        } = self;
        write!(
            f,
            "{attribute} = {value} lies {distance:.2} standard deviations beyond the training data, \
             {least:.4} to {greatest:.4}: the counterfactual is an extrapolation"
        )
    }
}

/// What the training data of one attribute were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Seen {
    Range {
        least: f64,
        greatest: f64,
        deviation: f64,
    },
    Counts(Vec<usize>),
    Nothing,
}

/// What the training data were, by node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Support {
    seen: Vec<Seen>,
}

impl Support {
    pub(super) fn of(schema: &Schema, columns: &Columns) -> Self {
        let seen = schema.diagram().ids().map(|node| {
            let values = columns.column(node);
            match schema.kind(node) {
                Kind::Continuous { .. } => Seen::Range {
                    least: values.iter().copied().fold(f64::INFINITY, f64::min),
                    greatest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    deviation: moments(values).1,
                },
                Kind::Categorical { categories } => {
                    let mut counts = vec![0; categories.len()];
                    for &value in values {
                        counts[value as usize] += 1;
                    }
                    Seen::Counts(counts)
                }
                Kind::Image { .. } => Seen::Nothing,
            }
        });
        Self {
            seen: seen.collect(),
        }
    }

    /// Whether it is of this schema.
    pub(super) fn suits(&self, schema: &Schema) -> bool {
        let ids = schema.diagram().ids();
        self.seen.len() == schema.diagram().len()
            && ids
                .zip(&self.seen)
                .all(|(node, seen)| match (schema.kind(node), seen) {
                    (Kind::Continuous { .. }, Seen::Range { .. })
                    | (Kind::Image { .. }, Seen::Nothing) => true,
                    (Kind::Categorical { categories }, Seen::Counts(counts)) => {
                        categories.len() == counts.len()
                    }
                    _ => false,
                })
    }

    /// Values that lead beyond the training data.
    ///
    /// # Errors
    /// When a category was never seen.
    pub(super) fn check(&self, schema: &Schema, acts: &Acts) -> Result<Vec<Extrapolation>> {
        let mut beyond = Vec::new();
        for node in acts.nodes() {
            let Some(Act::Set(amount)) = acts.on(node) else {
                continue;
            };
            let values = match amount {
                Amount::All(value) => std::slice::from_ref(value),
                Amount::Each(values) => values,
            };
            match &self.seen[node.index()] {
                Seen::Counts(counts) => {
                    for &value in values {
                        check_category(schema, node, value, counts)?;
                    }
                }
                Seen::Range { .. } | Seen::Nothing => {
                    beyond.extend(self.beyond(schema, node, values));
                }
            }
        }
        Ok(beyond)
    }

    /// The value of a continuous attribute that lies farthest beyond the training data, if one does.
    pub(super) fn beyond(
        &self,
        schema: &Schema,
        node: NodeId,
        values: &[f64],
    ) -> Option<Extrapolation> {
        let &Seen::Range {
            least,
            greatest,
            deviation,
        } = &self.seen[node.index()]
        else {
            return None;
        };
        let distance = |value: f64| (least - value).max(value - greatest) / deviation;
        let values = values.iter().copied();
        let farthest = values.max_by(|a, b| distance(*a).total_cmp(&distance(*b)))?;
        (distance(farthest) > 0.0).then(|| Extrapolation {
            attribute: schema.diagram().name(node).to_owned(),
            value: farthest,
            seen: [least, greatest],
            distance: distance(farthest),
        })
    }
}

fn check_category(schema: &Schema, node: NodeId, value: f64, counts: &[usize]) -> Result<()> {
    if counts.get(value as usize).is_some_and(|&count| count > 0) {
        return Ok(());
    }
    let seen = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let seen: Vec<String> = seen
        .map(|(index, _)| schema.show_value(node, index as f64))
        .collect();
    Err(CounterfactualError::Value {
        subject: format!("intervention on {}", schema.diagram().name(node)),
        expected: format!("a category of the training data ({})", seen.join(", ")),
        found: schema.show_value(node, value),
    })
}
