//! The tables that an estimand is evaluated from.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Domain, EstimandError, Factor};
use crate::{Diagram, NodeId, NodeSet};

/// How far a distribution's sum may be from one; published tables are rounded.
const SUM_TOLERANCE: f64 = 1e-6;

/// The distributions that are known: one table for each population and experiment.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, NodeSet, estimand::{Distributions, Domain, Factor}};
///
/// let diagram = Diagram::parse("X -> Y")?;
/// let axes = [diagram.node("X")?, diagram.node("Y")?];
/// let mut known = Distributions::new(&diagram);
/// let joint = Factor::new(&axes, &[2, 2], vec![0.1, 0.4, 0.3, 0.2])?;
/// known.insert(Domain::Target, &NodeSet::new(), joint)?;
/// // In the trial at the first source, P(Y | do(X)) stands in the rows of X.
/// let trial = Factor::new(&axes, &[2, 2], vec![0.25, 0.75, 0.5, 0.5])?;
/// known.insert(Domain::Source(0), &diagram.set(&["X"])?, trial)?;
/// assert_eq!(known.card(axes[0]), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Distributions {
    names: Vec<String>,
    cards: BTreeMap<NodeId, usize>,
    tables: BTreeMap<(Domain, NodeSet), Factor>,
}

impl Distributions {
    /// No distribution yet; the diagram gives the names for errors.
    pub fn new(diagram: &Diagram) -> Self {
        let names = diagram
            .ids()
            .map(|id| diagram.name(id).to_owned())
            .collect();
        Self {
            names,
            cards: BTreeMap::new(),
            tables: BTreeMap::new(),
        }
    }

    /// Only the joint distribution of the target population.
    ///
    /// # Errors
    /// Those of [`insert`](Self::insert).
    pub fn observational(diagram: &Diagram, joint: Factor) -> Result<Self, EstimandError> {
        let mut known = Self::new(diagram);
        known.insert(Domain::Target, &NodeSet::new(), joint)?;
        Ok(known)
    }

    /// Adds the distribution of one population under one experiment, replacing an earlier one.
    ///
    /// # Arguments
    /// - `domain`: the population.
    /// - `intervention`: the variables that the experiment set; empty for observation.
    /// - `table`: over measured and set variables; sums to 1 for each assignment of the latter.
    ///
    /// # Errors
    /// [`EstimandError::NotNormalised`], [`EstimandError::Cardinality`] where an earlier table has
    /// another number of states, and [`EstimandError::Unmeasured`] where a set variable is no axis.
    pub fn insert(
        &mut self,
        domain: Domain,
        intervention: &NodeSet,
        table: Factor,
    ) -> Result<(), EstimandError> {
        self.check(domain, intervention, &table)?;
        self.cards.extend(
            table
                .axes()
                .iter()
                .copied()
                .zip(table.cards().iter().copied()),
        );
        self.tables.insert((domain, intervention.clone()), table);
        Ok(())
    }

    /// Adds a distribution that is known from data: frequencies, which are divided by their sum,
    /// under an experiment by that of each assignment of the variables that it set.
    ///
    /// # Arguments
    /// - `domain`, `intervention`: as for [`insert`](Self::insert).
    /// - `frequencies`: counts, or what [`Factor::from_samples`] makes of rows.
    ///
    /// # Errors
    /// Those of [`insert`](Self::insert), and [`EstimandError::ZeroProbability`] for an assignment
    /// of the set variables that has no data.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, estimand::{Distributions, Domain, Estimand, Factor, Probability}};
    ///
    /// let diagram = Diagram::parse("drug -> cure")?;
    /// let (drug, cure) = (diagram.node("drug")?, diagram.node("cure")?);
    /// let rows: [&[usize]; 2] = [&[0, 0, 1, 1, 1, 1], &[0, 0, 0, 1, 1, 1]];
    /// let frequencies = Factor::from_samples(&[drug, cure], &[2, 2], &rows, 0.0)?;
    /// let mut known = Distributions::new(&diagram);
    /// known.insert_frequencies(Domain::Target, &drug.into(), &frequencies)?;
    /// let effect = Estimand::from(Probability::of(&cure.into()).under(&drug.into()));
    /// assert_eq!(effect.evaluate(&known)?.value(&[(drug, 1), (cure, 1)]), Some(0.75));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_frequencies(
        &mut self,
        domain: Domain,
        intervention: &NodeSet,
        frequencies: &Factor,
    ) -> Result<(), EstimandError> {
        let measured: NodeSet = frequencies.axes().iter().copied().collect();
        let arms = frequencies.sum_out(&measured.difference(intervention));
        if let Some(place) = arms.values().iter().position(|&share| share <= 0.0) {
            let event = self.event(&arms.states(place));
            return Err(EstimandError::ZeroProbability { event });
        }
        let table = frequencies.combine(&arms, |cell, arm| cell / arm)?;
        self.insert(domain, intervention, table)
    }

    fn check(
        &self,
        domain: Domain,
        intervention: &NodeSet,
        table: &Factor,
    ) -> Result<(), EstimandError> {
        for (&axis, &found) in table.axes().iter().zip(table.cards()) {
            if let Some(expected) = self.card(axis)
                && expected != found
            {
                let node = self.name(axis).to_owned();
                return Err(EstimandError::Cardinality {
                    node,
                    expected,
                    found,
                });
            }
        }
        if let Some(node) = intervention.iter().find(|&node| table.card(node).is_none()) {
            return Err(self.unmeasured(node, domain, intervention));
        }
        let measured: NodeSet = table.axes().iter().copied().collect();
        let sums = table.sum_out(&measured.difference(intervention));
        match sums
            .values()
            .iter()
            .find(|&&sum| (sum - 1.0).abs() > SUM_TOLERANCE)
        {
            Some(&found) => {
                let distribution = self.describe(domain, intervention);
                Err(EstimandError::NotNormalised {
                    distribution,
                    found,
                })
            }
            None => Ok(()),
        }
    }

    /// Number of states of a variable, if a table has it.
    pub fn card(&self, node: NodeId) -> Option<usize> {
        self.cards.get(&node).copied()
    }

    /// The table of a population under an experiment.
    ///
    /// # Errors
    /// [`EstimandError::MissingDistribution`].
    pub fn table(&self, domain: Domain, intervention: &NodeSet) -> Result<&Factor, EstimandError> {
        self.tables
            .get(&(domain, intervention.clone()))
            .ok_or_else(|| EstimandError::MissingDistribution {
                distribution: self.describe(domain, intervention),
            })
    }

    pub(super) fn known_card(&self, node: NodeId) -> Result<usize, EstimandError> {
        let unknown = || EstimandError::UnknownCardinality {
            node: self.name(node).to_owned(),
        };
        self.card(node).ok_or_else(unknown)
    }

    pub(super) fn unmeasured(
        &self,
        node: NodeId,
        domain: Domain,
        intervention: &NodeSet,
    ) -> EstimandError {
        let node = self.name(node).to_owned();
        EstimandError::Unmeasured {
            node,
            distribution: self.describe(domain, intervention),
        }
    }

    pub(super) fn name(&self, node: NodeId) -> &str {
        self.names.get(node.index()).map_or("?", String::as_str)
    }

    /// The states as `X=0, Z=1`.
    pub(super) fn event(&self, states: &[(NodeId, usize)]) -> String {
        let parts: Vec<String> = states
            .iter()
            .map(|&(node, state)| format!("{}={state}", self.name(node)))
            .collect();
        parts.join(", ")
    }

    fn describe(&self, domain: Domain, intervention: &NodeSet) -> String {
        let mut text = match domain {
            Domain::Target => "target distribution".to_owned(),
            Domain::Source(index) => format!("distribution of source {}", index + 1),
        };
        if !intervention.is_empty() {
            let names: Vec<&str> = intervention.iter().map(|node| self.name(node)).collect();
            // Writing to a string cannot fail.
            let _ = write!(text, " under do({})", names.join(", "));
        }
        text
    }
}
