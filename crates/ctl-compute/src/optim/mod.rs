//! Optimisers that update their variables in place, in one pass.

mod adam;
mod inplace;
mod sgd;

pub use adam::{Adam, AdamParams};
pub use sgd::{Sgd, SgdParams};

use candle_core::backprop::GradStore;

use crate::Result;

/// The state of an optimiser as plain numbers, one vector per variable and moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimiserState {
    /// Number of updates made.
    pub step: u64,
    /// Moment buffers in the order of the variables.
    pub moments: Vec<Vec<f32>>,
}

/// Something that moves variables along their gradients.
pub trait Optimiser: Send {
    /// Updates every variable that has a gradient.
    ///
    /// # Errors
    /// When a gradient's shape or type is not its variable's.
    fn step(&mut self, gradients: &GradStore) -> Result<()>;

    /// Forgets all moments, as if no update had been made.
    fn reset(&mut self);

    /// The state, for a checkpoint.
    fn state(&self) -> OptimiserState;

    /// Puts a stored state back.
    ///
    /// # Errors
    /// When the state belongs to variables of other sizes.
    fn restore(&mut self, state: &OptimiserState) -> Result<()>;
}
