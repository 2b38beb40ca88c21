//! Scores of a node given its parents.

use std::collections::HashMap;

use crate::stats::{Contingency, Moments, StatsError, Table};
use crate::{NodeId, NodeSet};

/// A score of a diagram that is a sum over nodes, larger where the diagram fits better.
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, NodeSet};
/// use ctl_graph::discovery::{GesOptions, LocalScore, ges};
/// use ctl_graph::stats::StatsError;
/// /// Every edge costs one.
/// struct Sparse(Vec<String>);
/// impl LocalScore for Sparse {
///     fn names(&self) -> &[String] {
///         &self.0
///     }
///     fn local(&self, _: NodeId, parents: &NodeSet) -> Result<f64, StatsError> {
///         Ok(-(parents.len() as f64))
///     }
/// }
/// let found = ges(&Sparse(vec!["a".into(), "b".into()]), &GesOptions::default())?;
/// assert_eq!(found.graph.edges().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LocalScore {
    /// The variables' names, by position.
    fn names(&self) -> &[String];

    /// The summand of a node with the given parents.
    ///
    /// # Errors
    /// When the score does not exist for them.
    fn local(&self, node: NodeId, parents: &NodeSet) -> Result<f64, StatsError>;
}

/// The Bayesian information criterion of a linear Gaussian model,
/// `sum_v -n/2 ln(mean squared residual) - penalty ln(n) (|parents| + 1)`.
///
/// # References
/// Schwarz (1978).
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, NodeSet};
/// use ctl_graph::discovery::{GaussianBic, LocalScore};
/// use ctl_graph::stats::Table;
/// let table = Table::from_columns([("x", vec![-1.0, 1.0, -1.0, 1.0])])?;
/// let score = GaussianBic::new(&table, 0.5)?;
/// // The mean squared residual is one.
/// let found = score.local(NodeId::new(0), &NodeSet::new())?;
/// assert!((found + 0.5 * 4f64.ln()).abs() < 1e-12);
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GaussianBic {
    moments: Moments,
    penalty: f64,
}

impl GaussianBic {
    /// The score on a table, all of whose columns are real; `penalty` is 0.5 for the criterion
    /// as published.
    ///
    /// # Errors
    /// [`StatsError::ColumnKind`] for a category, [`StatsError::Singular`] for a constant,
    /// [`StatsError::Option`] for a negative penalty.
    pub fn new(table: &Table, penalty: f64) -> Result<Self, StatsError> {
        if penalty.is_nan() || penalty < 0.0 {
            return Err(StatsError::Option {
                option: "penalty",
                expected: "zero or more",
                found: penalty,
            });
        }
        let moments = Moments::of(table)?;
        moments.scales()?;
        Ok(Self { moments, penalty })
    }
}

impl LocalScore for GaussianBic {
    fn names(&self) -> &[String] {
        self.moments.names()
    }

    fn local(&self, node: NodeId, parents: &NodeSet) -> Result<f64, StatsError> {
        let parents: Vec<usize> = parents.iter().map(NodeId::index).collect();
        let (_, residual) = self.moments.regression(node.index(), &parents)?;
        if residual <= 0.0 {
            let all: Vec<usize> = parents.iter().copied().chain([node.index()]).collect();
            return Err(self.moments.singular(&all));
        }
        let rows = self.moments.rows() as f64;
        let size = (parents.len() + 1) as f64;
        Ok(-0.5 * rows * residual.ln() - self.penalty * rows.ln() * size)
    }
}

/// The Bayesian information criterion of a table of categories,
/// `sum_v max log-likelihood - penalty ln(n) (levels - 1) (configurations of the parents)`.
///
/// # Examples
///
/// ```
/// use ctl_graph::{NodeId, NodeSet};
/// use ctl_graph::discovery::{DiscreteBic, LocalScore};
/// use ctl_graph::stats::Table;
/// let table = Table::parse_csv("x\na\nb\na\nb\n")?;
/// let score = DiscreteBic::new(&table, 0.5)?;
/// let found = score.local(NodeId::new(0), &NodeSet::new())?;
/// assert!((found - (4.0 * 0.5f64.ln() - 0.5 * 4f64.ln())).abs() < 1e-12);
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct DiscreteBic {
    table: Table,
    penalty: f64,
}

impl DiscreteBic {
    /// The score on a table, all of whose columns are categories.
    ///
    /// # Errors
    /// [`StatsError::ColumnKind`] for a real column.
    pub fn new(table: &Table, penalty: f64) -> Result<Self, StatsError> {
        for index in 0..table.columns() {
            table.category_at(index)?;
        }
        Ok(Self {
            table: table.clone(),
            penalty,
        })
    }
}

impl LocalScore for DiscreteBic {
    fn names(&self) -> &[String] {
        self.table.names()
    }

    fn local(&self, node: NodeId, parents: &NodeSet) -> Result<f64, StatsError> {
        let parents: Vec<usize> = parents.iter().map(NodeId::index).collect();
        let (codes, levels) = self.table.category_at(node.index())?;
        let strata = Contingency::strata_of(&self.table, &parents)?;
        let mut order: Vec<usize> = (0..self.table.rows()).collect();
        order.sort_unstable_by_key(|&row| strata[row]);
        let mut likelihood = 0.0;
        for stratum in order.chunk_by(|&a, &b| strata[a] == strata[b]) {
            let mut counts = vec![0.0; levels];
            for &row in stratum {
                counts[codes[row] as usize] += 1.0;
            }
            let total = stratum.len() as f64;
            let occurring = counts.iter().filter(|count| **count > 0.0);
            likelihood += occurring
                .map(|count| count * (count / total).ln())
                .sum::<f64>();
        }
        let mut configurations = 1.0;
        for &parent in &parents {
            configurations *= self.table.category_at(parent)?.1 as f64;
        }
        let rows = (self.table.rows() as f64).max(1.0);
        let free = (levels as f64 - 1.0) * configurations;
        Ok(likelihood - self.penalty * rows.ln() * free)
    }
}

/// A score that remembers every summand it has computed.
pub(super) struct Remembered<'a, S: ?Sized> {
    score: &'a S,
    // Only looked up, never iterated.
    known: HashMap<(NodeId, NodeSet), f64>,
}

impl<'a, S: LocalScore + ?Sized> Remembered<'a, S> {
    pub(super) fn new(score: &'a S) -> Self {
        Self {
            score,
            known: HashMap::new(),
        }
    }

    pub(super) fn local(&mut self, node: NodeId, parents: NodeSet) -> Result<f64, StatsError> {
        let key = (node, parents);
        if let Some(&value) = self.known.get(&key) {
            return Ok(value);
        }
        let value = self.score.local(node, &key.1)?;
        self.known.insert(key, value);
        Ok(value)
    }
}
