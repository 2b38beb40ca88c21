//! Shape and place of an image, from what its file says before its values.

use super::{Grid, SampleType, VolumeFormat};
use crate::dicom;
use crate::metaimage;
use crate::nifti;
use crate::nrrd;
use crate::{ImagingError, Result};
use std::path::Path;

/// What a file says of its image before any value is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VolumeHeader {
    /// The three axes of space and where they lie.
    pub grid: Grid,
    /// Three-dimensional images one after the other.
    pub frames: usize,
    /// Values a voxel.
    pub components: usize,
    /// Type of the stored values.
    pub sample_type: SampleType,
}

impl VolumeHeader {
    /// Shape and place of the same image along its closest axes ([`Volume::to_canonical`]), and,
    /// if wanted, with other spacing along those.
    ///
    /// # Arguments
    /// * `spacing`: mm between centres towards the right, the front and the head.
    ///
    /// # Returns
    /// Voxels towards the right, the front and the head.
    ///
    /// # Errors
    /// Those of [`Grid::with_spacing`].
    ///
    /// [`Volume::to_canonical`]: super::Volume::to_canonical
    pub fn canonical_shape(&self, spacing: Option<[f64; 3]>) -> Result<[usize; 3]> {
        let canonical = self.grid.to_canonical()?;
        Ok(match spacing {
            None => canonical.shape(),
            Some(spacing) => canonical.with_spacing(spacing)?.shape(),
        })
    }
}

/// Reads shape and place of an image, whatever its format, without its values.
///
/// Of a DICOM series the headers of all its files are read.
///
/// # Arguments
/// * `path`: as [`read_volume`](super::read_volume) takes it.
///
/// # Errors
/// Those of [`read_volume`](super::read_volume) that do not concern values.
///
/// # Examples
/// ```
/// use ctl_imaging::volume::{Affine, Samples, Volume, read_volume_header, write_volume};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("ct.nrrd");
/// let affine = Affine::from_spacing([1.0, 1.0, 3.0], [0.0; 3])?;
/// write_volume(&path, &Volume::new(&[4, 3, 2], Samples::I16(vec![0; 24]), affine)?)?;
/// let header = read_volume_header(&path)?;
/// assert_eq!(header.grid.shape(), [4, 3, 2]);
/// assert_eq!(header.canonical_shape(Some([2.0, 1.0, 1.0]))?, [2, 3, 6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_volume_header(path: &Path) -> Result<VolumeHeader> {
    match VolumeFormat::of(path)? {
        VolumeFormat::Dicom => of_dicom(path),
        VolumeFormat::Nrrd => nrrd::read_place(path),
        VolumeFormat::MetaImage => metaimage::read_place(path),
        VolumeFormat::Nifti => of_nifti(path),
    }
}

fn of_nifti(path: &Path) -> Result<VolumeHeader> {
    let reader = nifti::Reader::open(path)?;
    of_shape(
        reader.shape(),
        reader.components(),
        (reader.sample_type(), reader.affine()?),
        path,
    )
}

fn of_dicom(path: &Path) -> Result<VolumeHeader> {
    let mut headers = dicom::read_series_headers(path)?;
    let count = headers.len();
    match (headers.pop(), count) {
        (Some(only), 1) => Ok(only),
        _ => Err(ImagingError::content(
            path,
            "one series of images",
            count.to_string(),
        )),
    }
}

/// What an image of so many axes has.
pub(crate) fn of_shape(
    shape: &[usize],
    components: usize,
    (sample_type, affine): (SampleType, super::Affine),
    path: &Path,
) -> Result<VolumeHeader> {
    let spatial = [0, 1, 2].map(|axis| shape.get(axis).copied().unwrap_or(1));
    let grid = Grid::new(spatial, affine).map_err(|error| error.in_file(path))?;
    let frames = shape
        .iter()
        .skip(3)
        .try_fold(1_usize, |frames, &side| frames.checked_mul(side));
    let frames = frames.ok_or_else(|| {
        ImagingError::content(path, "frames that can be counted", format!("{shape:?}"))
    })?;
    Ok(VolumeHeader {
        grid,
        frames,
        components,
        sample_type,
    })
}
