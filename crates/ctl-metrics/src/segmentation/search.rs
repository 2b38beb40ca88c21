//! The nearest marks of a few voxels, sought row by row.
//!
//! A transform of the whole grid answers for every voxel, but a boundary asks for few, and most of
//! them have a mark of the other boundary nearby. So only the first axis is transformed (steps to
//! the nearest mark of the own row), and rows are looked at from the nearest on, until the next one
//! is farther away than what was found.

use crate::MetricError;
use crate::distance_transform::squared_distance_transform;
use crate::grid::{AXES, Grid};

/// Rows looked at for each voxel of the grid, on average, after which the transform of the whole
/// grid, which takes a few times as long as one look, answers the rest.
const LOOKS_PER_VOXEL: usize = 2;

/// Marks of a grid, to which distances are asked.
pub(super) struct Marks<'a> {
    grid: &'a Grid,
    marked: &'a [bool],
    /// Steps along its row from each voxel to the nearest mark; the row's length where it has none.
    steps: Vec<u16>,
    /// `(s d)²` at every distance `d` in voxels along each axis; infinite behind the last of a row.
    squares: [Vec<f64>; AXES],
    /// Looks that are left before the whole grid is transformed.
    left: usize,
    /// Squared distances of all voxels, once they are needed.
    all: Option<Vec<f64>>,
}

impl<'a> Marks<'a> {
    /// Prepares for questions.
    ///
    /// # Errors
    /// [`MetricError::LengthMismatch`] when the marks do not cover the grid.
    pub(super) fn new(grid: &'a Grid, marks: &'a [bool]) -> Result<Self, MetricError> {
        grid.covers("marked", marks.len())?;
        let looks = LOOKS_PER_VOXEL.saturating_mul(grid.voxels());
        let mut found = Self {
            grid,
            marked: marks,
            steps: Vec::new(),
            squares: squares(grid),
            left: looks,
            all: None,
        };
        let width = grid.full_shape()[2];
        if width < usize::from(u16::MAX) && marks.contains(&true) {
            found.steps = vec![0; marks.len()];
            let rows = found.steps.chunks_exact_mut(width);
            for (row, marks) in rows.zip(marks.chunks_exact(width)) {
                scan(row, marks);
            }
        } else {
            // Rows that steps cannot count, or nothing to be found.
            found.left = 0;
        }
        Ok(found)
    }

    /// Squared distance in mm² from a voxel to the nearest mark; infinite without marks.
    pub(super) fn squared_distance(&mut self, voxel: usize) -> Result<f64, MetricError> {
        if self.left > 0 {
            return Ok(self.search(voxel));
        }
        if self.all.is_none() {
            self.all = Some(squared_distance_transform(self.grid, self.marked)?);
        }
        Ok(self.all.as_ref().map_or(f64::INFINITY, |all| all[voxel]))
    }

    fn search(&mut self, voxel: usize) -> f64 {
        let [slices, rows, width] = self.grid.full_shape();
        let (slice, row, column) = (voxel / (rows * width), voxel / width % rows, voxel % width);
        let [across_slices, across_rows, along] = &self.squares;
        let mut least = f64::INFINITY;
        let mut looks = 0;
        for (slices_away, &height) in across_slices.iter().enumerate() {
            // Sums of rounded numbers keep their order, so that nothing nearer is left out.
            if height >= least {
                break;
            }
            for slice in neighbours(slice, slices_away, slices) {
                for (rows_away, &depth) in across_rows.iter().enumerate() {
                    if depth + height >= least {
                        break;
                    }
                    for row in neighbours(row, rows_away, rows) {
                        let steps = self.steps[(slice * rows + row) * width + column];
                        least = least.min(along[usize::from(steps)] + depth + height);
                        looks += 1;
                    }
                }
            }
        }
        self.left = self.left.saturating_sub(looks);
        least
    }
}

/// The places a number of steps before and after another, as far as there are any; one for none.
fn neighbours(place: usize, steps: usize, count: usize) -> impl Iterator<Item = usize> {
    let before = place.checked_sub(steps);
    let after = place + steps;
    let after = (steps > 0 && after < count).then_some(after);
    before.into_iter().chain(after)
}

/// `(s d)²` at every distance `d` in voxels along each axis, infinite behind the last along rows.
fn squares(grid: &Grid) -> [Vec<f64>; AXES] {
    let (shape, spacing) = (grid.full_shape(), grid.full_spacing());
    let mut squares = std::array::from_fn(|axis| {
        let square = |steps: usize| {
            let (steps, spacing) = (steps as f64, spacing[axis]);
            // As the transform of the whole grid does, so that both give the same numbers.
            if axis == AXES - 1 {
                (steps * spacing) * (steps * spacing)
            } else {
                steps * steps * (spacing * spacing)
            }
        };
        (0..shape[axis]).map(square).collect::<Vec<_>>()
    });
    squares[AXES - 1].push(f64::INFINITY);
    squares
}

/// Steps along one row to its nearest mark; its length without one.
fn scan(row: &mut [u16], marks: &[bool]) {
    // Shorter than `u16::MAX`.
    let none = row.len() as u16;
    let mut steps = none;
    for (value, &mark) in row.iter_mut().zip(marks) {
        steps = if mark { 0 } else { none.min(steps + 1) };
        *value = steps;
    }
    for value in row.iter_mut().rev() {
        steps = (*value).min(steps + 1);
        *value = steps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grids() -> impl Strategy<Value = (Grid, Vec<bool>)> {
        let shape = (1_usize..6, 1_usize..9, 1_usize..9);
        let spacing = (0.1_f64..6.0, 0.1_f64..6.0, 0.1_f64..6.0);
        (shape, spacing, 0.0_f64..0.3).prop_flat_map(|(shape, spacing, density)| {
            let (shape, spacing) = (<[usize; 3]>::from(shape), <[f64; 3]>::from(spacing));
            let grid = Grid::new(&shape, &spacing).unwrap();
            let marks = prop::collection::vec(prop::bool::weighted(density), grid.voxels());
            marks.prop_map(move |marks| (grid, marks))
        })
    }

    fn agree(found: f64, expected: f64) -> bool {
        // Both are infinite without a mark, and their difference is then no number.
        let same = found.is_infinite() && expected.is_infinite();
        same || (found - expected).abs() <= 1e-12 * expected
    }

    proptest! {
        /// Whether all is sought, nothing, or a part of it.
        #[test]
        fn search_and_transform_agree((grid, marks) in grids(), looks in 0_usize..200) {
            let expected = squared_distance_transform(&grid, &marks).unwrap();
            for left in [usize::MAX, looks, 0] {
                let mut found = Marks::new(&grid, &marks).unwrap();
                found.left = found.left.min(left);
                if left == usize::MAX && marks.contains(&true) {
                    found.left = left;
                }
                for (voxel, &expected) in expected.iter().enumerate() {
                    let distance = found.squared_distance(voxel).unwrap();
                    prop_assert!(agree(distance, expected), "{} and {}", distance, expected);
                }
            }
        }
    }

    #[test]
    fn far_marks_are_left_to_the_transform() {
        let grid = Grid::unit(&[40, 40, 3]).unwrap();
        let mut marks = vec![false; grid.voxels()];
        marks[0] = true;
        let mut found = Marks::new(&grid, &marks).unwrap();
        let distances: Vec<f64> = (0..grid.voxels())
            .map(|voxel| found.squared_distance(voxel).unwrap())
            .collect();
        assert!(found.all.is_some(), "{} looks are left", found.left);
        assert_eq!(
            distances,
            squared_distance_transform(&grid, &marks).unwrap()
        );
    }

    #[test]
    fn rows_that_steps_cannot_count_are_transformed() {
        let width = usize::from(u16::MAX);
        let grid = Grid::unit(&[1, width]).unwrap();
        let mut marks = vec![false; width];
        marks[0] = true;
        let last = (width - 1) as f64;
        let mut found = Marks::new(&grid, &marks).unwrap();
        assert!(agree(
            found.squared_distance(width - 1).unwrap(),
            last * last
        ));
        assert!(found.steps.is_empty());
        let grid = Grid::unit(&[1, width - 1]).unwrap();
        let mut found = Marks::new(&grid, &marks[1..]).unwrap();
        assert!(found.squared_distance(5).unwrap().is_infinite());
        let mut found = Marks::new(&grid, &marks[..width - 1]).unwrap();
        assert!(agree(found.search(width - 2), (last - 1.0) * (last - 1.0)));
    }

    #[test]
    fn marks_cover_the_grid() {
        let grid = Grid::unit(&[2, 2]).unwrap();
        let error = Marks::new(&grid, &[true; 3]).err().unwrap();
        assert_eq!(error.to_string(), "marked: expected length 4, found 3");
    }
}
