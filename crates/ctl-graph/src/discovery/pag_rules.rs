//! The orientation rules of partial ancestral graphs without selection bias.

use std::collections::{BTreeSet, VecDeque};

use super::skeleton::{Separators, separator};
use crate::graph::{Mark, MarkedGraph};
use crate::{NodeId, NodeSet};

/// Applies the rules R1-R4 and R8-R10 until none changes a mark.
///
/// # References
/// Zhang (2008), section 3.
pub(crate) fn close(graph: &mut MarkedGraph, separators: &Separators) {
    loop {
        let mut changed = false;
        let edges: Vec<(NodeId, NodeId)> = graph
            .edges()
            .flat_map(|edge| [(edge.a, edge.b), (edge.b, edge.a)])
            .collect();
        for &(a, c) in &edges {
            if graph.mark(a, c) == Some(Mark::Circle) {
                changed |= arrowhead(graph, a, c) || discriminating(graph, separators, a, c);
            }
        }
        for &(a, c) in &edges {
            let partly = graph.mark(c, a) == Some(Mark::Circle);
            if partly && graph.mark(a, c) == Some(Mark::Arrow) && tail(graph, a, c) {
                graph.set_mark(c, a, Mark::Tail);
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

fn into(graph: &MarkedGraph, from: NodeId, to: NodeId) -> bool {
    graph.mark(from, to) == Some(Mark::Arrow)
}

fn circle(graph: &MarkedGraph, from: NodeId, to: NodeId) -> bool {
    graph.mark(from, to) == Some(Mark::Circle)
}

/// Rules 1-3 on the circle at `c` of the edge from `a`.
fn arrowhead(graph: &mut MarkedGraph, a: NodeId, c: NodeId) -> bool {
    // 1: some b with b *-> a o-* c and b, c not adjacent. Here the circle is at c: d *-> c' holds
    // for the edge read from its other end, with the circle at the node that the arrow reaches.
    let others = graph.adjacent(c).clone();
    let reached = |b: NodeId| b != a && into(graph, b, c) && !graph.are_adjacent(b, a);
    if others.iter().any(reached) {
        graph.set_mark(a, c, Mark::Tail);
        graph.set_mark(c, a, Mark::Arrow);
        return true;
    }
    if second(graph, a, c) || third(graph, a, c) {
        graph.set_mark(a, c, Mark::Arrow);
        return true;
    }
    false
}

/// Rule 2: `a -> b *-> c` or `a *-> b -> c` makes `a *-> c`.
fn second(graph: &MarkedGraph, a: NodeId, c: NodeId) -> bool {
    graph
        .adjacent(a)
        .intersection(graph.adjacent(c))
        .iter()
        .any(|b| {
            into(graph, a, b)
                && into(graph, b, c)
                && (graph.is_directed(a, b) || graph.is_directed(b, c))
        })
}

/// Rule 3: `x *-> c <-* y`, `x *-o a o-* y`, x and y not adjacent, makes `a *-> c`.
fn third(graph: &MarkedGraph, a: NodeId, c: NodeId) -> bool {
    let shared = graph.adjacent(a).intersection(graph.adjacent(c));
    let fits = |x: &NodeId| into(graph, *x, c) && circle(graph, *x, a);
    let fitting: Vec<NodeId> = shared.iter().filter(fits).collect();
    fitting
        .iter()
        .any(|&x| fitting.iter().any(|&y| x != y && !graph.are_adjacent(x, y)))
}

/// Rule 4 on the edge `b o-* c` with the circle at `b`: a discriminating path for `b`.
fn discriminating(graph: &mut MarkedGraph, separators: &Separators, c: NodeId, b: NodeId) -> bool {
    let Some((end, before)) = path_end(graph, b, c) else {
        return false;
    };
    let separated = separator(separators, end, c).is_some_and(|set| set.contains(b));
    if separated {
        graph.set_mark(c, b, Mark::Tail);
        graph.set_mark(b, c, Mark::Arrow);
    } else {
        graph.set_mark(before, b, Mark::Arrow);
        graph.set_mark(b, before, Mark::Arrow);
        graph.set_mark(c, b, Mark::Arrow);
        graph.set_mark(b, c, Mark::Arrow);
    }
    true
}

/// The far end of a shortest discriminating path for `b` to `c`, and the node before `b` on it.
///
/// Every node between is a collider on the path and a parent of `c`; the end is not adjacent
/// to `c`.
fn path_end(graph: &MarkedGraph, b: NodeId, c: NodeId) -> Option<(NodeId, NodeId)> {
    let between = |v: NodeId| graph.is_directed(v, c);
    let starts = graph
        .adjacent(b)
        .iter()
        .filter(|&a| between(a) && into(graph, b, a));
    let mut queue: VecDeque<(NodeId, NodeId)> = starts.map(|a| (a, a)).collect();
    let mut seen: NodeSet = queue.iter().map(|&(a, _)| a).collect();
    seen.insert(b);
    while let Some((node, first)) = queue.pop_front() {
        for next in graph.adjacent(node) {
            if next == c || seen.contains(next) || !into(graph, next, node) {
                continue;
            }
            if !graph.are_adjacent(next, c) {
                return Some((next, first));
            }
            if between(next) && into(graph, node, next) {
                seen.insert(next);
                queue.push_back((next, first));
            }
        }
    }
    None
}

/// Rules 8-10: whether `a o-> c` is `a -> c`.
fn tail(graph: &MarkedGraph, a: NodeId, c: NodeId) -> bool {
    // 8: a -> b -> c.
    let mut through = graph.adjacent(a).iter();
    if through.any(|b| graph.is_directed(a, b) && graph.is_directed(b, c)) {
        return true;
    }
    // 9: an uncovered potentially directed path that leaves towards a node not adjacent to c.
    let starts = graph
        .adjacent(a)
        .iter()
        .filter(|&b| b != c && potentially_directed(graph, a, b) && !graph.are_adjacent(b, c));
    let starts: NodeSet = starts.collect();
    if starts.iter().any(|b| uncovered(graph, a, b, c)) {
        return true;
    }
    tenth(graph, a, c)
}

/// Rule 10: uncovered potentially directed paths to two parents of `c`, whose first nodes differ
/// and are not adjacent.
fn tenth(graph: &MarkedGraph, a: NodeId, c: NodeId) -> bool {
    let parents = graph.parents(c);
    let firsts = |parent: NodeId| -> NodeSet {
        let leaves = |m: &NodeId| *m != c && potentially_directed(graph, a, *m);
        let nodes = graph.adjacent(a).iter().filter(leaves);
        nodes
            .filter(|&m| m == parent || uncovered(graph, a, m, parent))
            .collect()
    };
    let reached: Vec<NodeSet> = parents.iter().filter(|&p| p != a).map(firsts).collect();
    reached.iter().enumerate().any(|(index, left)| {
        reached[..index].iter().any(|right| {
            left.iter()
                .any(|m| right.iter().any(|o| m != o && !graph.are_adjacent(m, o)))
        })
    })
}

/// Whether some member of the class may have the edge directed so.
fn potentially_directed(graph: &MarkedGraph, from: NodeId, to: NodeId) -> bool {
    graph.mark(to, from) != Some(Mark::Arrow) && graph.mark(from, to) != Some(Mark::Tail)
}

/// Whether an uncovered potentially directed path leads from `start` by `first` to `end`.
fn uncovered(graph: &MarkedGraph, start: NodeId, first: NodeId, end: NodeId) -> bool {
    let mut seen = BTreeSet::from([(start, first)]);
    let mut queue = VecDeque::from([(start, first)]);
    while let Some((before, node)) = queue.pop_front() {
        for next in graph.adjacent(node) {
            let admissible = next != start
                && next != before
                && !graph.are_adjacent(before, next)
                && potentially_directed(graph, node, next);
            if admissible && next == end {
                return true;
            }
            if admissible && seen.insert((node, next)) {
                queue.push_back((node, next));
            }
        }
    }
    false
}
