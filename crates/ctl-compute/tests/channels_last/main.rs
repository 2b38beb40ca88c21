//! Operators with channels last, and transforms of complex images: gradients of first and second order against central differences,
//! values against plain loops in double precision, and the same bits on every level and thread
//! count.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod composites;
mod fourier;
mod gaussian;
mod golden;
mod losses;
mod normalisation;
mod pointwise;
mod pooling;
#[path = "../golden/read.rs"]
mod read;
mod resampling;
mod support;
