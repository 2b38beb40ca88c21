//! What can be wrong with a structural causal model or with a question to one.

use crate::GraphError;

/// Why a model could not be built or a question not be answered.
///
/// # Examples
///
/// ```
/// use ctl_graph::model::ModelError;
///
/// let error = ModelError::NotInvertible { node: "image".to_owned() };
/// assert_eq!(
///     error.to_string(),
///     "node image: its noise does not follow from its value, use importance sampling",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The diagram does not hold what the question names.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// This kind of model has no place for a latent common cause.
    #[error(
        "bidirected edge {from} <-> {to}: this model needs the common cause as a node of its own"
    )]
    Bidirected {
        /// One end of the edge.
        from: String,
        /// The other end.
        to: String,
    },
    /// A node has no mechanism, or two.
    #[error("node {node}: expected one mechanism, found {found}")]
    MechanismCount {
        /// The node.
        node: String,
        /// How many were given.
        found: usize,
    },
    /// A mechanism reads a variable that is not a parent in the diagram.
    #[error("node {node}: {parent} is not one of its parents in the diagram")]
    NotAParent {
        /// The node whose mechanism it is.
        node: String,
        /// The variable it reads.
        parent: String,
    },
    /// An array has the wrong number of entries.
    #[error("{subject}: expected {expected} values, found {found}")]
    Shape {
        /// The array.
        subject: String,
        /// The length the diagram calls for.
        expected: usize,
        /// The length that was given.
        found: usize,
    },
    /// A number is not finite or outside its range.
    #[error("{subject}: expected {expected}, found {found}")]
    Value {
        /// The quantity.
        subject: String,
        /// The allowed range in words.
        expected: &'static str,
        /// The number that was given.
        found: f64,
    },
    /// The entries of a distribution do not add up to one.
    #[error("{subject}: expected probabilities that sum to 1, found {sum}")]
    NotADistribution {
        /// The distribution.
        subject: String,
        /// What its entries add up to.
        sum: f64,
    },
    /// A state index is not below the number of states.
    #[error("node {node}: expected a state below {cardinality}, found {found}")]
    State {
        /// The variable.
        node: String,
        /// Its number of states.
        cardinality: usize,
        /// The state that was given.
        found: usize,
    },
    /// A variable occurs twice in a list that must not repeat.
    #[error("node {node}: named twice in {subject}")]
    Repeated {
        /// The variable.
        node: String,
        /// The list.
        subject: &'static str,
    },
    /// The evidence has probability zero (or density zero) in the model.
    #[error("evidence: it has probability 0 in this model")]
    ImpossibleEvidence,
    /// An exact answer needs a value that the evidence lacks.
    #[error("node {node}: exact abduction needs its value, use importance sampling")]
    Unobserved {
        /// The variable without a value.
        node: String,
    },
    /// A mechanism cannot be solved for its noise.
    #[error("node {node}: its noise does not follow from its value, use importance sampling")]
    NotInvertible {
        /// The variable whose mechanism it is.
        node: String,
    },
    /// A matrix that must be inverted has no inverse.
    #[error("{subject}: singular matrix")]
    Singular {
        /// The matrix.
        subject: &'static str,
    },
    /// A table would exceed the limit on its cells.
    #[error("inference: a table would need more than {limit} cells")]
    TooLarge {
        /// The most cells a table may have.
        limit: usize,
    },
    /// Worlds of a counterfactual question refer to each other in a circle or to a missing one.
    #[error("world {world}: it copies from world {source_world}, which does not come before it")]
    WorldOrder {
        /// The world that copies.
        world: usize,
        /// The world it copies from.
        source_world: usize,
    },
    /// There are too few rows to fit a mechanism.
    #[error("node {node}: expected at least {expected} rows to fit its mechanism, found {found}")]
    TooFewRows {
        /// The node whose mechanism is fitted.
        node: String,
        /// The least number of rows.
        expected: usize,
        /// The rows that were given.
        found: usize,
    },
}
