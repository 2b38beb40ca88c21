//! NPY arrays as `NumPy` saves them.

mod volume;
mod write;

pub(crate) use volume::read_volume_from;
pub use volume::{LastAxis, parse_npy_volume, read_npy_volume};
pub use write::{NpyContent, write_npy};

use crate::Result;
use crate::array;
use crate::bounded;
use crate::error::ImagingError;
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};
use num_complex::Complex;
use std::io::Read;
use std::path::Path;

/// How an NPY file starts; two bytes of version follow.
const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header that is parsed. `NumPy`'s own limit is 10,000 (`max_header_size`).
const MAX_HEADER_BYTES: u64 = 10_000;

/// Most elements that a shape may declare, empty axes not counted.
const MAX_ELEMENTS: u64 = 1 << 40;

/// Size of an element of `complex64`.
const COMPLEX_BYTES: usize = 8;

/// The elements of an array, by type.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NpyData {
    /// `bool`, as 0 and 1.
    Bool(Vec<u8>),
    /// `uint8`.
    U8(Vec<u8>),
    /// `uint16`.
    U16(Vec<u16>),
    /// `uint32`.
    U32(Vec<u32>),
    /// `uint64`.
    U64(Vec<u64>),
    /// `int8`.
    I8(Vec<i8>),
    /// `int16`.
    I16(Vec<i16>),
    /// `int32`.
    I32(Vec<i32>),
    /// `int64`.
    I64(Vec<i64>),
    /// `float32`.
    F32(Vec<f32>),
    /// `float64`.
    F64(Vec<f64>),
}

/// An array with its shape, in C order (row-major) whatever the order in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct NpyArray {
    /// Length of each axis, slowest first.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub data: NpyData,
}

impl NpyArray {
    /// All elements as 64-bit floats (64-bit integers beyond 2⁵³ are rounded).
    ///
    /// # Returns
    /// The elements, row-major.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            NpyData::Bool(data) | NpyData::U8(data) => data.iter().map(|&v| v.into()).collect(),
            NpyData::U16(data) => data.iter().map(|&v| v.into()).collect(),
            NpyData::U32(data) => data.iter().map(|&v| v.into()).collect(),
            NpyData::U64(data) => data.iter().map(|&v| v as f64).collect(),
            NpyData::I8(data) => data.iter().map(|&v| v.into()).collect(),
            NpyData::I16(data) => data.iter().map(|&v| v.into()).collect(),
            NpyData::I32(data) => data.iter().map(|&v| v.into()).collect(),
            NpyData::I64(data) => data.iter().map(|&v| v as f64).collect(),
            NpyData::F32(data) => data.iter().map(|&v| v.into()).collect(),
            NpyData::F64(data) => data.clone(),
        }
    }
}

/// Reads an NPY file.
///
/// # Arguments
/// * `path`: a file of version 1.0 to 3.0 with booleans, integers of 8 to 64 bits, or floats of
///   32 or 64 bits, in either byte order and either memory order.
///
/// # Returns
/// The array in C order.
///
/// # Errors
/// [`ImagingError::Io`] when the file cannot be read; [`ImagingError::Decode`] when its header is
/// not understood; [`ImagingError::Content`] when it is not NPY, of another element type, larger
/// than 4 GiB or truncated.
///
/// # Examples
/// ```
/// use ctl_imaging::npy::{NpyData, parse_npy};
/// use std::path::Path;
///
/// let header = b"{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }\n";
/// let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
/// bytes.extend((header.len() as u16).to_le_bytes());
/// bytes.extend(header);
/// bytes.extend([1, 0, 0, 1]);
/// let array = parse_npy(&bytes, Path::new("pair.npy"))?;
/// assert_eq!(array.shape, [2]);
/// assert_eq!(array.data, NpyData::U16(vec![1, 256]));
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
///
/// # References
/// `NumPy` Enhancement Proposal 1, "A simple file format for `NumPy` arrays".
pub fn read_npy(path: &Path) -> Result<NpyArray> {
    let (file, _) = bounded::open_file(path)?;
    read_from(&mut std::io::BufReader::new(file), path)
}

/// Reads an NPY array from memory; see [`read_npy`].
///
/// # Arguments
/// * `bytes`: the content of the file.
/// * `origin`: where it came from, for errors.
///
/// # Returns
/// The array in C order.
///
/// # Errors
/// Those of [`read_npy`].
pub fn parse_npy(mut bytes: &[u8], origin: &Path) -> Result<NpyArray> {
    read_from(&mut bytes, origin)
}

/// Reads the shape of an NPY file, without its elements.
///
/// # Arguments
/// * `path`: the file.
///
/// # Returns
/// Length of each axis, slowest first.
///
/// # Errors
/// Those of [`read_npy`] that concern the header.
pub fn npy_shape(path: &Path) -> Result<Vec<usize>> {
    let (file, _) = bounded::open_file(path)?;
    Ok(read_layout(&mut std::io::BufReader::new(file), path)?.shape)
}

/// Type, order and shape of an array.
pub(crate) struct Layout {
    pub(crate) shape: Vec<usize>,
    kind: TypeChar,
    item_bytes: usize,
    is_big_endian: bool,
    order: Order,
}

pub(crate) fn read_from(reader: &mut impl Read, path: &Path) -> Result<NpyArray> {
    let layout = read_layout(reader, path)?;
    let bytes = read_elements(reader, &layout, path)?;
    let data = typed(bytes, &layout, path)?;
    Ok(NpyArray {
        shape: layout.shape,
        data,
    })
}

/// Shape and elements of an array of `complex64`, row-major.
pub(crate) fn read_complex_from(
    reader: &mut impl Read,
    path: &Path,
) -> Result<(Vec<usize>, Vec<Complex<f32>>)> {
    let layout = read_layout(reader, path)?;
    if (layout.kind, layout.item_bytes) != (TypeChar::Complex, COMPLEX_BYTES) {
        let found = format!("type {}{}", layout.kind.to_str(), layout.item_bytes);
        return Err(ImagingError::content(
            path,
            "elements of type complex64",
            found,
        ));
    }
    let bytes = read_elements(reader, &layout, path)?;
    let parts = items(&bytes, layout.is_big_endian, f32::from_le_bytes);
    let (pairs, _) = parts.as_chunks::<2>();
    let values = pairs.iter().map(|&[re, im]| Complex::new(re, im)).collect();
    Ok((layout.shape, values))
}

/// The bytes of all elements in C order.
fn read_elements(reader: &mut impl Read, layout: &Layout, path: &Path) -> Result<Vec<u8>> {
    let count = bounded::array_bytes(&layout.shape, layout.item_bytes, path)?;
    let bytes = bounded::read_exactly(reader, count, path)?;
    if layout.order == Order::Fortran {
        return Ok(array::fortran_to_c(
            &bytes,
            &layout.shape,
            layout.item_bytes,
        ));
    }
    Ok(bytes)
}

pub(crate) fn read_layout(reader: &mut impl Read, path: &Path) -> Result<Layout> {
    let header_bytes = read_header_bytes(reader, path)?;
    let header = NpyHeader::from_reader(header_bytes.as_slice())
        .map_err(|source| ImagingError::decode(path, "npy", source))?;
    let DType::Plain(item) = header.dtype() else {
        let found = header.dtype().descr();
        return Err(ImagingError::content(
            path,
            "an array of one number type",
            found,
        ));
    };
    let Some(item_bytes) = item.num_bytes() else {
        let found = item.to_string();
        return Err(ImagingError::content(
            path,
            "elements of a fixed size",
            found,
        ));
    };
    Ok(Layout {
        shape: header.shape().iter().map(|&side| side as usize).collect(),
        kind: item.type_char(),
        item_bytes,
        is_big_endian: item.endianness() == Endianness::Big,
        order: header.order(),
    })
}

/// Magic, version, length and text of a header that is safe to parse.
fn read_header_bytes(reader: &mut impl Read, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = bounded::read_exactly(&mut *reader, 8, path)?;
    if !bytes.starts_with(MAGIC) {
        return Err(ImagingError::content(
            path,
            "an NPY array",
            format!("bytes {bytes:02x?}"),
        ));
    }
    let length_bytes = if bytes[6] == 1 { 2 } else { 4 };
    bytes.extend(bounded::read_exactly(&mut *reader, length_bytes, path)?);
    let length = bytes[8..]
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    if length > MAX_HEADER_BYTES {
        let expected = format!("an NPY header of at most {MAX_HEADER_BYTES} bytes");
        return Err(ImagingError::content(path, expected, length.to_string()));
    }
    let text = bounded::read_exactly(reader, length, path)?;
    check_header_text(&text, path)?;
    bytes.extend(text);
    Ok(bytes)
}

/// Refuses what the parser would overflow on: deep nesting and a huge product of the axes.
fn check_header_text(text: &[u8], path: &Path) -> Result<()> {
    let is_safe = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let opened = text.iter().filter(|byte| b"([{".contains(byte)).count();
    // One dictionary, one shape; a structured type has a few more, and is refused later.
    if opened > 16 || !text.iter().all(is_safe) {
        return Err(ImagingError::content(
            path,
            "an NPY header of one flat dictionary",
            "another",
        ));
    }
    let numbers = text
        .split(|byte| !byte.is_ascii_digit())
        .filter(|digits| !digits.is_empty());
    let product = numbers.map(number).fold(1_u64, |product, side| {
        if side == 0 {
            product
        } else {
            product.saturating_mul(side)
        }
    });
    // A type such as `<f8` adds its own digit to the product, hence the factor.
    if product > MAX_ELEMENTS * 8 {
        let expected = format!("an array of at most {MAX_ELEMENTS} elements");
        return Err(ImagingError::content(path, expected, "more"));
    }
    Ok(())
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    })
}

fn typed(bytes: Vec<u8>, layout: &Layout, path: &Path) -> Result<NpyData> {
    let big = layout.is_big_endian;
    Ok(match (layout.kind, layout.item_bytes) {
        (TypeChar::Bool, 1) => NpyData::Bool(bytes.into_iter().map(|v| u8::from(v != 0)).collect()),
        (TypeChar::Uint, 1) => NpyData::U8(bytes),
        (TypeChar::Uint, 2) => NpyData::U16(items(&bytes, big, u16::from_le_bytes)),
        (TypeChar::Uint, 4) => NpyData::U32(items(&bytes, big, u32::from_le_bytes)),
        (TypeChar::Uint, 8) => NpyData::U64(items(&bytes, big, u64::from_le_bytes)),
        (TypeChar::Int, 1) => NpyData::I8(items(&bytes, big, i8::from_le_bytes)),
        (TypeChar::Int, 2) => NpyData::I16(items(&bytes, big, i16::from_le_bytes)),
        (TypeChar::Int, 4) => NpyData::I32(items(&bytes, big, i32::from_le_bytes)),
        (TypeChar::Int, 8) => NpyData::I64(items(&bytes, big, i64::from_le_bytes)),
        (TypeChar::Float, 4) => NpyData::F32(items(&bytes, big, f32::from_le_bytes)),
        (TypeChar::Float, 8) => NpyData::F64(items(&bytes, big, f64::from_le_bytes)),
        (kind, size) => {
            let found = format!("type {}{size}", kind.to_str());
            let expected = "booleans, integers, or floats of 32 or 64 bits";
            return Err(ImagingError::content(path, expected, found));
        }
    })
}

fn items<const N: usize, T>(bytes: &[u8], big: bool, from_le: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    let ordered = chunks.iter().map(|&chunk| {
        let mut chunk = chunk;
        if big {
            chunk.reverse();
        }
        chunk
    });
    ordered.map(from_le).collect()
}
