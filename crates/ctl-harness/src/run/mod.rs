//! One run: batches, training, checkpoints, selection, record.

mod batches;
mod checkpoint;
mod evaluate;
mod execute;
mod forward;
mod generator;
mod model;
mod panels;
mod predictions;
mod prepare;
mod site;
mod trainer;
mod trial;
mod truth;
#[cfg(test)]
mod wrapped;

pub use execute::{RunContext, execute};
pub(crate) use generator::strip_path;
pub use model::{Model, ModelCard, Predicted, Predictions};
pub(crate) use panels::{Panels, Strip};
pub(crate) use predictions::{IN_DISTRIBUTION, TARGET};
pub use predictions::{Prediction, read_predictions};
