//! `NIfTI`-1 and `NIfTI`-2, read and written: the format of brain images, and of most segmentation
//! challenges.
//!
//! Five lines read a study:
//!
//! ```
//! # use ctl_imaging::nifti::{self, WriteOptions};
//! # use ctl_imaging::volume::{Affine, Samples, Volume};
//! # let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
//! # let path = folder.path().join("t1.nii.gz");
//! # let affine = Affine::from_spacing([1.0, 1.0, 2.0], [-90.0, -126.0, -72.0])?;
//! # let study = Volume::new(&[2, 2, 2], Samples::I16((0..8).collect()), affine)?;
//! # nifti::write(&path, &study, &WriteOptions::default())?;
//! let image = nifti::read(&path)?;
//! assert_eq!(image.volume.shape(), [2, 2, 2]);
//! assert_eq!(image.volume.affine().spacing(), [1.0, 1.0, 2.0]);
//! assert_eq!(image.volume.to_f32()[7], 7.0);
//! assert!(image.warnings.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`read`] gives the whole image, [`Reader`] slices, frames and boxes of it, [`info`] what a
//! listing shows, [`write()`] a file.
//!
//! # What is read
//! Single files and `.hdr`/`.img` pairs, of either byte order, plain or gzip (told by content, not
//! by name), of every datatype but single bits and floats of 128 bits. ANALYZE 7.5 is refused: it
//! does not say where an image lies.
//!
//! # How a header is taken
//! By nibabel's rules, so that both give the same numbers and places:
//! * `scl_slope` 0, infinite or NaN means unscaled; numbers are scaled in double precision before
//!   anything is cast.
//! * `sform` counts if its code is 1 to 5, else `qform` if its code is, else voxels are centred on
//!   the origin with x to the left. A quaternion that is no rotation is an error.
//! * A negative `pixdim` is taken as its absolute value, one of 0 as 1, a `qfac` other than ±1 as
//!   1; each is told in [`warnings`](NiftiImage::warnings).
//! * The volume's affine is in mm whatever `xyzt_units` are; [`Header`] shows what the file says.
//! * RGB24 and RGBA32 are volumes of 3 or 4 components. Of an image of five axes whose intent is a
//!   vector (1006, 1007) the fifth counts components, and the fourth is left out where it is one
//!   voxel long. All other axes stay axes.
//!
//! Three things are refused that nibabel takes: data that would start within the header of their
//! own file, an axis without voxels, and a number of axes other than 1 to 7.

mod check;
mod cut;
mod datatype;
mod elements;
mod extension;
mod fields;
mod geometry;
mod head;
mod header;
mod info;
mod names;
mod options;
mod reader;
mod region;
mod source;
mod tally;
mod values;
mod write;

pub use extension::Extension;
pub use header::{Endianness, Header, Version};
pub use info::{NiftiInfo, info};
pub use options::{Encoding, Space, WriteOptions};
pub use reader::Reader;
pub use write::write;

use crate::Result;
use crate::volume::Volume;
use std::path::{Path, PathBuf};

/// An image, with all that its file says about it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NiftiImage {
    /// Values and place, in mm.
    pub volume: Volume,
    /// The header as it stands in the file.
    pub header: Header,
    /// Header extensions.
    pub extensions: Vec<Extension>,
    /// What was odd in the header and how it was taken.
    pub warnings: Vec<String>,
}

/// Reads an image from `.nii`, `.nii.gz` or either file of a `.hdr`/`.img` pair.
///
/// # Errors
/// Those of [`Reader::open`] and [`Reader::volume`].
pub fn read(path: &Path) -> Result<NiftiImage> {
    image(&Reader::open(path)?)
}

/// The files of an image: one, or header and values of a pair.
pub(crate) fn files_of(path: &Path) -> Vec<PathBuf> {
    let names = names::Names::of(path);
    if names.are_pair() {
        vec![names.header, names.data]
    } else {
        vec![names.header]
    }
}

/// Reads an image from the bytes of a single file, plain or gzip.
///
/// # Arguments
/// * `origin`: what errors call it.
///
/// # Errors
/// Those of [`read`].
pub fn parse(bytes: impl Into<Vec<u8>>, origin: &Path) -> Result<NiftiImage> {
    image(&Reader::from_bytes(bytes.into(), origin)?)
}

/// Reads the header of an image, as it stands in the file.
///
/// Beyond version, byte order and magic string nothing in it is checked, so that it can be shown
/// for files that [`read`] refuses.
///
/// # Errors
/// [`ImagingError::Io`](crate::ImagingError::Io) or
/// [`ImagingError::Content`](crate::ImagingError::Content) when there is no such file, or no header
/// in it.
pub fn read_header(path: &Path) -> Result<Header> {
    head::header_of(path)
}

fn image(reader: &Reader) -> Result<NiftiImage> {
    Ok(NiftiImage {
        volume: reader.volume()?,
        header: reader.header().clone(),
        extensions: reader.extensions().to_vec(),
        warnings: reader.warnings().to_vec(),
    })
}
