//! Networks in double precision against finite differences, their shapes, sizes and files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architectures;
mod fusion;
mod generative;
mod reconstruction;
mod support;
