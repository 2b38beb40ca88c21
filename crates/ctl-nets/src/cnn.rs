//! Small convolutional networks.

use candle_core::Tensor;
use ctl_compute::ops::Activation;
use ctl_compute::ops::global_average_pool;

use crate::layers::{ConvSize, to_channels_last};
use crate::{Conv, GroupNorm, Linear, Mode, Network, NetworkOutput, Parameters, Result};

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

/// The network of `DomainBed` for 28×28 digits (Gulrajani & Lopez-Paz 2021, appendix D.2).
///
/// Four 3×3 convolutions with 64, 128 (stride 2), 128 and 128 channels, each followed by `ReLU` and
/// group normalisation (8 groups); mean over pixels; linear head.
/// Any image size of 1×1 and more works.
pub struct MnistCnn {
    parameters: Parameters,
    blocks: Vec<Block>,
    head: Linear,
}

const MNIST_WIDTHS: [usize; 4] = [64, 128, 128, 128];
const MNIST_STRIDES: [usize; 4] = [1, 2, 1, 1];
const MNIST_GROUPS: usize = 8;

impl MnistCnn {
    /// A network with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(channels: usize, outputs: usize, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), channels, outputs)
    }

    /// The same with weights that are added to `p`.
    pub(crate) fn from_parameters(
        mut p: Parameters,
        channels: usize,
        outputs: usize,
    ) -> Result<Self> {
        let mut blocks = Vec::new();
        let mut inputs = channels;
        for (index, (width, stride)) in MNIST_WIDTHS.into_iter().zip(MNIST_STRIDES).enumerate() {
            let size = ConvSize::three(inputs, width, stride);
            blocks.push(Block::new(
                &mut p,
                &format!("block{index}"),
                size,
                MNIST_GROUPS,
            )?);
            inputs = width;
        }
        let head = Linear::new(&mut p, "head", inputs, outputs)?;
        Ok(Self {
            parameters: p,
            blocks,
            head,
        })
    }
}

impl Network for MnistCnn {
    fn forward(&self, images: &Tensor, _mode: Mode) -> Result<NetworkOutput> {
        forward_blocks(&self.blocks, &self.head, images)
    }

    fn head(&self) -> &Linear {
        &self.head
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// A network for small grey or colour images that trains in seconds on one core.
///
/// 3×3 convolutions of stride 2 with 16, 32, 64 and 64 channels, each followed by `ReLU` and group
/// normalisation; mean over pixels; linear head.
pub struct SmallCnn {
    parameters: Parameters,
    blocks: Vec<Block>,
    head: Linear,
}

const SMALL_WIDTHS: [usize; 4] = [16, 32, 64, 64];
const SMALL_GROUPS: usize = 4;

impl SmallCnn {
    /// A network with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(channels: usize, outputs: usize, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), channels, outputs)
    }

    /// The same with weights that are added to `p`.
    pub(crate) fn from_parameters(
        mut p: Parameters,
        channels: usize,
        outputs: usize,
    ) -> Result<Self> {
        let mut blocks = Vec::new();
        let mut inputs = channels;
        for (index, width) in SMALL_WIDTHS.into_iter().enumerate() {
            let size = ConvSize::three(inputs, width, 2);
            blocks.push(Block::new(
                &mut p,
                &format!("block{index}"),
                size,
                SMALL_GROUPS,
            )?);
            inputs = width;
        }
        let head = Linear::new(&mut p, "head", inputs, outputs)?;
        Ok(Self {
            parameters: p,
            blocks,
            head,
        })
    }
}

impl Network for SmallCnn {
    fn forward(&self, images: &Tensor, _mode: Mode) -> Result<NetworkOutput> {
        forward_blocks(&self.blocks, &self.head, images)
    }

    fn head(&self) -> &Linear {
        &self.head
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

fn forward_blocks(blocks: &[Block], head: &Linear, images: &Tensor) -> Result<NetworkOutput> {
    let mut hidden = to_channels_last(images)?;
    for block in blocks {
        hidden = block.forward(&hidden)?;
    }
    let features = global_average_pool(&hidden)?;
    let outputs = head.forward(&features)?;
    Ok(NetworkOutput { features, outputs })
}
