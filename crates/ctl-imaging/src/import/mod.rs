//! Cohorts of files in other layouts.

mod files;
mod medmnist;
mod table;
mod tree;

pub use medmnist::import_medmnist;
pub use table::{TableImport, import_table};
pub use tree::{TreeLevel, import_tree};

use std::path::PathBuf;

/// What an import made of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Rows of the manifest.
    pub images: usize,
    /// Files that are no pictures and were left where they are, sorted.
    pub left_out: Vec<PathBuf>,
}
