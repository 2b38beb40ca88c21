//! One run: batches, training, checkpoints, selection, record.

mod batches;
mod checkpoint;
mod evaluate;
mod execute;
mod model;
mod predictions;
mod score;
mod trainer;

pub use execute::{RunContext, execute};
pub use model::{ModelCard, Predicted, load_model, predict};
pub(crate) use predictions::{IN_DISTRIBUTION, TARGET};
pub use predictions::{Prediction, read_predictions};
pub use score::{classification_metrics, probabilities};
