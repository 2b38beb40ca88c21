//! What is reached from a voxel in one step.

use crate::Result;
use crate::distance::{check_spacing, squared_distance};
use crate::error::ImagingError;
use rayon::prelude::*;

/// Relative part of the squared radius by which a centre may lie beyond a ball's surface and still
/// belong to it: `3 · 0.7` is a little more than `2.1`, or less.
const ON_SURFACE: f64 = 1e-9;

/// Which voxels are neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connectivity {
    /// Those that share a face: 6 in a volume, 4 in a picture.
    Faces,
    /// Those that share a face or an edge: 18 in a volume, 8 in a picture.
    Edges,
    /// Those that share a face, an edge or a corner: 26 in a volume, 8 in a picture.
    Corners,
}

impl Connectivity {
    /// How many indices of neighbours may differ by one.
    fn steps(self) -> usize {
        match self {
            Self::Faces => 1,
            Self::Edges => 2,
            Self::Corners => 3,
        }
    }

    /// How far, 0 or 1, a voxel reaches along the first axis in a row that many rows away along
    /// the second and that many planes away along the third (each 0 or 1 apart); `None` when it
    /// does not reach that row.
    pub(super) fn reach(self, row: isize, plane: isize) -> Option<usize> {
        let steps = row.unsigned_abs() + plane.unsigned_abs();
        self.steps().checked_sub(steps).map(|left| left.min(1))
    }
}

/// What is reached from a voxel.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Element {
    /// Neighbours, their neighbours, and so on.
    Neighbours {
        /// Which voxels are neighbours.
        connectivity: Connectivity,
        /// How many times to go on.
        times: usize,
    },
    /// All voxels whose centres lie within a ball.
    Ball {
        /// Its radius, mm, at least 0.
        radius: f64,
        /// Millimetres between neighbouring centres along each axis.
        spacing: [f64; 3],
    },
}

impl Element {
    /// The neighbours of a voxel.
    pub fn neighbours(connectivity: Connectivity) -> Self {
        Self::Neighbours {
            connectivity,
            times: 1,
        }
    }

    /// How many voxels it reaches along each axis that has an extent.
    pub(super) fn extent(&self, shape: [usize; 3]) -> Result<[usize; 3]> {
        let reached = match *self {
            Self::Neighbours { times, .. } => [times; 3],
            Self::Ball { radius, spacing } => {
                check_radius(radius)?;
                check_spacing(spacing)?;
                spacing.map(|side| (radius / side * (1.0 + ON_SURFACE)) as usize)
            }
        };
        Ok([0, 1, 2].map(|axis| if shape[axis] > 1 { reached[axis] } else { 0 }))
    }

    /// Grows the voxels whose mark is `kind`: dilation for marked ones, erosion for the others.
    pub(super) fn grown(
        &self,
        mut mask: Vec<bool>,
        shape: [usize; 3],
        kind: bool,
    ) -> Result<Vec<bool>> {
        match *self {
            Self::Neighbours {
                connectivity,
                times,
            } => {
                // Nothing changes once the whole image has been crossed.
                let longest = shape.iter().sum();
                for _ in 0..times.min(longest) {
                    mask = step(&mask, shape, connectivity, kind);
                }
                Ok(mask)
            }
            Self::Ball { radius, spacing } => {
                check_radius(radius)?;
                let within = radius * radius * (1.0 + ON_SURFACE);
                let squared = squared_distance(&mask, shape, spacing, kind)?;
                let marks = squared.into_par_iter();
                Ok(marks.map(|squared| (squared <= within) == kind).collect())
            }
        }
    }
}

fn check_radius(radius: f64) -> Result<()> {
    if radius >= 0.0 && radius.is_finite() {
        return Ok(());
    }
    Err(ImagingError::argument(
        "radius of a ball",
        "a finite number of mm, at least 0",
        radius.to_string(),
    ))
}

/// Grows the voxels of one kind by their neighbours.
fn step(mask: &[bool], shape: [usize; 3], connectivity: Connectivity, kind: bool) -> Vec<bool> {
    let [width, height, depth] = shape;
    let mut grown = mask.to_vec();
    let rows = grown.par_chunks_mut(width).enumerate();
    rows.for_each(|(line, row)| {
        let (j, k) = (line % height, line / height);
        for (plane, step_k) in around(k, depth) {
            for (other, step_j) in around(j, height) {
                let Some(reach) = connectivity.reach(step_j, step_k) else {
                    continue;
                };
                let start = (plane * height + other) * width;
                spread(row, &mask[start..start + width], reach, kind);
            }
        }
    });
    grown
}

/// The indices next to one and itself, with the steps there, as far as they exist.
fn around(index: usize, count: usize) -> impl Iterator<Item = (usize, isize)> {
    [-1, 0, 1].into_iter().filter_map(move |step| {
        let other = index.checked_add_signed(step)?;
        (other < count).then_some((other, step))
    })
}

/// Marks in `row` what a row beside it reaches.
fn spread(row: &mut [bool], beside: &[bool], reach: usize, kind: bool) {
    let mark = |to: &mut [bool], from: &[bool]| {
        for (to, &from) in to.iter_mut().zip(from) {
            // Without a branch: marked by a disjunction, unmarked by a conjunction.
            *to = if kind { *to | from } else { *to & from };
        }
    };
    mark(row, beside);
    if reach > 0 {
        mark(&mut row[1..], beside);
        mark(row, &beside[1..]);
    }
}
