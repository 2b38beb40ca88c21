//! Laws of graphs, on random ones, against enumeration and by number.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests stand outside of test functions"
)]

mod adjustment;
mod classes;
mod equivalence;
mod foreign;
mod separation;
mod support;
