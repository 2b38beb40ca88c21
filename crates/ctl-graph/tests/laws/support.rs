//! Random small graphs, and answers by enumeration.

use ctl_graph::{Diagram, NodeId, NodeSet};
use proptest::prelude::*;

/// A random diagram of `least..=most` nodes, in which the order of the nodes is not that of causes.
pub(crate) fn diagram(
    least: usize,
    most: usize,
    bidirected: bool,
) -> impl Strategy<Value = Diagram> {
    let kinds = if bidirected { 7_u8 } else { 4_u8 };
    (least..=most)
        .prop_flat_map(move |n| {
            let pairs = proptest::collection::vec(0..kinds, n * (n - 1) / 2);
            (Just((0..n).collect::<Vec<usize>>()).prop_shuffle(), pairs)
        })
        .prop_map(|(order, kinds)| build(&order, &kinds))
}

/// Kinds 0 and 1 are no edge, 2 and 3 are directed, 4 is bidirected, 5 is both, 6 is no edge.
fn build(order: &[usize], kinds: &[u8]) -> Diagram {
    let name = |i: usize| format!("v{i}");
    let mut builder = Diagram::builder();
    for i in 0..order.len() {
        builder = builder.node(&name(i)).unwrap();
    }
    let pairs = (0..order.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
    for ((i, j), kind) in pairs.zip(kinds) {
        let (from, to) = (name(order[i]), name(order[j]));
        if matches!(kind, 2 | 3 | 5) {
            builder = builder.directed(&from, &to).unwrap();
        }
        if matches!(kind, 4 | 5) {
            builder = builder.bidirected(&from, &to).unwrap();
        }
    }
    builder.build().unwrap()
}

/// A part for each node: the nodes are dealt out to as many sets as are asked for, and to none.
pub(crate) fn parts(of: &Diagram, dealt: &[u8], count: usize) -> Vec<NodeSet> {
    let mut parts = vec![NodeSet::new(); count];
    for (node, part) in of.ids().zip(dealt) {
        if usize::from(*part) < count {
            parts[usize::from(*part)].insert(node);
        }
    }
    parts
}

/// All subsets of a set.
pub(crate) fn subsets(of: &NodeSet) -> Vec<NodeSet> {
    let members: Vec<NodeId> = of.iter().collect();
    let pick = |mask: usize| {
        let chosen = members
            .iter()
            .enumerate()
            .filter(|(i, _)| mask >> i & 1 == 1);
        chosen.map(|(_, &node)| node).collect()
    };
    (0..1 << members.len()).map(pick).collect()
}

/// The sets of which no proper subset is in the list.
pub(crate) fn minimal(sets: &[NodeSet]) -> Vec<NodeSet> {
    let smaller = |set: &NodeSet| {
        sets.iter()
            .any(|other| other != set && other.is_subset(set))
    };
    let mut minimal: Vec<NodeSet> = sets.iter().filter(|set| !smaller(set)).cloned().collect();
    minimal.sort();
    minimal
}
