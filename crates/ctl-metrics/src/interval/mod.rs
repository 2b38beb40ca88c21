//! How far a number may be from the truth: `DeLong` intervals, also of clustered samples, and the
//! bootstrap.

mod bootstrap;
mod clustered;
mod delong;
mod resample;

use serde::Serialize;

pub(crate) use bootstrap::quantile_of_sorted;
pub use bootstrap::{BootstrapSummary, bootstrap, quantile_linear};
pub use clustered::{ClusteredAuroc, clustered_auroc};
pub use delong::{DelongEstimate, PairedDelong, delong, paired_delong};
pub use resample::Resampler;

/// A two-sided confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Nominal coverage, such as 0.95.
    pub level: f64,
}
