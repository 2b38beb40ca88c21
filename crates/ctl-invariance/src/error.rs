//! The error types of the crate.

/// Result of every function that computes an objective.
pub type Result<T> = std::result::Result<T, ObjectiveError>;

/// What can go wrong while an objective is computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectiveError {
    /// The environments of a step do not suit the objective.
    #[error("{method}: expected {expected}, found {found}")]
    Environments {
        /// Id of the method.
        method: &'static str,
        /// What the objective needs.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A stored state does not fit the objective.
    #[error("{method}: stored state {key}: expected {expected}, found {found}")]
    State {
        /// Id of the method.
        method: &'static str,
        /// Which part of the state.
        key: String,
        /// What the objective needs.
        expected: String,
        /// What was stored.
        found: String,
    },
    /// Training images could not be read.
    #[error("training images: {0}")]
    Images(String),
    /// Causes or invariant predictors could not be sought.
    #[error(transparent)]
    Discovery(#[from] ctl_graph::discovery::DiscoveryError),
    /// A network refused its input.
    #[error(transparent)]
    Net(#[from] ctl_nets::NetError),
    /// An operator refused its input.
    #[error(transparent)]
    Compute(#[from] ctl_compute::ComputeError),
}

impl From<ctl_graph::stats::StatsError> for ObjectiveError {
    fn from(error: ctl_graph::stats::StatsError) -> Self {
        Self::Discovery(error.into())
    }
}

impl From<candle_core::Error> for ObjectiveError {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute(error.into())
    }
}

/// A setting of a method that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value lies outside its range.
    #[error("method {method}: {key} = {value} is not allowed: it must be {allowed}")]
    Range {
        /// Id of the method.
        method: String,
        /// Name of the setting.
        key: &'static str,
        /// Value that was given.
        value: String,
        /// Allowed range.
        allowed: &'static str,
    },
    /// A setting is unknown or of the wrong type.
    #[error("method {method}: {key}: {message}")]
    Shape {
        /// Id of the method.
        method: String,
        /// Path of the setting.
        key: String,
        /// What was wrong with it, naming what is allowed.
        message: String,
    },
    /// The parts of the method could not be built.
    #[error("method {method}: cannot be built")]
    Build {
        /// Id of the method.
        method: String,
        /// Why.
        #[source]
        source: ObjectiveError,
    },
}
