//! m-separation by reachability.

use crate::{GraphError, Mixed, NodeId, NodeSet};

/// Tells whether `z` m-separates `x` from `y`; in a DAG this is d-separation.
///
/// `x ⊥ y | z` holds when every path between them has a non-collider in `z`, or a collider that is
/// no ancestor of `z`.
///
/// # Arguments
/// - `graph`: a diagram or a view of one.
/// - `x`, `y`, `z`: pairwise disjoint sets; with `x` or `y` empty the answer is yes. Nodes that the
///   view leaves out are ignored.
///
/// # Errors
/// [`GraphError::Overlap`] and [`GraphError::ForeignNode`].
///
/// # Complexity
/// Linear in nodes and edges; stops at the first node of `y` that it meets.
///
/// # References
/// Shachter (1998), *Bayes-Ball*; Richardson (2003), *Markov properties for acyclic directed mixed
/// graphs*, definition 2.1.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, separation::separated};
///
/// let diagram = Diagram::parse("age -> disease -> image <- scanner; age <-> scanner")?;
/// let set = |names: &[&str]| diagram.set(names);
/// assert!(!separated(&diagram, &set(&["disease"])?, &set(&["scanner"])?, &set(&[])?)?);
/// assert!(separated(&diagram, &set(&["disease"])?, &set(&["scanner"])?, &set(&["age"])?)?);
/// assert!(separated(&diagram, &set(&["age"])?, &set(&["age"])?, &set(&[])?).is_err());
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn separated(
    graph: &impl Mixed,
    x: &NodeSet,
    y: &NodeSet,
    z: &NodeSet,
) -> Result<bool, GraphError> {
    graph
        .diagram()
        .check_disjoint(&[("x", x), ("y", y), ("z", z)])?;
    Ok(independent(graph, x, y, z))
}

/// The nodes outside `z` to which an open path leads from `x`, those of `x` included.
///
/// # Errors
/// [`GraphError::Overlap`] and [`GraphError::ForeignNode`].
///
/// # Complexity
/// Linear in nodes and edges.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, separation::connected};
///
/// let diagram = Diagram::parse("age -> disease -> image <- scanner")?;
/// let (age, image) = (diagram.set(&["age"])?, diagram.set(&["image"])?);
/// let open = connected(&diagram, &age, &image)?;
/// assert_eq!(diagram.names(&open), ["age", "disease", "scanner"]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn connected(graph: &impl Mixed, x: &NodeSet, z: &NodeSet) -> Result<NodeSet, GraphError> {
    graph.diagram().check_disjoint(&[("x", x), ("z", z)])?;
    Ok(reached(graph, x, z))
}

/// [`separated`] for sets that are known to be nodes and disjoint.
pub(crate) fn independent(graph: &impl Mixed, x: &NodeSet, y: &NodeSet, z: &NodeSet) -> bool {
    let mut ball = Ball::new(graph, x, z);
    while let Some(node) = ball.next_node() {
        if y.contains(node) {
            return false;
        }
    }
    true
}

/// [`connected`] for sets that are known to be nodes and disjoint.
pub(crate) fn reached(graph: &impl Mixed, x: &NodeSet, z: &NodeSet) -> NodeSet {
    let mut ball = Ball::new(graph, x, z);
    let mut reached = NodeSet::new();
    while let Some(node) = ball.next_node() {
        reached.insert(node);
    }
    reached.difference(z)
}

/// What is reached in the moral graph of an ancestral set without passing a node of `z`; members of
/// `z` may be reached themselves.
pub(super) fn moral_reach(
    graph: &impl Mixed,
    x: &NodeSet,
    z: &NodeSet,
    ancestral: &NodeSet,
) -> NodeSet {
    let mut ball = Ball::new(graph, x, z);
    ball.opened = ancestral.clone();
    let mut reached = NodeSet::new();
    while let Some(node) = ball.next_node() {
        reached.insert(node);
    }
    reached
}

/// The walk: a node is met at most once by an arrowhead and once by a tail.
struct Ball<'a, G> {
    graph: &'a G,
    given: &'a NodeSet,
    opened: NodeSet,
    by_head: NodeSet,
    by_tail: NodeSet,
    open: Vec<(NodeId, bool)>,
}

impl<'a, G: Mixed> Ball<'a, G> {
    fn new(graph: &'a G, x: &NodeSet, given: &'a NodeSet) -> Self {
        let start: NodeSet = x.iter().filter(|&node| graph.contains(node)).collect();
        Self {
            graph,
            given,
            opened: graph.ancestors(given),
            by_head: NodeSet::new(),
            open: start.iter().map(|node| (node, false)).collect(),
            by_tail: start,
        }
    }

    fn next_node(&mut self) -> Option<NodeId> {
        let (node, by_head) = self.open.pop()?;
        let given = self.given.contains(node);
        if !given {
            for child in self.graph.child_list(node) {
                if self.by_head.insert(child) {
                    self.open.push((child, true));
                }
            }
        }
        let passes_up = if by_head {
            self.opened.contains(node)
        } else {
            !given
        };
        if passes_up {
            self.pass_up(node);
        }
        Some(node)
    }

    /// Goes on by the edges with an arrowhead at the node.
    fn pass_up(&mut self, node: NodeId) {
        for parent in self.graph.parent_list(node) {
            if self.by_tail.insert(parent) {
                self.open.push((parent, false));
            }
        }
        for sibling in self.graph.sibling_list(node) {
            if self.by_head.insert(sibling) {
                self.open.push((sibling, true));
            }
        }
    }
}
