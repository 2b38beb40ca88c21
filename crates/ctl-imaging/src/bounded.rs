//! Reading files without trusting the sizes that they declare.

use crate::Result;
use crate::error::ImagingError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Largest picture file, manifest or `cohort.toml` that is read whole (1 GiB).
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 30;

/// Largest array that is read from NPY, NPZ or IDX (4 GiB).
pub(crate) const MAX_ARRAY_BYTES: u64 = 1 << 32;

/// What is allocated before the first byte has arrived; the rest grows with what really comes.
const FIRST_ALLOCATION: u64 = 1 << 20;

/// How a gzip stream starts (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens a regular file that is not empty, and tells its length in bytes.
pub(crate) fn open_file(path: &Path) -> Result<(File, u64)> {
    // Asked before opening, which would wait for ever on a named pipe.
    let metadata = path
        .metadata()
        .map_err(|source| ImagingError::io(path, "open", source))?;
    if metadata.is_dir() {
        return Err(ImagingError::content(path, "a file", "a folder"));
    }
    if !metadata.is_file() {
        return Err(ImagingError::content(
            path,
            "a regular file",
            "a device or pipe",
        ));
    }
    if metadata.len() == 0 {
        return Err(ImagingError::content(
            path,
            "a file with content",
            "an empty file",
        ));
    }
    let file = File::open(path).map_err(|source| ImagingError::io(path, "open", source))?;
    Ok((file, metadata.len()))
}

/// A whole file of at most [`MAX_FILE_BYTES`].
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_file_into(path, &mut bytes)?;
    Ok(bytes)
}

/// A whole file in place of what a buffer held: who reads many is spared the system's new pages.
pub(crate) fn read_file_into(path: &Path, bytes: &mut Vec<u8>) -> Result<()> {
    let (file, length) = open_file(path)?;
    if length > MAX_FILE_BYTES {
        let expected = format!("at most {MAX_FILE_BYTES} bytes");
        return Err(ImagingError::content(
            path,
            expected,
            format!("{length} bytes"),
        ));
    }
    bytes.clear();
    bytes.reserve_exact(length as usize);
    // A file that grows meanwhile is cut at the limit rather than read without end.
    file.take(MAX_FILE_BYTES)
        .read_to_end(bytes)
        .map_err(|source| ImagingError::io(path, "read", source))?;
    Ok(())
}

/// The first bytes of a file, at most `count`.
pub(crate) fn read_start(path: &Path, count: u64) -> Result<Vec<u8>> {
    let (file, _) = open_file(path)?;
    let mut bytes = Vec::new();
    file.take(count)
        .read_to_end(&mut bytes)
        .map_err(|source| ImagingError::io(path, "read", source))?;
    Ok(bytes)
}

/// Exactly `count` bytes of a stream; a stream that ends before is truncated.
pub(crate) fn read_exactly(reader: impl Read, count: u64, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count.min(FIRST_ALLOCATION) as usize);
    reader
        .take(count)
        .read_to_end(&mut bytes)
        .map_err(|source| ImagingError::io(path, "read", source))?;
    if (bytes.len() as u64) < count {
        let found = format!("{} (truncated)", bytes.len());
        return Err(ImagingError::content(
            path,
            format!("{count} bytes of data"),
            found,
        ));
    }
    Ok(bytes)
}

/// Checks that a stream ends here, which also makes gzip and zip compare their checksums.
pub(crate) fn expect_end(mut reader: impl Read, path: &Path) -> Result<()> {
    match reader.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(ImagingError::content(
            path,
            "the declared bytes of data",
            "more",
        )),
        Err(source) => Err(ImagingError::io(path, "read", source)),
    }
}

/// A file's content, uncompressed if it starts like gzip, whatever its name.
pub(crate) fn open_maybe_gzip(path: &Path) -> Result<Box<dyn Read>> {
    let (mut file, _) = open_file(path)?;
    let read = |source| ImagingError::io(path, "read", source);
    let mut magic = Vec::new();
    file.by_ref()
        .take(2)
        .read_to_end(&mut magic)
        .map_err(read)?;
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let buffered = BufReader::new(file);
    if magic == GZIP_MAGIC {
        Ok(Box::new(MultiGzDecoder::new(buffered)))
    } else {
        Ok(Box::new(buffered))
    }
}

/// Bytes of an array of `shape` with items of `item_bytes`, if it is one that we would read.
pub(crate) fn array_bytes(shape: &[usize], item_bytes: usize, path: &Path) -> Result<u64> {
    shape
        .iter()
        .try_fold(item_bytes as u64, |bytes, &side| {
            bytes.checked_mul(side as u64)
        })
        .filter(|&bytes| bytes <= MAX_ARRAY_BYTES)
        .ok_or_else(|| {
            let expected = format!("an array of at most {MAX_ARRAY_BYTES} bytes");
            ImagingError::content(
                path,
                expected,
                format!("shape {shape:?} of {item_bytes} bytes"),
            )
        })
}
