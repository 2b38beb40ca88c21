//! Why an estimand has no value.

/// Why a table is not admissible or an estimand cannot be evaluated from the tables given.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::estimand::{Distributions, Estimand, EstimandError, Factor, Probability};
///
/// let diagram = Diagram::parse("scanner -> image")?;
/// let (scanner, image) = (diagram.node("scanner")?, diagram.node("image")?);
/// // The second scanner was never used.
/// let joint = Factor::new(&[scanner, image], &[2, 2], vec![0.25, 0.75, 0.0, 0.0])?;
/// let known = Distributions::observational(&diagram, joint)?;
/// let conditional = Estimand::from(Probability::of(&image.into()).given(&scanner.into()));
/// let fault = conditional.evaluate(&known).unwrap_err();
/// assert_eq!(fault, EstimandError::ZeroProbability { event: "scanner=1".to_owned() });
/// assert_eq!(fault.to_string(), "scanner=1: has probability zero and is conditioned on");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EstimandError {
    /// Axes, sizes and values of a table do not fit together.
    #[error("{subject}: expected {expected}, found {found}")]
    Shape {
        /// The argument that does not fit.
        subject: &'static str,
        /// What the other arguments call for.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// An axis given twice.
    #[error("axes: node index {index} given twice")]
    RepeatedAxis {
        /// The node's index.
        index: usize,
    },
    /// A probability that is negative, infinite or not a number.
    #[error("values[{index}]: expected a finite number of at least 0, found {found}")]
    InvalidValue {
        /// Position in the table.
        index: usize,
        /// The value that was given.
        found: f64,
    },
    /// A state beyond a variable's number of states.
    #[error("node index {node}: expected a state below {expected}, found {found}")]
    InvalidState {
        /// The variable's index.
        node: usize,
        /// Its number of states.
        expected: usize,
        /// The state that was given.
        found: usize,
    },
    /// A distribution that does not sum to one.
    #[error("{distribution}: expected a sum of 1, found {found}")]
    NotNormalised {
        /// The distribution.
        distribution: String,
        /// The sum.
        found: f64,
    },
    /// Two tables that disagree about a variable's number of states.
    #[error("{node}: expected {expected} states as in the other tables, found {found}")]
    Cardinality {
        /// The variable.
        node: String,
        /// The number of states known before.
        expected: usize,
        /// The number given now.
        found: usize,
    },
    /// The formula needs a distribution that was not supplied.
    #[error("{distribution}: not among the given distributions")]
    MissingDistribution {
        /// The distribution.
        distribution: String,
    },
    /// The formula needs a variable that a distribution lacks.
    #[error("{distribution}: has no variable {node}")]
    Unmeasured {
        /// The variable.
        node: String,
        /// The distribution.
        distribution: String,
    },
    /// A variable of which no table says how many states it has.
    #[error("{node}: number of states unknown, no distribution has it")]
    UnknownCardinality {
        /// The variable.
        node: String,
    },
    /// The result conditions on an event of probability zero.
    #[error("{event}: has probability zero and is conditioned on")]
    ZeroProbability {
        /// The event.
        event: String,
    },
    /// A table that would not fit into memory.
    #[error("table: expected at most {limit} cells")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}
