//! How sound counterfactuals are, and how true where the truth is known.

mod answers;
mod predictor;
mod soundness;
mod truth;

pub use answers::Answers;
pub use predictor::{Predictor, PredictorConfig, Predictors};
pub use soundness::{Realism, composition, minimality, realism, reversibility};
pub use truth::{TrueError, true_error};

#[cfg(test)]
mod tests;
