//! The values of a `MetaImage`, within its file or in files of their own.

use super::header::MetaHeader;
use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::raw;
use crate::sidecar::path_beside;
use crate::volume::Samples;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Where data come from: a file, or bytes in memory.
pub(super) trait Source: BufRead + Seek {}

impl<S: BufRead + Seek> Source for S {}

/// All values, from the rest of the header's own file or from the files it names.
pub(super) fn read_data(
    header: &MetaHeader,
    local: &mut dyn Source,
    path: &Path,
) -> Result<Samples> {
    let count = header.sizes.iter().product::<usize>() * header.channels;
    let mut samples = raw::none(header.kind);
    if header.files.is_empty() {
        read_part(&mut samples, local, header, count, path)?;
        return Ok(samples);
    }
    let part = part_of(header, count, path)?;
    for name in &header.files {
        let path = path_beside(path, name)?;
        let (file, _) = bounded::open_file(&path)?;
        let mut source = BufReader::new(file);
        if header.header_bytes > 0 {
            seek(
                &mut source,
                SeekFrom::Start(header.header_bytes.unsigned_abs()),
                &path,
            )?;
        }
        read_part(&mut samples, &mut source, header, part, &path)?;
    }
    Ok(samples)
}

/// How many values one data file holds.
fn part_of(header: &MetaHeader, count: usize, path: &Path) -> Result<usize> {
    let files = header.files.len();
    let beyond: usize = header.sizes.iter().skip(header.file_axes).product();
    let last = header.sizes.last().copied().unwrap_or(1);
    // Files of all axes are slabs along the last one.
    let is_whole = if header.file_axes < header.sizes.len() {
        files == beyond
    } else {
        last.is_multiple_of(files)
    };
    if is_whole && count.is_multiple_of(files) {
        return Ok(count / files);
    }
    let expected = format!(
        "data files of {} axes that make up {:?}",
        header.file_axes, header.sizes
    );
    Err(ImagingError::content(path, expected, format!("{files}")))
}

/// Appends `count` values of one source, which ends after them.
fn read_part(
    samples: &mut Samples,
    source: &mut dyn Source,
    header: &MetaHeader,
    count: usize,
    path: &Path,
) -> Result<()> {
    if !header.is_binary {
        return raw::parse_more(samples, source, count, path);
    }
    if header.is_compressed {
        return read_compressed(samples, source, header, count, path);
    }
    if header.header_bytes < 0 {
        seek_to_last(source, count * header.kind.bytes(), path)?;
    }
    raw::read_more(samples, source, count, header.big_endian, path)?;
    bounded::expect_end(source, path)
}

/// Data compressed as by zlib, or by gzip, which `MetaIO` takes as well.
fn read_compressed(
    samples: &mut Samples,
    source: &mut dyn Source,
    header: &MetaHeader,
    count: usize,
    path: &Path,
) -> Result<()> {
    let failed = |source| ImagingError::io(path, "read", source);
    let is_gzip = source.fill_buf().map_err(failed)?.first() == Some(&0x1f);
    let mut source = source.take(header.compressed_bytes.unwrap_or(u64::MAX));
    let big_endian = header.big_endian;
    if is_gzip {
        let mut decoder = GzDecoder::new(&mut source);
        raw::read_more(samples, &mut decoder, count, big_endian, path)?;
        bounded::expect_end(decoder, path)?;
    } else {
        let mut decoder = ZlibDecoder::new(&mut source);
        raw::read_more(samples, &mut decoder, count, big_endian, path)?;
        bounded::expect_end(decoder, path)?;
    }
    // What the header counts is used up, and nothing follows it.
    bounded::expect_end(&mut source, path)?;
    if header.compressed_bytes.is_some() && source.limit() > 0 {
        let found = format!("{} bytes less (truncated)", source.limit());
        let expected = "compressed data of CompressedDataSize";
        return Err(ImagingError::content(path, expected, found));
    }
    bounded::expect_end(source.into_inner(), path)
}

/// Goes to where as many bytes as the data have are left, which is not before the header's end.
fn seek_to_last(source: &mut dyn Source, bytes: usize, path: &Path) -> Result<()> {
    let here = seek(source, SeekFrom::Current(0), path)?;
    let end = seek(source, SeekFrom::End(0), path)?;
    let left = end.saturating_sub(here);
    if left < bytes as u64 {
        return Err(ImagingError::content(
            path,
            format!("{bytes} bytes of data"),
            format!("{left} (truncated)"),
        ));
    }
    seek(source, SeekFrom::Start(end - bytes as u64), path)?;
    Ok(())
}

fn seek(source: &mut dyn Source, place: SeekFrom, path: &Path) -> Result<u64> {
    source
        .seek(place)
        .map_err(|source| ImagingError::io(path, "read", source))
}
