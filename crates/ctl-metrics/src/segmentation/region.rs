//! The part of a grid that two masks occupy.

use crate::MetricError;
use crate::grid::{AXES, Grid};

/// Two masks cut out of their grid with nothing but background left outside.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) grid: Grid,
    pub(super) prediction: Vec<bool>,
    pub(super) reference: Vec<bool>,
}

impl Region {
    /// Cuts both masks to the box around their union and adds background after its end.
    ///
    /// Distances between boundaries lie within the box, so they do not change.
    ///
    /// # Arguments
    /// - `margin`: voxels of background to add after the end of each axis that the grid has.
    ///
    /// # Returns
    /// `None` when both masks are empty.
    pub(super) fn around(
        grid: &Grid,
        prediction: &[bool],
        reference: &[bool],
        margin: usize,
    ) -> Result<Option<Self>, MetricError> {
        grid.covers("prediction", prediction.len())?;
        grid.covers("reference", reference.len())?;
        let Some((first, mut shape)) = bounding_box(grid, prediction, reference) else {
            return Ok(None);
        };
        let inner = shape;
        for axis in grid.axes() {
            shape[axis] += margin;
        }
        let cut = Cut {
            first,
            inner,
            shape,
        };
        Ok(Some(Self {
            grid: grid.with_full_shape(shape),
            prediction: cut.of(grid, prediction),
            reference: cut.of(grid, reference),
        }))
    }
}

/// First corner and shape of the box around the union of two masks.
fn bounding_box(
    grid: &Grid,
    prediction: &[bool],
    reference: &[bool],
) -> Option<([usize; AXES], [usize; AXES])> {
    let [_, height, width] = grid.full_shape();
    let (mut first, mut last) = ([usize::MAX; AXES], [0; AXES]);
    let mut found = false;
    let rows = prediction
        .chunks_exact(width)
        .zip(reference.chunks_exact(width));
    for (row, (ours, theirs)) in rows.enumerate() {
        // Most rows are empty, which a pass without exit tells many voxels at a time.
        let pairs = ours.iter().zip(theirs);
        if !pairs.fold(false, |any, (&a, &b)| any | a | b) {
            continue;
        }
        let mut either = ours.iter().zip(theirs).map(|(&a, &b)| a || b);
        let Some(begin) = either.position(|marked| marked) else {
            continue;
        };
        let mut either = ours.iter().zip(theirs).map(|(&a, &b)| a || b);
        let end = either.rposition(|marked| marked).unwrap_or(begin);
        let (low, high) = (
            [row / height, row % height, begin],
            [row / height, row % height, end],
        );
        for axis in 0..AXES {
            first[axis] = first[axis].min(low[axis]);
            last[axis] = last[axis].max(high[axis]);
        }
        found = true;
    }
    found.then(|| {
        (
            first,
            std::array::from_fn(|axis| last[axis] - first[axis] + 1),
        )
    })
}

/// A box of a grid and the larger box of background that it is copied into.
struct Cut {
    first: [usize; AXES],
    inner: [usize; AXES],
    shape: [usize; AXES],
}

impl Cut {
    fn of(&self, grid: &Grid, mask: &[bool]) -> Vec<bool> {
        let strides = grid.strides();
        let [depth, height, width] = self.inner;
        let mut out = vec![false; self.shape.iter().product()];
        for slice in 0..depth {
            for row in 0..height {
                let from = (self.first[0] + slice) * strides[0]
                    + (self.first[1] + row) * strides[1]
                    + self.first[2];
                let to = (slice * self.shape[1] + row) * self.shape[2];
                out[to..to + width].copy_from_slice(&mask[from..from + width]);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_holds_both_masks_and_a_margin() {
        let grid = Grid::new(&[4, 5], &[1.0, 2.0]).unwrap();
        let (mut ours, mut theirs) = (vec![false; 20], vec![false; 20]);
        ours[7] = true; // row 1, column 2
        theirs[13] = true; // row 2, column 3
        let region = Region::around(&grid, &ours, &theirs, 0).unwrap().unwrap();
        assert_eq!(region.grid.shape(), [2, 2]);
        assert_eq!(region.prediction, [true, false, false, false]);
        assert_eq!(region.reference, [false, false, false, true]);
        let wider = Region::around(&grid, &ours, &theirs, 1).unwrap().unwrap();
        assert_eq!(wider.grid.full_shape(), [1, 3, 3]);
        assert_eq!(wider.prediction.iter().filter(|&&marked| marked).count(), 1);
        assert!(
            Region::around(&grid, &[false; 20], &[false; 20], 1)
                .unwrap()
                .is_none()
        );
    }
}
