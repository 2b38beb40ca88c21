//! Frames of compressed pixels, decoded in parallel.

use super::jpeg2000;
use super::layout::Layout;
use super::native::numbers;
use super::{Problem, frames, jpeg, rle};
use crate::dicom::data::{Compression, DataSet, Encoding, Source};
use crate::error::ImagingError;
use crate::volume::{SampleType, Samples};
use crate::{Result, jpegls};
use rayon::prelude::*;

/// Values of a frame and what its stream says of them.
struct Frame {
    samples: Samples,
    /// Another photometric interpretation than the data set's.
    photometric: Option<&'static str>,
}

/// The values of all frames.
pub(super) fn decode(
    source: &Source,
    set: &DataSet<'_>,
    layout: &mut Layout,
    photometric: &mut String,
) -> Result<Samples> {
    let path = source.path();
    let compression = source.compression();
    if compression == Compression::Unknown {
        let uid = source.syntax().map_or("none", |syntax| &syntax.uid);
        return Err(ImagingError::content(
            path,
            "a transfer syntax whose pixels are read",
            uid,
        ));
    }
    let frames = frames::frames(set, layout.frames, path)?;
    layout.frames = frames.len();
    let decoded: Vec<Frame> = frames
        .par_iter()
        .enumerate()
        .map(|(index, bytes)| {
            frame(bytes, compression, layout).map_err(|problem| {
                let expected = format!("{} in frame {index}", problem.expected);
                ImagingError::content(path, expected, problem.found)
            })
        })
        .collect::<Result<_>>()?;
    if let Some(other) = decoded.first().and_then(|frame| frame.photometric) {
        other.clone_into(photometric);
    }
    joined(decoded, layout.sample_type())
        .ok_or_else(|| ImagingError::content(path, "frames of one type", "several"))
}

fn frame(
    bytes: &[u8],
    compression: Compression,
    layout: &Layout,
) -> std::result::Result<Frame, Problem> {
    match compression {
        Compression::Rle => {
            let pixels = layout.rows * layout.columns;
            if layout.bits_allocated == 1 {
                return Err(Problem::new("whole bytes of RLE pixels", "single bits"));
            }
            let bytes_a_value = layout.bits_allocated as usize / 8;
            let values = rle::decode(bytes, pixels, layout.samples, bytes_a_value)?;
            Ok(Frame {
                samples: super::masked(numbers(&values, layout, Encoding::IMPLICIT), layout),
                photometric: None,
            })
        }
        Compression::Jpeg => jpeg(bytes, layout),
        Compression::JpegLs => jpeg_ls(bytes, layout),
        _ => jpeg_2000(bytes, layout),
    }
}

fn jpeg(bytes: &[u8], layout: &Layout) -> std::result::Result<Frame, Problem> {
    let picture = jpeg::decode(bytes)?;
    check_size(
        (picture.width, picture.height, picture.components),
        layout,
        "JPEG",
    )?;
    check_precision(picture.precision, layout)?;
    let is_ycc = layout.photometric.starts_with("YBR");
    let photometric = match layout.samples {
        3 if picture.says_rgb => Some("RGB"),
        3 if picture.says_ycc && !is_ycc => Some("YBR_FULL"),
        _ => None,
    };
    let samples = stored(picture.values.iter().map(|&value| value.into()), layout);
    Ok(Frame {
        samples: super::masked(samples, layout),
        photometric,
    })
}

/// JPEG-LS knows no sign: the highest bit of its precision is one where pixels are signed.
fn jpeg_ls(bytes: &[u8], layout: &Layout) -> std::result::Result<Frame, Problem> {
    let picture = jpegls::decode(bytes)
        .map_err(|error| Problem::new(error.expected().to_owned(), error.found().to_owned()))?;
    check_size(
        (picture.width, picture.height, picture.components),
        layout,
        "JPEG-LS",
    )?;
    check_precision(picture.bits, layout)?;
    let values = picture.samples.iter().map(|&value| i64::from(value));
    Ok(Frame {
        samples: if layout.signed {
            stored(values.map(|value| signed(value, picture.bits)), layout)
        } else {
            stored(values, layout)
        },
        photometric: None,
    })
}

fn jpeg_2000(bytes: &[u8], layout: &Layout) -> std::result::Result<Frame, Problem> {
    let picture = jpeg2000::decode(bytes, layout.columns, layout.rows, layout.samples)?;
    check_precision(picture.precision, layout)?;
    let precision = picture.precision;
    let values = picture.values.iter().map(|&value| i64::from(value));
    let monochrome = layout.photometric.starts_with("MONOCHROME");
    // Streams exist whose sign is not that of the data set, which is the one to go by.
    let samples = match (picture.signed, layout.signed) {
        (false, true) if monochrome => stored(values.map(|value| signed(value, precision)), layout),
        (true, false) if monochrome => {
            let mask = (1_i64 << precision) - 1;
            stored(values.map(|value| value & mask), layout)
        }
        _ => stored(values, layout),
    };
    // The colour transforms of JPEG 2000 are part of it and undone by its decoder.
    let photometric = ["YBR_ICT", "YBR_RCT"].contains(&layout.photometric.as_str());
    Ok(Frame {
        samples,
        photometric: photometric.then_some("RGB"),
    })
}

/// The value of a two's complement of `bits` bits.
fn signed(value: i64, bits: u32) -> i64 {
    let unused = 64 - bits;
    value << unused >> unused
}

fn check_size(
    found: (usize, usize, usize),
    layout: &Layout,
    format: &str,
) -> std::result::Result<(), Problem> {
    let expected = (layout.columns, layout.rows, layout.samples);
    if found == expected {
        return Ok(());
    }
    Err(Problem::new(
        format!(
            "{format} of {} x {} pixels of {}",
            expected.0, expected.1, expected.2
        ),
        format!("{} x {} of {}", found.0, found.1, found.2),
    ))
}

fn check_precision(found: u32, layout: &Layout) -> std::result::Result<(), Problem> {
    if found <= layout.bits_allocated {
        return Ok(());
    }
    let expected = format!("at most {} bits a value", layout.bits_allocated);
    Err(Problem::new(expected, found.to_string()))
}

/// Values in the layout's type; what does not fit into it wraps as in a register.
fn stored(values: impl Iterator<Item = i64>, layout: &Layout) -> Samples {
    match layout.sample_type() {
        SampleType::Int8 => Samples::I8(values.map(|value| value as i8).collect()),
        SampleType::UInt16 => Samples::U16(values.map(|value| value as u16).collect()),
        SampleType::Int16 => Samples::I16(values.map(|value| value as i16).collect()),
        SampleType::UInt32 => Samples::U32(values.map(|value| value as u32).collect()),
        SampleType::Int32 => Samples::I32(values.map(|value| value as i32).collect()),
        SampleType::UInt64 => Samples::U64(values.map(i64::cast_unsigned).collect()),
        SampleType::Int64 => Samples::I64(values.collect()),
        _ => Samples::U8(values.map(|value| value as u8).collect()),
    }
}

/// One after the other; `None` if their types differ or there are none.
fn joined(frames: Vec<Frame>, kind: SampleType) -> Option<Samples> {
    let mut frames = frames.into_iter().map(|frame| frame.samples);
    let first = frames.next().filter(|first| first.sample_type() == kind)?;
    frames.try_fold(first, append)
}

pub(crate) fn append(all: Samples, next: Samples) -> Option<Samples> {
    macro_rules! append {
        ($($variant:ident),+) => {
            match (all, next) {
                $((Samples::$variant(mut all), Samples::$variant(next)) => {
                    all.extend(next);
                    Some(Samples::$variant(all))
                })+
                _ => None,
            }
        };
    }
    append!(U8, I8, U16, I16, U32, I32, U64, I64, F32, F64)
}
