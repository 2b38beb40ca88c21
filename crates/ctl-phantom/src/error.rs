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
    /// A node is not in the cohort's model.
    #[error("node `{node}` does not exist, the model has {known}")]
    NoSuchNode {
        /// The name that was asked for.
        node: String,
        /// The names that there are.
        known: String,
    },
    /// A node cannot take a value.
    #[error("node `{node}` cannot be {value}, allowed is {allowed}")]
    InvalidState {
        /// The node.
        node: String,
        /// The value that was given.
        value: f64,
        /// The values that are allowed.
        allowed: String,
    },
    /// Of many candidates for a place none was selected.
    #[error("site `{site}` selected none of {candidates} candidates")]
    NobodyEnters {
        /// The site.
        site: String,
        /// How many were looked at.
        candidates: u32,
    },
    /// The causal model cannot be built or followed.
    #[error("the causal model cannot be used")]
    Model(#[from] ctl_graph::model::ModelError),
    /// A diagram cannot be made.
    #[error("the causal diagram cannot be used")]
    Graph(#[from] ctl_graph::GraphError),
    /// A specification could not be put into words.
    #[error("cannot describe the specification")]
    Description(#[from] serde_json::Error),
    /// The folder cannot be written: it holds something already, or the file system refused.
    #[error(transparent)]
    Folder(#[from] ctl_imaging::ImagingError),
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
