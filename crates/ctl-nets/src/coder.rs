//! What autoencoders share: strided convolutions to a vector, and their mirror image back.

use candle_core::Tensor;
use ctl_compute::ops::Activation;

use crate::layers::{Conv, ConvSize, Linear, TransposedConv, to_channels_first, to_channels_last};
use crate::{NetError, NetworkInput, Parameters, Result};

/// Sizes of a [`ConvVae`](crate::ConvVae) or an [`Autoencoder`](crate::Autoencoder).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoencoderSpec {
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Height and width of the images in pixels, positive multiples of 2 to the number of widths.
    pub sides: [usize; 2],
    /// Channels after each halving of the sides, at least one of them.
    pub widths: Vec<usize>,
    /// Number of values that an image is squeezed through, at least 1.
    pub latent: usize,
}

impl AutoencoderSpec {
    /// 64 × 64 grey images, widths 32, 64, 128, 256, 64 latent variables.
    pub fn grey_64() -> Self {
        Self {
            channels: 1,
            sides: [64, 64],
            widths: vec![32, 64, 128, 256],
            latent: 64,
        }
    }

    /// A narrow one for small images that trains on one core: widths 16, 32, 64, 64, and 64 latent
    /// variables.
    pub fn small(channels: usize, sides: [usize; 2]) -> Self {
        Self {
            channels,
            sides,
            widths: vec![16, 32, 64, 64],
            latent: 64,
        }
    }

    /// Sides of the innermost map.
    fn inner_sides(&self) -> [usize; 2] {
        self.sides.map(|side| side >> self.widths.len())
    }

    fn validate(&self, architecture: &'static str) -> Result<()> {
        let fault = |key, expected, found: String| {
            Err(NetError::Size {
                architecture,
                key,
                expected,
                found,
            })
        };
        if self.channels == 0 || self.latent == 0 {
            let found = format!("{} and {}", self.channels, self.latent);
            return fault("channels and latent", "at least 1", found);
        }
        if self.widths.is_empty() || self.widths.contains(&0) {
            let found = format!("{:?}", self.widths);
            return fault("widths", "at least one size of at least 1", found);
        }
        let halvings = u32::try_from(self.widths.len()).unwrap_or(u32::MAX);
        let fits = |&side: &usize| side > 0 && side.trailing_zeros() >= halvings;
        if !self.sides.iter().all(fits) {
            let expected = "positive multiples of 2 to the number of widths";
            return fault("sides", expected, format!("{:?}", self.sides));
        }
        Ok(())
    }
}

/// A 4×4 convolution of stride 2, or its mirror image.
fn halving(inputs: usize, outputs: usize) -> ConvSize {
    ConvSize {
        dimensions: 2,
        inputs,
        outputs,
        kernel: 4,
        stride: 2,
        padding: 1,
    }
}

/// Which map of the encoder is shown, counted from the finest: the one at a quarter of the sides,
/// fine enough to say where in the image something is unusual.
const SHOWN_MAP: usize = 1;

/// Convolutions down to `codes` values, and back up from `latent` values.
pub(crate) struct Coder {
    spec: AutoencoderSpec,
    architecture: &'static str,
    encoder: Vec<Conv>,
    squeeze: Linear,
    expand: Linear,
    decoder: Vec<TransposedConv>,
}

impl Coder {
    /// Layers with `PyTorch`'s default weights.
    ///
    /// The linear layer at the narrow end has the name `squeeze` and gives `codes` values for each
    /// latent variable.
    pub(crate) fn new(
        p: &mut Parameters,
        spec: &AutoencoderSpec,
        architecture: &'static str,
        (squeeze, codes): (&str, usize),
    ) -> Result<Self> {
        spec.validate(architecture)?;
        let mut encoder = Vec::new();
        let mut inputs = spec.channels;
        for (index, &outputs) in spec.widths.iter().enumerate() {
            let name = format!("encoder{index}");
            encoder.push(Conv::biased(p, &name, halving(inputs, outputs))?);
            inputs = outputs;
        }
        let flat = inputs * spec.inner_sides().iter().product::<usize>();
        let squeeze = Linear::new(p, squeeze, flat, codes * spec.latent)?;
        let expand = Linear::new(p, "expand", spec.latent, flat)?;
        let mut decoder = Vec::new();
        let narrower = spec.widths.iter().rev().skip(1).copied();
        for (index, outputs) in narrower.chain([spec.channels]).enumerate() {
            let name = format!("decoder{index}");
            decoder.push(TransposedConv::new(p, &name, halving(inputs, outputs))?);
            inputs = outputs;
        }
        Ok(Self {
            spec: spec.clone(),
            architecture,
            encoder,
            squeeze,
            expand,
            decoder,
        })
    }

    pub(crate) fn spec(&self) -> &AutoencoderSpec {
        &self.spec
    }

    /// `[B, C, H, W]` to codes `[B, codes × latent]` and the shown map `[B, h, w, width]`.
    pub(crate) fn encode(&self, input: NetworkInput<'_>) -> Result<(Tensor, Tensor)> {
        self.check(input.images)?;
        let mut hidden = to_channels_last(input.images)?;
        let mut shown = None;
        for (index, layer) in self.encoder.iter().enumerate() {
            hidden = input.at(index, layer.forward_with(&hidden, Activation::Relu)?)?;
            if index <= SHOWN_MAP {
                shown = Some(hidden.clone());
            }
        }
        let flat = to_channels_first(&hidden)?.flatten_from(1)?;
        let codes = self.squeeze.forward(&flat)?;
        Ok((codes, shown.unwrap_or(hidden)))
    }

    /// `[B, latent]` to images `[B, C, H, W]`.
    pub(crate) fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let flat = self.expand.forward_relu(latents)?;
        let [height, width] = self.spec.inner_sides();
        let (batch, values) = flat.dims2()?;
        let shape = (batch, values / (height * width), height, width);
        let mut hidden = to_channels_last(&flat.reshape(shape)?)?;
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

    fn check(&self, images: &Tensor) -> Result<()> {
        let [height, width] = self.spec.sides;
        if images.rank() == 4 && images.dims()[1..] == [self.spec.channels, height, width] {
            return Ok(());
        }
        Err(NetError::Size {
            architecture: self.architecture,
            key: "images",
            expected: "[B, C, height, width]",
            found: format!("{:?} for {:?}", images.dims(), self.spec),
        })
    }
}
