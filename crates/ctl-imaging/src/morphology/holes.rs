//! What a mask encloses.

use super::element::Connectivity;
use super::{ComponentOrder, components};
use crate::Result;

/// The mask with everything that it encloses.
///
/// A hole is a part outside the mask, connected by `background`, that does not touch the border of
/// the image. Along an axis of one voxel there is no border: a picture's holes are those of its
/// plane.
///
/// # Arguments
/// * `mask`: one mark a voxel, first axis fastest.
/// * `shape`: voxels along each axis; 1 along the third for a picture.
/// * `background`: which voxels outside the mask are neighbours; with [`Connectivity::Faces`] a
///   wall that is closed only over edges or corners holds too, as with
///   `scipy.ndimage.binary_fill_holes`.
///
/// # Errors
/// [`ImagingError::Argument`](crate::ImagingError::Argument) when the mask does not have as many
/// voxels as the shape.
///
/// # Examples
/// ```
/// use ctl_imaging::morphology::{Connectivity, holes_filled};
///
/// let ring = [true, true, true, true, false, true, true, true, true];
/// assert_eq!(holes_filled(&ring, [3, 3, 1], Connectivity::Faces)?, [true; 9]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn holes_filled(
    mask: &[bool],
    shape: [usize; 3],
    background: Connectivity,
) -> Result<Vec<bool>> {
    let outside: Vec<bool> = mask.iter().map(|mark| !mark).collect();
    let parts = components(&outside, shape, background, ComponentOrder::FirstVoxel)?;
    let mut open = vec![false; parts.count() + 1];
    for (row, labels) in parts.labels().chunks_exact(shape[0]).enumerate() {
        let (j, k) = (row % shape[1], row / shape[1]);
        if is_border(j, shape[1]) || is_border(k, shape[2]) {
            for &label in labels {
                open[label as usize] = true;
            }
        } else if shape[0] > 1 {
            open[labels[0] as usize] = true;
            open[labels[shape[0] - 1] as usize] = true;
        }
    }
    // The mask itself has number 0 and belongs to what is filled, whether it touches or not.
    open[0] = false;
    let labels = parts.labels().iter();
    Ok(labels.map(|&label| !open[label as usize]).collect())
}

/// Whether an index lies at an end of an axis that has an extent.
fn is_border(index: usize, count: usize) -> bool {
    count > 1 && (index == 0 || index == count - 1)
}
