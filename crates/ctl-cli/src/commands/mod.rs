//! One file per command.

pub(crate) mod advise;
pub(crate) mod benchmark;
pub(crate) mod conformance;
pub(crate) mod counterfactual;
pub(crate) mod data;
pub(crate) mod image;
pub(crate) mod import;
pub(crate) mod kspace;
pub(crate) mod methods;
pub(crate) mod perf;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod run_chunk;
pub(crate) mod suites;
