//! Series whose slices are uncompressed: values go from the files to their place in the volume,
//! without a copy of a file or a slice on the way.

use super::SeriesOptions;
use super::plane::{Header, Plane};
use crate::Result;
use crate::bounded::open_file;
use crate::dicom::pixels::Layout;
use crate::error::ImagingError;
use crate::volume::{SampleType, Samples, Scaling, Value};
use rayon::prelude::*;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// Slices that several threads read together.
const BATCH: usize = 32;

/// Values that are read and converted at a time, while they are in the cache.
const PIECE: usize = 1 << 16;

/// The values of all planes in order; `None` where a slice is compressed, coloured, one of several
/// in its file or otherwise more than a run of values.
///
/// # Arguments
/// * `stored`: whether values stay as they are; otherwise they are scaled, in single precision.
pub(super) fn samples(
    headers: &[Header],
    planes: &[&Plane],
    order: &[usize],
    stored: bool,
    options: &SeriesOptions,
) -> Result<Option<Samples>> {
    let slice = |&index: &usize| {
        let plane = planes[index];
        let header = &headers[plane.file];
        let has_palette = options.apply_palette && header.layout.photometric == "PALETTE COLOR";
        let place = header.plain.clone().filter(|_| !has_palette)?;
        Some(Slice {
            path: &header.path,
            layout: &header.layout,
            place,
            scaling: plane.scaling,
        })
    };
    let Some(slices) = order.iter().map(slice).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let Some(first) = slices.first() else {
        return Ok(None);
    };
    macro_rules! of_type {
        ($number:ty, $samples:ident) => {
            if stored {
                let decode = |slice: &Slice<'_>, bytes: &[u8], out: &mut [$number]| {
                    <$number>::decode(slice.layout, bytes, out, |value| value);
                };
                Samples::$samples(stacked(&slices, &decode)?)
            } else {
                Samples::F32(stacked(&slices, &single::<$number>)?)
            }
        };
    }
    Ok(Some(match first.layout.sample_type() {
        SampleType::UInt8 => of_type!(u8, U8),
        SampleType::Int8 => of_type!(i8, I8),
        SampleType::UInt16 => of_type!(u16, U16),
        SampleType::Int16 => of_type!(i16, I16),
        SampleType::UInt32 => of_type!(u32, U32),
        SampleType::Int32 => of_type!(i32, I32),
        SampleType::UInt64 => of_type!(u64, U64),
        SampleType::Int64 => of_type!(i64, I64),
        _ => return Ok(None),
    }))
}

/// A run of values in a file.
struct Slice<'a> {
    path: &'a Path,
    layout: &'a Layout,
    place: Range<u64>,
    scaling: Scaling,
}

/// Makes values of the bytes of a slice, or of a part of it.
type Decode<'a, N> = &'a (dyn Fn(&Slice<'_>, &[u8], &mut [N]) + Sync);

/// The values of all slices, one after the other.
fn stacked<N: Copy + Default + Send>(
    slices: &[Slice<'_>],
    decode: Decode<'_, N>,
) -> Result<Vec<N>> {
    let values = slices[0].layout.frame_values();
    let mut all = Vec::new();
    // Memory that is not filled yet costs nothing; where there is not so much, the error comes when
    // it is needed.
    let _ = all.try_reserve_exact(values.saturating_mul(slices.len()));
    // Memory is zeroed before it is filled: by a single thread, while it is in the cache.
    let together = if rayon::current_num_threads() == 1 {
        1
    } else {
        BATCH
    };
    for batch in slices.chunks(together) {
        let from = all.len();
        all.resize(from + batch.len() * values, N::default());
        batch
            .par_iter()
            .zip(all[from..].par_chunks_mut(values))
            .try_for_each_init(Vec::new, |buffer, (slice, out)| {
                slice.fill(out, buffer, decode)
            })?;
    }
    Ok(all)
}

impl Slice<'_> {
    fn fill<N>(&self, out: &mut [N], buffer: &mut Vec<u8>, decode: Decode<'_, N>) -> Result<()> {
        let (mut file, _) = open_file(self.path)?;
        file.seek(SeekFrom::Start(self.place.start))
            .map_err(|error| self.failed(error))?;
        let bytes = self.layout.bits_allocated as usize / 8;
        for out in out.chunks_mut(PIECE) {
            buffer.resize(out.len() * bytes, 0);
            file.read_exact(buffer)
                .map_err(|error| self.failed(error))?;
            decode(self, buffer, out);
        }
        Ok(())
    }

    /// An error of reading; the file had all bytes when its header was read.
    fn failed(&self, error: io::Error) -> ImagingError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            let expected = format!("{} bytes", self.place.end);
            return ImagingError::content(self.path, expected, "fewer (truncated)");
        }
        ImagingError::io(self.path, "read", error)
    }
}

/// Scaled numbers in single precision, scaled in double precision before they are rounded where
/// that is not the same.
fn single<T: Stored>(slice: &Slice<'_>, bytes: &[u8], out: &mut [f32]) {
    let (layout, scaling) = (slice.layout, slice.scaling);
    if scaling == Scaling::NONE {
        T::decode(layout, bytes, out, Value::to_f32);
    } else if let Some((slope, intercept)) = scaling.in_single_precision(layout.sample_type()) {
        T::decode(layout, bytes, out, |value| {
            Value::to_f32(value) * slope + intercept
        });
    } else {
        T::decode(layout, bytes, out, |value| {
            scaling.apply(Value::to_f64(value)) as f32
        });
    }
}

/// An integer type of uncompressed pixels.
trait Stored: Value {
    /// Values of little-endian bytes, those bits alone that belong to them.
    fn decode<N>(layout: &Layout, bytes: &[u8], out: &mut [N], convert: impl Fn(Self) -> N);
}

macro_rules! stored {
    ($($number:ty),+) => {$(
        impl Stored for $number {
            fn decode<N>(
                layout: &Layout,
                bytes: &[u8],
                out: &mut [N],
                convert: impl Fn(Self) -> N,
            ) {
                let values = out.iter_mut().zip(bytes.as_chunks().0);
                // Decided once, outside the loops, which then are vector code.
                if layout.bits_stored == layout.bits_allocated {
                    values.for_each(|(out, &raw)| *out = convert(Self::from_le_bytes(raw)));
                } else {
                    let left = layout.bits_allocated - layout.high_bit - 1;
                    let right = layout.bits_allocated - layout.bits_stored;
                    values.for_each(|(out, &raw)| {
                        *out = convert(Self::from_le_bytes(raw) << left >> right);
                    });
                }
            }
        }
    )+};
}

stored!(u8, i8, u16, i16, u32, i32, u64, i64);
