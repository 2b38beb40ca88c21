//! The error type of the crate.

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, ComputeError>;

/// What can go wrong in an operator, an optimiser or a sampler.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeError {
    /// A tensor does not have the shape that the operator needs.
    #[error("{op}: expected {expected}, found {found}")]
    Shape {
        /// Name of the operator.
        op: &'static str,
        /// Shape or relation that the operator needs.
        expected: String,
        /// Shape that it was given.
        found: String,
    },
    /// An option lies outside its range.
    #[error("{op}: {key} must be {expected}, found {found}")]
    Option {
        /// Name of the operator, optimiser or sampler.
        op: &'static str,
        /// Name of the option.
        key: &'static str,
        /// Allowed range.
        expected: &'static str,
        /// Value that was given.
        found: String,
    },
    /// A stored state does not fit the object that loads it.
    #[error("{what}: stored state has {found}, expected {expected}")]
    State {
        /// What was being restored.
        what: &'static str,
        /// What the object needs.
        expected: String,
        /// What the stored state holds.
        found: String,
    },
    /// Threads could not be started or joined.
    #[error("threads cannot be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl ComputeError {
    pub(crate) fn shape(
        op: &'static str,
        expected: impl Into<String>,
        found: &candle_core::Shape,
    ) -> Self {
        Self::Shape {
            op,
            expected: expected.into(),
            found: format!("{:?}", found.dims()),
        }
    }
}

impl From<ComputeError> for candle_core::Error {
    fn from(error: ComputeError) -> Self {
        match error {
            ComputeError::Candle(inner) => inner,
            other => candle_core::Error::wrap(other),
        }
    }
}
