//! U-Nets for images and volumes.

use candle_core::Tensor;
use ctl_compute::ops::Activation;
use ctl_compute::ops::{concat_channels, global_average_pool};

use crate::axes::max_pool;
use crate::layers::{
    Conv, ConvNorm, ConvSize, TransposedConv, to_channels_first, to_channels_last,
};
use crate::{
    Linear, LinearHead, Mode, NetError, Network, NetworkInput, NetworkOutput, Parameters, Result,
};

/// Sizes of a [`UNet`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UNetSpec {
    /// 2 for images, 3 for volumes.
    pub dimensions: usize,
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Channels of the output, at least 1.
    pub outputs: usize,
    /// Channels at each resolution from the finest on, at least one of them.
    pub widths: Vec<usize>,
}

impl UNetSpec {
    /// Five resolutions of 16, 32, 64, 128 and 256 channels for images.
    pub fn images(channels: usize, outputs: usize) -> Self {
        Self {
            dimensions: 2,
            channels,
            outputs,
            widths: vec![16, 32, 64, 128, 256],
        }
    }

    /// Three resolutions of 12, 24 and 48 channels: a network for small images that trains on one
    /// core.
    pub fn small(channels: usize, outputs: usize) -> Self {
        Self {
            widths: vec![12, 24, 48],
            ..Self::images(channels, outputs)
        }
    }

    /// Three resolutions of 8, 16 and 32 channels for volumes.
    pub fn volumes(channels: usize, outputs: usize) -> Self {
        Self {
            dimensions: 3,
            channels,
            outputs,
            widths: vec![8, 16, 32],
        }
    }

    /// What the sides of an image must be a multiple of: 2 to the power of the poolings.
    pub fn granularity(&self) -> usize {
        1 << self.widths.len().saturating_sub(1)
    }

    fn validate(&self) -> Result<()> {
        let fault = |key, expected, found: String| {
            Err(NetError::Size {
                architecture: "unet",
                key,
                expected,
                found,
            })
        };
        if !matches!(self.dimensions, 2 | 3) {
            return fault("dimensions", "2 or 3", self.dimensions.to_string());
        }
        if self.channels == 0 || self.outputs == 0 {
            let found = format!("{} and {}", self.channels, self.outputs);
            return fault("channels and outputs", "at least 1", found);
        }
        if self.widths.is_empty() || self.widths.contains(&0) || self.widths.len() > LEVELS_MAX {
            let found = format!("{:?}", self.widths);
            return fault("widths", "1 to 16 sizes of at least 1", found);
        }
        Ok(())
    }
}

/// An image whose sides are multiples of `2^15` pixels does not exist.
const LEVELS_MAX: usize = 16;

/// Two convolutions of side 3, each with batch normalisation and `ReLU`.
struct Level {
    first: ConvNorm,
    second: ConvNorm,
}

impl Level {
    fn new(p: &mut Parameters, name: &str, [inputs, outputs, axes]: [usize; 3]) -> Result<Self> {
        let mut unit = |part: &str, inputs: usize| {
            let size = ConvSize::same(inputs, outputs, 3).along(axes);
            ConvNorm::new(
                p,
                &format!("{name}.{part}"),
                size,
                size.default_initialiser(),
            )
        };
        Ok(Self {
            first: unit("first", inputs)?,
            second: unit("second", outputs)?,
        })
    }

    fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let hidden = self.first.forward_relu(input, None, mode)?;
        self.second.forward_relu(&hidden, None, mode)
    }
}

struct Up {
    transposed: TransposedConv,
    level: Level,
}

impl Up {
    fn new(p: &mut Parameters, name: &str, [inputs, outputs, axes]: [usize; 3]) -> Result<Self> {
        let size = ConvSize {
            dimensions: axes,
            inputs,
            outputs,
            kernel: 2,
            stride: 2,
            padding: 0,
        };
        Ok(Self {
            transposed: TransposedConv::new(p, &format!("{name}.transposed"), size)?,
            level: Level::new(p, &format!("{name}.level"), [2 * outputs, outputs, axes])?,
        })
    }

    fn forward(&self, input: &Tensor, skip: &Tensor, mode: Mode) -> Result<Tensor> {
        let raised = self.transposed.forward_with(input, Activation::Identity)?;
        self.level
            .forward(&concat_channels(&[skip, &raised])?, mode)
    }
}

/// A U-Net: two 3×3 convolutions with batch normalisation and `ReLU` at each resolution, 2×2 max
/// pooling down, 2×2 transposed convolutions up, concatenated skips, a 1×1 convolution at the end;
/// cubes instead of squares for volumes.
///
/// # References
/// Ronneberger, Fischer & Brox 2015, figure 1; Çiçek et al. 2016, figure 2, for volumes.
/// Deviations: convolutions are padded, so that sizes stay; batch normalisation as in the second;
/// the number of channels doubles between resolutions, not within one.
pub struct UNet {
    parameters: Parameters,
    spec: UNetSpec,
    downs: Vec<Level>,
    ups: Vec<Up>,
    head: Conv,
}

impl UNet {
    /// A network with weights drawn for `(seed, run)`: `PyTorch`'s defaults for every layer.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(spec: &UNetSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn from_parameters(mut parameters: Parameters, spec: &UNetSpec) -> Result<Self> {
        spec.validate()?;
        let (p, axes) = (&mut parameters, spec.dimensions);
        let mut downs = Vec::new();
        let mut inputs = spec.channels;
        for (index, &width) in spec.widths.iter().enumerate() {
            downs.push(Level::new(
                p,
                &format!("down{index}"),
                [inputs, width, axes],
            )?);
            inputs = width;
        }
        let mut ups = Vec::new();
        for index in (0..spec.widths.len() - 1).rev() {
            let sizes = [spec.widths[index + 1], spec.widths[index], axes];
            ups.push(Up::new(p, &format!("up{index}"), sizes)?);
        }
        let size = ConvSize::same(spec.widths[0], spec.outputs, 1).along(axes);
        let head = Conv::biased(p, "head", size)?;
        Ok(Self {
            parameters,
            spec: spec.clone(),
            downs,
            ups,
            head,
        })
    }

    /// `[B, C, H, W] -> [B, K, H, W]`, logits; volumes as `[B, C, D, H, W]`.
    ///
    /// # Errors
    /// When the images have other channels, or sides that are not multiples of
    /// [`UNetSpec::granularity`].
    pub fn logits(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(self.run(images.into(), mode)?.outputs)
    }

    fn run(&self, input: NetworkInput<'_>, mode: Mode) -> Result<NetworkOutput> {
        let images = input.images;
        self.check(images)?;
        let mut skips: Vec<Tensor> = Vec::new();
        let mut hidden = to_channels_last(images)?;
        for (index, level) in self.downs.iter().enumerate() {
            if index > 0 {
                hidden = max_pool(&hidden, 2)?;
            }
            hidden = input.at(index, level.forward(&hidden, mode)?)?;
            skips.push(hidden.clone());
        }
        skips.pop();
        let bottleneck = hidden.clone();
        for (up, skip) in self.ups.iter().zip(skips.iter().rev()) {
            hidden = up.forward(&hidden, skip, mode)?;
        }
        let logits = to_channels_first(&self.head.forward(&hidden)?)?;
        let (weight, bias) = self.head.pointwise()?;
        let head = LinearHead {
            input: hidden,
            weight,
            bias,
            base: None,
        };
        Ok(NetworkOutput {
            head: Some(head),
            ..NetworkOutput::new(global_average_pool(&bottleneck)?, logits)
        })
    }

    fn check(&self, images: &Tensor) -> Result<()> {
        let (dims, granularity) = (images.dims(), self.spec.granularity());
        let fits = dims.len() == self.spec.dimensions + 2
            && dims[1] == self.spec.channels
            && dims[2..]
                .iter()
                .all(|side| *side > 0 && side % granularity == 0);
        if fits {
            return Ok(());
        }
        Err(NetError::Size {
            architecture: "unet",
            key: "images",
            expected: "[B, C] and a side per dimension, each a multiple of 2 to the number of poolings",
            found: format!("{dims:?} for {:?}", self.spec),
        })
    }

    /// All weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// Features are the means over pixels of the innermost map; logits are the outputs.
impl Network for UNet {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> Result<NetworkOutput> {
        self.run(input, mode)
    }

    fn feature_width(&self) -> usize {
        self.spec.widths.last().copied().unwrap_or(0)
    }

    fn head(&self) -> Option<&Linear> {
        None
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
