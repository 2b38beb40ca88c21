//! The independences that a graph implies.

use super::MinimalSeparators;
use crate::{Mixed, NodeId, NodeSet};

/// A statement `x ⊥ y | given`.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, separation::{Independence, implied_independences}};
///
/// let diagram = Diagram::parse("a -> b -> c")?;
/// let [x, y] = ["a", "c"].map(|name| diagram.node(name).unwrap());
/// let implied: Vec<Independence> = implied_independences(&diagram).collect();
/// assert_eq!(implied, [Independence { x, y, given: diagram.set(&["b"])? }]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Independence {
    /// The node of the smaller index.
    pub x: NodeId,
    /// The node of the larger index.
    pub y: NodeId,
    /// A minimal set given which the two are independent.
    pub given: NodeSet,
}

/// The independences that a graph implies among observed nodes: for each pair, every minimal set
/// that separates it.
///
/// In a DAG without latent nodes all other independences follow from these. Statements come one at
/// a time, as there may be exponentially many.
///
/// # Arguments
/// - `graph`: a diagram or a view of one.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, separation::implied_independences};
///
/// let diagram = Diagram::parse("disease -> image <- scanner; image -> reading")?;
/// let implied: Vec<String> = implied_independences(&diagram)
///     .map(|found| {
///         let names = diagram.names(&found.given).join(", ");
///         format!("{} ⊥ {} | {names}", diagram.name(found.x), diagram.name(found.y))
///     })
///     .collect();
/// assert_eq!(
///     implied,
///     ["disease ⊥ scanner | ", "disease ⊥ reading | image", "scanner ⊥ reading | image"]
/// );
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn implied_independences(graph: &impl Mixed) -> impl Iterator<Item = Independence> {
    let observed = graph.diagram().observed().intersection(&graph.nodes());
    let nodes: Vec<NodeId> = observed.iter().collect();
    let last = nodes.len();
    let pairs = (0..last).flat_map(move |i| (i + 1..last).map(move |j| (i, j)));
    pairs.flat_map(move |(i, j)| {
        let (x, y) = (nodes[i], nodes[j]);
        let (first, second) = (NodeSet::single(x), NodeSet::single(y));
        let sets = MinimalSeparators::new(graph, &first, &second, &observed);
        sets.map(move |given| Independence { x, y, given })
    })
}
