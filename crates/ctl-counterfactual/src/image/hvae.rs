//! Images by a hierarchical variational autoencoder.

use candle_core::Tensor;
use ctl_compute::random::normal;
use ctl_nets::{Hvae, HvaeOutput, HvaeSpec, Parameters};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::pixels::{residual, signed, with_residual};
use super::{Belief, ImageLoss, ImageMechanism, ImageNoise, check_inputs, warmed_up};
use crate::error::in_range;
use crate::{CounterfactualError, Result};

/// Settings of [`HvaeMechanism`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct HvaeConfig {
    /// Channels at each resolution of the encoder.
    pub widths: Vec<usize>,
    /// Stages of the encoder: `32b3d2` are three blocks at 32 × 32 and one that halves the side.
    pub encoder: String,
    /// Stages of the decoder, the encoder's resolutions backwards.
    pub decoder: String,
    /// Channels of the latent variables of one block.
    pub latent: usize,
    /// A block's inner width is its input's divided by this.
    pub bottleneck: usize,
    /// Weight of the divergence in the loss, at least 0; 1 makes it the evidence lower bound.
    pub beta: f64,
    /// Updates over which the weight rises from 0 along a line.
    pub beta_warmup: u64,
    /// Nats per block and image below which its divergence costs nothing, at least 0.
    pub free_bits: f64,
    /// What abduction takes of the belief about the latent variables.
    pub belief: Belief,
    /// Whether what the latent variables leave unexplained of an image belongs to its noise: with it
    /// an image is its own reconstruction to rounding.
    pub residual: bool,
}

impl Default for HvaeConfig {
    /// The published sizes for `MorphoMNIST` at 32 × 32.
    fn default() -> Self {
        Self {
            widths: vec![16, 32, 64, 128, 256],
            encoder: "32b3d2,16b3d2,8b3d2,4b3d4,1b4".to_owned(),
            decoder: "1b4,4b4,8b4,16b4,32b4".to_owned(),
            latent: 16,
            bottleneck: 4,
            beta: 1.0,
            beta_warmup: 0,
            free_bits: 0.0,
            belief: Belief::Mean,
            residual: false,
        }
    }
}

/// `x = μ(z, parents) + σ(z, parents) ε` with a hierarchy of latent variables `z` whose prior does not
/// see the parents.
///
/// # References
/// Ribeiro et al. 2023, "High fidelity image counterfactuals with probabilistic causal models",
/// section 4; free bits as in their code: the batch mean of a block's divergence counts only above
/// the threshold. See [`Hvae`] for the network.
pub struct HvaeMechanism {
    config: HvaeConfig,
    network: Hvae,
}

impl HvaeMechanism {
    /// A mechanism with weights drawn for `(seed, run)`.
    ///
    /// # Arguments
    /// - `shape`: channels, height and width of the images; the sides are equal
    /// - `parents`: width of the encoded parents, at least 1
    ///
    /// # Errors
    /// When a setting is out of range or does not suit the images.
    pub fn new(
        config: &HvaeConfig,
        shape: [usize; 3],
        parents: usize,
        (seed, run): (u64, &str),
    ) -> Result<Self> {
        for (key, value) in [("beta", config.beta), ("free-bits", config.free_bits)] {
            let fits = value.is_finite() && value >= 0.0;
            in_range("hvae", key, (value, fits), "finite and at least 0")?;
        }
        let spec = HvaeSpec {
            channels: shape[0],
            context: parents,
            latent: config.latent,
            bottleneck: config.bottleneck,
            widths: config.widths.clone(),
            ..HvaeSpec::morphomnist()
        };
        let spec = spec.with_stages(&config.encoder, &config.decoder)?;
        let side = spec.side();
        if shape[1..] != [side, side] {
            return Err(CounterfactualError::Shape {
                subject: "images of an hvae",
                expected: format!("[C, {side}, {side}] as the encoder's first stage says"),
                found: format!("{shape:?}"),
            });
        }
        Ok(Self {
            config: config.clone(),
            network: Hvae::new(&spec, seed, run)?,
        })
    }

    fn forward(&self, images: &Tensor, parents: &Tensor, noise: &[Tensor]) -> Result<HvaeOutput> {
        Ok(self.network.forward(images, parents, noise)?)
    }

    /// The divergence of a batch per image value, every block's at least the free bits.
    fn divergence(&self, out: &HvaeOutput) -> Result<Tensor> {
        if self.config.free_bits == 0.0 {
            return Ok(out.kl.mean_all()?);
        }
        let mut total: Option<Tensor> = None;
        for block in &out.kl_by_block {
            let counted = block.mean_all()?.maximum(self.config.free_bits)?;
            total = Some(match total {
                Some(sum) => (sum + counted)?,
                None => counted,
            });
        }
        let total = total.map_or_else(|| out.kl.mean_all(), Ok)?;
        let values = self.shape().iter().product::<usize>() as f64;
        Ok((total / values)?)
    }

    /// Noise that puts every latent variable at the mean of the belief about it.
    fn no_noise(&self, batch: usize) -> Result<Vec<Tensor>> {
        let device = &candle_core::Device::Cpu;
        let shapes = self.network.spec().latent_shapes(batch).into_iter();
        let zeros = shapes.map(|s| Tensor::zeros(&s[..], candle_core::DType::F32, device));
        Ok(zeros.collect::<candle_core::Result<_>>()?)
    }
}

impl ImageMechanism for HvaeMechanism {
    fn shape(&self) -> [usize; 3] {
        let spec = self.network.spec();
        [spec.channels, spec.side(), spec.side()]
    }

    fn parent_width(&self) -> usize {
        self.network.spec().context
    }

    fn parameters(&self) -> &Parameters {
        self.network.parameters()
    }

    fn loss(
        &self,
        images: &Tensor,
        parents: &Tensor,
        step: u64,
        rng: &mut ChaCha8Rng,
    ) -> Result<ImageLoss> {
        let batch = check_inputs(self, Some(images), parents)?;
        let noise = self.network.draw_noise(batch, rng)?;
        let out = self.forward(&signed(images)?, parents, &noise)?;
        let beta = self.config.beta * warmed_up(step, self.config.beta_warmup);
        let (distortion, kl) = (out.distortion.mean_all()?, self.divergence(&out)?);
        // The order of the terms is that of `HvaeOutput::loss`, for the sake of the backward pass.
        Ok(ImageLoss {
            total: ((&kl * beta)? + &distortion)?,
            terms: vec![("distortion", distortion), ("kl", kl)],
        })
    }

    fn log_prob(
        &self,
        images: &Tensor,
        parents: &Tensor,
        rng: &mut ChaCha8Rng,
    ) -> Result<Option<Vec<f64>>> {
        let batch = check_inputs(self, Some(images), parents)?;
        let noise = self.network.draw_noise(batch, rng)?;
        let out = self.forward(&signed(images)?, parents, &noise)?;
        let values = self.shape().iter().product::<usize>() as f64;
        let nats = (out.distortion + out.kl)?.to_vec1::<f32>()?;
        Ok(Some(nats.iter().map(|&n| f64::from(n) * -values).collect()))
    }

    fn abduct(
        &self,
        images: &Tensor,
        parents: &Tensor,
        rng: &mut ChaCha8Rng,
    ) -> Result<ImageNoise> {
        let batch = check_inputs(self, Some(images), parents)?;
        let noise = match self.config.belief {
            Belief::Mean => self.no_noise(batch)?,
            Belief::Draw => self.network.draw_noise(batch, rng)?,
        };
        let images = signed(images)?;
        let latents = self.forward(&images, parents, &noise)?.latents;
        let left = if self.config.residual {
            let (mean, log_scale) = self.network.decode(&latents, parents)?;
            Some(residual(&images, (&mean, &log_scale))?)
        } else {
            None
        };
        Ok(ImageNoise {
            latents,
            residual: left,
        })
    }

    /// Latent variables have no fixed law outside of the hierarchy: the noise that is drawn is that
    /// of their priors, which [`HvaeMechanism::predict`] would take for the latents themselves, so
    /// the hierarchy is run through here, where no parent enters the priors.
    fn draw_noise(&self, batch: usize, rng: &mut ChaCha8Rng) -> Result<ImageNoise> {
        let noise = self.network.draw_noise(batch, rng)?;
        let latents = self.network.prior_latents(&noise)?;
        let [channels, height, width] = self.shape();
        let left = if self.config.residual {
            Some(normal(rng, (batch, channels, height, width), 0.0, 1.0)?)
        } else {
            None
        };
        Ok(ImageNoise {
            latents,
            residual: left,
        })
    }

    fn predict(&self, noise: &ImageNoise, parents: &Tensor) -> Result<Tensor> {
        check_inputs(self, None, parents)?;
        let (mean, log_scale) = self.network.decode(&noise.latents, parents)?;
        with_residual((&mean, &log_scale), noise.residual.as_ref())
    }
}
