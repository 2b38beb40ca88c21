//! Adjustment and front-door sets, against the definition and by number.

use std::collections::BTreeMap;

use ctl_graph::adjustment::{Adjustment, FrontDoor, conditional_instruments, is_instrument};
use ctl_graph::separation::separated;
use ctl_graph::{Diagram, Mixed, NodeId, NodeSet};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::{diagram, minimal, parts, subsets};

/// A random model of binary variables: a common cause for each bidirected edge, a table for each
/// node.
struct Model {
    order: Vec<NodeId>,
    parents: Vec<Vec<usize>>,
    tables: Vec<Vec<f64>>,
    causes: Vec<f64>,
    size: usize,
}

impl Model {
    fn random(diagram: &Diagram, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let size = diagram.len();
        let common: Vec<(NodeId, NodeId)> = diagram.bidirected_edges().collect();
        let parents: Vec<Vec<usize>> = diagram
            .ids()
            .map(|node| {
                let drawn = diagram.parents(node).iter().map(NodeId::index);
                let hidden = common
                    .iter()
                    .enumerate()
                    .filter(|(_, (a, b))| *a == node || *b == node);
                drawn.chain(hidden.map(|(i, _)| size + i)).collect()
            })
            .collect();
        let tables = parents
            .iter()
            .map(|of| {
                (0..1 << of.len())
                    .map(|_| random.random_range(0.1..0.9))
                    .collect()
            })
            .collect();
        let causes = common
            .iter()
            .map(|_| random.random_range(0.2..0.8))
            .collect();
        Self {
            order: diagram.topological_order().to_vec(),
            parents,
            tables,
            causes,
            size,
        }
    }

    /// The joint distribution over the nodes, a node's value being its bit of the index, when some
    /// nodes are set to the values of `fixed`.
    fn joint(&self, set: &NodeSet, fixed: usize) -> Vec<f64> {
        let mut joint = vec![0.0; 1 << self.size];
        for state in 0..1_usize << (self.size + self.causes.len()) {
            joint[state & ((1 << self.size) - 1)] += self.weight(state, set, fixed);
        }
        joint
    }

    fn weight(&self, state: usize, set: &NodeSet, fixed: usize) -> f64 {
        let bit = |i: usize| state >> i & 1;
        let chance = |p: f64, i: usize| if bit(i) == 1 { p } else { 1.0 - p };
        let mut weight = 1.0;
        for (i, &p) in self.causes.iter().enumerate() {
            weight *= chance(p, self.size + i);
        }
        for &node in &self.order {
            let i = node.index();
            if set.contains(node) {
                weight *= if bit(i) == fixed >> i & 1 { 1.0 } else { 0.0 };
            } else {
                let row = self.parents[i].iter().enumerate();
                let row: usize = row.map(|(place, &parent)| bit(parent) << place).sum();
                weight *= chance(self.tables[i][row], i);
            }
        }
        weight
    }
}

/// The probability that the nodes of a set have the values that they have in `state`.
fn probability(joint: &[f64], set: &NodeSet, state: usize) -> f64 {
    let mask: usize = set.iter().map(|node| 1 << node.index()).sum();
    let fits = joint
        .iter()
        .enumerate()
        .filter(|(other, _)| other & mask == state & mask);
    fits.map(|(_, p)| p).sum()
}

/// The states of the nodes of a set, zero elsewhere.
fn states(set: &NodeSet) -> Vec<usize> {
    let value = |of: &NodeSet| of.iter().map(|node| 1 << node.index()).sum();
    subsets(set).iter().map(value).collect()
}

fn adjusted(joint: &[f64], x: &NodeSet, y: &NodeSet, z: &NodeSet, state: usize) -> f64 {
    let given = x.union(z);
    let term = |z_state: usize| {
        let all = state | z_state;
        let conditional =
            probability(joint, &given.union(y), all) / probability(joint, &given, all);
        conditional * probability(joint, z, all)
    };
    states(z).into_iter().map(term).sum()
}

fn by_front_door(joint: &[f64], x: &NodeSet, y: &NodeSet, m: &NodeSet, state: usize) -> f64 {
    let y_only: usize = y.iter().map(|node| state & (1 << node.index())).sum();
    let term = |m_state: usize| {
        let with_m =
            probability(joint, &x.union(m), state | m_state) / probability(joint, x, state);
        with_m * adjusted(joint, m, y, x, y_only | m_state)
    };
    states(m).into_iter().map(term).sum()
}

/// The coefficients of a linear model, by parent and child.
type Coefficients = BTreeMap<(NodeId, NodeId), f64>;

/// The coefficients of a random linear model with noises of unit variance, and its covariance.
fn linear_model(graph: &Diagram, seed: u64) -> (Coefficients, Vec<Vec<f64>>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let size = graph.len();
    let mut coefficients = Coefficients::new();
    // By node, the weight of each noise in it.
    let mut weights = vec![vec![0.0; size]; size];
    for &node in graph.topological_order() {
        weights[node.index()][node.index()] = 1.0;
        for parent in graph.parents(node) {
            let coefficient: f64 = random.random_range(0.3..1.5);
            coefficients.insert((parent, node), coefficient);
            let above = weights[parent.index()].clone();
            for (own, from) in weights[node.index()].iter_mut().zip(above) {
                *own += coefficient * from;
            }
        }
    }
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    let covariance = weights
        .iter()
        .map(|a| weights.iter().map(|b| product(a, b)).collect())
        .collect();
    (coefficients, covariance)
}

/// The covariance that remains given some nodes.
fn given(covariance: &[Vec<f64>], z: &NodeSet) -> Vec<Vec<f64>> {
    let mut left = covariance.to_vec();
    for gone in z.iter().map(NodeId::index) {
        let row = left[gone].clone();
        for other in &mut left {
            let share = other[gone] / row[gone];
            for (cell, from) in other.iter_mut().zip(&row) {
                *cell -= share * from;
            }
        }
    }
    left
}

/// The asymptotic variance of the coefficient of `x` in the regression of `y` on `x` and `z`.
fn variance(covariance: &[Vec<f64>], x: NodeId, y: NodeId, z: &NodeSet) -> f64 {
    let left = given(covariance, z);
    let (x, y) = (x.index(), y.index());
    (left[y][y] - left[x][y] * left[y][x] / left[x][x]) / left[x][x]
}

/// The diagram with a node for the common cause that each bidirected edge stands for.
fn with_hidden_causes(graph: &Diagram) -> Diagram {
    let nodes = graph.ids().map(|node| graph.name(node).to_owned());
    let edge = |(a, b)| format!("{} -> {}", graph.name(a), graph.name(b));
    let causes = graph.bidirected_edges().enumerate();
    let causes = causes.map(|(i, (a, b))| {
        let (a, b) = (graph.name(a), graph.name(b));
        format!("{a} <- h{i} -> {b}")
    });
    let parts = nodes.chain(graph.directed_edges().map(edge)).chain(causes);
    Diagram::parse(&parts.collect::<Vec<_>>().join("; ")).unwrap()
}

fn ends(graph: &Diagram, dealt: &[u8]) -> Option<(NodeSet, NodeSet)> {
    let mut sets = parts(graph, dealt, 2).into_iter();
    let (x, y) = (sets.next()?, sets.next()?);
    (!x.is_empty() && !y.is_empty()).then_some((x, y))
}

/// The criterion as it is defined, by going through all directed paths.
fn valid_by_definition(graph: &Diagram, x: &NodeSet, y: &NodeSet, z: &NodeSet) -> bool {
    let mut on_paths = NodeSet::new();
    for start in x {
        directed_paths(graph, &mut vec![start], x, y, &mut on_paths);
    }
    let forbidden = graph.descendants(&on_paths);
    let behind = graph.view().without_edges(x, &on_paths);
    z.is_disjoint(&forbidden) && separated(&behind, x, y, z).unwrap()
}

fn directed_paths(
    graph: &Diagram,
    path: &mut Vec<NodeId>,
    x: &NodeSet,
    y: &NodeSet,
    found: &mut NodeSet,
) {
    let last = path[path.len() - 1];
    if y.contains(last) {
        found.extend(path[1..].iter().copied());
    }
    for next in &graph.children(last).difference(x) {
        path.push(next);
        directed_paths(graph, path, x, y, found);
        path.pop();
    }
}

proptest! {
    #[test]
    fn sets_are_those_of_the_definition(
        graph in diagram(2, 6, true), dealt in proptest::collection::vec(0_u8..5, 6),
    ) {
        let Some((x, y)) = ends(&graph, &dealt) else { return Ok(()) };
        let adjustment = Adjustment::new(&graph, &x, &y).unwrap();
        let pearl = Adjustment::back_door(&graph, &x, &y).unwrap();
        let others = graph.nodes().difference(&x).difference(&y);
        let valid: Vec<NodeSet> = subsets(&others)
            .into_iter()
            .filter(|z| valid_by_definition(&graph, &x, &y, z))
            .collect();
        let mut all: Vec<NodeSet> = adjustment.all().collect();
        all.sort();
        let mut sorted = valid.clone();
        sorted.sort();
        prop_assert_eq!(&all, &sorted);
        let mut least: Vec<NodeSet> = adjustment.minimal().collect();
        least.sort();
        prop_assert_eq!(&least, &minimal(&valid));
        prop_assert_eq!(adjustment.canonical().is_some(), !valid.is_empty());
        prop_assert_eq!(adjustment.one_minimal().is_some(), !valid.is_empty());
        let below = graph.descendants(&x);
        for z in subsets(&others) {
            let expected = valid.contains(&z);
            prop_assert_eq!(adjustment.is_valid(&z).unwrap(), expected);
            let expected = expected && z.is_disjoint(&below);
            prop_assert_eq!(pearl.is_valid(&z).unwrap(), expected);
        }
        if graph.is_dag() && !y.is_disjoint(&below) {
            let optimal = adjustment.optimal().unwrap();
            prop_assert!(y.len() > 1 || optimal.is_none() == valid.is_empty());
        }
    }

    #[test]
    fn adjustment_gives_the_interventional_truth(
        graph in diagram(2, 5, true), dealt in proptest::collection::vec(0_u8..5, 5),
        seed in any::<u64>(),
    ) {
        let Some((x, y)) = ends(&graph, &dealt) else { return Ok(()) };
        let model = Model::random(&graph, seed);
        let joint = model.joint(&NodeSet::new(), 0);
        let adjustment = Adjustment::new(&graph, &x, &y).unwrap();
        for z in adjustment.minimal().chain(adjustment.canonical()) {
            for state in states(&x.union(&y)) {
                let truth = probability(&model.joint(&x, state), &y, state);
                let found = adjusted(&joint, &x, &y, &z, state);
                prop_assert!((truth - found).abs() < 1e-9, "{graph} {x:?} {y:?} {z:?}");
            }
        }
    }

    #[test]
    fn no_valid_set_estimates_better_than_the_optimal_one(
        graph in diagram(3, 7, false), x in 0_usize..7, y in 0_usize..7, seed in any::<u64>(),
    ) {
        if x == y || x.max(y) >= graph.len() {
            return Ok(());
        }
        let (x, y) = (NodeId::new(x), NodeId::new(y));
        let adjustment = Adjustment::new(&graph, &x.into(), &y.into()).unwrap();
        if let Some(optimal) = adjustment.optimal().unwrap() {
            let (_, covariance) = linear_model(&graph, seed);
            let least = variance(&covariance, x, y, &optimal);
            for z in adjustment.all() {
                prop_assert!(least <= variance(&covariance, x, y, &z) + 1e-9, "{graph} {z:?}");
            }
        }
    }

    #[test]
    fn front_door_sets_are_those_of_the_definition_and_give_the_truth(
        graph in diagram(3, 5, true), x in 0_usize..5, y in 0_usize..5, seed in any::<u64>(),
    ) {
        if x == y || x.max(y) >= graph.len() {
            return Ok(());
        }
        let (x, y) = (NodeSet::single(NodeId::new(x)), NodeSet::single(NodeId::new(y)));
        let front_door = FrontDoor::new(&graph, &x, &y).unwrap();
        let others = graph.nodes().difference(&x).difference(&y);
        let holds = |m: &NodeSet| {
            let kept = graph.nodes().difference(m);
            let behind_x = graph.view().without_outgoing(&x);
            let behind_m = graph.view().without_outgoing(m);
            graph.view().induced(&kept).descendants(&x).is_disjoint(&y)
                && separated(&behind_x, &x, m, &NodeSet::new()).unwrap()
                && separated(&behind_m, m, &y, &x).unwrap()
        };
        let valid: Vec<NodeSet> = subsets(&others).into_iter().filter(holds).collect();
        let mut found: Vec<NodeSet> = front_door.all().collect();
        found.sort();
        let mut expected = valid.clone();
        expected.sort();
        prop_assert_eq!(found, expected);
        let mut least: Vec<NodeSet> = front_door.minimal().collect();
        least.sort();
        prop_assert_eq!(least, minimal(&valid));
        prop_assert_eq!(front_door.largest_set().is_some(), !valid.is_empty());
        let model = Model::random(&graph, seed);
        let joint = model.joint(&NodeSet::new(), 0);
        for m in &valid {
            for state in states(&x.union(&y)) {
                let truth = probability(&model.joint(&x, state), &y, state);
                let found = by_front_door(&joint, &x, &y, m, state);
                prop_assert!((truth - found).abs() < 1e-9, "{graph} {x:?} {y:?} {m:?}");
            }
        }
    }

    #[test]
    fn instruments_are_those_that_the_check_accepts(graph in diagram(3, 5, true)) {
        for (x, y) in graph.directed_edges() {
            let found: Vec<_> = conditional_instruments(&graph, x, y, 2).unwrap().collect();
            let ends: NodeSet = [x, y].into_iter().collect();
            for z in &graph.nodes().difference(&ends) {
                let rest = graph.nodes().difference(&ends).difference(&NodeSet::single(z));
                for w in subsets(&rest).into_iter().filter(|w| w.len() <= 2) {
                    let listed = found.iter().any(|f| f.instrument == z && f.given == w);
                    prop_assert_eq!(is_instrument(&graph, x, y, z, &w).unwrap(), listed);
                }
            }
        }
    }

    #[test]
    fn an_instrument_gives_the_coefficient_of_the_edge(
        graph in diagram(3, 6, true), seed in any::<u64>(),
    ) {
        let drawn = with_hidden_causes(&graph);
        let (coefficients, covariance) = linear_model(&drawn, seed);
        for (x, y) in graph.directed_edges() {
            for found in conditional_instruments(&graph, x, y, 2).unwrap() {
                let left = given(&covariance, &found.given);
                let from_z = &left[found.instrument.index()];
                let (to_x, to_y) = (from_z[x.index()], from_z[y.index()]);
                let error = to_y - coefficients[&(x, y)] * to_x;
                prop_assert!(to_x.abs() > 1e-12 && error.abs() < 1e-9, "{graph} {found:?}");
            }
        }
    }
}
