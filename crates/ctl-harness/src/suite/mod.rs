//! Suites: what to compare, as a TOML file.

mod file;
mod resolve;
mod search;
mod simulated;
mod training;

pub use file::{FolderEntry, Suite};
pub use resolve::{Filter, shipped};
pub use search::{Search, Searched};
pub use simulated::{SimulatedCohort, SimulatedEntry, dials, directions, exists, usual_anatomy};
pub use training::TaskTraining;
