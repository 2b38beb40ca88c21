//! The error type of the crate.

use std::path::PathBuf;

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, CounterfactualError>;

/// What can go wrong in describing, training, asking, saving or loading a model of images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CounterfactualError {
    /// The diagram and the variables do not make a model.
    #[error("node {node}: expected {expected}, found {found}")]
    Node {
        /// Name of the node or variable.
        node: String,
        /// What a model needs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A value, or a column of values, does not suit its variable.
    #[error("{subject}: expected {expected}, found {found}")]
    Value {
        /// Which variable or row.
        subject: String,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A setting lies outside its range.
    #[error("{what}: {key} must be {expected}, found {found}")]
    Setting {
        /// Mechanism, generator or procedure.
        what: &'static str,
        /// Name of the setting.
        key: &'static str,
        /// Allowed range.
        expected: &'static str,
        /// Value that was given.
        found: String,
    },
    /// Images or noises do not have the shape that the model needs.
    #[error("{subject}: expected {expected}, found {found}")]
    Shape {
        /// Which tensor.
        subject: &'static str,
        /// Shape that the model needs.
        expected: String,
        /// Shape that was given.
        found: String,
    },
    /// A file could not be read or written.
    #[error("{path}: cannot {action}", path = path.display())]
    File {
        /// File concerned.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A stored model or training is not what it should be.
    #[error("{path}: expected {expected}, found {found}", path = path.display())]
    Stored {
        /// File or folder concerned.
        path: PathBuf,
        /// What was needed.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A description of a model is not valid.
    #[error("{path}: not a description of a model", path = path.display())]
    Description {
        /// File concerned.
        path: PathBuf,
        /// Why it was refused.
        #[source]
        source: serde_json::Error,
    },
    /// Training went wrong.
    #[error("training of {node}: {message}")]
    Training {
        /// Node whose mechanism was trained.
        node: String,
        /// What happened, at which step.
        message: String,
    },
    /// The diagram was refused.
    #[error(transparent)]
    Graph(#[from] ctl_graph::GraphError),
    /// A network refused its input.
    #[error(transparent)]
    Net(#[from] ctl_nets::NetError),
    /// An operator refused its input.
    #[error(transparent)]
    Compute(#[from] ctl_compute::ComputeError),
    /// A metric refused its input.
    #[error(transparent)]
    Metric(#[from] ctl_metrics::MetricError),
}

impl From<candle_core::Error> for CounterfactualError {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute(error.into())
    }
}

/// Refuses a setting that is out of range.
pub(crate) fn in_range(
    what: &'static str,
    key: &'static str,
    (value, fits): (impl ToString, bool),
    expected: &'static str,
) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(CounterfactualError::Setting {
        what,
        key,
        expected,
        found: value.to_string(),
    })
}
