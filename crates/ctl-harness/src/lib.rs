//! x
mod error;
mod observer;
pub mod reproduce;
pub mod store;

pub use error::{HarnessError, Result};
pub use observer::{Event, Observer, Silent};
