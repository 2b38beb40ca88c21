//! The convolutional variational autoencoder.

use candle_core::Tensor;

use crate::coder::{AutoencoderSpec, Coder};
use crate::layers::to_channels_first;
use crate::{Linear, Mode, Network, NetworkInput, NetworkOutput, Parameters, Result};

/// What a [`ConvVae`] says about images.
#[derive(Clone, Debug)]
pub struct VaeOutput {
    /// Mean of the images, `[B, C, H, W]`.
    pub reconstruction: Tensor,
    /// Mean of the latent variables, `[B, Z]`.
    pub mean: Tensor,
    /// Logarithm of their variance, `[B, Z]`.
    pub log_variance: Tensor,
}

impl VaeOutput {
    /// `(Σ (x − x̂)² − ½ Σ (1 + log σ² − μ² − σ²)) / B`
    ///
    /// # Errors
    /// When the images have another shape.
    ///
    /// # References
    /// Kingma & Welling 2014, equation 10, with a Gaussian of variance ½ as decoder.
    pub fn loss(&self, images: &Tensor) -> Result<Tensor> {
        let batch = images.dims().first().copied().unwrap_or(1).max(1) as f64;
        let error = (&self.reconstruction - images)?.sqr()?.sum_all()?;
        let kl = divergence(&self.mean, &self.log_variance)?.sum_all()?;
        Ok(((error + kl)? / batch)?)
    }
}

/// `−½ Σ (1 + log σ² − μ² − σ²)` of each image, `[B]`.
fn divergence(mean: &Tensor, log_variance: &Tensor) -> Result<Tensor> {
    let spread = (mean.sqr()? + log_variance.exp()?)?;
    let terms = ((log_variance - spread)? + 1.0)?;
    Ok((terms.sum(1)? * -0.5)?)
}

/// Variance of an image value around the decoder's mean where a specification builds the network:
/// a standard deviation of 0.22 on images from 0 to 1.
const DECODER_VARIANCE: f64 = 0.05;

/// Strided 4×4 convolutions to a Gaussian over latent variables, and their mirror image back.
///
/// As a [`Network`], its features are the latent means, its outputs the reconstruction, its feature
/// map the encoder's at a quarter of the sides.
/// The latent variables are at their mean, but with noise `[B, Z]` as context in training at
/// `μ + σ ε`.
/// The penalty is `2 v KL / n`, with `v = 0.05` the variance of the decoder and `n` the number of
/// image values: added to the mean squared error of an image it makes `2 v / n` times its negative
/// evidence lower bound, up to a constant.
///
/// # References
/// Kingma & Welling 2014, section 3; the convolutions are those of Higgins et al. 2017 (β-VAE),
/// appendix A.1, with wider layers and no second linear layer.
pub struct ConvVae {
    parameters: Parameters,
    coder: Coder,
}

impl ConvVae {
    /// A network with weights drawn for `(seed, run)`: `PyTorch`'s defaults for every layer.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(spec: &AutoencoderSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn from_parameters(mut parameters: Parameters, spec: &AutoencoderSpec) -> Result<Self> {
        let coder = Coder::new(&mut parameters, spec, "vae", ("latent", 2))?;
        Ok(Self { parameters, coder })
    }

    /// `[B, C, H, W]` to mean and log variance of the latent variables, each `[B, Z]`.
    ///
    /// # Errors
    /// When the images have another size.
    pub fn encode(&self, images: &Tensor) -> Result<(Tensor, Tensor)> {
        self.halves(&self.coder.encode(images.into())?.0)
    }

    fn halves(&self, codes: &Tensor) -> Result<(Tensor, Tensor)> {
        let latent = self.coder.spec().latent;
        let part = |start| -> Result<Tensor> { Ok(codes.narrow(1, start, latent)?.contiguous()?) };
        Ok((part(0)?, part(latent)?))
    }

    /// Latent variables `[B, Z]` to images `[B, C, H, W]`.
    ///
    /// # Errors
    /// When the number of latent variables differs.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        self.coder.decode(latents)
    }

    /// Encodes, draws `μ + σ ε` with the given standard normal `noise` `[B, Z]`, decodes.
    ///
    /// # Errors
    /// When images or noise have another shape.
    pub fn reconstruct(&self, images: &Tensor, noise: &Tensor) -> Result<VaeOutput> {
        let (mean, log_variance) = self.encode(images)?;
        let drawn = draw(&mean, &log_variance, noise)?;
        Ok(VaeOutput {
            reconstruction: self.decode(&drawn)?,
            mean,
            log_variance,
        })
    }

    /// Sizes of the network.
    pub fn spec(&self) -> &AutoencoderSpec {
        self.coder.spec()
    }

    /// All weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// `μ + σ ε`
fn draw(mean: &Tensor, log_variance: &Tensor, noise: &Tensor) -> Result<Tensor> {
    Ok((mean + (log_variance * 0.5)?.exp()?.mul(noise)?)?)
}

impl Network for ConvVae {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> Result<NetworkOutput> {
        let (codes, map) = self.coder.encode(input)?;
        let (mean, log_variance) = self.halves(&codes)?;
        let latents = if mode == Mode::Train && input.context.is_some() {
            let expected = "[B, Z], standard normal noise, or none";
            let noise = input.context_of("vae", (self.feature_width(), expected))?;
            draw(&mean, &log_variance, noise)?
        } else {
            mean.clone()
        };
        let [height, width] = self.spec().sides;
        let values = (self.spec().channels * height * width) as f64;
        let penalty = (divergence(&mean, &log_variance)? * (2.0 * DECODER_VARIANCE / values))?;
        Ok(NetworkOutput {
            feature_map: Some(to_channels_first(&map)?),
            penalty: Some(penalty),
            ..NetworkOutput::new(mean, self.decode(&latents)?)
        })
    }

    fn feature_width(&self) -> usize {
        self.spec().latent
    }

    fn head(&self) -> Option<&Linear> {
        None
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
