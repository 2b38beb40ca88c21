//! The diagram: an acyclic directed mixed graph with named nodes.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use petgraph::graph::DiGraph;
use serde::{Deserialize, Serialize};

use super::{DiagramBuilder, Mixed, NodeId, NodeSet, View};
use crate::GraphError;
use crate::error::listed;

/// What is known about a node.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
///
/// let diagram = Diagram::parse("severity [latent]; severity -> image")?;
/// let node = diagram.details(diagram.node("severity")?).unwrap();
/// assert_eq!((node.name.as_str(), node.observed), ("severity", false));
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, unique in the graph.
    pub name: String,
    /// Whether data can hold its value; [`Diagram::project`] removes the nodes that are not.
    pub observed: bool,
}

/// An acyclic directed mixed graph: directed edges for causes, bidirected ones for common causes
/// that are not drawn. A DAG is one without bidirected edges.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, Mixed};
///
/// let diagram = Diagram::parse("site -> image; disease -> image; site <-> disease")?;
/// let image = diagram.node("image")?;
/// assert_eq!(diagram.names(diagram.parents(image)), ["site", "disease"]);
/// assert_eq!(diagram.districts().len(), 2);
/// assert!(!diagram.is_dag());
/// assert_eq!(diagram.to_string(), "site -> image; disease -> image; site <-> disease");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone)]
pub struct Diagram {
    graph: DiGraph<Node, ()>,
    index: HashMap<String, NodeId>,
    parents: Lists,
    children: Lists,
    siblings: Lists,
    order: Vec<NodeId>,
    /// Made when first asked for: on large graphs they take much memory that lists do not.
    sets: OnceLock<Sets>,
}

#[derive(Clone)]
struct Sets {
    parents: Vec<NodeSet>,
    children: Vec<NodeSet>,
    siblings: Vec<NodeSet>,
}

/// Adjacency lists in one block, ascending within each node.
#[derive(Clone, Default)]
pub(super) struct Lists {
    starts: Vec<usize>,
    members: Vec<NodeId>,
}

impl Lists {
    /// Collects pairs `(node, neighbour)`.
    pub(super) fn new(size: usize, mut pairs: Vec<(NodeId, NodeId)>) -> Self {
        pairs.sort_unstable();
        let mut starts = vec![0; size + 1];
        for (node, _) in &pairs {
            starts[node.index() + 1] += 1;
        }
        for i in 0..size {
            starts[i + 1] += starts[i];
        }
        let members = pairs.into_iter().map(|(_, neighbour)| neighbour).collect();
        Self { starts, members }
    }

    #[inline]
    pub(super) fn of(&self, node: NodeId) -> &[NodeId] {
        let i = node.index();
        match (self.starts.get(i), self.starts.get(i + 1)) {
            (Some(&start), Some(&end)) => &self.members[start..end],
            _ => &[],
        }
    }

    fn sets(&self, size: usize) -> Vec<NodeSet> {
        let of = |i| self.of(NodeId::new(i)).iter().copied().collect();
        (0..size).map(of).collect()
    }
}

/// The pieces from which a builder makes a diagram.
pub(super) struct Parts {
    pub(super) nodes: Vec<Node>,
    pub(super) index: HashMap<String, NodeId>,
    pub(super) directed: Vec<(NodeId, NodeId)>,
    pub(super) bidirected: Vec<(NodeId, NodeId)>,
    pub(super) order: Vec<NodeId>,
}

impl Diagram {
    pub(super) fn from_parts(parts: Parts) -> Self {
        let size = parts.nodes.len();
        let mut graph = DiGraph::with_capacity(size, parts.directed.len());
        let at: Vec<_> = parts
            .nodes
            .into_iter()
            .map(|node| graph.add_node(node))
            .collect();
        for &(from, to) in &parts.directed {
            graph.add_edge(at[from.index()], at[to.index()], ());
        }
        let turned = |pairs: &[(NodeId, NodeId)]| pairs.iter().map(|&(a, b)| (b, a)).collect();
        let mut both: Vec<_> = turned(&parts.bidirected);
        both.extend(parts.bidirected);
        Self {
            graph,
            index: parts.index,
            parents: Lists::new(size, turned(&parts.directed)),
            children: Lists::new(size, parts.directed),
            siblings: Lists::new(size, both),
            order: parts.order,
            sets: OnceLock::new(),
        }
    }

    /// An empty builder.
    pub fn builder() -> DiagramBuilder {
        DiagramBuilder::default()
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Tells whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The nodes in the order of insertion.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = NodeId> + use<> {
        (0..self.len()).map(NodeId::new)
    }

    /// The node of a name.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`], with the names that there are.
    pub fn node(&self, name: &str) -> Result<NodeId, GraphError> {
        self.index
            .get(name)
            .copied()
            .ok_or_else(|| GraphError::UnknownNode {
                name: name.to_owned(),
                known: listed(
                    self.graph
                        .raw_nodes()
                        .iter()
                        .map(|node| node.weight.name.as_str()),
                ),
            })
    }

    /// The set of the nodes of these names.
    ///
    /// # Errors
    /// [`GraphError::UnknownNode`] for the first name without a node.
    pub fn set<S: Borrow<str>>(&self, names: &[S]) -> Result<NodeSet, GraphError> {
        names.iter().map(|name| self.node(name.borrow())).collect()
    }

    /// The name of a node; empty for an index that this diagram does not have.
    pub fn name(&self, node: NodeId) -> &str {
        self.details(node).map_or("", |node| &node.name)
    }

    /// The names of a set's members, by index.
    pub fn names(&self, set: &NodeSet) -> Vec<&str> {
        set.iter().map(|node| self.name(node)).collect()
    }

    /// Name and annotation of a node.
    pub fn details(&self, node: NodeId) -> Option<&Node> {
        self.graph
            .raw_nodes()
            .get(node.index())
            .map(|node| &node.weight)
    }

    /// Tells whether data can hold a node's value.
    pub fn is_observed(&self, node: NodeId) -> bool {
        self.details(node).is_some_and(|node| node.observed)
    }

    /// The nodes whose values data can hold.
    pub fn observed(&self) -> NodeSet {
        self.ids().filter(|&id| self.is_observed(id)).collect()
    }

    /// The nodes whose values data cannot hold.
    pub fn latent(&self) -> NodeSet {
        NodeSet::all(self.len()).difference(&self.observed())
    }

    /// The parents of a node.
    pub fn parents(&self, node: NodeId) -> &NodeSet {
        of(&self.sets().parents, node)
    }

    /// The children of a node.
    pub fn children(&self, node: NodeId) -> &NodeSet {
        of(&self.sets().children, node)
    }

    /// The nodes that a bidirected edge joins with this one.
    pub fn siblings(&self, node: NodeId) -> &NodeSet {
        of(&self.sets().siblings, node)
    }

    fn sets(&self) -> &Sets {
        self.sets.get_or_init(|| Sets {
            parents: self.parents.sets(self.len()),
            children: self.children.sets(self.len()),
            siblings: self.siblings.sets(self.len()),
        })
    }

    /// The nodes, every parent before its children; ties by index.
    pub fn topological_order(&self) -> &[NodeId] {
        &self.order
    }

    /// Tells whether there is no bidirected edge.
    pub fn is_dag(&self) -> bool {
        self.siblings.members.is_empty()
    }

    /// Tells whether there is an edge `from -> to`.
    pub fn has_directed(&self, from: NodeId, to: NodeId) -> bool {
        self.children.of(from).binary_search(&to).is_ok()
    }

    /// Tells whether there is an edge `a <-> b`.
    pub fn has_bidirected(&self, a: NodeId, b: NodeId) -> bool {
        self.siblings.of(a).binary_search(&b).is_ok()
    }

    /// The directed edges `(parent, child)`, ascending.
    pub fn directed_edges(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        self.ids()
            .flat_map(|from| self.children.of(from).iter().map(move |&to| (from, to)))
    }

    /// The bidirected edges, each once with the smaller index first, ascending.
    pub fn bidirected_edges(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        let all = self
            .ids()
            .flat_map(|a| self.siblings.of(a).iter().map(move |&b| (a, b)));
        all.filter(|(a, b)| a < b)
    }

    /// The directed part as a petgraph graph, node indices alike.
    pub fn as_petgraph(&self) -> &DiGraph<Node, ()> {
        &self.graph
    }

    /// A view of the whole diagram, to be narrowed.
    pub fn view(&self) -> View<'_> {
        View::new(self)
    }

    /// Checks that every member of a set is a node.
    ///
    /// # Errors
    /// [`GraphError::ForeignNode`] for the first that is not.
    pub fn check(&self, set: &NodeSet) -> Result<(), GraphError> {
        match set.iter().find(|node| node.index() >= self.len()) {
            Some(node) => Err(GraphError::ForeignNode {
                index: node.index(),
                size: self.len(),
            }),
            None => Ok(()),
        }
    }

    /// Checks that sets consist of nodes of this diagram and are pairwise disjoint.
    ///
    /// # Errors
    /// [`GraphError::ForeignNode`] and [`GraphError::Overlap`].
    pub fn check_disjoint(&self, sets: &[(&'static str, &NodeSet)]) -> Result<(), GraphError> {
        for (i, (first, a)) in sets.iter().enumerate() {
            self.check(a)?;
            for (second, b) in &sets[i + 1..] {
                if !a.is_disjoint(b) {
                    let shared = self.names(&a.intersection(b));
                    let nodes = listed(shared.into_iter());
                    return Err(GraphError::Overlap {
                        first,
                        second,
                        nodes,
                    });
                }
            }
        }
        Ok(())
    }
}

fn of(sets: &[NodeSet], node: NodeId) -> &NodeSet {
    static EMPTY: OnceLock<NodeSet> = OnceLock::new();
    sets.get(node.index())
        .unwrap_or_else(|| EMPTY.get_or_init(NodeSet::new))
}

impl Mixed for Diagram {
    fn diagram(&self) -> &Diagram {
        self
    }

    fn nodes(&self) -> NodeSet {
        NodeSet::all(self.len())
    }

    #[inline]
    fn contains(&self, node: NodeId) -> bool {
        node.index() < self.len()
    }

    #[inline]
    fn parent_list(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.parents.of(node).iter().copied()
    }

    #[inline]
    fn child_list(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.children.of(node).iter().copied()
    }

    #[inline]
    fn sibling_list(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.siblings.of(node).iter().copied()
    }

    fn parents(&self, node: NodeId) -> NodeSet {
        Self::parents(self, node).clone()
    }

    fn children(&self, node: NodeId) -> NodeSet {
        Self::children(self, node).clone()
    }

    fn siblings(&self, node: NodeId) -> NodeSet {
        Self::siblings(self, node).clone()
    }
}

impl PartialEq for Diagram {
    /// Equal nodes in equal order, and equal edges.
    fn eq(&self, other: &Self) -> bool {
        self.ids()
            .map(|id| self.details(id))
            .eq(other.ids().map(|id| other.details(id)))
            && self.directed_edges().eq(other.directed_edges())
            && self.bidirected_edges().eq(other.bidirected_edges())
    }
}

impl Eq for Diagram {}

impl fmt::Debug for Diagram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Diagram({self})")
    }
}
