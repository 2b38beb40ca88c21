//! What can go wrong with a cohort of digits.

use std::path::PathBuf;

use ctl_graph::GraphError;
use ctl_graph::model::ModelError;
use ctl_imaging::ImagingError;

use crate::PhantomError;

/// An error of the digit cohorts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DigitError {
    /// A setting is outside its range or does not belong to this kind of cohort.
    #[error("setting `{key}` is {value}, allowed is {allowed}")]
    Setting {
        /// Name of the setting, as it is spelt in the specification.
        key: &'static str,
        /// The value that was found.
        value: String,
        /// The values that are allowed.
        allowed: &'static str,
    },
    /// A file of digits cannot be read.
    #[error("cannot read the digits")]
    Read(#[from] ImagingError),
    /// A file of digits is not what it should be.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// The number of values does not fit the sides of a picture.
    #[error("picture: expected {height} x {width} values, both sides positive, found {found}")]
    Shape {
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
        /// Number of values that were given.
        found: usize,
    },
    /// A picture has no stroke to measure.
    #[error("picture: expected a stroke on a background, found the constant {value}")]
    Blank {
        /// The grey level of all its pixels.
        value: u8,
    },
    /// A sample's index is beyond the cohort's end.
    #[error("sample {index}: the cohort has {count}")]
    NoSuchSample {
        /// The index that was asked for.
        index: usize,
        /// Number of samples in the cohort.
        count: usize,
    },
    /// A variable is not one of this cohort's, or nothing can be done to it.
    #[error("variable {name}: expected one of {expected}")]
    Variable {
        /// The name that was given.
        name: String,
        /// The names that are allowed.
        expected: String,
    },
    /// A value that a variable was to be set to is outside its range.
    #[error("variable {name}: expected {expected}, found {found}")]
    Value {
        /// The variable.
        name: &'static str,
        /// The allowed range in words.
        expected: &'static str,
        /// The number that was given.
        found: f64,
    },
    /// The cohort cannot be written.
    #[error(transparent)]
    Write(#[from] PhantomError),
    /// The diagram cannot be described.
    #[error("causal diagram of the digits")]
    Graph(#[from] GraphError),
    /// The causal model refused.
    #[error("causal model of the digits")]
    Model(#[from] ModelError),
}
