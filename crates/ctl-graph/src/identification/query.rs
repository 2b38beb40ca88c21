//! What is asked.

use serde::{Deserialize, Serialize};

use crate::{Diagram, GraphError, NodeSet};

/// The query P(outcome | do(intervention), given).
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, identification::Query};
///
/// let diagram = Diagram::parse("dose -> response; age -> response")?;
/// let query = Query::of(&diagram.set(&["response"])?)
///     .under(&diagram.set(&["dose"])?)
///     .given(&diagram.set(&["age"])?);
/// assert_eq!(query.describe(&diagram), "P(response | do(dose), age)");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub(crate) outcome: NodeSet,
    #[serde(default)]
    pub(crate) intervention: NodeSet,
    #[serde(default)]
    pub(crate) given: NodeSet,
}

impl Query {
    /// P(outcome).
    pub fn of(outcome: &NodeSet) -> Self {
        let none = NodeSet::new;
        Self {
            outcome: outcome.clone(),
            intervention: none(),
            given: none(),
        }
    }

    /// Sets variables by intervention.
    #[must_use]
    pub fn under(mut self, intervention: &NodeSet) -> Self {
        self.intervention = intervention.clone();
        self
    }

    /// Conditions on variables, observed after the intervention.
    #[must_use]
    pub fn given(mut self, given: &NodeSet) -> Self {
        self.given = given.clone();
        self
    }

    /// Every variable of the query: the axes of its answer.
    pub fn variables(&self) -> NodeSet {
        self.outcome.union(&self.intervention).union(&self.given)
    }

    /// The query as text.
    pub fn describe(&self, diagram: &Diagram) -> String {
        let mut conditions = Vec::new();
        if !self.intervention.is_empty() {
            conditions.push(format!(
                "do({})",
                diagram.names(&self.intervention).join(", ")
            ));
        }
        conditions.extend(diagram.names(&self.given).into_iter().map(str::to_owned));
        let outcome = diagram.names(&self.outcome).join(", ");
        if conditions.is_empty() {
            format!("P({outcome})")
        } else {
            format!("P({outcome} | {})", conditions.join(", "))
        }
    }

    pub(crate) fn check(&self, diagram: &Diagram) -> Result<(), GraphError> {
        diagram.check_disjoint(&[
            ("outcome", &self.outcome),
            ("intervention", &self.intervention),
            ("given", &self.given),
        ])?;
        if self.outcome.is_empty() {
            return Err(GraphError::EmptySet { subject: "outcome" });
        }
        check_observed(diagram, "query", &self.variables())
    }
}

/// Checks that a set holds no unobserved node.
pub(crate) fn check_observed(
    diagram: &Diagram,
    key: &str,
    set: &NodeSet,
) -> Result<(), GraphError> {
    match set.intersection(&diagram.latent()).first() {
        Some(node) => Err(GraphError::InvalidValue {
            key: key.to_owned(),
            expected: "observed nodes".to_owned(),
            found: diagram.name(node).to_owned(),
        }),
        None => Ok(()),
    }
}
