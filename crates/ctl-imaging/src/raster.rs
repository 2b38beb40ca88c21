//! A picture in memory: channels first, 32-bit floats.

use crate::error::ImagingError;
use crate::resize::{self, Filter};
use crate::{Result, write};
use std::path::Path;

/// Most samples a raster may have (2³⁰, 4 GiB): a bound on what a file can make us allocate.
pub(crate) const MAX_SAMPLES: usize = 1 << 30;

/// Weights of red, green and blue in luma (ITU-R BT.601).
const REC_601_LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// A picture `[C, H, W]`, row-major, as 32-bit floats.
///
/// Samples of integer formats are divided by the maximum of their type and so lie in `[0, 1]`;
/// samples of floating-point formats are kept as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Raster {
    channels: usize,
    height: usize,
    width: usize,
    samples: Vec<f32>,
}

/// The colours in which a picture is wanted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// One channel; RGB becomes luma by ITU-R BT.601: `0.299 R + 0.587 G + 0.114 B`.
    #[default]
    Grey,
    /// Three channels; grey is repeated.
    Rgb,
    /// As many channels as the file has (without alpha).
    Native,
}

impl Raster {
    /// A raster from its samples.
    ///
    /// # Arguments
    /// * `channels`, `height`, `width`: the shape `[C, H, W]`, each at least 1.
    /// * `samples`: `C·H·W` values, row-major, channel by channel.
    ///
    /// # Returns
    /// The raster; NaN and infinite samples are kept.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a side is 0, when there are more than 2³⁰ samples, or when
    /// the number of samples is not `C·H·W`.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::Raster;
    ///
    /// let raster = Raster::new(1, 1, 2, vec![0.0, 1.0])?;
    /// assert_eq!(raster.shape(), [1, 1, 2]);
    /// assert!(Raster::new(1, 0, 2, vec![]).is_err());
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn new(channels: usize, height: usize, width: usize, samples: Vec<f32>) -> Result<Self> {
        let count = sample_count(channels, height, width)?;
        if samples.len() != count {
            return Err(ImagingError::argument(
                "raster samples",
                format!("{count} values for [{channels}, {height}, {width}]"),
                format!("{} values", samples.len()),
            ));
        }
        Ok(Self {
            channels,
            height,
            width,
            samples,
        })
    }

    /// Number of channels `C`.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Number of rows `H`.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of columns `W`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The shape `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// All samples, row-major, channel by channel.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// All samples, to be changed in place.
    pub fn samples_mut(&mut self) -> &mut [f32] {
        &mut self.samples
    }

    /// The samples themselves, without a copy.
    pub fn into_samples(self) -> Vec<f32> {
        self.samples
    }

    /// The `H·W` samples of one channel.
    ///
    /// # Returns
    /// The plane, or `None` when there is no such channel.
    pub fn channel(&self, channel: usize) -> Option<&[f32]> {
        self.samples
            .chunks_exact(self.height * self.width)
            .nth(channel)
    }

    /// The raster at another size.
    ///
    /// Each axis is treated separately, see [`Filter`]. At its own size a raster comes back
    /// unchanged, bit by bit.
    ///
    /// # Arguments
    /// * `height`, `width`: the new size in pixels, each at least 1.
    /// * `filter`: averaging for pictures, nearest for masks.
    ///
    /// # Returns
    /// A raster `[C, height, width]`.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a side is 0 or the result would exceed 2³⁰ samples.
    ///
    /// # Complexity
    /// `O(C·(h·W + h·w)·k)` with `k` the reduction factor (2 when enlarging).
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::{Filter, Raster};
    ///
    /// let raster = Raster::new(1, 1, 3, vec![0.0, 3.0, 6.0])?;
    /// // Each new pixel covers one and a half old ones.
    /// let smaller = raster.resized(1, 2, Filter::AreaOrBilinear)?;
    /// assert_eq!(smaller.samples(), [1.0, 5.0]);
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn resized(&self, height: usize, width: usize, filter: Filter) -> Result<Self> {
        sample_count(self.channels, height, width)?;
        if (height, width) == (self.height, self.width) {
            return Ok(self.clone());
        }
        let from = (self.height, self.width);
        let samples = self
            .samples
            .chunks_exact(self.height * self.width)
            .flat_map(|plane| resize::plane(plane, from, (height, width), filter))
            .collect();
        Ok(Self {
            height,
            width,
            samples,
            ..*self
        })
    }

    /// The raster in other colours.
    ///
    /// # Arguments
    /// * `colour`: [`Colour::Native`] changes nothing.
    ///
    /// # Returns
    /// A raster with one channel ([`Colour::Grey`]) or three ([`Colour::Rgb`]).
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a raster that has neither one nor three channels is asked
    /// for grey or RGB: its channels may be anything (four MR sequences, say).
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::{Colour, Raster};
    ///
    /// let red = Raster::new(3, 1, 1, vec![1.0, 0.0, 0.0])?;
    /// assert_eq!(red.to_colour(Colour::Grey)?.samples(), [0.299]);
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn to_colour(&self, colour: Colour) -> Result<Self> {
        match (colour, self.channels) {
            _ if self.has(colour) => Ok(self.clone()),
            (Colour::Grey, 3) => Ok(Self {
                channels: 1,
                samples: self.luma(),
                ..*self
            }),
            (Colour::Rgb, 1) => Ok(Self {
                channels: 3,
                samples: self.samples.repeat(3),
                ..*self
            }),
            (_, found) => Err(ImagingError::argument(
                "colour conversion",
                "a raster of 1 or 3 channels",
                format!("{found} channels"),
            )),
        }
    }

    /// Writes an 8-bit PNG, grey or RGB.
    ///
    /// Samples are clamped to `[0, 1]`, multiplied by 255 and rounded. The file appears at once
    /// and whole: it is written under another name in the same folder, flushed to disk and
    /// renamed.
    ///
    /// # Arguments
    /// * `path`: the file; one that exists is replaced.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the raster has neither one nor three channels or holds a
    /// NaN; [`ImagingError::Io`] when the file cannot be written; [`ImagingError::Encode`] when
    /// the encoder refuses.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::{Colour, Raster, read_raster};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("two.png");
    /// Raster::new(1, 1, 2, vec![0.0, 1.0])?.write_png(&path)?;
    /// assert_eq!(read_raster(&path, Colour::Native)?.samples(), [0.0, 1.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_png(&self, path: &Path) -> Result<()> {
        write::write_png(self, path)
    }

    /// The bytes of the file that [`write_png`](Self::write_png) writes.
    ///
    /// # Errors
    /// Those of [`write_png`](Self::write_png), but of the file system.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::Raster;
    ///
    /// let bytes = Raster::new(1, 1, 2, vec![0.0, 1.0])?.to_png()?;
    /// assert_eq!(&bytes[1..4], b"PNG");
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn to_png(&self) -> Result<Vec<u8>> {
        write::encode_png(self, Path::new("picture"))
    }

    /// Whether there is nothing to convert.
    pub(crate) fn has(&self, colour: Colour) -> bool {
        matches!(
            (colour, self.channels),
            (Colour::Native, _) | (Colour::Grey, 1) | (Colour::Rgb, 3)
        )
    }

    fn luma(&self) -> Vec<f32> {
        let (red, others) = self.samples.split_at(self.height * self.width);
        let (green, blue) = others.split_at(self.height * self.width);
        let [r, g, b] = REC_601_LUMA;
        red.iter()
            .zip(green)
            .zip(blue)
            .map(|((red, green), blue)| r * red + g * green + b * blue)
            .collect()
    }
}

/// `C·H·W`, checked: no side 0, no overflow, no more than [`MAX_SAMPLES`].
fn sample_count(channels: usize, height: usize, width: usize) -> Result<usize> {
    channels
        .checked_mul(height)
        .and_then(|count| count.checked_mul(width))
        .filter(|count| (1..=MAX_SAMPLES).contains(count))
        .ok_or_else(|| {
            ImagingError::argument(
                "raster size",
                format!("sides of at least 1 and at most {MAX_SAMPLES} samples"),
                format!("[{channels}, {height}, {width}]"),
            )
        })
}
