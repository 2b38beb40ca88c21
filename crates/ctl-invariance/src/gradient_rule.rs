//! Rules that combine the gradients of the environments.

use candle_core::Tensor;

use crate::{ObjectiveState, Result};

/// A network in the middle of a step, whose weights a rule may move to see what follows.
///
/// Weights and gradients are lists in one order, that of the network's trained weights.
pub trait Trial {
    /// Number of the step, from 0.
    fn number(&self) -> u64;

    /// Number of labelled environments, at least 1.
    fn environments(&self) -> usize;

    /// Step size of the network's optimiser.
    fn learning_rate(&self) -> f64;

    /// The present weights.
    ///
    /// # Errors
    /// When a weight cannot be copied.
    fn weights(&self) -> Result<Vec<Tensor>>;

    /// Moves to other weights; the step ends at the first ones, unless an [`Update::Weights`] says
    /// otherwise.
    ///
    /// # Errors
    /// When a weight has another shape.
    fn set_weights(&mut self, weights: &[Tensor]) -> Result<()>;

    /// Risk of an environment at the present weights, and its gradient.
    ///
    /// # Errors
    /// When the environment does not exist or its batch does not fit the network.
    fn gradient(&mut self, environment: usize) -> Result<(f64, Vec<Tensor>)>;
}

/// What a rule makes of a step.
#[derive(Debug)]
pub enum Update {
    /// A direction that the network's optimiser descends.
    Gradient(Vec<Tensor>),
    /// The weights after the step; the network's optimiser is left out.
    Weights(Vec<Tensor>),
}

/// An update and what the log says of it.
#[derive(Debug)]
pub struct Ruled {
    /// The update.
    pub update: Update,
    /// Named numbers for the log, the mean `risk` at the first weights among them.
    pub terms: Vec<(&'static str, f64)>,
}

/// A rule from the gradients of the environments to one update of the weights.
///
/// It stands in for the objective of a method: the risks are the task's own.
pub trait GradientRule {
    /// The update of one step; may change the rule's own state.
    ///
    /// # Errors
    /// When the environments do not suit the rule.
    fn update(&mut self, trial: &mut dyn Trial) -> Result<Ruled>;

    /// What must be kept to continue after an interruption.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    fn state(&self) -> Result<ObjectiveState> {
        Ok(ObjectiveState::new())
    }

    /// Puts a state back.
    ///
    /// # Errors
    /// When the state is another rule's.
    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        let _ = state;
        Ok(())
    }
}
