//! The structural causal model of a cohort, the same for every part of the body.

mod build;
mod draft;
pub(crate) mod mechanism;

pub(crate) use build::{Model, build};
pub(crate) use draft::NoiseKind;
