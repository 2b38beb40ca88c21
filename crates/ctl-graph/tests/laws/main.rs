//! Laws of graphs, on random ones, against enumeration and by number.

mod adjustment;
mod equivalence;
mod separation;
mod support;
