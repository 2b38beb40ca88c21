//! Separation in mixed graphs: queries, separators and implied independences.
//!
//! Queries take linear time. What may be exponentially many comes from iterators, one at a time, so
//! that a caller decides when to stop.

mod implied;
mod reach;
mod separators;
mod within;

pub use implied::{Independence, implied_independences};
pub use reach::{connected, separated};
pub(crate) use reach::{independent, reached};
pub(crate) use separators::one_minimal;
pub use separators::{MinimalSeparators, minimal_separator, minimal_separators};
pub use within::{Separators, separators};
