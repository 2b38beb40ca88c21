//! TIFF files of several pages, with values as they are stored.
//!
//! [`read_raster`](crate::read_raster) reads the first page as a picture; this module reads all
//! pages as an image with geometry, whose affine the caller gives, because TIFF has no place in a
//! patient. [`tiff_pages`] tells the resolution that a file claims.
//!
//! # References
//! Adobe 1992, "TIFF Revision 6.0", section 8 ("Baseline field reference guide").

pub(crate) mod size;
pub(crate) mod tags;

use crate::Result;
use crate::bounded;
use crate::decode::{MAX_DECODED_BYTES, MAX_SIDE};
use crate::error::ImagingError;
use crate::volume::{Affine, SampleType, Samples, Volume};
use ::tiff::ColorType;
use ::tiff::TiffError;
use ::tiff::decoder::ifd::Value;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::{ResolutionUnit, Tag};
use size::check_page;
use std::io::{BufRead, BufReader, Cursor, Seek, SeekFrom};
use std::path::Path;
use tags::check_all_tags;

/// Most pages that are read.
const MAX_PAGES: usize = 1 << 16;

/// What the pages of a file are in the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageAxis {
    /// The third axis of space.
    Slices,
    /// The fourth axis: images of one place, one after the other.
    Frames,
}

/// How many pixels lie along a length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    /// Pixels a unit along rows.
    pub x: f64,
    /// Pixels a unit along columns.
    pub y: f64,
    /// Millimetres of a unit: 25.4 or 10; `None` when only the ratio of `x` and `y` means
    /// something.
    pub unit: Option<f64>,
}

impl Resolution {
    /// Width and height of a pixel in mm, where the file says so.
    pub fn pixel_millimetres(&self) -> Option<[f64; 2]> {
        self.unit.map(|unit| [unit / self.x, unit / self.y])
    }
}

/// What a page says of itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TiffPage {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Values a pixel: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha.
    pub components: usize,
    /// Bits of a value.
    pub bits: usize,
    /// `XResolution` and `YResolution`, where both are given and above 0.
    pub resolution: Option<Resolution>,
    /// `ImageDescription`, where it is text.
    pub description: Option<String>,
}

/// Reads all pages of a TIFF file.
///
/// # Arguments
/// * `path`: TIFF or `BigTIFF` of grey, RGB or either with alpha, integers of 8 to 64 bits or floats
///   of 16 to 64 bits; uncompressed, LZW, deflate, `PackBits`, JPEG or fax; strips or tiles, values
///   together or in planes of their own.
/// * `axis`: what the pages are.
/// * `affine`: from `(column, row, slice)` to mm.
///
/// # Returns
/// Stored values, `[width, height, pages]` or `[width, height, 1, pages]` with as many components
/// as a pixel has values. Grey that the file counts from white to black is turned round.
///
/// # Errors
/// [`ImagingError::Io`] when the file cannot be opened; [`ImagingError::Decode`] when the decoder
/// refuses it; [`ImagingError::Content`] when pages differ in size or type, are palettes or of
/// other colours, or larger than 256 MiB each or 4 GiB together.
///
/// # Examples
/// ```no_run
/// use ctl_imaging::tiff::{PageAxis, read_pages};
/// use ctl_imaging::volume::Affine;
/// use std::path::Path;
///
/// let affine = Affine::from_spacing([0.5, 0.5, 2.0], [0.0; 3])?;
/// let stack = read_pages(Path::new("stack.tif"), PageAxis::Slices, affine)?;
/// assert_eq!(stack.shape(), [512, 512, 40]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn read_pages(path: &Path, axis: PageAxis, affine: Affine) -> Result<Volume> {
    let (file, _) = bounded::open_file(path)?;
    pages_to_volume(BufReader::new(file), path, axis, affine)
}

/// Reads all pages of a TIFF file in memory; see [`read_pages`].
///
/// # Arguments
/// * `bytes`: the content of the file.
/// * `origin`: where it came from, for errors.
/// * `axis`, `affine`: as for [`read_pages`].
///
/// # Errors
/// Those of [`read_pages`].
pub fn parse_pages(bytes: &[u8], origin: &Path, axis: PageAxis, affine: Affine) -> Result<Volume> {
    pages_to_volume(Cursor::new(bytes), origin, axis, affine)
}

/// Reads what the pages of a TIFF file say of themselves, without their values.
///
/// # Arguments
/// * `path`: the file.
///
/// # Errors
/// Those of [`read_pages`] that concern sizes and tags.
pub fn tiff_pages(path: &Path) -> Result<Vec<TiffPage>> {
    let (file, _) = bounded::open_file(path)?;
    let mut pages = Pages::open(BufReader::new(file), path)?;
    let mut all = Vec::new();
    loop {
        all.push(pages.describe()?);
        if !pages.next(all.len())? {
            return Ok(all);
        }
    }
}

/// Whether a file starts like TIFF or `BigTIFF`.
pub(crate) fn can_read(first_bytes: &[u8]) -> bool {
    let magics = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    magics.iter().any(|magic| first_bytes.starts_with(*magic))
}

fn pages_to_volume<R: BufRead + Seek>(
    reader: R,
    path: &Path,
    axis: PageAxis,
    affine: Affine,
) -> Result<Volume> {
    let mut pages = Pages::open(reader, path)?;
    let first = pages.describe()?;
    let mut samples = pages.samples(&first)?;
    let kind = samples.sample_type();
    let mut count = 1;
    while pages.next(count)? {
        let page = pages.describe()?;
        let more = pages.samples(&page)?;
        check_same(&first, kind, &page, more.sample_type(), path)?;
        let shape = [page.width, page.height, page.components, count + 1];
        bounded::array_bytes(&shape, kind.bytes(), path)?;
        append(&mut samples, more);
        count += 1;
    }
    let (width, height) = (first.width, first.height);
    let shape = match axis {
        PageAxis::Slices => vec![width, height, count],
        PageAxis::Frames => vec![width, height, 1, count],
    };
    Volume::with_components(&shape, first.components, samples, affine)
        .map_err(|error| error.in_file(path))
}

fn check_same(
    first: &TiffPage,
    first_kind: SampleType,
    page: &TiffPage,
    kind: SampleType,
    path: &Path,
) -> Result<()> {
    let of = |page: &TiffPage, kind| (page.width, page.height, page.components, kind);
    if of(first, first_kind) == of(page, kind) {
        return Ok(());
    }
    let text = |page: &TiffPage, kind| {
        let TiffPage {
            width,
            height,
            components,
            ..
        } = page;
        format!("{width}x{height} of {components} {kind}")
    };
    Err(ImagingError::content(
        path,
        format!("pages alike, {}", text(first, first_kind)),
        text(page, kind),
    ))
}

/// A decoder that stands at a page.
struct Pages<'a, R: BufRead + Seek> {
    decoder: Decoder<R>,
    file_bytes: u64,
    path: &'a Path,
}

impl<'a, R: BufRead + Seek> Pages<'a, R> {
    fn open(mut reader: R, path: &'a Path) -> Result<Self> {
        let failed = |source| ImagingError::io(path, "read", source);
        let start = reader.fill_buf().map_err(failed)?;
        if !can_read(start) {
            let found = format!("bytes {:02x?}", &start[..start.len().min(4)]);
            return Err(ImagingError::content(path, "a TIFF file", found));
        }
        let file_bytes = reader.seek(SeekFrom::End(0)).map_err(failed)?;
        check_all_tags(&mut reader, file_bytes, path)?;
        let mut limits = Limits::default();
        limits.decoding_buffer_size = MAX_DECODED_BYTES as usize;
        limits.intermediate_buffer_size = MAX_DECODED_BYTES as usize;
        limits.ifd_value_size = MAX_DECODED_BYTES as usize;
        let decoder = Decoder::new(reader).map_err(|source| decode_error(path, source))?;
        Ok(Self {
            decoder: decoder.with_limits(limits),
            file_bytes,
            path,
        })
    }

    /// Goes to the next page, if there is one.
    fn next(&mut self, count: usize) -> Result<bool> {
        if !self.decoder.more_images() {
            return Ok(false);
        }
        if count == MAX_PAGES {
            let expected = format!("at most {MAX_PAGES} pages");
            return Err(ImagingError::content(self.path, expected, "more"));
        }
        self.decoder
            .next_image()
            .map_err(|source| decode_error(self.path, source))?;
        Ok(true)
    }

    fn describe(&mut self) -> Result<TiffPage> {
        let path = self.path;
        let failed = |source| decode_error(path, source);
        let (width, height) = self.decoder.dimensions().map_err(failed)?;
        let colour = self.decoder.colortype().map_err(failed)?;
        let (components, bits) = match colour {
            ColorType::Gray(bits) => (1, bits),
            ColorType::GrayA(bits) => (2, bits),
            ColorType::RGB(bits) => (3, bits),
            ColorType::RGBA(bits) => (4, bits),
            other => {
                let found = format!("{other:?}");
                return Err(ImagingError::content(path, "grey or RGB pages", found));
            }
        };
        if width == 0 || height == 0 || width.max(height) > MAX_SIDE || bits < 8 {
            let expected = format!("pages of 1 to {MAX_SIDE} pixels a side, 8 bits or more");
            let found = format!("{width}x{height} of {bits} bits");
            return Err(ImagingError::content(path, expected, found));
        }
        Ok(TiffPage {
            width: width as usize,
            height: height as usize,
            components,
            bits: bits.into(),
            resolution: self.resolution(),
            description: self
                .decoder
                .get_tag_ascii_string(Tag::ImageDescription)
                .ok(),
        })
    }

    /// Tags that say nothing usable count as missing: they are hints, not geometry.
    fn resolution(&mut self) -> Option<Resolution> {
        let mut number = |tag| {
            let Value::Rational(above, below) = self.decoder.get_tag(tag).ok()? else {
                return None;
            };
            let number = f64::from(above) / f64::from(below);
            (number.is_finite() && number > 0.0).then_some(number)
        };
        let (x, y) = (number(Tag::XResolution)?, number(Tag::YResolution)?);
        let unit = self
            .decoder
            .find_tag_unsigned::<u16>(Tag::ResolutionUnit)
            .ok()?;
        // Without the tag the unit is an inch (section 8).
        let unit = unit.map_or(Some(ResolutionUnit::Inch), ResolutionUnit::from_u16);
        Some(Resolution {
            x,
            y,
            unit: match unit {
                Some(ResolutionUnit::Inch) => Some(25.4),
                Some(ResolutionUnit::Centimeter) => Some(10.0),
                _ => None,
            },
        })
    }

    fn samples(&mut self, page: &TiffPage) -> Result<Samples> {
        let path = self.path;
        let values = page.width * page.height * page.components;
        let bytes = (values * page.bits / 8) as u64;
        check_page(&mut self.decoder, self.file_bytes, path)?;
        if bytes > MAX_DECODED_BYTES {
            let expected = format!("pages of at most {MAX_DECODED_BYTES} bytes");
            return Err(ImagingError::content(path, expected, bytes.to_string()));
        }
        let mut result = DecodingResult::U8(Vec::new());
        let layout = self
            .decoder
            .read_image_to_buffer(&mut result)
            .map_err(|source| decode_error(path, source))?;
        let samples = of_result(result);
        if samples.len() != values {
            let expected = format!("{values} values of a page");
            return Err(ImagingError::content(
                path,
                expected,
                samples.len().to_string(),
            ));
        }
        Ok(if layout.planes > 1 {
            together(samples, page.components)
        } else {
            samples
        })
    }
}

pub(crate) fn decode_error(path: &Path, source: TiffError) -> ImagingError {
    match source {
        TiffError::IoError(source) => ImagingError::io(path, "read", source),
        source => ImagingError::decode(path, "tiff", source),
    }
}

fn of_result(result: DecodingResult) -> Samples {
    match result {
        DecodingResult::U8(values) => Samples::U8(values),
        DecodingResult::U16(values) => Samples::U16(values),
        DecodingResult::U32(values) => Samples::U32(values),
        DecodingResult::U64(values) => Samples::U64(values),
        DecodingResult::F16(values) => Samples::F16(values),
        DecodingResult::F32(values) => Samples::F32(values),
        DecodingResult::F64(values) => Samples::F64(values),
        DecodingResult::I8(values) => Samples::I8(values),
        DecodingResult::I16(values) => Samples::I16(values),
        DecodingResult::I32(values) => Samples::I32(values),
        DecodingResult::I64(values) => Samples::I64(values),
    }
}

/// Planes of one component each, with the components of a pixel brought together.
fn together(samples: Samples, components: usize) -> Samples {
    crate::volume::map_any_type!(samples, planes => {
        let pixels = planes.len() / components;
        (0..planes.len())
            .map(|at| planes[at % components * pixels + at / components])
            .collect()
    })
}

/// Adds values of the same type.
fn append(samples: &mut Samples, more: Samples) {
    match (samples, more) {
        (Samples::U8(all), Samples::U8(more)) => all.extend(more),
        (Samples::I8(all), Samples::I8(more)) => all.extend(more),
        (Samples::U16(all), Samples::U16(more)) => all.extend(more),
        (Samples::I16(all), Samples::I16(more)) => all.extend(more),
        (Samples::U32(all), Samples::U32(more)) => all.extend(more),
        (Samples::I32(all), Samples::I32(more)) => all.extend(more),
        (Samples::U64(all), Samples::U64(more)) => all.extend(more),
        (Samples::I64(all), Samples::I64(more)) => all.extend(more),
        (Samples::F16(all), Samples::F16(more)) => all.extend(more),
        (Samples::F32(all), Samples::F32(more)) => all.extend(more),
        (Samples::F64(all), Samples::F64(more)) => all.extend(more),
        // The types were compared before, and TIFF has no complex ones.
        _ => {}
    }
}
