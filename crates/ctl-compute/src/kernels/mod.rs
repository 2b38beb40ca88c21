//! Kernels on plain slices, channels last (`[B, H, W, C]` or `[B, D, H, W, C]`), without candle
//! types.
//!
//! `unsafe` lives in this module and nowhere else in the crate's arithmetic.
//!
//! **Invariant.** Work is cut into pieces by shape alone, never by the number of threads, and
//! every sum has one fixed order: results are the same bytes on any number of threads.

pub mod conv;
pub mod level;
pub(crate) mod parallel;
