//! ResNet-18 (He et al. 2016) with a stem for small images.

use candle_core::Tensor;
use ctl_compute::ops::global_average_pool;

use crate::axes::max_pool;
use crate::layers::{ConvNorm, ConvSize, to_channels_last};
use crate::{Linear, Mode, Network, NetworkInput, NetworkOutput, Parameters, Result};

/// Images of at least this side get the 7×7 stride-2 stem with 2×2 pooling; smaller ones a 3×3
/// stem that keeps the size, as is usual for 28 and 32 pixels.
const LARGE_STEM_FROM: usize = 48;
const WIDTHS: [usize; 4] = [64, 128, 256, 512];
const BLOCKS_PER_STAGE: usize = 2;

fn unit(p: &mut Parameters, name: &str, size: ConvSize) -> Result<ConvNorm> {
    ConvNorm::new(p, name, size, size.he_normal())
}

struct BasicBlock {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl BasicBlock {
    fn new(p: &mut Parameters, name: &str, [inputs, outputs, stride]: [usize; 3]) -> Result<Self> {
        let first = ConvSize::three(inputs, outputs, stride);
        let second = ConvSize::three(outputs, outputs, 1);
        let projection = ConvSize {
            kernel: 1,
            padding: 0,
            ..first
        };
        let needs_projection = inputs != outputs || stride != 1;
        Ok(Self {
            first: unit(p, &format!("{name}.first"), first)?,
            second: unit(p, &format!("{name}.second"), second)?,
            shortcut: needs_projection
                .then(|| unit(p, &format!("{name}.shortcut"), projection))
                .transpose()?,
        })
    }

    fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let hidden = self.first.forward_relu(input, None, mode)?;
        let shortcut = match &self.shortcut {
            Some(unit) => unit.forward(input, mode)?,
            None => input.clone(),
        };
        self.second.forward_relu(&hidden, Some(&shortcut), mode)
    }
}

/// Four stages of two basic blocks with 64, 128, 256 and 512 channels.
///
/// # References
/// He et al. 2016, table 1, 18 layers.
/// Deviation: the stem pools 2×2 windows, or is a 3×3 convolution for images under 48 pixels.
pub struct ResNet18 {
    parameters: Parameters,
    stem: ConvNorm,
    pooled: bool,
    blocks: Vec<BasicBlock>,
    head: Linear,
}

impl ResNet18 {
    /// A network for images whose smaller side is `side`, weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new([channels, side, outputs]: [usize; 3], seed: u64, run: &str) -> Result<Self> {
        let sizes = [channels, side, outputs];
        Self::from_parameters(Parameters::new(seed, run), sizes)
    }

    /// The same with weights that are added to `p`.
    pub(crate) fn from_parameters(
        mut p: Parameters,
        [channels, side, outputs]: [usize; 3],
    ) -> Result<Self> {
        let pooled = side >= LARGE_STEM_FROM;
        let stem = if pooled {
            ConvSize {
                stride: 2,
                ..ConvSize::same(channels, WIDTHS[0], 7)
            }
        } else {
            ConvSize::three(channels, WIDTHS[0], 1)
        };
        let stem = unit(&mut p, "stem", stem)?;
        let mut blocks = Vec::new();
        let mut inputs = WIDTHS[0];
        for (stage, outputs) in WIDTHS.into_iter().enumerate() {
            for block in 0..BLOCKS_PER_STAGE {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let name = format!("stage{stage}.block{block}");
                blocks.push(BasicBlock::new(&mut p, &name, [inputs, outputs, stride])?);
                inputs = outputs;
            }
        }
        let head = Linear::new(&mut p, "head", inputs, outputs)?;
        Ok(Self {
            parameters: p,
            stem,
            pooled,
            blocks,
            head,
        })
    }
}

impl Network for ResNet18 {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> Result<NetworkOutput> {
        let images = to_channels_last(input.images)?;
        let mut hidden = self.stem.forward_relu(&images, None, mode)?;
        if self.pooled {
            hidden = max_pool(&hidden, 2)?;
        }
        for (index, block) in self.blocks.iter().enumerate() {
            hidden = block.forward(&hidden, mode)?;
            if (index + 1).is_multiple_of(BLOCKS_PER_STAGE) {
                hidden = input.at(index / BLOCKS_PER_STAGE, hidden)?;
            }
        }
        NetworkOutput::classified(global_average_pool(&hidden)?, &self.head)
    }

    fn feature_width(&self) -> usize {
        WIDTHS[WIDTHS.len() - 1]
    }

    fn head(&self) -> Option<&Linear> {
        Some(&self.head)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
