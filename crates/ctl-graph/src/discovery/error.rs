//! Why a search could not be carried out.

use crate::GraphError;
use crate::stats::StatsError;

/// Why a search could not be carried out.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{DirectLingamOptions, DiscoveryError, direct_lingam};
/// use ctl_graph::stats::Table;
/// let table = Table::from_columns([("x", vec![1.0; 9]), ("y", vec![2.0; 9])])?;
/// let error = direct_lingam(&table, &DirectLingamOptions::default()).unwrap_err();
/// assert!(matches!(error, DiscoveryError::Stats(_)));
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// A statistic could not be computed.
    #[error(transparent)]
    Stats(#[from] StatsError),
    /// A diagram does not fit.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An option is outside its range.
    #[error("{option}: expected {expected}, found {found}")]
    Option {
        /// The option.
        option: &'static str,
        /// The allowed range in words.
        expected: &'static str,
        /// What was given.
        found: f64,
    },
    /// A comparison between environments needs at least two of them.
    #[error("column {column}: expected at least two environments, found {found}")]
    TooFewEnvironments {
        /// The column that tells the environments apart.
        column: String,
        /// How many there are.
        found: usize,
    },
    /// An environment has too few rows for a regression in it.
    #[error("environment {environment}: expected at least {expected} rows, found {found}")]
    TooFewRows {
        /// The environment.
        environment: String,
        /// The least number that would do.
        expected: usize,
        /// The number there is.
        found: usize,
    },
    /// The optimiser left the region in which its objective exists.
    #[error("the optimiser left the acyclic region; a smaller step may keep it there")]
    Diverged,
}

/// Checks that an option lies between two bounds, both excluded.
pub(super) fn between(
    option: &'static str,
    found: f64,
    (low, high): (f64, f64),
    expected: &'static str,
) -> Result<(), DiscoveryError> {
    if found > low && found < high {
        return Ok(());
    }
    Err(DiscoveryError::Option {
        option,
        expected,
        found,
    })
}

/// Checks a level of significance.
pub(super) fn level(alpha: f64) -> Result<(), DiscoveryError> {
    between("alpha", alpha, (0.0, 1.0), "a number between 0 and 1")
}
