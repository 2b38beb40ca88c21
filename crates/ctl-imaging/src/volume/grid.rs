//! Where the voxels of an image lie, without the image.

use super::{Affine, Volume};
use crate::Result;
use crate::error::ImagingError;

/// Part of a new voxel by which a grid of another spacing may fall short of the old field of view;
/// spacings in single precision would otherwise add a voxel of padding.
const UNCOVERED: f64 = 1e-3;

/// A lattice of voxel centres: how many along each axis, and where they lie.
///
/// The **field of view** of a grid is the box of its whole voxels, which reaches half a voxel
/// beyond the outermost centres.
///
/// # Examples
/// ```
/// use ctl_imaging::volume::{Affine, Grid};
///
/// let grid = Grid::new([4, 4, 3], Affine::from_spacing([1.0, 1.0, 5.0], [0.0; 3])?)?;
/// let fine = grid.with_spacing([1.0; 3])?;
/// assert_eq!(fine.shape(), [4, 4, 15]);
/// // 15 mm from −2.5 to 12.5: the first of 15 centres lies half a millimetre within.
/// assert_eq!(fine.affine().origin(), [0.0, 0.0, -2.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Grid {
    shape: [usize; 3],
    affine: Affine,
}

impl Grid {
    /// A grid of `shape` voxels.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when an axis is empty or there are more voxels than can be
    /// counted.
    pub fn new(shape: [usize; 3], affine: Affine) -> Result<Self> {
        let voxels = shape
            .iter()
            .try_fold(1_usize, |count, &side| count.checked_mul(side));
        if voxels.is_none_or(|voxels| voxels == 0) {
            return Err(ImagingError::argument(
                "shape of a grid",
                "three axes, none empty",
                format!("{shape:?}"),
            ));
        }
        Ok(Self { shape, affine })
    }

    /// Voxels along each axis.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// From voxel indices to mm.
    pub fn affine(&self) -> &Affine {
        &self.affine
    }

    /// Number of voxels.
    pub fn voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// A grid of another spacing over the same field of view.
    ///
    /// Along an axis of `n` voxels `s` mm apart there are `⌈n·s/s′ − 0.001⌉` voxels of `s′` mm, at
    /// least one: the fewest that cover the field of view. Axes keep their directions and the
    /// *centre* of the field of view its place, so that what the new voxels cover beyond the old
    /// ones is the same on both sides, and reversing an axis commutes with this. (Keeping the first
    /// voxel's centre instead, as is often done, shifts the field of view by half the difference
    /// of the spacings.)
    ///
    /// # Arguments
    /// * `spacing`: mm between neighbouring centres along each axis, above 0.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a spacing is not a positive number, or so small that the
    /// voxels cannot be counted.
    pub fn with_spacing(&self, spacing: [f64; 3]) -> Result<Self> {
        // Says what is wrong with the numbers.
        Affine::from_spacing(spacing, [0.0; 3])?;
        let old = self.affine.spacing();
        let sides = [0, 1, 2].map(|axis| {
            let sides = self.shape[axis] as f64 * old[axis] / spacing[axis];
            (sides - UNCOVERED).ceil().max(1.0)
        });
        if sides.iter().product::<f64>() >= usize::MAX as f64 {
            return Err(ImagingError::argument(
                "spacing",
                "one whose voxels can be counted",
                format!("{spacing:?} mm for {:?} voxels of {old:?} mm", self.shape),
            ));
        }
        let shape = sides.map(|side| side as usize);
        let ratio = [0, 1, 2].map(|axis| spacing[axis] / old[axis]);
        // The old index of the new first centre: both middles coincide.
        let first = [0, 1, 2].map(|axis| {
            let before = (self.shape[axis] - 1) as f64 * old[axis];
            let after = (shape[axis] - 1) as f64 * spacing[axis];
            0.5 * (before - after) / old[axis]
        });
        let origin = self.affine.to_world(first);
        let mut rows = self.affine.rows();
        for (row, origin) in rows.iter_mut().zip(origin) {
            for (value, ratio) in row.iter_mut().zip(ratio) {
                *value *= ratio;
            }
            row[3] = origin;
        }
        Self::new(shape, Affine::new(rows)?)
    }

    /// The same voxels in the order of their closest axes, as
    /// [`Volume::to_canonical`](super::Volume::to_canonical) brings them.
    ///
    /// # Errors
    /// None that a grid can cause; those of [`Affine::new`].
    pub fn to_canonical(&self) -> Result<Self> {
        let axes = self.affine.orientation().axes();
        let mut shape = [0; 3];
        let mut rows = self.affine.rows().map(|row| [0.0, 0.0, 0.0, row[3]]);
        for (source, axis) in axes.into_iter().enumerate() {
            shape[axis.world] = self.shape[source];
            let last = (self.shape[source] - 1) as f64;
            for (row, old) in rows.iter_mut().zip(self.affine.rows()) {
                let column = old[source];
                row[axis.world] = if axis.positive { column } else { -column };
                row[3] += if axis.positive { 0.0 } else { column * last };
            }
        }
        Self::new(shape, Affine::new(rows)?)
    }
}

impl Volume {
    /// Where the voxels of each frame lie.
    pub fn grid(&self) -> Grid {
        Grid {
            shape: self.spatial_shape(),
            affine: *self.affine(),
        }
    }
}
