//! Stored values as the bytes or words of a file, and back.

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::volume::{SampleType, Samples, for_any_type};
use half::f16;
use num_complex::Complex;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes that are read or written at once.
const PIECE_BYTES: usize = 1 << 20;

/// How values lie in a file: their type, and whether the most significant byte comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub(crate) kind: SampleType,
    pub(crate) big_endian: bool,
}

impl Encoding {
    pub(crate) fn little(kind: SampleType) -> Self {
        Self {
            kind,
            big_endian: false,
        }
    }
}

/// No values of a type, to be filled by [`read_more`] or [`parse_more`].
pub(crate) fn none(kind: SampleType) -> Samples {
    match kind {
        SampleType::UInt8 => Samples::U8(Vec::new()),
        SampleType::Int8 => Samples::I8(Vec::new()),
        SampleType::UInt16 => Samples::U16(Vec::new()),
        SampleType::Int16 => Samples::I16(Vec::new()),
        SampleType::UInt32 => Samples::U32(Vec::new()),
        SampleType::Int32 => Samples::I32(Vec::new()),
        SampleType::UInt64 => Samples::U64(Vec::new()),
        SampleType::Int64 => Samples::I64(Vec::new()),
        SampleType::Float16 => Samples::F16(Vec::new()),
        SampleType::Float32 => Samples::F32(Vec::new()),
        SampleType::Float64 => Samples::F64(Vec::new()),
        SampleType::Complex64 => Samples::Complex64(Vec::new()),
        SampleType::Complex128 => Samples::Complex128(Vec::new()),
    }
}

/// Exactly `count` values of a stream.
pub(crate) fn read_samples(
    reader: &mut dyn Read,
    count: usize,
    encoding: Encoding,
    path: &Path,
) -> Result<Samples> {
    let mut samples = none(encoding.kind);
    read_more(&mut samples, reader, count, encoding.big_endian, path)?;
    Ok(samples)
}

/// Appends exactly `count` values of a stream; a stream that ends before is truncated.
pub(crate) fn read_more(
    samples: &mut Samples,
    reader: &mut dyn Read,
    count: usize,
    big_endian: bool,
    path: &Path,
) -> Result<()> {
    for_any_type!(samples, values => extend(values, reader, count, big_endian, path))
}

/// Appends exactly `count` numbers that stand as words between blanks or commas.
pub(crate) fn parse_more(
    samples: &mut Samples,
    reader: &mut dyn Read,
    count: usize,
    path: &Path,
) -> Result<()> {
    let mut text = String::new();
    reader
        .take(bounded::MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(|source| ImagingError::io(path, "read", source))?;
    for_any_type!(samples, values => extend_from_text(values, &text, count, path))
}

/// Writes values with the least significant byte first.
pub(crate) fn write_samples(samples: &Samples, writer: &mut dyn Write) -> io::Result<()> {
    for_any_type!(samples, values => write_all(values, writer))
}

fn extend<T: Stored>(
    values: &mut Vec<T>,
    reader: &mut dyn Read,
    count: usize,
    big_endian: bool,
    path: &Path,
) -> Result<()> {
    let mut left = count;
    let mut bytes = Vec::new();
    while left > 0 {
        let wanted = left.min(PIECE_BYTES / T::BYTES);
        bytes.clear();
        Read::take(&mut *reader, (wanted * T::BYTES) as u64)
            .read_to_end(&mut bytes)
            .map_err(|source| ImagingError::io(path, "read", source))?;
        if bytes.len() < wanted * T::BYTES {
            let whole = (count - left) * T::BYTES + bytes.len();
            return Err(ImagingError::content(
                path,
                format!("{} bytes of data", count.saturating_mul(T::BYTES)),
                format!("{whole} (truncated)"),
            ));
        }
        T::decode(&bytes, big_endian, values);
        left -= wanted;
    }
    Ok(())
}

fn extend_from_text<T: Stored>(
    values: &mut Vec<T>,
    text: &str,
    count: usize,
    path: &Path,
) -> Result<()> {
    let is_blank = |c: char| c.is_ascii_whitespace() || c == ',';
    let mut found = 0;
    for word in text.split(is_blank).filter(|word| !word.is_empty()) {
        let value = T::parse(word).ok_or_else(|| {
            let expected = format!("a number of {} bytes as value {found}", T::BYTES);
            ImagingError::content(path, expected, format!("{word:?}"))
        })?;
        values.push(value);
        found += 1;
        if found > count {
            break;
        }
    }
    if found == count {
        return Ok(());
    }
    let found = if found > count {
        "more".to_owned()
    } else {
        format!("{found} (truncated)")
    };
    Err(ImagingError::content(
        path,
        format!("{count} numbers of data"),
        found,
    ))
}

fn write_all<T: Stored>(values: &[T], writer: &mut dyn Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    for piece in values.chunks(PIECE_BYTES / T::BYTES) {
        bytes.clear();
        T::encode(piece, &mut bytes);
        writer.write_all(&bytes)?;
    }
    Ok(())
}

/// A value of a fixed number of bytes.
trait Stored: Copy {
    const BYTES: usize;

    /// Appends the values that whole groups of bytes stand for.
    fn decode(bytes: &[u8], big_endian: bool, values: &mut Vec<Self>);

    /// Appends the bytes of values, least significant first.
    fn encode(values: &[Self], bytes: &mut Vec<u8>);

    /// The value that a word spells.
    fn parse(word: &str) -> Option<Self>;
}

macro_rules! stored {
    ($($number:ty, $bytes:literal, $parse:expr;)+) => {$(
        impl Stored for $number {
            const BYTES: usize = $bytes;

            fn decode(bytes: &[u8], big_endian: bool, values: &mut Vec<Self>) {
                let (groups, _) = bytes.as_chunks::<$bytes>();
                if big_endian {
                    values.extend(groups.iter().map(|&group| Self::from_be_bytes(group)));
                } else {
                    values.extend(groups.iter().map(|&group| Self::from_le_bytes(group)));
                }
            }

            fn encode(values: &[Self], bytes: &mut Vec<u8>) {
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }

            fn parse(word: &str) -> Option<Self> {
                $parse(word)
            }
        }
    )+};
}

stored! {
    u8, 1, |word: &str| word.parse().ok();
    i8, 1, |word: &str| word.parse().ok();
    u16, 2, |word: &str| word.parse().ok();
    i16, 2, |word: &str| word.parse().ok();
    u32, 4, |word: &str| word.parse().ok();
    i32, 4, |word: &str| word.parse().ok();
    u64, 8, |word: &str| word.parse().ok();
    i64, 8, |word: &str| word.parse().ok();
    f16, 2, |word: &str| word.parse().ok().map(f16::from_f64);
    f32, 4, |word: &str| word.parse().ok();
    f64, 8, |word: &str| word.parse().ok();
}

/// Real and imaginary part, one after the other, each in the byte order of the file.
macro_rules! stored_pair {
    ($part:ty, $bytes:literal) => {
        impl Stored for Complex<$part> {
            const BYTES: usize = $bytes;

            fn decode(bytes: &[u8], big_endian: bool, values: &mut Vec<Self>) {
                let mut parts = Vec::with_capacity(2 * bytes.len() / $bytes);
                <$part>::decode(bytes, big_endian, &mut parts);
                let (pairs, _) = parts.as_chunks::<2>();
                values.extend(pairs.iter().map(|&[re, im]| Complex::new(re, im)));
            }

            fn encode(values: &[Self], bytes: &mut Vec<u8>) {
                let parts: Vec<$part> = values.iter().flat_map(|v| [v.re, v.im]).collect();
                <$part>::encode(&parts, bytes);
            }

            // No format of ours spells complex numbers.
            fn parse(_: &str) -> Option<Self> {
                None
            }
        }
    };
}

stored_pair!(f32, 8);
stored_pair!(f64, 16);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: SampleType, big_endian: bool, bytes: &[u8], count: usize) -> Result<Samples> {
        let encoding = Encoding { kind, big_endian };
        read_samples(&mut &*bytes, count, encoding, Path::new("values"))
    }

    #[test]
    fn byte_order_is_that_of_the_file() {
        let bytes = [0x3f, 0x80, 0, 0, 0x40, 0, 0, 0];
        assert_eq!(
            read(SampleType::Float32, true, &bytes, 2).unwrap(),
            Samples::F32(vec![1.0, 2.0])
        );
        assert_eq!(
            read(SampleType::Complex64, true, &bytes, 1).unwrap(),
            Samples::Complex64(vec![Complex::new(1.0, 2.0)])
        );
        assert_eq!(
            read(SampleType::Int16, false, &[0xfe, 0xff, 1, 0], 2).unwrap(),
            Samples::I16(vec![-2, 1])
        );
    }

    #[test]
    fn what_is_written_is_read_back_over_several_pieces() {
        for kind in SampleType::ALL {
            let numbers = (0..PIECE_BYTES / kind.bytes() + 3).map(|n| (n % 100) as f64);
            let samples = Samples::from_f64(numbers, kind).unwrap();
            let mut bytes = Vec::new();
            write_samples(&samples, &mut bytes).unwrap();
            assert_eq!(bytes.len(), samples.len() * kind.bytes());
            assert_eq!(read(kind, false, &bytes, samples.len()).unwrap(), samples);
        }
    }

    #[test]
    fn missing_bytes_and_words_are_counted() {
        let error = read(SampleType::Int16, false, &[1, 2, 3], 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "values: expected 4 bytes of data, found 3 (truncated)"
        );
        for (text, message) in [
            ("1 2", "expected 3 numbers of data, found 2 (truncated)"),
            ("1,2,3 4", "expected 3 numbers of data, found more"),
            (
                "1 2 256",
                "expected a number of 1 bytes as value 2, found \"256\"",
            ),
        ] {
            let mut samples = none(SampleType::UInt8);
            let read = parse_more(&mut samples, &mut text.as_bytes(), 3, Path::new("values"));
            assert_eq!(read.unwrap_err().to_string(), format!("values: {message}"));
        }
    }
}
