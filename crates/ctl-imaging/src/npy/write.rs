//! NPY files from arrays and volumes.

use super::{NpyArray, NpyData};
use crate::Result;
use crate::error::ImagingError;
use crate::raw;
use crate::volume::{SampleType, Samples, Scaling, Volume, map_any_type};
use crate::write::replace_file;
use std::io::{self, Write};
use std::path::Path;

/// `NumPy` aligns data to as many bytes.
const ALIGNMENT: usize = 64;

/// Magic, version and length of the header, before its text.
const PREAMBLE_BYTES: usize = 10;

/// What is written as an NPY array.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum NpyContent<'a> {
    /// An array, in C order.
    Array(&'a NpyArray),
    /// A volume, in Fortran order: index `[i, j, k]` of the array is voxel `(i, j, k)`; components
    /// become a last axis.
    Volume(&'a Volume),
}

impl<'a> From<&'a NpyArray> for NpyContent<'a> {
    fn from(array: &'a NpyArray) -> Self {
        Self::Array(array)
    }
}

impl<'a> From<&'a Volume> for NpyContent<'a> {
    fn from(volume: &'a Volume) -> Self {
        Self::Volume(volume)
    }
}

/// Writes an NPY file of version 1.0, little-endian, replacing the file as a whole.
///
/// The affine of a volume is not written: the format has no place for it.
///
/// # Arguments
/// * `content`: an [`NpyArray`], or a [`Volume`] without scaling (see [`Volume::to_type`]).
/// * `path`: the file.
///
/// # Errors
/// [`ImagingError::Argument`] when an array has another number of elements than its shape, or a
/// volume is scaled; [`ImagingError::Io`] when the file cannot be written.
///
/// # Examples
/// ```
/// use ctl_imaging::npy::{NpyArray, NpyData, read_npy, write_npy};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pair.npy");
/// let array = NpyArray { shape: vec![1, 2], data: NpyData::F64(vec![0.5, -1.0]) };
/// write_npy(&array, &path)?;
/// assert_eq!(read_npy(&path)?, array);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npy<'a>(content: impl Into<NpyContent<'a>>, path: &Path) -> Result<()> {
    let content = content.into();
    content.check()?;
    replace_file(path, |file| content.write(file))
}

impl NpyContent<'_> {
    /// Refuses what would not be read back as it is.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Volume(volume) if volume.scaling() != Scaling::NONE => {
                Err(ImagingError::argument(
                    "volume to write as NPY",
                    "unscaled values (see `to_type`)",
                    format!("{:?}", volume.scaling()),
                ))
            }
            Self::Array(array) => {
                let elements = array.data.len();
                let product = array
                    .shape
                    .iter()
                    .try_fold(1_usize, |product, &side| product.checked_mul(side));
                if product == Some(elements) {
                    return Ok(());
                }
                Err(ImagingError::argument(
                    "array to write as NPY",
                    format!("as many elements as shape {:?} has", array.shape),
                    elements.to_string(),
                ))
            }
            Self::Volume(_) => Ok(()),
        }
    }

    /// Header and elements.
    pub(crate) fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Array(array) => {
                let header = header(array.data.descr(), false, &array.shape)?;
                writer.write_all(&header)?;
                array.data.write(writer)
            }
            Self::Volume(volume) => {
                let mut shape = volume.shape().to_vec();
                let components = volume.components();
                if components > 1 {
                    shape.push(components);
                }
                let header = header(descr(volume.sample_type()), true, &shape)?;
                writer.write_all(&header)?;
                if components == 1 {
                    return raw::write_samples(volume.samples(), writer);
                }
                (0..components).try_for_each(|component| {
                    let plane = plane(volume.samples(), component, components);
                    raw::write_samples(&plane, writer)
                })
            }
        }
    }
}

/// One component of every voxel.
fn plane(samples: &Samples, component: usize, components: usize) -> Samples {
    map_any_type!(samples, values => {
        values.iter().skip(component).step_by(components).copied().collect()
    })
}

/// Magic, version 1.0, length and text of a header, aligned with blanks.
fn header(descr: &str, fortran_order: bool, shape: &[usize]) -> io::Result<Vec<u8>> {
    let order = if fortran_order { "True" } else { "False" };
    let sides: Vec<String> = shape.iter().map(|side| format!("{side},")).collect();
    let shape = match sides.as_slice() {
        [] => String::new(),
        [side] => side.clone(),
        sides => sides.join(" ").trim_end_matches(',').to_owned(),
    };
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}");
    // The line break counts as well.
    let length = (PREAMBLE_BYTES + text.len() + 1).next_multiple_of(ALIGNMENT) - PREAMBLE_BYTES;
    let blanks = length - text.len() - 1;
    text.extend(std::iter::repeat_n(' ', blanks));
    text.push('\n');
    let length = u16::try_from(text.len()).map_err(io::Error::other)?;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    Ok(bytes)
}

fn descr(kind: SampleType) -> &'static str {
    match kind {
        SampleType::UInt8 => "|u1",
        SampleType::Int8 => "|i1",
        SampleType::UInt16 => "<u2",
        SampleType::Int16 => "<i2",
        SampleType::UInt32 => "<u4",
        SampleType::Int32 => "<i4",
        SampleType::UInt64 => "<u8",
        SampleType::Int64 => "<i8",
        SampleType::Float16 => "<f2",
        SampleType::Float32 => "<f4",
        SampleType::Float64 => "<f8",
        SampleType::Complex64 => "<c8",
        SampleType::Complex128 => "<c16",
    }
}

/// Writes numbers with the least significant byte first.
macro_rules! write_numbers {
    ($numbers:expr, $writer:expr) => {
        $numbers.chunks(1 << 16).try_for_each(|piece| {
            let bytes: Vec<u8> = piece.iter().flat_map(|v| v.to_le_bytes()).collect();
            $writer.write_all(&bytes)
        })
    };
}

impl NpyData {
    fn len(&self) -> usize {
        match self {
            Self::Bool(data) | Self::U8(data) => data.len(),
            Self::U16(data) => data.len(),
            Self::U32(data) => data.len(),
            Self::U64(data) => data.len(),
            Self::I8(data) => data.len(),
            Self::I16(data) => data.len(),
            Self::I32(data) => data.len(),
            Self::I64(data) => data.len(),
            Self::F32(data) => data.len(),
            Self::F64(data) => data.len(),
        }
    }

    fn descr(&self) -> &'static str {
        match self {
            Self::Bool(_) => "|b1",
            Self::U8(_) => "|u1",
            Self::U16(_) => "<u2",
            Self::U32(_) => "<u4",
            Self::U64(_) => "<u8",
            Self::I8(_) => "|i1",
            Self::I16(_) => "<i2",
            Self::I32(_) => "<i4",
            Self::I64(_) => "<i8",
            Self::F32(_) => "<f4",
            Self::F64(_) => "<f8",
        }
    }

    fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        match self {
            // Any byte but 0 would be read as another boolean by NumPy.
            Self::Bool(data) => data.chunks(1 << 16).try_for_each(|piece| {
                let bytes: Vec<u8> = piece.iter().map(|&v| u8::from(v != 0)).collect();
                writer.write_all(&bytes)
            }),
            Self::U8(data) => writer.write_all(data),
            Self::U16(data) => write_numbers!(data, writer),
            Self::U32(data) => write_numbers!(data, writer),
            Self::U64(data) => write_numbers!(data, writer),
            Self::I8(data) => write_numbers!(data, writer),
            Self::I16(data) => write_numbers!(data, writer),
            Self::I32(data) => write_numbers!(data, writer),
            Self::I64(data) => write_numbers!(data, writer),
            Self::F32(data) => write_numbers!(data, writer),
            Self::F64(data) => write_numbers!(data, writer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_numpy() {
        for (shape, text) in [(vec![], "()"), (vec![3], "(3,)"), (vec![2, 3], "(2, 3)")] {
            let bytes = header("<f4", false, &shape).unwrap();
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            let dictionary =
                format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {text}, }}");
            let written = std::str::from_utf8(&bytes[PREAMBLE_BYTES..]).unwrap();
            assert_eq!(written.trim_end(), dictionary);
            assert!(written.ends_with('\n'));
        }
    }
}
