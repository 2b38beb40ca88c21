//! Why an effect is not identifiable.

use serde::Serialize;

use super::Admg;
use crate::{Diagram, NodeSet};

/// Two nested sets of nodes that make an effect unidentifiable.
///
/// Both are joined by bidirected edges, and within the larger one every node is an ancestor of the
/// smaller. The larger holds treatments, the smaller none. The observed distribution of the larger
/// does not determine how the smaller behaves once the rest is set by intervention.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, identification::{Query, identify}};
///
/// let diagram = Diagram::parse("X -> M -> Y; X <-> M")?;
/// let query = Query::of(&diagram.set(&["Y"])?).under(&diagram.set(&["X"])?);
/// let hedge = identify(&diagram, &query)?.hedge().cloned().unwrap();
/// assert_eq!(diagram.names(hedge.root_forest()), ["M"]);
/// assert_eq!(
///     hedge.describe(&diagram),
///     "{X, M} and {M} form a hedge: hidden common causes join them, and observing {X, M} does not \
///      tell how {M} behaves under intervention on {X}"
/// );
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
///
/// # References
/// Shpitser, Pearl 2006, definition 6 and theorem 4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hedge {
    forest: NodeSet,
    root_forest: NodeSet,
    roots: NodeSet,
}

impl Hedge {
    pub(super) fn new(graph: &Admg, forest: NodeSet, root_forest: NodeSet) -> Self {
        let roots = root_forest.difference(&graph.parents_of(&root_forest));
        Self {
            forest,
            root_forest,
            roots,
        }
    }

    /// The larger set, F.
    pub fn forest(&self) -> &NodeSet {
        &self.forest
    }

    /// The smaller set, F'.
    pub fn root_forest(&self) -> &NodeSet {
        &self.root_forest
    }

    /// The common roots, R: the nodes of the smaller set without children in it.
    pub fn roots(&self) -> &NodeSet {
        &self.roots
    }

    /// The reason in words.
    pub fn describe(&self, diagram: &Diagram) -> String {
        let named = |set: &NodeSet| format!("{{{}}}", diagram.names(set).join(", "));
        let (larger, smaller) = (named(&self.forest), named(&self.root_forest));
        let rest = named(&self.forest.difference(&self.root_forest));
        format!(
            "{larger} and {smaller} form a hedge: hidden common causes join them, and observing \
             {larger} does not tell how {smaller} behaves under intervention on {rest}"
        )
    }
}
