//! Bayesian networks over discrete variables: observational, interventional and mixed queries.

use super::factor::{Factor, sum_product};
use super::{ModelError, validate};
use crate::graph::{Diagram, Mixed, NodeId, NodeSet};

/// `P(node | parents)` of a discrete variable.
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, model::ConditionalTable};
///
/// // P(test | disease): one row per state of the disease.
/// let disease = NodeId::new(0);
/// let test = ConditionalTable { parents: vec![disease], values: vec![0.8, 0.2, 0.1, 0.9] };
/// let of_the_ill = &test.values[2..];
/// assert_eq!(of_the_ill, [0.1, 0.9]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionalTable {
    /// The parents, in the order of the table's axes.
    pub parents: Vec<NodeId>,
    /// Probabilities, row-major: one axis per parent, the variable itself varies fastest.
    pub values: Vec<f64>,
}

/// A question `P(outcome | do(interventions), evidence)`.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, model::Query};
///
/// let diagram = Diagram::parse("disease -> image")?;
/// let (disease, image) = (diagram.node("disease")?, diagram.node("image")?);
/// let query = Query::of(disease).given(image, 1);
/// assert_eq!(query.outcome, [disease]);
/// assert_eq!(query.evidence, [(image, 1)]);
/// assert!(query.interventions.is_empty());
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Variables whose joint distribution is asked for, in the order of the answer's axes.
    pub outcome: Vec<NodeId>,
    /// Observed states, seen after the intervention.
    pub evidence: Vec<(NodeId, usize)>,
    /// States that are set.
    pub interventions: Vec<(NodeId, usize)>,
}

impl Query {
    /// Asks for the distribution of one variable.
    pub fn of(outcome: NodeId) -> Self {
        Self::joint(&[outcome])
    }

    /// Asks for the joint distribution of several variables.
    pub fn joint(outcome: &[NodeId]) -> Self {
        Self {
            outcome: outcome.to_vec(),
            ..Self::default()
        }
    }

    /// Adds an observed state.
    #[must_use]
    pub fn given(mut self, node: NodeId, state: usize) -> Self {
        self.evidence.push((node, state));
        self
    }

    /// Adds an intervention.
    #[must_use]
    pub fn doing(mut self, node: NodeId, state: usize) -> Self {
        self.interventions.push((node, state));
        self
    }
}

/// A distribution given evidence.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{BayesianNetwork, ConditionalTable, Query};
///
/// let diagram = Diagram::parse("disease -> test")?;
/// let (disease, test) = (diagram.node("disease")?, diagram.node("test")?);
/// let tables = vec![
///     ConditionalTable { parents: vec![], values: vec![0.75, 0.25] },
///     ConditionalTable { parents: vec![disease], values: vec![1.0, 0.0, 0.5, 0.5] },
/// ];
/// let network = BayesianNetwork::new(diagram, vec![2, 2], tables)?;
/// let posterior = network.query(&Query::of(disease).given(test, 1))?;
/// assert_eq!(posterior.values, [0.0, 1.0]);
/// assert_eq!(posterior.evidence_probability, 0.125);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Probabilities, row-major over the outcomes in the order in which they were asked for.
    pub values: Vec<f64>,
    /// Probability of the evidence (after the intervention, if there is one).
    pub evidence_probability: f64,
}

impl Posterior {
    /// Divides joint probabilities with the evidence by the evidence's own.
    pub(super) fn normalised(joint: &[f64]) -> Result<Self, ModelError> {
        let evidence_probability: f64 = joint.iter().sum();
        if evidence_probability.is_nan() || evidence_probability <= 0.0 {
            return Err(ModelError::ImpossibleEvidence);
        }
        let values = joint.iter().map(|value| value / evidence_probability);
        Ok(Self {
            values: values.collect(),
            evidence_probability,
        })
    }
}

/// A Bayesian network: a DAG of discrete variables with a conditional table per node.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{BayesianNetwork, ConditionalTable, Query};
///
/// let diagram = Diagram::parse("season -> flu; season -> film; flu -> film")?;
/// let [season, flu, film] = ["season", "flu", "film"].map(|name| diagram.node(name).unwrap());
/// let tables = vec![
///     ConditionalTable { parents: vec![], values: vec![0.5, 0.5] },
///     ConditionalTable { parents: vec![season], values: vec![0.8, 0.2, 0.4, 0.6] },
///     ConditionalTable {
///         parents: vec![season, flu],
///         values: vec![0.9, 0.1, 0.5, 0.5, 0.7, 0.3, 0.1, 0.9],
///     },
/// ];
/// let network = BayesianNetwork::new(diagram, vec![2, 2, 2], tables)?;
///
/// let seen = network.query(&Query::of(film).given(flu, 1))?;
/// assert!((seen.values[1] - 0.8).abs() < 1e-12);
/// let set = network.query(&Query::of(film).doing(flu, 1))?;
/// assert!((set.values[1] - 0.7).abs() < 1e-12);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BayesianNetwork {
    diagram: Diagram,
    cardinalities: Vec<usize>,
    tables: Vec<ConditionalTable>,
}

impl BayesianNetwork {
    /// Checks and combines a diagram and its tables.
    ///
    /// # Arguments
    /// - `diagram`: a DAG.
    /// - `cardinalities`: number of states of each node, in node order.
    /// - `tables`: one per node, in node order, whose parents are those of the diagram.
    ///
    /// # Errors
    /// [`ModelError::Bidirected`], [`ModelError::Shape`], [`ModelError::NotAParent`],
    /// [`ModelError::Repeated`], [`ModelError::Value`], and [`ModelError::NotADistribution`] for a
    /// row that does not sum to 1 within 1e-6.
    pub fn new(
        diagram: Diagram,
        cardinalities: Vec<usize>,
        tables: Vec<ConditionalTable>,
    ) -> Result<Self, ModelError> {
        validate::is_dag(&diagram)?;
        validate::length("cardinalities", diagram.len(), cardinalities.len())?;
        validate::length("tables", diagram.len(), tables.len())?;
        for (node, table) in diagram.ids().zip(&tables) {
            check_table(&diagram, &cardinalities, node, table)?;
        }
        Ok(Self {
            diagram,
            cardinalities,
            tables,
        })
    }

    /// The diagram.
    pub fn diagram(&self) -> &Diagram {
        &self.diagram
    }

    /// Number of states of each node, in node order.
    pub fn cardinalities(&self) -> &[usize] {
        &self.cardinalities
    }

    /// The conditional tables in node order.
    pub fn tables(&self) -> &[ConditionalTable] {
        &self.tables
    }

    /// `P(outcome | do(interventions), evidence)` by variable elimination.
    ///
    /// Only ancestors of outcome and evidence in the mutilated graph enter; the variable whose
    /// elimination makes the smallest table goes first.
    ///
    /// # Errors
    /// [`ModelError::State`], [`ModelError::Repeated`], [`ModelError::Graph`] for a foreign node,
    /// [`ModelError::ImpossibleEvidence`], and [`ModelError::TooLarge`] where a table in between
    /// would not fit into memory.
    ///
    /// # Complexity
    /// Exponential in the width of the elimination order, linear in the number of nodes.
    ///
    /// # References
    /// Zhang & Poole (1994), *A simple approach to Bayesian network computations*; the truncated
    /// factorisation of Pearl (2009), equation 3.10.
    pub fn query(&self, query: &Query) -> Result<Posterior, ModelError> {
        let set = validate::assignment(&self.diagram, &query.interventions, "interventions")?;
        let seen = validate::assignment(&self.diagram, &query.evidence, "evidence")?;
        for &(node, state) in query.interventions.iter().chain(&query.evidence) {
            validate::state(&self.diagram, node, &self.cardinalities, state)?;
        }
        let unit: Vec<(NodeId, ())> = query.outcome.iter().map(|&node| (node, ())).collect();
        validate::assignment(&self.diagram, &unit, "the outcome")?;
        if seen
            .iter()
            .zip(&set)
            .any(|(seen, set)| set.is_some() && seen.is_some() && seen != set)
        {
            return Err(ModelError::ImpossibleEvidence);
        }
        let factors = self.factors(query, &set, &seen);
        let keep: Vec<usize> = query.outcome.iter().map(|node| node.index()).collect();
        Posterior::normalised(sum_product(factors, &keep)?.values())
    }

    /// The tables that matter to a query, with the fixed states filled in.
    fn factors(&self, query: &Query, set: &[Option<usize>], seen: &[Option<usize>]) -> Vec<Factor> {
        let fixed: NodeSet = query.interventions.iter().map(|&(node, _)| node).collect();
        let observed = query.evidence.iter().map(|&(node, _)| node);
        let asked: NodeSet = query.outcome.iter().copied().chain(observed).collect();
        let relevant = self
            .diagram
            .view()
            .without_incoming(&fixed)
            .ancestors(&asked);
        let tables = relevant.iter().filter(|&node| !fixed.contains(node));
        let mut factors: Vec<Factor> = tables.map(|node| self.factor(node)).collect();
        for node in &relevant {
            let Some(state) = set[node.index()].or(seen[node.index()]) else {
                continue;
            };
            if query.outcome.contains(&node) {
                factors.push(self.indicator(node, state));
            } else {
                for factor in &mut factors {
                    *factor = factor.at(node.index(), state);
                }
            }
        }
        factors
    }

    fn factor(&self, node: NodeId) -> Factor {
        let table = &self.tables[node.index()];
        let variables = table.parents.iter().chain([&node]).map(|node| node.index());
        let variables: Vec<usize> = variables.collect();
        let cardinalities = variables.iter().map(|&v| self.cardinalities[v]).collect();
        Factor::new(variables, cardinalities, table.values.clone())
    }

    fn indicator(&self, node: NodeId, state: usize) -> Factor {
        let cardinality = self.cardinalities[node.index()];
        Factor::indicator(node.index(), cardinality, state)
    }
}

fn check_table(
    diagram: &Diagram,
    cardinalities: &[usize],
    node: NodeId,
    table: &ConditionalTable,
) -> Result<(), ModelError> {
    validate::parents(diagram, node, &table.parents)?;
    let subject = format!("table of node {}", diagram.name(node));
    let states = cardinalities[node.index()];
    let rows: usize = table
        .parents
        .iter()
        .map(|parent| cardinalities[parent.index()])
        .product();
    if states == 0 {
        return Err(ModelError::Value {
            subject,
            expected: "at least one state",
            found: 0.0,
        });
    }
    validate::length(subject.as_str(), rows * states, table.values.len())?;
    table
        .values
        .chunks_exact(states)
        .try_for_each(|row| validate::distribution(&subject, row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// A random network of five nodes, two or three states each.
    fn random(seed: u64) -> BayesianNetwork {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut builder = Diagram::builder();
        for i in 0..5 {
            builder = builder.node(&format!("v{i}")).unwrap();
            for j in 0..i {
                if rng.random_bool(0.5) {
                    builder = builder
                        .directed(&format!("v{j}"), &format!("v{i}"))
                        .unwrap();
                }
            }
        }
        let diagram = builder.build().unwrap();
        let cardinalities: Vec<usize> = (0..5).map(|_| rng.random_range(2..4)).collect();
        let mut table = |node: NodeId| {
            let parents: Vec<NodeId> = diagram.parents(node).iter().collect();
            let rows: usize = parents.iter().map(|p| cardinalities[p.index()]).product();
            let row = |_| {
                let raw: Vec<f64> = (0..cardinalities[node.index()])
                    .map(|_| rng.random_range(0.05..1.0))
                    .collect();
                let sum: f64 = raw.iter().sum();
                raw.into_iter()
                    .map(move |value| value / sum)
                    .collect::<Vec<_>>()
            };
            let values = (0..rows).flat_map(row).collect();
            ConditionalTable { parents, values }
        };
        let tables = diagram.ids().map(&mut table).collect();
        BayesianNetwork::new(diagram, cardinalities, tables).unwrap()
    }

    /// Enumerates every joint state with its probability under an intervention.
    fn enumerate(
        network: &BayesianNetwork,
        set: Option<(NodeId, usize)>,
    ) -> Vec<(Vec<usize>, f64)> {
        let mut states = vec![(Vec::new(), 1.0)];
        for node in network.diagram.ids() {
            let extend = |(prefix, p): (Vec<usize>, f64)| {
                let cards = &network.cardinalities;
                let table = &network.tables[node.index()];
                let row = table.parents.iter().fold(0, |row, parent| {
                    row * cards[parent.index()] + prefix[parent.index()]
                });
                let card = cards[node.index()];
                let p_of = move |state: usize| match set {
                    Some((fixed, value)) if fixed == node => f64::from(u8::from(state == value)),
                    _ => table.values[row * card + state],
                };
                (0..card).map(move |state| {
                    let mut next: Vec<usize> = prefix.clone();
                    next.push(state);
                    (next, p * p_of(state))
                })
            };
            states = states.into_iter().flat_map(extend).collect();
        }
        states
    }

    proptest! {
        #[test]
        fn elimination_agrees_with_enumeration(seed in 0_u64..400, outcome in 0_usize..5, seen in 0_usize..5, fixed in 0_usize..6) {
            let network = random(seed);
            let [outcome, seen, fixed] = [outcome, seen, fixed].map(NodeId::new);
            let set = (fixed.index() < 5).then_some((fixed, 1));
            let evidence = (seen, usize::from(set == Some((seen, 1))));
            let mut query = Query::of(outcome).given(evidence.0, evidence.1);
            query.interventions.extend(set);
            let answer = network.query(&query).unwrap();
            let mut sums = vec![0.0; network.cardinalities()[outcome.index()]];
            for (states, p) in enumerate(&network, set) {
                if states[evidence.0.index()] == evidence.1 {
                    sums[states[outcome.index()]] += p;
                }
            }
            let total: f64 = sums.iter().sum();
            prop_assert!((total - answer.evidence_probability).abs() < 1e-12);
            for (sum, value) in sums.iter().zip(&answer.values) {
                prop_assert!((sum / total - value).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn unusable_questions_are_errors() {
        let network = random(1);
        let [a, b] = [0, 1].map(NodeId::new);
        let contradiction = Query::of(b).given(a, 0).doing(a, 1);
        assert_eq!(
            network.query(&contradiction),
            Err(ModelError::ImpossibleEvidence)
        );
        let beyond = network.query(&Query::of(b).given(a, 7));
        assert!(matches!(beyond, Err(ModelError::State { found: 7, .. })));
        let twice = network.query(&Query::joint(&[a, a]));
        assert!(matches!(twice, Err(ModelError::Repeated { .. })));
        let foreign = network.query(&Query::of(NodeId::new(77)));
        assert!(matches!(foreign, Err(ModelError::Graph(_))));
    }

    #[test]
    fn unusable_tables_are_errors() {
        let diagram = Diagram::parse("a -> b").unwrap();
        let a = diagram.node("a").unwrap();
        let first = ConditionalTable {
            parents: vec![],
            values: vec![0.5, 0.5],
        };
        let build = |parents: Vec<NodeId>, values: Vec<f64>| {
            let second = ConditionalTable { parents, values };
            BayesianNetwork::new(diagram.clone(), vec![2, 2], vec![first.clone(), second])
        };
        let uneven = build(vec![a], vec![0.5, 0.5, 0.5, 0.6]);
        assert!(matches!(uneven, Err(ModelError::NotADistribution { .. })));
        assert!(matches!(
            build(vec![a], vec![1.0]),
            Err(ModelError::Shape { .. })
        ));
        assert!(matches!(
            build(vec![], vec![0.5, 0.5]),
            Err(ModelError::Shape { .. })
        ));
        let negative = build(vec![a], vec![-0.5, 1.5, 0.5, 0.5]);
        assert!(matches!(negative, Err(ModelError::Value { .. })));
    }
}
