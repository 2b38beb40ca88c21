//! What algorithms ask of a graph with directed and bidirected edges.

use super::{Diagram, NodeId, NodeSet};

/// A graph with directed and bidirected edges: a [`Diagram`] or a [`View`](super::View) of one.
///
/// Indices are those of the underlying diagram, so that sets of a view and of its diagram may be
/// mixed. The lists serve algorithms that must be linear on large graphs, the sets those on small
/// ones.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, Mixed, NodeSet};
///
/// fn number_of_roots(graph: &impl Mixed) -> usize {
///     graph.nodes().iter().filter(|&node| graph.parents(node).is_empty()).count()
/// }
/// let diagram = Diagram::parse("x -> y -> z")?;
/// let cut = diagram.view().without_incoming(&diagram.set(&["y"])?);
/// assert_eq!((number_of_roots(&diagram), number_of_roots(&cut)), (1, 2));
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub trait Mixed {
    /// The diagram that holds names and indices.
    fn diagram(&self) -> &Diagram;

    /// The nodes that are present.
    fn nodes(&self) -> NodeSet;

    /// Tells whether a node is present.
    fn contains(&self, node: NodeId) -> bool;

    /// The parents, ascending.
    fn parent_list(&self, node: NodeId) -> impl Iterator<Item = NodeId>;

    /// The children, ascending.
    fn child_list(&self, node: NodeId) -> impl Iterator<Item = NodeId>;

    /// The nodes that a bidirected edge joins with this one, ascending.
    fn sibling_list(&self, node: NodeId) -> impl Iterator<Item = NodeId>;

    /// The parents as a set.
    fn parents(&self, node: NodeId) -> NodeSet {
        self.parent_list(node).collect()
    }

    /// The children as a set.
    fn children(&self, node: NodeId) -> NodeSet {
        self.child_list(node).collect()
    }

    /// The nodes that a bidirected edge joins with this one, as a set.
    fn siblings(&self, node: NodeId) -> NodeSet {
        self.sibling_list(node).collect()
    }

    /// The union of the parents of the members; may hold members.
    fn parents_of(&self, set: &NodeSet) -> NodeSet {
        let mut result = NodeSet::new();
        for node in set {
            result.extend(self.parent_list(node));
        }
        result
    }

    /// The union of the children of the members; may hold members.
    fn children_of(&self, set: &NodeSet) -> NodeSet {
        let mut result = NodeSet::new();
        for node in set {
            result.extend(self.child_list(node));
        }
        result
    }

    /// The present members and every node with a directed path to one of them.
    ///
    /// # Complexity
    /// Linear in nodes and edges.
    fn ancestors(&self, set: &NodeSet) -> NodeSet {
        closure(self, set, |node, next| next.extend(self.parent_list(node)))
    }

    /// The present members and every node with a directed path from one of them.
    ///
    /// # Complexity
    /// Linear in nodes and edges.
    fn descendants(&self, set: &NodeSet) -> NodeSet {
        closure(self, set, |node, next| next.extend(self.child_list(node)))
    }

    /// The nodes that paths of bidirected edges join with this one, itself among them.
    fn district_of(&self, node: NodeId) -> NodeSet {
        let start = NodeSet::single(node);
        closure(self, &start, |node, next| {
            next.extend(self.sibling_list(node));
        })
    }

    /// The districts (c-components), by their smallest member.
    fn districts(&self) -> Vec<NodeSet> {
        let mut left = self.nodes();
        let mut districts = Vec::new();
        while let Some(node) = left.first() {
            let district = self.district_of(node);
            left = left.difference(&district);
            districts.push(district);
        }
        districts
    }

    /// The present nodes, every parent before its children.
    fn order(&self) -> Vec<NodeId> {
        let order = self.diagram().topological_order();
        order
            .iter()
            .copied()
            .filter(|&node| self.contains(node))
            .collect()
    }
}

fn closure<G: Mixed + ?Sized>(
    graph: &G,
    start: &NodeSet,
    neighbours: impl Fn(NodeId, &mut Vec<NodeId>),
) -> NodeSet {
    let mut open: Vec<NodeId> = start.iter().filter(|&node| graph.contains(node)).collect();
    let mut reached: NodeSet = open.iter().copied().collect();
    let mut next = Vec::new();
    while let Some(node) = open.pop() {
        neighbours(node, &mut next);
        open.extend(next.drain(..).filter(|&node| reached.insert(node)));
    }
    reached
}
