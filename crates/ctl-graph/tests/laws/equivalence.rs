//! Classes of graphs, checked by going through all graphs of a skeleton.

use crate::support::{diagram, subsets};
use ctl_graph::adjustment::Adjustment;
use ctl_graph::equivalence::{Cpdag, MagMembers, is_ancestral, mag_of, pag_of, separated_in_mag};
use ctl_graph::graph::{Mark, MarkedGraph};
use ctl_graph::separation::separated;
use ctl_graph::{Diagram, Mixed, NodeId, NodeSet};
use proptest::prelude::*;

/// Which pairs are separated given which sets, in a fixed order.
fn separations(
    names: &MarkedGraph,
    holds: impl Fn(&NodeSet, &NodeSet, &NodeSet) -> bool,
) -> Vec<bool> {
    let all: NodeSet = names.ids().collect();
    let mut found = Vec::new();
    for a in names.ids() {
        for b in names.ids().filter(|&b| b > a) {
            let (x, y) = (NodeSet::single(a), NodeSet::single(b));
            for z in subsets(&all.difference(&x).difference(&y)) {
                found.push(holds(&x, &y, &z));
            }
        }
    }
    found
}

fn dag_separations(dag: &Diagram) -> Vec<bool> {
    let names: Vec<&str> = dag.ids().map(|node| dag.name(node)).collect();
    let names = MarkedGraph::new(&names).unwrap();
    separations(&names, |x, y, z| separated(dag, x, y, z).unwrap())
}

fn mag_separations(mag: &MarkedGraph) -> Vec<bool> {
    separations(mag, |x, y, z| separated_in_mag(mag, x, y, z).unwrap())
}

/// All DAGs on the skeleton of a DAG with the same separations.
fn class_by_enumeration(dag: &Diagram) -> Vec<Diagram> {
    let edges: Vec<(NodeId, NodeId)> = dag.directed_edges().collect();
    let wanted = dag_separations(dag);
    let mut class = Vec::new();
    for turned in 0_usize..1 << edges.len() {
        let mut builder = Diagram::builder();
        for node in dag.ids() {
            builder = builder.node(dag.name(node)).unwrap();
        }
        for (i, &(a, b)) in edges.iter().enumerate() {
            let (a, b) = if turned >> i & 1 == 1 { (b, a) } else { (a, b) };
            builder = builder.directed(dag.name(a), dag.name(b)).unwrap();
        }
        class.extend(
            builder
                .build()
                .ok()
                .filter(|other| dag_separations(other) == wanted),
        );
    }
    class
}

/// The graph of the marks that all members share; circles where they differ.
fn common(members: &[MarkedGraph]) -> MarkedGraph {
    let mut result = members[0].clone();
    for edge in members[0].edges() {
        let shared = |from, at, mark| {
            let same = members
                .iter()
                .all(|member| member.mark(from, at) == Some(mark));
            if same { mark } else { Mark::Circle }
        };
        let (at_a, at_b) = (
            shared(edge.b, edge.a, edge.at_a),
            shared(edge.a, edge.b, edge.at_b),
        );
        result.join(edge.a, edge.b, at_a, at_b);
    }
    result
}

/// All maximal ancestral graphs on the skeleton of one with the same separations.
fn mags_by_enumeration(mag: &MarkedGraph) -> Vec<MarkedGraph> {
    let edges: Vec<_> = mag.edges().collect();
    let kinds = [
        (Mark::Tail, Mark::Arrow),
        (Mark::Arrow, Mark::Tail),
        (Mark::Arrow, Mark::Arrow),
    ];
    let wanted = mag_separations(mag);
    let mut members = Vec::new();
    for choice in 0..kinds.len().pow(edges.len() as u32) {
        let mut other = mag.clone();
        let mut rest = choice;
        for edge in &edges {
            let (at_a, at_b) = kinds[rest % kinds.len()];
            other.join(edge.a, edge.b, at_a, at_b);
            rest /= kinds.len();
        }
        if is_ancestral(&other).unwrap() && mag_separations(&other) == wanted {
            members.push(other);
        }
    }
    members
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_class_is_found_as_by_enumeration(dag in diagram(2, 5, false)) {
        let class = class_by_enumeration(&dag);
        let cpdag = Cpdag::of(&dag).unwrap();
        let mut texts: Vec<String> = class.iter().map(ToString::to_string).collect();
        let mut found: Vec<String> = cpdag.members().map(|member| member.to_string()).collect();
        texts.sort();
        found.sort();
        prop_assert_eq!(found, texts);
        prop_assert_eq!(cpdag.size(10_000).unwrap(), class.len() as u128);
        for member in &class {
            let other = Cpdag::of(member).unwrap();
            prop_assert_eq!(other.graph(), cpdag.graph());
        }
        let again = Cpdag::of_partial(cpdag.graph()).unwrap().unwrap();
        prop_assert_eq!(again.graph(), cpdag.graph());
        for node in dag.ids() {
            let start = NodeSet::single(node);
            let below: Vec<NodeSet> = class.iter().map(|dag| dag.descendants(&start)).collect();
            let any = below.iter().fold(NodeSet::new(), |all, set| all.union(set));
            let every = below.iter().fold(any.clone(), |all, set| all.intersection(set));
            prop_assert_eq!(cpdag.possible_descendants(&start), any);
            prop_assert_eq!(cpdag.definite_descendants(node), every);
        }
    }

    #[test]
    fn adjustment_in_a_class_is_adjustment_in_every_member(
        dag in diagram(3, 5, false), x in 0_usize..5, y in 0_usize..5,
    ) {
        let (x, y) = (NodeId::new(x), NodeId::new(y));
        if x == y || x.max(y).index() >= dag.len() {
            return Ok(());
        }
        let (x, y) = (NodeSet::single(x), NodeSet::single(y));
        let class = class_by_enumeration(&dag);
        let cpdag = Cpdag::of(&dag).unwrap();
        let in_class = cpdag.adjustment(&x, &y).unwrap();
        for z in subsets(&dag.nodes().difference(&x).difference(&y)) {
            let valid = |member: &Diagram| Adjustment::new(member, &x, &y).unwrap().is_valid(&z);
            let in_all = class.iter().all(|member| valid(member).unwrap());
            prop_assert_eq!(in_class.is_valid(&z).unwrap(), in_all, "{} {:?}", dag, z);
        }
        let is_effect = |member: &Diagram| !member.descendants(&x).is_disjoint(&y);
        if in_class.one_minimal().is_some() && class.iter().all(is_effect) {
            for member in &class {
                let optimal = Adjustment::new(member, &x, &y).unwrap().optimal();
                prop_assert_eq!(in_class.optimal(), optimal);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_pag_has_the_marks_that_all_members_share(
        dag in diagram(4, 7, false), hidden in proptest::collection::vec(0_u8..3, 7),
    ) {
        let mut text = dag.to_string();
        for (node, _) in dag.ids().zip(&hidden).filter(|(_, hidden)| **hidden == 0).take(3) {
            text = format!("{text}; {} [latent]", dag.name(node));
        }
        let mag = mag_of(&Diagram::parse(&text).unwrap()).unwrap();
        if mag.len() < 2 || mag.len() > 5 || mag.edges().count() > 7 {
            return Ok(());
        }
        prop_assert!(is_ancestral(&mag).unwrap());
        let members = mags_by_enumeration(&mag);
        let pag = pag_of(&mag).unwrap();
        prop_assert_eq!(&pag, &common(&members));
        prop_assert_eq!(MagMembers::new(&pag).count(), members.len());
    }

    #[test]
    fn a_mag_has_the_separations_of_its_diagram(
        dag in diagram(3, 6, true), hidden in 0_usize..6,
    ) {
        if hidden >= dag.len() {
            return Ok(());
        }
        let name = dag.name(NodeId::new(hidden));
        let dag = Diagram::parse(&format!("{dag}; {name} [latent]")).unwrap();
        let mag = mag_of(&dag).unwrap();
        let projected = dag.project_latent().unwrap();
        let expected = separations(&mag, |x, y, z| separated(&projected, x, y, z).unwrap());
        prop_assert_eq!(mag_separations(&mag), expected);
    }
}
