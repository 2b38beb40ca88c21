//! The pixels of a file.

mod colour;
mod compressed;
mod frames;
mod jpeg;
mod jpeg2000;
mod layout;
mod native;
mod palette;
mod rle;

pub(crate) use compressed::append;
pub(crate) use layout::{Layout, Store};
pub use palette::Palette;

use super::data::{Compression, DataSet, Source, Until};
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{SampleType, Samples, map_any_type};
use std::path::Path;

/// What is wrong with compressed or uncompressed pixels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    expected: String,
    found: String,
}

impl Problem {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
        }
    }

    pub(crate) fn at(self, path: &Path) -> ImagingError {
        ImagingError::content(path, self.expected, self.found)
    }
}

/// Which of the allocated bits hold a value that has fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoredBits {
    /// Those below `HighBit`, as PS3.5 section 8.1.1 says.
    #[default]
    BelowHighBit,
    /// The lowest, whatever `HighBit` says, as pydicom does.
    Lowest,
}

/// The pixels of a file, before any look-up table or rescaling.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// Number of frames.
    pub frames: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Values of a pixel: 1, 3 or 4.
    pub channels: usize,
    /// Values `[frames, rows, columns, channels]`, the last axis fastest.
    pub samples: Samples,
    /// What the values are: `PhotometricInterpretation`, `RGB` after a conversion.
    pub photometric: String,
}

impl Pixels {
    /// The shape that `NumPy` would give, without axes of one frame and one channel.
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = Vec::new();
        if self.frames > 1 {
            shape.push(self.frames);
        }
        shape.extend([self.rows, self.columns]);
        if self.channels > 1 {
            shape.push(self.channels);
        }
        shape
    }
}

/// Reads the pixels of a file.
///
/// Y, Cb and Cr become red, green and blue; indices into a palette stay indices (see [`Palette`]);
/// `MONOCHROME1` is not inverted; no rescaling is applied. Bits that do not belong to values, such
/// as overlays, are masked.
///
/// # Arguments
/// * `bits`: where values lie that have fewer bits than are allocated.
///
/// # Errors
/// [`ImagingError::Io`] when the file cannot be read; [`ImagingError::Content`] when it is no DICOM
/// file, has no pixels, they are truncated, or their transfer syntax is not read.
pub fn read_pixels(path: &Path, bits: StoredBits) -> Result<Pixels> {
    let source = Source::read(path)?;
    let set = source.sound_data_set(Until::End)?;
    decode(&source, &set, bits)
}

/// Reads the pixels of an open file.
pub(crate) fn decode(source: &Source, set: &DataSet<'_>, bits: StoredBits) -> Result<Pixels> {
    let path = source.path();
    let mut layout = Layout::of(set, path)?;
    if bits == StoredBits::Lowest {
        layout.high_bit = layout.bits_stored - 1;
    }
    let element = set
        .get(layout.store.tag())
        .ok_or_else(|| ImagingError::content(path, "an image", "a data set without pixels"))?;
    let mut photometric = layout.photometric.clone();
    let samples = if source.compression() == Compression::Native {
        let samples = native::decode(element, &mut layout).map_err(|problem| problem.at(path))?;
        masked(samples, &layout)
    } else {
        compressed::decode(source, set, &mut layout, &mut photometric)?
    };
    let samples = coloured(samples, &layout, &mut photometric);
    Ok(Pixels {
        frames: layout.frames,
        rows: layout.rows,
        columns: layout.columns,
        channels: layout.samples,
        samples,
        photometric,
    })
}

/// Keeps the stored bits alone and extends their sign.
fn masked(samples: Samples, layout: &Layout) -> Samples {
    let whole = layout.bits_allocated == layout.bits_stored;
    if whole || layout.store != Store::Integers {
        return samples;
    }
    let left = layout.bits_allocated - layout.high_bit - 1;
    let right = layout.bits_allocated - layout.bits_stored;
    macro_rules! shift {
        ($variant:ident, $values:expr) => {{
            let mut values = $values;
            for value in &mut values {
                *value = *value << left >> right;
            }
            Samples::$variant(values)
        }};
    }
    match samples {
        Samples::U8(values) => shift!(U8, values),
        Samples::I8(values) => shift!(I8, values),
        Samples::U16(values) => shift!(U16, values),
        Samples::I16(values) => shift!(I16, values),
        Samples::U32(values) => shift!(U32, values),
        Samples::I32(values) => shift!(I32, values),
        Samples::U64(values) => shift!(U64, values),
        Samples::I64(values) => shift!(I64, values),
        other => other,
    }
}

/// Converts luminance and chrominance to colours.
fn coloured(samples: Samples, layout: &Layout, photometric: &mut String) -> Samples {
    let is_ycc = ["YBR_FULL", "YBR_FULL_422"].contains(&photometric.as_str());
    if !is_ycc || layout.samples != 3 {
        return samples;
    }
    "RGB".clone_into(photometric);
    let bits = layout.bits_stored;
    match samples {
        Samples::U8(mut values) => {
            for pixel in values.as_chunks_mut::<3>().0 {
                *pixel = colour::to_rgb(pixel.map(f32::from), bits).map(|value| value as u8);
            }
            Samples::U8(values)
        }
        other => {
            let kind = other.sample_type();
            wide_rgb(other, kind, bits)
        }
    }
}

fn wide_rgb(samples: Samples, kind: SampleType, bits: u32) -> Samples {
    use crate::volume::Value;
    debug_assert!(kind.is_integer());
    map_any_type!(samples, values => {
        let mut values = values;
        for pixel in values.as_chunks_mut::<3>().0 {
            let rgb = colour::to_rgb(pixel.map(|value| Value::to_f64(value) as f32), bits);
            *pixel = rgb.map(|value| Value::from_f64(f64::from(value)));
        }
        values
    })
}
