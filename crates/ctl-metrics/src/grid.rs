//! The lattice of voxel centres that masks and maps live on.

use crate::{MetricError, validate};

/// Number of axes that every grid is stored with; a plane has a leading axis of length one.
pub(crate) const AXES: usize = 3;

/// Spacings outside these bounds are units gone wrong; inside them no square over- or underflows.
const SPACING_BOUNDS: std::ops::RangeInclusive<f64> = 1e-50..=1e50;

/// A rectangular lattice of two or three axes with its spacing in mm.
///
/// Values on a grid are row-major slices: the last axis varies fastest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    shape: [usize; AXES],
    spacing: [f64; AXES],
    dimensions: usize,
}

impl Grid {
    /// A grid of the given shape and spacing.
    ///
    /// # Arguments
    /// - `shape`: `[H, W]` or `[D, H, W]`, no axis of length zero.
    /// - `spacing`: distance of neighbouring centres along each axis in mm, in the order of
    ///   `shape`, each in `[1e-50, 1e50]`.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for another number of axes or for more voxels than can be
    /// counted, [`MetricError::Empty`] for an axis without extent, [`MetricError::LengthMismatch`]
    /// when there is not one spacing per axis, [`MetricError::InvalidValue`] for a spacing out of
    /// range.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::grid::Grid;
    /// let grid = Grid::new(&[10, 64, 64], &[5.0, 0.7, 0.7])?;
    /// assert_eq!(grid.voxels(), 40_960);
    /// assert!((grid.voxel_volume() - 2.45).abs() < 1e-12);
    /// assert!(Grid::new(&[64, 64], &[0.7]).is_err());
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn new(shape: &[usize], spacing: &[f64]) -> Result<Self, MetricError> {
        let dimensions = shape.len();
        let allowed = dimensions == 2 || dimensions == AXES;
        validate::parameter("dimensions", dimensions as f64, "2 or 3 axes", allowed)?;
        validate::same_len("spacing", dimensions, spacing.len())?;
        validate::non_empty("shape", shape.iter().copied().min().unwrap_or(0))?;
        validate::all_values("spacing", spacing, "a length in [1e-50, 1e50]", |length| {
            SPACING_BOUNDS.contains(&length)
        })?;
        let voxels = shape.iter().try_fold(1_usize, |n, &m| n.checked_mul(m));
        let asked = shape.iter().map(|&length| length as f64).product();
        let expected = "a number of voxels that memory can address";
        validate::parameter("voxels", asked, expected, voxels.is_some())?;
        let mut grid = Self {
            shape: [1; AXES],
            spacing: [1.0; AXES],
            dimensions,
        };
        grid.shape[AXES - dimensions..].copy_from_slice(shape);
        grid.spacing[AXES - dimensions..].copy_from_slice(spacing);
        Ok(grid)
    }

    /// A grid whose spacing is 1 along every axis.
    ///
    /// # Errors
    /// As [`Grid::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::grid::Grid;
    /// assert_eq!(Grid::unit(&[3, 4])?, Grid::new(&[3, 4], &[1.0, 1.0])?);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn unit(shape: &[usize]) -> Result<Self, MetricError> {
        Self::new(shape, &vec![1.0; shape.len()])
    }

    /// Length of each axis, `[H, W]` or `[D, H, W]`.
    ///
    /// # Examples
    ///
    /// ```
    /// let grid = ctl_metrics::grid::Grid::unit(&[3, 4])?;
    /// assert_eq!(grid.shape(), [3, 4]);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn shape(&self) -> &[usize] {
        &self.shape[AXES - self.dimensions..]
    }

    /// Spacing along each axis in mm, in the order of [`Grid::shape`].
    ///
    /// # Examples
    ///
    /// ```
    /// let grid = ctl_metrics::grid::Grid::new(&[3, 4], &[0.5, 2.0])?;
    /// assert_eq!(grid.spacing(), [0.5, 2.0]);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn spacing(&self) -> &[f64] {
        &self.spacing[AXES - self.dimensions..]
    }

    /// Number of voxels, or of pixels in a plane.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ctl_metrics::grid::Grid::unit(&[3, 4])?.voxels(), 12);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Volume of a voxel in mm³, or area of a pixel in mm².
    ///
    /// # Examples
    ///
    /// ```
    /// let grid = ctl_metrics::grid::Grid::new(&[3, 4], &[0.5, 2.0])?;
    /// assert_eq!(grid.voxel_volume(), 1.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn voxel_volume(&self) -> f64 {
        self.spacing().iter().product()
    }

    /// Shape with leading axes of length one.
    pub(crate) fn full_shape(&self) -> [usize; AXES] {
        self.shape
    }

    /// Spacing that belongs to [`Grid::full_shape`].
    pub(crate) fn full_spacing(&self) -> [f64; AXES] {
        self.spacing
    }

    /// The axes of [`Grid::full_shape`] that the grid really has.
    pub(crate) fn axes(&self) -> std::ops::Range<usize> {
        AXES - self.dimensions..AXES
    }

    /// How far apart neighbours along each axis lie in a row-major slice.
    pub(crate) fn strides(&self) -> [usize; AXES] {
        [self.shape[1] * self.shape[2], self.shape[2], 1]
    }

    /// The same spacing and number of axes with other lengths.
    pub(crate) fn with_full_shape(&self, shape: [usize; AXES]) -> Self {
        Self { shape, ..*self }
    }

    /// Checks that a slice holds one value per voxel.
    pub(crate) fn covers(&self, subject: &'static str, len: usize) -> Result<(), MetricError> {
        validate::same_len(subject, self.voxels(), len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::one_axis(&[4], &[1.0], "dimensions: expected 2 or 3 axes, found 1")]
    #[case::four_axes(&[1, 1, 1, 1], &[1.0; 4], "dimensions: expected 2 or 3 axes, found 4")]
    #[case::no_extent(&[4, 0], &[1.0; 2], "shape: expected at least one value, found none")]
    #[case::lengths(&[4, 4], &[1.0; 3], "spacing: expected length 2, found 3")]
    #[case::zero(&[4, 4], &[1.0, 0.0], "spacing[1]: expected a length in [1e-50, 1e50], found 0")]
    #[case::nan(&[4, 4], &[f64::NAN, 1.0], "spacing[0]: expected a length in [1e-50, 1e50], found NaN")]
    fn ill_grids_are_refused(
        #[case] shape: &[usize],
        #[case] spacing: &[f64],
        #[case] message: &str,
    ) {
        assert_eq!(Grid::new(shape, spacing).unwrap_err().to_string(), message);
    }

    #[test]
    fn more_voxels_than_memory_are_refused() {
        let error = Grid::unit(&[usize::MAX, 2]).unwrap_err();
        assert!(error.to_string().starts_with("voxels: "), "{error}");
    }

    #[test]
    fn a_plane_has_a_leading_axis_of_one() {
        let grid = Grid::new(&[3, 4], &[0.5, 2.0]).unwrap();
        assert_eq!(grid.full_shape(), [1, 3, 4]);
        assert_eq!(grid.axes(), 1..3);
        assert_eq!(grid.strides(), [12, 4, 1]);
    }
}
