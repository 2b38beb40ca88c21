//! Identification: whether data determine the answer to a causal question, and by which formula.
//!
//! [`identify`] answers for interventions, P(y | do(x), z), from the observational distribution
//! alone. It either returns an [`Estimand`] or the [`Hedge`] that makes it impossible, and is
//! complete: where it says no, two models exist that agree on everything observed and differ in the
//! answer. [`identify_counterfactual`] does so for events in several worlds at once.
//!
//! Unobserved nodes of a diagram are projected out first.
//!
//! # Examples
//!
//! ```
//! use ctl_graph::{Diagram, identification::{Query, identify}};
//!
//! // Smoking, tar and cancer with an unobserved common cause: the front-door formula.
//! let diagram = Diagram::parse("smoking -> tar -> cancer; smoking <-> cancer")?;
//! let query = Query::of(&diagram.set(&["cancer"])?).under(&diagram.set(&["smoking"])?);
//! let answer = identify(&diagram, &query)?;
//! assert_eq!(
//!     answer.estimand().unwrap().display(&diagram).to_string(),
//!     "sum_{tar} P(tar | smoking) sum_{smoking'} P(smoking') P(cancer | smoking', tar)"
//! );
//! # Ok::<(), ctl_graph::GraphError>(())
//! ```

mod admg;
mod c_factor;
mod counterfactual;
mod decompose;
mod hedge;
mod query;
#[cfg(test)]
pub(crate) mod simulated;
mod worlds;

use serde::Serialize;

use crate::estimand::{Domain, Estimand};
use crate::{Diagram, GraphError, NodeSet};

pub(crate) use admg::Admg;
pub(crate) use c_factor::c_factor;
pub use counterfactual::{
    Available, Conflict, CounterfactualIdentification, identify_counterfactual,
};
pub(crate) use decompose::Decomposition;
pub use hedge::Hedge;
pub use query::Query;
pub use worlds::Counterfactual;

/// The answer of [`identify`].
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, identification::{Query, identify}};
///
/// let diagram = Diagram::parse("X -> Y; X <-> Y")?;
/// let (x, y) = (diagram.set(&["X"])?, diagram.set(&["Y"])?);
/// let observed = identify(&diagram, &Query::of(&y).given(&x))?;
/// let formula = observed.estimand().unwrap().simplified();
/// assert_eq!(formula.display(&diagram).to_string(), "P(Y | X)");
/// let set = identify(&diagram, &Query::of(&y).under(&x))?;
/// assert!(set.estimand().is_none() && set.hedge().is_some());
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Identification {
    /// The query equals this formula in every model of the diagram.
    Identified(Estimand),
    /// No formula exists; the hedge is why.
    NotIdentifiable(Hedge),
}

impl Identification {
    /// The formula, if there is one.
    pub fn estimand(&self) -> Option<&Estimand> {
        match self {
            Self::Identified(estimand) => Some(estimand),
            Self::NotIdentifiable(_) => None,
        }
    }

    /// Why there is no formula, if there is none.
    pub fn hedge(&self) -> Option<&Hedge> {
        match self {
            Self::Identified(_) => None,
            Self::NotIdentifiable(hedge) => Some(hedge),
        }
    }
}

/// Identifies P(y | do(x), z) from the observational distribution.
///
/// P(y | do(x)) = Σ Π Q\[C\], the product over the districts C of the ancestors of y without x, the
/// sum over those that are neither y nor z. Each Q\[C\] is computed from the district of the whole
/// graph that holds it. A conditional query keeps the districts that unconditioned variables link
/// with y, the others cancel.
///
/// # Arguments
/// - `diagram`: unobserved nodes are projected out.
/// - `query`: disjoint sets of observed nodes.
///
/// # Returns
/// The formula as the algorithm builds it, see [`Estimand::simplified`], or the hedge.
///
/// # Errors
/// [`GraphError::ForeignNode`], [`GraphError::Overlap`], [`GraphError::EmptySet`] for a query
/// without outcome, [`GraphError::InvalidValue`] for unobserved nodes in the query.
///
/// # Complexity
/// O(n³) set operations; the formula may be longer.
///
/// # References
/// Tian, Pearl 2002, "A general identification condition for causal effects"; Shpitser, Pearl 2006,
/// "Identification of joint interventional distributions" (hedges) and "Identification of
/// conditional interventional distributions". Deviation: conditional queries are reduced by the
/// districts that cancel, as by Correa, Lee, Bareinboim 2022 (ancestral components), instead of by
/// moving conditions into the intervention one at a time, which decides the same.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, identification::{Query, identify}};
///
/// let napkin = Diagram::parse("W -> Z -> X -> Y; W <-> X; W <-> Y")?;
/// let query = Query::of(&napkin.set(&["Y"])?).under(&napkin.set(&["X"])?);
/// let formula = identify(&napkin, &query)?.estimand().unwrap().simplified();
/// assert_eq!(
///     formula.display(&napkin).to_string(),
///     "[sum_{W} P(W) P(X, Y | W, Z)] / [sum_{W} P(W) P(X | W, Z)]"
/// );
///
/// let bow = Diagram::parse("X -> Y; X <-> Y")?;
/// let query = Query::of(&bow.set(&["Y"])?).under(&bow.set(&["X"])?);
/// let hedge = identify(&bow, &query)?.hedge().cloned().unwrap();
/// assert_eq!(bow.names(hedge.forest()), ["X", "Y"]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn identify(diagram: &Diagram, query: &Query) -> Result<Identification, GraphError> {
    query.check(diagram)?;
    let graph = Admg::of(diagram);
    let decomposition = Decomposition::of(&graph, query);
    let observation = NodeSet::new();
    let factors = decomposition
        .districts()
        .iter()
        .map(|district| c_factor(&graph, district, Domain::Target, &observation))
        .collect::<Result<Vec<_>, _>>();
    Ok(match factors {
        Ok(factors) => Identification::Identified(decomposition.assemble(factors)),
        Err(hedge) => Identification::NotIdentifiable(hedge),
    })
}

#[cfg(test)]
mod tests;
