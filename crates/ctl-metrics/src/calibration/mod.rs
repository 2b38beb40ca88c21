//! Whether probabilities mean what they say.

mod reliability;
mod scores;
mod temperature;

pub use reliability::{
    Binning, ReliabilityBin, ReliabilityTable, TopPrediction, binary_top_predictions,
    top_predictions,
};
pub use scores::{
    brier, brier_multiclass, log_loss, log_loss_multiclass, negative_log_likelihood, softmax_rows,
};
pub use temperature::{TemperatureFit, fit_temperature};
