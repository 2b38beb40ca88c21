//! Graphs with a mark at either end of each edge: CPDAGs, MAGs and PAGs.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::text::{is_bare, quoted};
use super::{NodeId, NodeSet};
use crate::GraphError;

/// Nodes that a graph with marks may have: a hundred megabytes of marks.
const MOST_NODES: usize = 10_000;

/// The mark at one end of an edge.
///
/// # Examples
///
/// ```
/// use ctl_graph::graph::{Mark, MarkedGraph};
///
/// let mut graph = MarkedGraph::new(&["x", "y"])?;
/// let (x, y) = (graph.node("x")?, graph.node("y")?);
/// for (at_x, at_y, text) in [
///     (Mark::Tail, Mark::Arrow, "x --> y"),
///     (Mark::Circle, Mark::Arrow, "x o-> y"),
///     (Mark::Arrow, Mark::Arrow, "x <-> y"),
/// ] {
///     graph.join(x, y, at_x, at_y);
///     assert_eq!(graph.to_string(), text);
/// }
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// `-`: an ancestor of the other end.
    Tail,
    /// `>`: not an ancestor of the other end.
    Arrow,
    /// `o`: either, in different members of the class.
    Circle,
}

/// An edge with its marks.
///
/// # Examples
///
/// ```
/// use ctl_graph::graph::{Mark, MarkedGraph};
///
/// let mut graph = MarkedGraph::new(&["x", "y"])?;
/// let (x, y) = (graph.node("x")?, graph.node("y")?);
/// graph.join(y, x, Mark::Tail, Mark::Arrow);
/// let edge = graph.edges().next().unwrap();
/// assert_eq!((edge.a, edge.at_a, edge.at_b, edge.b), (x, Mark::Arrow, Mark::Tail, y));
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MarkedEdge {
    /// The end of the smaller index.
    pub a: NodeId,
    /// The mark at `a`.
    pub at_a: Mark,
    /// The mark at `b`.
    pub at_b: Mark,
    /// The end of the larger index.
    pub b: NodeId,
}

/// A graph with at most one edge a pair and a mark at either end of it.
///
/// # Examples
///
/// ```
/// use ctl_graph::graph::{Mark, MarkedGraph};
///
/// let mut graph = MarkedGraph::new(&["x", "y", "z"])?;
/// let (x, y) = (graph.node("x")?, graph.node("y")?);
/// graph.join(x, y, Mark::Circle, Mark::Arrow);
/// assert_eq!(graph.mark(x, y), Some(Mark::Arrow));
/// assert_eq!(graph.mark(y, x), Some(Mark::Circle));
/// graph.set_mark(y, x, Mark::Tail);
/// assert!(graph.is_directed(x, y));
/// assert_eq!(graph.to_string(), "x --> y; z");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkedGraph {
    names: Vec<String>,
    /// `marks[a * size + b]` is the mark at `b` of the edge between `a` and `b`.
    marks: Vec<Option<Mark>>,
    adjacent: Vec<NodeSet>,
}

impl MarkedGraph {
    /// A graph without edges.
    ///
    /// # Errors
    /// [`GraphError::EmptyName`], [`GraphError::DuplicateNode`], and [`GraphError::Limit`] beyond
    /// 10,000 nodes, since all pairs have a place in memory.
    pub fn new<S: AsRef<str>>(names: &[S]) -> Result<Self, GraphError> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        if names.iter().any(String::is_empty) {
            return Err(GraphError::EmptyName);
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(GraphError::DuplicateNode {
                name: pair[0].clone(),
            });
        }
        let size = names.len();
        if size > MOST_NODES {
            return Err(GraphError::Limit {
                subject: "nodes of a graph with marks",
                limit: MOST_NODES,
            });
        }
        let (marks, adjacent) = (vec![None; size * size], vec![NodeSet::new(); size]);
        Ok(Self {
            names,
            marks,
            adjacent,
        })
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Tells whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
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
        let found = self.names.iter().position(|known| known == name);
        found
            .map(NodeId::new)
            .ok_or_else(|| GraphError::UnknownNode {
                name: name.to_owned(),
                known: crate::error::listed(self.names.iter().map(String::as_str)),
            })
    }

    /// The name of a node; empty for an index that this graph does not have.
    pub fn name(&self, node: NodeId) -> &str {
        self.names.get(node.index()).map_or("", String::as_str)
    }

    /// The names of a set's members, by index.
    pub fn names(&self, set: &NodeSet) -> Vec<&str> {
        set.iter().map(|node| self.name(node)).collect()
    }

    /// Joins two different nodes, replacing the edge that may be there; a loop and a node of another graph are
    /// passed over.
    pub fn join(&mut self, a: NodeId, b: NodeId, at_a: Mark, at_b: Mark) {
        if self.is_pair(a, b) {
            self.put(a, b, Some(at_b));
            self.put(b, a, Some(at_a));
            self.adjacent[a.index()].insert(b);
            self.adjacent[b.index()].insert(a);
        }
    }

    /// Joins two nodes by `from --> to`.
    pub fn join_directed(&mut self, from: NodeId, to: NodeId) {
        self.join(from, to, Mark::Tail, Mark::Arrow);
    }

    /// Joins two nodes by `a --- b`.
    pub fn join_undirected(&mut self, a: NodeId, b: NodeId) {
        self.join(a, b, Mark::Tail, Mark::Tail);
    }

    /// Removes the edge between two nodes.
    pub fn part(&mut self, a: NodeId, b: NodeId) {
        if self.is_pair(a, b) {
            self.put(a, b, None);
            self.put(b, a, None);
            self.adjacent[a.index()].remove(b);
            self.adjacent[b.index()].remove(a);
        }
    }

    /// Sets the mark at `at` of the edge from `from`; nothing happens where there is no edge.
    pub fn set_mark(&mut self, from: NodeId, at: NodeId, mark: Mark) {
        if self.are_adjacent(from, at) {
            self.put(from, at, Some(mark));
        }
    }

    /// The mark at `at` of the edge between `from` and `at`.
    #[inline]
    pub fn mark(&self, from: NodeId, at: NodeId) -> Option<Mark> {
        let size = self.names.len();
        if at.index() >= size {
            return None;
        }
        let place = from.index().checked_mul(size)?.checked_add(at.index())?;
        self.marks.get(place).copied().flatten()
    }

    fn put(&mut self, from: NodeId, at: NodeId, mark: Option<Mark>) {
        let place = from.index() * self.names.len() + at.index();
        self.marks[place] = mark;
    }

    /// Tells whether an edge joins the two.
    #[inline]
    pub fn are_adjacent(&self, a: NodeId, b: NodeId) -> bool {
        self.mark(a, b).is_some()
    }

    /// The nodes joined with this one.
    pub fn adjacent(&self, node: NodeId) -> &NodeSet {
        static NONE: OnceLock<NodeSet> = OnceLock::new();
        self.adjacent
            .get(node.index())
            .unwrap_or_else(|| NONE.get_or_init(NodeSet::new))
    }

    /// Tells whether the two are different nodes of this graph.
    fn is_pair(&self, a: NodeId, b: NodeId) -> bool {
        a != b && a.index().max(b.index()) < self.len()
    }

    /// Tells whether there is an edge `from --> to`.
    #[inline]
    pub fn is_directed(&self, from: NodeId, to: NodeId) -> bool {
        self.mark(from, to) == Some(Mark::Arrow) && self.mark(to, from) == Some(Mark::Tail)
    }

    /// Tells whether there is an edge `a --- b`.
    #[inline]
    pub fn is_undirected(&self, a: NodeId, b: NodeId) -> bool {
        self.mark(a, b) == Some(Mark::Tail) && self.mark(b, a) == Some(Mark::Tail)
    }

    /// Tells whether there is an edge `a <-> b`.
    #[inline]
    pub fn is_bidirected(&self, a: NodeId, b: NodeId) -> bool {
        self.mark(a, b) == Some(Mark::Arrow) && self.mark(b, a) == Some(Mark::Arrow)
    }

    /// The nodes with an edge `--> node`.
    pub fn parents(&self, node: NodeId) -> NodeSet {
        self.adjacent(node)
            .iter()
            .filter(|&other| self.is_directed(other, node))
            .collect()
    }

    /// The nodes with an edge `node -->`.
    pub fn children(&self, node: NodeId) -> NodeSet {
        self.adjacent(node)
            .iter()
            .filter(|&other| self.is_directed(node, other))
            .collect()
    }

    /// The nodes with an edge `---`.
    pub fn neighbours(&self, node: NodeId) -> NodeSet {
        self.adjacent(node)
            .iter()
            .filter(|&other| self.is_undirected(node, other))
            .collect()
    }

    /// The edges, ascending by their ends.
    pub fn edges(&self) -> impl Iterator<Item = MarkedEdge> + '_ {
        let pairs = self
            .ids()
            .flat_map(|a| self.adjacent(a).iter().map(move |b| (a, b)));
        pairs.filter(|(a, b)| a < b).filter_map(|(a, b)| {
            let (at_a, at_b) = (self.mark(b, a)?, self.mark(a, b)?);
            Some(MarkedEdge { a, at_a, at_b, b })
        })
    }

    fn quoted_name(&self, node: NodeId) -> String {
        quoted(self.name(node), is_bare)
    }

    /// An edge as text, such as `x o-> y`.
    pub fn edge_text(&self, edge: MarkedEdge) -> String {
        let left = match edge.at_a {
            Mark::Tail => '-',
            Mark::Arrow => '<',
            Mark::Circle => 'o',
        };
        let right = match edge.at_b {
            Mark::Tail => '-',
            Mark::Arrow => '>',
            Mark::Circle => 'o',
        };
        format!(
            "{} {left}-{right} {}",
            self.quoted_name(edge.a),
            self.quoted_name(edge.b)
        )
    }
}

impl fmt::Display for MarkedGraph {
    /// The edges, then the nodes without any; [`MarkedGraph::parse`] reads the same graph from it,
    /// its nodes in this order.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edges = self.edges().map(|edge| self.edge_text(edge));
        let alone = self.ids().filter(|&node| self.adjacent(node).is_empty());
        let alone = alone.map(|node| self.quoted_name(node));
        formatter.write_str(&edges.chain(alone).collect::<Vec<_>>().join("; "))
    }
}

impl fmt::Debug for MarkedGraph {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MarkedGraph({self})")
    }
}
