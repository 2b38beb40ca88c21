//! Diagrams from text and as text.

mod braced;
mod cursor;
mod dagitty;
mod dot;
mod plain;

pub use dagitty::Dagitty;
pub(crate) use plain::extend;
