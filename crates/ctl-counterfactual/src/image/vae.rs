//! Images by a conditional variational autoencoder.

use candle_core::Tensor;
use ctl_compute::random::normal;
use ctl_nets::{ConditionalVae, ConditionalVaeSpec, Parameters};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::independence::dependence;
use super::pixels::{bounds, drawn_residual, residual, signed, with_residual};
use super::{Belief, ImageLoss, ImageMechanism, ImageNoise, check_inputs, in_precision, warmed_up};
use crate::error::in_range;
use crate::{CounterfactualError, Result};

/// Settings of [`VaeMechanism`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct VaeConfig {
    /// Channels after each halving of the sides; the sides are multiples of 2 to their number.
    pub widths: Vec<usize>,
    /// Width of the layer beside the latent variables.
    pub hidden: usize,
    /// Number of latent variables.
    pub latent: usize,
    /// Weight of the divergence in the loss, at least 0; 1 makes it the evidence lower bound.
    pub beta: f64,
    /// Updates over which the weight rises from 0 along a line.
    pub beta_warmup: u64,
    /// Weight of the dependence of latent variables on parents (the unbiased Hilbert–Schmidt
    /// independence criterion over a batch) in the loss, at least 0. Noises of a structural model do
    /// not depend on parents; without this term an encoder may keep in them what the parents did,
    /// and interventions then change little.
    pub independence: f64,
    /// What abduction takes of the belief about the latent variables.
    pub belief: Belief,
    /// Whether what the latent variables leave unexplained of an image belongs to its noise: with it
    /// an image is its own reconstruction to rounding.
    pub residual: bool,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            widths: vec![32, 64],
            hidden: 256,
            latent: 32,
            beta: 1.0,
            beta_warmup: 0,
            independence: 0.0,
            belief: Belief::Mean,
            residual: false,
        }
    }
}

/// `x = μ(z, parents) + σ(z, parents) ε` with standard normal `z`, and `ε` the residual or left out.
///
/// # References
/// Pawlowski, Castro & Glocker 2020, section 3.1 (amortised explicit mechanism); see
/// [`ConditionalVae`] for the network and the likelihood.
pub struct VaeMechanism {
    config: VaeConfig,
    network: ConditionalVae,
    shape: [usize; 3],
}

impl VaeMechanism {
    /// A mechanism with weights drawn for `(seed, run)`.
    ///
    /// # Arguments
    /// - `shape`: channels, height and width of the images
    /// - `parents`: width of the encoded parents
    ///
    /// # Errors
    /// When a setting is out of range or does not suit the images.
    pub fn new(
        config: &VaeConfig,
        shape: [usize; 3],
        parents: usize,
        (seed, run): (u64, &str),
    ) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), config, shape, parents)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// As [`VaeMechanism::new`].
    pub fn from_parameters(
        parameters: Parameters,
        config: &VaeConfig,
        shape: [usize; 3],
        parents: usize,
    ) -> Result<Self> {
        let fits = config.beta.is_finite() && config.beta >= 0.0;
        in_range("vae", "beta", (config.beta, fits), "finite and at least 0")?;
        let weight = config.independence;
        let fits = weight.is_finite() && weight >= 0.0;
        let allowed = "finite and at least 0";
        in_range("vae", "independence", (weight, fits), allowed)?;
        let [channels, height, width] = shape;
        let spec = ConditionalVaeSpec {
            channels,
            sides: [height, width],
            context: parents,
            widths: config.widths.clone(),
            hidden: config.hidden,
            latent: config.latent,
        };
        Ok(Self {
            config: config.clone(),
            network: ConditionalVae::from_parameters(parameters, &spec)?,
            shape,
        })
    }

    /// Mean and log deviation of the latent variables of images `[B, C, H, W]` with parents
    /// `[B, P]`, each `[B, Z]`.
    ///
    /// # Errors
    /// When images or parents have another shape.
    pub fn latent_law(&self, images: &Tensor, parents: &Tensor) -> Result<(Tensor, Tensor)> {
        let (images, parents) = self.inputs(images, parents)?;
        let (mean, log_variance) = self.network.encode(&images, &parents)?;
        Ok((mean, (log_variance * 0.5)?))
    }

    /// Images on the scale from −1 to 1 and parents, in the network's precision.
    fn inputs(&self, images: &Tensor, parents: &Tensor) -> Result<(Tensor, Tensor)> {
        check_inputs(self, Some(images), parents)?;
        let images = in_precision(self.parameters(), &signed(images)?)?;
        Ok((images, in_precision(self.parameters(), parents)?))
    }

    fn noise(&self, batch: usize, rng: &mut ChaCha8Rng) -> Result<Tensor> {
        let drawn = normal(rng, (batch, self.config.latent), 0.0, 1.0)?;
        in_precision(self.parameters(), &drawn)
    }
}

impl ImageMechanism for VaeMechanism {
    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn parent_width(&self) -> usize {
        self.network.spec().context
    }

    fn parameters(&self) -> &Parameters {
        self.network.parameters()
    }

    fn fine_tuning_obstacle(&self) -> Option<&'static str> {
        None
    }

    fn loss(
        &self,
        images: &Tensor,
        parents: &Tensor,
        step: u64,
        rng: &mut ChaCha8Rng,
    ) -> Result<ImageLoss> {
        let (images, parents) = self.inputs(images, parents)?;
        let noise = self.noise(images.dims()[0], rng)?;
        let out = self.network.forward(&images, &parents, &noise)?;
        let beta = self.config.beta * warmed_up(step, self.config.beta_warmup);
        let mut loss = ImageLoss {
            total: out.loss(beta)?,
            terms: vec![
                ("distortion", out.distortion.mean_all()?),
                ("kl", out.kl.mean_all()?),
            ],
        };
        if self.config.independence > 0.0 {
            let dependence = dependence(&out.latents, &parents)?;
            loss.total = (loss.total + (&dependence * self.config.independence)?)?;
            loss.terms.push(("dependence", dependence));
        }
        Ok(loss)
    }

    fn log_prob(
        &self,
        images: &Tensor,
        parents: &Tensor,
        rng: &mut ChaCha8Rng,
    ) -> Result<Option<Vec<f64>>> {
        let (images, parents) = self.inputs(images, parents)?;
        let noise = self.noise(images.dims()[0], rng)?;
        let out = self.network.forward(&images, &parents, &noise)?;
        Ok(Some(bounds(&out.distortion, &out.kl, self.shape)?))
    }

    fn abduct(
        &self,
        images: &Tensor,
        parents: &Tensor,
        rng: &mut ChaCha8Rng,
    ) -> Result<ImageNoise> {
        let (images, parents) = self.inputs(images, parents)?;
        let (mean, log_variance) = self.network.encode(&images, &parents)?;
        let latents = match self.config.belief {
            Belief::Mean => mean,
            Belief::Draw => {
                let noise = self.noise(images.dims()[0], rng)?;
                (mean + (log_variance * 0.5)?.exp()?.mul(&noise)?)?
            }
        };
        let left = if self.config.residual {
            let (mean, log_scale) = self.network.decode(&latents, &parents)?;
            Some(residual(&images, (&mean, &log_scale))?)
        } else {
            None
        };
        Ok(ImageNoise {
            latents: vec![latents],
            residual: left,
        })
    }

    fn draw_noise(&self, batch: usize, rng: &mut ChaCha8Rng) -> Result<ImageNoise> {
        let latents = vec![self.noise(batch, rng)?];
        let left = drawn_residual(self.config.residual, (batch, self.shape), rng)?;
        Ok(ImageNoise {
            latents,
            residual: left,
        })
    }

    fn predict(&self, noise: &ImageNoise, parents: &Tensor) -> Result<Tensor> {
        check_inputs(self, None, parents)?;
        let [latents] = &noise.latents[..] else {
            return Err(CounterfactualError::Shape {
                subject: "noise of images",
                expected: "one tensor of latent variables".to_owned(),
                found: noise.latents.len().to_string(),
            });
        };
        let parents = in_precision(self.parameters(), parents)?;
        let (mean, log_scale) = self.network.decode(latents, &parents)?;
        with_residual((&mean, &log_scale), noise.residual.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::super::toy::{self, PARENTS, SHAPE};
    use super::*;

    fn config(independence: f64) -> VaeConfig {
        VaeConfig {
            widths: vec![4],
            hidden: 8,
            latent: 2,
            independence,
            ..VaeConfig::default()
        }
    }

    /// With a weight of 1 the loss is the sum of its terms, dependence among them.
    #[test]
    fn gradients_with_and_without_dependence() {
        for independence in [0.0, 1.0] {
            let parameters = Parameters::new(3, "t").in_double_precision();
            let config = config(independence);
            let mechanism = VaeMechanism::from_parameters(parameters, &config, SHAPE, PARENTS);
            toy::check_gradients(&mechanism.unwrap());
        }
    }

    #[test]
    fn ill_weights_are_named() {
        for (ill, key) in [
            (config(-1.0), "independence"),
            (config(f64::NAN), "independence"),
            (
                VaeConfig {
                    beta: f64::INFINITY,
                    ..config(0.0)
                },
                "beta",
            ),
        ] {
            let error = VaeMechanism::new(&ill, SHAPE, PARENTS, (0, "t"))
                .err()
                .unwrap();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
