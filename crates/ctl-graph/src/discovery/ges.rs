//! Greedy equivalence search.

use std::collections::HashSet;

use super::error::DiscoveryError;
use super::score::{LocalScore, Remembered};
use super::subsets::Subsets;
use crate::equivalence::{Cpdag, extension};
use crate::graph::MarkedGraph;
use crate::{Diagram, GraphError, NodeId, NodeSet};

/// Improvements smaller than this share of the score are rounding.
const LEAST_GAIN: f64 = 1e-12;

/// Options of [`ges`].
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{DiscoveryError, GaussianBic, GesOptions, ges};
/// use ctl_graph::stats::Table;
/// let table = Table::from_columns([("x", vec![0.0, 1.0, 3.0])])?;
/// let options = GesOptions { rounds: 0, ..GesOptions::default() };
/// let found = ges(&GaussianBic::new(&table, 0.5)?, &options);
/// assert!(matches!(found, Err(DiscoveryError::Option { option: "rounds", .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GesOptions {
    /// Most neighbours whose subsets an operator tries; beyond it only the smaller subsets are.
    pub max_subset: usize,
    /// How often the phases are repeated while they still improve the score, 1 or more.
    pub rounds: usize,
    /// Whether edges are also turned, after insertions and deletions.
    pub turning: bool,
}

impl Default for GesOptions {
    fn default() -> Self {
        Self {
            max_subset: 8,
            rounds: 10,
            turning: true,
        }
    }
}

/// An equivalence class found by its score.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{GaussianBic, GesOptions, ges};
/// use ctl_graph::stats::Table;
/// let (x, y) = (vec![-1.0, 1.0, -1.0, 1.0], vec![-1.0, -1.0, 1.0, 1.0]);
/// let table = Table::from_columns([("x", x), ("y", y)])?;
/// let found = ges(&GaussianBic::new(&table, 0.5)?, &GesOptions::default())?;
/// assert_eq!((found.steps, found.complete), (0, true));
/// assert!((found.score + 4f64.ln()).abs() < 1e-12); // twice -ln(4) / 2
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScoredGraph {
    /// The class, with `-->` and `---` edges.
    pub graph: MarkedGraph,
    /// The score of its members.
    pub score: f64,
    /// Number of operators that were applied.
    pub steps: usize,
    /// False when subsets larger than `max_subset`, or further rounds, were left untried.
    pub complete: bool,
}

/// Finds an equivalence class with a high score by inserting, deleting, then turning one edge at a
/// time.
///
/// An insertion `x -> y` with a set T of y's undirected neighbours, a deletion with a set H, and a
/// turn of an edge in some member move between classes; the best valid one is taken until none
/// improves the score.
///
/// # Arguments
/// - `score`: such as [`super::GaussianBic`].
/// - `options`: see [`GesOptions`].
///
/// # Returns
/// The class and its score. With the truth's independences and enough data it is the true one.
///
/// # Errors
/// [`DiscoveryError::Stats`] when the score does not exist, [`DiscoveryError::Option`] for no
/// round.
///
/// # Complexity
/// Each step tries every pair with up to `2^max_subset` subsets; scores are computed once.
///
/// # References
/// Chickering (2002), *Optimal structure identification with greedy search*, theorems 15 and 17;
/// turning: Hauser and Bühlmann (2012), *Characterization and greedy learning of interventional
/// Markov equivalence classes*, section 4.3. Deviation: the phases may be repeated.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{GaussianBic, GesOptions, ges};
/// use ctl_graph::stats::Table;
/// let x: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
/// let y: Vec<f64> = (0..100).map(|i| f64::from(i / 10)).collect();
/// let sum = x.iter().zip(&y).map(|(x, y)| x + y + (x * 7.0).sin() * (y * 3.0).cos()).collect();
/// let table = Table::from_columns([("x", x), ("sum", sum), ("y", y)])?;
/// let found = ges(&GaussianBic::new(&table, 0.5)?, &GesOptions::default())?;
/// assert_eq!(found.graph.to_string(), "x --> sum; sum <-- y");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn ges(
    score: &(impl LocalScore + ?Sized),
    options: &GesOptions,
) -> Result<ScoredGraph, DiscoveryError> {
    if options.rounds == 0 {
        return Err(DiscoveryError::Option {
            option: "rounds",
            expected: "one or more",
            found: 0.0,
        });
    }
    let mut search = Search {
        score: Remembered::new(score),
        graph: MarkedGraph::new(score.names())?,
        most: options.max_subset,
        total: 0.0,
        steps: 0,
        complete: true,
    };
    for node in search.graph.ids() {
        search.total += search.score.local(node, NodeSet::new())?;
    }
    let mut settled = false;
    for _ in 0..options.rounds {
        let before = search.steps;
        search.climb(Search::best_insertion)?;
        search.climb(Search::best_deletion)?;
        if options.turning {
            search.climb(Search::best_turn)?;
        }
        settled = search.steps == before;
        if settled {
            break;
        }
    }
    Ok(ScoredGraph {
        graph: search.graph,
        score: search.total,
        steps: search.steps,
        complete: search.complete && settled,
    })
}

/// One move between classes.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    pub(super) gain: f64,
    pub(super) step: Step,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Joins `x -> y` and directs the set T to `y`.
    Insert { x: NodeId, y: NodeId, set: NodeSet },
    /// Parts `x` and `y` and directs both to the set H.
    Delete { x: NodeId, y: NodeId, set: NodeSet },
    /// Goes to the class of a diagram.
    Turn(Box<Diagram>),
}

pub(super) struct Search<'a, S: ?Sized> {
    pub(super) score: Remembered<'a, S>,
    pub(super) graph: MarkedGraph,
    most: usize,
    total: f64,
    steps: usize,
    complete: bool,
}

impl<S: LocalScore + ?Sized> Search<'_, S> {
    fn climb(
        &mut self,
        best: fn(&mut Self) -> Result<Option<Operator>, DiscoveryError>,
    ) -> Result<(), DiscoveryError> {
        // Only looked up, never iterated.
        let mut visited = HashSet::from([self.graph.clone()]);
        while let Some(operator) = best(self)? {
            // Every valid operator leads to a class; without an extension the move is no move.
            let Some(member) = apply(&self.graph, operator.step)? else {
                break;
            };
            let next = Cpdag::of(&member)?.graph().clone();
            // Gains lead on, never back: the best one left is zero, and positive by rounding.
            if !visited.insert(next.clone()) {
                break;
            }
            self.graph = next;
            self.total += operator.gain;
            self.steps += 1;
        }
        Ok(())
    }

    fn best_insertion(&mut self) -> Result<Option<Operator>, DiscoveryError> {
        let mut best = None;
        for (x, y) in self.pairs(false) {
            let (around, shared) = self.neighbourhood(x, y);
            let free = around.difference(self.graph.adjacent(x));
            let base = self.graph.parents(y);
            for set in self.subsets(&free) {
                let clique = shared.union(&set);
                if !is_clique(&self.graph, &clique) {
                    continue;
                }
                let parents = clique.union(&base);
                let with = parents.union(&NodeSet::single(x));
                let gain = self.score.local(y, with)? - self.score.local(y, parents)?;
                if self.better(best.as_ref(), gain) && !reaches(&self.graph, y, x, &clique) {
                    let step = Step::Insert { x, y, set };
                    best = Some(Operator { gain, step });
                }
            }
        }
        Ok(best)
    }

    fn best_deletion(&mut self) -> Result<Option<Operator>, DiscoveryError> {
        let mut best = None;
        for (x, y) in self.pairs(true) {
            // An undirected edge is met from both ends; a directed one only from its tail.
            if self.graph.is_directed(y, x) {
                continue;
            }
            let (_, shared) = self.neighbourhood(x, y);
            let mut base = self.graph.parents(y);
            base.remove(x);
            for set in self.subsets(&shared) {
                let clique = shared.difference(&set);
                if !is_clique(&self.graph, &clique) {
                    continue;
                }
                let parents = clique.union(&base);
                let with = parents.union(&NodeSet::single(x));
                let gain = self.score.local(y, parents)? - self.score.local(y, with)?;
                if self.better(best.as_ref(), gain) {
                    let step = Step::Delete { x, y, set };
                    best = Some(Operator { gain, step });
                }
            }
        }
        Ok(best)
    }

    pub(super) fn better(&self, best: Option<&Operator>, gain: f64) -> bool {
        let least = LEAST_GAIN * self.total.abs();
        gain > best.map_or(least, |operator| operator.gain)
    }

    pub(super) fn pairs(&self, adjacent: bool) -> Vec<(NodeId, NodeId)> {
        let graph = &self.graph;
        let all = graph.ids().flat_map(|x| graph.ids().map(move |y| (x, y)));
        all.filter(|&(x, y)| x != y && graph.are_adjacent(x, y) == adjacent)
            .collect()
    }

    /// The undirected neighbours of `y` but `x`, and those of them that are adjacent to `x`.
    fn neighbourhood(&self, x: NodeId, y: NodeId) -> (NodeSet, NodeSet) {
        let mut around = self.graph.neighbours(y);
        around.remove(x);
        let shared = around.intersection(self.graph.adjacent(x));
        (around, shared)
    }

    pub(super) fn subsets(&mut self, set: &NodeSet) -> impl Iterator<Item = NodeSet> + use<S> {
        self.complete &= set.len() <= self.most;
        let members: Vec<NodeId> = set.iter().collect();
        Subsets::up_to(members.len(), self.most)
            .map(move |subset| subset.into_iter().map(|i| members[i]).collect())
    }
}

/// A member of the class to which a step leads.
fn apply(graph: &MarkedGraph, step: Step) -> Result<Option<Diagram>, GraphError> {
    let mut changed = graph.clone();
    match step {
        Step::Insert { x, y, set } => {
            changed.join_directed(x, y);
            for t in &set {
                changed.join_directed(t, y);
            }
        }
        Step::Delete { x, y, set } => {
            changed.part(x, y);
            for h in &set {
                changed.join_directed(y, h);
                if changed.is_undirected(x, h) {
                    changed.join_directed(x, h);
                }
            }
        }
        Step::Turn(member) => return Ok(Some(*member)),
    }
    extension(&changed)
}

pub(super) fn is_clique(graph: &MarkedGraph, set: &NodeSet) -> bool {
    set.iter().all(|node| {
        let mut reach = graph.adjacent(node).clone();
        reach.insert(node);
        set.is_subset(&reach)
    })
}

/// Whether a path of `---` and `-->` edges leads from one node to another around a set.
fn reaches(graph: &MarkedGraph, from: NodeId, to: NodeId, around: &NodeSet) -> bool {
    let mut seen = around.clone();
    seen.insert(from);
    let mut stack = vec![from];
    while let Some(node) = stack.pop() {
        for next in graph.adjacent(node) {
            let along = graph.is_directed(node, next) || graph.is_undirected(node, next);
            if along && next == to {
                return true;
            }
            if along && seen.insert(next) {
                stack.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::GaussianBic;
    use crate::stats::Table;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    fn sample(diagram: &Diagram, rows: usize, seed: u64) -> Table {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut columns = vec![vec![0.0; rows]; diagram.len()];
        for &node in diagram.topological_order() {
            let mut values: Vec<f64> = (0..rows)
                .map(|_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0)
                .collect();
            for parent in diagram.parents(node) {
                let weight = 0.6 + rng.random::<f64>();
                for (value, cause) in values.iter_mut().zip(&columns[parent.index()]) {
                    *value += weight * cause;
                }
            }
            columns[node.index()] = values;
        }
        let names = diagram.ids().map(|id| diagram.name(id));
        Table::from_columns(names.zip(columns)).unwrap()
    }

    fn total(score: &GaussianBic, diagram: &Diagram) -> f64 {
        let local = |node| score.local(node, diagram.parents(node)).unwrap();
        diagram.ids().map(local).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn the_reported_score_is_that_of_a_member(seed in 0u64..1000) {
            let diagram = Diagram::parse("a -> b; b -> c; a -> d; c -> d; e -> d; e -> f").unwrap();
            let score = GaussianBic::new(&sample(&diagram, 200, seed), 0.5).unwrap();
            let found = ges(&score, &GesOptions::default()).unwrap();
            let member = extension(&found.graph).unwrap().unwrap();
            prop_assert!((total(&score, &member) - found.score).abs() < 1e-7);
            prop_assert!(found.complete);
        }
    }

    #[test]
    fn much_data_gives_the_true_class() {
        let diagram = Diagram::parse("a -> c; b -> c; c -> d; d -> e; b -> e").unwrap();
        let score = GaussianBic::new(&sample(&diagram, 20_000, 3), 0.5).unwrap();
        let found = ges(&score, &GesOptions::default()).unwrap();
        assert_eq!(&found.graph, Cpdag::of(&diagram).unwrap().graph());
    }

    /// Turning starts where the published search ends.
    #[test]
    fn turning_never_lowers_the_score() {
        let diagram =
            Diagram::parse("a -> b; b -> c; a -> d; c -> d; e -> d; e -> f; c -> f").unwrap();
        let mut improved = 0;
        for seed in 0..60 {
            let score = GaussianBic::new(&sample(&diagram, 60, seed), 0.5).unwrap();
            let plain = GesOptions {
                turning: false,
                ..GesOptions::default()
            };
            let [without, with] =
                [plain, GesOptions::default()].map(|options| ges(&score, &options).unwrap().score);
            assert!(with >= without - 1e-9);
            improved += usize::from(with > without + 1e-9);
        }
        assert!(improved > 0);
    }

    /// Turns within a class gain nothing; next to a score of zero their rounding is no small share.
    #[test]
    fn a_score_near_zero_ends_the_search() {
        let diagram =
            Diagram::parse("a -> b; b -> c; a -> d; c -> d; e -> d; e -> f; c -> f").unwrap();
        for seed in 0..20 {
            let table = sample(&diagram, 100, seed);
            let search = |factor: f64| {
                let scaled = table.names().iter().map(|name| {
                    let column = table.real(name).unwrap().iter();
                    (name.clone(), column.map(|value| value * factor).collect())
                });
                let scaled = Table::from_columns(scaled).unwrap();
                ges(
                    &GaussianBic::new(&scaled, 0.5).unwrap(),
                    &GesOptions::default(),
                )
                .unwrap()
            };
            let found = search(1.0);
            // A factor s adds -n ln(s) for each column.
            let scaled = search((found.score / 600.0).exp());
            assert!(scaled.score.abs() < 1e-6, "seed {seed}: {}", scaled.score);
            assert_eq!(scaled.graph, found.graph, "seed {seed}");
            assert!(scaled.complete, "seed {seed}");
        }
    }

    #[test]
    fn no_round_is_an_error() {
        let table = Table::from_columns([("a", vec![0.0, 1.0])]).unwrap();
        let options = GesOptions {
            rounds: 0,
            ..GesOptions::default()
        };
        assert!(ges(&GaussianBic::new(&table, 0.5).unwrap(), &options).is_err());
    }
}
