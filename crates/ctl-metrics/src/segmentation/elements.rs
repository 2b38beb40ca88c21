//! Surface distances between boundary elements weighted by their length or area.

use serde::Serialize;

use super::directed::{nearest, percentile, reach};
use super::element_area::{AreaTable, CORNERS, areas, lengths, reaches};
use super::region::Region;
use crate::MetricError;
use crate::grid::{AXES, Grid};

/// Mean distances of both directions in mm, weighted by boundary length or area.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DirectedAverages {
    /// From the reference boundary to the prediction.
    pub reference_to_prediction: f64,
    /// From the predicted boundary to the reference.
    pub prediction_to_reference: f64,
}

/// Distances between the boundary elements of two masks (*surface element family*).
///
/// An element is a 2x2 (in a volume 2x2x2) neighbourhood that holds both foreground and
/// background; the outside of the image is background. It lies at the neighbourhood's centre and
/// weighs as much as the length (area) of the marching-squares (marching-cubes) boundary inside.
/// Distances go from element to nearest element, in mm.
/// Empty masks are treated as by [`SurfaceDistances`](super::SurfaceDistances), with whose numbers
/// these are not comparable.
///
/// # References
/// Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for
/// radiotherapy", 2021, appendix on the surface Dice.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementDistances {
    from_prediction: Weighted,
    from_reference: Weighted,
}

impl ElementDistances {
    /// Measures the distances between the boundary elements of two masks.
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
    /// Linear in the voxels of the box around both masks, then O(n log n) in elements.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::ElementDistances};
    /// let grid = Grid::new(&[1, 3], &[1.0, 2.0])?;
    /// let found = ElementDistances::between(&grid, &[true, true, false], &[true, false, false])?;
    /// assert_eq!(found.hausdorff(), 2.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn between(
        grid: &Grid,
        prediction: &[bool],
        reference: &[bool],
    ) -> Result<Self, MetricError> {
        let Some(region) = Region::around(grid, prediction, reference, 1)? else {
            return Ok(Self {
                from_prediction: Weighted(Vec::new()),
                from_reference: Weighted(Vec::new()),
            });
        };
        let spacing = grid.full_spacing();
        let table = if grid.axes().len() == AXES {
            areas(spacing)
        } else {
            lengths(spacing)
        };
        let ours = Elements::of(&region.grid, &region.prediction);
        let theirs = Elements::of(&region.grid, &region.reference);
        Ok(Self {
            from_prediction: ours.distances(&region.grid, &theirs, &table)?,
            from_reference: theirs.distances(&region.grid, &ours, &table)?,
        })
    }

    /// Hausdorff distance: the largest of all distances, in mm.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::ElementDistances};
    /// let grid = Grid::unit(&[4, 4])?;
    /// let found = ElementDistances::between(&grid, &[true; 16], &[true; 16])?;
    /// assert_eq!(found.hausdorff(), 0.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn hausdorff(&self) -> f64 {
        self.larger(|side| side.0.last().map(|&(distance, _)| distance))
    }

    /// The larger of the two directed percentiles, in mm.
    ///
    /// The directed percentile is the smallest distance up to which elements hold at least the
    /// given share of the boundary.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for a percentile outside `[0, 100]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::ElementDistances};
    /// let grid = Grid::unit(&[1, 6])?;
    /// let reference = [true, false, false, false, false, false];
    /// let found = ElementDistances::between(&grid, &[true; 6], &reference)?;
    /// assert_eq!((found.robust_hausdorff(50.0)?, found.hausdorff()), (2.0, 5.0));
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn robust_hausdorff(&self, percent: f64) -> Result<f64, MetricError> {
        percentile(percent)?;
        Ok(self.larger(|side| side.percentile(percent)))
    }

    /// Mean distances of both directions; both are infinite when exactly one mask is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::ElementDistances};
    /// let grid = Grid::unit(&[1, 2])?;
    /// let found = ElementDistances::between(&grid, &[true, true], &[true, false])?.averages();
    /// assert_eq!(found.reference_to_prediction, 0.0);
    /// // Of the length of 2 + 4 sqrt(1/2), two corners are one pixel away.
    /// assert!((found.prediction_to_reference - (1.0 - 0.5_f64.sqrt())).abs() < 1e-12);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn averages(&self) -> DirectedAverages {
        let either_empty = self.larger(|side| side.0.last().map(|&(distance, _)| distance));
        let of = |side: &Weighted| {
            if either_empty.is_infinite() {
                f64::INFINITY
            } else {
                side.mean()
            }
        };
        DirectedAverages {
            reference_to_prediction: of(&self.from_reference),
            prediction_to_reference: of(&self.from_prediction),
        }
    }

    /// Surface Dice: the share of both boundaries within a tolerance of the other, by length or
    /// area.
    ///
    /// # Arguments
    /// - `tolerance`: in mm, from 0 on; a distance equal to it counts as within.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for a negative or infinite tolerance.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{grid::Grid, segmentation::ElementDistances};
    /// let grid = Grid::unit(&[1, 2])?;
    /// let found = ElementDistances::between(&grid, &[true, true], &[true, false])?;
    /// assert_eq!(found.surface_dice(1.0)?, 1.0);
    /// assert!(found.surface_dice(0.5)? < 1.0);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn surface_dice(&self, tolerance: f64) -> Result<f64, MetricError> {
        let reach = reach(tolerance)?;
        let sides = [&self.from_prediction, &self.from_reference];
        let all: f64 = sides.iter().map(|side| side.weight()).sum();
        let near: f64 = sides.iter().map(|side| side.weight_within(reach)).sum();
        Ok(if all > 0.0 { near / all } else { 1.0 })
    }

    fn larger(&self, quantity: impl Fn(&Weighted) -> Option<f64>) -> f64 {
        let of = |side: &Weighted| quantity(side).unwrap_or(0.0);
        of(&self.from_prediction).max(of(&self.from_reference))
    }
}

/// Distances with their weights, ascending.
#[derive(Debug, Clone, PartialEq)]
struct Weighted(Vec<(f64, f64)>);

impl Weighted {
    fn weight(&self) -> f64 {
        self.0.iter().map(|&(_, weight)| weight).sum()
    }

    fn weight_within(&self, reach: f64) -> f64 {
        let near = self.0.partition_point(|&(distance, _)| distance <= reach);
        self.0[..near].iter().map(|&(_, weight)| weight).sum()
    }

    fn mean(&self) -> f64 {
        let sum: f64 = self
            .0
            .iter()
            .map(|&(distance, weight)| distance * weight)
            .sum();
        if self.0.is_empty() {
            0.0
        } else {
            sum / self.weight()
        }
    }

    fn percentile(&self, percent: f64) -> Option<f64> {
        let wanted = percent / 100.0;
        let all = self.weight();
        let mut before = 0.0;
        let found = self.0.iter().find(|&&(_, weight)| {
            before += weight;
            before / all >= wanted
        });
        // Rounding may leave the whole short of one hundred percent.
        found.or(self.0.last()).map(|&(distance, _)| distance)
    }
}

/// Codes of all neighbourhoods of a mask; the one at a voxel reaches back by one along each axis.
struct Elements {
    codes: Vec<u8>,
    boundary: Vec<bool>,
}

impl Elements {
    /// # Arguments
    /// - `grid`, `mask`: with background after the end of each axis, so that a step back from the
    ///   start of an axis ends on background, too.
    fn of(grid: &Grid, mask: &[bool]) -> Self {
        let strides = grid.strides();
        let corners = 1_usize << grid.axes().len();
        let mut codes = vec![0; mask.len()];
        for corner in 0..corners {
            let steps_back = grid.axes().filter(|&axis| !reaches(corner, axis));
            let back = steps_back.map(|axis| strides[axis]).sum::<usize>();
            for (code, &marked) in codes[back..].iter_mut().zip(mask) {
                *code |= u8::from(marked) << corner;
            }
        }
        // Two to the corners, less one, is a neighbourhood of foreground alone.
        let full = u8::MAX >> (CORNERS - corners);
        let boundary = codes.iter().map(|&code| code != 0 && code != full);
        Self {
            boundary: boundary.collect(),
            codes,
        }
    }

    fn distances(
        &self,
        grid: &Grid,
        to: &Self,
        table: &AreaTable,
    ) -> Result<Weighted, MetricError> {
        let found = nearest(grid, &self.boundary, &to.boundary)?.into_iter();
        let mut weighted: Vec<(f64, f64)> = found
            .map(|(index, distance)| (distance, table[usize::from(self.codes[index])]))
            .collect();
        weighted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Ok(Weighted(weighted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(found: &ElementDistances) -> Vec<f64> {
        let averages = found.averages();
        vec![
            found.hausdorff(),
            found.robust_hausdorff(95.0).unwrap(),
            averages.reference_to_prediction,
            averages.prediction_to_reference,
        ]
    }

    #[test]
    fn empty_masks_follow_the_convention() {
        let grid = Grid::unit(&[2, 2, 1]).unwrap();
        let (some, none) = ([true, false, true, false], [false; 4]);
        let found = ElementDistances::between(&grid, &none, &none).unwrap();
        assert_eq!(all(&found), [0.0; 4]);
        assert!((found.surface_dice(0.0).unwrap() - 1.0).abs() < 1e-15);
        for (ours, theirs) in [(some, none), (none, some)] {
            let found = ElementDistances::between(&grid, &ours, &theirs).unwrap();
            assert_eq!(all(&found), [f64::INFINITY; 4]);
            assert!(found.surface_dice(1e9).unwrap().abs() < 1e-15);
        }
    }

    #[test]
    fn ill_input_is_typed() {
        let grid = Grid::unit(&[2, 2]).unwrap();
        assert!(ElementDistances::between(&grid, &[true; 4], &[true; 3]).is_err());
        let found = ElementDistances::between(&grid, &[true; 4], &[true; 4]).unwrap();
        assert!(found.robust_hausdorff(101.0).is_err());
        assert!(found.surface_dice(f64::NAN).is_err());
    }

    #[test]
    fn a_box_has_the_area_of_its_bevelled_sides() {
        // Six faces of one pixel's inset each, twelve bevelled edges, eight corners.
        let (spacing, edges) = ([3.0, 0.5, 2.0], [2.0, 3.0, 4.0]);
        let grid = Grid::new(&[2, 3, 4], &spacing).unwrap();
        let found = ElementDistances::between(&grid, &[true; 24], &[true; 24]).unwrap();
        let face = |a: usize, b: usize| spacing[a] * spacing[b];
        let inset = |axis: usize| edges[axis] - 1.0;
        let mut area = 0.0;
        for (axis, b, c) in [(0, 1, 2), (1, 0, 2), (2, 0, 1)] {
            area += 2.0 * inset(b) * inset(c) * face(b, c);
            area += 4.0 * inset(axis) * 0.5 * face(axis, b).hypot(face(axis, c));
        }
        area += face(0, 1).hypot(face(0, 2)).hypot(face(1, 2));
        assert!((found.from_reference.weight() - area).abs() < 1e-12);
    }
}
