//! Growing, shrinking and taking apart masks, on pictures and volumes alike.
//!
//! A mask is one mark a voxel with the first axis fastest, beside its shape; a picture has 1 along
//! the third axis and gets the two-dimensional operation.
//!
//! What lies outside the image is not asked: it neither grows into the mask nor eats from its
//! border (ITK does so by default, `SciPy` with `border_value=1` for erosions). A closing is that
//! of the mask on an endless grid, so that it neither loses voxels at the border nor grows towards
//! it, and an opening is what a closing leaves of the voxels outside the mask.

mod border;
mod components;
mod element;
mod holes;

pub use components::{ComponentOrder, Components, components, largest_component};
pub use element::{Connectivity, Element};
pub use holes::holes_filled;

use crate::Result;
use crate::error::ImagingError;
use border::Border;

/// The mask and everything that the element reaches from it.
///
/// # Arguments
/// * `mask`: one mark a voxel, first axis fastest.
/// * `shape`: voxels along each axis; 1 along the third for a picture.
/// * `element`: what is reached from a voxel.
///
/// # Errors
/// [`ImagingError::Argument`] when the mask does not have as many voxels as the shape, or the
/// element is out of range.
///
/// # Examples
/// ```
/// use ctl_imaging::morphology::{Connectivity, Element, dilated};
///
/// let mask = [false, false, false, true, false];
/// let element = Element::neighbours(Connectivity::Faces);
/// let grown = dilated(&mask, [5, 1, 1], &element)?;
/// assert_eq!(grown, [false, false, true, true, true]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn dilated(mask: &[bool], shape: [usize; 3], element: &Element) -> Result<Vec<bool>> {
    check_mask(mask, shape)?;
    element.grown(mask.to_vec(), shape, true)
}

/// The voxels from which the element reaches nothing outside the mask.
///
/// # Arguments
/// As of [`dilated`].
///
/// # Errors
/// As of [`dilated`].
///
/// # Examples
/// ```
/// use ctl_imaging::morphology::{Element, eroded};
///
/// let mask = [true, true, true, true, false, true];
/// // 1 mm away in voxels of 0.5 mm.
/// let element = Element::Ball { radius: 1.0, spacing: [0.5, 1.0, 1.0] };
/// let shrunk = eroded(&mask, [6, 1, 1], &element)?;
/// assert_eq!(shrunk, [true, true, false, false, false, false]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn eroded(mask: &[bool], shape: [usize; 3], element: &Element) -> Result<Vec<bool>> {
    check_mask(mask, shape)?;
    element.grown(mask.to_vec(), shape, false)
}

/// The mask without what is thinner than the element: erosion, then dilation.
///
/// Something thin that ends at the border of the image may go on outside, and stays.
///
/// # Arguments
/// As of [`dilated`].
///
/// # Errors
/// As of [`closed`].
///
/// # Examples
/// ```
/// use ctl_imaging::morphology::{Connectivity, Element, opened};
///
/// let mask = [false, true, false, true, true, true, false];
/// let kept = opened(&mask, [7, 1, 1], &Element::neighbours(Connectivity::Faces))?;
/// assert_eq!(kept, [false, false, false, true, true, true, false]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn opened(mask: &[bool], shape: [usize; 3], element: &Element) -> Result<Vec<bool>> {
    Ok(inverted(closed(&inverted(mask.to_vec()), shape, element)?))
}

/// The mask with every gap that is thinner than the element: dilation, then erosion.
///
/// # Arguments
/// As of [`dilated`].
///
/// # Errors
/// Those of [`dilated`], and [`ImagingError::Argument`] when the image with a border as wide as the
/// element would be too large.
///
/// # Examples
/// ```
/// use ctl_imaging::morphology::{Connectivity, Element, closed};
///
/// let mask = [true, false, true, false, false, true, false];
/// let filled = closed(&mask, [7, 1, 1], &Element::neighbours(Connectivity::Faces))?;
/// assert_eq!(filled, [true, true, true, true, true, true, false]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn closed(mask: &[bool], shape: [usize; 3], element: &Element) -> Result<Vec<bool>> {
    check_mask(mask, shape)?;
    let border = Border::new(shape, element.extent(shape)?)?;
    let grown = element.grown(border.added(mask), border.shape(), true)?;
    let shrunk = element.grown(grown, border.shape(), false)?;
    Ok(border.removed(&shrunk))
}

fn inverted(mut mask: Vec<bool>) -> Vec<bool> {
    for mark in &mut mask {
        *mark = !*mark;
    }
    mask
}

/// Checks that a mask has a mark for every voxel.
pub(crate) fn check_mask(mask: &[bool], shape: [usize; 3]) -> Result<()> {
    let voxels = shape
        .iter()
        .try_fold(1_usize, |count, &side| count.checked_mul(side));
    if mask.is_empty() || voxels != Some(mask.len()) {
        return Err(ImagingError::argument(
            "mask",
            format!("one mark for each of {shape:?} voxels, at least one"),
            format!("{} marks", mask.len()),
        ));
    }
    Ok(())
}
