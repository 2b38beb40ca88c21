//! One run: batches, training, checkpoints, selection, record.

mod batches;
mod checkpoint;
mod evaluate;
mod execute;
mod model;
mod panels;
mod predictions;
mod trainer;
mod truth;

pub use execute::{RunContext, execute};
pub use model::{ModelCard, Predicted, Predictions, load_model, predict};
pub(crate) use panels::{Panels, Strip};
pub(crate) use predictions::{IN_DISTRIBUTION, TARGET};
pub use predictions::{Prediction, read_predictions};
