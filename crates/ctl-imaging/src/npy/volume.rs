//! NPY arrays as images with geometry.

use super::{Layout, read_layout};
use crate::Result;
use crate::array::fortran_to_c;
use crate::bounded;
use crate::error::ImagingError;
use crate::raw;
use crate::volume::{Affine, SampleType, Volume};
use npyz::{Order, TypeChar};
use std::io::{BufReader, Read};
use std::path::Path;

/// What the last axis of an array counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LastAxis {
    /// Voxels, as the other axes do.
    Voxels,
    /// Components of a voxel (colours, displacements).
    Components,
}

/// Reads an NPY file as an image.
///
/// # Arguments
/// * `path`: a file of booleans, integers, floats of 16 to 64 bits or complex numbers, in either
///   byte order and either memory order.
/// * `last_axis`: what the last axis is.
/// * `affine`: from the array's indices to mm: index `[i, j, k]` of the array is voxel
///   `(i, j, k)`, as with nibabel. (An array `[slice, row, column]` needs an affine whose first
///   column is the step between slices.)
///
/// # Returns
/// Values in the type of the file (booleans as 0 and 1 of `uint8`).
///
/// # Errors
/// Those of [`read_npy`](super::read_npy); [`ImagingError::Content`] when the array has too few or
/// too many axes for a volume, or an empty one.
///
/// # Examples
/// ```
/// use ctl_imaging::npy::{LastAxis, read_npy_volume, write_npy};
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pair.npy");
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let volume = Volume::new(&[2, 1, 1], Samples::F32(vec![0.5, 2.0]), affine)?;
/// write_npy(&volume, &path)?;
/// assert_eq!(read_npy_volume(&path, LastAxis::Voxels, affine)?, volume);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_npy_volume(path: &Path, last_axis: LastAxis, affine: Affine) -> Result<Volume> {
    let (file, _) = bounded::open_file(path)?;
    read_volume_from(&mut BufReader::new(file), path, last_axis, affine)
}

/// Reads an NPY array in memory as an image; see [`read_npy_volume`].
///
/// # Arguments
/// * `bytes`: the content of the file.
/// * `origin`: where it came from, for errors.
/// * `last_axis`, `affine`: as for [`read_npy_volume`].
///
/// # Errors
/// Those of [`read_npy_volume`].
pub fn parse_npy_volume(
    mut bytes: &[u8],
    origin: &Path,
    last_axis: LastAxis,
    affine: Affine,
) -> Result<Volume> {
    read_volume_from(&mut bytes, origin, last_axis, affine)
}

pub(crate) fn read_volume_from(
    reader: &mut impl Read,
    path: &Path,
    last_axis: LastAxis,
    affine: Affine,
) -> Result<Volume> {
    let layout = read_layout(reader, path)?;
    let kind = sample_type(&layout, path)?;
    let count = bounded::array_bytes(&layout.shape, layout.item_bytes, path)?;
    let mut bytes = bounded::read_exactly(reader, count, path)?;
    if layout.kind == TypeChar::Bool {
        for byte in &mut bytes {
            *byte = u8::from(*byte != 0);
        }
    }
    let mut shape = layout.shape.clone();
    if layout.order != Order::Fortran {
        // Reversing the axes makes one memory order of the other.
        shape.reverse();
        bytes = fortran_to_c(&bytes, &shape, layout.item_bytes);
        shape.reverse();
    }
    let components = match last_axis {
        LastAxis::Voxels => 1,
        LastAxis::Components => {
            let components = shape.pop().unwrap_or(1);
            let voxels = shape.iter().product();
            bytes = fortran_to_c(&bytes, &[voxels, components], layout.item_bytes);
            components
        }
    };
    let mut samples = raw::none(kind);
    let values = bytes.len() / layout.item_bytes;
    let big_endian = layout.is_big_endian;
    raw::read_more(
        &mut samples,
        &mut bytes.as_slice(),
        values,
        big_endian,
        path,
    )?;
    Volume::with_components(&shape, components, samples, affine)
        .map_err(|error| error.in_file(path))
}

fn sample_type(layout: &Layout, path: &Path) -> Result<SampleType> {
    Ok(match (layout.kind, layout.item_bytes) {
        (TypeChar::Bool | TypeChar::Uint, 1) => SampleType::UInt8,
        (TypeChar::Uint, 2) => SampleType::UInt16,
        (TypeChar::Uint, 4) => SampleType::UInt32,
        (TypeChar::Uint, 8) => SampleType::UInt64,
        (TypeChar::Int, 1) => SampleType::Int8,
        (TypeChar::Int, 2) => SampleType::Int16,
        (TypeChar::Int, 4) => SampleType::Int32,
        (TypeChar::Int, 8) => SampleType::Int64,
        (TypeChar::Float, 2) => SampleType::Float16,
        (TypeChar::Float, 4) => SampleType::Float32,
        (TypeChar::Float, 8) => SampleType::Float64,
        (TypeChar::Complex, 8) => SampleType::Complex64,
        (TypeChar::Complex, 16) => SampleType::Complex128,
        (kind, size) => {
            let found = format!("type {}{size}", kind.to_str());
            let expected = "booleans, integers, floats or complex numbers";
            return Err(ImagingError::content(path, expected, found));
        }
    })
}
