//! Diagrams from text and as text.

mod cursor;
mod plain;
