//! Diagrams from text and as text.

mod braced;
mod cursor;
mod dagitty;
mod dot;
mod marked;
mod plain;

pub(super) use cursor::quoted;
pub use dagitty::Dagitty;
pub(crate) use plain::extend;
pub(super) use plain::is_bare;
