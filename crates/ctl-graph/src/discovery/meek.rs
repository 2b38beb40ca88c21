//! Meek's rules: the orientations that follow from some orientations.

use crate::graph::MarkedGraph;
use crate::{NodeId, NodeSet};

/// Orients undirected edges until no rule applies any more.
///
/// Every undirected edge is oriented that would otherwise close a directed cycle or make a new
/// collider between nodes that are not adjacent.
///
/// # References
/// Meek (1995), *Causal inference and causal explanation with background knowledge*, rules 1-4.
pub(crate) fn close(graph: &mut MarkedGraph) {
    loop {
        let undirected = graph
            .edges()
            .map(|edge| (edge.a, edge.b))
            .filter(|&(a, b)| graph.is_undirected(a, b));
        let forced: Vec<(NodeId, NodeId)> = undirected
            .flat_map(|(a, b)| [(a, b), (b, a)])
            .filter(|&(a, b)| is_forced(graph, a, b))
            .collect();
        if forced.is_empty() {
            return;
        }
        for (a, b) in forced {
            // Conflicting evidence may force both directions; the first stands.
            if graph.is_undirected(a, b) {
                graph.join_directed(a, b);
            }
        }
    }
}

/// Whether the undirected edge between `a` and `b` must point to `b`.
fn is_forced(graph: &MarkedGraph, a: NodeId, b: NodeId) -> bool {
    let (before_a, before_b) = (graph.parents(a), graph.parents(b));
    // 1: c -> a - b, c and b not adjacent.
    if before_a.iter().any(|c| c != b && !graph.are_adjacent(c, b)) {
        return true;
    }
    // 2: a -> c -> b.
    if !graph.children(a).is_disjoint(&before_b) {
        return true;
    }
    let around = graph.neighbours(a);
    // 3: a - c -> b and a - d -> b, c and d not adjacent.
    let between: NodeSet = around.intersection(&before_b);
    let apart = |c: NodeId| between.iter().any(|d| d != c && !graph.are_adjacent(c, d));
    if between.iter().any(apart) {
        return true;
    }
    // 4: a - d -> c -> b, d and b not adjacent, a and c adjacent.
    before_b.iter().any(|c| {
        let start = |d: NodeId| d != b && graph.is_directed(d, c) && !graph.are_adjacent(d, b);
        graph.are_adjacent(a, c) && around.iter().any(start)
    })
}

/// The graph of the Markov equivalence class of a graph whose edges are all directed.
pub(crate) fn class_of(dag: &MarkedGraph) -> MarkedGraph {
    let mut class = dag.clone();
    for edge in dag.edges() {
        class.join_undirected(edge.a, edge.b);
    }
    for node in dag.ids() {
        let parents = dag.parents(node);
        for parent in &parents {
            let apart = |other: NodeId| other != parent && !dag.are_adjacent(parent, other);
            if parents.iter().any(apart) {
                class.join_directed(parent, node);
            }
        }
    }
    close(&mut class);
    class
}

/// A directed graph with the adjacencies, the directed edges and the unshielded colliders of a
/// partly directed one; `None` when there is none.
///
/// # References
/// Dor and Tarsi (1992), *A simple algorithm to construct a consistent extension*.
pub(crate) fn extension(graph: &MarkedGraph) -> Option<MarkedGraph> {
    let mut result = graph.clone();
    let mut rest = graph.clone();
    let mut left: NodeSet = graph.ids().collect();
    while !left.is_empty() {
        let sink = left.iter().find(|&node| is_sink(&rest, node))?;
        for neighbour in &rest.neighbours(sink) {
            result.join_directed(neighbour, sink);
        }
        for other in &rest.adjacent(sink).clone() {
            rest.part(sink, other);
        }
        left.remove(sink);
    }
    Some(result)
}

fn is_sink(graph: &MarkedGraph, node: NodeId) -> bool {
    let adjacent = graph.adjacent(node);
    let covered = |neighbour: NodeId| {
        let mut reach = graph.adjacent(neighbour).clone();
        reach.insert(neighbour);
        adjacent.is_subset(&reach)
    };
    graph.children(node).is_empty() && graph.neighbours(node).iter().all(covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(size: usize, directed: &[(usize, usize)]) -> MarkedGraph {
        let names: Vec<String> = (0..size).map(|i| i.to_string()).collect();
        let mut graph = MarkedGraph::new(&names).unwrap();
        for &(a, b) in directed {
            graph.join_directed(NodeId::new(a), NodeId::new(b));
        }
        graph
    }

    #[test]
    fn classes_keep_colliders_and_what_follows_from_them() {
        assert_eq!(
            class_of(&graph(3, &[(0, 1), (1, 2)])).to_string(),
            "0 --- 1; 1 --- 2"
        );
        let collider = graph(4, &[(0, 1), (2, 1), (1, 3)]);
        assert_eq!(class_of(&collider), collider);
        let diamond = class_of(&graph(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]));
        assert_eq!(diamond.to_string(), "0 --- 1; 0 --- 2; 1 --> 3; 2 --> 3");
    }

    #[test]
    fn an_extension_is_in_the_class() {
        for edges in [
            vec![(0, 1), (1, 2), (0, 2), (2, 3)],
            vec![(0, 1), (2, 1), (1, 3), (3, 4), (0, 4)],
        ] {
            let class = class_of(&graph(5, &edges));
            let member = extension(&class).unwrap();
            assert!(member.edges().all(|e| !member.is_undirected(e.a, e.b)));
            assert_eq!(class_of(&member), class);
        }
    }

    #[test]
    fn a_chordless_undirected_cycle_has_no_extension() {
        let mut cycle = graph(4, &[]);
        for i in 0..4 {
            cycle.join_undirected(NodeId::new(i), NodeId::new((i + 1) % 4));
        }
        assert!(extension(&cycle).is_none());
    }
}
