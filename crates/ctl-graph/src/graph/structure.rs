//! Undirected structure of mixed graphs: moral graph and Markov blanket.

use super::{Mixed, NodeId, NodeSet};

/// The neighbours of each node in the augmented (moral) graph, by index.
///
/// Two nodes are neighbours when a path of colliders joins them, an edge being such a path; in a
/// DAG these are the edges and the pairs with a common child. Separation of `x` and `y` given `z`
/// is separation in the moral graph of the ancestors of the three.
///
/// # Complexity
/// Quadratic in the size of districts with their parents.
///
/// # References
/// Richardson (2003), *Markov properties for acyclic directed mixed graphs*, section 2.2.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, graph::moral_graph};
///
/// let diagram = Diagram::parse("a -> c <-> d <- b")?;
/// let moral = moral_graph(&diagram);
/// let a = diagram.node("a")?;
/// assert_eq!(moral[a.index()], diagram.set(&["b", "c", "d"])?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn moral_graph(graph: &impl Mixed) -> Vec<NodeSet> {
    moral_within(graph, &graph.nodes())
}

/// The moral graph of the graph induced on an ancestral set.
pub(crate) fn moral_within(graph: &impl Mixed, ancestral: &NodeSet) -> Vec<NodeSet> {
    let mut neighbours = vec![NodeSet::new(); graph.diagram().len()];
    let mut left = ancestral.clone();
    while let Some(start) = left.first() {
        let district = district_within(graph, start, ancestral);
        left = left.difference(&district);
        let clique = district.union(&graph.parents_of(&district));
        for node in &clique {
            neighbours[node.index()].extend_with(&clique);
        }
    }
    for (index, set) in neighbours.iter_mut().enumerate() {
        set.remove(NodeId::new(index));
    }
    neighbours
}

fn district_within(graph: &impl Mixed, start: NodeId, within: &NodeSet) -> NodeSet {
    let (mut district, mut open) = (NodeSet::single(start), vec![start]);
    while let Some(node) = open.pop() {
        let siblings = graph
            .sibling_list(node)
            .filter(|&other| within.contains(other));
        open.extend(siblings.filter(|&other| district.insert(other)));
    }
    district
}

/// The smallest set given which a node is separated from all others.
///
/// # References
/// Pearl (1988), section 3.3, for DAGs; Richardson (2003) for mixed graphs.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, graph::markov_blanket};
///
/// let diagram = Diagram::parse("a -> x -> c <- s; c -> far; x <-> d <- p")?;
/// let blanket = markov_blanket(&diagram, diagram.node("x")?);
/// assert_eq!(diagram.names(&blanket), ["a", "c", "s", "d", "p"]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn markov_blanket(graph: &impl Mixed, node: NodeId) -> NodeSet {
    let mut blanket = NodeSet::new();
    for centre in &graph.children(node).union(&NodeSet::single(node)) {
        let district = graph.district_of(centre);
        blanket.extend_with(&graph.parents_of(&district));
        blanket.extend_with(&district);
    }
    blanket.remove(node);
    blanket
}
