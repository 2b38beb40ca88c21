//! The expressions themselves and the constructors that keep them small.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{NodeId, NodeSet};

/// Where a distribution was, or is to be, observed.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, estimand::{Domain, Probability}};
///
/// let diagram = Diagram::parse("age -> scan")?;
/// let scan = diagram.set(&["scan"])?;
/// assert_eq!(Probability::of(&scan).domain(), Domain::Target);
/// let at_source = Probability::of(&scan).in_domain(Domain::Source(1));
/// assert_eq!(at_source.domain(), Domain::Source(1));
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// The population that the question is about; the only one where nothing is transported.
    #[default]
    Target,
    /// A source population, by its position in the selection diagram.
    Source(usize),
}

/// A conditional probability in one population under one experiment:
/// P<sup>domain</sup>(outcome | do(intervention), given).
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, estimand::Probability};
///
/// let diagram = Diagram::parse("X -> Y; Z -> X; Z -> Y")?;
/// let (x, y, z) = (diagram.set(&["X"])?, diagram.set(&["Y"])?, diagram.set(&["Z"])?);
/// let probability = Probability::of(&y).given(&z).under(&x);
/// assert_eq!(probability.free_variables(), diagram.set(&["X", "Y", "Z"])?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Probability {
    pub(super) domain: Domain,
    pub(super) intervention: NodeSet,
    pub(super) outcome: NodeSet,
    pub(super) given: NodeSet,
    /// Ascending by node; such a node takes this state instead of being a variable.
    pub(super) fixed: Vec<(NodeId, usize)>,
}

impl Probability {
    /// P(outcome) in the target population, undisturbed.
    pub fn of(outcome: &NodeSet) -> Self {
        Self {
            domain: Domain::Target,
            intervention: NodeSet::new(),
            outcome: outcome.clone(),
            given: NodeSet::new(),
            fixed: Vec::new(),
        }
    }

    /// Conditions on more variables; members of the outcome are left out.
    #[must_use]
    pub fn given(mut self, variables: &NodeSet) -> Self {
        self.given.extend_with(&variables.difference(&self.outcome));
        self
    }

    /// Takes the distribution from an experiment on these variables.
    #[must_use]
    pub fn under(mut self, intervention: &NodeSet) -> Self {
        self.intervention = intervention.clone();
        self
    }

    /// Takes the distribution from another population.
    #[must_use]
    pub fn in_domain(mut self, domain: Domain) -> Self {
        self.domain = domain;
        self
    }

    /// Puts a state in place of a variable, if it occurs.
    #[must_use]
    pub fn fix(mut self, node: NodeId, state: usize) -> Self {
        if self.mentions(node)
            && let Err(place) = self.fixed.binary_search_by_key(&node, |pair| pair.0)
        {
            self.fixed.insert(place, (node, state));
        }
        self
    }

    /// The population it is observed in.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The variables set by experiment.
    pub fn intervention(&self) -> &NodeSet {
        &self.intervention
    }

    /// The variables before the bar.
    pub fn outcome(&self) -> &NodeSet {
        &self.outcome
    }

    /// The variables after the bar.
    pub fn condition(&self) -> &NodeSet {
        &self.given
    }

    /// The variables with a state in their place.
    pub fn fixed(&self) -> &[(NodeId, usize)] {
        &self.fixed
    }

    /// The variables that it is a function of.
    pub fn free_variables(&self) -> NodeSet {
        let mut free = self.outcome.union(&self.given);
        free.extend_with(&self.intervention);
        for (node, _) in &self.fixed {
            free.remove(*node);
        }
        free
    }

    fn mentions(&self, node: NodeId) -> bool {
        [&self.outcome, &self.given, &self.intervention]
            .iter()
            .any(|set| set.contains(node))
    }

    pub(super) fn has_free(&self, node: NodeId) -> bool {
        self.mentions(node) && !self.is_fixed(node)
    }

    fn is_fixed(&self, node: NodeId) -> bool {
        self.fixed.iter().any(|pair| pair.0 == node)
    }

    /// Tells whether two probabilities speak of the same population and experiment, and of the same
    /// states where they share variables.
    pub(super) fn same_regime(&self, other: &Self) -> bool {
        let agrees = |a: &Self, b: &Self| {
            a.fixed
                .iter()
                .all(|pair| !b.mentions(pair.0) || b.fixed.contains(pair))
        };
        self.domain == other.domain
            && self.intervention == other.intervention
            && agrees(self, other)
            && agrees(other, self)
    }

    /// P(a | b, c) P(b | c) as P(a, b | c).
    pub(super) fn chain(&self, other: &Self) -> Option<Self> {
        let fits = self.given == other.given.union(&other.outcome) && self.same_regime(other);
        fits.then(|| {
            // Every variable of the other factor occurs in this one.
            Self {
                outcome: self.outcome.union(&other.outcome),
                given: other.given.clone(),
                ..self.clone()
            }
        })
    }

    /// Sums a variable out where that only shortens the outcome.
    fn marginal(&self, node: NodeId) -> Option<Self> {
        if !self.outcome.contains(node) || self.is_fixed(node) {
            return None;
        }
        let mut rest = self.clone();
        rest.outcome.remove(node);
        Some(rest)
    }
}

/// A formula over probabilities: what an identified query equals.
///
/// Its value is a function of its [free variables](Estimand::free_variables). The constructors
/// keep it flat and drop what cancels at once; [`simplified`](Estimand::simplified) does more.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, estimand::{Estimand, Probability}};
///
/// let diagram = Diagram::parse("X -> Y; Z -> X; Z -> Y")?;
/// let (x, y, z) = (diagram.set(&["X"])?, diagram.set(&["Y"])?, diagram.set(&["Z"])?);
/// let factors = [Probability::of(&y).given(&x.union(&z)), Probability::of(&z)];
/// let back_door = Estimand::sum(&z, Estimand::product(factors.map(Estimand::from)));
/// assert_eq!(back_door.display(&diagram).to_string(), "sum_{Z} P(Y | X, Z) P(Z)");
/// assert_eq!(back_door.free_variables(), diagram.set(&["X", "Y"])?);
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Estimand {
    /// The constant 0, of an event that contradicts itself.
    Zero,
    /// The constant 1, of the certain event.
    One,
    /// One probability.
    Probability(Probability),
    /// A product of at least two factors.
    Product(Vec<Arc<Estimand>>),
    /// A sum over all states of some variables, which are bound in the term.
    Sum {
        /// The variables.
        over: NodeSet,
        /// What is summed.
        term: Arc<Estimand>,
    },
    /// A ratio.
    Fraction {
        /// Above the line.
        numerator: Arc<Estimand>,
        /// Below the line.
        denominator: Arc<Estimand>,
    },
}

impl From<Probability> for Estimand {
    fn from(probability: Probability) -> Self {
        if probability.outcome.is_empty() {
            Self::One
        } else {
            Self::Probability(probability)
        }
    }
}

impl Estimand {
    /// The product; nested products are flattened, ones dropped, and a zero takes all.
    pub fn product<I: IntoIterator<Item: Into<Arc<Self>>>>(factors: I) -> Self {
        let mut flat = Vec::new();
        for factor in factors {
            let factor = factor.into();
            match &*factor {
                Self::One => {}
                Self::Zero => return Self::Zero,
                Self::Product(inner) => flat.extend(inner.iter().cloned()),
                _ => flat.push(factor),
            }
        }
        match flat.len() {
            0 => Self::One,
            1 => Arc::unwrap_or_clone(flat.remove(0)),
            _ => Self::Product(flat),
        }
    }

    /// The sum over all states of the variables; a probability whose outcome is the only place of
    /// a variable is marginalised, and directly nested sums are merged.
    pub fn sum(over: &NodeSet, term: impl Into<Arc<Self>>) -> Self {
        let term = term.into();
        if over.is_empty() {
            return Arc::unwrap_or_clone(term);
        }
        match &*term {
            Self::Zero => Self::Zero,
            Self::Probability(_) => sum_of_product(over, vec![term]),
            Self::Product(factors) => sum_of_product(over, factors.clone()),
            Self::Sum { over: inner, term } if inner.is_disjoint(over) => {
                Self::sum(&over.union(inner), Arc::clone(term))
            }
            _ => Self::Sum {
                over: over.clone(),
                term,
            },
        }
    }

    /// The ratio; equal sides cancel, and P(a, b | c) / P(b | c) becomes P(a | b, c).
    pub fn fraction(numerator: impl Into<Arc<Self>>, denominator: impl Into<Arc<Self>>) -> Self {
        let (numerator, denominator) = (numerator.into(), denominator.into());
        if *denominator == Self::One || *numerator == Self::Zero {
            return Arc::unwrap_or_clone(numerator);
        }
        if numerator == denominator {
            return Self::One;
        }
        if let (Self::Probability(joint), Self::Probability(part)) = (&*numerator, &*denominator)
            && let Some(conditional) = conditional(joint, part)
        {
            return conditional.into();
        }
        Self::Fraction {
            numerator,
            denominator,
        }
    }

    /// The variables that the value depends on: those that no sum binds and no state replaces.
    pub fn free_variables(&self) -> NodeSet {
        match self {
            Self::Zero | Self::One => NodeSet::new(),
            Self::Probability(probability) => probability.free_variables(),
            Self::Product(factors) => {
                let mut free = NodeSet::new();
                for factor in factors {
                    free.extend_with(&factor.free_variables());
                }
                free
            }
            Self::Sum { over, term } => term.free_variables().difference(over),
            Self::Fraction {
                numerator,
                denominator,
            } => numerator
                .free_variables()
                .union(&denominator.free_variables()),
        }
    }

    /// Tells whether a variable is [free](Self::free_variables).
    pub fn has_free(&self, node: NodeId) -> bool {
        match self {
            Self::Zero | Self::One => false,
            Self::Probability(probability) => probability.has_free(node),
            Self::Product(factors) => factors.iter().any(|factor| factor.has_free(node)),
            Self::Sum { over, term } => !over.contains(node) && term.has_free(node),
            Self::Fraction {
                numerator,
                denominator,
            } => numerator.has_free(node) || denominator.has_free(node),
        }
    }

    /// Puts a state in place of a free variable everywhere.
    ///
    /// # Arguments
    /// - `node`: the variable; nothing happens where it is not free.
    /// - `state`: its state, from zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, estimand::{Estimand, Probability}};
    ///
    /// let diagram = Diagram::parse("X -> Y")?;
    /// let (x, y) = (diagram.set(&["X"])?, diagram.set(&["Y"])?);
    /// let estimand = Estimand::from(Probability::of(&y).given(&x)).fix(diagram.node("X")?, 1);
    /// assert_eq!(estimand.display(&diagram).to_string(), "P(Y | X=1)");
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    #[must_use]
    pub fn fix(&self, node: NodeId, state: usize) -> Self {
        if !self.has_free(node) {
            return self.clone();
        }
        match self {
            Self::Zero | Self::One => self.clone(),
            Self::Probability(probability) => {
                Self::Probability(probability.clone().fix(node, state))
            }
            Self::Product(factors) => Self::Product(
                factors
                    .iter()
                    .map(|f| Arc::new(f.fix(node, state)))
                    .collect(),
            ),
            Self::Sum { over, term } => Self::Sum {
                over: over.clone(),
                term: Arc::new(term.fix(node, state)),
            },
            Self::Fraction {
                numerator,
                denominator,
            } => Self::Fraction {
                numerator: Arc::new(numerator.fix(node, state)),
                denominator: Arc::new(denominator.fix(node, state)),
            },
        }
    }

    /// The probabilities that occur, from left to right.
    pub fn probabilities(&self) -> Vec<&Probability> {
        let mut found = Vec::new();
        self.collect_probabilities(&mut found);
        found
    }

    fn collect_probabilities<'a>(&'a self, found: &mut Vec<&'a Probability>) {
        match self {
            Self::Zero | Self::One => {}
            Self::Probability(probability) => found.push(probability),
            Self::Product(factors) => {
                for factor in factors {
                    factor.collect_probabilities(found);
                }
            }
            Self::Sum { term, .. } => term.collect_probabilities(found),
            Self::Fraction {
                numerator,
                denominator,
            } => {
                numerator.collect_probabilities(found);
                denominator.collect_probabilities(found);
            }
        }
    }
}

/// Sums the factors' product, first marginalising what stands in one outcome and nowhere else.
fn sum_of_product(over: &NodeSet, mut factors: Vec<Arc<Estimand>>) -> Estimand {
    let mut left = over.clone();
    let mut progress = true;
    while progress && !left.is_empty() {
        progress = false;
        for node in &left.clone() {
            if let Some((place, rest)) = sole_outcome(&factors, node) {
                factors[place] = Arc::new(rest.into());
                left.remove(node);
                progress = true;
            }
        }
    }
    let term = Arc::new(Estimand::product(factors));
    if left.is_empty() {
        return Arc::unwrap_or_clone(term);
    }
    Estimand::Sum { over: left, term }
}

/// The only factor with the variable, if it is a probability that can be marginalised over it.
fn sole_outcome(factors: &[Arc<Estimand>], node: NodeId) -> Option<(usize, Probability)> {
    let mut holders = (0..factors.len()).filter(|&i| factors[i].has_free(node));
    let place = holders.next()?;
    if holders.next().is_some() {
        return None;
    }
    match &*factors[place] {
        Estimand::Probability(probability) => Some((place, probability.marginal(node)?)),
        _ => None,
    }
}

/// P(a, b | c) / P(b | c) as P(a | b, c).
fn conditional(joint: &Probability, part: &Probability) -> Option<Probability> {
    let fits = joint.same_regime(part)
        && joint.given == part.given
        && part.outcome.is_subset(&joint.outcome);
    fits.then(|| Probability {
        outcome: joint.outcome.difference(&part.outcome),
        given: joint.given.union(&part.outcome),
        ..joint.clone()
    })
}
