//! The image as an invertible function of its noise.

#[cfg(test)]
mod tests;

use candle_core::{DType, Tensor};
use ctl_compute::random::{normal, uniform};
use ctl_nets::{CouplingFlow, CouplingFlowSpec, Parameters};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{ImageLoss, ImageMechanism, ImageNoise, check_inputs};
use crate::error::in_range;
use crate::{CounterfactualError, Result};

/// Grey levels of an image value.
const LEVELS: f64 = 256.0;
/// The highest grey level, which is 1 outside.
const WHITE: f64 = LEVELS - 1.0;
const WHAT: &str = "flow of images";

/// Settings of a [`FlowMechanism`].
///
/// # Examples
/// ```
/// use ctl_counterfactual::ImageFlowConfig;
///
/// let config = ImageFlowConfig { steps: 6, ..ImageFlowConfig::default() };
/// assert!(config.validate().is_ok());
/// assert!(ImageFlowConfig { alpha: 0.5, ..config }.validate().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ImageFlowConfig {
    /// Times that 2×2 pixels become channels, 1 to 8; the sides of the images are multiples of 2 to
    /// this power.
    pub levels: usize,
    /// Steps of normalisation, mixing and coupling at each level, 1 to 64.
    pub steps: usize,
    /// Channels within a coupling, at least 1.
    pub hidden: usize,
    /// Largest logarithm by which one coupling scales a value, within `(0, 10]`.
    pub log_scale_bound: f64,
    /// Distance α that the logit keeps from 0 and 1, within `(0, 0.5)`.
    pub alpha: f64,
}

impl Default for ImageFlowConfig {
    /// Two levels of four steps, 32 channels, scales up to `e²`, α = 0.05.
    fn default() -> Self {
        Self {
            levels: 2,
            steps: 4,
            hidden: 32,
            log_scale_bound: 2.0,
            alpha: 0.05,
        }
    }
}

impl ImageFlowConfig {
    /// Refuses settings out of range.
    ///
    /// # Errors
    /// [`CounterfactualError::Setting`], which names the key, the value and the range.
    pub fn validate(&self) -> Result<()> {
        let count = |key, value: usize, most: usize, expected| {
            in_range(WHAT, key, (value, (1..=most).contains(&value)), expected)
        };
        count("levels", self.levels, 8, "1 to 8")?;
        count("steps", self.steps, 64, "1 to 64")?;
        count("hidden", self.hidden, usize::MAX, "at least 1")?;
        let bound = self.log_scale_bound;
        let fits = bound > 0.0 && bound <= 10.0;
        in_range(WHAT, "log-scale-bound", (bound, fits), "within (0, 10]")?;
        let fits = self.alpha > 0.0 && self.alpha < 0.5;
        in_range(WHAT, "alpha", (self.alpha, fits), "within (0, 0.5)")
    }

    fn spec(&self, [channels, height, width]: [usize; 3], context: usize) -> CouplingFlowSpec {
        CouplingFlowSpec {
            channels,
            sides: [height, width],
            context,
            levels: self.levels,
            steps: self.steps,
            hidden: self.hidden,
            log_scale_bound: self.log_scale_bound,
            alpha: self.alpha,
        }
    }
}

/// A conditional normalising flow for small images, up to about 32 × 32: `x = f(parents, noise)`
/// can be undone, so that abduction is exact and the density is known.
///
/// A grey level `k = 0 … 255`, `k / 255` outside, becomes `u = (k + v) / 256` with `v` uniform on
/// `[0, 1)` for training and for the density. Then
/// `ln P(k | parents) ≥ E_v ln p(u | parents) − n ln 256`, `n` the number of values of an image.
/// Abduction takes `v = ½`, so that it is deterministic.
/// The latent variables are standard normal and as many as the image has values.
///
/// The first update, step 0 of [`ImageMechanism::loss`], fits the normalisations of the flow to its
/// batch, once; afterwards they are trained with the rest.
///
/// # References
/// Dinh, Sohl-Dickstein & Bengio 2017, "Density estimation using Real NVP"; Theis, van den Oord &
/// Bethge 2016, section 3.1, for the bound by dequantisation; Pawlowski, Castro & Glocker 2020,
/// "Deep structural causal models for tractable counterfactual inference", section 3 (invertible
/// explicit mechanisms), there with flows for attributes only.
pub struct FlowMechanism {
    network: CouplingFlow,
}

impl FlowMechanism {
    /// A mechanism with weights drawn for `(seed, run)`.
    ///
    /// # Arguments
    /// - `shape`: channels, height and width of the images
    /// - `parent_width`: width of the encoded parents, at least 1
    ///
    /// # Errors
    /// When a setting is out of range, or the images are not of a size that the levels halve.
    pub fn new(
        config: &ImageFlowConfig,
        shape: [usize; 3],
        parent_width: usize,
        (seed, run): (u64, &str),
    ) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), config, shape, parent_width)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// As [`FlowMechanism::new`].
    pub fn from_parameters(
        parameters: Parameters,
        config: &ImageFlowConfig,
        shape: [usize; 3],
        parent_width: usize,
    ) -> Result<Self> {
        config.validate()?;
        let spec = config.spec(shape, parent_width);
        Ok(Self {
            network: CouplingFlow::from_parameters(parameters, &spec)?,
        })
    }

    /// The network.
    pub fn network(&self) -> &CouplingFlow {
        &self.network
    }

    /// Images and parents in the network's precision.
    fn checked(&self, images: &Tensor, parents: &Tensor) -> Result<(Tensor, Tensor)> {
        check_inputs(self, Some(images), parents)?;
        // The flow continues a little beyond 0 and 1, but what lies there is no image.
        let values: Vec<f64> = images.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
        let range = -0.5 / WHITE..=1.0 + 0.5 / WHITE;
        if let Some(value) = values.iter().find(|value| !range.contains(value)) {
            return Err(CounterfactualError::Value {
                subject: "images".into(),
                expected: "values from 0 to 1".into(),
                found: value.to_string(),
            });
        }
        let dtype = self.network.dtype();
        Ok((images.to_dtype(dtype)?, parents.to_dtype(dtype)?))
    }

    fn values(&self) -> f64 {
        self.network.spec().values() as f64
    }
}

/// `(k + v) / 256` with uniform `v`.
fn dequantised(images: &Tensor, rng: &mut ChaCha8Rng) -> Result<Tensor> {
    let levels = (images * WHITE)?.round()?.clamp(0.0, WHITE)?;
    let noise = uniform(rng, images.shape(), (0.0, 1.0))?;
    Ok(((levels + noise.to_dtype(images.dtype())?)? / LEVELS)?)
}

impl ImageMechanism for FlowMechanism {
    fn shape(&self) -> [usize; 3] {
        let spec = self.network.spec();
        [spec.channels, spec.sides[0], spec.sides[1]]
    }

    fn parent_width(&self) -> usize {
        self.network.spec().context
    }

    fn parameters(&self) -> &Parameters {
        self.network.parameters()
    }

    fn fine_tuning_obstacle(&self) -> Option<&'static str> {
        Some("its inversion is exact, which leaves no bound to constrain")
    }

    /// `−ln p / n` over 256 grey levels, mean over the batch, in nats; its terms are `prior`, of the
    /// latent variables, and `volume`, of the map.
    fn loss(
        &self,
        images: &Tensor,
        parents: &Tensor,
        step: u64,
        rng: &mut ChaCha8Rng,
    ) -> Result<ImageLoss> {
        let (images, parents) = self.checked(images, parents)?;
        let images = dequantised(&images, rng)?;
        if step == 0 && !self.network.is_initialised()? {
            self.network.initialise(&images, &parents)?;
        }
        let out = self.network.forward(&images, &parents)?;
        let scale = -1.0 / self.values();
        let prior = (out.log_prior()?.mean_all()? * scale)?;
        let volume = ((out.log_determinant.mean_all()? * scale)? + LEVELS.ln())?;
        Ok(ImageLoss {
            total: (&prior + &volume)?,
            terms: vec![("prior", prior), ("volume", volume)],
        })
    }

    /// `ln p(u | parents) − n ln 256` at one draw of the dequantisation: exact for the image made
    /// continuous, and in expectation a lower bound of `ln P` of its grey levels.
    fn log_prob(
        &self,
        images: &Tensor,
        parents: &Tensor,
        rng: &mut ChaCha8Rng,
    ) -> Result<Option<Vec<f64>>> {
        let (images, parents) = self.checked(images, parents)?;
        let images = dequantised(&images, rng)?;
        let density = self.network.forward(&images, &parents)?.log_density()?;
        let density: Vec<f64> = density.to_dtype(DType::F64)?.to_vec1()?;
        let levels = self.values() * LEVELS.ln();
        Ok(Some(density.into_iter().map(|d| d - levels).collect()))
    }

    /// The latent variables of each level at the middle of every grey level; draws nothing.
    fn abduct(
        &self,
        images: &Tensor,
        parents: &Tensor,
        _rng: &mut ChaCha8Rng,
    ) -> Result<ImageNoise> {
        let (images, parents) = self.checked(images, parents)?;
        let middle = images.affine(WHITE / LEVELS, 0.5 / LEVELS)?;
        let latents = self.network.forward(&middle, &parents)?.latents;
        Ok(ImageNoise {
            latents: latents.iter().map(Tensor::detach).collect(),
            residual: None,
        })
    }

    fn draw_noise(&self, batch: usize, rng: &mut ChaCha8Rng) -> Result<ImageNoise> {
        let shapes = self.network.spec().latent_shapes(batch).into_iter();
        let latents = shapes.map(|shape| {
            let drawn = normal(rng, &shape[..], 0.0, 1.0)?;
            Ok(drawn.to_dtype(self.network.dtype())?)
        });
        Ok(ImageNoise {
            latents: latents.collect::<Result<_>>()?,
            residual: None,
        })
    }

    fn predict(&self, noise: &ImageNoise, parents: &Tensor) -> Result<Tensor> {
        check_inputs(self, None, parents)?;
        if noise.residual.is_some() {
            return Err(CounterfactualError::Shape {
                subject: "noise of a flow",
                expected: "latents alone".into(),
                found: "a residual".into(),
            });
        }
        let dtype = self.network.dtype();
        let latents: Vec<_> = noise
            .latents
            .iter()
            .map(|l| l.to_dtype(dtype))
            .collect::<std::result::Result<_, _>>()?;
        let images = self.network.inverse(&latents, &parents.to_dtype(dtype)?)?;
        let images = images.affine(LEVELS / WHITE, -0.5 / WHITE)?;
        Ok(images.detach().clamp(0.0, 1.0)?)
    }
}
