//! Effects in a class of DAGs: an answer holds for the class exactly when it holds for each member.
//!
//! All classes of up to five nodes are gone through; the roles of the nodes are fixed, since every
//! way of naming them is among the classes.

use std::collections::{BTreeMap, BTreeSet};

use ctl_graph::adjustment::{
    Adjustment, FrontDoor, Instrument, conditional_instruments, is_instrument,
};
use ctl_graph::equivalence::Cpdag;
use ctl_graph::{Diagram, Mixed, NodeId, NodeSet};
use proptest::prelude::*;
use rstest::rstest;

use crate::support::{diagram, minimal, parts, subsets};

/// The DAGs of each class of `size` nodes: those of one skeleton with one set of v-structures.
fn classes(size: usize) -> Vec<Vec<Diagram>> {
    let pairs: Vec<(usize, usize)> = (0..size)
        .flat_map(|b| (0..b).map(move |a| (a, b)))
        .collect();
    let mut classes: BTreeMap<_, Vec<Diagram>> = BTreeMap::new();
    for code in 0..3_usize.pow(pairs.len() as u32) {
        let mut edges = Vec::new();
        let mut rest = code;
        for &(a, b) in &pairs {
            match rest % 3 {
                1 => edges.push((a, b)),
                2 => edges.push((b, a)),
                _ => {}
            }
            rest /= 3;
        }
        if let Some(dag) = acyclic(size, &edges) {
            classes.entry(invariants(&edges)).or_default().push(dag);
        }
    }
    classes.into_values().collect()
}

fn acyclic(size: usize, edges: &[(usize, usize)]) -> Option<Diagram> {
    let mut builder = Diagram::builder();
    for node in 0..size {
        builder = builder.node(&format!("v{node}")).unwrap();
    }
    for (from, to) in edges {
        builder = builder
            .directed(&format!("v{from}"), &format!("v{to}"))
            .unwrap();
    }
    builder.build().ok()
}

type Pairs = BTreeSet<(usize, usize)>;

/// The pairs that are joined, and the v-structures by their child.
fn invariants(edges: &[(usize, usize)]) -> (Pairs, BTreeSet<(usize, usize, usize)>) {
    let joined: Pairs = edges.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect();
    let mut colliders = BTreeSet::new();
    for &(a, child) in edges {
        for &(b, _) in edges.iter().filter(|(_, other)| *other == child) {
            if a < b && !joined.contains(&(a, b)) {
                colliders.insert((child, a, b));
            }
        }
    }
    (joined, colliders)
}

fn sorted(sets: impl Iterator<Item = NodeSet>) -> Vec<NodeSet> {
    let mut sets: Vec<NodeSet> = sets.collect();
    sets.sort();
    sets
}

fn front_door_holds_as_in_members(class: &[Diagram], x: &NodeSet, y: &NodeSet) -> usize {
    let cpdag = Cpdag::of(&class[0]).unwrap();
    let found = cpdag.front_door(x, y).unwrap();
    let each: Vec<FrontDoor<'_>> = class
        .iter()
        .map(|dag| FrontDoor::new(dag, x, y).unwrap())
        .collect();
    let mut valid = Vec::new();
    for m in subsets(&class[0].nodes().difference(x).difference(y)) {
        let expected = each.iter().all(|dag| dag.is_valid(&m).unwrap());
        let graph = cpdag.graph();
        assert_eq!(
            found.is_valid(&m).unwrap(),
            expected,
            "{graph}: {x:?} {y:?} {m:?}"
        );
        valid.extend(Some(m).filter(|_| expected));
    }
    assert_eq!(sorted(found.all()), sorted(valid.iter().cloned()));
    assert_eq!(sorted(found.minimal()), minimal(&valid));
    let largest = valid.iter().fold(NodeSet::new(), |all, m| all.union(m));
    let expected = (!valid.is_empty()).then_some(largest);
    assert_eq!(found.largest_set(), expected);
    valid.len()
}

fn adjustment_holds_as_in_members(class: &[Diagram], x: &NodeSet, y: &NodeSet) -> usize {
    let cpdag = Cpdag::of(&class[0]).unwrap();
    let found = cpdag.adjustment(x, y).unwrap();
    let each: Vec<Adjustment<'_>> = class
        .iter()
        .map(|dag| Adjustment::new(dag, x, y).unwrap())
        .collect();
    let mut valid = Vec::new();
    for z in subsets(&class[0].nodes().difference(x).difference(y)) {
        let expected = each.iter().all(|dag| dag.is_valid(&z).unwrap());
        let graph = cpdag.graph();
        assert_eq!(
            found.is_valid(&z).unwrap(),
            expected,
            "{graph}: {x:?} {y:?} {z:?}"
        );
        valid.extend(Some(z).filter(|_| expected));
    }
    assert_eq!(sorted(found.all()), sorted(valid.iter().cloned()));
    assert_eq!(sorted(found.minimal()), minimal(&valid));
    valid.len()
}

fn instruments_hold_as_in_members(class: &[Diagram], x: NodeId, y: NodeId) -> usize {
    let cpdag = Cpdag::of(&class[0]).unwrap();
    let ends: NodeSet = [x, y].into_iter().collect();
    let others = class[0].nodes().difference(&ends);
    let mut valid = Vec::new();
    for instrument in &others {
        for given in subsets(&others.difference(&instrument.into())) {
            let in_dag = |dag: &Diagram| is_instrument(dag, x, y, instrument, &given).unwrap();
            let expected = class.iter().all(in_dag);
            let found = cpdag.is_instrument(x, y, instrument, &given).unwrap();
            let graph = cpdag.graph();
            assert_eq!(
                found, expected,
                "{graph}: {x:?} {y:?} {instrument:?} {given:?}"
            );
            valid.extend(expected.then_some(Instrument { instrument, given }));
        }
    }
    let mut found: Vec<Instrument> = cpdag
        .conditional_instruments(x, y, others.len())
        .unwrap()
        .collect();
    found.sort();
    valid.sort();
    assert_eq!(found, valid);
    valid.len()
}

fn set(nodes: &[usize]) -> NodeSet {
    nodes.iter().map(|&node| NodeId::new(node)).collect()
}

/// Numbers of classes: Gillispie and Perlman (2002), *The size distribution for Markov equivalence
/// classes of acyclic digraph models*, table 1.
#[rstest]
#[case(2, 2)]
#[case(3, 11)]
#[case(4, 185)]
#[case(5, 8782)]
fn every_small_class_answers_as_all_of_its_members(#[case] size: usize, #[case] count: usize) {
    let classes = classes(size);
    assert_eq!(classes.len(), count);
    let (x, y) = (set(&[0]), set(&[1]));
    let (mut doors, mut sets, mut instruments) = (0, 0, 0);
    for class in &classes {
        doors += front_door_holds_as_in_members(class, &x, &y);
        sets += adjustment_holds_as_in_members(class, &x, &y);
        instruments += instruments_hold_as_in_members(class, NodeId::new(0), NodeId::new(1));
    }
    // Some answer is yes where the nodes suffice for one.
    assert!(doors > 0 && sets > 0 && (instruments > 0) == (size > 3));
}

#[rstest]
#[case(&[0, 2], &[1])]
#[case(&[0], &[1, 2])]
#[case(&[0, 2], &[1, 3])]
#[case(&[0, 2, 3], &[1])]
fn so_do_questions_about_several_nodes(#[case] x: &[usize], #[case] y: &[usize]) {
    for size in (x.len() + y.len())..=5 {
        for class in &classes(size) {
            front_door_holds_as_in_members(class, &set(x), &set(y));
            adjustment_holds_as_in_members(class, &set(x), &set(y));
        }
    }
}

/// Adds to each of some nodes a cause of its own. That directs many edges, as classes need that
/// have front-door sets and instruments at all.
fn with_own_causes(dag: &Diagram, dealt: &[u8], most: usize) -> Diagram {
    let mut text = dag.to_string();
    let chosen = dag.ids().zip(dealt).filter(|(_, dealt)| **dealt == 0);
    for (place, (node, _)) in chosen.take(most - dag.len()).enumerate() {
        text = format!("{text}; c{place} -> {}", dag.name(node));
    }
    Diagram::parse(&text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn larger_classes_answer_as_all_of_their_members(
        dag in diagram(4, 6, false), own in proptest::collection::vec(0_u8..3, 6),
        dealt in proptest::collection::vec(0_u8..5, 7),
    ) {
        let dag = with_own_causes(&dag, &own, 7);
        let class: Vec<Diagram> = Cpdag::of(&dag).unwrap().members().collect();
        let sets = parts(&dag, &dealt, 2);
        if sets.iter().all(|set| !set.is_empty()) {
            front_door_holds_as_in_members(&class, &sets[0], &sets[1]);
            adjustment_holds_as_in_members(&class, &sets[0], &sets[1]);
        }
        for (x, y) in dag.directed_edges() {
            instruments_hold_as_in_members(&class, x, y);
            front_door_holds_as_in_members(&class, &x.into(), &y.into());
        }
    }

    #[test]
    fn nodes_that_data_cannot_hold_stay_so_in_the_class(
        dag in diagram(3, 6, false), hidden in 0_usize..6,
    ) {
        let hidden = NodeId::new(hidden % dag.len());
        let dag = Diagram::parse(&format!("{dag}; {} [latent]", dag.name(hidden))).unwrap();
        let cpdag = Cpdag::of(&dag).unwrap();
        for member in cpdag.members() {
            prop_assert_eq!(member.latent(), NodeSet::single(hidden));
        }
        for (x, y) in dag.directed_edges().filter(|&(x, y)| x != hidden && y != hidden) {
            let none = |sets: Vec<NodeSet>| sets.iter().all(|set| !set.contains(hidden));
            let (from, to) = (x.into(), y.into());
            prop_assert!(none(cpdag.front_door(&from, &to).unwrap().all().collect()));
            prop_assert!(none(cpdag.adjustment(&from, &to).unwrap().all().collect()));
            let found = cpdag.conditional_instruments(x, y, 4).unwrap();
            let found = found.map(|found| found.given.union(&found.instrument.into()));
            prop_assert!(none(found.collect()));
        }
    }
}

#[test]
fn an_undirected_edge_at_the_outcome_leaves_no_instrument() {
    // Some members have c -> y, so that z reaches y by x -> c -> y as well.
    let dag = Diagram::parse("z -> x; u -> x; x -> y; x -> c; y -> c").unwrap();
    let [z, x, y] = ["z", "x", "y"].map(|name| dag.node(name).unwrap());
    let in_dag = conditional_instruments(&dag, x, y, 0).unwrap();
    assert!(in_dag.map(|found| found.instrument).any(|found| found == z));
    let cpdag = Cpdag::of(&dag).unwrap();
    assert!(cpdag.graph().is_directed(x, y));
    assert_eq!(cpdag.conditional_instruments(x, y, 3).unwrap().count(), 0);
}
