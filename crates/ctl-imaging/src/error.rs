//! What can go wrong while images and cohorts are read.

use crate::problem::Problem;
use std::io;
use std::path::{Path, PathBuf};

/// Any failure of this crate.
///
/// Messages are lower-case fragments; the cause, where another library reported one, is kept as
/// [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImagingError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted, as in "cannot *open* x.png".
        action: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A decoder refused the content of a file.
    #[error("cannot decode {} as {format}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The format it was taken for.
        format: String,
        /// What the decoder said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An encoder refused what was to be written.
    #[error("cannot encode {} as {format}", path.display())]
    Encode {
        /// The file that was to be written.
        path: PathBuf,
        /// The format that it was to have.
        format: String,
        /// What the encoder said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The content of a file is not what it should be.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What a well-formed file has.
        expected: String,
        /// What this one has.
        found: String,
    },
    /// A fault in a cohort's manifest or `cohort.toml`, with row and column.
    #[error(transparent)]
    Cohort(Box<Problem>),
    /// The image of a manifest's row cannot be used.
    #[error("{}:{row}:path", manifest.display())]
    Image {
        /// The manifest.
        manifest: PathBuf,
        /// Its line, counted from 1.
        row: u64,
        /// What is wrong with the file.
        #[source]
        source: Box<ImagingError>,
    },
    /// The folder that is to be written holds something already.
    #[error("{} exists and is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A caller's argument is out of range.
    #[error("{subject}: expected {expected}, found {found}")]
    Argument {
        /// The argument.
        subject: &'static str,
        /// Its allowed range.
        expected: String,
        /// What was given.
        found: String,
    },
}

impl ImagingError {
    /// The first problem of a cohort, if that is what this error reports.
    ///
    /// # Returns
    /// The problem with its file, row and column, or `None` for any other failure.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Cohort(problem) => Some(problem),
            _ => None,
        }
    }

    pub(crate) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }

    pub(crate) fn decode(
        path: &Path,
        format: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Decode {
            path: path.to_owned(),
            format: format.into(),
            source: source.into(),
        }
    }

    pub(crate) fn encode(
        path: &Path,
        format: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Encode {
            path: path.to_owned(),
            format: format.into(),
            source: source.into(),
        }
    }

    pub(crate) fn content(
        path: &Path,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Content {
            path: path.to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The same fault, of an argument that was taken from a file.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Argument {
                subject,
                expected,
                found,
            } => Self::content(path, format!("{subject} with {expected}"), found),
            other => other,
        }
    }

    pub(crate) fn argument(
        subject: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Argument {
            subject,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

impl From<Problem> for ImagingError {
    fn from(problem: Problem) -> Self {
        Self::Cohort(Box::new(problem))
    }
}

/// An error with all its causes on one line, for places that can only carry text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
