//! One fault of a cohort, with the place where it stands.

use serde::{Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};

/// A fault in a cohort, with the file, row and column where it stands.
///
/// Shown as `manifest.csv:12:label: expected …, found …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[non_exhaustive]
pub struct Problem {
    /// The manifest or `cohort.toml`.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// Line in that file, counted from 1; the manifest's header is line 1.
    pub row: Option<u64>,
    /// Column of the manifest, or key of `cohort.toml`.
    pub column: Option<String>,
    /// What kind of fault.
    pub kind: ProblemKind,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
    /// `expected …, found …` in one line.
    pub message: String,
}

/// The kinds of fault that a cohort can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// There is no `manifest.csv`, or it has no rows.
    NoManifest,
    /// The manifest is not a well-formed table: ragged, unclosed quote, not UTF-8.
    BadCsv,
    /// A header name stands twice, or a column that is needed is absent.
    BadHeader,
    /// `cohort.toml` is not TOML, has an unknown key, or a value out of range.
    BadConfig,
    /// A path is empty, absolute, leaves the cohort, or addresses no image of an array file.
    BadPath,
    /// A path stands in two rows.
    DuplicatePath,
    /// An image or mask file does not exist.
    MissingImage,
    /// An image or mask cannot be read: truncated, empty, not a picture.
    UnreadableImage,
    /// A mask is not as large as its image, or an image is a single pixel.
    WrongSize,
    /// A label is not one of the classes.
    LabelOutsideClasses,
    /// A pixel of a mask is not one of the declared values.
    MaskOutsideClasses,
    /// A patient has images in two splits.
    PatientInTwoSplits,
    /// A split is none of train, val, valid, validation, test.
    BadSplit,
    /// A cell that must be a number is not one, or is out of range.
    BadNumber,
    /// A cell that must be filled is empty, or holds an unknown word.
    BadValue,
}

impl Problem {
    /// A problem that stands at no particular row or column of `file`.
    ///
    /// # Arguments
    /// * `file`: the manifest or `cohort.toml`.
    /// * `kind`: what kind of fault.
    /// * `expected`, `found`: fragments that complete "expected …, found …".
    ///
    /// # Returns
    /// The problem; add the place with [`at_row`](Self::at_row) and
    /// [`in_column`](Self::in_column).
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::{Problem, ProblemKind};
    /// use std::path::Path;
    ///
    /// let file = Path::new("manifest.csv");
    /// let problem = Problem::new(file, ProblemKind::BadSplit, "`train` or `test`", "`tset`")
    ///     .at_row(12)
    ///     .in_column("split");
    /// let text = "manifest.csv:12:split: expected `train` or `test`, found `tset`";
    /// assert_eq!(problem.to_string(), text);
    /// ```
    pub fn new(
        file: &Path,
        kind: ProblemKind,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let (expected, found) = (expected.into(), found.into());
        let message = format!("expected {expected}, found {found}");
        Self {
            file: file.to_owned(),
            row: None,
            column: None,
            kind,
            expected,
            found,
            message,
        }
    }

    /// The same problem at a line of its file, counted from 1.
    #[must_use]
    pub fn at_row(mut self, row: u64) -> Self {
        self.row = Some(row);
        self
    }

    /// The same problem in a column of the manifest, or at a key of `cohort.toml`.
    #[must_use]
    pub fn in_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if let Some(row) = self.row {
            write!(formatter, ":{row}")?;
        }
        if let Some(column) = &self.column {
            write!(formatter, ":{column}")?;
        }
        write!(formatter, ": {}", self.message)
    }
}

/// serde refuses paths that are not UTF-8; a report must be written all the same.
fn path_as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
