//! Laws of separation, checked on random graphs and against the definition by paths.

use crate::support::{diagram, minimal, parts, subsets};
use ctl_graph::graph::{markov_blanket, moral_graph};
use ctl_graph::separation::{
    connected, implied_independences, minimal_separator, minimal_separators, separated, separators,
};
use ctl_graph::{Diagram, Mixed, NodeId, NodeSet};
use proptest::prelude::*;

/// Tells whether an open path leads on from `path` to `y`, by going through all paths.
fn open_path(
    diagram: &Diagram,
    path: &mut Vec<(NodeId, bool)>,
    y: &NodeSet,
    z: &NodeSet,
    above_z: &NodeSet,
) -> bool {
    let (node, into_node) = path[path.len() - 1];
    if y.contains(node) {
        return true;
    }
    let first = path.len() == 1;
    // Each step: the next node, whether the edge is into this node, whether it is into the next.
    let steps = diagram.child_list(node).map(|n| (n, false, true));
    let steps = steps.chain(diagram.parent_list(node).map(|n| (n, true, false)));
    let steps = steps.chain(diagram.sibling_list(node).map(|n| (n, true, true)));
    for (next, into_this, into_next) in steps.collect::<Vec<_>>() {
        let collider = into_node && into_this;
        let passes = if collider {
            above_z.contains(node)
        } else {
            !z.contains(node)
        };
        if (first || passes) && !path.iter().any(|(met, _)| *met == next) {
            path.push((next, into_next));
            if open_path(diagram, path, y, z, above_z) {
                return true;
            }
            path.pop();
        }
    }
    false
}

fn by_paths(diagram: &Diagram, x: &NodeSet, y: &NodeSet, z: &NodeSet) -> bool {
    let above_z = diagram.ancestors(z);
    !x.iter()
        .any(|start| open_path(diagram, &mut vec![(start, false)], y, z, &above_z))
}

fn without(set: &NodeSet, node: NodeId) -> NodeSet {
    set.difference(&NodeSet::single(node))
}

proptest! {
    #[test]
    fn separation_is_what_paths_say(
        graph in diagram(2, 6, true), dealt in proptest::collection::vec(0_u8..4, 6),
    ) {
        let sets = parts(&graph, &dealt, 3);
        let (x, y, z) = (&sets[0], &sets[1], &sets[2]);
        let found = separated(&graph, x, y, z).unwrap();
        prop_assert_eq!(found, by_paths(&graph, x, y, z));
        prop_assert_eq!(found, separated(&graph, y, x, z).unwrap());
        prop_assert_eq!(found, connected(&graph, x, z).unwrap().is_disjoint(y));
    }

    #[test]
    fn separation_is_a_compositional_graphoid(
        graph in diagram(4, 8, true), dealt in proptest::collection::vec(0_u8..5, 8),
    ) {
        let sets = parts(&graph, &dealt, 4);
        let (x, y, w, z) = (&sets[0], &sets[1], &sets[2], &sets[3]);
        let holds = |y: &NodeSet, z: &NodeSet| separated(&graph, x, y, z).unwrap();
        let both = holds(&y.union(w), z);
        // Decomposition and composition.
        prop_assert_eq!(both, holds(y, z) && holds(w, z));
        // Weak union and contraction.
        prop_assert_eq!(both, holds(w, z) && holds(y, &z.union(w)));
        // Intersection.
        prop_assert!(both || !(holds(y, &z.union(w)) && holds(w, &z.union(y))));
    }

    #[test]
    fn separators_are_those_of_all_subsets(
        graph in diagram(3, 7, true), dealt in proptest::collection::vec(0_u8..5, 7),
    ) {
        let sets = parts(&graph, &dealt, 3);
        let (x, y) = (&sets[0], &sets[1]);
        if x.is_empty() || y.is_empty() {
            return Ok(());
        }
        let allowed = graph.nodes().difference(x).difference(y).difference(&sets[2]);
        let valid: Vec<NodeSet> = subsets(&allowed)
            .into_iter()
            .filter(|z| by_paths(&graph, x, y, z))
            .collect();
        let mut all: Vec<NodeSet> =
            separators(&graph, x, y, &NodeSet::new(), &allowed).unwrap().collect();
        all.sort();
        let mut expected = valid.clone();
        expected.sort();
        prop_assert_eq!(all, expected);
        let mut found: Vec<NodeSet> =
            minimal_separators(&graph, x, y, &allowed).unwrap().collect();
        found.sort();
        let least = minimal(&valid);
        prop_assert_eq!(&found, &least);
        match minimal_separator(&graph, x, y, &allowed).unwrap() {
            Some(one) => prop_assert!(least.contains(&one)),
            None => prop_assert!(least.is_empty()),
        }
    }

    #[test]
    fn projection_keeps_separations_and_ancestors(
        graph in diagram(3, 7, true), dealt in proptest::collection::vec(0_u8..5, 7),
    ) {
        let sets = parts(&graph, &dealt, 4);
        let projected = graph.project(&sets[3]).unwrap();
        let same = |set: &NodeSet| projected.set(&graph.names(set)).unwrap();
        let [x, y, z] = [&sets[0], &sets[1], &sets[2]];
        prop_assert_eq!(
            separated(&graph, x, y, z).unwrap(),
            separated(&projected, &same(x), &same(y), &same(z)).unwrap()
        );
        let above = graph.ancestors(x).difference(&sets[3]);
        prop_assert_eq!(projected.ancestors(&same(x)), same(&above));
    }

    #[test]
    fn the_blanket_is_the_smallest_set_that_separates_from_the_rest(graph in diagram(2, 7, true)) {
        let moral = moral_graph(&graph);
        for node in graph.ids() {
            let blanket = markov_blanket(&graph, node);
            prop_assert_eq!(&moral[node.index()], &blanket);
            let start = NodeSet::single(node);
            let rest = graph.nodes().difference(&start).difference(&blanket);
            prop_assert!(separated(&graph, &start, &rest, &blanket).unwrap());
            for member in &blanket {
                let (fewer, more) = (without(&blanket, member), rest.union(&NodeSet::single(member)));
                prop_assert!(!separated(&graph, &start, &more, &fewer).unwrap());
            }
        }
    }

    #[test]
    fn implied_independences_hold_and_miss_no_pair(graph in diagram(2, 6, true)) {
        let implied: Vec<_> = implied_independences(&graph).collect();
        for found in &implied {
            let (x, y) = (NodeSet::single(found.x), NodeSet::single(found.y));
            prop_assert!(by_paths(&graph, &x, &y, &found.given));
        }
        for x in graph.ids() {
            for y in graph.ids().filter(|&y| y > x) {
                let (a, b) = (NodeSet::single(x), NodeSet::single(y));
                let others = graph.nodes().difference(&a).difference(&b);
                let separable = subsets(&others).iter().any(|z| by_paths(&graph, &a, &b, z));
                prop_assert_eq!(separable, implied.iter().any(|f| (f.x, f.y) == (x, y)));
            }
        }
    }

    #[test]
    fn texts_are_read_back(graph in diagram(1, 7, true)) {
        prop_assert_eq!(&Diagram::parse(&graph.to_string()).unwrap(), &graph);
        prop_assert_eq!(&Diagram::from_dot(&graph.to_dot()).unwrap(), &graph);
        let json = serde_json::to_string(&graph).unwrap();
        prop_assert_eq!(serde_json::from_str::<Diagram>(&json).unwrap(), graph);
    }

    #[test]
    fn a_view_is_the_graph_without_what_it_leaves_out(
        graph in diagram(2, 6, true), dealt in proptest::collection::vec(0_u8..4, 6),
    ) {
        let sets = parts(&graph, &dealt, 3);
        let view = graph.view().without_incoming(&sets[0]).without_outgoing(&sets[1]);
        let view = view.without_edges(&sets[2], &sets[0].union(&sets[2]));
        let mut builder = Diagram::builder();
        for node in graph.ids() {
            builder = builder.node(graph.name(node)).unwrap();
        }
        for (a, b) in graph.directed_edges() {
            let cut = sets[2].contains(a) && (sets[0].contains(b) || sets[2].contains(b));
            if !sets[0].contains(b) && !sets[1].contains(a) && !cut {
                builder = builder.directed(graph.name(a), graph.name(b)).unwrap();
            }
        }
        for (a, b) in graph.bidirected_edges() {
            if !sets[0].contains(a) && !sets[0].contains(b) {
                builder = builder.bidirected(graph.name(a), graph.name(b)).unwrap();
            }
        }
        let copy = builder.build().unwrap();
        for node in graph.ids() {
            prop_assert_eq!(&view.parents(node), copy.parents(node));
            prop_assert_eq!(&view.children(node), copy.children(node));
            prop_assert_eq!(&view.siblings(node), copy.siblings(node));
            prop_assert_eq!(view.parent_list(node).collect::<NodeSet>(), view.parents(node));
            prop_assert_eq!(view.child_list(node).collect::<NodeSet>(), view.children(node));
            prop_assert_eq!(view.sibling_list(node).collect::<NodeSet>(), view.siblings(node));
        }
        prop_assert_eq!(view.districts(), copy.districts());
    }
}
