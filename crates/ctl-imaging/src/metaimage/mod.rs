//! `MetaImage` of ITK: a text header and values, in one file (`.mha`) or apart (`.mhd` with `.raw`,
//! `.zraw` or a file a slice).
//!
//! # Where voxels lie
//!
//! `world = Offset + Σ_axis index · ElementSpacing · row_axis(TransformMatrix)` in LPS, which is
//! turned to RAS+. As ITK does, `CenterOfRotation` is left out of account. `AnatomicalOrientation`
//! says the same as the matrix once more, and often wrongly; the matrix counts. An image of two
//! axes, or one without spacing, has no place in a patient: [`read_metaimage`] refuses it, and
//! [`read_metaimage_placed`] takes the affine from its caller.
//!
//! # References
//! "`MetaIO` Documentation", itk.org/Wiki/MetaIO/Documentation, "Tags of `MetaObject`" and
//! "Tags of `MetaImage`".

mod data;
mod header;
mod lines;
mod place;
mod write;

pub use header::MetaHeader;
pub use write::{MetaOptions, write_metaimage};

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::volume::{self, Affine, Scaling, Volume, VolumeHeader};
use std::io::{BufReader, Cursor};
use std::path::Path;

/// Reads a `MetaImage`.
///
/// # Arguments
/// * `path`: the `.mha` file, or the `.mhd` header beside its data files, which must lie in the
///   header's folder or below, by relative names.
///
/// # Returns
/// Values in the type of the file, with `ElementToIntensityFunctionSlope` and `…Offset` as
/// scaling where they are given; channels as components; the affine in mm, RAS+; a fourth axis'
/// spacing as the step of the series.
///
/// # Errors
/// [`ImagingError::Io`] when a file cannot be read or does not decompress;
/// [`ImagingError::Content`] when the header does not follow the format, holds a key twice or one
/// that looks like a known one misspelt, the data are longer or shorter than it says, or without a
/// place in the patient (see [`read_metaimage_placed`]).
///
/// # Examples
/// ```
/// use ctl_imaging::metaimage::parse_metaimage;
/// use std::path::Path;
///
/// let mut file = b"ObjectType = Image\nNDims = 3\nBinaryData = True\n".to_vec();
/// file.extend(b"TransformMatrix = 0 1 0 -1 0 0 0 0 1\nOffset = 10 20 30\n");
/// file.extend(b"ElementSpacing = 2 2 5\nDimSize = 2 1 1\nElementType = MET_UCHAR\n");
/// file.extend(b"ElementDataFile = LOCAL\n\x07\x09");
/// let volume = parse_metaimage(&file, Path::new("pair.mha"))?;
/// assert_eq!(volume.value(&[1, 0, 0]), Some(9.0));
/// // 10 mm left, 20 + 2 mm posterior, 30 mm superior.
/// assert_eq!(volume.affine().to_world([1.0, 0.0, 0.0]), [-10.0, -22.0, 30.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn read_metaimage(path: &Path) -> Result<Volume> {
    read(path, None)
}

/// Reads a `MetaImage` and puts it where its caller says.
///
/// # Arguments
/// * `path`: as for [`read_metaimage`].
/// * `affine`: from voxel indices to mm, whatever the file says of it.
///
/// # Errors
/// Those of [`read_metaimage`] that do not concern the place.
pub fn read_metaimage_placed(path: &Path, affine: Affine) -> Result<Volume> {
    read(path, Some(affine))
}

/// Reads a `MetaImage` with its data within it from memory; see [`read_metaimage`].
///
/// # Arguments
/// * `bytes`: the content of the file.
/// * `origin`: where it came from, for errors.
///
/// # Errors
/// Those of [`read_metaimage`], and [`ImagingError::Content`] when the data lie in other files.
pub fn parse_metaimage(bytes: &[u8], origin: &Path) -> Result<Volume> {
    let mut reader = Cursor::new(bytes);
    let header = MetaHeader::read(&mut reader, origin)?;
    if !header.files.is_empty() {
        let found = format!("the data file {:?}", header.files[0]);
        return Err(ImagingError::content(
            origin,
            "data within a MetaImage in memory",
            found,
        ));
    }
    volume(&header, &mut reader, origin, None)
}

/// Reads what a `MetaImage` says of itself, without its values.
///
/// # Arguments
/// * `path`: the file, or the header beside its data files.
///
/// # Errors
/// Those of [`read_metaimage`] that concern the header.
pub fn read_metaimage_header(path: &Path) -> Result<MetaHeader> {
    let (file, _) = bounded::open_file(path)?;
    MetaHeader::read(&mut BufReader::new(file), path)
}

/// Shape and place of an image, from its header.
pub(crate) fn read_place(path: &Path) -> Result<VolumeHeader> {
    let header = read_metaimage_header(path)?;
    let place = (header.kind, header.affine(path)?);
    volume::of_shape(&header.sizes, header.channels, place, path)
}

/// Whether a file starts like a `MetaImage`, which has no magic bytes but begins with the kind of
/// its object or its number of axes.
pub(crate) fn can_read(first_bytes: &[u8]) -> bool {
    let first = first_bytes.split(|&byte| byte == b'\n').next();
    let key = first.and_then(|line| line.split(|&byte| byte == b'=').next());
    let starts = [b"ObjectType".as_slice(), b"NDims", b"Comment"];
    key.is_some_and(|key| key.len() < first_bytes.len() && starts.contains(&key.trim_ascii()))
}

fn read(path: &Path, place: Option<Affine>) -> Result<Volume> {
    let (file, _) = bounded::open_file(path)?;
    let mut reader = BufReader::new(file);
    let header = MetaHeader::read(&mut reader, path)?;
    volume(&header, &mut reader, path, place)
}

fn volume(
    header: &MetaHeader,
    reader: &mut dyn data::Source,
    path: &Path,
    place: Option<Affine>,
) -> Result<Volume> {
    let affine = match place {
        Some(affine) => affine,
        None => header.affine(path)?,
    };
    let scaling = Scaling {
        slope: header.slope.unwrap_or(1.0),
        intercept: header.intercept.unwrap_or(0.0),
    };
    let samples = data::read_data(header, reader, path)?;
    Volume::with_components(&header.sizes, header.channels, samples, affine)
        .and_then(|volume| volume.with_scaling(scaling))
        .and_then(|volume| volume.with_series(header.series()))
        .map_err(|error| error.in_file(path))
}
