//! Connected regions of a mask.

use crate::grid::Grid;
use crate::{MetricError, validate};

/// Which voxels count as neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connectivity {
    /// Voxels that share a face: 4 neighbours in a plane, 6 in a volume.
    Faces,
    /// Voxels that share a face, an edge or a corner: 8 neighbours in a plane, 26 in a volume.
    Corners,
}

/// The connected regions of a mask, numbered from 1 in the order of their first voxel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    labels: Vec<u32>,
    sizes: Vec<usize>,
}

impl Components {
    /// Number of regions.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{components::{Connectivity, connected_components}, grid::Grid};
    /// let mask = [true, false, true, true];
    /// let found = connected_components(&Grid::unit(&[1, 4])?, &mask, Connectivity::Faces)?;
    /// assert_eq!(found.count(), 2);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn count(&self) -> usize {
        self.sizes.len()
    }

    /// `[voxels]`: 0 for background, otherwise the number of the region.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{components::{Connectivity, connected_components}, grid::Grid};
    /// let mask = [true, false, true, true];
    /// let found = connected_components(&Grid::unit(&[1, 4])?, &mask, Connectivity::Faces)?;
    /// assert_eq!(found.labels(), [1, 0, 2, 2]);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Number of voxels of each region; region `r` is at position `r - 1`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::{components::{Connectivity, connected_components}, grid::Grid};
    /// let mask = [true, false, true, true];
    /// let found = connected_components(&Grid::unit(&[1, 4])?, &mask, Connectivity::Faces)?;
    /// assert_eq!(found.sizes(), [1, 2]);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The largest region alone, the first of them when several are equally large.
    ///
    /// # Returns
    /// `[voxels]`, all `false` for an empty mask.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_metrics::components::{Connectivity, connected_components};
    /// use ctl_metrics::grid::Grid;
    /// let mask = [true, false, true, true];
    /// let regions = connected_components(&Grid::unit(&[1, 4])?, &mask, Connectivity::Faces)?;
    /// assert_eq!(regions.largest(), [false, false, true, true]);
    /// # Ok::<(), ctl_metrics::MetricError>(())
    /// ```
    pub fn largest(&self) -> Vec<bool> {
        let most = self.sizes.iter().max();
        let number = most.and_then(|most| self.sizes.iter().position(|size| size == most));
        let wanted = number.map(|position| position + 1);
        self.labels
            .iter()
            .map(|&label| Some(label as usize) == wanted)
            .collect()
    }
}

/// Finds the connected regions of a mask.
///
/// # Arguments
/// - `grid`: the lattice; its spacing plays no part.
/// - `mask`: `[voxels]`, row-major.
/// - `connectivity`: which voxels are neighbours.
///
/// # Returns
/// Labels and sizes of the regions.
///
/// # Errors
/// [`MetricError::LengthMismatch`] when the mask does not cover the grid,
/// [`MetricError::InvalidParameter`] for a grid of more voxels than `u32` can number.
///
/// # Complexity
/// Two passes over the voxels; unions cost O(N α(N)), where α grows slower than any logarithm.
///
/// # References
/// Rosenfeld & Pfaltz, "Sequential operations in digital picture processing", 1966; equivalences
/// by union-find with path halving, the smaller label as root.
///
/// # Examples
///
/// ```
/// use ctl_metrics::components::{Connectivity, connected_components};
/// use ctl_metrics::grid::Grid;
/// let mask = [true, false, false, false, true, true];
/// let grid = Grid::unit(&[2, 3])?;
/// let by_corners = connected_components(&grid, &mask, Connectivity::Corners)?;
/// assert_eq!(by_corners.sizes(), [3]);
/// let by_faces = connected_components(&grid, &mask, Connectivity::Faces)?;
/// assert_eq!(by_faces.labels(), [1, 0, 0, 0, 2, 2]);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn connected_components(
    grid: &Grid,
    mask: &[bool],
    connectivity: Connectivity,
) -> Result<Components, MetricError> {
    grid.covers("mask", mask.len())?;
    let voxels = mask.len();
    let numbered = u32::try_from(voxels).is_ok();
    validate::parameter("voxels", voxels as f64, "at most 2^32 - 1", numbered)?;
    let mut provisional = vec![0; voxels];
    let mut labels = UnionFind::default();
    let earlier = earlier_neighbours(grid, connectivity);
    let [_, height, width] = grid.full_shape();
    for index in (0..voxels).filter(|&index| mask[index]) {
        let place = [
            index / (height * width),
            index / width % height,
            index % width,
        ];
        let mut own = None;
        for neighbour in &earlier {
            let Some(other) = neighbour.index(place, grid) else {
                continue;
            };
            if mask[other] {
                let label = provisional[other];
                own = Some(own.map_or(label, |own| labels.union(own, label)));
            }
        }
        provisional[index] = own.unwrap_or_else(|| labels.add());
    }
    Ok(number_regions(provisional, labels))
}

/// A step to a neighbour that precedes a voxel in row-major order.
#[derive(Debug, Clone, Copy)]
struct Step([isize; 3]);

impl Step {
    /// The index of the neighbour, unless it lies outside the grid.
    fn index(self, place: [usize; 3], grid: &Grid) -> Option<usize> {
        let (shape, strides) = (grid.full_shape(), grid.strides());
        let mut index = 0;
        for axis in 0..3 {
            let position = place[axis].checked_add_signed(self.0[axis])?;
            if position >= shape[axis] {
                return None;
            }
            index += position * strides[axis];
        }
        Some(index)
    }
}

/// Half of the neighbourhood: a pass in row-major order needs no later voxel.
fn earlier_neighbours(grid: &Grid, connectivity: Connectivity) -> Vec<Step> {
    let shape = grid.full_shape();
    let mut steps = Vec::new();
    for code in 0..27_isize {
        let step = [code / 9 - 1, code / 3 % 3 - 1, code % 3 - 1];
        let moves = step.iter().filter(|&&part| part != 0).count();
        let near = connectivity == Connectivity::Corners || moves == 1;
        // An axis of length one has no neighbours along it.
        let inside = (0..3).all(|axis| step[axis] == 0 || shape[axis] > 1);
        if step < [0, 0, 0] && near && inside {
            steps.push(Step(step));
        }
    }
    steps
}

/// Provisional labels and which of them belong together; label 0 is background.
#[derive(Debug)]
struct UnionFind {
    parents: Vec<u32>,
}

impl Default for UnionFind {
    fn default() -> Self {
        Self { parents: vec![0] }
    }
}

impl UnionFind {
    fn add(&mut self) -> u32 {
        // There are at most as many labels as voxels, whose number fits.
        let label = self.parents.len() as u32;
        self.parents.push(label);
        label
    }

    fn root(&mut self, mut label: u32) -> u32 {
        while self.parents[label as usize] != label {
            let grandparent = self.parents[self.parents[label as usize] as usize];
            self.parents[label as usize] = grandparent;
            label = grandparent;
        }
        label
    }

    fn union(&mut self, a: u32, b: u32) -> u32 {
        let (a, b) = (self.root(a), self.root(b));
        let (root, child) = (a.min(b), a.max(b));
        self.parents[child as usize] = root;
        root
    }
}

/// Replaces provisional labels by consecutive numbers in the order of first voxels.
fn number_regions(mut labels: Vec<u32>, mut equivalent: UnionFind) -> Components {
    let mut numbers = vec![0; equivalent.parents.len()];
    let mut sizes = Vec::new();
    for label in labels.iter_mut().filter(|label| **label != 0) {
        let root = equivalent.root(*label) as usize;
        if numbers[root] == 0 {
            sizes.push(0);
            numbers[root] = sizes.len() as u32;
        }
        *label = numbers[root];
        sizes[numbers[root] as usize - 1] += 1;
    }
    Components { labels, sizes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Regions by flooding from every voxel, the definition without union-find.
    fn flooded(grid: &Grid, mask: &[bool], connectivity: Connectivity) -> Vec<u32> {
        let [_, height, width] = grid.full_shape();
        let place = |i: usize| [i / (height * width), i / width % height, i % width];
        let touching = |a: usize, b: usize| {
            let steps: Vec<usize> = (0..3).map(|k| place(a)[k].abs_diff(place(b)[k])).collect();
            let near = steps.iter().all(|&step| step <= 1);
            near && (connectivity == Connectivity::Corners || steps.iter().sum::<usize>() <= 1)
        };
        let mut labels = vec![0; mask.len()];
        let mut regions = 0;
        for start in 0..mask.len() {
            if !mask[start] || labels[start] != 0 {
                continue;
            }
            regions += 1;
            let mut open = vec![start];
            while let Some(index) = open.pop() {
                labels[index] = regions;
                let next = (0..mask.len()).filter(|&j| mask[j] && labels[j] == 0);
                open.extend(next.filter(|&j| touching(index, j)));
            }
        }
        labels
    }

    proptest! {
        #[test]
        fn agrees_with_flooding(
            shape in (1_usize..4, 1_usize..7, 1_usize..7),
            bits in prop::collection::vec(prop::bool::weighted(0.45), 108),
            corners in any::<bool>(),
        ) {
            let grid = Grid::unit(&[shape.0, shape.1, shape.2]).unwrap();
            let mask = &bits[..grid.voxels()];
            let near = if corners { Connectivity::Corners } else { Connectivity::Faces };
            let found = connected_components(&grid, mask, near).unwrap();
            prop_assert_eq!(found.labels(), flooded(&grid, mask, near));
            prop_assert_eq!(found.sizes().iter().sum::<usize>(), mask.iter().filter(|&&m| m).count());
        }
    }

    #[test]
    fn branches_that_meet_late_are_one_region() {
        let rows = ["10101", "10101", "11111"];
        let mask: Vec<bool> = rows.concat().chars().map(|bit| bit == '1').collect();
        let grid = Grid::unit(&[3, 5]).unwrap();
        let found = connected_components(&grid, &mask, Connectivity::Faces).unwrap();
        assert_eq!(found.sizes(), [11]);
        assert_eq!(found.largest(), mask);
    }

    #[test]
    fn an_empty_mask_has_no_region() {
        let grid = Grid::unit(&[2, 2]).unwrap();
        let found = connected_components(&grid, &[false; 4], Connectivity::Corners).unwrap();
        assert_eq!(found.count(), 0);
        assert_eq!(found.largest(), [false; 4]);
    }

    #[test]
    fn the_mask_covers_the_grid() {
        let grid = Grid::unit(&[2, 2]).unwrap();
        let error = connected_components(&grid, &[true; 5], Connectivity::Faces).unwrap_err();
        assert_eq!(error.to_string(), "mask: expected length 4, found 5");
    }
}
