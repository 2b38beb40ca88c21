//! Exact Euclidean distance to the nearest marked voxel, on anisotropic grids.
//!
//! The squared distance separates into axes: after a scan along the last axis, each further axis
//! takes the lower envelope of the parabolas `f(p) + (s (q - p))²` that stand on its line, where
//! `s` is the spacing. Each pass visits a voxel a bounded number of times.
//!
//! # References
//! Felzenszwalb & Huttenlocher, "Distance transforms of sampled functions", 2012, algorithm 1;
//! deviations: the axes have their own spacing, and lines start from a scan instead of an envelope.

use crate::MetricError;
use crate::grid::Grid;

/// Neighbouring lines that are copied together, one cache line of `f64`.
const LINES_TOGETHER: usize = 8;

/// Distance in mm from every voxel centre to the nearest marked one.
///
/// # Arguments
/// - `grid`: the lattice.
/// - `marked`: `[voxels]`, row-major.
///
/// # Returns
/// `[voxels]`: 0 at marked voxels, infinity everywhere when none is marked.
///
/// # Errors
/// [`MetricError::LengthMismatch`] when `marked` does not cover the grid.
///
/// # Complexity
/// Linear in the number of voxels.
///
/// # References
/// See the [module](self).
///
/// # Examples
///
/// ```
/// use ctl_metrics::{distance_transform::distance_transform, grid::Grid};
/// let grid = Grid::new(&[2, 3], &[3.0, 2.0])?;
/// let distances = distance_transform(&grid, &[true, false, false, false, false, false])?;
/// assert_eq!(distances[..4], [0.0, 2.0, 4.0, 3.0]);
/// assert_eq!(distances[5], 5.0);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn distance_transform(grid: &Grid, marked: &[bool]) -> Result<Vec<f64>, MetricError> {
    let mut distances = squared_distance_transform(grid, marked)?;
    for value in &mut distances {
        *value = value.sqrt();
    }
    Ok(distances)
}

/// Squared distance in mm² from every voxel centre to the nearest marked one.
///
/// # Arguments
/// As [`distance_transform`].
///
/// # Returns
/// `[voxels]`: 0 at marked voxels, infinity everywhere when none is marked.
///
/// # Errors
/// As [`distance_transform`].
///
/// # Complexity
/// Linear in the number of voxels.
///
/// # Examples
///
/// ```
/// use ctl_metrics::{distance_transform::squared_distance_transform, grid::Grid};
/// let grid = Grid::new(&[1, 3], &[1.0, 2.0])?;
/// assert_eq!(squared_distance_transform(&grid, &[false, false, true])?, [16.0, 4.0, 0.0]);
/// assert_eq!(squared_distance_transform(&grid, &[false; 3])?, [f64::INFINITY; 3]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn squared_distance_transform(grid: &Grid, marked: &[bool]) -> Result<Vec<f64>, MetricError> {
    grid.covers("marked", marked.len())?;
    let (shape, spacing) = (grid.full_shape(), grid.full_spacing());
    let mut squared = vec![f64::INFINITY; marked.len()];
    let rows = squared
        .chunks_exact_mut(shape[2])
        .zip(marked.chunks_exact(shape[2]));
    for (row, marks) in rows {
        scan(row, marks, spacing[2]);
    }
    for axis in [1, 0] {
        if shape[axis] > 1 {
            transform_axis(
                &mut squared,
                shape[axis],
                grid.strides()[axis],
                spacing[axis],
            );
        }
    }
    Ok(squared)
}

/// Squared distances along one line to its own marks.
fn scan(row: &mut [f64], marks: &[bool], spacing: f64) {
    let squared = |steps: usize| (steps as f64 * spacing) * (steps as f64 * spacing);
    let mut last = None;
    for (index, value) in row.iter_mut().enumerate() {
        if marks[index] {
            last = Some(index);
        }
        *value = last.map_or(f64::INFINITY, |mark| squared(index - mark));
    }
    let mut next = None;
    for (index, value) in row.iter_mut().enumerate().rev() {
        if marks[index] {
            next = Some(index);
        }
        *value = next.map_or(*value, |mark| value.min(squared(mark - index)));
    }
}

/// Takes the lower envelope along every line of an axis, a few neighbouring lines at a time so
/// that strided memory is read in whole cache lines.
fn transform_axis(values: &mut [f64], length: usize, stride: usize, spacing: f64) {
    let mut envelope = LowerEnvelope::default();
    let mut lines = vec![0.0; LINES_TOGETHER * length];
    for slab in values.chunks_exact_mut(length * stride) {
        for first in (0..stride).step_by(LINES_TOGETHER) {
            let together = LINES_TOGETHER.min(stride - first);
            for step in 0..length {
                for (line, value) in slab[step * stride + first..][..together].iter().enumerate() {
                    lines[line * length + step] = *value;
                }
            }
            for line in lines.chunks_exact_mut(length).take(together) {
                envelope.transform(line, spacing);
            }
            for step in 0..length {
                let row = &mut slab[step * stride + first..][..together];
                for (line, value) in row.iter_mut().enumerate() {
                    *value = lines[line * length + step];
                }
            }
        }
    }
}

/// The parabolas that form the lower envelope of a line.
#[derive(Debug, Default)]
struct LowerEnvelope {
    /// Positions of the apexes, ascending.
    apexes: Vec<usize>,
    /// Heights of the apexes.
    heights: Vec<f64>,
    /// Position from which each parabola is the lowest.
    starts: Vec<f64>,
}

impl LowerEnvelope {
    /// Replaces `f(q)` by the minimum over `p` of `f(p) + (s (q - p))²`.
    fn transform(&mut self, line: &mut [f64], spacing: f64) {
        let squared_spacing = spacing * spacing;
        self.build(line, squared_spacing);
        if self.apexes.is_empty() {
            return;
        }
        let mut lowest = 0;
        for (position, value) in line.iter_mut().enumerate() {
            while self
                .starts
                .get(lowest + 1)
                .is_some_and(|&start| start < position as f64)
            {
                lowest += 1;
            }
            let steps = position.abs_diff(self.apexes[lowest]) as f64;
            *value = self.heights[lowest] + steps * steps * squared_spacing;
        }
    }

    fn build(&mut self, line: &[f64], squared_spacing: f64) {
        self.apexes.clear();
        self.heights.clear();
        self.starts.clear();
        for (position, &height) in line.iter().enumerate() {
            // A voxel that no mark has reached yet has no parabola.
            if height < f64::INFINITY {
                let start = self.make_room(position, height, squared_spacing);
                self.apexes.push(position);
                self.heights.push(height);
                self.starts.push(start);
            }
        }
    }

    /// Removes the parabolas that a new one hides and says from where on the new one is lowest.
    fn make_room(&mut self, position: usize, height: f64, squared_spacing: f64) -> f64 {
        while let (Some(&apex), Some(&other), Some(&start)) =
            (self.apexes.last(), self.heights.last(), self.starts.last())
        {
            let apart = (position - apex) as f64;
            let rise = (height - other) / (squared_spacing * apart);
            let crossing = 0.5 * (rise + (position + apex) as f64);
            if crossing > start {
                return crossing;
            }
            self.apexes.pop();
            self.heights.pop();
            self.starts.pop();
        }
        f64::NEG_INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_definition(grid: &Grid, marked: &[bool]) -> Vec<f64> {
        let (strides, spacing) = (grid.strides(), grid.full_spacing());
        let place = |index: usize| {
            [
                (index / strides[0]) as f64 * spacing[0],
                (index % strides[0] / strides[1]) as f64 * spacing[1],
                (index % strides[1]) as f64 * spacing[2],
            ]
        };
        let apart = |a: [f64; 3], b: [f64; 3]| -> f64 {
            a.iter().zip(&b).map(|(x, y)| (x - y) * (x - y)).sum()
        };
        let marks: Vec<usize> = (0..marked.len()).filter(|&index| marked[index]).collect();
        (0..marked.len())
            .map(|index| {
                let squares = marks.iter().map(|&mark| apart(place(index), place(mark)));
                squares.fold(f64::INFINITY, f64::min)
            })
            .collect()
    }

    fn grids() -> impl Strategy<Value = (Grid, Vec<bool>)> {
        let shape = (1_usize..5, 1_usize..12, 1_usize..12);
        let spacing = (0.1_f64..6.0, 0.1_f64..6.0, 0.1_f64..6.0);
        (shape, spacing, 0.0_f64..0.5).prop_flat_map(|(shape, spacing, density)| {
            let grid = Grid::new(
                &[shape.0, shape.1, shape.2],
                &[spacing.0, spacing.1, spacing.2],
            )
            .unwrap();
            let marks = prop::collection::vec(prop::bool::weighted(density), grid.voxels());
            marks.prop_map(move |marks| (grid, marks))
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition((grid, marked) in grids()) {
            let found = squared_distance_transform(&grid, &marked).unwrap();
            for (a, b) in found.iter().zip(by_definition(&grid, &marked)) {
                // Both are infinite without a mark, and their difference is then no number.
                let same = a.is_infinite() && b.is_infinite();
                prop_assert!(same || (a - b).abs() <= 1e-12 * b, "{} and {}", a, b);
            }
        }
    }

    #[test]
    fn lengths_are_checked() {
        let grid = Grid::unit(&[2, 2]).unwrap();
        let error = distance_transform(&grid, &[true; 3]).unwrap_err();
        assert_eq!(error.to_string(), "marked: expected length 4, found 3");
    }

    #[test]
    fn thick_slices_do_not_hide_near_marks() {
        // The nearer mark lies two rows away in the plane, the other one slice away.
        let grid = Grid::new(&[2, 3, 1], &[5.0, 0.5, 0.5]).unwrap();
        let marked = [false, false, true, true, false, false];
        let found = distance_transform(&grid, &marked).unwrap();
        assert!((found[0] - 1.0).abs() < 1e-15, "{found:?}");
    }
}
