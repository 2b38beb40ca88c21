//! From latent variables and parents to the last hidden state.

use candle_core::{Tensor, Var};
use ctl_compute::ops::{
    Interpolation, add_all, channels_from, concat_channels, gaussian_divergence, gaussian_draw,
    resize,
};

use super::block::{Block, BlockSize};
use super::encoder::Features;
use super::fault;
use super::spec::HvaeSpec;
use crate::layers::{Conv, ConvSize};
use crate::{Initialiser, Parameters, Result};

/// Up to this resolution the inner kernels of decoder blocks are 1×1.
const POINTWISE_TO: usize = 2;

struct DecoderBlock {
    resolution: usize,
    prior: Block,
    posterior: Block,
    latent_projection: Conv,
    /// From the latent to the next block's prior; none in the last block.
    prior_projection: Option<Conv>,
    residual: Block,
}

impl DecoderBlock {
    fn new(
        p: &mut Parameters,
        name: &str,
        spec: &HvaeSpec,
        [resolution, width]: [usize; 2],
        next: Option<usize>,
    ) -> Result<Self> {
        let (latent, context) = (spec.latent, spec.context);
        let scale = 1.0 / (spec.decoder_blocks().len() as f64).sqrt();
        let outputs = next.unwrap_or(width);
        let size = |inputs: usize, outputs: usize, scale: f64| BlockSize {
            inputs,
            middle: width / spec.bottleneck,
            outputs,
            kernel: if resolution > POINTWISE_TO { 3 } else { 1 },
            scale,
        };
        let prior = size(width, 2 * latent + width, 0.0);
        let posterior = size(2 * width + context, 2 * latent, 1.0);
        let projection = ConvSize::same(latent + context, width, 1);
        let onwards = |p: &mut Parameters| {
            let size = ConvSize::same(latent + width, outputs, 1);
            Conv::biased(p, &format!("{name}.z_feat_proj"), size)
        };
        Ok(Self {
            resolution,
            prior: Block::plain(p, &format!("{name}.prior"), prior)?,
            posterior: Block::plain(p, &format!("{name}.posterior"), posterior)?,
            latent_projection: Conv::scaled(p, &format!("{name}.z_proj"), projection, scale)?,
            prior_projection: next.map(|_| onwards(p)).transpose()?,
            residual: Block::residual(p, &format!("{name}.conv"), size(width, outputs, scale))?,
        })
    }

    /// Mean and log standard deviation of the latent given the latents before it, and behind them
    /// features for the hidden state, which are also returned alone: `[B, r, r, 2 Z + W]` and
    /// `[B, r, r, W]`.
    fn prior(&self, latent: &Tensor, channels: usize) -> Result<(Tensor, Tensor)> {
        let law = self.prior.forward(latent)?;
        let features = channels_from(&law, 2 * channels)?;
        Ok((law, features))
    }

    /// The hidden state and the input of the next prior.
    fn advance(
        &self,
        hidden: &Tensor,
        features: &Tensor,
        latent: &Tensor,
        planes: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let drawn = self
            .latent_projection
            .forward(&concat_channels(&[latent, planes])?)?;
        let hidden = add_all(&[hidden, features, &drawn])?;
        let onwards = match &self.prior_projection {
            Some(conv) => conv.forward(&concat_channels(&[latent, features])?)?,
            None => latent.clone(),
        };
        Ok((self.residual.forward(&hidden)?, onwards))
    }
}

pub(super) struct Decoder {
    blocks: Vec<DecoderBlock>,
    /// One image `[1, W, r, r]` per resolution.
    biases: Vec<Var>,
    latent: usize,
}

/// Where the latent variables come from when there is no image.
#[derive(Clone, Copy)]
pub(super) enum Latents<'a> {
    /// As they are.
    Given(&'a [Tensor]),
    /// From the prior, with this noise.
    Noise(&'a [Tensor]),
}

/// What the posterior path leaves.
pub(super) struct Path {
    pub(super) hidden: Tensor,
    pub(super) kl: Tensor,
    pub(super) kl_by_block: Vec<Tensor>,
    pub(super) latents: Vec<Tensor>,
}

/// The state that goes from block to block.
struct State {
    hidden: Tensor,
    /// Input of the next prior.
    latent: Tensor,
}

impl Decoder {
    pub(super) fn new(p: &mut Parameters, spec: &HvaeSpec) -> Result<Self> {
        let plan = spec.decoder_blocks();
        let mut blocks = Vec::new();
        for (index, &block) in plan.iter().enumerate() {
            let name = format!("decoder.blocks.{index}");
            let next = plan.get(index + 1).map(|[_, width]| *width);
            blocks.push(DecoderBlock::new(p, &name, spec, block, next)?);
        }
        let mut biases = Vec::new();
        for (index, (stage, &width)) in spec
            .decoder
            .iter()
            .zip(spec.widths.iter().rev())
            .enumerate()
        {
            let shape = [1, width, stage.resolution, stage.resolution];
            let name = format!("decoder.bias.{index}");
            biases.push(p.add(&name, &shape, Initialiser::Constant(0.0))?);
        }
        Ok(Self {
            blocks,
            biases,
            latent: spec.latent,
        })
    }

    /// Draws the latents of an image from the posterior.
    pub(super) fn posterior(
        &self,
        parents: &Tensor,
        features: &Features,
        noise: &[Tensor],
    ) -> Result<Path> {
        let mut state = self.start(parents.dims()[0])?;
        let mut kl: Option<Tensor> = None;
        let (mut latents, mut kl_by_block) = (Vec::new(), Vec::new());
        for (block, noise) in self.blocks.iter().zip(noise) {
            let planes = planes(parents, block.resolution)?;
            self.rise(&mut state, block.resolution)?;
            let Some(seen) = features.get(&block.resolution) else {
                return fault("encoder", "every resolution", block.resolution.to_string());
            };
            let (prior, prior_features) = block.prior(&state.latent, self.latent)?;
            let seen = concat_channels(&[&state.hidden, &planes, seen])?;
            let posterior = block.posterior.forward(&seen)?;
            let latent = gaussian_draw(&posterior, noise)?;
            let divergence = gaussian_divergence(&posterior, &prior, self.latent)?;
            kl = Some(match kl {
                Some(sum) => (sum + &divergence)?,
                None => divergence.clone(),
            });
            kl_by_block.push(divergence);
            (state.hidden, state.latent) =
                block.advance(&state.hidden, &prior_features, &latent, &planes)?;
            latents.push(latent);
        }
        let Some(kl) = kl else {
            return fault("decoder", "at least one block", "none".into());
        };
        Ok(Path {
            hidden: state.hidden,
            kl,
            kl_by_block,
            latents,
        })
    }

    /// The last hidden state for latents that do not come from an image, and the latents.
    pub(super) fn prior(
        &self,
        parents: &Tensor,
        latents: Latents<'_>,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let mut state = self.start(parents.dims()[0])?;
        let mut used = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            let planes = planes(parents, block.resolution)?;
            self.rise(&mut state, block.resolution)?;
            let (prior, features) = block.prior(&state.latent, self.latent)?;
            let latent = match latents {
                Latents::Given(latents) => latents[index].clone(),
                Latents::Noise(noise) => gaussian_draw(&prior, &noise[index])?,
            };
            (state.hidden, state.latent) =
                block.advance(&state.hidden, &features, &latent, &planes)?;
            used.push(latent);
        }
        Ok((state.hidden, used))
    }

    /// The bias at 1×1 for every image.
    fn start(&self, batch: usize) -> Result<State> {
        let bias = self.bias(0)?;
        let hidden = bias.repeat((batch, 1, 1, 1))?;
        Ok(State {
            latent: hidden.clone(),
            hidden,
        })
    }

    /// Brings the state to a block's resolution.
    fn rise(&self, state: &mut State, resolution: usize) -> Result<()> {
        if resolution <= state.hidden.dims()[1] {
            return Ok(());
        }
        let stage = self.biases.iter().position(|b| b.dims()[2] == resolution);
        let bias = self.bias(stage.unwrap_or(0))?;
        for part in [&mut state.hidden, &mut state.latent] {
            let raised = resize(part, &[resolution; 2], Interpolation::Nearest)?;
            *part = raised.broadcast_add(&bias)?;
        }
        Ok(())
    }

    /// `[1, r, r, W]`
    fn bias(&self, stage: usize) -> Result<Tensor> {
        let bias = self.biases[stage].as_tensor();
        Ok(bias.permute((0, 2, 3, 1))?.contiguous()?)
    }
}

/// Parents as constant images, `[B, r, r, P]`.
fn planes(parents: &Tensor, side: usize) -> Result<Tensor> {
    let (batch, count) = parents.dims2()?;
    let across = parents.reshape((batch, 1, 1, count))?;
    Ok(across
        .broadcast_as((batch, side, side, count))?
        .contiguous()?)
}
