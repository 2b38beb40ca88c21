//! Patches that cover an image.

use super::{centred, voxels};
use crate::Result;
use crate::error::ImagingError;
use serde::{Deserialize, Serialize};

/// Patches at equal distances that cover an image, the last of each axis flush with its end.
///
/// Along an axis shorter than a patch there is one, in the middle, that reaches beyond.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::PatchGrid;
///
/// let grid = PatchGrid { size: [4, 4, 1], overlap: [1, 2, 0] };
/// let starts = grid.starts([9, 4, 1])?;
/// assert_eq!(starts, [[0, 0, 0], [3, 0, 0], [5, 0, 0]]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchGrid {
    /// Voxels of a patch along each axis, at least 1.
    pub size: [usize; 3],
    /// Least number of voxels that neighbours share along each axis, less than `size`.
    #[serde(default)]
    pub overlap: [usize; 3],
}

impl PatchGrid {
    /// First voxels of all patches, first axis fastest.
    ///
    /// # Arguments
    /// * `shape`: voxels of the image along each axis.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a side is 0 or an overlap no less than its side.
    pub fn starts(&self, shape: [usize; 3]) -> Result<Vec<[isize; 3]>> {
        voxels(self.size)?;
        voxels(shape)?;
        if (0..3).any(|axis| self.overlap[axis] >= self.size[axis]) {
            return Err(ImagingError::argument(
                "overlap of patches",
                format!("less than the size {:?}", self.size),
                format!("{:?}", self.overlap),
            ));
        }
        let [first, second, third] = [0, 1, 2].map(|axis| self.along(axis, shape[axis]));
        let mut starts = Vec::with_capacity(first.len() * second.len() * third.len());
        for &k in &third {
            for &j in &second {
                starts.extend(first.iter().map(|&i| [i, j, k]));
            }
        }
        Ok(starts)
    }

    fn along(&self, axis: usize, side: usize) -> Vec<isize> {
        let patch = self.size[axis];
        let Some(last) = side.checked_sub(patch) else {
            return vec![centred(side, patch)];
        };
        let step = patch - self.overlap[axis];
        let starts = (0..last).step_by(step).chain([last]);
        starts.map(usize::cast_signed).collect()
    }
}
