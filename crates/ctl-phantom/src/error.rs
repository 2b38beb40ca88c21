//! What can go wrong while a cohort is specified, questioned or written.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// A setting is outside its range.
    #[error("setting `{key}` is {value}, allowed is {allowed}")]
    InvalidSetting {
        /// Name of the setting, as it is spelt in the specification.
        key: &'static str,
        /// The value that was found.
        value: String,
        /// The values that are allowed.
        allowed: &'static str,
    },
    /// A sample's index is beyond the cohort's end.
    #[error("sample {index} does not exist, the cohort has {count}")]
    NoSuchSample {
        /// The index that was asked for.
        index: usize,
        /// Number of samples in the cohort.
        count: usize,
    },
    /// A site's index is beyond the last site.
    #[error("site {site} does not exist, the cohort has {count}")]
    NoSuchSite {
        /// The index that was asked for.
        site: usize,
        /// Number of sites, the target included.
        count: usize,
    },
    /// The folder that is to be written holds something already.
    #[error("{} exists and is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot write {}", path.display())]
    Io {
        /// File or folder that was being written.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// An image could not be encoded or written.
    #[error("cannot write the image {}", path.display())]
    Image {
        /// The image file.
        path: PathBuf,
        /// The imaging crate's reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
