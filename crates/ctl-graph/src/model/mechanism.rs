//! How a variable follows from its parents and its noise.

use std::fmt;
use std::sync::Arc;

use super::{ConditionalTable, ModelError, validate};
use crate::graph::{Diagram, NodeId};

/// Step of the difference quotient for densities of user mechanisms, relative to the value.
const DERIVATIVE_STEP: f64 = 1e-6;

/// A function of one parent.
///
/// # Examples
///
/// ```
/// use ctl_graph::model::Basis;
///
/// let at_minus_two = [Basis::Identity, Basis::Square, Basis::Relu].map(|basis| basis.at(-2.0));
/// assert_eq!(at_minus_two, [-2.0, 4.0, 0.0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Basis {
    /// `x`.
    Identity,
    /// `x²`.
    Square,
    /// `x³`.
    Cube,
    /// `tanh x`.
    Tanh,
    /// `sin x`.
    Sin,
    /// `max(0, x)`.
    Relu,
    /// `ln(1 + exp x)`.
    Softplus,
    /// `exp x`.
    Exp,
    /// `max(0, x − knot)`, a piece of a linear spline.
    Hinge(f64),
}

impl Basis {
    /// The value at a point.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::model::Basis;
    ///
    /// assert_eq!(Basis::Hinge(2.0).at(5.0), 3.0);
    /// assert_eq!(Basis::Softplus.at(800.0), 800.0);
    /// ```
    pub fn at(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Square => x * x,
            Self::Cube => x * x * x,
            Self::Tanh => x.tanh(),
            Self::Sin => x.sin(),
            Self::Relu => x.max(0.0),
            // Written so that a large argument does not overflow.
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Exp => x.exp(),
            Self::Hinge(knot) => (x - knot).max(0.0),
        }
    }
}

/// `coefficient · function(parent)`.
///
/// # Examples
///
/// ```
/// use ctl_graph::NodeId;
/// use ctl_graph::model::{Basis, Formula, Term};
///
/// let term = Term { parent: NodeId::new(0), function: Basis::Cube, coefficient: 0.5 };
/// let formula = Formula { intercept: 1.0, terms: vec![term] };
/// assert_eq!(formula.at(&[2.0]), 5.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// The parent that is read.
    pub parent: NodeId,
    /// The function of its value.
    pub function: Basis,
    /// What the function is multiplied by.
    pub coefficient: f64,
}

/// `intercept + Σ coefficient · function(parent)`.
///
/// # Examples
///
/// ```
/// use ctl_graph::model::{Basis, Formula};
/// use ctl_graph::NodeId;
///
/// let age = NodeId::new(0);
/// let formula = Formula::constant(1.0).plus(age, Basis::Square, 0.5);
/// assert_eq!(formula.at(&[4.0]), 9.0);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Formula {
    /// The value where every term is 0.
    pub intercept: f64,
    /// The terms.
    pub terms: Vec<Term>,
}

impl Formula {
    /// A formula without terms.
    pub fn constant(intercept: f64) -> Self {
        Self {
            intercept,
            terms: Vec::new(),
        }
    }

    /// Adds a term.
    #[must_use]
    pub fn plus(mut self, parent: NodeId, function: Basis, coefficient: f64) -> Self {
        self.terms.push(Term {
            parent,
            function,
            coefficient,
        });
        self
    }

    /// The value, given that of every node in node order.
    pub fn at(&self, values: &[f64]) -> f64 {
        let term = |term: &Term| term.coefficient * term.function.at(values[term.parent.index()]);
        self.intercept + self.terms.iter().map(term).sum::<f64>()
    }

    fn validate(&self, diagram: &Diagram, node: NodeId) -> Result<(), ModelError> {
        validate::finite("intercept", self.intercept)?;
        self.terms.iter().try_for_each(|term| {
            validate::is_parent(diagram, node, term.parent)?;
            validate::finite("coefficient", term.coefficient)
        })
    }
}

type Function = Arc<dyn Fn(&[f64], f64) -> f64 + Send + Sync>;

/// A mechanism written by the user: `value = forward(parents, noise)`.
///
/// The parents' values come in node order.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{CustomMechanism, Mechanism, Noise, Scm};
///
/// let diagram = Diagram::parse("dose -> signal")?;
/// let (dose, signal) = (diagram.node("dose")?, diagram.node("signal")?);
/// let gain = CustomMechanism::new(|parents, noise| parents[0] * noise.exp())
///     .with_inverse(|parents, value| (value / parents[0]).ln());
/// let model = Scm::builder(diagram)
///     .node(dose, Mechanism::linear(2.0, &[]), Noise::STANDARD)
///     .node(signal, Mechanism::Custom(gain), Noise::STANDARD)
///     .build()?;
/// assert_eq!(model.abduct(&[(dose, 3.0), (signal, 3.0)])?, [1.0, 0.0]);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Clone)]
pub struct CustomMechanism {
    forward: Function,
    inverse: Option<Function>,
}

impl CustomMechanism {
    /// A mechanism of which only the forward direction is known.
    pub fn new(forward: impl Fn(&[f64], f64) -> f64 + Send + Sync + 'static) -> Self {
        Self {
            forward: Arc::new(forward),
            inverse: None,
        }
    }

    /// Adds `noise = inverse(parents, value)`, which makes abduction exact.
    #[must_use]
    pub fn with_inverse(
        mut self,
        inverse: impl Fn(&[f64], f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        self.inverse = Some(Arc::new(inverse));
        self
    }
}

impl fmt::Debug for CustomMechanism {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut structure = formatter.debug_struct("CustomMechanism");
        structure.field("invertible", &self.inverse.is_some());
        structure.finish_non_exhaustive()
    }
}

/// How a node follows from its parents and its noise `u`.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{Basis, Formula, Mechanism, Noise, Scm};
///
/// // The spread of the volume grows with age.
/// let diagram = Diagram::parse("age -> volume")?;
/// let (age, volume) = (diagram.node("age")?, diagram.node("volume")?);
/// let mechanism = Mechanism::LocationScale {
///     location: Formula::constant(10.0).plus(age, Basis::Identity, -1.0),
///     log_scale: Formula::default().plus(age, Basis::Identity, 1.0),
/// };
/// let model = Scm::builder(diagram)
///     .node(age, Mechanism::linear(0.0, &[]), Noise::STANDARD)
///     .node(volume, mechanism, Noise::STANDARD)
///     .build()?;
/// assert_eq!(model.predict(&[0.0, 1.5])?, [0.0, 11.5]);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Mechanism {
    /// `f(parents) + u`.
    Additive(Formula),
    /// `f(parents) + exp(g(parents)) · u`.
    LocationScale {
        /// `f`.
        location: Formula,
        /// `g`.
        log_scale: Formula,
    },
    /// A state 0, 1, 2, … with the given conditional probabilities: the first whose cumulative
    /// probability exceeds `u`, which must be uniform on `[0, 1)`.
    Table {
        /// The probabilities.
        table: ConditionalTable,
        /// Number of states of each parent, in the table's order, and last of the node itself.
        shape: Vec<usize>,
    },
    /// Anything else.
    Custom(CustomMechanism),
}

impl Mechanism {
    /// `intercept + Σ coefficient · parent + u`.
    pub fn linear(intercept: f64, coefficients: &[(NodeId, f64)]) -> Self {
        let formula = Formula::constant(intercept);
        let add = |formula: Formula, &(parent, coefficient): &(NodeId, f64)| {
            formula.plus(parent, Basis::Identity, coefficient)
        };
        Self::Additive(coefficients.iter().fold(formula, add))
    }
}

/// A mechanism with its place in the diagram, as the model evaluates it.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) diagram: &'a Diagram,
    pub(super) node: NodeId,
    pub(super) mechanism: &'a Mechanism,
}

impl Placed<'_> {
    /// Everything that can be checked before values are there.
    pub(super) fn validate(self) -> Result<(), ModelError> {
        match self.mechanism {
            Mechanism::Additive(formula) => formula.validate(self.diagram, self.node),
            Mechanism::LocationScale {
                location,
                log_scale,
            } => {
                location.validate(self.diagram, self.node)?;
                log_scale.validate(self.diagram, self.node)
            }
            Mechanism::Table { table, shape } => self.validate_table(table, shape),
            Mechanism::Custom(_) => Ok(()),
        }
    }

    fn validate_table(self, table: &ConditionalTable, shape: &[usize]) -> Result<(), ModelError> {
        validate::parents(self.diagram, self.node, &table.parents)?;
        let subject = format!("table of node {}", self.diagram.name(self.node));
        validate::length(subject.as_str(), table.parents.len() + 1, shape.len())?;
        validate::length(subject.as_str(), shape.iter().product(), table.values.len())?;
        validate::positive(&subject, table.values.len() as f64)?;
        let mut rows = table.values.chunks_exact(shape[table.parents.len()]);
        rows.try_for_each(|row| validate::distribution(&subject, row))
    }

    pub(super) fn is_table(self) -> bool {
        matches!(self.mechanism, Mechanism::Table { .. })
    }

    /// The node's value.
    pub(super) fn forward(self, values: &[f64], noise: f64) -> Result<f64, ModelError> {
        Ok(match self.mechanism {
            Mechanism::Additive(formula) => formula.at(values) + noise,
            Mechanism::LocationScale {
                location,
                log_scale,
            } => location.at(values) + log_scale.at(values).exp() * noise,
            Mechanism::Table { .. } => {
                let row = self.row(values)?;
                let mut cumulative = row.iter().scan(0.0, |sum, p| {
                    *sum += p;
                    Some(*sum)
                });
                // Rounding may leave the last cumulative probability below the noise.
                cumulative
                    .position(|sum| noise < sum)
                    .unwrap_or(row.len() - 1) as f64
            }
            Mechanism::Custom(custom) => (custom.forward)(&self.parents(values), noise),
        })
    }

    /// The noise that gives a value, where there is one and it is unique.
    pub(super) fn inverse(self, values: &[f64], value: f64) -> Option<f64> {
        match self.mechanism {
            Mechanism::Additive(formula) => Some(value - formula.at(values)),
            Mechanism::LocationScale {
                location,
                log_scale,
            } => Some((value - location.at(values)) * (-log_scale.at(values)).exp()),
            Mechanism::Custom(CustomMechanism {
                inverse: Some(inverse),
                ..
            }) => Some(inverse(&self.parents(values), value)),
            Mechanism::Table { .. } | Mechanism::Custom(_) => None,
        }
    }

    /// `ln |d noise / d value|`, for the density of a value.
    pub(super) fn log_derivative(self, values: &[f64], value: f64) -> f64 {
        match self.mechanism {
            Mechanism::LocationScale { log_scale, .. } => -log_scale.at(values),
            Mechanism::Custom(_) => {
                let step = DERIVATIVE_STEP * (1.0 + value.abs());
                let above = self.inverse(values, value + step);
                let below = self.inverse(values, value - step);
                above
                    .zip(below)
                    .map_or(f64::NEG_INFINITY, |(above, below)| {
                        ((above - below) / (2.0 * step)).abs().ln()
                    })
            }
            Mechanism::Additive(_) | Mechanism::Table { .. } => 0.0,
        }
    }

    /// The noises that give a state of a table: an interval, whose width is the probability.
    pub(super) fn interval(self, values: &[f64], state: f64) -> Result<(f64, f64), ModelError> {
        let row = self.row(values)?;
        let state = self.state(self.node, state, row.len())?;
        let low: f64 = row[..state].iter().sum();
        Ok((low, row[state]))
    }

    /// The row of a table that belongs to the parents' states; empty for other mechanisms.
    fn row(&self, values: &[f64]) -> Result<&[f64], ModelError> {
        let Mechanism::Table { table, shape } = self.mechanism else {
            return Ok(&[]);
        };
        let mut row = 0;
        for (&parent, &states) in table.parents.iter().zip(shape) {
            row = row * states + self.state(parent, values[parent.index()], states)?;
        }
        let states = shape[table.parents.len()];
        Ok(&table.values[row * states..(row + 1) * states])
    }

    fn state(self, node: NodeId, value: f64, cardinality: usize) -> Result<usize, ModelError> {
        if value >= 0.0 && value.fract() == 0.0 && value < cardinality as f64 {
            return Ok(value as usize);
        }
        let subject = format!("node {}", self.diagram.name(node));
        let expected = "a state of its table, counted from 0";
        Err(ModelError::Value {
            subject,
            expected,
            found: value,
        })
    }

    fn parents(self, values: &[f64]) -> Vec<f64> {
        let parents = self.diagram.parents(self.node).iter();
        parents.map(|parent| values[parent.index()]).collect()
    }
}
