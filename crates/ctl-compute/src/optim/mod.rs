//! Optimisers that update their variables in place, in one pass.

mod adam;
mod clipping;
mod ema;
mod groups;
mod inplace;
mod schedule;
mod sgd;

pub use adam::{Adam, AdamParams, AdamW};
pub use clipping::{Clipping, gradient_norm};
pub use ema::Ema;
pub use groups::ParameterGroup;
pub use schedule::Schedule;
pub use sgd::{Sgd, SgdParams};

use candle_core::backprop::GradStore;

use crate::{ComputeError, Result};

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

    /// Multiplies every learning rate from now on, as [`Schedule::factor`] tells.
    ///
    /// The factor is not part of the state: it follows from the number of updates.
    fn set_rate_factor(&mut self, factor: f64);

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

/// Refuses a setting that is out of range.
fn check(
    op: &'static str,
    key: &'static str,
    (value, fits): (f64, bool),
    expected: &'static str,
) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(ComputeError::Option {
        op,
        key,
        expected,
        found: value.to_string(),
    })
}

/// Refuses a setting that is not positive and finite.
fn check_positive(op: &'static str, key: &'static str, value: f64) -> Result<()> {
    let fits = value.is_finite() && value > 0.0;
    check(op, key, (value, fits), "positive and finite")
}

/// Refuses a setting that is negative or not finite.
fn check_not_negative(op: &'static str, key: &'static str, value: f64) -> Result<()> {
    let fits = value.is_finite() && value >= 0.0;
    check(op, key, (value, fits), "finite and not negative")
}

/// Refuses a decay that is not in `[0, 1)`.
fn check_decay(op: &'static str, key: &'static str, value: f64) -> Result<()> {
    check(op, key, (value, (0.0..1.0).contains(&value)), "in [0, 1)")
}

/// Refuses a state whose buffers do not have the `expected` sizes.
fn check_sizes(what: &'static str, expected: &[usize], found: &[Vec<f32>]) -> Result<()> {
    let found: Vec<usize> = found.iter().map(Vec::len).collect();
    if found == expected {
        return Ok(());
    }
    Err(ComputeError::State {
        what,
        expected: format!("{} buffers of sizes {expected:?}", expected.len()),
        found: format!("{} buffers of sizes {found:?}", found.len()),
    })
}
