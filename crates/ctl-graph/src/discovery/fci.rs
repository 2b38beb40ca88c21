//! FCI: structure in the presence of latent common causes.

use std::collections::{BTreeSet, VecDeque};

use super::error::{DiscoveryError, level};
use super::pc::ConstraintGraph;
use super::skeleton::{Search, Skeleton};
use crate::equivalence::orient_pag;
use crate::graph::{Mark, MarkedGraph};
use crate::stats::IndependenceTest;
use crate::{NodeId, NodeSet};

/// Options of [`fci`].
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::{FciOptions, SeparationOracle, fci};
/// let diagram = Diagram::parse("a -> b; a -> c; b -> c")?;
/// let options = FciOptions { max_condition: Some(0), ..FciOptions::default() };
/// let found = fci(&SeparationOracle::new(&diagram), &options)?;
/// assert!(!found.complete); // sets of one node were left untried
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FciOptions {
    /// Level of the tests, between 0 and 1.
    pub alpha: f64,
    /// Most variables to condition on at once; `None` sets no bound.
    pub max_condition: Option<usize>,
}

impl Default for FciOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            max_condition: None,
        }
    }
}

/// Finds the partial ancestral graph of a diagram that may have latent common causes.
///
/// The adjacencies of PC are tested again given subsets of Possible-D-SEP: the nodes that are
/// reached by paths every inner node of which is a collider or in a triangle, and every node of
/// which may be an ancestor of the pair. Colliders and the
/// rules R1-R4 and R8-R10 orient what remains; selection bias, for which R5-R7 are, is excluded.
///
/// # Arguments
/// - `test`: an independence test; [`super::SeparationOracle`] for the truth of a diagram.
/// - `options`: see [`FciOptions`].
///
/// # Returns
/// A graph with tails, arrowheads and circles.
///
/// # Errors
/// [`DiscoveryError::Option`] for a level outside (0, 1), [`DiscoveryError::Stats`] when a test
/// cannot be computed.
///
/// # Complexity
/// Exponential in the size of Possible-D-SEP unless `max_condition` bounds it.
///
/// # References
/// Spirtes, Glymour and Scheines (2000), section 6.7; Zhang (2008), *On the completeness of
/// orientation rules for causal discovery in the presence of latent confounders and selection
/// bias*.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::{FciOptions, SeparationOracle, fci};
/// let diagram = Diagram::parse("a -> c; b -> d; c <-> d")?;
/// let found = fci(&SeparationOracle::new(&diagram), &FciOptions::default())?;
/// assert_eq!(found.graph.to_string(), "a o-> c; c <-> d; b o-> d");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fci(
    test: &(impl IndependenceTest + ?Sized),
    options: &FciOptions,
) -> Result<ConstraintGraph, DiscoveryError> {
    level(options.alpha)?;
    let search = Search {
        test,
        alpha: options.alpha,
        most: options.max_condition.unwrap_or(usize::MAX),
    };
    let mut skeleton = search.skeleton()?;
    let mut first = with_circles(test.names(), &skeleton)?;
    for (a, middle, b) in skeleton.colliders() {
        first.set_mark(a, middle, Mark::Arrow);
        first.set_mark(b, middle, Mark::Arrow);
    }
    search.refine(&mut skeleton, |x, y| possible_d_sep(&first, x, y))?;
    let mut graph = with_circles(test.names(), &skeleton)?;
    orient_pag(&mut graph, &skeleton);
    Ok(ConstraintGraph::new(
        graph,
        skeleton.separators,
        skeleton.tests,
        skeleton.complete,
    ))
}

fn with_circles(names: &[String], skeleton: &Skeleton) -> Result<MarkedGraph, DiscoveryError> {
    let mut graph = MarkedGraph::new(names)?;
    for (x, others) in skeleton.adjacent.iter().enumerate() {
        for y in others {
            graph.join(NodeId::new(x), y, Mark::Circle, Mark::Circle);
        }
    }
    Ok(graph)
}

/// The nodes reached from `x` by paths, around `y`, every inner node of which is a collider on the
/// path or in a triangle with its neighbours on it, and every node of which may be an ancestor of
/// `x` or `y`.
fn possible_d_sep(graph: &MarkedGraph, x: NodeId, y: NodeId) -> NodeSet {
    let mut within = possible_ancestors(graph, &[x, y]);
    within.remove(x);
    within.remove(y);
    let mut reached = graph.adjacent(x).intersection(&within);
    let mut seen: BTreeSet<(NodeId, NodeId)> = reached.iter().map(|v| (x, v)).collect();
    let mut queue: VecDeque<(NodeId, NodeId)> = seen.iter().copied().collect();
    while let Some((before, node)) = queue.pop_front() {
        for next in &graph.adjacent(node).intersection(&within) {
            let arrow = |from| graph.mark(from, node) == Some(Mark::Arrow);
            let passes = (arrow(before) && arrow(next)) || graph.are_adjacent(before, next);
            if next != before && passes && seen.insert((node, next)) {
                reached.insert(next);
                queue.push_back((node, next));
            }
        }
    }
    reached
}

/// The nodes from which a path leads to one of the given without an arrowhead against it.
fn possible_ancestors(graph: &MarkedGraph, nodes: &[NodeId]) -> NodeSet {
    let mut found: NodeSet = nodes.iter().copied().collect();
    let mut open = nodes.to_vec();
    while let Some(node) = open.pop() {
        for before in graph.adjacent(node) {
            if graph.mark(node, before) != Some(Mark::Arrow) && found.insert(before) {
                open.push(before);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Diagram;
    use crate::discovery::SeparationOracle;
    use crate::equivalence::{mag_of, pag_of};
    use proptest::prelude::*;

    fn found(text: &str) -> String {
        let diagram = Diagram::parse(text).unwrap();
        let found = fci(&SeparationOracle::new(&diagram), &FciOptions::default());
        found.unwrap().graph.to_string()
    }

    #[test]
    fn a_collider_behind_an_instrument_is_directed() {
        // Y structure: the effect of c on d cannot be confounded.
        assert_eq!(found("a -> c; b -> c; c -> d"), "a o-> c; c <-o b; c --> d");
    }

    #[test]
    fn possible_d_sep_removes_what_neighbours_cannot() {
        // The classic case: x and y are separated only by nodes that are adjacent to neither both.
        let text = "a <-> b; b <-> c; c <-> d; e -> b; e -> d; f -> c; f -> a";
        let diagram = Diagram::parse(text).unwrap();
        let found = fci(&SeparationOracle::new(&diagram), &FciOptions::default()).unwrap();
        let (a, d) = (
            found.graph.node("a").unwrap(),
            found.graph.node("d").unwrap(),
        );
        assert!(!found.graph.are_adjacent(a, d));
    }

    fn diagram(size: usize, kinds: &[u8]) -> Diagram {
        let name = |i: usize| format!("v{i}");
        let mut builder = Diagram::builder();
        for i in 0..size {
            builder = builder.node(&name((i * 3 + 1) % size)).unwrap();
        }
        let pairs = (0..size).flat_map(|i| (i + 1..size).map(move |j| (i, j)));
        for ((i, j), kind) in pairs.zip(kinds) {
            builder = match kind {
                0 | 1 => builder.directed(&name(i), &name(j)).unwrap(),
                2 => builder.bidirected(&name(i), &name(j)).unwrap(),
                _ => builder,
            };
        }
        builder.build().unwrap()
    }

    proptest! {
        #[test]
        fn the_oracle_gives_the_partial_ancestral_graph(kinds in prop::collection::vec(0u8..7, 21)) {
            let diagram = diagram(7, &kinds);
            let found = fci(&SeparationOracle::new(&diagram), &FciOptions::default()).unwrap();
            prop_assert_eq!(&found.graph, &pag_of(&mag_of(&diagram).unwrap()).unwrap());
        }

        /// A tail says ancestor and an arrowhead says no ancestor, in the diagram itself.
        #[test]
        fn marks_are_true_of_the_diagram(kinds in prop::collection::vec(0u8..7, 21)) {
            use crate::graph::Mixed;
            let diagram = diagram(7, &kinds);
            let found = fci(&SeparationOracle::new(&diagram), &FciOptions::default()).unwrap();
            for edge in found.graph.edges() {
                for (node, other, mark) in [(edge.a, edge.b, edge.at_a), (edge.b, edge.a, edge.at_b)] {
                    let is = diagram.ancestors(&NodeSet::single(other)).contains(node);
                    prop_assert!(mark != Mark::Tail || is, "{}", found.graph);
                    prop_assert!(mark != Mark::Arrow || !is, "{}", found.graph);
                }
            }
        }
    }
}
