//! Images by a hierarchical variational autoencoder.

use candle_core::Tensor;
use ctl_nets::{Hvae, HvaeOutput, HvaeSpec, Parameters};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::pixels::{bounds, drawn_residual, residual, signed, with_residual};
use super::{Belief, ImageLoss, ImageMechanism, ImageNoise, check_inputs, in_precision, warmed_up};
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
        Self::from_parameters(Parameters::new(seed, run), config, shape, parents)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// As [`HvaeMechanism::new`].
    pub fn from_parameters(
        parameters: Parameters,
        config: &HvaeConfig,
        shape: [usize; 3],
        parents: usize,
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
            network: Hvae::from_parameters(parameters, &spec)?,
        })
    }

    /// Images on the scale from −1 to 1 and parents, in the network's precision.
    fn inputs(&self, images: &Tensor, parents: &Tensor) -> Result<(Tensor, Tensor)> {
        check_inputs(self, Some(images), parents)?;
        let images = in_precision(self.parameters(), &signed(images)?)?;
        Ok((images, in_precision(self.parameters(), parents)?))
    }

    /// What the network makes of images and parents with a noise that is drawn.
    fn drawn(&self, images: &Tensor, parents: &Tensor, rng: &mut ChaCha8Rng) -> Result<HvaeOutput> {
        let noise = self.network.draw_noise(images.dims()[0], rng)?.into_iter();
        let noise = noise.map(|block| in_precision(self.parameters(), &block));
        let noise = noise.collect::<Result<Vec<_>>>()?;
        Ok(self.network.forward(images, parents, &noise)?)
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
        let zeros = shapes.map(|s| Tensor::zeros(&s[..], self.parameters().dtype(), device));
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
        let out = self.drawn(&images, &parents, rng)?;
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
        let (images, parents) = self.inputs(images, parents)?;
        let out = self.drawn(&images, &parents, rng)?;
        Ok(Some(bounds(&out.distortion, &out.kl, self.shape())?))
    }

    fn abduct(
        &self,
        images: &Tensor,
        parents: &Tensor,
        rng: &mut ChaCha8Rng,
    ) -> Result<ImageNoise> {
        let (images, parents) = self.inputs(images, parents)?;
        let out = match self.config.belief {
            Belief::Mean => {
                let noise = self.no_noise(images.dims()[0])?;
                self.network.forward(&images, &parents, &noise)?
            }
            Belief::Draw => self.drawn(&images, &parents, rng)?,
        };
        let latents = out.latents;
        let left = if self.config.residual {
            let (mean, log_scale) = self.network.decode(&latents, &parents)?;
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
        let left = drawn_residual(self.config.residual, (batch, self.shape()), rng)?;
        Ok(ImageNoise {
            latents,
            residual: left,
        })
    }

    fn predict(&self, noise: &ImageNoise, parents: &Tensor) -> Result<Tensor> {
        check_inputs(self, None, parents)?;
        let parents = in_precision(self.parameters(), parents)?;
        let (mean, log_scale) = self.network.decode(&noise.latents, &parents)?;
        with_residual((&mean, &log_scale), noise.residual.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use ctl_compute::random::{normal, stream, uniform};

    use super::*;

    fn config() -> HvaeConfig {
        HvaeConfig {
            widths: vec![4, 4, 4],
            encoder: "4b1d2,2b1d2,1b1".to_owned(),
            decoder: "1b1,2b1,4b1".to_owned(),
            latent: 2,
            bottleneck: 2,
            ..HvaeConfig::default()
        }
    }

    /// A mechanism away from its start, at which the priors know nothing.
    fn mechanism(config: &HvaeConfig) -> HvaeMechanism {
        let mechanism = HvaeMechanism::new(config, [1, 4, 4], 3, (0, "t")).unwrap();
        let mut weights = mechanism.parameters().snapshot().unwrap();
        for (name, values) in &mut weights {
            let drawn = uniform(&mut stream(0, "t", name), values.len(), (-0.3, 0.3)).unwrap();
            for (value, by) in values.iter_mut().zip(drawn.to_vec1::<f32>().unwrap()) {
                *value += by;
            }
        }
        mechanism.parameters().restore(&weights).unwrap();
        mechanism
    }

    fn inputs() -> (Tensor, Tensor) {
        let images = uniform(&mut stream(0, "t", "x"), (2, 1, 4, 4), (0.0, 1.0)).unwrap();
        let parents = normal(&mut stream(0, "t", "pa"), (2, 3), 0.0, 1.0).unwrap();
        (images, parents)
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn term(loss: &ImageLoss, name: &str) -> f32 {
        let found = loss.terms.iter().find(|(term, _)| *term == name);
        found.unwrap().1.to_scalar::<f32>().unwrap()
    }

    /// Noise that is drawn makes the images that the network samples: the priors see no parent.
    #[test]
    fn drawn_noise_is_that_of_the_priors() {
        let mechanism = mechanism(&config());
        let (_, parents) = inputs();
        let rng = || stream(5, "t", "noise");
        let drawn = mechanism.draw_noise(2, &mut rng()).unwrap();
        let ours = mechanism.predict(&drawn, &parents).unwrap();
        let noise = mechanism.network.draw_noise(2, &mut rng()).unwrap();
        let (mean, _) = mechanism.network.sample(&noise, &parents).unwrap();
        let expected = with_residual((&mean, &mean), None).unwrap();
        assert_eq!(flat(&ours), flat(&expected));
        assert_ne!(
            flat(&drawn.latents[0]),
            flat(&noise[0]),
            "priors move the noise"
        );
        let other = mechanism
            .predict(&drawn, &(parents + 1.0).unwrap())
            .unwrap();
        assert_ne!(flat(&ours), flat(&other));
    }

    /// Three blocks whose divergence is raised to 50 nats each cost 150 nats over 16 values.
    #[test]
    fn free_bits_are_a_floor_by_block() {
        let (images, parents) = inputs();
        let kl = |free_bits: f64| {
            let config = HvaeConfig {
                free_bits,
                ..config()
            };
            let rng = &mut stream(0, "t", "loss");
            let loss = mechanism(&config).loss(&images, &parents, 0, rng).unwrap();
            term(&loss, "kl")
        };
        assert!((kl(50.0) - 150.0 / 16.0).abs() < 1e-4, "{}", kl(50.0));
        assert!((kl(1e-9) - kl(0.0)).abs() < 1e-5);
        assert!(kl(0.0) > 0.0 && kl(0.0) < kl(50.0));
    }

    #[test]
    fn the_weight_of_the_divergence_warms_up() {
        let (images, parents) = inputs();
        let config = HvaeConfig {
            beta: 2.0,
            beta_warmup: 10,
            ..config()
        };
        let mechanism = mechanism(&config);
        for (step, weight) in [(0, 0.0), (5, 1.0), (10, 2.0), (99, 2.0)] {
            let rng = &mut stream(0, "t", "loss");
            let loss = mechanism.loss(&images, &parents, step, rng).unwrap();
            let expected = term(&loss, "distortion") + weight * term(&loss, "kl");
            let total = loss.total.to_scalar::<f32>().unwrap();
            assert!(
                (total - expected).abs() < 1e-4,
                "{step}: {total} {expected}"
            );
        }
    }

    /// The mean of the belief is the same every time, a draw is not; with the residual the image comes
    /// back.
    #[test]
    fn beliefs_and_residuals() {
        let (images, parents) = inputs();
        let abduct = |config: &HvaeConfig, seed: u64| {
            let mechanism = mechanism(config);
            let noise = mechanism
                .abduct(&images, &parents, &mut stream(seed, "t", "abduct"))
                .unwrap();
            let again = mechanism.predict(&noise, &parents).unwrap();
            (flat(&noise.latents[2]), flat(&again))
        };
        assert_eq!(abduct(&config(), 1), abduct(&config(), 2));
        let drawn = HvaeConfig {
            belief: Belief::Draw,
            ..config()
        };
        assert_ne!(abduct(&drawn, 1).0, abduct(&drawn, 2).0);
        let whole = HvaeConfig {
            residual: true,
            ..config()
        };
        for (a, b) in abduct(&whole, 1).1.iter().zip(flat(&images)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn ill_settings_and_shapes_are_errors() {
        for bad in [
            HvaeConfig {
                beta: -1.0,
                ..config()
            },
            HvaeConfig {
                free_bits: f64::NAN,
                ..config()
            },
            HvaeConfig {
                encoder: "4b1d2".to_owned(),
                ..config()
            },
        ] {
            assert!(
                HvaeMechanism::new(&bad, [1, 4, 4], 3, (0, "t")).is_err(),
                "{bad:?}"
            );
        }
        assert!(HvaeMechanism::new(&config(), [1, 8, 8], 3, (0, "t")).is_err());
        let (images, _) = inputs();
        let parents = Tensor::zeros((2, 4), DType::F32, &Device::Cpu).unwrap();
        let rng = &mut stream(0, "t", "x");
        assert!(mechanism(&config()).abduct(&images, &parents, rng).is_err());
    }
}
