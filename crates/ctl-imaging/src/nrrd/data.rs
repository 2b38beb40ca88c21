//! The values of an NRRD file, attached or in files of their own.

use super::header::{NrrdEncoding, NrrdHeader};
use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::raw;
use crate::sidecar::path_beside;
use crate::volume::{SampleType, Samples};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Where data come from: a file, or bytes in memory.
pub(super) trait Source: BufRead + Seek {}

impl<S: BufRead + Seek> Source for S {}

/// All values as `kind`, from the rest of the header's own file or from the files it names.
pub(super) fn read_data(
    header: &NrrdHeader,
    kind: SampleType,
    attached: &mut dyn Source,
    path: &Path,
) -> Result<Samples> {
    let values: usize = header.sizes().iter().product();
    // Two stored numbers make a complex value.
    let count = values / (kind.bytes() / header.kind.bytes());
    let mut samples = raw::none(kind);
    if header.files.is_empty() {
        read_part(&mut samples, attached, header, count, path)?;
        return Ok(samples);
    }
    let part = part_of(header, count, path)?;
    for name in &header.files {
        let path = path_beside(path, name)?;
        let (file, _) = bounded::open_file(&path)?;
        read_part(&mut samples, &mut BufReader::new(file), header, part, &path)?;
    }
    Ok(samples)
}

/// How many values one data file holds.
fn part_of(header: &NrrdHeader, count: usize, path: &Path) -> Result<usize> {
    let files = header.files.len();
    let sizes = header.sizes();
    let beyond: usize = sizes.iter().skip(header.file_axes).product();
    let last = sizes.last().copied().unwrap_or(1);
    // Files of all axes are slabs along the last one.
    let is_whole = if header.file_axes < sizes.len() {
        files == beyond
    } else {
        last.is_multiple_of(files)
    };
    if is_whole && count.is_multiple_of(files) {
        return Ok(count / files);
    }
    Err(ImagingError::content(
        path,
        format!(
            "data files of {} axes that make up {sizes:?}",
            header.file_axes
        ),
        format!("{files}"),
    ))
}

/// Appends `count` values of one source, which ends after them.
fn read_part(
    samples: &mut Samples,
    source: &mut dyn Source,
    header: &NrrdHeader,
    count: usize,
    path: &Path,
) -> Result<()> {
    for _ in 0..header.line_skip {
        skip_line(source, path)?;
    }
    let big_endian = header.big_endian;
    match header.encoding {
        NrrdEncoding::Raw => {
            if header.byte_skip < 0 {
                seek_to_last(source, count * samples.sample_type().bytes(), path)?;
            } else {
                skip_bytes(source, header.byte_skip, path)?;
            }
            raw::read_more(samples, source, count, big_endian, path)?;
            bounded::expect_end(source, path)
        }
        NrrdEncoding::Gzip => {
            let mut decoder = MultiGzDecoder::new(source);
            skip_bytes(&mut decoder, header.byte_skip, path)?;
            raw::read_more(samples, &mut decoder, count, big_endian, path)?;
            bounded::expect_end(decoder, path)
        }
        NrrdEncoding::Hex => {
            skip_bytes(source, header.byte_skip, path)?;
            let mut digits = HexReader { inner: source };
            raw::read_more(samples, &mut digits, count, big_endian, path)?;
            bounded::expect_end(digits, path)
        }
        NrrdEncoding::Text => {
            skip_bytes(source, header.byte_skip, path)?;
            read_text(samples, source, count, path)
        }
    }
}

/// Numbers in text; two of them make a complex value.
fn read_text(
    samples: &mut Samples,
    source: &mut dyn Source,
    count: usize,
    path: &Path,
) -> Result<()> {
    let part = match samples.sample_type() {
        SampleType::Complex64 => SampleType::Float32,
        SampleType::Complex128 => SampleType::Float64,
        _ => return raw::parse_more(samples, source, count, path),
    };
    let mut parts = raw::none(part);
    raw::parse_more(&mut parts, source, 2 * count, path)?;
    let mut bytes = Vec::new();
    raw::write_samples(&parts, &mut bytes)
        .map_err(|source| ImagingError::io(path, "read", source))?;
    raw::read_more(samples, &mut bytes.as_slice(), count, false, path)
}

fn skip_line(source: &mut dyn Source, path: &Path) -> Result<()> {
    loop {
        let available = source
            .fill_buf()
            .map_err(|source| ImagingError::io(path, "read", source))?;
        if available.is_empty() {
            let found = "fewer (truncated)";
            return Err(ImagingError::content(path, "the lines to skip", found));
        }
        if let Some(end) = available.iter().position(|&byte| byte == b'\n') {
            source.consume(end + 1);
            return Ok(());
        }
        let length = available.len();
        source.consume(length);
    }
}

fn skip_bytes(source: &mut dyn Read, bytes: i64, path: &Path) -> Result<()> {
    let wanted = bytes.unsigned_abs();
    let skipped = io::copy(&mut Read::take(source, wanted), &mut io::sink())
        .map_err(|source| ImagingError::io(path, "read", source))?;
    if skipped == wanted {
        return Ok(());
    }
    Err(ImagingError::content(
        path,
        format!("{wanted} bytes to skip"),
        format!("{skipped} (truncated)"),
    ))
}

/// Goes to where as many bytes as the data have are left, which is not before the header's end.
fn seek_to_last(source: &mut dyn Source, bytes: usize, path: &Path) -> Result<()> {
    let failed = |source| ImagingError::io(path, "read", source);
    let here = source.stream_position().map_err(failed)?;
    let end = source.seek(SeekFrom::End(0)).map_err(failed)?;
    let left = end.saturating_sub(here);
    if left < bytes as u64 {
        return Err(ImagingError::content(
            path,
            format!("{bytes} bytes of data"),
            format!("{left} (truncated)"),
        ));
    }
    source
        .seek(SeekFrom::Start(end - bytes as u64))
        .map_err(failed)?;
    Ok(())
}

/// Bytes from pairs of hexadecimal digits, blanks between them left out.
struct HexReader<'a> {
    inner: &'a mut dyn Source,
}

impl HexReader<'_> {
    fn digit(&mut self) -> io::Result<Option<u8>> {
        loop {
            let Some(&byte) = self.inner.fill_buf()?.first() else {
                return Ok(None);
            };
            self.inner.consume(1);
            if byte.is_ascii_whitespace() {
                continue;
            }
            let digit = char::from(byte).to_digit(16);
            return match digit {
                Some(digit) => Ok(Some(digit as u8)),
                None => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a hexadecimal digit was expected, found byte 0x{byte:02x}"),
                )),
            };
        }
    }
}

impl Read for HexReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for (filled, byte) in buffer.iter_mut().enumerate() {
            let Some(high) = self.digit()? else {
                return Ok(filled);
            };
            // Half a byte at the end is as good as none: the value is not whole.
            let Some(low) = self.digit()? else {
                return Ok(filled);
            };
            *byte = high << 4 | low;
        }
        Ok(buffer.len())
    }
}
