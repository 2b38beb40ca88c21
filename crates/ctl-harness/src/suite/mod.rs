//! Suites: what to compare, as a TOML file.

mod file;
mod resolve;

pub use file::{ChestEntry, FolderEntry, Suite};
pub use resolve::{Filter, shipped};
