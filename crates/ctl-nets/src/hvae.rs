//! The hierarchical variational autoencoder of counterfactual image generation.

mod block;
mod decoder;
mod encoder;
mod spec;

pub use spec::{DecoderStage, EncoderStage, HvaeSpec};

use candle_core::{Device, Tensor};
use ctl_compute::random::normal;
use rand_chacha::ChaCha8Rng;

use self::decoder::{Decoder, Latents};
use self::encoder::Encoder;
use crate::layers::{to_channels_first, to_channels_last};
use crate::likelihood::DiscretisedGaussian;
use crate::{NetError, Parameters, Result};

/// What an [`Hvae`] says about images.
#[derive(Clone, Debug)]
pub struct HvaeOutput {
    /// `−log p(x | z, parents)` of each image, mean over its values, `[B]`.
    pub distortion: Tensor,
    /// `KL(q(z | x, parents) ‖ p(z))` of each image, summed and divided by its number of values,
    /// `[B]`.
    pub kl: Tensor,
    /// The same divergence block by block, summed over the block's latent variables, each `[B]`.
    pub kl_by_block: Vec<Tensor>,
    /// The latent variables of every decoder block, each `[B, r, r, Z]`.
    pub latents: Vec<Tensor>,
}

impl HvaeOutput {
    /// The negative evidence lower bound per image value, with the KL term times `beta`.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn loss(&self, beta: f64) -> Result<Tensor> {
        // candle goes back through the first term last: with the divergences there, that of a block
        // is differentiated when the block is, and not all of them before everything else.
        Ok(((self.kl.mean_all()? * beta)? + self.distortion.mean_all()?)?)
    }
}

/// A hierarchy of latent variables from 1×1 to the full resolution, whose likelihood, but not
/// prior, sees the image's parents in the causal graph.
///
/// # References
/// Ribeiro et al. 2023, "High fidelity image counterfactuals with probabilistic causal models",
/// section 4 and their published code; configured for `MorphoMNIST` by Melistas et al. 2024.
/// The prior is exogenous (their figure 3a): it depends on the latents before it, not on the
/// parents, and on nothing that the posterior path alone computed.
/// Deviation: the last block has no projection for a following prior, which is never used there.
pub struct Hvae {
    parameters: Parameters,
    spec: HvaeSpec,
    encoder: Encoder,
    decoder: Decoder,
    likelihood: DiscretisedGaussian,
}

impl Hvae {
    /// A network with weights drawn for `(seed, run)`: `PyTorch`'s defaults, where residual
    /// branches are scaled by `1 / √blocks` and the priors' last weights are zero, as published.
    ///
    /// # Errors
    /// When the specification contradicts itself.
    pub fn new(spec: &HvaeSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When the specification contradicts itself.
    pub fn from_parameters(mut parameters: Parameters, spec: &HvaeSpec) -> Result<Self> {
        spec.validate()?;
        let p = &mut parameters;
        let encoder = Encoder::new(p, spec)?;
        let decoder = Decoder::new(p, spec)?;
        let likelihood = DiscretisedGaussian::new(p, spec.widths[0], spec.channels)?;
        Ok(Self {
            parameters,
            spec: spec.clone(),
            encoder,
            decoder,
            likelihood,
        })
    }

    /// The evidence lower bound of images `[B, C, H, W]` on `[−1, 1]` with `parents` `[B, P]`.
    ///
    /// # Arguments
    /// - `noise`: standard normal values, one tensor `[B, r, r, Z]` per decoder block, as
    ///   [`Hvae::draw_noise`] makes them
    ///
    /// # Errors
    /// When images, parents or noise have another shape.
    pub fn forward(
        &self,
        images: &Tensor,
        parents: &Tensor,
        noise: &[Tensor],
    ) -> Result<HvaeOutput> {
        self.check(images, parents, noise)?;
        let images = to_channels_last(images)?;
        let features = self.encoder.forward(&images)?;
        let values = (images.elem_count() / images.dims()[0]) as f64;
        let path = self.decoder.posterior(parents, &features, noise)?;
        Ok(HvaeOutput {
            distortion: self.likelihood.negative_log(&path.hidden, &images)?,
            kl: (path.kl / values)?,
            kl_by_block: path.kl_by_block,
            latents: path.latents,
        })
    }

    /// Mean and log standard deviation of the images, each `[B, C, H, W]`, that given latent
    /// variables stand for under `parents` `[B, P]`: with the latents of an image and other parents
    /// this is its counterfactual.
    ///
    /// # Errors
    /// When latents or parents have another shape.
    pub fn decode(&self, latents: &[Tensor], parents: &Tensor) -> Result<(Tensor, Tensor)> {
        self.check_latents(parents, latents)?;
        let (hidden, _) = self.decoder.prior(parents, Latents::Given(latents))?;
        self.moments(&hidden)
    }

    /// The same for latent variables from the prior, drawn with standard normal `noise`.
    ///
    /// # Errors
    /// When noise or parents have another shape.
    pub fn sample(&self, noise: &[Tensor], parents: &Tensor) -> Result<(Tensor, Tensor)> {
        self.check_latents(parents, noise)?;
        let (hidden, _) = self.decoder.prior(parents, Latents::Noise(noise))?;
        self.moments(&hidden)
    }

    /// The latent variables that standard normal `noise` stands for under the prior, which does not
    /// see the parents.
    ///
    /// # Errors
    /// When the noise has another shape.
    pub fn prior_latents(&self, noise: &[Tensor]) -> Result<Vec<Tensor>> {
        let batch = noise.first().map_or(0, |block| block.dims()[0]);
        let shape = (batch, self.spec.context);
        let parents = Tensor::zeros(shape, self.parameters.dtype(), &Device::Cpu)?;
        self.check_latents(&parents, noise)?;
        Ok(self.decoder.prior(&parents, Latents::Noise(noise))?.1)
    }

    fn moments(&self, hidden: &Tensor) -> Result<(Tensor, Tensor)> {
        let (mean, log_scale) = self.likelihood.moments(hidden)?;
        Ok((to_channels_first(&mean)?, to_channels_first(&log_scale)?))
    }

    /// Standard normal values for every decoder block.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn draw_noise(&self, batch: usize, rng: &mut ChaCha8Rng) -> Result<Vec<Tensor>> {
        let shapes = self.spec.latent_shapes(batch).into_iter();
        shapes
            .map(|shape| Ok(normal(rng, &shape[..], 0.0, 1.0)?))
            .collect()
    }

    /// Sizes of the network.
    pub fn spec(&self) -> &HvaeSpec {
        &self.spec
    }

    /// All weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn check(&self, images: &Tensor, parents: &Tensor, noise: &[Tensor]) -> Result<()> {
        let side = self.spec.side();
        let &[batch, channels, height, width] = images.dims() else {
            return fault("images", "[B, C, H, W]", format!("{:?}", images.dims()));
        };
        if batch == 0 || channels != self.spec.channels || [height, width] != [side, side] {
            let found = format!("{:?} for a side of {side}", images.dims());
            return fault("images", "[B, C, side, side]", found);
        }
        if parents.dims().first() != Some(&batch) {
            let found = format!("{:?} for a batch of {batch}", parents.dims());
            return fault("parents", "[B, P]", found);
        }
        self.check_latents(parents, noise)
    }

    fn check_latents(&self, parents: &Tensor, latents: &[Tensor]) -> Result<()> {
        if parents.rank() != 2 || parents.dims()[1] != self.spec.context {
            let found = format!("{:?} for P = {}", parents.dims(), self.spec.context);
            return fault("parents", "[B, P]", found);
        }
        let expected = self.spec.latent_shapes(parents.dims()[0]);
        let fits = expected.len() == latents.len()
            && expected.iter().zip(latents).all(|(e, l)| e == l.dims());
        if fits {
            return Ok(());
        }
        let found: Vec<_> = latents.iter().map(Tensor::dims).collect();
        let expected = "one [B, r, r, Z] per decoder block";
        fault("latents", expected, format!("{found:?}"))
    }
}

fn fault<T>(key: &'static str, expected: &'static str, found: String) -> Result<T> {
    Err(NetError::Size {
        architecture: "hvae",
        key,
        expected,
        found,
    })
}
