//! m-separation by reachability.

use smallvec::SmallVec;

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
    ball.open_above(z);
    ball.mark(y, WANTED);
    while let Some(node) = ball.next_node() {
        if ball.has(node, WANTED) {
            return false;
        }
    }
    true
}

/// [`connected`] for sets that are known to be nodes and disjoint.
pub(crate) fn reached(graph: &impl Mixed, x: &NodeSet, z: &NodeSet) -> NodeSet {
    let mut ball = Ball::new(graph, x, z);
    ball.open_above(z);
    ball.reach().difference(z)
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
    ball.mark(ancestral, OPENED);
    ball.reach()
}

/// A node that is conditioned on.
const GIVEN: u8 = 1;
/// An ancestor of what is conditioned on: a collider that lets paths pass.
const OPENED: u8 = 2;
/// A node at which the walk ends.
const WANTED: u8 = 4;
/// A node that was met by an arrowhead.
const BY_HEAD: u8 = 8;
/// A node that was met by a tail.
const BY_TAIL: u8 = 16;

/// Nodes up to which the flags need no allocation.
const INLINE: usize = 64;

/// The walk: a node is met at most once by an arrowhead and once by a tail.
struct Ball<'a, G> {
    graph: &'a G,
    /// What is known about each node; one byte for all of it, since the walk jumps about in memory.
    flags: SmallVec<[u8; INLINE]>,
    /// Nodes from which to go on, with the end by which they were met.
    open: Vec<(NodeId, u8)>,
}

impl<'a, G: Mixed> Ball<'a, G> {
    fn new(graph: &'a G, x: &NodeSet, given: &NodeSet) -> Self {
        let mut ball = Self {
            graph,
            flags: SmallVec::from_elem(0, graph.diagram().len()),
            open: Vec::new(),
        };
        ball.mark(given, GIVEN);
        for node in x.iter().filter(|&node| graph.contains(node)) {
            ball.meet(node, BY_TAIL);
        }
        ball
    }

    fn mark(&mut self, nodes: &NodeSet, flag: u8) {
        for node in nodes {
            self.flags[node.index()] |= flag;
        }
    }

    #[inline]
    fn has(&self, node: NodeId, flag: u8) -> bool {
        self.flags[node.index()] & flag != 0
    }

    /// Opens the ancestors of what is conditioned on.
    fn open_above(&mut self, given: &NodeSet) {
        let graph = self.graph;
        let mut open: Vec<NodeId> = given.iter().filter(|&node| graph.contains(node)).collect();
        for &node in &open {
            self.flags[node.index()] |= OPENED;
        }
        while let Some(node) = open.pop() {
            for parent in graph.parent_list(node) {
                let flags = &mut self.flags[parent.index()];
                if *flags & OPENED == 0 {
                    *flags |= OPENED;
                    open.push(parent);
                }
            }
        }
    }

    #[inline]
    fn meet(&mut self, node: NodeId, end: u8) {
        let flags = &mut self.flags[node.index()];
        if *flags & end == 0 {
            *flags |= end;
            self.open.push((node, end));
        }
    }

    fn next_node(&mut self) -> Option<NodeId> {
        let (node, end) = self.open.pop()?;
        let graph = self.graph;
        let given = self.has(node, GIVEN);
        if !given {
            for child in graph.child_list(node) {
                self.meet(child, BY_HEAD);
            }
        }
        let passes_up = if end == BY_HEAD {
            self.has(node, OPENED)
        } else {
            !given
        };
        if passes_up {
            // The edges with an arrowhead at the node.
            for parent in graph.parent_list(node) {
                self.meet(parent, BY_TAIL);
            }
            for sibling in graph.sibling_list(node) {
                self.meet(sibling, BY_HEAD);
            }
        }
        Some(node)
    }

    /// Goes on to the end.
    fn reach(mut self) -> NodeSet {
        let mut reached = NodeSet::new();
        while let Some(node) = self.next_node() {
            reached.insert(node);
        }
        reached
    }
}
