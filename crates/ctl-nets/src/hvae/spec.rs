//! The description of an HVAE, and its notation.

use super::fault;
use crate::Result;

/// Blocks of the encoder at one resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderStage {
    /// Side of the feature maps in pixels.
    pub resolution: usize,
    /// Blocks that keep the resolution.
    pub blocks: usize,
    /// Window of the mean pooling of one more block that goes to the next resolution; `None` in the
    /// last stage.
    pub down: Option<usize>,
}

/// Blocks of the decoder at one resolution, each with latent variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderStage {
    /// Side of the feature maps in pixels.
    pub resolution: usize,
    /// Number of blocks, at least 1.
    pub blocks: usize,
}

/// Sizes of an [`Hvae`](crate::Hvae).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HvaeSpec {
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Number of parents, at least 1.
    pub context: usize,
    /// Channels of the latent variables of one block, at least 1.
    pub latent: usize,
    /// A block's inner width is its input's divided by this.
    pub bottleneck: usize,
    /// Channels at each resolution of the encoder.
    pub widths: Vec<usize>,
    /// From the full resolution to 1×1.
    pub encoder: Vec<EncoderStage>,
    /// From 1×1 to the full resolution, the encoder's resolutions backwards.
    pub decoder: Vec<DecoderStage>,
}

impl HvaeSpec {
    /// The model of 32 × 32 `MorphoMNIST` images with 12 parents (thickness, intensity, digit).
    pub fn morphomnist() -> Self {
        let encoder = [(32, 3, 2), (16, 3, 2), (8, 3, 2), (4, 3, 4), (1, 4, 1)];
        let decoder = [1, 4, 8, 16, 32];
        Self {
            channels: 1,
            context: 12,
            latent: 16,
            bottleneck: 4,
            widths: vec![16, 32, 64, 128, 256],
            encoder: encoder
                .map(|(resolution, blocks, down)| EncoderStage {
                    resolution,
                    blocks,
                    down: (down > 1).then_some(down),
                })
                .to_vec(),
            decoder: decoder
                .map(|resolution| DecoderStage {
                    resolution,
                    blocks: 4,
                })
                .to_vec(),
        }
    }

    /// The same with stages in the published notation: `32b3d2` are three blocks at 32 × 32 and one
    /// that halves the side.
    ///
    /// # Errors
    /// When a stage cannot be read.
    ///
    /// # Examples
    /// ```
    /// use ctl_nets::HvaeSpec;
    ///
    /// let spec = HvaeSpec::morphomnist()
    ///     .with_stages("32b3d2,16b3d2,8b3d2,4b3d4,1b4", "1b4,4b4,8b4,16b4,32b4")?;
    /// assert_eq!(spec, HvaeSpec::morphomnist());
    /// # Ok::<(), ctl_nets::NetError>(())
    /// ```
    pub fn with_stages(self, encoder: &str, decoder: &str) -> Result<Self> {
        let encoder = encoder.split(',').map(|code| {
            let (start, down) = match code.split_once('d') {
                Some((start, down)) => (start, Some(number(code, down)?)),
                None => (code, None),
            };
            let [resolution, blocks] = stage(code, start)?;
            Ok(EncoderStage {
                resolution,
                blocks,
                down,
            })
        });
        let decoder = decoder.split(',').map(|code| {
            let [resolution, blocks] = stage(code, code)?;
            Ok(DecoderStage { resolution, blocks })
        });
        Ok(Self {
            encoder: encoder.collect::<Result<_>>()?,
            decoder: decoder.collect::<Result<_>>()?,
            ..self
        })
    }

    /// Side of the images in pixels.
    pub fn side(&self) -> usize {
        self.encoder.first().map_or(0, |stage| stage.resolution)
    }

    /// Resolution and width of every decoder block, in order.
    pub(super) fn decoder_blocks(&self) -> Vec<[usize; 2]> {
        let widths = self.widths.iter().rev();
        let stages = self.decoder.iter().zip(widths);
        stages
            .flat_map(|(stage, &width)| vec![[stage.resolution, width]; stage.blocks])
            .collect()
    }

    /// Shapes `[B, r, r, Z]` of the latent variables of every decoder block, in order.
    pub fn latent_shapes(&self, batch: usize) -> Vec<[usize; 4]> {
        let blocks = self.decoder_blocks().into_iter();
        blocks
            .map(|[side, _]| [batch, side, side, self.latent])
            .collect()
    }

    pub(super) fn validate(&self) -> Result<()> {
        let sizes = [self.channels, self.context, self.latent, self.bottleneck];
        if sizes.contains(&0) {
            let key = "channels, context, latent, bottleneck";
            return fault(key, "at least 1", format!("{sizes:?}"));
        }
        let widths = &self.widths;
        if widths.len() != self.encoder.len() || widths.iter().any(|w| w / self.bottleneck == 0) {
            let expected = "one per encoder stage, each at least the bottleneck";
            return fault("widths", expected, format!("{widths:?}"));
        }
        self.validate_encoder()?;
        let backwards = self.encoder.iter().rev().map(|stage| stage.resolution);
        let fits = self.decoder.len() == self.encoder.len()
            && self.decoder.iter().all(|stage| stage.blocks > 0)
            && backwards.eq(self.decoder.iter().map(|stage| stage.resolution));
        if !fits {
            let expected = "the encoder's resolutions backwards, each with a block";
            return fault("decoder", expected, format!("{:?}", self.decoder));
        }
        Ok(())
    }

    fn validate_encoder(&self) -> Result<()> {
        let found = || format!("{:?}", self.encoder);
        let ends = self
            .encoder
            .last()
            .is_some_and(|last| last.resolution == 1 && last.down.is_none() && last.blocks > 0);
        let descends = self.encoder.windows(2).all(|pair| {
            let reached = pair[0].down.filter(|&down| down > 1);
            reached.is_some_and(|down| pair[1].resolution * down == pair[0].resolution)
        });
        // The decoder sees the last block's output at each resolution, so there must be one.
        let seen = self.encoder.first().is_some_and(|first| first.blocks > 0);
        if ends && descends && seen {
            return Ok(());
        }
        let expected = "stages with blocks whose poolings lead to the next resolution and to 1";
        fault("encoder", expected, found())
    }
}

fn stage(code: &str, text: &str) -> Result<[usize; 2]> {
    match text.split_once('b') {
        Some((resolution, blocks)) => Ok([number(code, resolution)?, number(code, blocks)?]),
        None => fault("stage", NOTATION, code.to_owned()),
    }
}

fn number(code: &str, text: &str) -> Result<usize> {
    match text.parse() {
        Ok(number) if number <= LARGEST => Ok(number),
        _ => fault("stage", NOTATION, code.to_owned()),
    }
}

const NOTATION: &str = "RESOLUTIONbBLOCKS or RESOLUTIONbBLOCKSdWINDOW, as in 32b3d2";
/// No side, count or window of a stage is larger.
const LARGEST: usize = 1 << 16;
