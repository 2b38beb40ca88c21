//! The error type of the crate.

use std::path::PathBuf;

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, HarnessError>;

/// What can go wrong between a suite file and a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// A suite, a configuration or a ledger says something that is not allowed.
    #[error("{origin}: {key}: {message}")]
    Config {
        /// File, suite or option that said it.
        origin: String,
        /// Path of the key.
        key: String,
        /// What is wrong, naming the value and what is allowed.
        message: String,
    },
    /// A name that the toolkit does not know.
    #[error("unknown {what} {name:?}, expected one of: {}", known.join(", "))]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// Name that was given.
        name: String,
        /// Names there are.
        known: Vec<String>,
    },
    /// Two methods with one id.
    #[error("method {id} is registered already")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// Data that cannot be used.
    #[error("{path}: {message}", path = path.display())]
    Data {
        /// File or folder concerned.
        path: PathBuf,
        /// What was expected and found.
        message: String,
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
    /// A stored file has another layout than this version writes.
    #[error("{path}: {message}", path = path.display())]
    Stored {
        /// File concerned.
        path: PathBuf,
        /// What was expected and found.
        message: String,
    },
    /// Training left the range of numbers.
    #[error("{what}: outputs are not finite")]
    Diverged {
        /// Which run.
        what: String,
    },
    /// An array task of a cluster left a run without a record.
    #[error("{message}; see {log}", log = log.display())]
    Task {
        /// What the task, or the cluster, said.
        message: String,
        /// What the task wrote.
        log: PathBuf,
    },
    /// A run failed; the others are kept.
    #[error("run {id} ({what}) failed")]
    Run {
        /// Id of the run.
        id: String,
        /// Method and cell.
        what: String,
        /// Why.
        #[source]
        source: Box<HarnessError>,
    },
    /// The report template failed.
    #[error("report cannot be rendered")]
    Report(#[from] minijinja::Error),
    /// A cohort on disk is at fault.
    #[error(transparent)]
    Imaging(#[from] ctl_imaging::ImagingError),
    /// Columns of a cohort cannot be tested.
    #[error(transparent)]
    Statistics(#[from] ctl_graph::stats::StatsError),
    /// A simulated cohort cannot be made.
    #[error(transparent)]
    Phantom(#[from] ctl_phantom::PhantomError),
    /// A metric is undefined.
    #[error(transparent)]
    Metric(#[from] ctl_metrics::MetricError),
    /// A method's settings are at fault.
    #[error(transparent)]
    Method(#[from] ctl_invariance::ConfigError),
    /// An objective failed.
    #[error(transparent)]
    Objective(#[from] ctl_invariance::ObjectiveError),
    /// A structural causal model failed.
    #[error(transparent)]
    Counterfactual(#[from] ctl_counterfactual::CounterfactualError),
    /// Digits cannot be made.
    #[error(transparent)]
    Digits(#[from] ctl_phantom::digits::DigitError),
    /// A network failed.
    #[error(transparent)]
    Net(#[from] ctl_nets::NetError),
    /// An operator failed.
    #[error(transparent)]
    Compute(#[from] ctl_compute::ComputeError),
}

impl From<candle_core::Error> for HarnessError {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute(error.into())
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
