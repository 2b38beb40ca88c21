//! Data tables, moments and tests of conditional independence.
//!
//! | item | holds |
//! |---|---|
//! | [`Table`] | named columns of real numbers or categories |
//! | [`Moments`], [`Matrix`] | means, covariances, correlations |
//! | [`FisherZ`] | independence of Gaussian variables |
//! | [`Contingency`] | independence of categories, by counts |
//! | [`Kci`] | independence of any real variables, by kernels |
//! | [`Multiplicity`] | adjustment of many p-values |
//!
//! Every test implements [`IndependenceTest`], which the searches of [`crate::discovery`] take.

mod contingency;
pub(crate) mod distribution;
mod error;
mod fisher;
pub(crate) mod independence;
mod kernel;
pub(crate) mod linear;
mod matrix;
mod moments;
mod multiplicity;
mod table;

pub use contingency::{Contingency, CountStatistic, CountTest};
pub use error::StatsError;
pub use fisher::{FisherZ, PartialCorrelation};
pub use independence::IndependenceTest;
pub use kernel::{Kci, KciOptions};
pub use matrix::Matrix;
pub use moments::Moments;
pub use multiplicity::Multiplicity;
pub use table::{Column, Table};
