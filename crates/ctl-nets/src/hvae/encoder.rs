//! From images to features at every resolution.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::block::{Block, BlockSize};
use super::spec::HvaeSpec;
use crate::layers::{Conv, ConvSize};
use crate::{Parameters, Result};

const STEM_KERNEL: usize = 7;

pub(super) struct Encoder {
    stem: Conv,
    blocks: Vec<Block>,
}

/// Features `[B, r, r, W]` by resolution.
pub(super) type Features = BTreeMap<usize, Tensor>;

impl Encoder {
    pub(super) fn new(p: &mut Parameters, spec: &HvaeSpec) -> Result<Self> {
        let stem = ConvSize::same(spec.channels, spec.widths[0], STEM_KERNEL);
        let stem = Conv::biased(p, "encoder.stem", stem)?;
        let mut plan: Vec<(usize, Option<usize>)> = Vec::new();
        for (index, stage) in spec.encoder.iter().enumerate() {
            plan.extend(vec![(spec.widths[index], None); stage.blocks]);
            plan.extend(stage.down.map(|down| (spec.widths[index + 1], Some(down))));
        }
        let scale = 1.0 / (plan.len() as f64).sqrt();
        let mut blocks = Vec::new();
        let mut inputs = spec.widths[0];
        for (index, (outputs, down)) in plan.into_iter().enumerate() {
            let size = BlockSize {
                inputs,
                middle: inputs / spec.bottleneck,
                outputs,
                kernel: 3,
                scale,
            };
            let name = format!("encoder.blocks.{index}");
            blocks.push(Block::residual(p, &name, size)?.down(down));
            inputs = outputs;
        }
        Ok(Self { stem, blocks })
    }

    /// The output of the last block at each resolution.
    pub(super) fn forward(&self, images: &Tensor) -> Result<Features> {
        let mut hidden = self.stem.forward(images)?;
        let mut features = Features::new();
        for block in &self.blocks {
            hidden = block.forward(&hidden)?;
            features.insert(hidden.dims()[1], hidden.clone());
        }
        Ok(features)
    }
}
