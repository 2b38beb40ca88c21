//! Meek's orientation rules.

use crate::graph::MarkedGraph;
use crate::{Diagram, GraphError, NodeId, NodeSet};

/// Directs every undirected edge whose direction follows from the others, by Meek's four rules.
///
/// # Arguments
/// - `graph`: directed and undirected edges; others are left alone.
///
/// # References
/// Meek (1995), *Causal inference and causal explanation with background knowledge*, rules 1 to 4.
///
/// # Examples
///
/// ```
/// use ctl_graph::{equivalence::close_under_meek, graph::MarkedGraph};
///
/// let mut graph = MarkedGraph::new(&["a", "b", "c"])?;
/// let (a, b, c) = (graph.node("a")?, graph.node("b")?, graph.node("c")?);
/// graph.join_directed(a, b);
/// graph.join_undirected(b, c);
/// close_under_meek(&mut graph);
/// assert_eq!(graph.to_string(), "a --> b; b --> c");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn close_under_meek(graph: &mut MarkedGraph) {
    let mut view = Partial::of(graph);
    let mut open: Vec<(NodeId, NodeId)> = view.undirected_pairs();
    let mut changed = true;
    while changed {
        changed = false;
        open.retain(|&(a, b)| {
            for (from, to) in [(a, b), (b, a)] {
                if view.follows(from, to) {
                    view.direct(from, to);
                    graph.join_directed(from, to);
                    changed = true;
                    return false;
                }
            }
            true
        });
    }
}

/// Parents, children and undirected neighbours as sets.
struct Partial {
    parents: Vec<NodeSet>,
    children: Vec<NodeSet>,
    neighbours: Vec<NodeSet>,
    adjacent: Vec<NodeSet>,
}

impl Partial {
    fn of(graph: &MarkedGraph) -> Self {
        Self {
            parents: graph.ids().map(|node| graph.parents(node)).collect(),
            children: graph.ids().map(|node| graph.children(node)).collect(),
            neighbours: graph.ids().map(|node| graph.neighbours(node)).collect(),
            adjacent: graph
                .ids()
                .map(|node| graph.adjacent(node).clone())
                .collect(),
        }
    }

    fn undirected_pairs(&self) -> Vec<(NodeId, NodeId)> {
        let nodes = (0..self.neighbours.len()).map(NodeId::new);
        let pairs = nodes.flat_map(|a| self.neighbours[a.index()].iter().map(move |b| (a, b)));
        pairs.filter(|(a, b)| a < b).collect()
    }

    fn direct(&mut self, from: NodeId, to: NodeId) {
        self.neighbours[from.index()].remove(to);
        self.neighbours[to.index()].remove(from);
        self.children[from.index()].insert(to);
        self.parents[to.index()].insert(from);
    }

    /// Tells whether some rule directs `from - to` to `from -> to`.
    fn follows(&self, from: NodeId, to: NodeId) -> bool {
        let (a, b) = (from.index(), to.index());
        let beside_b = |node: NodeId| self.adjacent[b].contains(node);
        // Rule 1: c -> a - b, c and b apart.
        if self.parents[a].iter().any(|c| !beside_b(c)) {
            return true;
        }
        // Rule 2: a -> c -> b.
        if !self.children[a].is_disjoint(&self.parents[b]) {
            return true;
        }
        // Rule 3: a - c -> b and a - d -> b, c and d apart.
        let into_b = self.neighbours[a].intersection(&self.parents[b]);
        if into_b.iter().any(|c| !self.within_adjacent(&into_b, c)) {
            return true;
        }
        // Rule 4: a - d -> c -> b, a and c joined, d and b apart.
        let last = self.parents[b].intersection(&self.adjacent[a]);
        last.iter().any(|c| {
            let before = self.parents[c.index()].intersection(&self.neighbours[a]);
            before.iter().any(|d| !beside_b(d))
        })
    }

    fn within_adjacent(&self, set: &NodeSet, node: NodeId) -> bool {
        set.iter()
            .all(|other| other == node || self.adjacent[node.index()].contains(other))
    }
}

/// A DAG with the directions, the adjacencies and the v-structures of a partially directed graph.
///
/// # Arguments
/// - `graph`: directed and undirected edges only.
///
/// # Returns
/// The DAG, or nothing where there is none.
///
/// # Errors
/// [`GraphError::WrongEdge`] for an edge with other marks.
///
/// # Complexity
/// Cubic in the number of nodes at worst.
///
/// # References
/// Dor and Tarsi (1992), *A simple algorithm to construct a consistent extension of a partially
/// oriented graph*.
///
/// # Examples
///
/// ```
/// use ctl_graph::{equivalence::extension, graph::MarkedGraph};
///
/// let mut graph = MarkedGraph::new(&["a", "b", "c", "d"])?;
/// let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| graph.node(name).unwrap());
/// graph.join_directed(a, b);
/// graph.join_undirected(b, c);
/// assert_eq!(extension(&graph)?.unwrap().to_string(), "a; b; c; d; a -> b; b -> c");
/// // A cycle of four without chords has no DAG without a new v-structure.
/// for (from, to) in [(a, b), (b, c), (c, d), (d, a)] {
///     graph.join_undirected(from, to);
/// }
/// assert_eq!(extension(&graph)?, None);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn extension(graph: &MarkedGraph) -> Result<Option<Diagram>, GraphError> {
    check_partially_directed(graph)?;
    let mut result = graph.clone();
    let mut left: NodeSet = graph.ids().collect();
    while !left.is_empty() {
        let Some(sink) = left.iter().find(|&node| is_free_sink(graph, node, &left)) else {
            return Ok(None);
        };
        for other in &graph.neighbours(sink).intersection(&left) {
            result.join_directed(other, sink);
        }
        left.remove(sink);
    }
    to_dag(&result).map(Some)
}

/// Tells whether a node has no child left, and its neighbours are joined with all around it.
fn is_free_sink(graph: &MarkedGraph, node: NodeId, left: &NodeSet) -> bool {
    let around = graph.adjacent(node).intersection(left);
    graph.children(node).is_disjoint(left)
        && graph
            .neighbours(node)
            .intersection(left)
            .iter()
            .all(|neighbour| {
                let mut others = around.clone();
                others.remove(neighbour);
                others.is_subset(graph.adjacent(neighbour))
            })
}

pub(super) fn check_partially_directed(graph: &MarkedGraph) -> Result<(), GraphError> {
    let wrong = graph.edges().find(|edge| {
        let (a, b) = (edge.a, edge.b);
        !(graph.is_directed(a, b) || graph.is_directed(b, a) || graph.is_undirected(a, b))
    });
    match wrong {
        None => Ok(()),
        Some(edge) => Err(GraphError::WrongEdge {
            edge: graph.edge_text(edge),
            expected: "expected directed and undirected edges only",
        }),
    }
}

/// The diagram of a graph in which every edge is directed.
pub(super) fn to_dag(graph: &MarkedGraph) -> Result<Diagram, GraphError> {
    let mut builder = Diagram::builder();
    for node in graph.ids() {
        builder.declare(graph.name(node))?;
    }
    for edge in graph.edges() {
        let (from, to) = if graph.is_directed(edge.a, edge.b) {
            (edge.a, edge.b)
        } else {
            (edge.b, edge.a)
        };
        builder.add_directed(graph.name(from), graph.name(to))?;
    }
    builder.build()
}
