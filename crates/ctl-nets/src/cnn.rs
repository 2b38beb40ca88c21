//! Small convolutional networks.

use candle_core::Tensor;
use ctl_compute::ops::Activation;
use ctl_compute::ops::global_average_pool;

use crate::layers::{ConvSize, to_channels_last};
use crate::{
    Conv, GroupNorm, Linear, Mode, Network, NetworkInput, NetworkOutput, Parameters, Result,
};

/// A convolution, `ReLU` and group normalisation, in that order.
struct Block {
    conv: Conv,
    norm: GroupNorm,
}

impl Block {
    fn new(p: &mut Parameters, name: &str, size: ConvSize, groups: usize) -> Result<Self> {
        Ok(Self {
            conv: Conv::biased(p, &format!("{name}.conv"), size)?,
            norm: GroupNorm::new(p, &format!("{name}.norm"), size.outputs, groups)?,
        })
    }

    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let hidden = self.conv.forward_with(input, Activation::Relu)?;
        self.norm.forward(&hidden)
    }
}

/// Widths and strides of the blocks, and the groups of their normalisation.
struct TrunkSizes {
    widths: [usize; 4],
    strides: [usize; 4],
    groups: usize,
}

const MNIST: TrunkSizes = TrunkSizes {
    widths: [64, 128, 128, 128],
    strides: [1, 2, 1, 1],
    groups: 8,
};

const SMALL: TrunkSizes = TrunkSizes {
    widths: [16, 32, 64, 64],
    strides: [2; 4],
    groups: 4,
};

/// Four blocks and the mean over pixels.
pub(crate) struct Trunk {
    blocks: Vec<Block>,
    width: usize,
}

impl Trunk {
    /// The trunk of [`SmallCnn`]; names of weights start with `prefix`.
    pub(crate) fn small(p: &mut Parameters, prefix: &str, channels: usize) -> Result<Self> {
        Self::new(p, prefix, channels, &SMALL)
    }

    fn new(p: &mut Parameters, prefix: &str, channels: usize, sizes: &TrunkSizes) -> Result<Self> {
        let mut blocks = Vec::new();
        let mut inputs = channels;
        for (index, (width, stride)) in sizes.widths.into_iter().zip(sizes.strides).enumerate() {
            let size = ConvSize::three(inputs, width, stride);
            let name = format!("{prefix}block{index}");
            blocks.push(Block::new(p, &name, size, sizes.groups)?);
            inputs = width;
        }
        Ok(Self {
            blocks,
            width: inputs,
        })
    }

    /// Number of features.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// `[B, C, H, W] -> [B, width]`
    pub(crate) fn forward(&self, input: NetworkInput<'_>) -> Result<Tensor> {
        let mut hidden = to_channels_last(input.images)?;
        for (stage, block) in self.blocks.iter().enumerate() {
            hidden = input.at(stage, block.forward(&hidden)?)?;
        }
        Ok(global_average_pool(&hidden)?)
    }
}

/// A trunk and a linear head on its features.
struct Classifier {
    parameters: Parameters,
    trunk: Trunk,
    head: Linear,
}

impl Classifier {
    fn new(mut p: Parameters, sizes: &TrunkSizes, channels: usize, outputs: usize) -> Result<Self> {
        let trunk = Trunk::new(&mut p, "", channels, sizes)?;
        let head = Linear::new(&mut p, "head", trunk.width(), outputs)?;
        Ok(Self {
            parameters: p,
            trunk,
            head,
        })
    }
}

impl Network for Classifier {
    fn forward(&self, input: NetworkInput<'_>, _mode: Mode) -> Result<NetworkOutput> {
        NetworkOutput::classified(self.trunk.forward(input)?, &self.head)
    }

    fn feature_width(&self) -> usize {
        self.trunk.width()
    }

    fn head(&self) -> Option<&Linear> {
        Some(&self.head)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// The network of `DomainBed` for 28×28 digits (Gulrajani & Lopez-Paz 2021, appendix D.2).
///
/// Four 3×3 convolutions with 64, 128 (stride 2), 128 and 128 channels, each followed by `ReLU` and
/// group normalisation (8 groups); mean over pixels; linear head.
/// Any image size of 1×1 and more works.
pub struct MnistCnn(Classifier);

impl MnistCnn {
    /// A network with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(channels: usize, outputs: usize, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), channels, outputs)
    }

    /// The same with weights that are added to `p`.
    pub(crate) fn from_parameters(p: Parameters, channels: usize, outputs: usize) -> Result<Self> {
        Ok(Self(Classifier::new(p, &MNIST, channels, outputs)?))
    }
}

/// A network for small grey or colour images that trains in seconds on one core.
///
/// 3×3 convolutions of stride 2 with 16, 32, 64 and 64 channels, each followed by `ReLU` and group
/// normalisation; mean over pixels; linear head.
pub struct SmallCnn(Classifier);

impl SmallCnn {
    /// A network with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(channels: usize, outputs: usize, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), channels, outputs)
    }

    /// The same with weights that are added to `p`.
    pub(crate) fn from_parameters(p: Parameters, channels: usize, outputs: usize) -> Result<Self> {
        Ok(Self(Classifier::new(p, &SMALL, channels, outputs)?))
    }
}

/// A network that is one of its field.
macro_rules! delegate {
    ($name:ident) => {
        impl Network for $name {
            fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> Result<NetworkOutput> {
                self.0.forward(input, mode)
            }

            fn feature_width(&self) -> usize {
                self.0.feature_width()
            }

            fn head(&self) -> Option<&Linear> {
                self.0.head()
            }

            fn parameters(&self) -> &Parameters {
                self.0.parameters()
            }
        }
    };
}

delegate!(MnistCnn);
delegate!(SmallCnn);
