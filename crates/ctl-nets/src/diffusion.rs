//! The U-Net of a conditional denoising diffusion model.

#[cfg(test)]
mod tests;

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::ops::{Function, Interpolation, concat_channels, resize, silu};

use crate::layers::{Conv, ConvSize, to_channels_first, to_channels_last};
use crate::zero_conv::ZeroConv;
use crate::{GroupNorm, Initialiser, Linear, NetError, Parameters, Result};

/// Sizes of a [`DiffusionUNet`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffusionUNetSpec {
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Height and width of the images in pixels, positive multiples of 2 to the number of widths
    /// less one.
    pub sides: [usize; 2],
    /// Channels at each resolution from the finest on, 1 to 16 of them, each at least 1.
    pub widths: Vec<usize>,
    /// Number of parents, at least 1.
    pub context: usize,
    /// Width of the embedding of times and parents, even, at least 2.
    pub time: usize,
}

impl DiffusionUNetSpec {
    /// Three resolutions of 16, 32 and 64 channels and an embedding of 64: a network for images of
    /// about 32 × 32 that trains on one core.
    pub fn small(channels: usize, sides: [usize; 2], context: usize) -> Self {
        Self {
            channels,
            sides,
            widths: vec![16, 32, 64],
            context,
            time: 64,
        }
    }

    fn validate(&self) -> Result<()> {
        if self.channels == 0 || self.context == 0 {
            let found = format!("{} and {}", self.channels, self.context);
            return fault("channels and context", "at least 1", found);
        }
        let levels = self.widths.len();
        if levels == 0 || levels > LEVELS_MAX || self.widths.contains(&0) {
            let found = format!("{:?}", self.widths);
            return fault("widths", "1 to 16 sizes of at least 1", found);
        }
        let fits = |&side: &usize| side > 0 && side % (1 << (levels - 1)) == 0;
        if !self.sides.iter().all(fits) {
            let expected = "positive multiples of 2 to the number of widths less one";
            return fault("sides", expected, format!("{:?}", self.sides));
        }
        if self.time < 2 || !self.time.is_multiple_of(2) {
            return fault("time", "even, at least 2", self.time.to_string());
        }
        Ok(())
    }
}

/// An image whose sides are multiples of `2^15` pixels does not exist.
const LEVELS_MAX: usize = 16;
/// Most groups of a normalisation.
const GROUPS_MAX: usize = 8;
/// Fewest channels of a group where there are more: one alone would be all zeros on a map of one
/// pixel.
const GROUP_CHANNELS: usize = 4;
/// Ratio of the slowest period of the time embedding to the fastest.
const PERIODS: f64 = 10_000.0;

fn groups(channels: usize) -> usize {
    let most = (channels / GROUP_CHANNELS).clamp(1, GROUPS_MAX);
    (1..=most)
        .rev()
        .find(|groups| channels.is_multiple_of(*groups))
        .unwrap_or(1)
}

/// Two convolutions of side 3, each behind a group normalisation and `SiLU`; the second
/// normalisation is scaled and shifted by the embedding.
struct Block {
    norm1: GroupNorm,
    conv1: Conv,
    embedding: Linear,
    norm2: GroupNorm,
    conv2: Conv,
    shortcut: Option<Conv>,
}

impl Block {
    fn new(
        p: &mut Parameters,
        name: &str,
        [inputs, outputs, embedding]: [usize; 3],
    ) -> Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        let first = ConvSize::same(inputs, outputs, 3);
        let second = ConvSize::same(outputs, outputs, 3);
        let projection = ConvSize::same(inputs, outputs, 1);
        Ok(Self {
            norm1: GroupNorm::new(p, &part("norm1"), inputs, groups(inputs))?,
            conv1: Conv::biased(p, &part("conv1"), first)?,
            embedding: Linear::new(p, &part("embedding"), embedding, 2 * outputs)?,
            norm2: GroupNorm::new(p, &part("norm2"), outputs, groups(outputs))?,
            conv2: Conv::biased(p, &part("conv2"), second)?,
            shortcut: if inputs == outputs {
                None
            } else {
                Some(Conv::biased(p, &part("shortcut"), projection)?)
            },
        })
    }

    /// `[B, H, W, in]` with an embedding `[B, E]` to `[B, H, W, out]`.
    fn forward(&self, input: &Tensor, embedding: &Tensor) -> Result<Tensor> {
        let normed = self.norm1.forward(input)?;
        let hidden = self.conv1.forward_after(Function::Silu, &normed)?;
        let law = self.embedding.forward(embedding)?;
        let law = law.unsqueeze(1)?.unsqueeze(1)?;
        let channels = hidden.dim(3)?;
        let scale = (law.narrow(3, 0, channels)? + 1.0)?;
        let shift = law.narrow(3, channels, channels)?;
        let normed = self.norm2.forward(&hidden)?;
        let moved = normed.broadcast_mul(&scale)?.broadcast_add(&shift)?;
        let hidden = self.conv2.forward_after(Function::Silu, &moved)?;
        Ok(match &self.shortcut {
            Some(conv) => (conv.forward(input)? + hidden)?,
            None => (input + hidden)?,
        })
    }
}

/// A block, and the strided convolution to the next resolution where there is one.
struct Down {
    block: Block,
    shrink: Option<Conv>,
}

/// Nearest upsampling and a convolution, then a block on the map and what was skipped.
struct Up {
    enlarge: Conv,
    block: Block,
}

/// What a denoising diffusion model asks: the noise in a noisy image, given its time and the
/// parents of the image in the causal graph.
///
/// Times become sines and cosines, `e_i = sin(t / 10000^(i/h))` and `cos` of the same for
/// `i < h`, half the width; an MLP of two layers follows. Parents go through an MLP of their own,
/// whose output, or a trained null embedding where parents are withheld, is added.
/// The sum scales and shifts the second normalisation of every residual block. Maps are halved by
/// strided convolutions, doubled by nearest upsampling and a convolution, and skips concatenated.
/// The last convolution is zero at first, so that the output is.
///
/// # References
/// Ho, Jain & Abbeel 2020, "Denoising diffusion probabilistic models", appendix B (blocks, time
/// embedding, zero at the end); Dhariwal & Nichol 2021, section 3 (scale and shift behind the
/// normalisation); Ho & Salimans 2022, "Classifier-free diffusion guidance", section 3.2 (null
/// embedding).
/// Deviations: one block per resolution and direction, no self-attention, no dropout; groups have
/// at least four channels.
pub struct DiffusionUNet {
    parameters: Parameters,
    spec: DiffusionUNetSpec,
    times: [Linear; 2],
    parents: [Linear; 2],
    null: Var,
    stem: Conv,
    downs: Vec<Down>,
    middle: Block,
    ups: Vec<Up>,
    norm: GroupNorm,
    head: ZeroConv,
}

impl DiffusionUNet {
    /// A network with weights drawn for `(seed, run)`: `PyTorch`'s defaults, zero at the end.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(spec: &DiffusionUNetSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn from_parameters(mut parameters: Parameters, spec: &DiffusionUNetSpec) -> Result<Self> {
        spec.validate()?;
        let (p, width) = (&mut parameters, spec.time);
        let (finest, coarsest) = (spec.widths[0], spec.widths[spec.widths.len() - 1]);
        let mut mlp = |name: &str, inputs: usize| -> Result<[Linear; 2]> {
            Ok([
                Linear::new(p, &format!("{name}.0"), inputs, width)?,
                Linear::new(p, &format!("{name}.2"), width, width)?,
            ])
        };
        let (times, parents) = (mlp("time", width)?, mlp("parents", spec.context)?);
        let null = p.add("null", &[width], Initialiser::Constant(0.0))?;
        let stem = Conv::biased(p, "stem", ConvSize::same(spec.channels, finest, 3))?;
        let downs = downs(p, spec)?;
        let middle = Block::new(p, "middle", [coarsest, coarsest, width])?;
        let ups = ups(p, spec)?;
        let norm = GroupNorm::new(p, "norm", finest, groups(finest))?;
        let head = ZeroConv::new(p, "head", finest, spec.channels)?;
        Ok(Self {
            parameters,
            spec: spec.clone(),
            times,
            parents,
            null,
            stem,
            downs,
            middle,
            ups,
            norm,
            head,
        })
    }

    /// `[B, C, H, W] -> [B, C, H, W]`
    ///
    /// # Arguments
    /// - `noisy`: images on `[−1, 1]` with noise, `[B, C, H, W]`
    /// - `times`: of each image, `[B]`; in steps, of which the model has about a thousand
    /// - `parents`: `[B, P]`
    /// - `present`: whether the network sees the parents of each image, `[B]`; the null embedding
    ///   stands for those it does not see
    ///
    /// # Errors
    /// When images, times, parents or presences have another shape.
    pub fn forward(
        &self,
        noisy: &Tensor,
        times: &[f64],
        parents: &Tensor,
        present: &[bool],
    ) -> Result<Tensor> {
        self.check(noisy, parents, [times.len(), present.len()])?;
        let embedding = silu(&self.embed(times, parents, present)?)?;
        let mut hidden = self.stem.forward(&to_channels_last(noisy)?)?;
        let mut skips = Vec::new();
        for down in &self.downs {
            hidden = down.block.forward(&hidden, &embedding)?;
            if let Some(shrink) = &down.shrink {
                skips.push(hidden.clone());
                hidden = shrink.forward(&hidden)?;
            }
        }
        hidden = self.middle.forward(&hidden, &embedding)?;
        for (up, skip) in self.ups.iter().zip(skips.iter().rev()) {
            let sides = [skip.dim(1)?, skip.dim(2)?];
            let large = resize(&hidden, &sides, Interpolation::Nearest)?;
            let joined = concat_channels(&[skip, &up.enlarge.forward(&large)?])?;
            hidden = up.block.forward(&joined, &embedding)?;
        }
        to_channels_first(&self.head.forward_silu(&self.norm.forward(&hidden)?)?)
    }

    /// Times, parents and presences as `[B, E]`.
    fn embed(&self, times: &[f64], parents: &Tensor, present: &[bool]) -> Result<Tensor> {
        let dtype = self.dtype();
        let waves = Tensor::from_vec(
            waves(times, self.spec.time),
            (times.len(), self.spec.time),
            &Device::Cpu,
        )?;
        let time = two_layers(&self.times, &waves.to_dtype(dtype)?)?;
        let kept: Vec<f64> = present.iter().map(|&p| f64::from(u8::from(p))).collect();
        let kept = Tensor::from_vec(kept, (present.len(), 1), &Device::Cpu)?.to_dtype(dtype)?;
        let seen = two_layers(&self.parents, parents)?.broadcast_mul(&kept)?;
        let null = self.null.unsqueeze(0)?;
        let withheld = null.broadcast_mul(&kept.affine(-1.0, 1.0)?)?;
        Ok(((time + seen)? + withheld)?)
    }

    /// Sizes of the network.
    pub fn spec(&self) -> &DiffusionUNetSpec {
        &self.spec
    }

    /// All weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Type of the weights, and so of images and parents.
    pub fn dtype(&self) -> DType {
        self.head.dtype()
    }

    fn check(&self, noisy: &Tensor, parents: &Tensor, lengths: [usize; 2]) -> Result<()> {
        let spec = &self.spec;
        let [height, width] = spec.sides;
        let batch = noisy.dims().first().copied().unwrap_or(0);
        if batch == 0 || noisy.dims() != [batch, spec.channels, height, width] {
            let found = format!("{:?} for {spec:?}", noisy.dims());
            return fault("images", "[B, C, height, width]", found);
        }
        if parents.dims() != [batch, spec.context] {
            let (found, width) = (parents.dims(), spec.context);
            let found = format!("{found:?} for B = {batch}, P = {width}");
            return fault("parents", "[B, P]", found);
        }
        if lengths != [batch; 2] {
            let found = format!("{lengths:?} for B = {batch}");
            return fault("times and presences", "one per image", found);
        }
        Ok(())
    }
}

fn downs(p: &mut Parameters, spec: &DiffusionUNetSpec) -> Result<Vec<Down>> {
    let mut inputs = spec.widths[0];
    let mut downs = Vec::new();
    for (level, &width) in spec.widths.iter().enumerate() {
        let name = format!("down{level}");
        let block = Block::new(p, &format!("{name}.block"), [inputs, width, spec.time])?;
        let is_last = level + 1 == spec.widths.len();
        let shrink = if is_last {
            None
        } else {
            let size = ConvSize::three(width, width, 2);
            Some(Conv::biased(p, &format!("{name}.shrink"), size)?)
        };
        downs.push(Down { block, shrink });
        inputs = width;
    }
    Ok(downs)
}

fn ups(p: &mut Parameters, spec: &DiffusionUNetSpec) -> Result<Vec<Up>> {
    let mut ups = Vec::new();
    for level in (0..spec.widths.len() - 1).rev() {
        let (name, width) = (format!("up{level}"), spec.widths[level]);
        let size = ConvSize::same(spec.widths[level + 1], width, 3);
        ups.push(Up {
            enlarge: Conv::biased(p, &format!("{name}.enlarge"), size)?,
            block: Block::new(p, &format!("{name}.block"), [2 * width, width, spec.time])?,
        });
    }
    Ok(ups)
}

fn two_layers([first, second]: &[Linear; 2], input: &Tensor) -> Result<Tensor> {
    second.forward(&silu(&first.forward(input)?)?)
}

/// Sines, then cosines, of every time at falling frequencies.
fn waves(times: &[f64], width: usize) -> Vec<f64> {
    let half = width / 2;
    let phase = |time: f64, i: usize| time * PERIODS.powf(-(i as f64) / half as f64);
    let mut values = Vec::with_capacity(times.len() * width);
    for &time in times {
        values.extend((0..half).map(|i| phase(time, i).sin()));
        values.extend((0..half).map(|i| phase(time, i).cos()));
    }
    values
}

fn fault<T>(key: &'static str, expected: &'static str, found: String) -> Result<T> {
    Err(NetError::Size {
        architecture: "diffusion u-net",
        key,
        expected,
        found,
    })
}
