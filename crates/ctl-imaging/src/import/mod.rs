//! Cohorts of files in other layouts.

mod bids;
mod cohort;
mod dicom;
mod files;
mod medmnist;
mod nnunet;
mod table;
mod tree;
mod tsv;

pub use bids::{BidsImport, BidsMasks, import_bids};
pub use dicom::{DicomImport, import_dicom};
pub use medmnist::import_medmnist;
pub use nnunet::{NnunetImport, NnunetSplits, import_nnunet};
pub use table::{TableImport, import_table};
pub use tree::{TreeLevel, import_tree};

use serde::Serialize;
use std::path::PathBuf;

/// What an import made of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// Rows of the manifest.
    pub images: usize,
    /// What was left where it is, sorted by its path.
    pub left_out: Vec<LeftOut>,
    /// What a reader should know of the rest, in sentences.
    pub notes: Vec<String>,
}

/// A file or series that is not in the new cohort.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LeftOut {
    /// Its path below the imported folder.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl LeftOut {
    fn new(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}
