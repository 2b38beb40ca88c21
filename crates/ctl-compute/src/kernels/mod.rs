//! Kernels on plain slices, channels last (`[B, H, W, C]` or `[B, D, H, W, C]`), without candle
//! types.
//!
//! `unsafe` lives in this module and nowhere else in the crate's arithmetic.
//!
//! **Invariant.** Work is cut into pieces by shape alone, never by the number of threads, and
//! every sum has one fixed order: results are the same bytes on any number of threads.
#![expect(
    clippy::inline_always,
    reason = "a body takes the instructions of its caller only where it is inlined into it"
)]

pub(crate) mod buffer;
pub(crate) mod columns;
pub mod conv;
pub(crate) mod float;
pub(crate) mod fourier;
pub(crate) mod gaussian;
pub mod level;
pub(crate) mod math;
pub(crate) mod normalise;
pub(crate) mod parallel;
pub(crate) mod pointwise;
pub(crate) mod pooling;
pub(crate) mod resample;
pub(crate) mod softmax;
pub(crate) mod update;
