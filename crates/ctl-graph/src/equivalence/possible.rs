//! Ancestors and descendants in some and in all members of a class.

use std::collections::BTreeSet;

use crate::graph::{Mark, MarkedGraph};
use crate::{NodeId, NodeSet};

/// Tells whether an edge may lead from one node to the other: it has no arrowhead at `from`.
fn may_lead(graph: &MarkedGraph, from: NodeId, to: NodeId) -> bool {
    graph.mark(to, from).is_some_and(|mark| mark != Mark::Arrow)
}

/// What is reached by edges that may lead onwards, without entering the walls.
fn spread(
    graph: &MarkedGraph,
    start: &NodeSet,
    walls: &NodeSet,
    leads: impl Fn(NodeId, NodeId) -> bool,
) -> NodeSet {
    let mut reached: NodeSet = start
        .iter()
        .filter(|node| node.index() < graph.len())
        .collect();
    let mut open: Vec<NodeId> = reached.iter().collect();
    while let Some(node) = open.pop() {
        let next = graph.adjacent(node).iter();
        let next = next.filter(|&other| leads(node, other) && !walls.contains(other));
        open.extend(next.filter(|&other| reached.insert(other)));
    }
    reached
}

pub(super) fn descendants(graph: &MarkedGraph, set: &NodeSet) -> NodeSet {
    spread(graph, set, &NodeSet::new(), |from, to| {
        may_lead(graph, from, to)
    })
}

pub(super) fn ancestors(graph: &MarkedGraph, set: &NodeSet) -> NodeSet {
    spread(graph, set, &NodeSet::new(), |to, from| {
        may_lead(graph, from, to)
    })
}

/// The nodes that descend from `x` in some member by a path without a node of `walls`; `x` and the
/// walls are disjoint.
pub(crate) fn descendants_outside(graph: &MarkedGraph, x: &NodeSet, walls: &NodeSet) -> NodeSet {
    spread(graph, x, walls, |from, to| may_lead(graph, from, to))
}

/// The nodes on possibly directed paths that leave `x` for good by an undirected edge.
pub(crate) fn beyond_undirected(graph: &MarkedGraph, x: &NodeSet) -> NodeSet {
    let mut next = NodeSet::new();
    x.iter()
        .for_each(|node| next.extend_with(&graph.neighbours(node)));
    descendants_outside(graph, &next.difference(x), x)
}

/// The members of `x` from which a possibly directed path to `y` leaves `x` for good by an
/// undirected edge; `x` and `y` are disjoint.
pub(crate) fn undirected_causes(graph: &MarkedGraph, x: &NodeSet, y: &NodeSet) -> NodeSet {
    let before = spread(graph, y, x, |to, from| may_lead(graph, from, to));
    x.iter()
        .filter(|&node| !graph.neighbours(node).is_disjoint(&before))
        .collect()
}

/// The nodes outside `x` on possibly directed paths from `x` to `y` that meet `x` only at their
/// beginning.
pub(super) fn proper_causal_nodes(graph: &MarkedGraph, x: &NodeSet, y: &NodeSet) -> NodeSet {
    let after = spread(graph, x, x, |from, to| may_lead(graph, from, to)).difference(x);
    let before = spread(graph, y, x, |to, from| may_lead(graph, from, to));
    after.intersection(&before)
}

/// The nodes that descend from `x` in every member.
///
/// `x` is an ancestor of `y` in every member when the second nodes of the chordless possibly
/// directed paths from `x` to `y` hold a child of `x`, or two nodes that are not joined: not all
/// of them can be parents of `x` in one member.
///
/// References: Fang and He (2020), *IDA with background knowledge*, critical sets; Roumpelaki,
/// Borboudakis, Triantafillou and Tsamardinos (2016), *Marginal causal consistency*.
pub(super) fn definite_descendants(graph: &MarkedGraph, x: NodeId) -> NodeSet {
    let mut seconds = vec![NodeSet::new(); graph.len()];
    let mut seen = BTreeSet::new();
    let leads_from_x = graph
        .adjacent(x)
        .iter()
        .filter(|&node| may_lead(graph, x, node));
    let mut open: Vec<(NodeId, NodeId, NodeId)> =
        leads_from_x.map(|node| (node, x, node)).collect();
    while let Some((second, before, node)) = open.pop() {
        if !seen.insert((second, before, node)) {
            continue;
        }
        seconds[node.index()].insert(second);
        let on = graph.adjacent(node).iter().filter(|&next| {
            next != x
                && may_lead(graph, node, next)
                && !graph.are_adjacent(before, next)
                && !graph.are_adjacent(x, next)
        });
        open.extend(on.map(|next| (second, node, next)));
    }
    let definite = |set: &NodeSet| {
        !set.is_disjoint(&graph.children(x))
            || set
                .iter()
                .any(|a| set.iter().any(|b| a != b && !graph.are_adjacent(a, b)))
    };
    graph
        .ids()
        .filter(|&node| node == x || definite(&seconds[node.index()]))
        .collect()
}
