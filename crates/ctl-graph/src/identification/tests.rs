use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::simulated::{Simulated, generator, random_diagram, random_sets};
use super::*;
use crate::estimand::{Distributions, Factor};
use crate::separation::separated;
use crate::{Mixed, NodeId};

const TOLERANCE: f64 = 1e-9;

fn close(a: &Factor, b: &Factor) -> bool {
    a.axes() == b.axes()
        && a.values()
            .iter()
            .zip(b.values())
            .all(|(a, b)| (a - b).abs() <= TOLERANCE)
}

/// All non-empty subsets of the first nodes.
fn subsets(size: usize) -> impl Iterator<Item = NodeSet> {
    (1..1_usize << size).map(move |bits| {
        (0..size)
            .filter(|i| bits >> i & 1 == 1)
            .map(NodeId::new)
            .collect()
    })
}

/// The hedge criterion by going through all pairs of sets.
fn has_hedge(diagram: &Diagram, outcome: &NodeSet, intervention: &NodeSet) -> bool {
    let cut = diagram.view().without_incoming(intervention);
    let relevant = cut.ancestors(outcome);
    let joined = |set: &NodeSet| diagram.view().induced(set).districts().len() == 1;
    let forests: Vec<NodeSet> = subsets(diagram.len()).filter(joined).collect();
    forests.iter().any(|larger| {
        !larger.is_disjoint(intervention)
            && forests.iter().any(|smaller| {
                smaller.is_subset(larger)
                    && smaller.is_disjoint(intervention)
                    && smaller.is_subset(&relevant)
                    && diagram.view().induced(larger).ancestors(smaller) == *larger
            })
    })
}

/// IDC as published: conditions are moved into the intervention by the second rule of do-calculus.
fn is_identifiable(diagram: &Diagram, query: &Query) -> bool {
    let Query {
        outcome,
        mut intervention,
        mut given,
    } = query.clone();
    'search: loop {
        for node in &given {
            let mut rest = given.clone();
            rest.remove(node);
            let view = diagram.view().without_incoming(&intervention);
            let view = view.without_outgoing(&node.into());
            if separated(&view, &outcome, &node.into(), &rest.union(&intervention)).unwrap() {
                given = rest;
                intervention.insert(node);
                continue 'search;
            }
        }
        break;
    }
    !has_hedge(diagram, &outcome.union(&given), &intervention)
}

fn random_query(random: &mut ChaCha8Rng, size: usize) -> Query {
    loop {
        let sets = random_sets(random, size, 3);
        if !sets[0].is_empty() {
            let given = if random.random_bool(0.5) {
                sets[2].clone()
            } else {
                NodeSet::new()
            };
            return Query::of(&sets[0]).under(&sets[1]).given(&given);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn decisions_agree_with_the_search_for_hedges(seed in any::<u64>(), size in 2_usize..6) {
        let mut random = generator(seed);
        let diagram = random_diagram(&mut random, size);
        let query = random_query(&mut random, size);
        let found = identify(&diagram, &query).unwrap();
        prop_assert_eq!(
            found.estimand().is_some(),
            is_identifiable(&diagram, &query),
            "{} in {}", query.describe(&diagram), diagram
        );
        if let Some(hedge) = found.hedge() {
            prop_assert!(hedge.root_forest().is_subset(hedge.forest()));
            prop_assert!(!hedge.roots().is_empty());
            prop_assert!(hedge.root_forest().is_disjoint(&query.intervention));
            prop_assert!(!hedge.forest().is_disjoint(&query.intervention));
        }
    }

    #[test]
    fn formulas_equal_the_truth(seed in any::<u64>(), size in 2_usize..7) {
        let mut random = generator(seed);
        let diagram = random_diagram(&mut random, size);
        let model = Simulated::new(&mut random, diagram);
        let query = random_query(&mut random, size);
        if let Identification::Identified(estimand) = identify(&model.diagram, &query).unwrap() {
            let joint = model.tables().under(&NodeSet::new()).unwrap();
            let known = Distributions::observational(&model.diagram, joint).unwrap();
            let expected = model.truth(&query);
            for form in [estimand.clone(), estimand.simplified()] {
                let found = form.evaluate_over(&query.variables(), &known).unwrap();
                prop_assert!(
                    close(&found, &expected),
                    "{} in {}: {}",
                    query.describe(&model.diagram), model.diagram, form.display(&model.diagram)
                );
            }
        }
    }

    #[test]
    fn the_rules_of_do_calculus_hold_by_number(seed in any::<u64>(), size in 3_usize..6) {
        let mut random = generator(seed);
        let diagram = random_diagram(&mut random, size);
        let model = Simulated::new(&mut random, diagram);
        let [y, x, z, w] = &random_sets(&mut random, size, 4)[..] else { unreachable!() };
        if y.is_empty() || z.is_empty() {
            return Ok(());
        }
        let diagram = &model.diagram;
        let given = x.union(w);
        let (cut, all) = (diagram.view().without_incoming(x), y.union(z).union(&given));
        let same = |a: Query, b: Query| {
            let spread = |factor: Factor| {
                let missing: Vec<_> = all.iter().filter(|n| factor.card(*n).is_none()).collect();
                missing.into_iter().fold(factor, |f, node| f.repeated(node, 2).unwrap())
            };
            close(&spread(model.truth(&a)), &spread(model.truth(&b)))
        };
        let base = Query::of(y).under(x).given(w);
        let observed = Query::of(y).under(x).given(&w.union(z));
        let set = Query::of(y).under(&x.union(z)).given(w);
        // Rule 1: an irrelevant observation may be dropped.
        if separated(&cut, y, z, &given).unwrap() {
            prop_assert!(same(base.clone(), observed.clone()));
        }
        // Rule 2: an observation without back doors is as good as an intervention.
        let under = diagram.view().without_incoming(x).without_outgoing(z);
        if separated(&under, y, z, &given).unwrap() {
            prop_assert!(same(observed, set.clone()));
        }
        // Rule 3: an intervention without effect may be dropped.
        let kept = cut.ancestors(w);
        let over = diagram.view().without_incoming(&x.union(&z.difference(&kept)));
        if separated(&over, y, z, &given).unwrap() {
            prop_assert!(same(base, set));
        }
    }
}

fn random_events(random: &mut ChaCha8Rng, size: usize, count: usize) -> Vec<Counterfactual> {
    let world: Vec<NodeId> = (0..size)
        .map(NodeId::new)
        .filter(|_| random.random_bool(0.3))
        .collect();
    (0..count)
        .map(|_| {
            let node = NodeId::new(random.random_range(0..size));
            let event = Counterfactual::new(node, random.random_range(0..2));
            match random.random_range(0..3) {
                0 => event,
                1 => world
                    .iter()
                    .fold(event, |event, &n| event.under(n, n.index() % 2)),
                _ => event.under(
                    NodeId::new(random.random_range(0..size)),
                    random.random_range(0..2),
                ),
            }
        })
        .collect()
}

/// Observation, or an experiment on every set of variables.
fn all_distributions(model: &Simulated, available: Available) -> Distributions {
    let mut known = Distributions::new(&model.diagram);
    let tables = model.tables();
    let none = NodeSet::new();
    let experiments = subsets(model.diagram.len()).filter(|_| available == Available::Experiments);
    for set in experiments.chain([none]) {
        known
            .insert(Domain::Target, &set, tables.under(&set).unwrap())
            .unwrap();
    }
    known
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn counterfactual_formulas_equal_the_truth(
        seed in any::<u64>(),
        size in 2_usize..5,
        events in 1_usize..4,
        conditions in 0_usize..3,
        observation in any::<bool>(),
    ) {
        let mut random = generator(seed);
        let diagram = random_diagram(&mut random, size);
        let model = Simulated::new(&mut random, diagram);
        let event = random_events(&mut random, size, events);
        let given = random_events(&mut random, size, conditions);
        let available = if observation { Available::Observation } else { Available::Experiments };
        let found = identify_counterfactual(&model.diagram, &event, &given, available).unwrap();
        let all: Vec<_> = event.iter().chain(&given).cloned().collect();
        let (joint, evidence) = (model.probability(&all), model.probability(&given));
        let named = |events: &[Counterfactual]| {
            events.iter().map(|e| e.describe(&model.diagram)).collect::<Vec<_>>().join(", ")
        };
        let context = format!("P({} | {}) in {}", named(&event), named(&given), model.diagram);
        match found {
            CounterfactualIdentification::Identified(estimand) if evidence > 0.0 => {
                let known = all_distributions(&model, available);
                for form in [estimand.clone(), estimand.simplified()] {
                    let text = form.display(&model.diagram).to_string();
                    let value = form.evaluate_over(&NodeSet::new(), &known).unwrap().values()[0];
                    prop_assert!(
                        (value - joint / evidence).abs() <= TOLERANCE,
                        "{context}: {value} instead of {}, {text}", joint / evidence
                    );
                }
            }
            CounterfactualIdentification::Impossible => prop_assert!(evidence <= 0.0, "{}", context),
            _ => {}
        }
    }

    #[test]
    fn one_world_is_identified_as_by_intervention(seed in any::<u64>(), size in 2_usize..6) {
        let mut random = generator(seed);
        let diagram = random_diagram(&mut random, size);
        let query = random_query(&mut random, size);
        let events = |nodes: &NodeSet| -> Vec<Counterfactual> {
            let event = |node| {
                let event = Counterfactual::new(node, 0);
                query.intervention.iter().fold(event, |event, set| event.under(set, 1))
            };
            nodes.iter().map(event).collect()
        };
        let (event, given) = (events(&query.outcome), events(&query.given));
        let found =
            identify_counterfactual(&diagram, &event, &given, Available::Observation).unwrap();
        prop_assert_eq!(
            found.estimand().is_some(),
            identify(&diagram, &query).unwrap().estimand().is_some(),
            "{} in {}", query.describe(&diagram), diagram
        );
        let found =
            identify_counterfactual(&diagram, &event, &given, Available::Experiments).unwrap();
        prop_assert!(found.estimand().is_some());
    }
}

fn formula(text: &str, outcome: &str, intervention: &str, given: &[&str]) -> String {
    let diagram = Diagram::parse(text).unwrap();
    let set = |names: &[&str]| diagram.set(names).unwrap();
    let query = Query::of(&set(&[outcome]))
        .under(&set(&[intervention]))
        .given(&set(given));
    match identify(&diagram, &query).unwrap() {
        Identification::Identified(estimand) => estimand.simplified().display(&diagram).to_string(),
        Identification::NotIdentifiable(hedge) => hedge.describe(&diagram),
    }
}

#[test]
fn classical_formulas_are_short() {
    assert_eq!(formula("X -> Y", "Y", "X", &[]), "P(Y | X)");
    assert_eq!(formula("Y -> X", "Y", "X", &[]), "P(Y)");
    assert_eq!(
        formula("Z -> X -> Y; Z -> Y", "Y", "X", &[]),
        "sum_{Z} P(Z) P(Y | Z, X)"
    );
    assert_eq!(
        formula("Z -> X -> Y; Z -> Y", "Y", "X", &["Z"]),
        "P(Y | Z, X)"
    );
}

#[test]
fn latent_nodes_act_as_bidirected_edges() {
    let latent = Diagram::builder().latent("U").unwrap();
    let latent = latent
        .directed("U", "X")
        .unwrap()
        .directed("U", "Y")
        .unwrap();
    let latent = latent
        .directed("X", "M")
        .unwrap()
        .directed("M", "Y")
        .unwrap()
        .build()
        .unwrap();
    let query = Query::of(&latent.set(&["Y"]).unwrap()).under(&latent.set(&["X"]).unwrap());
    let estimand = identify(&latent, &query)
        .unwrap()
        .estimand()
        .cloned()
        .unwrap();
    assert_eq!(
        estimand.display(&latent).to_string(),
        "sum_{M} P(M | X) sum_{X'} P(X') P(Y | X', M)"
    );
    let hidden = Query::of(&latent.set(&["U"]).unwrap());
    assert!(matches!(
        identify(&latent, &hidden),
        Err(GraphError::InvalidValue { .. })
    ));
}

#[test]
fn ill_posed_queries_are_errors() {
    let diagram = Diagram::parse("X -> Y").unwrap();
    let (x, y) = (diagram.set(&["X"]).unwrap(), diagram.set(&["Y"]).unwrap());
    let overlapping = Query::of(&y).under(&x).given(&x);
    assert!(matches!(
        identify(&diagram, &overlapping),
        Err(GraphError::Overlap { .. })
    ));
    let empty = Query::of(&NodeSet::new()).under(&x);
    assert!(matches!(
        identify(&diagram, &empty),
        Err(GraphError::EmptySet { .. })
    ));
    let foreign = Query::of(&NodeId::new(9).into());
    assert!(matches!(
        identify(&diagram, &foreign),
        Err(GraphError::ForeignNode { .. })
    ));
    let nothing = identify_counterfactual(&diagram, &[], &[], Available::Observation);
    assert!(matches!(nothing, Err(GraphError::EmptySet { .. })));
}

#[test]
fn two_outcomes_of_one_patient_conflict() {
    let diagram = Diagram::parse("X -> Y").unwrap();
    let (x, y) = (diagram.node("X").unwrap(), diagram.node("Y").unwrap());
    let benefit = [
        Counterfactual::new(y, 1).under(x, 1),
        Counterfactual::new(y, 0).under(x, 0),
    ];
    let found = identify_counterfactual(&diagram, &benefit, &[], Available::Experiments).unwrap();
    let CounterfactualIdentification::Conflicting(conflict) = found else {
        panic!("expected a conflict, found {found:?}");
    };
    assert_eq!(
        conflict.describe(&diagram),
        "the event needs X to take two values at once for {Y}, which hidden causes join: no \
         experiment shows both"
    );
}

#[test]
fn events_that_contradict_themselves_have_probability_zero() {
    let diagram = Diagram::parse("X -> Y").unwrap();
    let (x, y) = (diagram.node("X").unwrap(), diagram.node("Y").unwrap());
    let solve = |event: &[Counterfactual], given: &[Counterfactual]| {
        identify_counterfactual(&diagram, event, given, Available::Observation).unwrap()
    };
    // Had X been 1, it would have been 1; and Y in the actual world is Y under the actual X.
    let tautology = [Counterfactual::new(x, 1).under(x, 1)];
    assert_eq!(solve(&tautology, &[]).estimand(), Some(&Estimand::One));
    let against = [Counterfactual::new(x, 0).under(x, 1)];
    assert_eq!(solve(&against, &[]).estimand(), Some(&Estimand::Zero));
    let consistency = [Counterfactual::new(y, 1).under(x, 1)];
    let fact = [Counterfactual::new(x, 1), Counterfactual::new(y, 0)];
    assert_eq!(solve(&consistency, &fact).estimand(), Some(&Estimand::Zero));
    assert_eq!(
        solve(&consistency, &against),
        CounterfactualIdentification::Impossible
    );
}
