//! Covariate adjustment, front-door sets and conditional instruments.

mod criterion;
mod front_door;
mod instrument;

pub use criterion::Adjustment;
pub(crate) use criterion::ClassFacts;
pub use front_door::{FrontDoor, FrontDoorSets};
pub use instrument::{Instrument, conditional_instruments, is_instrument};
