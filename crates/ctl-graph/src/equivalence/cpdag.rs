//! CPDAGs: what all DAGs with the same separations have in common.

use super::class::{self, Members};
use super::meek::{check_partially_directed, close_under_meek, extension};
use super::possible;
use crate::graph::MarkedGraph;
use crate::{Diagram, GraphError, NodeId, NodeSet};

/// Two nodes that are not joined, and their common child.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, equivalence::{Cpdag, VStructure, v_structures}};
///
/// let diagram = Diagram::parse("a -> c; b -> c")?;
/// let [first, second, collider] = ["a", "b", "c"].map(|name| diagram.node(name).unwrap());
/// let found = v_structures(Cpdag::of(&diagram)?.graph());
/// assert_eq!(found, [VStructure { first, collider, second }]);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VStructure {
    /// The parent of the smaller index.
    pub first: NodeId,
    /// The child.
    pub collider: NodeId,
    /// The parent of the larger index.
    pub second: NodeId,
}

/// The v-structures of a graph, ascending by child.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, equivalence::{Cpdag, v_structures}};
///
/// let diagram = Diagram::parse("disease -> image <- scanner; image -> reading")?;
/// let cpdag = Cpdag::of(&diagram)?;
/// let found = v_structures(cpdag.graph());
/// assert_eq!(found.len(), 1);
/// assert_eq!(diagram.name(found[0].collider), "image");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn v_structures(graph: &MarkedGraph) -> Vec<VStructure> {
    let mut found = Vec::new();
    for collider in graph.ids() {
        let parents = graph.parents(collider);
        for first in &parents {
            let apart = parents.difference(graph.adjacent(first));
            let later = apart.iter().filter(|&second| second > first);
            found.extend(later.map(|second| VStructure {
                first,
                collider,
                second,
            }));
        }
    }
    found
}

/// A completed partially directed acyclic graph, with one DAG of its class.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, equivalence::Cpdag};
///
/// let diagram = Diagram::parse("a -> b -> c; d -> c")?;
/// let cpdag = Cpdag::of(&diagram)?;
/// assert_eq!(cpdag.graph().to_string(), "a --- b; b --> c; c <-- d");
/// assert_eq!(cpdag.size(100)?, 2);
/// let (a, c) = (diagram.set(&["a"])?, diagram.set(&["c"])?);
/// // No set is valid in every member: whether a causes b is not known.
/// assert_eq!(cpdag.adjustment(&a, &c)?.one_minimal(), None);
/// assert_eq!(cpdag.possible_descendants(&a), diagram.set(&["a", "b", "c"])?);
/// assert_eq!(cpdag.definite_descendants(diagram.node("a")?), a);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpdag {
    graph: MarkedGraph,
    member: Diagram,
}

impl Cpdag {
    /// The CPDAG of a DAG.
    ///
    /// # Errors
    /// [`GraphError::WrongEdge`] for a diagram with bidirected edges.
    ///
    /// # References
    /// Meek (1995); Andersson, Madigan and Perlman (1997), theorem 4.1: skeleton and v-structures,
    /// closed under the orientation rules.
    pub fn of(diagram: &Diagram) -> Result<Self, GraphError> {
        let directed = marked(diagram)?;
        let mut graph = MarkedGraph::new(&names(diagram))?;
        for edge in directed.edges() {
            graph.join_undirected(edge.a, edge.b);
        }
        for found in v_structures(&directed) {
            graph.join_directed(found.first, found.collider);
            graph.join_directed(found.second, found.collider);
        }
        close_under_meek(&mut graph);
        Ok(Self {
            graph,
            member: diagram.clone(),
        })
    }

    /// The CPDAG of the class of a partially directed graph, as methods of discovery return it.
    ///
    /// # Returns
    /// The class of some DAG with these directions and v-structures, or nothing without any.
    ///
    /// # Errors
    /// [`GraphError::WrongEdge`] for an edge that is neither directed nor undirected.
    pub fn of_partial(graph: &MarkedGraph) -> Result<Option<Self>, GraphError> {
        check_partially_directed(graph)?;
        extension(graph)?
            .map(|member| Self::of(&member))
            .transpose()
    }

    /// The graph: directed where all members agree, undirected where they do not.
    pub fn graph(&self) -> &MarkedGraph {
        &self.graph
    }

    /// One DAG of the class.
    pub fn member(&self) -> &Diagram {
        &self.member
    }

    /// All DAGs of the class, one at a time; their latent nodes are those of [`Cpdag::member`].
    pub fn members(&self) -> Members {
        Members::new(self.graph.clone(), self.member.latent())
    }

    /// Number of DAGs of the class.
    ///
    /// # Arguments
    /// - `limit`: the largest number of parts of the graph to look into; each is a connected set of
    ///   undirected edges that remains when a source is fixed.
    ///
    /// # Errors
    /// [`GraphError::Limit`] when there are more parts, or more members than `u128` counts.
    ///
    /// # References
    /// He, Jia and Yu (2015), *Counting and exploring sizes of Markov equivalence classes*: every
    /// connected chordal part has exactly one source in each of its DAGs.
    pub fn size(&self, limit: usize) -> Result<u128, GraphError> {
        class::size(&self.graph, limit)
    }

    /// The nodes that descend from the set in some member, the set included.
    pub fn possible_descendants(&self, set: &NodeSet) -> NodeSet {
        possible::descendants(&self.graph, set)
    }

    /// The nodes that are ancestors of the set in some member, the set included.
    pub fn possible_ancestors(&self, set: &NodeSet) -> NodeSet {
        possible::ancestors(&self.graph, set)
    }

    /// The nodes that descend from a node in every member, itself included.
    pub fn definite_descendants(&self, node: NodeId) -> NodeSet {
        possible::definite_descendants(&self.graph, node)
    }
}

pub(super) fn names(diagram: &Diagram) -> Vec<&str> {
    diagram.ids().map(|node| diagram.name(node)).collect()
}

/// A DAG as a graph with marks.
pub(super) fn marked(diagram: &Diagram) -> Result<MarkedGraph, GraphError> {
    if let Some((a, b)) = diagram.bidirected_edges().next() {
        return Err(GraphError::WrongEdge {
            edge: format!("{} <-> {}", diagram.name(a), diagram.name(b)),
            expected: "expected a graph without bidirected edges",
        });
    }
    let mut graph = MarkedGraph::new(&names(diagram))?;
    diagram
        .directed_edges()
        .for_each(|(from, to)| graph.join_directed(from, to));
    Ok(graph)
}
