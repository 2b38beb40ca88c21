//! The independences of a known diagram, in place of a test on data.

use crate::separation::separated;
use crate::stats::{IndependenceTest, StatsError};
use crate::{Diagram, NodeId, NodeSet};

/// Answers with the separations of a diagram: p-value 1 where separated, 0 elsewhere.
///
/// Latent nodes are not among its variables.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::SeparationOracle;
/// use ctl_graph::stats::IndependenceTest;
/// let diagram = Diagram::parse("x -> m; m -> y")?;
/// let oracle = SeparationOracle::new(&diagram);
/// assert_eq!(oracle.names(), ["x", "m", "y"]);
/// assert!(oracle.independent(0, 2, &[1], 0.05)?);
/// assert!(!oracle.independent(0, 2, &[], 0.05)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SeparationOracle<'a> {
    diagram: &'a Diagram,
    observed: Vec<NodeId>,
    names: Vec<String>,
}

impl<'a> SeparationOracle<'a> {
    /// The oracle of a diagram.
    pub fn new(diagram: &'a Diagram) -> Self {
        let observed: Vec<NodeId> = diagram.observed().iter().collect();
        let name = |&id: &NodeId| diagram.name(id).to_owned();
        Self {
            diagram,
            names: observed.iter().map(name).collect(),
            observed,
        }
    }
}

impl IndependenceTest for SeparationOracle<'_> {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn p_value(&self, x: usize, y: usize, given: &[usize]) -> Result<f64, StatsError> {
        crate::stats::independence::check_query(&self.names, x, y, given)?;
        let single = |index: usize| NodeSet::single(self.observed[index]);
        let given: NodeSet = given.iter().map(|&index| self.observed[index]).collect();
        // The query is checked above, and these are all errors that a separation can have.
        let apart = separated(self.diagram, &single(x), &single(y), &given).unwrap_or(false);
        Ok(f64::from(u8::from(apart)))
    }
}
