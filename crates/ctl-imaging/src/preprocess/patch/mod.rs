//! Parts of images, and images from parts.

mod aggregate;
mod grid;
mod sample;
mod stack;

pub use aggregate::{Aggregator, Weighting};
pub use grid::PatchGrid;
pub use sample::{Border, PatchPlace, PatchSampler};
pub use stack::SliceStack;

use crate::Result;
use crate::error::ImagingError;

/// Voxels of a patch, if it has any and they can be counted.
fn voxels(size: [usize; 3]) -> Result<usize> {
    size.iter()
        .try_fold(1_usize, |count, &side| count.checked_mul(side))
        // Starts are signed, and a patch may begin as far before an image as it is long.
        .filter(|&count| count > 0 && isize::try_from(count).is_ok())
        .ok_or_else(|| {
            ImagingError::argument(
                "patch size",
                "sides of at least 1 voxel",
                format!("{size:?}"),
            )
        })
}

/// Where a patch begins that lies in the middle of an axis that it is no shorter than.
fn centred(side: usize, patch: usize) -> isize {
    -(patch.saturating_sub(side) / 2).cast_signed()
}
