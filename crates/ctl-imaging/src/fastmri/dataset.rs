//! Datasets of numbers, read by rows, with sizes checked before they are believed.

use super::hdf5_error;
use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::raw::{self, Encoding};
use crate::volume::{SampleType, Samples};
use hdf5_pure::{
    CompoundMember, Dataset, Datatype, DatatypeByteOrder, File, FixedPointLayout,
    FloatingPointLayout, VlenStringReadOptions,
};
use std::path::Path;

/// Above what deflate reaches (1032 bytes from one), the densest of the filters that are read.
const MAX_COMPRESSION: u64 = 1 << 11;

/// Longest text that is read.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// A dataset with its shape.
pub(super) struct Array<'a> {
    pub(super) shape: Vec<usize>,
    name: &'static str,
    dataset: Dataset,
    kind: Datatype,
    path: &'a Path,
}

impl<'a> Array<'a> {
    pub(super) fn open(file: &File, name: &'static str, path: &'a Path) -> Result<Self> {
        let failed = |source| hdf5_error(path, source);
        let dataset = file.dataset(name).map_err(failed)?;
        let shape: Vec<usize> = dataset
            .shape()
            .map_err(failed)?
            .iter()
            .map(|&side| usize::try_from(side).unwrap_or(usize::MAX))
            .collect();
        let kind = dataset.datatype().map_err(failed)?;
        let item_bytes = dataset.element_size().map_err(failed)?;
        let item_bytes = usize::try_from(item_bytes).unwrap_or(usize::MAX);
        let bytes = bounded::array_bytes(&shape, item_bytes, path)?;
        // Places that were never written take no bytes of the file, but memory once they are read.
        let most = file.file_size().saturating_mul(MAX_COMPRESSION);
        if bytes > most {
            let expected =
                format!("a dataset `{name}` of at most {most} bytes in a file of this size");
            return Err(ImagingError::content(path, expected, bytes.to_string()));
        }
        Ok(Self {
            shape,
            name,
            dataset,
            kind,
            path,
        })
    }

    /// How the values lie in the file.
    pub(super) fn encoding(&self) -> Result<Encoding> {
        encoding(&self.kind).ok_or_else(|| {
            let expected = format!("numbers or pairs r, i of float32 as `{}`", self.name);
            ImagingError::content(self.path, expected, format!("{:?}", self.kind))
        })
    }

    /// Rows `start..start + count` of the first axis.
    pub(super) fn rows(&self, start: usize, count: usize) -> Result<Samples> {
        let mut samples = raw::none(self.encoding()?.kind);
        self.append_rows(&mut samples, start, count)?;
        Ok(samples)
    }

    pub(super) fn append_rows(
        &self,
        samples: &mut Samples,
        start: usize,
        count: usize,
    ) -> Result<()> {
        let rows = self.shape.first().copied().unwrap_or(0);
        if start.saturating_add(count) > rows {
            let expected = format!("a slice of `{}` below {rows}", self.name);
            return Err(ImagingError::content(
                self.path,
                expected,
                start.to_string(),
            ));
        }
        let bytes = self
            .dataset
            .read_raw_rows(start as u64, count as u64)
            .map_err(|source| hdf5_error(self.path, source))?;
        let values = count * self.shape.iter().skip(1).product::<usize>();
        let big_endian = self.encoding()?.big_endian;
        let mut source = bytes.as_slice();
        raw::read_more(samples, &mut source, values, big_endian, self.path)?;
        bounded::expect_end(source, self.path)
    }

    /// A dataset of one text.
    pub(super) fn text(&self) -> Result<String> {
        let one = self.shape.iter().product::<usize>() == 1;
        let texts = match &self.kind {
            Datatype::VariableLength { .. } if one => {
                let options = VlenStringReadOptions::new()
                    .with_max_elements(1)
                    .with_max_payload_bytes(MAX_TEXT_BYTES);
                self.dataset.read_vlen_strings(options)
            }
            Datatype::String { size, .. } if one && *size as usize <= MAX_TEXT_BYTES => {
                self.dataset.read_string()
            }
            other => {
                let expected = format!(
                    "one text of at most {MAX_TEXT_BYTES} bytes as `{}`",
                    self.name
                );
                let found = format!("shape {:?} of {other:?}", self.shape);
                return Err(ImagingError::content(self.path, expected, found));
            }
        };
        let texts = texts.map_err(|source| hdf5_error(self.path, source))?;
        texts.into_iter().next().ok_or_else(|| {
            ImagingError::content(self.path, format!("a text as `{}`", self.name), "none")
        })
    }

    pub(super) fn wrong_rank(&self, expected: &str) -> ImagingError {
        let expected = format!("{expected} of `{}`", self.name);
        ImagingError::content(self.path, expected, format!("shape {:?}", self.shape))
    }
}

/// The types that are read: whole bytes, IEEE floats, and complex numbers as h5py stores them.
fn encoding(kind: &Datatype) -> Option<Encoding> {
    match kind {
        Datatype::FixedPoint {
            size,
            byte_order,
            layout,
        } => Some(Encoding {
            kind: integer(*size, *layout)?,
            big_endian: is_big(*byte_order)?,
        }),
        Datatype::FloatingPoint {
            size,
            byte_order,
            layout,
        } => Some(Encoding {
            kind: float(*size, *layout)?,
            big_endian: is_big(*byte_order)?,
        }),
        // h5py's booleans.
        Datatype::Enumeration { base_type, .. } => encoding(base_type),
        Datatype::Compound { size: 8, members } => complex(members),
        _ => None,
    }
}

/// A pair of real and imaginary part in single precision, one after the other.
fn complex(members: &[CompoundMember]) -> Option<Encoding> {
    let [real, imaginary] = members else {
        return None;
    };
    let is_pair = matches!(
        (real.name.as_str(), imaginary.name.as_str()),
        ("r", "i") | ("real", "imag")
    );
    let parts = (encoding(&real.datatype)?, encoding(&imaginary.datatype)?);
    let is_single = parts.0.kind == SampleType::Float32 && parts.0 == parts.1;
    let is_packed = (real.byte_offset, imaginary.byte_offset) == (0, 4);
    (is_pair && is_single && is_packed).then_some(Encoding {
        kind: SampleType::Complex64,
        big_endian: parts.0.big_endian,
    })
}

fn integer(size: u32, layout: FixedPointLayout) -> Option<SampleType> {
    let whole = layout.bit_offset == 0 && u32::from(layout.bit_precision) == size * 8;
    let kind = match (size, layout.signed) {
        (1, false) => SampleType::UInt8,
        (1, true) => SampleType::Int8,
        (2, false) => SampleType::UInt16,
        (2, true) => SampleType::Int16,
        (4, false) => SampleType::UInt32,
        (4, true) => SampleType::Int32,
        (8, false) => SampleType::UInt64,
        (8, true) => SampleType::Int64,
        _ => return None,
    };
    whole.then_some(kind)
}

fn float(size: u32, layout: FloatingPointLayout) -> Option<SampleType> {
    match (size, layout) {
        (4, FloatingPointLayout::IEEE754_BINARY32) => Some(SampleType::Float32),
        (8, FloatingPointLayout::IEEE754_BINARY64) => Some(SampleType::Float64),
        _ => None,
    }
}

/// Which byte comes first; `None` for that of a VAX.
fn is_big(order: DatatypeByteOrder) -> Option<bool> {
    match order {
        DatatypeByteOrder::LittleEndian => Some(false),
        DatatypeByteOrder::BigEndian => Some(true),
        DatatypeByteOrder::Vax => None,
    }
}
