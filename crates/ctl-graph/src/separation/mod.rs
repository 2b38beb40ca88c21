//! Separation in mixed graphs: queries, separators and implied independences.

mod reach;

pub use reach::{connected, separated};
