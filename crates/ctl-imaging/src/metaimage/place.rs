//! Where the voxels of a `MetaImage` lie.

use super::header::MetaHeader;
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Affine, SeriesStep, SeriesUnit};
use std::path::Path;

/// Where voxel axes come from when a file without matrix names them: right, anterior, inferior.
const DEFAULT_ORIENTATION: &str = "RAI";

impl MetaHeader {
    /// The affine in mm, RAS+.
    pub(super) fn affine(&self, path: &Path) -> Result<Affine> {
        let axes = self.sizes.len();
        let no_place = |found: &str| {
            let expected = "an image of 3 axes or more with ElementSpacing (or an affine given: \
                            read_metaimage_placed)";
            Err(ImagingError::content(path, expected, found))
        };
        let Some(spacing) = self.spacing.as_deref() else {
            return no_place("no ElementSpacing");
        };
        if axes < 3 {
            return no_place("2 axes");
        }
        self.check_orientation(path)?;
        self.check_space_apart(path)?;
        let offset = self.offset.as_deref().unwrap_or(&[0.0; 3]);
        // Row `axis` of the matrix is the direction of that voxel axis.
        let step = |axis: usize, world: usize| {
            let identity = if axis == world { 1.0 } else { 0.0 };
            let matrix = self.matrix.as_deref();
            matrix.map_or(identity, |matrix| matrix[axis * axes + world]) * spacing[axis]
        };
        let signs = [-1.0, -1.0, 1.0];
        let rows = [0, 1, 2].map(|world: usize| {
            let [i, j, k] = [0, 1, 2].map(|axis| signs[world] * step(axis, world));
            [i, j, k, signs[world] * offset[world]]
        });
        Affine::new(rows).map_err(|error| error.in_file(path))
    }

    /// The step along the fourth axis.
    pub(super) fn series(&self) -> SeriesStep {
        let spacing = self.spacing.as_deref().and_then(|spacing| spacing.get(3));
        spacing.map_or(SeriesStep::default(), |&step| SeriesStep {
            step,
            unit: SeriesUnit::Unknown,
        })
    }

    /// Letters alone do not make directions, unless they say what a missing matrix means anyway.
    fn check_orientation(&self, path: &Path) -> Result<()> {
        match self.anatomical_orientation.as_deref() {
            Some(letters) if self.matrix.is_none() && letters != DEFAULT_ORIENTATION => {
                let expected =
                    format!("a TransformMatrix where axes do not run {DEFAULT_ORIENTATION}");
                let found = format!("AnatomicalOrientation {letters:?} alone");
                Err(ImagingError::content(path, expected, found))
            }
            _ => Ok(()),
        }
    }

    /// A matrix of four axes or more must not mix space with what lies beyond.
    fn check_space_apart(&self, path: &Path) -> Result<()> {
        let axes = self.sizes.len();
        let Some(matrix) = self.matrix.as_deref() else {
            return Ok(());
        };
        let mixes = (0..axes).any(|axis| {
            (0..axes).any(|world| (axis < 3) != (world < 3) && matrix[axis * axes + world] != 0.0)
        });
        if mixes {
            let expected = "a TransformMatrix that keeps space apart from other axes";
            return Err(ImagingError::content(path, expected, format!("{matrix:?}")));
        }
        Ok(())
    }
}
