//! NRRD, "nearly raw raster data": a text header and values, in one file (`.nrrd`) or apart
//! (`.nhdr` and its data files).
//!
//! # What the axes become
//!
//! | axes of the file | in the [`Volume`] |
//! |---|---|
//! | without direction, before those of space (`vector`, `RGB-color`, …) | components of a voxel |
//! | the same, `complex`, two values of a floating-point type | complex values |
//! | two or three with a direction | the axes of space |
//! | without direction, after those of space (`list`, `time`, …) | frames |
//!
//! The affine comes from `space directions` and `space origin`, turned to RAS+ and to mm. `LAS` and
//! `LPS` are mirrored; `scanner-xyz` is taken for LPS, as ITK does, though the format does not say
//! how the patient lay: [`NrrdHeader::space`] tells. An image of two axes gets a third of
//! 1 mm along its normal. A file without anatomical space has no place in a patient:
//! [`read_nrrd`] refuses it, and [`read_nrrd_placed`] takes the affine from its caller.
//!
//! # References
//! Kindlmann, "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html, sections
//! 3 to 8.

mod data;
mod fields;
mod header;
mod layout;
mod lines;
mod write;

pub use header::{NrrdAxis, NrrdEncoding, NrrdHeader, NrrdSpace};
pub use write::{NrrdOptions, write_nrrd};

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::volume::{self, Affine, Volume, VolumeHeader};
use std::io::{BufReader, Cursor};
use std::path::Path;

/// How every version's file starts; the digit of the version follows.
const MAGIC: &[u8] = b"NRRD000";

/// Reads an NRRD file of version 1 to 5.
///
/// # Arguments
/// * `path`: the file, or the header beside its data files. Data may be raw, text, hexadecimal or
///   gzip; data files must lie in the header's folder or below, by relative names.
///
/// # Returns
/// Values in the type of the file; its affine in mm, RAS+.
///
/// # Errors
/// [`ImagingError::Io`] when a file cannot be read; [`ImagingError::Content`] when the header does
/// not follow the format, holds an unknown field or one twice, the data are longer or shorter than
/// it says, compressed with bzip2, or without a place in the patient (see
/// [`read_nrrd_placed`]).
///
/// # Examples
/// ```
/// use ctl_imaging::nrrd::parse_nrrd;
/// use std::path::Path;
///
/// let file = b"NRRD0004
/// type: uchar
/// dimension: 3
/// sizes: 2 1 1
/// encoding: raw
/// space: LPS
/// space directions: (2,0,0) (0,2,0) (0,0,3)
/// space origin: (10,0,0)
///
/// \x07\x09";
/// let volume = parse_nrrd(file, Path::new("pair.nrrd"))?;
/// assert_eq!(volume.value(&[1, 0, 0]), Some(9.0));
/// assert_eq!(volume.affine().to_world([1.0, 0.0, 0.0]), [-12.0, 0.0, 0.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn read_nrrd(path: &Path) -> Result<Volume> {
    read(path, None)
}

/// Reads an NRRD file and puts it where its caller says.
///
/// # Arguments
/// * `path`: as for [`read_nrrd`].
/// * `affine`: from voxel indices to mm, whatever the file says of it.
///
/// # Returns
/// The values. Where the file has no `space directions`, axes of kind `domain`, `space`, `time` or
/// none are those of the grid.
///
/// # Errors
/// Those of [`read_nrrd`] that do not concern the place.
pub fn read_nrrd_placed(path: &Path, affine: Affine) -> Result<Volume> {
    read(path, Some(affine))
}

/// Reads an NRRD file of attached data from memory; see [`read_nrrd`].
///
/// # Arguments
/// * `bytes`: the content of the file.
/// * `origin`: where it came from, for errors.
///
/// # Errors
/// Those of [`read_nrrd`], and [`ImagingError::Content`] when the data lie in other files.
pub fn parse_nrrd(bytes: &[u8], origin: &Path) -> Result<Volume> {
    let mut reader = Cursor::new(bytes);
    let header = NrrdHeader::read(&mut reader, origin)?;
    if !header.files.is_empty() {
        let found = format!("the data file {:?}", header.files[0]);
        return Err(ImagingError::content(
            origin,
            "data within an NRRD file in memory",
            found,
        ));
    }
    volume(&header, &mut reader, origin, None)
}

/// Reads what an NRRD file says of itself, without its values.
///
/// # Arguments
/// * `path`: the file, or the header beside its data files.
///
/// # Errors
/// Those of [`read_nrrd`] that concern the header.
pub fn read_nrrd_header(path: &Path) -> Result<NrrdHeader> {
    let (file, _) = bounded::open_file(path)?;
    NrrdHeader::read(&mut BufReader::new(file), path)
}

/// Shape and place of an image, from its header.
pub(crate) fn read_place(path: &Path) -> Result<VolumeHeader> {
    let header = read_nrrd_header(path)?;
    let layout = layout::Layout::new(&header, path, None)?;
    let place = (layout.kind, layout.affine);
    volume::of_shape(&layout.shape, layout.components, place, path)
}

/// Whether a file starts like an NRRD header.
pub(crate) fn can_read(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(MAGIC)
}

fn read(path: &Path, place: Option<Affine>) -> Result<Volume> {
    let (file, _) = bounded::open_file(path)?;
    let mut reader = BufReader::new(file);
    let header = NrrdHeader::read(&mut reader, path)?;
    volume(&header, &mut reader, path, place)
}

fn volume(
    header: &NrrdHeader,
    reader: &mut dyn data::Source,
    path: &Path,
    place: Option<Affine>,
) -> Result<Volume> {
    let layout = layout::Layout::new(header, path, place)?;
    let samples = data::read_data(header, layout.kind, reader, path)?;
    Volume::with_components(&layout.shape, layout.components, samples, layout.affine)
        .and_then(|volume| volume.with_series(layout.series))
        .map_err(|error| error.in_file(path))
}
