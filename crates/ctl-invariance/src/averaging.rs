//! Averages of the weights along training.

use std::collections::BTreeMap;

use ctl_nets::Parameters;

use crate::{ObjectiveState, Result};

/// Weights and buffers of a network by name, as [`Parameters::snapshot`] gives them.
pub type Weights = BTreeMap<String, Vec<f32>>;

/// An average of a network's weights that is used in place of the last ones.
pub trait WeightAveraging {
    /// Hears of the weights after step `number`, counted from 0.
    ///
    /// # Errors
    /// When a weight cannot be read.
    fn after_step(&mut self, number: u64, parameters: &Parameters) -> Result<()>;

    /// Hears how the last weights score on validation patients of the sources, at each evaluation
    /// and before [`WeightAveraging::average`] is asked for.
    ///
    /// # Arguments
    /// - `score`: what checkpoints are selected by, higher is better: a share of at most 1, such as
    ///   an area under a curve, or a negated loss.
    fn after_validation(&mut self, score: f64) {
        let _ = score;
    }

    /// The average, every weight and buffer; none as long as the last weights should be used.
    fn average(&self) -> Option<Weights>;

    /// What must be kept to continue after an interruption.
    fn state(&self) -> ObjectiveState;

    /// Puts a state back.
    ///
    /// # Errors
    /// When the state is another average's.
    fn restore(&mut self, state: &ObjectiveState) -> Result<()>;
}
