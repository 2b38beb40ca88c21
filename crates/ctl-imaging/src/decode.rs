//! PNG, JPEG and TIFF to rasters.

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::header::{self, PngHeader};
use crate::raster::{Colour, Raster};
use crate::tiff::decode_error;
use crate::tiff::size::{DEFLATE, check_page};
use crate::tiff::tags::check_first_tags;
use ::tiff::decoder::Decoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::path::Path;

/// Longest side of a picture that is decoded.
pub(crate) const MAX_SIDE: u32 = 1 << 16;

/// Most bytes that a decoder may allocate for one picture (256 MiB).
pub(crate) const MAX_DECODED_BYTES: u64 = 256 << 20;

/// What a decoder may allocate besides a picture and its file, such as for a colour profile.
const METADATA_BYTES: u64 = 4 << 20;

/// A decoded picture together with what the stored numbers were before they were divided.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) raster: Raster,
    pub(crate) scale: Scale,
}

/// What a sample was divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// The maximum of an unsigned integer of that many bits, which is the format's full range.
    Range(f64),
    /// The maximum of an integer type so wide that its range says nothing about the content.
    Wide(f64),
    /// Nothing: floating-point samples.
    Float,
}

impl Decoded {
    /// Refuses integers so wide that dividing by their maximum would leave next to nothing.
    pub(crate) fn check_is_picture(&self, path: &Path) -> Result<()> {
        match self.scale {
            Scale::Wide(_) => Err(ImagingError::content(
                path,
                "8- or 16-bit integers or floats as pixels",
                "32- or 64-bit integers, whose maximum says nothing about their range",
            )),
            Scale::Range(_) | Scale::Float => Ok(()),
        }
    }
}

impl Scale {
    pub(crate) fn of_bits(bits: u32) -> Self {
        Self::Range(f64::from((1_u32 << bits) - 1))
    }

    /// The number that stood in the file.
    pub(crate) fn stored(self, sample: f32) -> f64 {
        match self {
            Self::Range(maximum) | Self::Wide(maximum) => (f64::from(sample) * maximum).round(),
            Self::Float => f64::from(sample),
        }
    }
}

/// Reads a PNG, JPEG or TIFF picture.
///
/// The format is recognised by content. PNG of 1, 2, 4, 8 and 16 bits, palettes included; JPEG of
/// 8 bits; TIFF of 1, 8 and 16 bits, and 32-bit float RGB (the first page of several).
/// Alpha is dropped, EXIF orientation is not applied.
///
/// # Arguments
/// * `path`: the file.
/// * `colour`: the channels wanted.
///
/// # Returns
/// Samples in `[0, 1]`: stored integers divided by their maximum (255 for 8 bits); floats as they
/// are.
///
/// # Errors
/// [`ImagingError::Io`] when the file cannot be opened or read; [`ImagingError::Content`] when it
/// is a folder, empty, of another format, truncated, or has sides over 65,536 pixels or more than
/// 256 MiB once decoded; [`ImagingError::Decode`] when the decoder refuses it.
///
/// # Examples
/// ```
/// use ctl_imaging::{Colour, Raster, read_raster};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("grey.png");
/// Raster::new(1, 1, 2, vec![0.0, 0.2])?.write_png(&path)?;
/// let raster = read_raster(&path, Colour::Rgb)?;
/// assert_eq!(raster.shape(), [3, 1, 2]);
/// assert_eq!(raster.samples(), [0.0, 0.2, 0.0, 0.2, 0.0, 0.2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_raster(path: &Path, colour: Colour) -> Result<Raster> {
    decode_raster(&bounded::read_file(path)?, path, colour)
}

/// Decodes a PNG, JPEG or TIFF picture from memory; see [`read_raster`].
///
/// # Arguments
/// * `bytes`: the content of the file.
/// * `origin`: where it came from, for errors.
/// * `colour`: the channels wanted.
///
/// # Returns
/// The raster, as [`read_raster`] gives it.
///
/// # Errors
/// Those of [`read_raster`].
///
/// # Examples
/// ```
/// use ctl_imaging::{Colour, decode_raster};
/// use std::path::Path;
///
/// assert!(decode_raster(b"not a picture", Path::new("x.png"), Colour::Grey).is_err());
/// ```
pub fn decode_raster(bytes: &[u8], origin: &Path, colour: Colour) -> Result<Raster> {
    let raster = decode(bytes, origin)?.raster;
    if raster.has(colour) {
        Ok(raster)
    } else {
        raster.to_colour(colour)
    }
}

pub(crate) fn read_decoded(path: &Path) -> Result<Decoded> {
    decode(&bounded::read_file(path)?, path)
}

/// Decodes without changing colours, except that a palette becomes RGB.
fn decode(bytes: &[u8], origin: &Path) -> Result<Decoded> {
    let format = header::format_of(bytes, origin)?;
    let png = match format {
        ImageFormat::Png => Some(header::png_header(bytes, origin)?),
        _ => None,
    };
    if !header::is_complete(bytes, format) {
        let found = "none (truncated)";
        return Err(ImagingError::content(
            origin,
            "an end-of-image marker",
            found,
        ));
    }
    let picture = decode_picture(bytes, format, png, origin)?;
    let scale = scale_of(&picture, png);
    Ok(Decoded {
        raster: planar(picture)?,
        scale,
    })
}

/// Reads a palette PNG as the indices into its palette, which is what masks mean by their values.
pub(crate) fn read_indexed(path: &Path) -> Result<Decoded> {
    let bytes = bounded::read_file(path)?;
    let decoded = decode(&bytes, path)?;
    let is_indexed = header::format_of(&bytes, path)? == ImageFormat::Png
        && header::png_header(&bytes, path)?.has_palette;
    if !is_indexed {
        return Ok(decoded);
    }
    let palette = header::png_chunk(&bytes, *b"PLTE").unwrap_or_default();
    let raster = palette_indices(&decoded.raster, palette, path)?;
    Ok(Decoded {
        raster,
        scale: Scale::of_bits(8),
    })
}

/// Undoes the palette: the index of each pixel's colour, divided by 255.
fn palette_indices(raster: &Raster, palette: &[u8], path: &Path) -> Result<Raster> {
    let colours: Vec<&[u8]> = palette.chunks_exact(3).collect();
    let pixels = raster.height() * raster.width();
    let samples = raster.samples();
    let byte = |sample: f32| (sample * 255.0).round() as u8;
    let indices: Option<Vec<f32>> = (0..pixels)
        .map(|pixel| {
            let colour = [0, 1, 2].map(|channel| byte(samples[channel * pixels + pixel]));
            let index = colours.iter().position(|&entry| entry == colour)?;
            // Two entries of one colour could be two classes.
            let again = colours[index + 1..].iter().any(|&entry| entry == colour);
            (!again).then_some(index as f32 / 255.0)
        })
        .collect();
    let indices = indices.ok_or_else(|| {
        let found = "a colour that stands twice in it";
        ImagingError::content(path, "a palette that tells its entries apart", found)
    })?;
    Raster::new(1, raster.height(), raster.width(), indices)
}

pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    limits
}

fn decode_picture(
    bytes: &[u8],
    format: ImageFormat,
    png: Option<PngHeader>,
    origin: &Path,
) -> Result<DynamicImage> {
    let failed =
        |source| ImagingError::decode(origin, format!("{format:?}").to_lowercase(), source);
    let length = bytes.len() as u64;
    let mut limits = limits();
    if let Some(header) = png {
        check_png(bytes, header, origin)?;
        limits.max_alloc = Some(most_allocated(header.decoded_bytes(), length));
    }
    if format == ImageFormat::Tiff {
        check_first_tags(&mut Cursor::new(bytes), length, origin)?;
        let mut decoder =
            Decoder::new(Cursor::new(bytes)).map_err(|source| decode_error(origin, source))?;
        check_page(&mut decoder, length, origin)?;
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (found, most) = (decoder.total_bytes(), most_bytes(bytes.len(), format));
    if found > most {
        let expected = format!("at most {most} bytes of pixels in a file of this size");
        return Err(ImagingError::content(origin, expected, found.to_string()));
    }
    // What the decoder needs besides the pixels must fit as well.
    limits.max_alloc = Some(most_allocated(found, length));
    limits.reserve(found).map_err(failed)?;
    decoder.set_limits(limits).map_err(failed)?;
    DynamicImage::from_decoder(decoder).map_err(failed)
}

/// Checks that the compressed pixels of a PNG are enough for those that it declares.
fn check_png(bytes: &[u8], header: PngHeader, origin: &Path) -> Result<()> {
    let compressed = header::png_pixel_bytes(bytes);
    let most = compressed.saturating_mul(DEFLATE);
    let found = header.inflated_bytes();
    if found <= most {
        return Ok(());
    }
    let expected = format!("at most {most} bytes of pixels in {compressed} compressed ones");
    Err(ImagingError::content(origin, expected, found.to_string()))
}

/// What a decoder may allocate for a picture of so many bytes in a file of so many: the picture,
/// once more in the format's own colours, which may be one more, and the file.
fn most_allocated(picture: u64, file: u64) -> u64 {
    let most = picture.saturating_mul(3).saturating_add(file);
    most.saturating_add(METADATA_BYTES).min(MAX_DECODED_BYTES)
}

/// The most that can come out of a file of so many bytes: they are allocated before the first of
/// them has been decoded.
fn most_bytes(length: usize, format: ImageFormat) -> u64 {
    let expansion = match format {
        // A block of 64 pixels takes a bit or more of its component (T.81 annex G); one of four
        // may be that of all pixels.
        ImageFormat::Jpeg => 64 * 8 * 4,
        // Looked at more closely elsewhere.
        _ => return MAX_DECODED_BYTES,
    };
    (length as u64)
        .saturating_mul(expansion)
        .min(MAX_DECODED_BYTES)
}

fn scale_of(picture: &DynamicImage, png: Option<PngHeader>) -> Scale {
    match picture {
        DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_) => Scale::Float,
        DynamicImage::ImageLuma16(_)
        | DynamicImage::ImageLumaA16(_)
        | DynamicImage::ImageRgb16(_)
        | DynamicImage::ImageRgba16(_) => Scale::of_bits(16),
        // The decoder has stretched grey of less than 8 bits to the range of 8.
        _ => match png {
            Some(PngHeader {
                bit_depth: bits @ (1 | 2 | 4),
                has_palette: false,
                ..
            }) => Scale::of_bits(u32::from(bits)),
            _ => Scale::of_bits(8),
        },
    }
}

/// `[H, W, C]` of any type to `[C, H, W]` of floats, without alpha.
fn planar(picture: DynamicImage) -> Result<Raster> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let size = (height, width);
    let byte = |sample: u8| f32::from(sample) / 255.0;
    let word = |sample: u16| f32::from(sample) / 65535.0;
    match picture {
        DynamicImage::ImageLuma8(pixels) => deinterleaved(&pixels, size, (1, 1), byte),
        DynamicImage::ImageLumaA8(pixels) => deinterleaved(&pixels, size, (2, 1), byte),
        DynamicImage::ImageRgb8(pixels) => deinterleaved(&pixels, size, (3, 3), byte),
        DynamicImage::ImageRgba8(pixels) => deinterleaved(&pixels, size, (4, 3), byte),
        DynamicImage::ImageLuma16(pixels) => deinterleaved(&pixels, size, (1, 1), word),
        DynamicImage::ImageLumaA16(pixels) => deinterleaved(&pixels, size, (2, 1), word),
        DynamicImage::ImageRgb16(pixels) => deinterleaved(&pixels, size, (3, 3), word),
        DynamicImage::ImageRgba16(pixels) => deinterleaved(&pixels, size, (4, 3), word),
        DynamicImage::ImageRgb32F(pixels) => deinterleaved(&pixels, size, (3, 3), |v| v),
        DynamicImage::ImageRgba32F(pixels) => deinterleaved(&pixels, size, (4, 3), |v| v),
        other => deinterleaved(&other.to_rgb16(), size, (3, 3), word),
    }
}

/// The first `kept` of `stored` interleaved channels.
fn deinterleaved<T: Copy>(
    pixels: &[T],
    (height, width): (usize, usize),
    (stored, kept): (usize, usize),
    to_float: impl Fn(T) -> f32,
) -> Result<Raster> {
    let samples = (0..kept)
        .flat_map(|channel| pixels.iter().skip(channel).step_by(stored))
        .map(|&sample| to_float(sample))
        .collect();
    Raster::new(kept, height, width, samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_pixel() -> Vec<u8> {
        let pixel = Raster::new(1, 1, 1, vec![0.5]).unwrap();
        pixel.to_png().unwrap()
    }

    /// Said before anything is allocated, so that the checksum of the header is not looked at.
    #[test]
    fn png_of_more_pixels_than_deflate_makes() {
        let mut bytes = one_pixel();
        let compressed = header::png_pixel_bytes(&bytes);
        assert!((1..100).contains(&compressed));
        let found = format!("at most {} bytes", compressed * DEFLATE);
        bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0x0f, 0xa0]);
        let error = decode(&bytes, Path::new("x.png")).unwrap_err().to_string();
        assert!(
            error.contains(&found) && error.contains("240000000"),
            "{error}"
        );
    }

    #[test]
    fn bytes_of_png() {
        let mut bytes = one_pixel();
        let mut sizes = |depth: u8, colour: u8| {
            bytes[24..26].copy_from_slice(&[depth, colour]);
            bytes[16..24].copy_from_slice(&[0, 0, 0, 10, 0, 0, 0, 4]);
            let header = header::png_header(&bytes, Path::new("x.png")).unwrap();
            (header.inflated_bytes(), header.decoded_bytes())
        };
        assert_eq!(sizes(1, 0), (5, 80));
        assert_eq!(sizes(16, 2), (240, 320));
        assert_eq!(sizes(2, 3), (10, 160));
        assert_eq!(sizes(8, 4), (80, 120));
        assert_eq!(sizes(16, 6), (320, 400));
    }
}
