//! Views of a diagram without some of its nodes or edges.

use super::{Diagram, Mixed, NodeId, NodeSet};

/// A diagram seen without some nodes or edges; nothing is copied but the sets that narrow it.
///
/// # Examples
///
/// An intervention on `x` is the view without the edges into `x`:
///
/// ```
/// use ctl_graph::{Diagram, Mixed, NodeSet, separation::separated};
///
/// let diagram = Diagram::parse("z -> x; z -> y; x -> y; x <-> y")?;
/// let (x, y, z) = (diagram.set(&["x"])?, diagram.set(&["y"])?, diagram.set(&["z"])?);
/// let intervened = diagram.view().without_incoming(&x);
/// assert!(intervened.parents(diagram.node("x")?).is_empty());
/// assert!(separated(&intervened, &x, &z, &NodeSet::new())?);
/// // Without the edges out of x what is left between x and y is confounding.
/// let behind = diagram.view().without_outgoing(&x);
/// assert!(!separated(&behind, &x, &y, &z)?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct View<'a> {
    diagram: &'a Diagram,
    nodes: NodeSet,
    no_incoming: NodeSet,
    no_outgoing: NodeSet,
    cut: Vec<(NodeSet, NodeSet)>,
}

impl<'a> View<'a> {
    pub(super) fn new(diagram: &'a Diagram) -> Self {
        Self {
            diagram,
            nodes: NodeSet::all(diagram.len()),
            no_incoming: NodeSet::new(),
            no_outgoing: NodeSet::new(),
            cut: Vec::new(),
        }
    }

    /// Keeps only these nodes and the edges among them.
    #[must_use]
    pub fn induced(mut self, nodes: &NodeSet) -> Self {
        self.nodes = self.nodes.intersection(nodes);
        self
    }

    /// Drops the directed edges into, and the bidirected edges at, these nodes: `do`.
    #[must_use]
    pub fn without_incoming(mut self, nodes: &NodeSet) -> Self {
        self.no_incoming.extend_with(nodes);
        self
    }

    /// Drops the directed edges out of these nodes.
    #[must_use]
    pub fn without_outgoing(mut self, nodes: &NodeSet) -> Self {
        self.no_outgoing.extend_with(nodes);
        self
    }

    /// Drops the directed edges from any node of the first set to any of the second.
    #[must_use]
    pub fn without_edges(mut self, from: &NodeSet, to: &NodeSet) -> Self {
        self.cut.push((from.clone(), to.clone()));
        self
    }

    /// The diagram that is viewed.
    pub fn underlying(&self) -> &'a Diagram {
        self.diagram
    }

    fn has_edge(&self, from: NodeId, to: NodeId) -> bool {
        !self
            .cut
            .iter()
            .any(|(a, b)| a.contains(from) && b.contains(to))
    }

    fn has_incoming(&self, node: NodeId) -> bool {
        self.nodes.contains(node) && !self.no_incoming.contains(node)
    }

    fn has_outgoing(&self, node: NodeId) -> bool {
        self.nodes.contains(node) && !self.no_outgoing.contains(node)
    }
}

impl Mixed for View<'_> {
    fn diagram(&self) -> &Diagram {
        self.diagram
    }

    fn nodes(&self) -> NodeSet {
        self.nodes.clone()
    }

    #[inline]
    fn contains(&self, node: NodeId) -> bool {
        self.nodes.contains(node)
    }

    fn parent_list(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let parents = self
            .diagram
            .parent_list(node)
            .filter(move |_| self.has_incoming(node));
        parents.filter(move |&from| self.has_outgoing(from) && self.has_edge(from, node))
    }

    fn child_list(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let children = self
            .diagram
            .child_list(node)
            .filter(move |_| self.has_outgoing(node));
        children.filter(move |&to| self.has_incoming(to) && self.has_edge(node, to))
    }

    fn sibling_list(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let siblings = self
            .diagram
            .sibling_list(node)
            .filter(move |_| self.has_incoming(node));
        siblings.filter(|&other| self.has_incoming(other))
    }

    fn parents(&self, node: NodeId) -> NodeSet {
        if !self.has_incoming(node) {
            return NodeSet::new();
        }
        let mut parents = self.diagram.parents(node).intersection(&self.nodes);
        if !self.no_outgoing.is_empty() {
            parents = parents.difference(&self.no_outgoing);
        }
        for (from, _) in self.cut.iter().filter(|(_, to)| to.contains(node)) {
            parents = parents.difference(from);
        }
        parents
    }

    fn children(&self, node: NodeId) -> NodeSet {
        if !self.has_outgoing(node) {
            return NodeSet::new();
        }
        let mut children = self.diagram.children(node).intersection(&self.nodes);
        if !self.no_incoming.is_empty() {
            children = children.difference(&self.no_incoming);
        }
        for (_, to) in self.cut.iter().filter(|(from, _)| from.contains(node)) {
            children = children.difference(to);
        }
        children
    }

    fn siblings(&self, node: NodeId) -> NodeSet {
        if !self.has_incoming(node) {
            return NodeSet::new();
        }
        let siblings = self.diagram.siblings(node).intersection(&self.nodes);
        siblings.difference(&self.no_incoming)
    }
}
