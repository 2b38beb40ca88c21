use proptest::prelude::*;
use rand::RngExt;

use super::*;
use crate::estimand::{Distributions, Estimand, Factor, Probability};
use crate::identification::simulated::{Simulated, generator, random_diagram, random_sets};
use crate::identification::{Identification, identify};
use crate::{Diagram, NodeId};

const TOLERANCE: f64 = 1e-9;

fn close(a: &Factor, b: &Factor) -> bool {
    a.axes() == b.axes()
        && a.values()
            .iter()
            .zip(b.values())
            .all(|(a, b)| (a - b).abs() <= TOLERANCE)
}

/// Two sources with experiments and differences drawn at random, and the model of each.
struct World {
    target: Simulated,
    sources: Vec<Simulated>,
    selection: SelectionDiagram,
    query: Query,
}

fn world(seed: u64, size: usize) -> World {
    let mut random = generator(seed);
    let diagram = random_diagram(&mut random, size);
    let target = Simulated::new(&mut random, diagram.clone());
    let mut selection = SelectionDiagram::new(diagram);
    if random.random_bool(0.3) {
        selection = selection.with_target_data(Experiments::none()).unwrap();
    }
    let mut sources = Vec::new();
    for name in ["oslo", "pune"] {
        let differs = random_sets(&mut random, size, 2).swap_remove(0);
        let experiments = random_sets(&mut random, size, 1).swap_remove(0);
        let source = Population::new(name).differing_in(&differs);
        let source = source.offering(Experiments::SubsetsOf(experiments));
        sources.push(target.altered(&mut random, &differs));
        selection = selection.with_source(source).unwrap();
    }
    let mut sets = random_sets(&mut random, size, 3);
    sets[0].insert(NodeId::new(size - 1));
    let rest = |set: &NodeSet| set.difference(&sets[0]);
    let given = if random.random_bool(0.4) {
        rest(&sets[2])
    } else {
        NodeSet::new()
    };
    let query = Query::of(&sets[0]).under(&rest(&sets[1])).given(&given);
    World {
        target,
        sources,
        selection,
        query,
    }
}

/// The distributions that a formula mentions; using one that is not offered fails the test.
fn distributions(world: &World, estimand: &Estimand) -> Distributions {
    let mut known = Distributions::new(world.selection.diagram());
    for probability in estimand.probabilities() {
        let (domain, set) = (probability.domain(), probability.intervention());
        assert!(world.selection.offers(domain, set), "{domain:?} {set:?}");
        let model = match domain {
            Domain::Target => &world.target,
            Domain::Source(index) => &world.sources[index],
        };
        known
            .insert(domain, set, model.tables().under(set).unwrap())
            .unwrap();
    }
    known
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn formulas_equal_the_truth_of_the_target(seed in any::<u64>(), size in 2_usize..6) {
        let world = world(seed, size);
        let query = &world.query;
        let answer = transport(&world.selection, query).unwrap();
        if let Some(estimand) = answer.estimand() {
            let diagram = world.selection.diagram();
            let truth = world.target.truth(query);
            for form in [estimand.clone(), estimand.simplified()] {
                let mut known = distributions(&world, &form);
                if form.probabilities().is_empty() {
                    known = Distributions::observational(
                        diagram, world.target.tables().under(&NodeSet::new()).unwrap(),
                    ).unwrap();
                }
                let found = form.evaluate_over(&query.variables(), &known).unwrap();
                prop_assert!(close(&found, &truth), "{}", world.selection.display(&form));
            }
        }
    }

    #[test]
    fn what_the_target_identifies_needs_no_source(seed in any::<u64>(), size in 2_usize..7) {
        let world = world(seed, size);
        let diagram = world.selection.diagram().clone();
        if let Identification::Identified(estimand) = identify(&diagram, &world.query).unwrap() {
            let alone = SelectionDiagram::new(diagram);
            let answer = transport(&alone, &world.query).unwrap();
            prop_assert_eq!(answer.estimand(), Some(&estimand));
        }
    }

    #[test]
    fn a_source_that_differs_nowhere_can_replace_the_target(
        seed in any::<u64>(),
        size in 2_usize..7,
    ) {
        let world = world(seed, size);
        let diagram = world.selection.diagram().clone();
        let identified = identify(&diagram, &world.query).unwrap().estimand().is_some();
        let selection = SelectionDiagram::new(diagram)
            .with_target_data(Experiments::none()).unwrap()
            .with_source(Population::new("twin")).unwrap();
        let transported = transport(&selection, &world.query).unwrap();
        prop_assert_eq!(transported.estimand().is_some(), identified);
    }

    #[test]
    fn invariant_conditionals_are_equal_by_number(seed in any::<u64>(), size in 2_usize..6) {
        let world = world(seed, size);
        let diagram = world.selection.diagram();
        let mut random = generator(seed);
        let sets = random_sets(&mut random, size, 2);
        if sets[0].is_empty() {
            return Ok(());
        }
        let differs = world.selection.sources()[0].differs();
        if reuse(diagram, differs, &sets[0], &sets[1]).unwrap().is_invariant() {
            let conditional = |model: &Simulated| {
                let joint = model.tables().under(&NodeSet::new()).unwrap();
                let known = Distributions::observational(diagram, joint).unwrap();
                let estimand = Estimand::from(Probability::of(&sets[0]).given(&sets[1]));
                estimand.evaluate(&known).unwrap()
            };
            prop_assert!(close(&conditional(&world.target), &conditional(&world.sources[0])));
        }
    }

    #[test]
    fn admissible_sets_transfer_the_effect_by_number(seed in any::<u64>(), size in 3_usize..6) {
        let world = world(seed, size);
        let diagram = world.selection.diagram();
        let mut random = generator(seed);
        let [y, x, z] = &random_sets(&mut random, size, 3)[..] else { unreachable!() };
        if y.is_empty() {
            return Ok(());
        }
        let differs = world.selection.sources()[0].differs();
        if is_s_admissible(diagram, differs, y, x, z).unwrap() {
            let effect = |model: &Simulated| model.truth(&Query::of(y).under(x).given(z));
            prop_assert!(close(&effect(&world.target), &effect(&world.sources[0])));
        }
    }
}

#[test]
fn a_refusal_says_what_is_missing() {
    let diagram = Diagram::parse("X -> Y; X <-> Y").unwrap();
    let (x, y) = (diagram.set(&["X"]).unwrap(), diagram.set(&["Y"]).unwrap());
    let trial = Population::new("trial").differing_in(&y);
    let trial = trial.offering(Experiments::SubsetsOf(x.clone()));
    let selection = SelectionDiagram::new(diagram).with_source(trial).unwrap();
    let answer = transport(&selection, &Query::of(&y).under(&x)).unwrap();
    assert_eq!(
        selection.describe(answer.obstruction().unwrap()),
        "no population yields the mechanism of Y: in the target, {X, Y} and {Y} form a hedge: hidden \
         common causes join them, and observing {X, Y} does not tell how {Y} behaves under \
         intervention on {X}; in trial the mechanism of Y may differ"
    );
}

#[test]
fn experiments_may_be_listed() {
    let diagram = Diagram::parse("X -> Y; X <-> Y").unwrap();
    let (x, y) = (diagram.set(&["X"]).unwrap(), diagram.set(&["Y"]).unwrap());
    let query = Query::of(&y).under(&x);
    let with = |sets: Vec<NodeSet>| {
        let source = Population::new("trial").offering(Experiments::Listed(sets));
        let selection = SelectionDiagram::new(diagram.clone())
            .with_source(source)
            .unwrap();
        transport(&selection, &query).unwrap()
    };
    assert!(with(vec![NodeSet::new(), y.clone()]).estimand().is_none());
    let Transport::Transportable(formula) = with(vec![y.clone(), x.clone()]) else {
        panic!("expected a formula");
    };
    assert_eq!(formula.pieces[0].intervention, x);
    assert_eq!(formula.pieces[0].domain, Domain::Source(0));
}
