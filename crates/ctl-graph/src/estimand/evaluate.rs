//! The value of an estimand.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::eliminate::sum_product;
use super::{Distributions, Estimand, EstimandError, Factor, Probability};
use crate::{NodeId, NodeSet};

impl Estimand {
    /// The value for every assignment of the free variables.
    ///
    /// A product with a factor 0 is 0 even where another factor conditions on an event of
    /// probability zero, as the back-door formula wants it for strata that do not occur.
    ///
    /// # Arguments
    /// - `distributions`: a table for each population and experiment that the formula mentions.
    ///
    /// # Returns
    /// A table over [`free_variables`](Self::free_variables).
    ///
    /// # Errors
    /// [`EstimandError::MissingDistribution`] and [`EstimandError::Unmeasured`] for a table or an
    /// axis that is not there, [`EstimandError::ZeroProbability`] where the result conditions on an
    /// event that does not occur, [`EstimandError::TooLarge`].
    ///
    /// # Complexity
    /// Sums over products are computed by eliminating one variable after the other; the cost is
    /// that of the largest table between.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, estimand::{Distributions, Estimand, Factor, Probability}};
    ///
    /// let diagram = Diagram::parse("X -> Y")?;
    /// let (x, y) = (diagram.node("X")?, diagram.node("Y")?);
    /// let joint = Factor::new(&[x, y], &[2, 2], vec![0.1, 0.4, 0.3, 0.2])?;
    /// let known = Distributions::observational(&diagram, joint)?;
    /// let conditional = Estimand::from(Probability::of(&y.into()).given(&x.into()));
    /// assert_eq!(conditional.evaluate(&known)?.values(), [0.2, 0.8, 0.6, 0.4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evaluate(&self, distributions: &Distributions) -> Result<Factor, EstimandError> {
        self.evaluate_over(&self.free_variables(), distributions)
    }

    /// The value as a table over given variables.
    ///
    /// # Arguments
    /// - `axes`: the wanted axes. Along one that is not free the value is constant. A free variable
    ///   that is not wanted must be one the value does not depend on, as the instrument in the
    ///   napkin formula; its first state with a value is taken.
    /// - `distributions`: as in [`evaluate`](Self::evaluate).
    ///
    /// # Errors
    /// Those of [`evaluate`](Self::evaluate), and [`EstimandError::UnknownCardinality`] for a wanted
    /// axis that no table has.
    pub fn evaluate_over(
        &self,
        axes: &NodeSet,
        distributions: &Distributions,
    ) -> Result<Factor, EstimandError> {
        let mut evaluator = Evaluator {
            distributions,
            ready: HashMap::new(),
            zero: None,
        };
        let full = evaluator.value(self)?;
        let present: NodeSet = full.axes().iter().copied().collect();
        let mut result = full.first_defined(&present.difference(axes));
        if let Some(states) = result.undefined_cell() {
            return Err(evaluator.zero_probability(&states));
        }
        for node in &axes.difference(&present) {
            result = result.repeated(node, distributions.known_card(node)?)?;
        }
        Ok(result)
    }
}

/// Numbers and, as `NaN`, the value "undefined" of a ratio by zero.
struct Evaluator<'a> {
    distributions: &'a Distributions,
    /// Values of the shared parts of the expression, by their place in memory, which does not
    /// change while the expression is borrowed.
    ready: HashMap<*const Estimand, Rc<Factor>>,
    /// The first event of probability zero that was conditioned on.
    zero: Option<String>,
}

impl Evaluator<'_> {
    fn shared(&mut self, estimand: &Arc<Estimand>) -> Result<Rc<Factor>, EstimandError> {
        let place = Arc::as_ptr(estimand);
        if let Some(value) = self.ready.get(&place) {
            return Ok(Rc::clone(value));
        }
        let value = Rc::new(self.value(estimand)?);
        self.ready.insert(place, Rc::clone(&value));
        Ok(value)
    }

    fn value(&mut self, estimand: &Estimand) -> Result<Factor, EstimandError> {
        match estimand {
            Estimand::Zero => Ok(Factor::scalar(0.0)),
            Estimand::One => Ok(Factor::scalar(1.0)),
            Estimand::Probability(probability) => self.probability(probability),
            Estimand::Product(factors) => self.eliminate(&NodeSet::new(), factors),
            Estimand::Sum { over, term } => match &**term {
                Estimand::Product(factors) => self.eliminate(over, factors),
                _ => self.eliminate(over, std::slice::from_ref(term)),
            },
            Estimand::Fraction {
                numerator,
                denominator,
            } => {
                let (above, below) = (self.shared(numerator)?, self.shared(denominator)?);
                self.ratio(&above, &below)
            }
        }
    }

    fn probability(&mut self, probability: &Probability) -> Result<Factor, EstimandError> {
        let Probability {
            domain,
            intervention,
            outcome,
            given,
            fixed,
        } = probability;
        let table = self.distributions.table(*domain, intervention)?;
        let measured: NodeSet = table.axes().iter().copied().collect();
        let scope = outcome.union(given).union(intervention);
        if let Some(node) = scope.difference(&measured).first() {
            return Err(self.distributions.unmeasured(node, *domain, intervention));
        }
        let joint = table.sum_out(&measured.difference(&scope));
        let conditional = if given.is_empty() {
            joint
        } else {
            self.ratio(&joint, &joint.sum_out(outcome))?
        };
        conditional.at(fixed)
    }

    fn ratio(&mut self, above: &Factor, below: &Factor) -> Result<Factor, EstimandError> {
        if self.zero.is_none()
            && let Some(place) = below.values().iter().position(|value| *value == 0.0)
        {
            self.zero = Some(self.distributions.event(&below.states(place)));
        }
        above.combine(below, |a, b| if b == 0.0 { f64::NAN } else { a / b })
    }

    fn eliminate(
        &mut self,
        over: &NodeSet,
        factors: &[Arc<Estimand>],
    ) -> Result<Factor, EstimandError> {
        let tables = factors.iter().map(|factor| self.shared(factor));
        let tables = tables.collect::<Result<Vec<_>, _>>()?;
        sum_product(over, tables, |node| self.distributions.known_card(node))
    }

    fn zero_probability(self, states: &[(NodeId, usize)]) -> EstimandError {
        let event = self
            .zero
            .unwrap_or_else(|| self.distributions.event(states));
        EstimandError::ZeroProbability { event }
    }
}
