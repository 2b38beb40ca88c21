//! What a pipeline did to an image.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What every step of a run measured or drew: enough to trace a result and to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// [`content_hash`](super::Pipeline::content_hash) of the pipeline.
    pub pipeline: String,
    /// The seed of the run.
    pub seed: u64,
    /// Which image, or which repetition, the draws were for.
    pub index: u64,
    /// The steps in their order.
    pub steps: Vec<StepRecord>,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// Its name as in a pipeline file, such as `z-score`.
    pub step: String,
    /// Numbers that it measured or drew, by name.
    pub measured: Measurements,
}

/// Named lists of numbers; a single number is a list of one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Measurements(BTreeMap<String, Vec<f64>>);

impl Measurements {
    /// The numbers under a name.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The first number under a name.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(<[f64]>::first).copied()
    }

    /// All names and their numbers, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f64])> {
        let entries = self.0.iter();
        entries.map(|(name, numbers)| (name.as_str(), numbers.as_slice()))
    }

    pub(crate) fn with(mut self, name: &str, numbers: impl IntoIterator<Item = f64>) -> Self {
        self.0
            .insert(name.to_owned(), numbers.into_iter().collect());
        self
    }

    pub(crate) fn one(name: &str, number: f64) -> Self {
        Self::default().with(name, [number])
    }
}
