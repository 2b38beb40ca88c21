//! One picture out of an array of pictures.

use crate::Result;
use crate::decode::{Decoded, Scale};
use crate::error::ImagingError;
use crate::header::RasterSize;
use crate::idx::IdxArray;
use crate::npy::{NpyArray, NpyData};
use crate::raster::Raster;
use std::ops::Range;
use std::path::Path;

/// Where one picture lies within an array, whose channels come last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) size: RasterSize,
    elements: Range<usize>,
}

impl Slice {
    /// The picture `index` of an array `[N, H, W]` or `[N, H, W, C]`, or without an index an array
    /// `[H, W]` or `[H, W, C]` as a whole.
    pub(crate) fn new(shape: &[usize], index: Option<usize>, path: &Path) -> Result<Self> {
        let (count, picture) = match index {
            Some(_) => shape.split_first().unwrap_or((&0, &[])),
            None => (&1, shape),
        };
        let (height, width, channels) = match *picture {
            [height, width] => (height, width, 1),
            [height, width, channels] => (height, width, channels),
            _ => return Err(wrong_shape(shape, index, path)),
        };
        let index = index.unwrap_or(0);
        if index >= *count {
            let expected = format!("a picture index below {count}");
            return Err(ImagingError::content(path, expected, index.to_string()));
        }
        let length = height * width * channels;
        if length == 0 {
            let found = format!("shape {shape:?}");
            return Err(ImagingError::content(
                path,
                "pictures of at least 1x1 pixels",
                found,
            ));
        }
        let elements = index * length..(index + 1) * length;
        Ok(Self {
            size: RasterSize {
                channels,
                height,
                width,
            },
            elements,
        })
    }
}

fn wrong_shape(shape: &[usize], index: Option<usize>, path: &Path) -> ImagingError {
    let expected = match index {
        Some(_) => "an array [N, H, W] or [N, H, W, C]",
        None => "an array [H, W] or [H, W, C]",
    };
    ImagingError::content(path, expected, format!("shape {shape:?}"))
}

/// A picture of an IDX array.
pub(crate) fn idx_picture(array: &IdxArray, index: usize, path: &Path) -> Result<Decoded> {
    let slice = Slice::new(&array.shape, Some(index), path)?;
    Ok(Decoded {
        raster: planar(&array.bytes, &slice, 255.0)?,
        scale: Scale::of_bits(8),
    })
}

/// A picture of a `NumPy` array: integers divided by the maximum of their type, floats as they are.
pub(crate) fn npy_picture(array: &NpyArray, index: Option<usize>, path: &Path) -> Result<Decoded> {
    let slice = &Slice::new(&array.shape, index, path)?;
    let range = |maximum: u32| (f64::from(maximum), Scale::Range(f64::from(maximum)));
    let wide = |maximum: f64| (maximum, Scale::Wide(maximum));
    let (raster, scale) = match &array.data {
        NpyData::Bool(data) => scaled(data, slice, range(1))?,
        NpyData::U8(data) => scaled(data, slice, range(u8::MAX.into()))?,
        NpyData::U16(data) => scaled(data, slice, range(u16::MAX.into()))?,
        NpyData::I8(data) => scaled(data, slice, range(i8::MAX as u32))?,
        NpyData::I16(data) => scaled(data, slice, range(i16::MAX as u32))?,
        NpyData::U32(data) => scaled(data, slice, wide(u32::MAX.into()))?,
        NpyData::I32(data) => scaled(data, slice, wide(i32::MAX.into()))?,
        NpyData::U64(data) => scaled(data, slice, wide(u64::MAX as f64))?,
        NpyData::I64(data) => scaled(data, slice, wide(i64::MAX as f64))?,
        NpyData::F32(data) => (planar(data, slice, 1.0)?, Scale::Float),
        NpyData::F64(data) => (planar(data, slice, 1.0)?, Scale::Float),
    };
    Ok(Decoded { raster, scale })
}

fn scaled<T: Element>(
    data: &[T],
    slice: &Slice,
    (maximum, scale): (f64, Scale),
) -> Result<(Raster, Scale)> {
    Ok((planar(data, slice, maximum)?, scale))
}

/// A number that a sample can be made of.
trait Element: Copy {
    fn to_float(self) -> f64;
}

macro_rules! element {
    ($($number:ty),+) => {$(
        impl Element for $number {
            #[expect(clippy::cast_lossless, reason = "one body for every number type")]
            fn to_float(self) -> f64 {
                self as f64
            }
        }
    )+};
}

element!(u8, u16, u32, i8, i16, i32, f32);

macro_rules! wide_element {
    ($($number:ty),+) => {$(
        impl Element for $number {
            fn to_float(self) -> f64 {
                self as f64
            }
        }
    )+};
}

wide_element!(u64, i64);

impl Element for f64 {
    fn to_float(self) -> f64 {
        self
    }
}

/// `[H, W, C]` to `[C, H, W]`, divided by `maximum`.
fn planar<T: Element>(data: &[T], slice: &Slice, maximum: f64) -> Result<Raster> {
    let RasterSize {
        channels,
        height,
        width,
    } = slice.size;
    let picture = data.get(slice.elements.clone()).unwrap_or_default();
    let samples = (0..channels)
        .flat_map(|channel| picture.iter().skip(channel).step_by(channels))
        .map(|&element| (element.to_float() / maximum) as f32)
        .collect();
    Raster::new(channels, height, width, samples)
}

/// Elements in memory order "last axis fastest" from "first axis fastest".
pub(crate) fn fortran_to_c(bytes: &[u8], shape: &[usize], item_bytes: usize) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(bytes.len());
    let mut position = vec![0; shape.len()];
    for _ in 0..bytes.len() / item_bytes.max(1) {
        let offset = shape
            .iter()
            .zip(&position)
            .rev()
            .fold(0, |sum, (side, at)| sum * side + at);
        ordered.extend_from_slice(&bytes[offset * item_bytes..(offset + 1) * item_bytes]);
        for (at, &side) in position.iter_mut().zip(shape).rev() {
            *at += 1;
            if *at < side {
                break;
            }
            *at = 0;
        }
    }
    ordered
}
