//! How an attribute comes about from its parents and a noise of its own.

mod categories;
mod conditioner;
mod flow;
mod scale;
mod spline;
mod train;

pub use categories::{AttributeCategories, CategoriesConfig};
pub use flow::{AttributeFlow, FlowConfig};
pub(crate) use scale::Scale;
pub(crate) use train::Batches;
pub use train::{AttributeFit, AttributeTraining, train_attribute};

use candle_core::Tensor;
use ctl_nets::Parameters;
use rand_chacha::ChaCha8Rng;

use crate::{Result, Rows};

/// The mechanism of an attribute: `a = f(parents, noise)`, for one individual at a time.
///
/// Values are in the units of the attribute; parents come encoded, see [`crate::Encoding`].
/// Everything but the loss is evaluated in double precision.
pub trait AttributeMechanism {
    /// Weights: what is saved.
    fn parameters(&self) -> &Parameters;

    /// Mean of `−ln p(value | parents)` over a batch, in nats, a scalar that gradients flow from.
    ///
    /// # Errors
    /// When candle refuses.
    fn loss(&self, values: &[f64], parents: &Rows) -> Result<Tensor>;

    /// `ln p(value | parents)` of every row, in nats; of continuous attributes with respect to their
    /// own units.
    ///
    /// # Errors
    /// When the weights cannot be read.
    fn log_prob(&self, values: &[f64], parents: &Rows) -> Result<Vec<f64>>;

    /// How many numbers the noise of an individual has.
    fn noise_width(&self) -> usize;

    /// The noises that made values under parents, row by row; where a value leaves them open, drawn
    /// from what it tells of them.
    ///
    /// # Errors
    /// When the weights cannot be read.
    fn abduct(&self, values: &[f64], parents: &Rows, rng: &mut ChaCha8Rng) -> Result<Vec<f64>>;

    /// Noises of new individuals, row by row.
    fn draw_noise(&self, count: usize, rng: &mut ChaCha8Rng) -> Vec<f64>;

    /// The values of noises under parents.
    ///
    /// # Errors
    /// When the weights cannot be read.
    fn predict(&self, noise: &[f64], parents: &Rows) -> Result<Vec<f64>>;

    /// Where each value lies in the distribution that its parents give, 0 to 1; uniform when the
    /// mechanism is right. None for attributes without an order.
    ///
    /// # Errors
    /// When the weights cannot be read.
    fn rank(&self, values: &[f64], parents: &Rows) -> Result<Option<Vec<f64>>>;
}
