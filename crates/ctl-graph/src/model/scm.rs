//! Structural causal models over a diagram: sampling and interventions.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::mechanism::Placed;
use super::{BayesianNetwork, Mechanism, ModelError, Noise, validate};
use crate::graph::{Diagram, NodeId};

/// What is done to a node.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{Intervention, Mechanism, Noise, Scm};
///
/// let diagram = Diagram::parse("x -> y")?;
/// let (x, y) = (diagram.node("x")?, diagram.node("y")?);
/// let model = Scm::builder(diagram)
///     .node(x, Mechanism::linear(0.0, &[]), Noise::STANDARD)
///     .node(y, Mechanism::linear(0.0, &[(x, 1.0)]), Noise::STANDARD)
///     .build()?;
/// let fact = [(x, 1.0), (y, 3.0)];
/// let under = |done| model.counterfactual(&fact, &[(y, done)]).map(|values| values[y.index()]);
/// assert_eq!(under(Intervention::Set(7.0))?, 7.0);
/// assert_eq!(under(Intervention::Shift(0.5))?, 3.5);
/// // The noise was 2, and stays.
/// assert_eq!(under(Intervention::Replace(Mechanism::linear(0.0, &[(x, -1.0)])))?, 1.0);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Intervention {
    /// `do(node = value)`: its parents no longer matter.
    Set(f64),
    /// The node's own value plus an amount.
    Shift(f64),
    /// Another mechanism over the same parents, with the same noise (a soft intervention).
    Replace(Mechanism),
}

/// A structural causal model: a DAG, and a mechanism and an independent noise per node.
///
/// Latent common causes are nodes of their own here; closed forms with correlated errors are in
/// [`LinearGaussian`](super::LinearGaussian), shared discrete noises in
/// [`DiscreteScm`](super::DiscreteScm).
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{Basis, Formula, Intervention, Mechanism, Noise, Scm};
///
/// let diagram = Diagram::parse("age -> volume")?;
/// let (age, volume) = (diagram.node("age")?, diagram.node("volume")?);
/// let shrinking = Formula::constant(9.0).plus(age, Basis::Square, -1.0);
/// let model = Scm::builder(diagram)
///     .node(age, Mechanism::linear(1.0, &[]), Noise::normal(0.5))
///     .node(volume, Mechanism::Additive(shrinking), Noise::normal(1.0))
///     .build()?;
///
/// // This patient, aged 1 with volume 8.5, at age 2: 9 − 4 + 0.5.
/// let fact = [(age, 1.0), (volume, 8.5)];
/// let older = model.counterfactual(&fact, &[(age, Intervention::Set(2.0))])?;
/// assert_eq!(older[volume.index()], 5.5);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scm {
    diagram: Diagram,
    assignments: Vec<Assignment>,
}

/// A mechanism with its noise, and what interventions have done to it.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    mechanism: Mechanism,
    pub(super) noise: Noise,
    shift: f64,
    fixed: Option<f64>,
}

/// Collects the mechanisms of an [`Scm`].
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{Mechanism, ModelError, Noise, Scm};
///
/// let diagram = Diagram::parse("x -> y")?;
/// let x = diagram.node("x")?;
/// let half = Scm::builder(diagram).node(x, Mechanism::linear(0.0, &[]), Noise::STANDARD);
/// let fault = half.build().unwrap_err();
/// assert_eq!(fault.to_string(), "node y: expected one mechanism, found 0");
/// # Ok::<(), ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ScmBuilder {
    diagram: Diagram,
    parts: Vec<(NodeId, Mechanism, Noise)>,
}

impl ScmBuilder {
    /// Gives a node its mechanism and noise.
    #[must_use]
    pub fn node(mut self, node: NodeId, mechanism: Mechanism, noise: Noise) -> Self {
        self.parts.push((node, mechanism, noise));
        self
    }

    /// Checks the parts and makes the model.
    ///
    /// # Errors
    /// [`ModelError::Bidirected`] for a diagram that is no DAG, [`ModelError::MechanismCount`]
    /// where a node has none or two, [`ModelError::NotAParent`], and [`ModelError::Value`],
    /// [`ModelError::Shape`] and [`ModelError::NotADistribution`] for unusable parameters.
    pub fn build(self) -> Result<Scm, ModelError> {
        validate::is_dag(&self.diagram)?;
        let mut assignments: Vec<Vec<Assignment>> = vec![Vec::new(); self.diagram.len()];
        for (node, mechanism, noise) in self.parts {
            validate::node(&self.diagram, node)?;
            noise.validate()?;
            let assignment = Assignment {
                mechanism,
                noise,
                shift: 0.0,
                fixed: None,
            };
            assignments[node.index()].push(assignment);
        }
        for (node, found) in self.diagram.ids().zip(&assignments) {
            if found.len() != 1 {
                let node = self.diagram.name(node).to_owned();
                return Err(ModelError::MechanismCount {
                    node,
                    found: found.len(),
                });
            }
        }
        let assignments = assignments.into_iter().flatten().collect();
        let model = Scm {
            diagram: self.diagram,
            assignments,
        };
        model
            .diagram
            .ids()
            .try_for_each(|node| model.placed(node).validate())?;
        Ok(model)
    }
}

impl Scm {
    /// A builder without mechanisms.
    pub fn builder(diagram: Diagram) -> ScmBuilder {
        ScmBuilder {
            diagram,
            parts: Vec::new(),
        }
    }

    /// A Bayesian network as a structural model, each table read off by a uniform noise.
    ///
    /// # Errors
    /// None for a network that [`BayesianNetwork::new`] accepted.
    ///
    /// # References
    /// The network fixes observational and interventional distributions; counterfactuals follow
    /// the order of the states (Pearl 2009, section 9.2, monotonicity), which is an assumption.
    pub fn from_network(network: &BayesianNetwork) -> Result<Self, ModelError> {
        let mut builder = Self::builder(network.diagram().clone());
        for (node, table) in network.diagram().ids().zip(network.tables()) {
            let axes = table.parents.iter().copied().chain([node]);
            let shape = axes
                .map(|axis| network.cardinalities()[axis.index()])
                .collect();
            let mechanism = Mechanism::Table {
                table: table.clone(),
                shape,
            };
            builder = builder.node(node, mechanism, Noise::UNIT);
        }
        builder.build()
    }

    /// The diagram.
    pub fn diagram(&self) -> &Diagram {
        &self.diagram
    }

    pub(super) fn assignment(&self, node: NodeId) -> &Assignment {
        &self.assignments[node.index()]
    }

    pub(super) fn placed(&self, node: NodeId) -> Placed<'_> {
        let mechanism = &self.assignment(node).mechanism;
        Placed {
            diagram: &self.diagram,
            node,
            mechanism,
        }
    }

    /// A node's value from its parents' values and its noise.
    pub(super) fn evaluate(
        &self,
        node: NodeId,
        values: &[f64],
        noise: f64,
    ) -> Result<f64, ModelError> {
        let assignment = self.assignment(node);
        match assignment.fixed {
            Some(value) => Ok(value),
            None => Ok(self.placed(node).forward(values, noise)? + assignment.shift),
        }
    }

    /// A node's noise from its value; `None` where it does not follow.
    pub(super) fn invert(&self, node: NodeId, values: &[f64], value: f64) -> Option<f64> {
        let assignment = self.assignment(node);
        match assignment.fixed {
            // A node that was set says nothing of its noise; 0 stands for "not used".
            Some(_) => Some(0.0),
            None => self.placed(node).inverse(values, value - assignment.shift),
        }
    }

    /// The value a node was set to.
    pub(super) fn fixed(&self, node: NodeId) -> Option<f64> {
        self.assignment(node).fixed
    }

    pub(super) fn shift(&self, node: NodeId) -> f64 {
        self.assignment(node).shift
    }

    /// The model after interventions; those on one node apply in turn.
    ///
    /// # Errors
    /// [`ModelError::Graph`] for a foreign node, [`ModelError::Value`] for a number that is not
    /// finite, and those of [`ScmBuilder::build`] for a mechanism that does not fit.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::Diagram;
    /// use ctl_graph::model::{Intervention, Mechanism, Noise, Scm};
    ///
    /// let diagram = Diagram::parse("scanner -> image")?;
    /// let [scanner, image] = ["scanner", "image"].map(|name| diagram.node(name).unwrap());
    /// let model = Scm::builder(diagram)
    ///     .node(scanner, Mechanism::linear(0.0, &[]), Noise::STANDARD)
    ///     .node(image, Mechanism::linear(0.0, &[(scanner, 1.0)]), Noise::normal(0.1))
    ///     .build()?;
    ///
    /// // The same seed gives the same noise, so the difference is the intervention's.
    /// let shifted = model.intervene(&[(scanner, Intervention::Shift(2.0))])?;
    /// let (before, after) = (model.sample(100, 7)?, shifted.sample(100, 7)?);
    /// assert!((after.mean(image) - before.mean(image) - 2.0).abs() < 1e-12);
    /// # Ok::<(), ctl_graph::model::ModelError>(())
    /// ```
    pub fn intervene(&self, interventions: &[(NodeId, Intervention)]) -> Result<Self, ModelError> {
        let mut model = self.clone();
        for (node, intervention) in interventions {
            validate::node(&self.diagram, *node)?;
            let assignment = &mut model.assignments[node.index()];
            match intervention {
                Intervention::Set(value) => {
                    validate::finite("intervention", *value)?;
                    assignment.fixed = Some(*value);
                }
                Intervention::Shift(amount) => {
                    validate::finite("intervention", *amount)?;
                    assignment.shift += amount;
                    assignment.fixed = assignment.fixed.map(|value| value + amount);
                }
                Intervention::Replace(mechanism) => {
                    assignment.mechanism = mechanism.clone();
                    (assignment.shift, assignment.fixed) = (0.0, None);
                    model.placed(*node).validate()?;
                }
            }
        }
        Ok(model)
    }

    /// Draws independent rows.
    ///
    /// Each node's noise comes from a `ChaCha` stream of its own, keyed by the seed and the node:
    /// an intervention leaves the other nodes' noises as they were.
    ///
    /// # Arguments
    /// - `rows`: how many.
    /// - `seed`: equal seeds give equal rows.
    ///
    /// # Errors
    /// [`ModelError::Value`] where a table meets a value that is no state of its parent.
    pub fn sample(&self, rows: usize, seed: u64) -> Result<Samples, ModelError> {
        let size = self.diagram.len();
        let mut streams: Vec<ChaCha8Rng> = (0..size).map(|node| stream(seed, node)).collect();
        let mut samples = Samples {
            columns: vec![Vec::with_capacity(rows); size],
        };
        let mut values = vec![0.0; size];
        for _ in 0..rows {
            for &node in self.diagram.topological_order() {
                let noise = self
                    .assignment(node)
                    .noise
                    .sample(&mut streams[node.index()]);
                values[node.index()] = self.evaluate(node, &values, noise)?;
            }
            samples.push(&values);
        }
        Ok(samples)
    }
}

/// The generator of a node's noise.
pub(super) fn stream(seed: u64, node: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(node as u64);
    rng
}

/// Rows of values of all nodes.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{Mechanism, Noise, Scm};
///
/// let diagram = Diagram::parse("x")?;
/// let x = diagram.node("x")?;
/// let model = Scm::builder(diagram)
///     .node(x, Mechanism::linear(5.0, &[]), Noise::normal(0.1))
///     .build()?;
/// let samples = model.sample(1000, 1)?;
/// assert_eq!((samples.len(), samples.column(x).len()), (1000, 1000));
/// assert!((samples.mean(x) - 5.0).abs() < 0.02);
/// assert_eq!(samples, model.sample(1000, 1)?);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    columns: Vec<Vec<f64>>,
}

impl Samples {
    pub(super) fn empty(size: usize) -> Self {
        Self {
            columns: vec![Vec::new(); size],
        }
    }

    pub(super) fn push(&mut self, values: &[f64]) {
        for (column, &value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// Tells whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A node's values.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn column(&self, node: NodeId) -> &[f64] {
        &self.columns[node.index()]
    }

    /// All columns in node order.
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// A node's mean, 0 without rows.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn mean(&self, node: NodeId) -> f64 {
        self.column(node).iter().sum::<f64>() / self.len().max(1) as f64
    }
}
