//! How an image comes about from its parents in the diagram and a noise of its own.

mod diffusion;
mod flow;
mod hvae;
mod independence;
mod pixels;
#[cfg(test)]
pub(crate) mod toy;
mod vae;

pub(crate) use pixels::signed;

pub use diffusion::{DiffusionConfig, DiffusionMechanism, NoiseSchedule, Prediction};
pub use flow::{FlowMechanism, ImageFlowConfig};
pub use hvae::{HvaeConfig, HvaeMechanism};
pub use vae::{VaeConfig, VaeMechanism};

use candle_core::Tensor;
use ctl_nets::Parameters;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{CounterfactualError, Result};

/// What abduction takes of a belief about latent variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Belief {
    /// Its mean: the same every time.
    #[default]
    Mean,
    /// A draw from it.
    Draw,
}

/// From 0 at the first update to 1 after `updates` of them.
fn warmed_up(step: u64, updates: u64) -> f64 {
    if step >= updates {
        return 1.0;
    }
    step as f64 / updates as f64
}

/// The exogenous noise of a batch of images, as a mechanism abducts or draws it.
#[derive(Clone, Debug)]
pub struct ImageNoise {
    /// Latent variables, the batch along the first axis; how many tensors and of which shapes is the
    /// mechanism's own affair.
    pub latents: Vec<Tensor>,
    /// `(x − μ) / σ` of every value of the images `[B, C, H, W]`, what the latent variables leave
    /// unexplained; none where a mechanism has no such part, or leaves it out.
    pub residual: Option<Tensor>,
}

/// What training minimises.
#[derive(Clone, Debug)]
pub struct ImageLoss {
    /// The loss, a scalar that gradients flow from.
    pub total: Tensor,
    /// Named parts of it, scalars, such as `distortion` and `kl`.
    pub terms: Vec<(&'static str, Tensor)>,
}

/// The mechanism of an image: `x = f(parents, noise)`.
///
/// Images have values from 0 to 1; parents come encoded.
pub trait ImageMechanism {
    /// Channels, height and width of the images.
    fn shape(&self) -> [usize; 3];

    /// Width `P` of the encoded parents.
    fn parent_width(&self) -> usize;

    /// Weights and buffers: what is saved.
    fn parameters(&self) -> &Parameters;

    /// Why counterfactual fine-tuning is not for this mechanism; none where gradients of the predicted
    /// images flow through [`ImageMechanism::predict`] and [`ImageMechanism::abduct`] to the weights,
    /// and [`ImageMechanism::loss`] is a bound that can be held.
    fn fine_tuning_obstacle(&self) -> Option<&'static str> {
        Some("it does not say that its counterfactuals can be differentiated")
    }

    /// What training minimises for images `[B, C, H, W]` with parents `[B, P]`.
    ///
    /// # Arguments
    /// - `step`: number of updates made before, for terms that are warmed up
    /// - `rng`: of this step alone
    ///
    /// # Errors
    /// When images or parents have another shape.
    fn loss(
        &self,
        images: &Tensor,
        parents: &Tensor,
        step: u64,
        rng: &mut ChaCha8Rng,
    ) -> Result<ImageLoss>;

    /// `ln p(x | parents)` of each image in nats, over images of 256 grey levels, or a lower bound
    /// of it; none where the mechanism has neither.
    ///
    /// # Errors
    /// When images or parents have another shape.
    fn log_prob(
        &self,
        images: &Tensor,
        parents: &Tensor,
        rng: &mut ChaCha8Rng,
    ) -> Result<Option<Vec<f64>>>;

    /// The noise that made images `[B, C, H, W]` under parents `[B, P]`; where it is not determined,
    /// the mean or a draw of what the mechanism believes of it, as its settings say.
    ///
    /// # Errors
    /// When images or parents have another shape.
    fn abduct(&self, images: &Tensor, parents: &Tensor, rng: &mut ChaCha8Rng)
    -> Result<ImageNoise>;

    /// The noise of `batch` new images.
    ///
    /// # Errors
    /// When candle refuses.
    fn draw_noise(&self, batch: usize, rng: &mut ChaCha8Rng) -> Result<ImageNoise>;

    /// The images `[B, C, H, W]`, 0 to 1, of a noise under parents `[B, P]`.
    ///
    /// # Errors
    /// When noise or parents have another shape.
    fn predict(&self, noise: &ImageNoise, parents: &Tensor) -> Result<Tensor>;
}

/// Images or parents in the precision of a mechanism's weights.
fn in_precision(parameters: &Parameters, tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.to_dtype(parameters.dtype())?)
}

/// Refuses images or parents of another shape; gives the size of the batch.
///
/// # Errors
/// [`CounterfactualError::Shape`].
pub(crate) fn check_inputs(
    mechanism: &dyn ImageMechanism,
    images: Option<&Tensor>,
    parents: &Tensor,
) -> Result<usize> {
    let (width, shape) = (mechanism.parent_width(), mechanism.shape());
    let batch = match parents.dims() {
        &[batch, found] if batch > 0 && found == width => batch,
        found => {
            return Err(CounterfactualError::Shape {
                subject: "parents of images",
                expected: format!("[B, {width}]"),
                found: format!("{found:?}"),
            });
        }
    };
    let Some(images) = images else {
        return Ok(batch);
    };
    let [channels, height, width] = shape;
    if images.dims() == [batch, channels, height, width] {
        return Ok(batch);
    }
    Err(CounterfactualError::Shape {
        subject: "images",
        expected: format!("[{batch}, {channels}, {height}, {width}]"),
        found: format!("{:?}", images.dims()),
    })
}
