//! The error type of the crate.

use std::path::PathBuf;

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, NetError>;

/// What can go wrong in building, running, saving or loading a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// A size of the network or its input is out of range.
    #[error("network {architecture}: {key} must be {expected}, found {found}")]
    Size {
        /// Name of the architecture.
        architecture: &'static str,
        /// Which size.
        key: &'static str,
        /// Allowed range.
        expected: &'static str,
        /// Value that was given.
        found: String,
    },
    /// A file of weights does not fit the network.
    #[error("{path}: tensor {name}: expected {expected}, found {found}", path = path.display())]
    Weights {
        /// File that was read.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Shape that the network needs.
        expected: String,
        /// What the file holds.
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
    /// A file is not valid safetensors.
    #[error("{path}: not a safetensors file", path = path.display())]
    Format {
        /// File concerned.
        path: PathBuf,
        /// Why it was refused.
        #[source]
        source: safetensors::SafeTensorError,
    },
    /// An operator refused its input.
    #[error(transparent)]
    Compute(#[from] ctl_compute::ComputeError),
}

impl From<candle_core::Error> for NetError {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute(error.into())
    }
}
