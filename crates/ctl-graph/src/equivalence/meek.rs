//! Meek's orientation rules.

use crate::graph::MarkedGraph;
use crate::{Diagram, GraphError, NodeId, NodeSet};

/// Directs every undirected edge whose direction follows from the others, by Meek's four rules.
///
/// An edge whose direction would close a directed cycle stays undirected. That happens only where
/// the given directions contradict each other, as those found in data may.
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
    let mut partial = Partial::of(graph);
    loop {
        let before = partial.made.len();
        partial.away_from_parents();
        partial.along_paths();
        partial.by(Partial::has_two_ways);
        partial.by(Partial::has_a_long_way);
        if partial.made.len() == before {
            break;
        }
    }
    for (from, to) in partial.made {
        graph.join_directed(from, to);
    }
}

/// Parents, children and undirected neighbours as sets.
struct Partial {
    parents: Vec<NodeSet>,
    children: Vec<NodeSet>,
    neighbours: Vec<NodeSet>,
    adjacent: Vec<NodeSet>,
    /// The edges that were directed, in that order.
    made: Vec<(NodeId, NodeId)>,
}

impl Partial {
    fn of(graph: &MarkedGraph) -> Self {
        let adjacent = |node| graph.adjacent(node).clone();
        Self {
            parents: graph.ids().map(|node| graph.parents(node)).collect(),
            children: graph.ids().map(|node| graph.children(node)).collect(),
            neighbours: graph.ids().map(|node| graph.neighbours(node)).collect(),
            adjacent: graph.ids().map(adjacent).collect(),
            made: Vec::new(),
        }
    }

    /// Makes `from - to` into `from -> to`, unless that closes a cycle.
    fn direct(&mut self, from: NodeId, to: NodeId) {
        if !self.neighbours[from.index()].contains(to) || self.leads(to, from) {
            return;
        }
        self.neighbours[from.index()].remove(to);
        self.neighbours[to.index()].remove(from);
        self.children[from.index()].insert(to);
        self.parents[to.index()].insert(from);
        self.made.push((from, to));
    }

    /// Tells whether a directed path leads from one node to another.
    fn leads(&self, from: NodeId, to: NodeId) -> bool {
        let (mut seen, mut open) = (NodeSet::single(from), vec![from]);
        while let Some(node) = open.pop() {
            if node == to {
                return true;
            }
            let children = self.children[node.index()].iter();
            open.extend(children.filter(|&child| seen.insert(child)));
        }
        false
    }

    /// Rule 1: `b - c` behind `a -> b`, `a` and `c` apart, becomes `b -> c`.
    fn away_from_parents(&mut self) {
        for a in 0..self.adjacent.len() {
            for b in &self.adjacent[a].clone() {
                // Asked for each, since children are added on the way.
                if self.children[a].contains(b) {
                    let apart = self.neighbours[b.index()].difference(&self.adjacent[a]);
                    apart.iter().for_each(|c| self.direct(b, c));
                }
            }
        }
    }

    /// Rule 2: `a - c` beside `a -> b -> c` becomes `a -> c`.
    fn along_paths(&mut self) {
        for a in 0..self.adjacent.len() {
            for b in &self.adjacent[a].clone() {
                if self.children[a].contains(b) {
                    let ends = self.children[b.index()].intersection(&self.neighbours[a]);
                    ends.iter().for_each(|c| self.direct(NodeId::new(a), c));
                }
            }
        }
    }

    /// Directs the edges for which a rule holds.
    fn by(&mut self, rule: fn(&Self, usize, usize) -> bool) {
        for a in 0..self.adjacent.len() {
            for b in &self.neighbours[a].clone() {
                if rule(self, a, b.index()) {
                    self.direct(NodeId::new(a), b);
                }
            }
        }
    }

    /// Rule 3: `a - c -> b` and `a - d -> b`, c and d apart.
    fn has_two_ways(&self, a: usize, b: usize) -> bool {
        let into_b = self.neighbours[a].intersection(&self.parents[b]);
        into_b.iter().any(|c| {
            let beside = |d: NodeId| d == c || self.adjacent[c.index()].contains(d);
            !into_b.iter().all(beside)
        })
    }

    /// Rule 4: `a - d -> c -> b`, a and c joined, d and b apart.
    fn has_a_long_way(&self, a: usize, b: usize) -> bool {
        let last = self.parents[b].intersection(&self.adjacent[a]);
        last.iter().any(|c| {
            let before = self.parents[c.index()].intersection(&self.neighbours[a]);
            !before.is_subset(&self.adjacent[b])
        })
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
    to_dag(&result, &NodeSet::new()).map(Some)
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
pub(super) fn to_dag(graph: &MarkedGraph, latent: &NodeSet) -> Result<Diagram, GraphError> {
    let mut builder = Diagram::builder();
    for node in graph.ids() {
        builder.declare(graph.name(node))?;
        builder.set_observed(graph.name(node), !latent.contains(node))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_direction_closes_a_cycle() {
        // Behind a -> b the edge b - c had to leave b, but c -> d -> a -> b leads back to it.
        let mut graph = MarkedGraph::parse("a --> b; b --- c; c --> d; d --> a").unwrap();
        let before = graph.clone();
        close_under_meek(&mut graph);
        assert_eq!(graph, before);
    }

    #[test]
    fn each_rule_directs_an_edge() {
        for (text, from, to) in [
            ("c --> a; a --- b", "a", "b"),
            ("a --> c; c --> b; a --- b", "a", "b"),
            ("a --- c; c --> b; a --- d; d --> b; a --- b", "a", "b"),
            ("a --- d; d --> c; c --> b; a --- c; a --- b", "a", "b"),
        ] {
            let mut graph = MarkedGraph::parse(text).unwrap();
            close_under_meek(&mut graph);
            let (from, to) = (graph.node(from).unwrap(), graph.node(to).unwrap());
            assert!(graph.is_directed(from, to), "{text}: {graph}");
        }
    }
}
