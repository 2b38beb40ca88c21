//! Diagrams from text and as text.

mod cursor;
mod plain;

pub(crate) use plain::extend;
