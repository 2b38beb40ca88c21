//! The convolutional variational autoencoder.

use candle_core::Tensor;
use ctl_compute::ops::Activation;

use crate::layers::{Conv, ConvSize, Linear, TransposedConv, to_channels_first, to_channels_last};
use crate::{NetError, Parameters, Result};

/// Sizes of a [`ConvVae`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvVaeSpec {
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Side of the square images in pixels, a multiple of 2 to the number of widths.
    pub side: usize,
    /// Channels after each halving of the side, at least one of them.
    pub widths: Vec<usize>,
    /// Number of latent variables, at least 1.
    pub latent: usize,
}

impl ConvVaeSpec {
    /// 64 × 64 grey images, widths 32, 64, 128, 256, 64 latent variables.
    pub fn grey_64() -> Self {
        Self {
            channels: 1,
            side: 64,
            widths: vec![32, 64, 128, 256],
            latent: 64,
        }
    }

    /// Side of the innermost feature map.
    fn inner_side(&self) -> usize {
        self.side >> self.widths.len()
    }

    fn validate(&self) -> Result<usize> {
        let fault = |key, expected, found: String| {
            Err(NetError::Size {
                architecture: "conv-vae",
                key,
                expected,
                found,
            })
        };
        if self.channels == 0 || self.latent == 0 {
            let found = format!("{} and {}", self.channels, self.latent);
            return fault("channels and latent", "at least 1", found);
        }
        let Some(&width) = self.widths.last().filter(|_| !self.widths.contains(&0)) else {
            let found = format!("{:?}", self.widths);
            return fault("widths", "at least one size of at least 1", found);
        };
        let inner = u32::try_from(self.widths.len())
            .ok()
            .and_then(|halvings| self.side.checked_shr(halvings))
            .unwrap_or(0);
        if inner == 0 || inner << self.widths.len() != self.side {
            let expected = "a multiple of 2 to the number of widths";
            return fault("side", expected, self.side.to_string());
        }
        Ok(width)
    }
}

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
        let spread = (self.mean.sqr()? + self.log_variance.exp()?)?;
        let kl = ((&self.log_variance - spread)? + 1.0)?.sum_all()?;
        Ok(((error - (kl * 0.5)?)? / batch)?)
    }
}

/// Strided 4×4 convolutions to a Gaussian over latent variables, and their mirror image back.
///
/// # References
/// Kingma & Welling 2014, section 3; the convolutions are those of Higgins et al. 2017 (β-VAE),
/// appendix A.1, with wider layers and no second linear layer.
pub struct ConvVae {
    parameters: Parameters,
    spec: ConvVaeSpec,
    encoder: Vec<Conv>,
    latent: Linear,
    expand: Linear,
    decoder: Vec<TransposedConv>,
}

impl ConvVae {
    /// A network with weights drawn for `(seed, run)`: `PyTorch`'s defaults for every layer.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(spec: &ConvVaeSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn from_parameters(mut parameters: Parameters, spec: &ConvVaeSpec) -> Result<Self> {
        let width = spec.validate()?;
        let p = &mut parameters;
        let halving = |inputs: usize, outputs: usize| ConvSize {
            dimensions: 2,
            inputs,
            outputs,
            kernel: 4,
            stride: 2,
            padding: 1,
        };
        let mut encoder = Vec::new();
        let mut inputs = spec.channels;
        for (index, &outputs) in spec.widths.iter().enumerate() {
            let name = format!("encoder{index}");
            encoder.push(Conv::biased(p, &name, halving(inputs, outputs))?);
            inputs = outputs;
        }
        let flat = width * spec.inner_side().pow(2);
        let latent = Linear::new(p, "latent", flat, 2 * spec.latent)?;
        let expand = Linear::new(p, "expand", spec.latent, flat)?;
        let mut decoder = Vec::new();
        let narrower = spec.widths.iter().rev().skip(1).copied();
        for (index, outputs) in narrower.chain([spec.channels]).enumerate() {
            let name = format!("decoder{index}");
            decoder.push(TransposedConv::new(p, &name, halving(inputs, outputs))?);
            inputs = outputs;
        }
        Ok(Self {
            parameters,
            spec: spec.clone(),
            encoder,
            latent,
            expand,
            decoder,
        })
    }

    /// `[B, C, H, W]` to mean and log variance of the latent variables, each `[B, Z]`.
    ///
    /// # Errors
    /// When the images have another size.
    pub fn encode(&self, images: &Tensor) -> Result<(Tensor, Tensor)> {
        let expected = [self.spec.channels, self.spec.side, self.spec.side];
        if images.rank() != 4 || images.dims()[1..] != expected {
            return Err(NetError::Size {
                architecture: "conv-vae",
                key: "images",
                expected: "[B, C, side, side]",
                found: format!("{:?} for {:?}", images.dims(), self.spec),
            });
        }
        let mut hidden = to_channels_last(images)?;
        for layer in &self.encoder {
            hidden = layer.forward_with(&hidden, Activation::Relu)?;
        }
        let flat = to_channels_first(&hidden)?.flatten_from(1)?;
        let both = self.latent.forward(&flat)?;
        let latent = self.spec.latent;
        let part = |start| -> Result<Tensor> { Ok(both.narrow(1, start, latent)?.contiguous()?) };
        Ok((part(0)?, part(latent)?))
    }

    /// Latent variables `[B, Z]` to images `[B, C, H, W]`.
    ///
    /// # Errors
    /// When the number of latent variables differs.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let flat = self.expand.forward_relu(latents)?;
        let side = self.spec.inner_side();
        let width = flat.elem_count() / (flat.dims()[0] * side * side).max(1);
        let mut hidden = to_channels_last(&flat.reshape((flat.dims()[0], width, side, side))?)?;
        for (index, layer) in self.decoder.iter().enumerate() {
            let last = index + 1 == self.decoder.len();
            let activation = if last {
                Activation::Identity
            } else {
                Activation::Relu
            };
            hidden = layer.forward_with(&hidden, activation)?;
        }
        to_channels_first(&hidden)
    }

    /// Encodes, draws `μ + σ ε` with the given standard normal `noise` `[B, Z]`, decodes.
    ///
    /// # Errors
    /// When images or noise have another shape.
    pub fn forward(&self, images: &Tensor, noise: &Tensor) -> Result<VaeOutput> {
        let (mean, log_variance) = self.encode(images)?;
        let drawn = (&mean + (&log_variance * 0.5)?.exp()?.mul(noise)?)?;
        Ok(VaeOutput {
            reconstruction: self.decode(&drawn)?,
            mean,
            log_variance,
        })
    }

    /// Sizes of the network.
    pub fn spec(&self) -> &ConvVaeSpec {
        &self.spec
    }

    /// All weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
