//! Nodes that a graph does not have are errors where there is an error to return, and nothing
//! elsewhere.

use ctl_graph::adjustment::{Adjustment, FrontDoor, conditional_instruments, is_instrument};
use ctl_graph::equivalence::{Cpdag, mag_of, separated_in_mag};
use ctl_graph::estimand::Domain;
use ctl_graph::graph::{Mark, MarkedGraph, markov_blanket};
use ctl_graph::identification::{
    Available, Counterfactual, Query, identify, identify_counterfactual,
};
use ctl_graph::separation::{
    connected, minimal_separator, minimal_separators, separated, separators,
};
use ctl_graph::transport::{
    Experiments, Population, SelectionDiagram, image_reuse, is_s_admissible, reuse, transport,
};
use ctl_graph::{Diagram, GraphError, Mixed, NodeId, NodeSet};
use rstest::rstest;

#[expect(clippy::needless_pass_by_value, reason = "an answer is used once")]
fn is_foreign<T>(answer: Result<T, GraphError>) -> bool {
    matches!(answer, Err(GraphError::ForeignNode { .. }))
}

#[rstest]
#[case(4)]
#[case(64)]
#[case(1000)]
fn queries_are_errors(#[case] index: usize) {
    let diagram = Diagram::parse("a -> b -> c; a <-> c; d").unwrap();
    let dag = Diagram::parse("a -> b -> c; d").unwrap();
    let (node, none) = (NodeId::new(index), NodeSet::new());
    let (a, b, far) = (NodeId::new(0), NodeId::new(1), NodeSet::single(node));
    let (x, y) = (NodeSet::single(a), NodeSet::single(b));

    assert!(is_foreign(separated(&diagram, &x, &far, &none)));
    assert!(is_foreign(separated(&diagram, &x, &y, &far)));
    assert!(is_foreign(connected(&diagram, &far, &none)));
    assert!(is_foreign(separators(&diagram, &x, &y, &far, &none)));
    assert!(is_foreign(minimal_separator(&diagram, &far, &y, &none)));
    assert!(minimal_separators(&diagram, &x, &y, &far).unwrap().count() == 0);
    assert!(is_foreign(diagram.project(&far)));

    assert!(is_foreign(Adjustment::new(&diagram, &x, &far)));
    let adjustment = Adjustment::new(&diagram, &x, &y).unwrap();
    assert!(is_foreign(adjustment.is_valid(&far)));
    assert!(adjustment.among(&far).all().all(|set| set.is_empty()));
    assert!(is_foreign(FrontDoor::new(&diagram, &far, &y)));
    let front_door = FrontDoor::new(&diagram, &x, &y).unwrap();
    assert!(is_foreign(front_door.is_valid(&far)));
    assert!(is_foreign(is_instrument(&diagram, a, b, node, &none)));
    assert!(is_foreign(
        conditional_instruments(&diagram, node, b, 1).map(Iterator::count)
    ));

    assert!(is_foreign(identify(&diagram, &Query::of(&far))));
    assert!(is_foreign(identify(&diagram, &Query::of(&y).given(&far))));
    let event = [Counterfactual::new(b, 0).under(node, 0)];
    let answer = identify_counterfactual(&diagram, &event, &[], Available::Observation);
    assert!(is_foreign(answer));

    let selection = || SelectionDiagram::new(diagram.clone());
    let source = Population::new("s").differing_in(&far);
    assert!(is_foreign(selection().with_source(source)));
    let source = Population::new("s").offering(Experiments::Listed(vec![far.clone()]));
    assert!(is_foreign(selection().with_source(source)));
    let experiments = Experiments::SubsetsOf(far.clone());
    assert!(is_foreign(selection().with_target_data(experiments)));
    assert!(is_foreign(transport(
        &selection(),
        &Query::of(&y).under(&far)
    )));
    assert!(!selection().offers(Domain::Source(9), &none));
    assert!(is_foreign(reuse(&diagram, &far, &x, &y)));
    assert!(is_foreign(image_reuse(&diagram, &x, a, node, None)));
    assert!(is_foreign(is_s_admissible(&diagram, &x, &y, &far, &none)));

    let cpdag = Cpdag::of(&dag).unwrap();
    assert!(is_foreign(cpdag.adjustment(&x, &far)));
    assert!(is_foreign(cpdag.front_door(&x, &far)));
    assert!(is_foreign(cpdag.front_door(&far, &y)));
    let front_door = cpdag.front_door(&x, &y).unwrap();
    assert!(is_foreign(front_door.is_valid(&far)));
    assert!(front_door.among(&far).all().all(|set| set.is_empty()));
    assert!(is_foreign(cpdag.is_instrument(a, b, node, &none)));
    assert!(is_foreign(cpdag.is_instrument(node, b, a, &none)));
    let found = cpdag.conditional_instruments(a, node, 1);
    assert!(is_foreign(found.map(Iterator::count)));
    assert_eq!(cpdag.possible_descendants(&far), none);
    let mag = mag_of(&dag).unwrap();
    assert!(is_foreign(separated_in_mag(&mag, &x, &far, &none)));
}

#[rstest]
#[case(4)]
#[case(64)]
#[case(1000)]
fn neighbourhoods_are_empty(#[case] index: usize) {
    let diagram = Diagram::parse("a -> b -> c; a <-> c; d").unwrap();
    let (node, none) = (NodeId::new(index), NodeSet::new());
    let far = NodeSet::single(node);
    assert_eq!(diagram.name(node), "");
    assert_eq!(diagram.parents(node), &none);
    assert_eq!(diagram.ancestors(&far), none);
    assert_eq!(diagram.district_of(node), none);
    assert_eq!(markov_blanket(&diagram, node), none);
    let view = diagram
        .view()
        .without_incoming(&far)
        .without_edges(&far, &far);
    assert_eq!(view.nodes(), diagram.nodes());
    assert_eq!(view.descendants(&far), none);

    let mut graph = MarkedGraph::parse("a --> b; c; d").unwrap();
    let before = graph.clone();
    graph.join(NodeId::new(0), node, Mark::Tail, Mark::Arrow);
    graph.part(node, NodeId::new(0));
    graph.set_mark(NodeId::new(0), node, Mark::Circle);
    assert_eq!(graph, before);
    assert_eq!(graph.mark(NodeId::new(0), node), None);
    assert_eq!(graph.mark(node, NodeId::new(0)), None);
    assert_eq!(graph.adjacent(node), &none);
    let cpdag = Cpdag::of(&Diagram::parse("a -> b; c; d").unwrap()).unwrap();
    assert_eq!(
        cpdag.definite_descendants(node).difference(&far),
        NodeSet::new()
    );
}
