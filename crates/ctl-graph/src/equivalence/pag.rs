//! The orientation rules of FCI.

use std::collections::BTreeSet;

use crate::graph::{Mark, MarkedGraph};
use crate::{NodeId, NodeSet};

/// What is known about the sets that separate pairs which are not joined.
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, equivalence::{Separations, orient_pag}, graph::{Mark, MarkedGraph}};
///
/// struct Nothing;
/// impl Separations for Nothing {
///     fn separator_holds(&self, _a: NodeId, _b: NodeId, _node: NodeId) -> bool {
///         false
///     }
/// }
/// let mut graph = MarkedGraph::new(&["a", "b", "c"])?;
/// let (a, b, c) = (graph.node("a")?, graph.node("b")?, graph.node("c")?);
/// graph.join(a, c, Mark::Circle, Mark::Circle);
/// graph.join(b, c, Mark::Circle, Mark::Circle);
/// orient_pag(&mut graph, &Nothing);
/// assert_eq!(graph.to_string(), "a o-> c; b o-> c");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub trait Separations {
    /// Tells whether the set that was found to separate `a` and `b` holds the node.
    fn separator_holds(&self, a: NodeId, b: NodeId, node: NodeId) -> bool;
}

/// Orients a skeleton whose marks are all circles: unshielded colliders first, then Zhang's rules
/// 1 to 4 and 8 to 10 until nothing changes.
///
/// Rules 5 to 7 concern selection only, of which there is none here.
///
/// # Arguments
/// - `graph`: the skeleton.
/// - `separations`: which nodes separate the pairs that are not joined.
///
/// # References
/// Zhang (2008), *On the completeness of orientation rules for causal discovery in the presence of
/// latent confounders and selection bias*, section 3.
///
/// # Examples
///
/// Two independent causes of `x` show that `x` causes `y`:
///
/// ```
/// use ctl_graph::{NodeId, equivalence::{Separations, orient_pag}, graph::{Mark, MarkedGraph}};
///
/// let mut graph = MarkedGraph::new(&["z", "w", "x", "y"])?;
/// let [z, w, x, y] = ["z", "w", "x", "y"].map(|name| graph.node(name).unwrap());
/// for (a, b) in [(z, x), (w, x), (x, y)] {
///     graph.join(a, b, Mark::Circle, Mark::Circle);
/// }
/// /// The first two are apart given nothing, all other pairs given the third.
/// struct Found(NodeId, NodeId, NodeId);
/// impl Separations for Found {
///     fn separator_holds(&self, a: NodeId, b: NodeId, node: NodeId) -> bool {
///         node == self.2 && (a, b) != (self.0, self.1) && (b, a) != (self.0, self.1)
///     }
/// }
/// orient_pag(&mut graph, &Found(z, w, x));
/// assert_eq!(graph.to_string(), "z o-> x; w o-> x; x --> y");
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
pub fn orient_pag(graph: &mut MarkedGraph, separations: &impl Separations) {
    orient_colliders(graph, separations);
    let mut changed = true;
    while changed {
        changed = false;
        for (a, b) in ordered_pairs(graph) {
            changed |= spread_from(graph, a, b) | join_colliders(graph, a, b);
            changed |= discriminate(graph, separations, a, b);
            changed |= place_tail(graph, a, b);
        }
    }
}

fn ordered_pairs(graph: &MarkedGraph) -> Vec<(NodeId, NodeId)> {
    let pairs = graph
        .ids()
        .flat_map(|a| graph.adjacent(a).iter().map(move |b| (a, b)));
    pairs.collect()
}

fn has(graph: &MarkedGraph, from: NodeId, at: NodeId, mark: Mark) -> bool {
    graph.mark(from, at) == Some(mark)
}

/// Rule 0.
fn orient_colliders(graph: &mut MarkedGraph, separations: &impl Separations) {
    for middle in graph.ids() {
        let around: Vec<NodeId> = graph.adjacent(middle).iter().collect();
        for (i, &a) in around.iter().enumerate() {
            for &b in &around[i + 1..] {
                if !graph.are_adjacent(a, b) && !separations.separator_holds(a, b, middle) {
                    graph.set_mark(a, middle, Mark::Arrow);
                    graph.set_mark(b, middle, Mark::Arrow);
                }
            }
        }
    }
}

/// Rules 1 and 2 at the edge between `a` and `b`.
fn spread_from(graph: &mut MarkedGraph, a: NodeId, b: NodeId) -> bool {
    let mut changed = false;
    // Rule 1: c *-> a o-* b, c and b apart.
    if has(graph, b, a, Mark::Circle) {
        let into = graph.adjacent(a).iter();
        let mut into = into.filter(|&c| c != b && has(graph, c, a, Mark::Arrow));
        if into.any(|c| !graph.are_adjacent(c, b)) {
            graph.join_directed(a, b);
            changed = true;
        }
    }
    // Rule 2: a -> c *-> b or a *-> c -> b, where a *-o b.
    if has(graph, a, b, Mark::Circle) {
        let between = graph.adjacent(a).intersection(graph.adjacent(b));
        let leads = |c: NodeId| {
            (graph.is_directed(a, c) && has(graph, c, b, Mark::Arrow))
                || (has(graph, a, c, Mark::Arrow) && graph.is_directed(c, b))
        };
        if between.iter().any(leads) {
            graph.set_mark(a, b, Mark::Arrow);
            changed = true;
        }
    }
    changed
}

/// Rule 3: c *-> b <-* d, c *-o a o-* d, c and d apart, where a *-o b.
fn join_colliders(graph: &mut MarkedGraph, a: NodeId, b: NodeId) -> bool {
    if !has(graph, a, b, Mark::Circle) {
        return false;
    }
    let both = graph.adjacent(a).intersection(graph.adjacent(b));
    let fitting = |&c: &NodeId| has(graph, c, b, Mark::Arrow) && has(graph, c, a, Mark::Circle);
    let fitting: NodeSet = both.iter().filter(fitting).collect();
    let apart = fitting.iter().any(|c| {
        let others = fitting.difference(graph.adjacent(c));
        others.iter().any(|d| d != c)
    });
    if apart {
        graph.set_mark(a, b, Mark::Arrow);
    }
    apart
}

/// Rule 4: a discriminating path for `b` that ends in `b o-* c`.
fn discriminate(
    graph: &mut MarkedGraph,
    separations: &impl Separations,
    b: NodeId,
    c: NodeId,
) -> bool {
    if !has(graph, c, b, Mark::Circle) {
        return false;
    }
    let Some((start, before)) = discriminating(graph, b, c) else {
        return false;
    };
    if separations.separator_holds(start, c, b) {
        graph.join_directed(b, c);
    } else {
        graph.join(before, b, Mark::Arrow, Mark::Arrow);
        graph.join(b, c, Mark::Arrow, Mark::Arrow);
    }
    true
}

/// The first node of a discriminating path for `b` to `c`, and the node before `b` on it.
fn discriminating(graph: &MarkedGraph, b: NodeId, c: NodeId) -> Option<(NodeId, NodeId)> {
    let inner = |node: NodeId, next: NodeId| {
        graph.is_directed(node, c) && has(graph, next, node, Mark::Arrow)
    };
    let last = graph
        .adjacent(b)
        .iter()
        .filter(|&node| node != c && inner(node, b));
    for before in last {
        let mut met: NodeSet = [before, b, c].into_iter().collect();
        let mut open = vec![before];
        while let Some(node) = open.pop() {
            let into = graph.adjacent(node).iter();
            let into = into.filter(|&other| has(graph, other, node, Mark::Arrow));
            for other in into.collect::<Vec<_>>() {
                if met.contains(other) {
                    continue;
                }
                if !graph.are_adjacent(other, c) {
                    return Some((other, before));
                }
                if inner(other, node) {
                    met.insert(other);
                    open.push(other);
                }
            }
        }
    }
    None
}

/// Rules 8, 9 and 10, which turn `a o-> c` into `a -> c`.
fn place_tail(graph: &mut MarkedGraph, a: NodeId, c: NodeId) -> bool {
    if !has(graph, a, c, Mark::Arrow) || !has(graph, c, a, Mark::Circle) {
        return false;
    }
    let follows = by_chain(graph, a, c) || by_uncovered_paths(graph, a, c);
    if follows {
        graph.set_mark(c, a, Mark::Tail);
    }
    follows
}

/// Rule 8: a -> b -> c, or a -o b -> c.
fn by_chain(graph: &MarkedGraph, a: NodeId, c: NodeId) -> bool {
    graph.adjacent(a).iter().any(|b| {
        let out_of_a = has(graph, b, a, Mark::Tail) && !has(graph, a, b, Mark::Tail);
        out_of_a && graph.is_directed(b, c)
    })
}

/// Rule 9, an uncovered possibly directed path from `a` to `c` whose second node is apart from `c`;
/// rule 10, two such paths to different parents of `c` whose second nodes are apart.
fn by_uncovered_paths(graph: &MarkedGraph, a: NodeId, c: NodeId) -> bool {
    let parents = graph.parents(c);
    let seconds = graph.adjacent(a).iter();
    let seconds = seconds.filter(|&node| node != c && may_lead(graph, a, node));
    let ends: Vec<(NodeId, NodeSet)> = seconds
        .map(|second| (second, uncovered(graph, a, second, c)))
        .collect();
    let ninth = |(second, reached): &(NodeId, NodeSet)| {
        !graph.are_adjacent(*second, c) && reached.contains(c)
    };
    let tenth = |(first, second): (&(NodeId, NodeSet), &(NodeId, NodeSet))| {
        let (one, two) = (
            first.1.intersection(&parents),
            second.1.intersection(&parents),
        );
        let different = one.len() > 1 || one != two;
        !graph.are_adjacent(first.0, second.0) && !one.is_empty() && !two.is_empty() && different
    };
    let later = |(i, one)| ends[i + 1..].iter().map(move |two| (one, two));
    ends.iter().any(ninth) || ends.iter().enumerate().flat_map(later).any(tenth)
}

/// Tells whether an edge is neither into `from` nor out of `to`.
fn may_lead(graph: &MarkedGraph, from: NodeId, to: NodeId) -> bool {
    !has(graph, to, from, Mark::Arrow) && !has(graph, from, to, Mark::Tail)
}

/// The ends of uncovered possibly directed paths that begin with `a`, `second` and go through `c`
/// at most at their end.
fn uncovered(graph: &MarkedGraph, a: NodeId, second: NodeId, c: NodeId) -> NodeSet {
    let mut reached = NodeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![(a, second)];
    while let Some((before, node)) = open.pop() {
        if !seen.insert((before, node)) {
            continue;
        }
        reached.insert(node);
        if node == c {
            continue;
        }
        let next = graph.adjacent(node).iter().filter(|&next| {
            next != a
                && next != before
                && may_lead(graph, node, next)
                && !graph.are_adjacent(before, next)
        });
        open.extend(next.map(|next| (node, next)));
    }
    reached
}
