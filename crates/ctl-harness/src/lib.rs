//! The benchmark harness: tasks, method registry, protocols, model selection, runs, report.

pub mod archive;
pub mod catalogue;
mod claim;
pub mod conformance;
pub mod counterfactual;
pub mod data;
mod error;
pub mod launch;
mod observer;
pub mod plan;
pub mod portrait;
pub mod record;
mod registry;
pub mod report;
pub mod reproduce;
pub mod run;
pub mod sense;
pub mod spec;
pub mod store;
pub mod suite;
pub mod sweep;
pub mod table;
pub mod task;
pub mod truth;
pub mod vocabulary;

pub use error::{HarnessError, Result};
pub use observer::{Event, Observer, Silent};
pub use registry::Registry;

pub use ctl_invariance::{Family, Role};
