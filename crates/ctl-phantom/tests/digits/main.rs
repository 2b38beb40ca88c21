//! Digit cohorts: against other programs, from small files, and from MNIST where it is present.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod mnist;
mod strokes;
mod support;
