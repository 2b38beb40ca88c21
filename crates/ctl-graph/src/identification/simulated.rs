//! Random models whose counterfactuals are known by enumeration, for tests.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Counterfactual, Query};
use crate::conformance::FiniteModel;
use crate::estimand::{Distributions, Domain, Estimand, Factor, Probability};
use crate::{Diagram, NodeId, NodeSet};

/// States of a variable's own noise; the first two force state 0 and state 1, so that every
/// assignment has positive probability.
const NOISE: usize = 4;

/// A structural model of binary variables: a function of parents, own noise and hidden causes each.
pub(crate) struct Simulated {
    pub(crate) diagram: Diagram,
    hidden: Vec<(NodeId, NodeId)>,
    hidden_probability: Vec<f64>,
    mechanisms: Vec<Mechanism>,
}

#[derive(Clone)]
struct Mechanism {
    /// By the states of parents, hidden causes and noise, in this order.
    table: Vec<usize>,
    noise: Vec<f64>,
}

pub(crate) fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A random diagram in which edges follow the order of the nodes.
pub(crate) fn random_diagram(random: &mut ChaCha8Rng, size: usize) -> Diagram {
    let mut builder = Diagram::builder();
    let name = |i: usize| format!("V{i}");
    let (directed, bidirected) = (random.random_range(0.2..0.8), random.random_range(0.0..0.5));
    for i in 0..size {
        builder = builder.node(&name(i)).unwrap();
    }
    for i in 0..size {
        for j in i + 1..size {
            if random.random_bool(directed) {
                builder = builder.directed(&name(i), &name(j)).unwrap();
            }
            if random.random_bool(bidirected) {
                builder = builder.bidirected(&name(i), &name(j)).unwrap();
            }
        }
    }
    builder.build().unwrap()
}

/// Puts every node into one of `count` disjoint sets, or into none.
pub(crate) fn random_sets(random: &mut ChaCha8Rng, size: usize, count: usize) -> Vec<NodeSet> {
    let mut sets = vec![NodeSet::new(); count];
    for i in 0..size {
        if let Some(set) = sets.get_mut(random.random_range(0..=count)) {
            set.insert(NodeId::new(i));
        }
    }
    sets
}

impl Simulated {
    pub(crate) fn new(random: &mut ChaCha8Rng, diagram: Diagram) -> Self {
        let hidden: Vec<_> = diagram.bidirected_edges().collect();
        let hidden_probability = hidden
            .iter()
            .map(|_| random.random_range(0.2..0.8))
            .collect();
        let mut model = Self {
            diagram,
            hidden,
            hidden_probability,
            mechanisms: Vec::new(),
        };
        for id in model.diagram.ids() {
            let mechanism = model.random_mechanism(random, id);
            model.mechanisms.push(mechanism);
        }
        model
    }

    fn random_mechanism(&self, random: &mut ChaCha8Rng, id: NodeId) -> Mechanism {
        let inputs = self.diagram.parents(id).len() + self.hidden_of(id).count();
        let table = (0..NOISE << inputs).map(|at| match at % NOISE {
            forced @ (0 | 1) => forced,
            _ => random.random_range(0..2),
        });
        let table = table.collect();
        let weights: Vec<f64> = (0..NOISE).map(|_| random.random_range(0.1..1.0)).collect();
        let total: f64 = weights.iter().sum();
        Mechanism {
            table,
            noise: weights.iter().map(|weight| weight / total).collect(),
        }
    }

    /// A model that differs in the mechanisms of some variables.
    pub(crate) fn altered(&self, random: &mut ChaCha8Rng, nodes: &NodeSet) -> Self {
        let mut mechanisms = self.mechanisms.clone();
        for node in nodes {
            mechanisms[node.index()] = self.random_mechanism(random, node);
        }
        let (hidden, hidden_probability) = (self.hidden.clone(), self.hidden_probability.clone());
        Self {
            diagram: self.diagram.clone(),
            hidden,
            hidden_probability,
            mechanisms,
        }
    }

    fn hidden_of(&self, id: NodeId) -> impl Iterator<Item = usize> + '_ {
        let touches = move |edge: &(NodeId, NodeId)| edge.0 == id || edge.1 == id;
        (0..self.hidden.len()).filter(move |&i| touches(&self.hidden[i]))
    }

    /// The same model as conditional tables.
    pub(crate) fn tables(&self) -> FiniteModel {
        let size = self.diagram.len();
        let hidden = |i: usize| NodeId::new(size + i);
        let mechanisms = self.diagram.ids().map(|id| {
            let mut axes: Vec<NodeId> = self.diagram.parents(id).iter().collect();
            axes.extend(self.hidden_of(id).map(hidden));
            axes.push(id);
            let mechanism = &self.mechanisms[id.index()];
            let mut values = Vec::new();
            for row in mechanism.table.chunks(NOISE) {
                let one = row
                    .iter()
                    .zip(&mechanism.noise)
                    .map(|(&state, p)| state as f64 * p);
                let one: f64 = one.sum();
                values.extend([1.0 - one, one]);
            }
            Factor::new(&axes, &vec![2; axes.len()], values).unwrap()
        });
        let causes = self.hidden_probability.iter().enumerate();
        let causes =
            causes.map(|(i, p)| Factor::new(&[hidden(i)], &[2], vec![1.0 - p, *p]).unwrap());
        FiniteModel::new(mechanisms.collect(), causes.collect())
    }

    /// The query's answer as a table over its variables.
    pub(crate) fn truth(&self, query: &Query) -> Factor {
        let Query {
            outcome,
            intervention,
            given,
        } = query;
        let mut known = Distributions::new(&self.diagram);
        let table = self.tables().under(intervention).unwrap();
        known.insert(Domain::Target, intervention, table).unwrap();
        let probability = Probability::of(outcome).given(given).under(intervention);
        Estimand::from(probability)
            .evaluate_over(&query.variables(), &known)
            .unwrap()
    }

    /// The probability that all events happen, by enumeration of noises and hidden causes.
    pub(crate) fn probability(&self, events: &[Counterfactual]) -> f64 {
        let noises = NOISE.pow(u32::try_from(self.diagram.len()).unwrap());
        let mut total = 0.0;
        for hidden in 0..1_usize << self.hidden.len() {
            for noise in 0..noises {
                if events
                    .iter()
                    .all(|event| self.happens(event, hidden, noise))
                {
                    total += self.weight(hidden, noise);
                }
            }
        }
        total
    }

    fn weight(&self, hidden: usize, noise: usize) -> f64 {
        let causes = self.hidden_probability.iter().enumerate();
        let causes = causes.map(|(i, p)| if hidden >> i & 1 == 1 { *p } else { 1.0 - p });
        let own = self.mechanisms.iter().enumerate();
        causes
            .chain(own.map(|(i, m)| m.noise[noise_of(noise, i)]))
            .product()
    }

    fn happens(&self, event: &Counterfactual, hidden: usize, noise: usize) -> bool {
        let mut states = vec![0; self.diagram.len()];
        for &id in self.diagram.topological_order() {
            let set = event.world().find(|pair| pair.0 == id);
            states[id.index()] = set.map_or_else(
                || {
                    let parents = self.diagram.parents(id).iter().map(|p| states[p.index()]);
                    let causes = self.hidden_of(id).map(|i| hidden >> i & 1);
                    let row = parents.chain(causes).fold(0, |row, state| 2 * row + state);
                    let own = noise_of(noise, id.index());
                    self.mechanisms[id.index()].table[row * NOISE + own]
                },
                |pair| pair.1,
            );
        }
        states[event.node().index()] == event.state()
    }
}

fn noise_of(noise: usize, index: usize) -> usize {
    noise / NOISE.pow(u32::try_from(index).unwrap()) % NOISE
}
