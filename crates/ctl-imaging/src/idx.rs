//! IDX arrays, the format of MNIST: bytes with a shape, plain or gzipped.

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use std::io::Read;
use std::path::Path;

/// The element type code of unsigned bytes, the only one that images and labels use.
const UNSIGNED_BYTE: u8 = 0x08;

/// An array of bytes with its shape, as an IDX file holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxArray {
    /// Length of each axis, slowest first: `[N, H, W]` for images, `[N]` for labels.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub bytes: Vec<u8>,
}

/// Reads an IDX file of unsigned bytes.
///
/// # Arguments
/// * `path`: the file; gzip is recognised by content, not by name.
///
/// # Returns
/// Shape and elements.
///
/// # Errors
/// [`ImagingError::Io`] when the file cannot be read or its gzip stream is damaged;
/// [`ImagingError::Content`] when it is not IDX, has elements other than unsigned bytes, is larger
/// than 4 GiB, or has fewer or more elements than it declares.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("labels-idx1-ubyte");
/// std::fs::write(&path, [0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])?;
/// let labels = ctl_imaging::idx::read_idx(&path)?;
/// assert_eq!(labels.shape, [3]);
/// assert_eq!(labels.bytes, [7, 2, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
/// Y. Le Cun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", file format section.
pub fn read_idx(path: &Path) -> Result<IdxArray> {
    read_from(bounded::open_maybe_gzip(path)?, path)
}

/// Reads an IDX array from memory, uncompressed; see [`read_idx`].
///
/// # Arguments
/// * `bytes`: the content of the file.
/// * `origin`: where it came from, for errors.
///
/// # Returns
/// Shape and elements.
///
/// # Errors
/// Those of [`read_idx`].
///
/// # Examples
/// ```
/// use std::path::Path;
///
/// let pair = ctl_imaging::idx::parse_idx(&[0, 0, 8, 1, 0, 0, 0, 2, 5, 6], Path::new("pair"))?;
/// assert_eq!(pair.bytes, [5, 6]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn parse_idx(bytes: &[u8], origin: &Path) -> Result<IdxArray> {
    read_from(bytes, origin)
}

/// Reads the shape of an IDX file, without its elements.
///
/// # Arguments
/// * `path`: the file, plain or gzipped.
///
/// # Returns
/// Length of each axis, slowest first.
///
/// # Errors
/// Those of [`read_idx`] that concern the header.
pub fn idx_shape(path: &Path) -> Result<Vec<usize>> {
    read_shape(&mut bounded::open_maybe_gzip(path)?, path)
}

fn read_from(mut reader: impl Read, path: &Path) -> Result<IdxArray> {
    let shape = read_shape(&mut reader, path)?;
    let count = bounded::array_bytes(&shape, 1, path)?;
    let bytes = bounded::read_exactly(&mut reader, count, path)?;
    bounded::expect_end(reader, path)?;
    Ok(IdxArray { shape, bytes })
}

/// Two zero bytes, the element type, the number of axes, and each axis as a big-endian `u32`.
fn read_shape(reader: &mut impl Read, path: &Path) -> Result<Vec<usize>> {
    let magic = bounded::read_exactly(&mut *reader, 4, path)?;
    let &[0, 0, kind, axes] = magic.as_slice() else {
        return Err(ImagingError::content(
            path,
            "an IDX header",
            format!("bytes {magic:02x?}"),
        ));
    };
    if kind != UNSIGNED_BYTE {
        let found = format!("elements of type 0x{kind:02x}");
        return Err(ImagingError::content(
            path,
            "IDX elements of type 0x08 (bytes)",
            found,
        ));
    }
    let sides = bounded::read_exactly(reader, 4 * u64::from(axes), path)?;
    let (sides, _) = sides.as_chunks::<4>();
    let shape: Vec<usize> = sides
        .iter()
        .map(|&side| u32::from_be_bytes(side) as usize)
        .collect();
    bounded::array_bytes(&shape, 1, path)?;
    Ok(shape)
}
