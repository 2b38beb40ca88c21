//! Surface distances between the centres of boundary voxels.

use super::directed::{nearest, percentile, reach};
use super::region::Region;
use crate::MetricError;
use crate::grid::Grid;
use crate::interval::quantile_of_sorted;

/// The percentile that is less sensitive to single voxels than the maximum.
const ROBUST_PERCENT: f64 = 95.0;

/// Boundary voxels of a mask: foreground with background, or the outside, beyond one of its faces.
///
/// # Arguments
/// - `grid`: the lattice; faces are 4 in a plane and 6 in a volume.
/// - `mask`: `[voxels]`, row-major.
///
/// # Returns
/// `[voxels]`.
///
/// # Errors
/// [`MetricError::LengthMismatch`] when the mask does not cover the grid.
///
/// # Complexity
/// Linear in the number of voxels.
///
/// # Examples
///
/// ```
/// use ctl_metrics::{grid::Grid, segmentation::surface_voxels};
/// let surface = surface_voxels(&Grid::unit(&[3, 3])?, &[true; 9])?;
/// assert_eq!(surface.iter().filter(|&&marked| marked).count(), 8); // all but the middle
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn surface_voxels(grid: &Grid, mask: &[bool]) -> Result<Vec<bool>, MetricError> {
    grid.covers("mask", mask.len())?;
    let (shape, strides) = (grid.full_shape(), grid.strides());
    let mut inner = mask.to_vec();
    for axis in grid.axes() {
        let (length, stride) = (shape[axis], strides[axis]);
        for (block, marks) in inner
            .chunks_exact_mut(length * stride)
            .zip(mask.chunks_exact(length * stride))
        {
            keep_enclosed(block, marks, stride);
        }
    }
    Ok(mask
        .iter()
        .zip(&inner)
        .map(|(&own, &inside)| own && !inside)
        .collect())
}

/// Clears voxels that lack a marked neighbour before or after them along one axis.
fn keep_enclosed(inner: &mut [bool], marks: &[bool], stride: usize) {
    let last = marks.len() - stride;
    for (own, &after) in inner[..last].iter_mut().zip(&marks[stride..]) {
        *own &= after;
    }
    for (own, &before) in inner[stride..].iter_mut().zip(&marks[..last]) {
        *own &= before;
    }
    inner[..stride].fill(false);
    inner[last..].fill(false);
}

/// Distances between the boundaries of two masks, in both directions (*voxel family*).
///
/// For every boundary voxel of one mask (see [`surface_voxels`]) the Euclidean distance in mm to
/// the nearest boundary voxel of the other, centre to centre.
/// With both masks empty the distances are 0 and agreement is 1; with exactly one empty the
/// distances are infinite and agreement is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceDistances {
    from_prediction: Vec<f64>,
    from_reference: Vec<f64>,
}

impl SurfaceDistances {
    /// Measures the distances between the boundaries of two masks.
    ///
    /// # Arguments
    /// - `grid`: shape and spacing in mm.
    /// - `prediction`: `[voxels]`, row-major.
    /// - `reference`: `[voxels]`.
    ///
    /// # Errors
    /// [`MetricError::LengthMismatch`] when a mask does not cover the grid.
    ///
    /// # Complexity
    /// Linear in the voxels of the box around both masks, then O(n log n) in boundary voxels.
    /// The less, the nearer the boundaries are to each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::new(&[1, 6], &[1.0, 2.0])?;
    /// let prediction = [true, true, true, true, false, false];
    /// let reference = [true, true, false, false, false, false];
    /// let distances = SurfaceDistances::between(&grid, &prediction, &reference)?;
    /// assert_eq!(distances.from_prediction(), [0.0, 0.0, 2.0, 4.0]);
    /// assert_eq!(distances.from_reference(), [0.0, 0.0]);
    /// assert_eq!(distances.hausdorff(), 4.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn between(
        grid: &Grid,
        prediction: &[bool],
        reference: &[bool],
    ) -> Result<Self, MetricError> {
        let Some(region) = Region::around(grid, prediction, reference, 0)? else {
            return Ok(Self {
                from_prediction: Vec::new(),
                from_reference: Vec::new(),
            });
        };
        let ours = surface_voxels(&region.grid, &region.prediction)?;
        let theirs = surface_voxels(&region.grid, &region.reference)?;
        Ok(Self {
            from_prediction: sorted_distances(&region.grid, &ours, &theirs)?,
            from_reference: sorted_distances(&region.grid, &theirs, &ours)?,
        })
    }

    /// Distances from the predicted boundary to the reference, ascending, in mm.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::new(&[1, 3], &[1.0, 2.0])?;
    /// let found = SurfaceDistances::between(&grid, &[true; 3], &[true, false, false])?;
    /// assert_eq!(found.from_prediction(), [0.0, 2.0, 4.0]);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn from_prediction(&self) -> &[f64] {
        &self.from_prediction
    }

    /// Distances from the reference boundary to the prediction, ascending, in mm.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::new(&[1, 3], &[1.0, 2.0])?;
    /// let found = SurfaceDistances::between(&grid, &[true; 3], &[true, false, false])?;
    /// assert_eq!(found.from_reference(), [0.0]);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn from_reference(&self) -> &[f64] {
        &self.from_reference
    }

    /// Hausdorff distance: the largest of all distances, in mm.
    ///
    /// # References
    /// Huttenlocher, Klanderman & Rucklidge, "Comparing images using the Hausdorff distance", 1993.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::new(&[1, 3], &[1.0, 0.5])?;
    /// let found = SurfaceDistances::between(&grid, &[true, false, false], &[false, false, true])?;
    /// assert_eq!(found.hausdorff(), 1.0);
    /// let against_nothing = SurfaceDistances::between(&grid, &[true, true, false], &[false; 3])?;
    /// assert_eq!(against_nothing.hausdorff(), f64::INFINITY);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn hausdorff(&self) -> f64 {
        self.of_directions(|distances| distances.last().copied(), f64::max)
    }

    /// The larger of the two directed percentiles, in mm, with linear interpolation.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for a percentile outside `[0, 100]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::unit(&[1, 4])?;
    /// let found = SurfaceDistances::between(&grid, &[true; 4], &[true, false, false, false])?;
    /// assert_eq!(found.from_prediction(), [0.0, 1.0, 2.0, 3.0]);
    /// assert_eq!(found.hausdorff_percentile(50.0)?, 1.5);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn hausdorff_percentile(&self, percent: f64) -> Result<f64, MetricError> {
        percentile(percent)?;
        Ok(self.of_directions(|distances| at_percentile(distances, percent), f64::max))
    }

    /// HD95: [`SurfaceDistances::hausdorff_percentile`] at 95.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::unit(&[1, 21])?;
    /// let reference: Vec<bool> = (0..21).map(|column| column == 0).collect();
    /// let found = SurfaceDistances::between(&grid, &[true; 21], &reference)?;
    /// assert_eq!((found.hausdorff(), found.hd95()), (20.0, 19.0));
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn hd95(&self) -> f64 {
        self.of_directions(
            |distances| at_percentile(distances, ROBUST_PERCENT),
            f64::max,
        )
    }

    /// The percentile of the distances of both directions together, in mm.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for a percentile outside `[0, 100]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::unit(&[1, 4])?;
    /// let found = SurfaceDistances::between(&grid, &[true; 4], &[true, false, false, false])?;
    /// assert_eq!(found.hausdorff_percentile_pooled(50.0)?, 1.0); // of 0, 0, 1, 2, 3
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn hausdorff_percentile_pooled(&self, percent: f64) -> Result<f64, MetricError> {
        percentile(percent)?;
        let mut pooled = [&self.from_prediction[..], &self.from_reference].concat();
        pooled.sort_by(f64::total_cmp);
        Ok(at_percentile(&pooled, percent).unwrap_or(0.0))
    }

    /// Average symmetric surface distance (ASSD): the mean of all distances of both directions.
    ///
    /// # References
    /// Heimann et al., "Comparison and evaluation of methods for liver segmentation from CT
    /// datasets", 2009.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::unit(&[1, 4])?;
    /// let found = SurfaceDistances::between(&grid, &[true; 4], &[true, false, false, false])?;
    /// assert_eq!(found.average_symmetric(), 6.0 / 5.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn average_symmetric(&self) -> f64 {
        let count = self.boundary_voxels().max(1);
        (sum(&self.from_prediction) + sum(&self.from_reference)) / count as f64
    }

    /// The mean of the two directed means, which weighs both boundaries alike.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::unit(&[1, 4])?;
    /// let found = SurfaceDistances::between(&grid, &[true; 4], &[true, false, false, false])?;
    /// assert_eq!(found.mean_of_directed_means(), (6.0 / 4.0 + 0.0) / 2.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn mean_of_directed_means(&self) -> f64 {
        let mean = |distances: &[f64]| {
            let count = distances.len();
            (count > 0).then(|| sum(distances) / count as f64)
        };
        self.of_directions(mean, f64::midpoint)
    }

    /// Normalised surface Dice (NSD): the fraction of both boundaries within a tolerance of the
    /// other.
    ///
    /// # Arguments
    /// - `tolerance`: in mm, from 0 on; a distance equal to it counts as within.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for a negative or infinite tolerance.
    ///
    /// # References
    /// Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for
    /// radiotherapy", 2021; deviation: boundary voxels count once each instead of by area, for
    /// which see [`ElementDistances`](super::ElementDistances).
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::SurfaceDistances};
    /// let grid = Grid::unit(&[1, 4])?;
    /// let found = SurfaceDistances::between(&grid, &[true; 4], &[true, false, false, false])?;
    /// assert_eq!(found.surface_dice(1.0)?, 3.0 / 5.0);
    /// assert!(found.surface_dice(-1.0).is_err());
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn surface_dice(&self, tolerance: f64) -> Result<f64, MetricError> {
        let reach = reach(tolerance)?;
        let within = |distances: &[f64]| distances.partition_point(|&distance| distance <= reach);
        let near = within(&self.from_prediction) + within(&self.from_reference);
        let all = self.boundary_voxels();
        Ok(if all == 0 {
            1.0
        } else {
            near as f64 / all as f64
        })
    }

    fn boundary_voxels(&self) -> usize {
        self.from_prediction.len() + self.from_reference.len()
    }

    /// Combines a quantity of both directions; the direction from an empty mask counts as 0, so
    /// that two empty masks are 0 apart and the infinity of the other direction prevails.
    fn of_directions(
        &self,
        quantity: impl Fn(&[f64]) -> Option<f64>,
        combine: fn(f64, f64) -> f64,
    ) -> f64 {
        let of = |distances: &[f64]| quantity(distances).unwrap_or(0.0);
        combine(of(&self.from_prediction), of(&self.from_reference))
    }
}

fn sorted_distances(grid: &Grid, from: &[bool], to: &[bool]) -> Result<Vec<f64>, MetricError> {
    let found = nearest(grid, from, to)?.into_iter();
    let mut distances: Vec<f64> = found.map(|(_, distance)| distance).collect();
    distances.sort_unstable_by(f64::total_cmp);
    Ok(distances)
}

fn at_percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    (!sorted.is_empty()).then(|| quantile_of_sorted(sorted, percent / 100.0))
}

fn sum(distances: &[f64]) -> f64 {
    distances.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(found: &SurfaceDistances) -> Vec<f64> {
        vec![
            found.hausdorff(),
            found.hd95(),
            found.hausdorff_percentile_pooled(95.0).unwrap(),
            found.average_symmetric(),
            found.mean_of_directed_means(),
        ]
    }

    #[test]
    fn empty_masks_follow_the_convention() {
        let grid = Grid::unit(&[2, 2]).unwrap();
        let some = [true, false, true, false];
        let none = [false; 4];
        let found = SurfaceDistances::between(&grid, &none, &none).unwrap();
        assert_eq!(all(&found), [0.0; 5]);
        assert!((found.surface_dice(0.0).unwrap() - 1.0).abs() < 1e-15);
        for (ours, theirs) in [(some, none), (none, some)] {
            let found = SurfaceDistances::between(&grid, &ours, &theirs).unwrap();
            assert_eq!(all(&found), [f64::INFINITY; 5]);
            assert!(found.surface_dice(1e9).unwrap().abs() < 1e-15);
        }
    }

    #[test]
    fn masks_cover_the_grid() {
        let grid = Grid::unit(&[2, 2]).unwrap();
        let error = SurfaceDistances::between(&grid, &[true; 4], &[true; 3]).unwrap_err();
        assert_eq!(error.to_string(), "reference: expected length 4, found 3");
        let error = SurfaceDistances::between(&grid, &[true; 5], &[true; 4]).unwrap_err();
        assert_eq!(error.to_string(), "prediction: expected length 4, found 5");
    }

    #[test]
    fn ill_parameters_are_typed() {
        let grid = Grid::unit(&[2, 2]).unwrap();
        let found = SurfaceDistances::between(&grid, &[true; 4], &[true; 4]).unwrap();
        for percent in [-1.0, 100.5, f64::NAN] {
            assert!(found.hausdorff_percentile(percent).is_err());
            assert!(found.hausdorff_percentile_pooled(percent).is_err());
        }
        for tolerance in [-1e-9, f64::NAN, f64::INFINITY] {
            assert!(found.surface_dice(tolerance).is_err());
        }
    }

    #[test]
    fn a_distance_that_rounds_past_the_tolerance_is_within() {
        let grid = Grid::new(&[2, 2], &[0.6, 0.8]).unwrap();
        let (ours, theirs) = ([true, false, false, false], [false, false, false, true]);
        let found = SurfaceDistances::between(&grid, &ours, &theirs).unwrap();
        assert!((found.surface_dice(1.0).unwrap() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn in_a_plane_there_is_nothing_above_or_below() {
        let inner = [false, false, false, false, true, false, false, false, false];
        let plane = surface_voxels(&Grid::unit(&[3, 3]).unwrap(), &[true; 9]).unwrap();
        assert!(
            plane
                .iter()
                .zip(&inner)
                .all(|(&surface, &inside)| surface != inside)
        );
        let slab = surface_voxels(&Grid::unit(&[1, 3, 3]).unwrap(), &[true; 9]).unwrap();
        assert_eq!(slab, [true; 9]);
    }
}
