//! The report of a sweep: one page that opens offline, the same as Markdown with its figures beside
//! it, all numbers as CSV, and all records in one file.
//!
//! Everything is computed from the files of the sweep; a sweep that is not finished gives a report
//! that says so.
//! Every section is a small view, ready to print, that one of the two templates lays out:
//!
//! | module | section |
//! |---|---|
//! | `verdict` | the answer in words, from paired differences (`contrast`, `families`) |
//! | `overview` | one row per method, the main figure, by what was asked (`ground`) |
//! | `selectors` | what each way of choosing costs, and the runs behind it |
//! | `taxonomy` | task × shift × family |
//! | `map` | causal minus correlation-based methods over the strength of a shift |
//! | `licences` | what diagrams license against what was seen |
//! | `generators` | how sound the counterfactuals are that methods train on |
//! | `cells` | a table per cohort, protocol and target |
//! | `ranks` | Friedman and Nemenyi over cells |
//! | `diagnostics` | calibration, sampling intervals and the worst mistakes, from predictions |
//! | `pictures` | example images, and what networks made of them |
//!
//! Sections but the grid and the images come once for each task: figures of different tasks are
//! never averaged.

mod cells;
mod contenders;
mod contrast;
mod diagnostics;
mod families;
mod flat;
mod generators;
mod ground;
mod licences;
mod map;
mod overview;
mod page;
mod pictures;
mod ranks;
pub(crate) mod render;
mod selectors;
mod svg;
mod sweep;
mod taxonomy;
mod text;
mod verdict;

use std::path::{Path, PathBuf};

use crate::archive;
use crate::store::write_atomically;
use crate::sweep::Layout;
use crate::{HarnessError, Registry, Result};

pub use ground::Ground;
pub use licences::unlicensed;
pub use overview::{Average, MethodSummary, terminal_rows};
pub(crate) use pictures::data_uri;

/// Folder of the figures that the Markdown page shows.
const FIGURES: &str = "figures";

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One page with figures and pictures, without anything outside it.
    Html,
    /// The page without example images; its figures are files in `figures/` beside it.
    Markdown,
    /// One line per cell, method, selector, part and metric.
    Csv,
    /// All records in one file, see [`crate::archive`].
    Records,
}

impl Format {
    /// All formats, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Html, Self::Markdown, Self::Csv, Self::Records];

    /// The name used on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "md",
            Self::Csv => "csv",
            Self::Records => "records",
        }
    }

    /// The file that [`write()`] makes in the folder of the sweep.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Markdown => "report.md",
            Self::Csv => "results.csv",
            Self::Records => archive::RECORDS,
        }
    }

    /// The format of a name.
    ///
    /// # Errors
    /// On any other name; the message lists those there are.
    ///
    /// # Examples
    /// ```
    /// use ctl_harness::report::Format;
    ///
    /// assert_eq!(Format::parse("md")?, Format::Markdown);
    /// assert!(Format::parse("doc").unwrap_err().to_string().ends_with("html, md, csv, records"));
    /// # Ok::<(), ctl_harness::HarnessError>(())
    /// ```
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or_else(|| HarnessError::Unknown {
                what: "report format",
                name: name.to_owned(),
                known: Self::ALL.map(|format| format.as_str().to_owned()).to_vec(),
            })
    }
}

/// Writes the report of a sweep into its folder, whole or not at all.
///
/// # Arguments
/// - `root`: folder of the sweep, see [`crate::sweep`].
/// - `registry`: names and families of the methods; runs of methods it does not know are left out
///   and named in the report.
///
/// # Returns
/// Path of the file.
///
/// # Errors
/// When the folder holds no `sweep.json`, a record there cannot be read, or the report cannot be
/// written. Missing pictures and predictions are no errors: the report names them.
pub fn write(root: &Path, format: Format, registry: &Registry) -> Result<PathBuf> {
    let path = root.join(format.file_name());
    let load = || sweep::Sweep::load(root, registry);
    let content = match format {
        Format::Html => render::html(&page::Page::of(&load()?)?)?.into_bytes(),
        Format::Markdown => markdown(root, &page::Page::of(&load()?)?)?.into_bytes(),
        Format::Csv => flat::csv(&load()?, &path)?.into_bytes(),
        Format::Records => {
            let layout = Layout::new(root);
            archive::pack(&layout.read_records(&layout.read_info()?)?)?
        }
    };
    write_atomically(&path, &content)?;
    Ok(path)
}

/// The page as Markdown; its figures are written first, so that it names none that is not there.
fn markdown(root: &Path, page: &page::Page<'_>) -> Result<String> {
    let folder = root.join(FIGURES);
    std::fs::create_dir_all(&folder).map_err(|source| HarnessError::File {
        path: folder.clone(),
        action: "create",
        source,
    })?;
    for (name, figure) in page.drawn() {
        write_atomically(&folder.join(name), svg::standalone(figure).as_bytes())?;
    }
    render::markdown(page)
}
