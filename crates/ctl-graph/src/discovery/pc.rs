//! The PC algorithm in its order-independent form.

use super::error::{DiscoveryError, level};
use super::skeleton::{Search, Separators, separator};
use crate::equivalence::close_under_meek;
use crate::graph::{Mark, MarkedGraph};
use crate::stats::IndependenceTest;
use crate::{NodeId, NodeSet};

/// What happens where two colliders point an edge in opposite directions.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{ColliderConflict, PcOptions};
/// assert_eq!(PcOptions::default().conflict, ColliderConflict::Bidirected);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColliderConflict {
    /// Both arrowheads stand, so that the edge shows the conflict as `<->`.
    #[default]
    Bidirected,
    /// A collider stands only where none before it says otherwise.
    First,
    /// The collider that was found last stands.
    Last,
}

/// Options of [`pc`].
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::{PcOptions, SeparationOracle, pc};
/// let diagram = Diagram::parse("a -> b; a -> c; b -> c")?;
/// let options = PcOptions { max_condition: Some(0), ..PcOptions::default() };
/// let found = pc(&SeparationOracle::new(&diagram), &options)?;
/// assert!(!found.complete); // sets of one node were left untried
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PcOptions {
    /// Level of the tests, between 0 and 1.
    pub alpha: f64,
    /// Most variables to condition on at once; `None` sets no bound.
    pub max_condition: Option<usize>,
    /// What happens to contradictory colliders.
    pub conflict: ColliderConflict,
}

impl Default for PcOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            max_condition: None,
            conflict: ColliderConflict::default(),
        }
    }
}

/// A graph found by conditional independences.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::{PcOptions, SeparationOracle, pc};
/// let diagram = Diagram::parse("a -> b; b -> c")?;
/// let found = pc(&SeparationOracle::new(&diagram), &PcOptions::default())?;
/// let (a, c) = (diagram.node("a")?, diagram.node("c")?);
/// assert_eq!(found.separator(a, c), Some(&diagram.set(&["b"])?));
/// assert_eq!(found.graph.to_string(), "a --- b; b --- c");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConstraintGraph {
    /// The graph.
    pub graph: MarkedGraph,
    /// For each pair that is not adjacent what was found to separate it.
    separators: Separators,
    /// Number of independence tests made.
    pub tests: usize,
    /// False when the search stopped at `max_condition` with larger sets untried.
    pub complete: bool,
}

impl ConstraintGraph {
    pub(super) fn new(
        graph: MarkedGraph,
        separators: Separators,
        tests: usize,
        complete: bool,
    ) -> Self {
        Self {
            graph,
            separators,
            tests,
            complete,
        }
    }

    /// The first set found to separate two nodes; `None` for adjacent ones.
    pub fn separator(&self, a: NodeId, b: NodeId) -> Option<&NodeSet> {
        separator(&self.separators, a, b).map(|found| &found.first)
    }
}

/// Finds the Markov equivalence class of a diagram without latent variables.
///
/// Pairs are separated by growing subsets of their neighbours, where the neighbours of a level
/// are those from before it (PC-stable); a triple `a - c - b` with `c` in no set of that size that
/// separates `a` and `b` becomes `a -> c <- b`; Meek's rules do the rest.
///
/// # Arguments
/// - `test`: an independence test; [`super::SeparationOracle`] for the truth of a diagram.
/// - `options`: see [`PcOptions`].
///
/// # Returns
/// A graph with `-->` and `---` edges, and `<->` where the data contradict themselves.
///
/// # Errors
/// [`DiscoveryError::Option`] for a level outside (0, 1), [`DiscoveryError::Stats`] when a test
/// cannot be computed.
///
/// # Complexity
/// Exponential in the largest number of neighbours unless `max_condition` bounds it. The tests
/// of a level run on rayon's threads; the result does not depend on their number.
///
/// # References
/// Spirtes, Glymour and Scheines (2000), section 5.4.2; Colombo and Maathuis (2014),
/// *Order-independent constraint-based causal structure learning*. Deviation: all separating sets
/// of the smallest size are consulted, not the first, so that colliders do not depend on the order
/// of the nodes either.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::{PcOptions, SeparationOracle, pc};
/// let diagram = Diagram::parse("scanner -> image; disease -> image; image -> report")?;
/// let found = pc(&SeparationOracle::new(&diagram), &PcOptions::default())?;
/// let expected = "scanner --> image; image <-- disease; image --> report";
/// assert_eq!(found.graph.to_string(), expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pc(
    test: &(impl IndependenceTest + ?Sized),
    options: &PcOptions,
) -> Result<ConstraintGraph, DiscoveryError> {
    level(options.alpha)?;
    let search = Search {
        test,
        alpha: options.alpha,
        most: options.max_condition.unwrap_or(usize::MAX),
    };
    let skeleton = search.skeleton()?;
    let mut graph = MarkedGraph::new(test.names())?;
    for (x, others) in skeleton.adjacent.iter().enumerate() {
        for y in others {
            graph.join_undirected(NodeId::new(x), y);
        }
    }
    for (a, middle, b) in skeleton.colliders() {
        collide(&mut graph, [a, b], middle, options.conflict);
    }
    close_under_meek(&mut graph);
    Ok(ConstraintGraph::new(
        graph,
        skeleton.separators,
        skeleton.tests,
        skeleton.complete,
    ))
}

/// Points two edges at their common node.
fn collide(graph: &mut MarkedGraph, ends: [NodeId; 2], middle: NodeId, conflict: ColliderConflict) {
    let contrary = |graph: &MarkedGraph, end| graph.mark(middle, end) == Some(Mark::Arrow);
    if conflict == ColliderConflict::First && ends.iter().any(|&end| contrary(graph, end)) {
        return;
    }
    for end in ends {
        if conflict == ColliderConflict::Bidirected && contrary(graph, end) {
            graph.set_mark(end, middle, Mark::Arrow);
        } else {
            graph.join_directed(end, middle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Diagram;
    use crate::discovery::SeparationOracle;
    use crate::equivalence::Cpdag;
    use proptest::prelude::*;

    fn diagram(size: usize, edges: &[bool]) -> Diagram {
        let name = |i: usize| format!("v{i}");
        let mut builder = Diagram::builder();
        for i in 0..size {
            builder = builder.node(&name(i)).unwrap();
        }
        let pairs = (0..size).flat_map(|i| (i + 1..size).map(move |j| (i, j)));
        for ((i, j), _) in pairs.zip(edges).filter(|(_, edge)| **edge) {
            // The causal order is not the order of the nodes.
            let place = |k: usize| name(size - 1 - k);
            builder = builder.directed(&place(i), &place(j)).unwrap();
        }
        builder.build().unwrap()
    }

    proptest! {
        #[test]
        fn the_oracle_gives_the_equivalence_class(
            edges in prop::collection::vec(prop::bool::weighted(0.35), 21),
        ) {
            let diagram = diagram(7, &edges);
            let class = Cpdag::of(&diagram).unwrap();
            for conflict in [ColliderConflict::Bidirected, ColliderConflict::First] {
                let options = PcOptions { conflict, ..PcOptions::default() };
                let found = pc(&SeparationOracle::new(&diagram), &options).unwrap();
                prop_assert_eq!(&found.graph, class.graph());
                prop_assert!(found.complete);
            }
        }
    }

    #[test]
    fn threads_do_not_change_the_result() {
        // A path has enough pairs at a level to be divided.
        let path = (1..20).map(|i| format!("v{} -> v{i}", i - 1));
        let diagram = Diagram::parse(&path.collect::<Vec<_>>().join("; ")).unwrap();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let options = PcOptions::default();
            pool.install(|| pc(&SeparationOracle::new(&diagram), &options).unwrap())
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn a_bounded_search_says_so() {
        let diagram = diagram(5, &[true; 10]);
        let options = PcOptions {
            max_condition: Some(1),
            ..PcOptions::default()
        };
        let found = pc(&SeparationOracle::new(&diagram), &options).unwrap();
        assert!(!found.complete);
        let level = PcOptions {
            alpha: 1.0,
            ..PcOptions::default()
        };
        assert!(pc(&SeparationOracle::new(&diagram), &level).is_err());
    }

    #[test]
    fn contradictory_colliders_are_treated_as_asked() {
        let edges = |conflict| {
            let mut graph = MarkedGraph::new(&["a", "b", "c", "d"]).unwrap();
            let [a, b, c, d] = [0, 1, 2, 3].map(NodeId::new);
            for (x, y) in [(a, b), (b, c), (c, d)] {
                graph.join_undirected(x, y);
            }
            collide(&mut graph, [a, c], b, conflict);
            collide(&mut graph, [b, d], c, conflict);
            graph.to_string()
        };
        assert_eq!(
            edges(ColliderConflict::Bidirected),
            "a --> b; b <-> c; c <-- d"
        );
        assert_eq!(edges(ColliderConflict::First), "a --> b; b <-- c; c --- d");
        assert_eq!(edges(ColliderConflict::Last), "a --> b; b --> c; c <-- d");
    }
}
