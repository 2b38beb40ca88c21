//! Laws that tie the kinds of models to each other.

use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::graph::{Diagram, NodeId};

/// A random diagram of `size` nodes, named by their index, edges upwards.
fn random_diagram(rng: &mut impl Rng, size: usize) -> Diagram {
    let mut builder = Diagram::builder();
    for i in 0..size {
        builder = builder.node(&i.to_string()).unwrap();
        for j in 0..i {
            if rng.random_bool(0.5) {
                builder = builder.directed(&j.to_string(), &i.to_string()).unwrap();
            }
        }
    }
    builder.build().unwrap()
}

/// A finite model with some shared noises.
fn random_discrete(seed: u64) -> DiscreteScm {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let diagram = random_diagram(&mut rng, 4);
    let cardinalities: Vec<usize> = (0..4).map(|_| rng.random_range(2..4)).collect();
    let noises: Vec<Vec<f64>> = (0..3)
        .map(|_| {
            let raw: Vec<f64> = (0..3).map(|_| rng.random_range(0.1..1.0)).collect();
            let sum: f64 = raw.iter().sum();
            raw.into_iter().map(|value| value / sum).collect()
        })
        .collect();
    let functions = diagram
        .ids()
        .map(|node| {
            let parents: Vec<NodeId> = diagram.parents(node).iter().collect();
            let cells = 3 * parents
                .iter()
                .map(|p| cardinalities[p.index()])
                .product::<usize>();
            let card = cardinalities[node.index()];
            let states = (0..cells).map(|_| rng.random_range(0..card)).collect();
            FunctionTable {
                noise: rng.random_range(0..3),
                parents,
                states,
            }
        })
        .collect();
    DiscreteScm::new(diagram, cardinalities, noises, functions).unwrap()
}

/// The states of all nodes for given noise states, with some nodes set.
fn play(model: &DiscreteScm, noise: &[usize], set: Option<(NodeId, usize)>) -> Vec<usize> {
    let mut states = vec![0; model.diagram().len()];
    for &node in model.diagram().topological_order() {
        let function = &model.functions()[node.index()];
        let row = function.parents.iter().fold(0, |row, parent| {
            row * model.cardinalities()[parent.index()] + states[parent.index()]
        });
        let noises = model.noises()[function.noise].len();
        states[node.index()] = match set {
            Some((fixed, state)) if fixed == node => state,
            _ => function.states[row * noises + noise[function.noise]],
        };
    }
    states
}

/// Every combination of noise states with its probability.
fn noises(model: &DiscreteScm) -> Vec<(Vec<usize>, f64)> {
    let mut all = vec![(Vec::new(), 1.0)];
    for noise in model.noises() {
        let grow = |(states, p): (Vec<usize>, f64)| {
            let next = noise.iter().enumerate().map(move |(state, q)| {
                let mut longer = states.clone();
                longer.push(state);
                (longer, p * q)
            });
            next.collect::<Vec<_>>()
        };
        all = all.into_iter().flat_map(grow).collect();
    }
    all
}

fn random_scm(seed: u64) -> (Scm, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let diagram = random_diagram(&mut rng, 5);
    let functions = [
        Basis::Tanh,
        Basis::Square,
        Basis::Sin,
        Basis::Softplus,
        Basis::Identity,
    ];
    let mut builder = Scm::builder(diagram.clone());
    for node in diagram.ids() {
        let mut formula = || {
            let start = Formula::constant(rng.random_range(-1.0..1.0));
            let parents = diagram.parents(node).iter();
            parents.fold(start, |formula, parent| {
                let function = functions[rng.random_range(0..functions.len())];
                formula.plus(parent, function, rng.random_range(-1.0..1.0))
            })
        };
        let location = formula();
        let mechanism = if node.index() % 2 == 0 {
            Mechanism::Additive(location)
        } else {
            let parents = diagram.parents(node).iter();
            let log_scale = parents.fold(Formula::constant(0.1), |formula, parent| {
                formula.plus(parent, Basis::Tanh, 0.3)
            });
            Mechanism::LocationScale {
                location,
                log_scale,
            }
        };
        builder = builder.node(node, mechanism, Noise::STANDARD);
    }
    let model = builder.build().unwrap();
    let samples = model.sample(1, seed).unwrap();
    let fact = diagram.ids().map(|node| samples.column(node)[0]).collect();
    (model, fact)
}

proptest! {
    #[test]
    fn worlds_agree_with_enumeration(seed in 0_u64..500, set in 0_usize..4, seen in 0_usize..4, outcome in 0_usize..4) {
        let model = random_discrete(seed);
        let [set, seen, outcome] = [set, seen, outcome].map(NodeId::new);
        let mut sums = vec![0.0; model.cardinalities()[outcome.index()]];
        for (noise, p) in noises(&model) {
            if play(&model, &noise, None)[seen.index()] == 0 {
                sums[play(&model, &noise, Some((set, 1)))[outcome.index()]] += p;
            }
        }
        let total: f64 = sums.iter().sum();
        let found = model.counterfactual(&[(seen, 0)], &World::doing(set, 1), outcome);
        if total == 0.0 {
            prop_assert_eq!(found, Err(ModelError::ImpossibleEvidence));
        } else {
            let found = found.unwrap();
            prop_assert!((found.evidence_probability - total).abs() < 1e-12);
            for (value, sum) in found.values.iter().zip(&sums) {
                prop_assert!((value - sum / total).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn doing_what_was_seen_changes_nothing_in_finite_models(seed in 0_u64..300, node in 0_usize..4, outcome in 0_usize..4) {
        let model = random_discrete(seed);
        let (noise, _) = &noises(&model)[seed as usize % 27];
        let fact = play(&model, noise, None);
        let evidence: Vec<(NodeId, usize)> = model.diagram().ids().zip(fact.iter().copied()).collect();
        let world = World::doing(NodeId::new(node), fact[node]);
        let same = model.counterfactual(&evidence, &world, NodeId::new(outcome)).unwrap();
        prop_assert!((same.values[fact[outcome]] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn doing_what_was_seen_changes_nothing(seed in any::<u64>(), node in 0_usize..5) {
        let (model, fact) = random_scm(seed);
        let evidence: Vec<(NodeId, f64)> = model.diagram().ids().zip(fact.iter().copied()).collect();
        let set = [(NodeId::new(node), Intervention::Set(fact[node]))];
        let same = model.counterfactual(&evidence, &set).unwrap();
        for (same, fact) in same.iter().zip(&fact) {
            prop_assert!((same - fact).abs() <= 1e-9 * (1.0 + fact.abs()));
        }
    }

    #[test]
    fn prediction_inverts_abduction(seed in any::<u64>()) {
        let (model, fact) = random_scm(seed);
        let evidence: Vec<(NodeId, f64)> = model.diagram().ids().zip(fact.iter().copied()).collect();
        let predicted = model.predict(&model.abduct(&evidence).unwrap()).unwrap();
        for (predicted, fact) in predicted.iter().zip(&fact) {
            prop_assert!((predicted - fact).abs() <= 1e-9 * (1.0 + fact.abs()));
        }
    }
}

#[test]
fn weighted_samples_agree_with_the_closed_form() {
    let diagram = Diagram::parse("x -> m -> y; x -> y").unwrap();
    let [x, m, y] = ["x", "m", "y"].map(|name| diagram.node(name).unwrap());
    let sampled = Scm::builder(diagram.clone())
        .node(x, Mechanism::linear(0.5, &[]), Noise::STANDARD)
        .node(m, Mechanism::linear(0.0, &[(x, 1.0)]), Noise::normal(0.5))
        .node(
            y,
            Mechanism::linear(0.0, &[(x, -1.0), (m, 2.0)]),
            Noise::STANDARD,
        )
        .build()
        .unwrap();
    let exact = LinearGaussian::builder(diagram)
        .intercept(x, 0.5)
        .coefficient(x, m, 1.0)
        .coefficient(x, y, -1.0)
        .coefficient(m, y, 2.0)
        .error_variance(m, 0.25)
        .build()
        .unwrap();
    let options = ImportanceSampling {
        samples: 40_000,
        seed: 5,
        bandwidth: 0.0,
    };
    let seen = [(y, 2.0)];
    let set = [(x, Intervention::Set(0.0))];
    let found = sampled.importance(&seen, &set, &options).unwrap();
    let truth = exact.counterfactual(&seen, &[(x, 0.0)]).unwrap();
    assert!((found.mean(y) - truth.mean(y)).abs() < 0.03);
    let spread = found.expectation(y, |value| (value - truth.mean(y)).powi(2));
    assert!((spread - truth.variance(y)).abs() < 0.05);
    assert!(found.effective_sample_size() < 40_000.0);
}

#[test]
fn tables_and_closures_are_sampled() {
    let diagram = Diagram::parse("disease -> test").unwrap();
    let (disease, test) = (
        diagram.node("disease").unwrap(),
        diagram.node("test").unwrap(),
    );
    let prior = ConditionalTable {
        parents: vec![],
        values: vec![0.9, 0.1],
    };
    let custom =
        CustomMechanism::new(|parents, noise| f64::from(u8::from(noise < 0.2 + 0.7 * parents[0])));
    let model = Scm::builder(diagram)
        .node(
            disease,
            Mechanism::Table {
                table: prior,
                shape: vec![2],
            },
            Noise::UNIT,
        )
        .node(test, Mechanism::Custom(custom), Noise::UNIT)
        .build()
        .unwrap();
    assert!(matches!(
        model.abduct(&[(disease, 1.0), (test, 1.0)]),
        Err(ModelError::NotInvertible { .. })
    ));
    let options = ImportanceSampling {
        samples: 50_000,
        ..Default::default()
    };
    let posterior = model.importance(&[(test, 1.0)], &[], &options).unwrap();
    // Bayes: 0.1 · 0.9 / (0.1 · 0.9 + 0.9 · 0.2).
    assert!((posterior.mean(disease) - 0.09 / 0.27).abs() < 0.02);
    let impossible = model.importance(&[(test, 0.5)], &[], &options);
    assert_eq!(impossible, Err(ModelError::ImpossibleEvidence));
}

#[test]
fn a_closure_with_an_inverse_is_abducted() {
    let diagram = Diagram::parse("x -> y").unwrap();
    let (x, y) = (diagram.node("x").unwrap(), diagram.node("y").unwrap());
    let product = CustomMechanism::new(|parents, noise| parents[0].exp() * noise.exp())
        .with_inverse(|parents, value| value.ln() - parents[0]);
    let model = Scm::builder(diagram)
        .node(x, Mechanism::linear(0.0, &[]), Noise::STANDARD)
        .node(y, Mechanism::Custom(product), Noise::STANDARD)
        .build()
        .unwrap();
    let fact = [(x, 0.0), (y, 2.0)];
    let other = model
        .counterfactual(&fact, &[(x, Intervention::Set(1.0))])
        .unwrap();
    assert!((other[1] - 2.0 * 1_f64.exp()).abs() < 1e-12);
    let soft = Mechanism::linear(0.0, &[(x, 10.0)]);
    let other = model.counterfactual(&[(x, 1.0), (y, 2.0)], &[(y, Intervention::Replace(soft))]);
    assert!((other.unwrap()[1] - (10.0 + 2_f64.ln() - 1.0)).abs() < 1e-12);
}

#[test]
fn a_network_and_its_structural_model_have_the_same_samples() {
    let diagram = Diagram::parse("a -> b").unwrap();
    let a = diagram.node("a").unwrap();
    let tables = vec![
        ConditionalTable {
            parents: vec![],
            values: vec![0.3, 0.7],
        },
        ConditionalTable {
            parents: vec![a],
            values: vec![0.2, 0.5, 0.3, 0.6, 0.1, 0.3],
        },
    ];
    let network = BayesianNetwork::new(diagram, vec![2, 3], tables).unwrap();
    let samples = Scm::from_network(&network)
        .unwrap()
        .sample(40_000, 2)
        .unwrap();
    let b = NodeId::new(1);
    let truth = network.query(&Query::of(b)).unwrap().values;
    for (state, truth) in truth.iter().enumerate() {
        let hits = samples
            .column(b)
            .iter()
            .filter(|&&value| (value - state as f64).abs() < 0.5)
            .count();
        assert!((hits as f64 / 40_000.0 - truth).abs() < 0.01);
    }
}

#[test]
fn models_with_missing_parts_are_errors() {
    let diagram = Diagram::parse("x -> y; x <-> y").unwrap();
    let confounded = Scm::builder(diagram).build();
    assert!(matches!(confounded, Err(ModelError::Bidirected { .. })));
    let diagram = Diagram::parse("x -> y").unwrap();
    let (x, y) = (diagram.node("x").unwrap(), diagram.node("y").unwrap());
    let one = Scm::builder(diagram).node(x, Mechanism::linear(0.0, &[]), Noise::STANDARD);
    assert!(matches!(
        one.clone().build(),
        Err(ModelError::MechanismCount { found: 0, .. })
    ));
    let backwards = one
        .clone()
        .node(x, Mechanism::linear(0.0, &[(y, 1.0)]), Noise::STANDARD);
    assert!(matches!(
        backwards.build(),
        Err(ModelError::MechanismCount { found: 2, .. })
    ));
    let own = one.node(y, Mechanism::linear(0.0, &[(y, 1.0)]), Noise::STANDARD);
    assert!(matches!(own.build(), Err(ModelError::NotAParent { .. })));
}
