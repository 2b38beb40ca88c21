//! From an image, and numbers beside it, to a vector.

use candle_core::Tensor;
use ctl_compute::ops::Activation;
use serde::{Deserialize, Serialize};

use crate::layers::{Conv, ConvSize, Linear, to_channels_first, to_channels_last};
use crate::{NetError, Parameters, Result};

/// Sizes of an [`ImageEncoder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageEncoderSpec {
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Height and width of the images in pixels, positive multiples of 2 to the number of widths.
    pub sides: [usize; 2],
    /// Numbers beside the image; may be 0.
    pub context: usize,
    /// Channels after each halving of the sides, at least one of them.
    pub widths: Vec<usize>,
    /// Width of the layer before the outputs, which are its features, at least 1.
    pub hidden: usize,
    /// Number of outputs, at least 1.
    pub outputs: usize,
}

impl ImageEncoderSpec {
    pub(crate) fn validate(&self, architecture: &'static str) -> Result<()> {
        let fault = |key, expected, found: String| {
            Err(NetError::Size {
                architecture,
                key,
                expected,
                found,
            })
        };
        let sizes = [self.channels, self.hidden, self.outputs];
        if sizes.contains(&0) {
            return fault(
                "channels, hidden, outputs",
                "at least 1",
                format!("{sizes:?}"),
            );
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

    /// Sides of the innermost map.
    pub(crate) fn inner_sides(&self) -> [usize; 2] {
        self.sides.map(|side| side >> self.widths.len())
    }

    /// Channels of the innermost map.
    pub(crate) fn inner_width(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }
}

/// A 4×4 convolution of stride 2, or its mirror image.
pub(crate) fn halving(inputs: usize, outputs: usize) -> ConvSize {
    ConvSize {
        dimensions: 2,
        inputs,
        outputs,
        kernel: 4,
        stride: 2,
        padding: 1,
    }
}

/// The layers, in somebody's set of weights.
pub(crate) struct EncoderLayers {
    architecture: &'static str,
    spec: ImageEncoderSpec,
    blocks: Vec<[Conv; 2]>,
    squeeze: Linear,
    last: Linear,
}

impl EncoderLayers {
    pub(crate) fn new(
        p: &mut Parameters,
        spec: &ImageEncoderSpec,
        architecture: &'static str,
        last: &str,
    ) -> Result<Self> {
        spec.validate(architecture)?;
        let mut blocks = Vec::new();
        let mut inputs = spec.channels;
        for (index, &width) in spec.widths.iter().enumerate() {
            let down = Conv::biased(p, &format!("encoder{index}.down"), halving(inputs, width))?;
            let same = ConvSize::three(width, width, 1);
            blocks.push([
                down,
                Conv::biased(p, &format!("encoder{index}.same"), same)?,
            ]);
            inputs = width;
        }
        let flat = spec.inner_width() * spec.inner_sides().iter().product::<usize>();
        Ok(Self {
            architecture,
            blocks,
            squeeze: Linear::new(p, "squeeze", flat + spec.context, spec.hidden)?,
            last: Linear::new(p, last, spec.hidden, spec.outputs)?,
            spec: spec.clone(),
        })
    }

    pub(crate) fn spec(&self) -> &ImageEncoderSpec {
        &self.spec
    }

    /// Features `[B, hidden]` and outputs `[B, outputs]`.
    pub(crate) fn forward(&self, images: &Tensor, context: &Tensor) -> Result<(Tensor, Tensor)> {
        self.check(images, context)?;
        let mut hidden = to_channels_last(images)?;
        for [down, same] in &self.blocks {
            hidden = down.forward_with(&hidden, Activation::Relu)?;
            hidden = same.forward_with(&hidden, Activation::Relu)?;
        }
        let flat = to_channels_first(&hidden)?.flatten_from(1)?;
        let features = self
            .squeeze
            .forward_relu(&joined(&flat, context, self.spec.context)?)?;
        let outputs = self.last.forward(&features)?;
        Ok((features, outputs))
    }

    fn check(&self, images: &Tensor, context: &Tensor) -> Result<()> {
        let spec = &self.spec;
        let [height, width] = spec.sides;
        let fault = |key, expected, found: String| {
            Err(NetError::Size {
                architecture: self.architecture,
                key,
                expected,
                found,
            })
        };
        let &[batch, channels, h, w] = images.dims() else {
            return fault("images", "[B, C, H, W]", format!("{:?}", images.dims()));
        };
        if batch == 0 || [channels, h, w] != [spec.channels, height, width] {
            let found = format!("{:?} for {spec:?}", images.dims());
            return fault("images", "[B, C, H, W]", found);
        }
        if context.dims() != [batch, spec.context] {
            let found = format!("{:?} for {:?}", context.dims(), [batch, spec.context]);
            return fault("context", "[B, context]", found);
        }
        Ok(())
    }
}

/// Values `[B, V]` with context `[B, P]` behind them.
pub(crate) fn joined(values: &Tensor, context: &Tensor, width: usize) -> Result<Tensor> {
    if width == 0 {
        return Ok(values.clone());
    }
    Ok(Tensor::cat(&[values, context], 1)?)
}

/// Strided convolutions and two linear layers, without any normalisation: what an image's grey level
/// says is not lost, as it is behind a group norm.
///
/// Each halving is a 4×4 convolution of stride 2 and a 3×3 one; `ReLU` everywhere but behind the last
/// layer. The numbers beside the image join the last map.
pub struct ImageEncoder {
    parameters: Parameters,
    layers: EncoderLayers,
}

impl ImageEncoder {
    /// A network with weights drawn for `(seed, run)`: `PyTorch`'s defaults for every layer.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(spec: &ImageEncoderSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn from_parameters(mut parameters: Parameters, spec: &ImageEncoderSpec) -> Result<Self> {
        let layers = EncoderLayers::new(&mut parameters, spec, "image-encoder", "output")?;
        Ok(Self { parameters, layers })
    }

    /// Features `[B, hidden]` and outputs `[B, outputs]` of images `[B, C, H, W]` with context
    /// `[B, context]`.
    ///
    /// # Errors
    /// When images or context have another shape.
    pub fn forward(&self, images: &Tensor, context: &Tensor) -> Result<(Tensor, Tensor)> {
        self.layers.forward(images, context)
    }

    /// Sizes of the network.
    pub fn spec(&self) -> &ImageEncoderSpec {
        self.layers.spec()
    }

    /// All weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use ctl_compute::random::{stream, uniform};

    use super::*;

    fn spec() -> ImageEncoderSpec {
        ImageEncoderSpec {
            channels: 1,
            sides: [8, 4],
            context: 2,
            widths: vec![3, 4],
            hidden: 5,
            outputs: 3,
        }
    }

    /// An image of twice the brightness has other features: nothing normalises it away.
    #[test]
    fn grey_levels_and_context_are_seen() {
        let net = ImageEncoder::new(&spec(), 0, "t").unwrap();
        let images = uniform(&mut stream(0, "t", "x"), (2, 1, 8, 4), (0.0, 1.0)).unwrap();
        let context = Tensor::zeros((2, 2), DType::F32, &Device::Cpu).unwrap();
        let out = |images: &Tensor, context: &Tensor| {
            let (features, outputs) = net.forward(images, context).unwrap();
            assert_eq!(
                (features.dims(), outputs.dims()),
                (&[2, 5][..], &[2, 3][..])
            );
            outputs.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let plain = out(&images, &context);
        assert_ne!(plain, out(&(&images * 2.0).unwrap(), &context));
        assert_ne!(plain, out(&images, &(&context + 1.0).unwrap()));
    }

    #[test]
    fn ill_sizes_are_errors() {
        for bad in [
            ImageEncoderSpec {
                channels: 0,
                ..spec()
            },
            ImageEncoderSpec {
                sides: [6, 4],
                ..spec()
            },
            ImageEncoderSpec {
                widths: vec![],
                ..spec()
            },
            ImageEncoderSpec {
                outputs: 0,
                ..spec()
            },
        ] {
            assert!(ImageEncoder::new(&bad, 0, "t").is_err(), "{bad:?}");
        }
        let net = ImageEncoder::new(&spec(), 0, "t").unwrap();
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        assert!(net.forward(&zeros(&[2, 1, 8, 5]), &zeros(&[2, 2])).is_err());
        assert!(net.forward(&zeros(&[2, 1, 8, 4]), &zeros(&[2, 3])).is_err());
        assert!(net.forward(&zeros(&[1, 8, 4]), &zeros(&[1, 2])).is_err());
    }
}
