//! What the first bytes of a picture say, without decoding it.

use crate::Result;
use crate::bounded;
use crate::decode::{MAX_DECODED_BYTES, MAX_SIDE, limits};
use crate::error::ImagingError;
use crate::tiff::tags::check_first_tags;
use image::{ImageDecoder, ImageFormat, ImageReader};
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

const PNG_SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Signature, and the `IHDR` chunk that must follow: length, name, 13 bytes, checksum.
const PNG_START: u64 = 8 + 4 + 4 + 13 + 4;

/// Where a JPEG's frame header is looked for first; only pictures with large embedded profiles
/// or previews have it later.
const JPEG_START: u64 = 64 << 10;

/// The size of a picture, as its header declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RasterSize {
    /// Channels that [`read_raster`](crate::read_raster) would give (without alpha).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// What a PNG's `IHDR` says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PngHeader {
    pub(crate) size: RasterSize,
    pub(crate) bit_depth: u8,
    pub(crate) has_palette: bool,
    /// Values of a pixel as they are stored, alpha among them, an index into a palette as one.
    values: u8,
}

impl PngHeader {
    fn pixels(self) -> u64 {
        (self.size.height as u64).saturating_mul(self.size.width as u64)
    }

    /// No more than the bytes that deflate must make for the pixels.
    pub(crate) fn inflated_bytes(self) -> u64 {
        let bits = u64::from(self.values) * u64::from(self.bit_depth);
        self.pixels().saturating_mul(bits) / 8
    }

    /// No less than the bytes of the decoded picture: palettes become colours, and a colour that
    /// is transparent adds alpha.
    pub(crate) fn decoded_bytes(self) -> u64 {
        let values = if self.has_palette { 4 } else { self.values + 1 };
        let bytes = u64::from(values) * u64::from(self.bit_depth.div_ceil(8));
        self.pixels().saturating_mul(bytes)
    }
}

/// Reads the size of a picture from its header, without decoding it.
///
/// # Arguments
/// * `path`: a PNG, JPEG or TIFF file, recognised by content.
///
/// # Returns
/// Channels (without alpha), height and width.
///
/// # Errors
/// [`ImagingError::Io`] when the file cannot be opened; [`ImagingError::Content`] when it is a
/// folder, empty, of no known format, or truncated within its header; [`ImagingError::Decode`]
/// when a TIFF directory is not understood.
///
/// # Examples
/// ```
/// use ctl_imaging::{Raster, raster_size};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.png");
/// Raster::new(3, 2, 5, vec![0.5; 30])?.write_png(&path)?;
/// let size = raster_size(&path)?;
/// assert_eq!((size.channels, size.height, size.width), (3, 2, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn raster_size(path: &Path) -> Result<RasterSize> {
    let start = bounded::read_start(path, PNG_START)?;
    let size = match format_of(&start, path)? {
        ImageFormat::Png => png_header(&start, path)?.size,
        ImageFormat::Jpeg => jpeg_size_of_file(path)?,
        _ => {
            let (file, length) = bounded::open_file(path)?;
            let mut reader = BufReader::new(file);
            check_first_tags(&mut reader, length, path)?;
            size_by_decoder(reader, ImageFormat::Tiff, path)?
        }
    };
    checked(size, path)
}

/// Recognises PNG, JPEG and TIFF by their first bytes.
pub(crate) fn format_of(start: &[u8], path: &Path) -> Result<ImageFormat> {
    let guessed = image::guess_format(start).ok();
    guessed
        .filter(|format| {
            matches!(
                format,
                ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Tiff
            )
        })
        .ok_or_else(|| {
            let found = guessed.map_or_else(
                || unknown(start).to_owned(),
                |format| format!("{format:?}").to_lowercase(),
            );
            ImagingError::content(path, "a PNG, JPEG or TIFF picture", found)
        })
}

/// What starts like this, if it is no picture.
fn unknown(start: &[u8]) -> &'static str {
    let has = |at: usize, mark: &[u8]| start.get(at..at + mark.len()) == Some(mark);
    let nifti: [[u8; 4]; 4] = [
        348_u32.to_le_bytes(),
        348_u32.to_be_bytes(),
        540_u32.to_le_bytes(),
        540_u32.to_be_bytes(),
    ];
    let is_volume = has(0, b"NRRD") || has(128, b"DICM") || nifti.iter().any(|mark| has(0, mark));
    if is_volume {
        "a volume (cohorts of volumes have a section `[volumes]` in cohort.toml)"
    } else if has(0, b"\x1f\x8b") {
        "a gzip stream (cohorts of volumes have a section `[volumes]` in cohort.toml)"
    } else {
        "content of no known format"
    }
}

/// What the `IHDR` chunk says; it must be the first.
pub(crate) fn png_header(bytes: &[u8], path: &Path) -> Result<PngHeader> {
    let (name, data) = PngChunks::new(bytes).next().unwrap_or((b"none", &[]));
    let (b"IHDR", &[w0, w1, w2, w3, h0, h1, h2, h3, bit_depth, colour, _, _, _]) = (name, data)
    else {
        let found = "a truncated or foreign first chunk";
        return Err(ImagingError::content(
            path,
            "a PNG header of 13 bytes",
            found,
        ));
    };
    let size = RasterSize {
        channels: if matches!(colour, 0 | 4) { 1 } else { 3 },
        height: u32::from_be_bytes([h0, h1, h2, h3]) as usize,
        width: u32::from_be_bytes([w0, w1, w2, w3]) as usize,
    };
    Ok(PngHeader {
        size,
        bit_depth,
        has_palette: colour == 3,
        values: match colour {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        },
    })
}

/// Whether all that a picture declares is there. Decoders fill what is missing with grey.
pub(crate) fn is_complete(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Png => png_chunk(bytes, *b"IEND").is_some(),
        ImageFormat::Jpeg => jpeg_has_end(bytes),
        _ => true,
    }
}

/// Bytes of a PNG's compressed pixels.
pub(crate) fn png_pixel_bytes(bytes: &[u8]) -> u64 {
    let chunks = PngChunks::new(bytes).filter(|(name, _)| *name == b"IDAT");
    chunks.map(|(_, data)| data.len() as u64).sum()
}

/// The data of the first PNG chunk of that name.
pub(crate) fn png_chunk(bytes: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    PngChunks::new(bytes)
        .find(|(found, _)| **found == name)
        .map(|(_, data)| data)
}

/// Name and data of each whole chunk of a PNG.
struct PngChunks<'a>(&'a [u8]);

impl<'a> PngChunks<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.strip_prefix(&PNG_SIGNATURE).unwrap_or_default())
    }
}

impl<'a> Iterator for PngChunks<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let (_checksum, rest) = rest.split_first_chunk::<4>()?;
        self.0 = rest;
        Some((name, data))
    }
}

/// Marker and payload of each segment of a JPEG; the payload of a scan (`SOS`) is its header, and
/// the entropy-coded bytes after it are skipped.
struct JpegSegments<'a>(&'a [u8]);

const JPEG_SCAN: u8 = 0xda;
const JPEG_END: u8 = 0xd9;

impl<'a> JpegSegments<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.strip_prefix(b"\xff\xd8").unwrap_or_default())
    }

    /// The next marker that is neither padding, a stuffed zero nor a restart.
    fn next_marker(&mut self) -> Option<u8> {
        loop {
            let position = self.0.iter().position(|&byte| byte == 0xff)?;
            let marker = *self.0.get(position + 1)?;
            // A fill byte may itself start a marker, so only one byte is passed over.
            self.0 = &self.0[position + 1..];
            if !matches!(marker, 0x00 | 0xff | 0x01 | 0xd0..=0xd8) {
                self.0 = &self.0[1..];
                return Some(marker);
            }
        }
    }
}

impl<'a> Iterator for JpegSegments<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let marker = self.next_marker()?;
        if marker == JPEG_END {
            return Some((marker, &[]));
        }
        let length = usize::from(u16::from_be_bytes(*self.0.first_chunk()?));
        let (segment, rest) = self.0.split_at_checked(length.max(2))?;
        self.0 = rest;
        Some((marker, &segment[2..]))
    }
}

fn jpeg_size_of_file(path: &Path) -> Result<RasterSize> {
    let found = jpeg_size(&bounded::read_start(path, JPEG_START)?);
    let found = match found {
        Some(size) => Some(size),
        None => jpeg_size(&bounded::read_file(path)?),
    };
    let (width, height, components) = found.ok_or_else(|| {
        ImagingError::content(path, "a JPEG frame header", "none (truncated or damaged)")
    })?;
    Ok(RasterSize {
        channels: if components == 1 { 1 } else { 3 },
        height: height as usize,
        width: width as usize,
    })
}

/// Width, height and components of the frame header, any `SOF` but the tables `DHT`, `JPG` and
/// `DAC` that share its range of markers.
pub(crate) fn jpeg_size(bytes: &[u8]) -> Option<(u64, u64, u8)> {
    let (_, frame) = JpegSegments::new(bytes)
        .take_while(|&(marker, _)| marker != JPEG_SCAN)
        .find(|(marker, _)| {
            matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
        })?;
    let &[_precision, h0, h1, w0, w1, components] = frame.first_chunk()?;
    let side = |bytes| u64::from(u16::from_be_bytes(bytes));
    Some((side([w0, w1]), side([h0, h1]), components))
}

/// Whether the end-of-image marker follows a scan; one inside an embedded preview does not count.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    let mut scans = 0;
    for (marker, _) in JpegSegments::new(bytes) {
        match marker {
            JPEG_SCAN => scans += 1,
            JPEG_END => return scans > 0,
            _ => {}
        }
    }
    false
}

fn size_by_decoder(
    reader: impl BufRead + Seek,
    format: ImageFormat,
    path: &Path,
) -> Result<RasterSize> {
    let mut reader = ImageReader::with_format(reader, format);
    reader.limits(limits());
    let decoder = reader
        .into_decoder()
        .map_err(|source| ImagingError::decode(path, "tiff", source))?;
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    let channels = if colour.has_color() { 3 } else { 1 };
    Ok(RasterSize {
        channels,
        height: height as usize,
        width: width as usize,
    })
}

fn checked(size: RasterSize, path: &Path) -> Result<RasterSize> {
    if size.height == 0 || size.width == 0 {
        let found = format!("{}x{}", size.height, size.width);
        return Err(ImagingError::content(
            path,
            "a picture of at least 1x1 pixels",
            found,
        ));
    }
    let most = MAX_SIDE as usize;
    if size.height > most || size.width > most || samples(size) > MAX_DECODED_BYTES as usize {
        let expected = format!("sides of at most {most} and at most {MAX_DECODED_BYTES} samples");
        let found = format!("{}x{}x{}", size.channels, size.height, size.width);
        return Err(ImagingError::content(path, expected, found));
    }
    Ok(size)
}

/// Decoded, each takes a byte at least.
fn samples(size: RasterSize) -> usize {
    size.channels
        .saturating_mul(size.height)
        .saturating_mul(size.width)
}
