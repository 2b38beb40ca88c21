//! Exact Euclidean distances on anisotropic grids.
//!
//! Squared distance separates into axes: after a scan along the first axis, every further one takes
//! the lower envelope of the parabolas `f(p) + (s (q − p))²` that stand on its lines, where `s` is
//! the spacing. Lines are independent, so that they are transformed in parallel.
//! No more is looked at than the box around the voxels that are asked, with a margin of one voxel.
//!
//! # References
//! Felzenszwalb & Huttenlocher, "Distance transforms of sampled functions", 2012, algorithm 1.
//! Deviations: the axes have their own spacing, and lines start from a scan instead of an envelope.

use crate::Result;
use crate::error::ImagingError;
use crate::lines::for_each_bundle_within;
use crate::morphology::check_mask;
use rayon::prelude::*;
use std::ops::Range;

/// Lines that are taken out together: a cache line of `f64`.
const TOGETHER: usize = 8;

/// Lines of a bundle that one thread works on.
const WIDTH: usize = 64;

/// Spacings outside these bounds are units gone wrong; inside them no square over- or underflows.
const SPACING: std::ops::RangeInclusive<f64> = 1e-50..=1e50;

/// Distance from every voxel of a mask to the nearest voxel that is not in it.
///
/// # Arguments
/// * `mask`: one mark a voxel, first axis fastest.
/// * `shape`: voxels along each axis; 1 along the third for a picture.
/// * `spacing`: mm between neighbouring centres along each axis, in `[1e-50, 1e50]`.
///
/// # Returns
/// Millimetres between voxel centres, in the mask's order: 0 outside the mask, infinity everywhere
/// when the mask has every voxel. What lies outside the image is not asked.
///
/// # Errors
/// [`ImagingError::Argument`] when the mask does not have as many voxels as the shape, or a spacing
/// is out of range.
///
/// # Complexity
/// Linear in the number of voxels.
///
/// # References
/// See the [module](self). Agrees with `scipy.ndimage.distance_transform_edt`.
///
/// # Examples
/// ```
/// use ctl_imaging::distance::distance_transform;
///
/// let mask = [true, true, false, true, true, true];
/// let distances = distance_transform(&mask, [3, 2, 1], [2.0, 3.0, 1.0])?;
/// assert_eq!(distances, [4.0, 2.0, 0.0, 5.0, 13_f64.sqrt(), 3.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn distance_transform(mask: &[bool], shape: [usize; 3], spacing: [f64; 3]) -> Result<Vec<f64>> {
    let mut distances = squared_distance(mask, shape, spacing, false)?;
    let within = box_around(mask, shape, false);
    for_each_row(&mut distances, shape, &within, |_, row| {
        for value in row {
            *value = value.sqrt();
        }
    });
    Ok(distances)
}

/// Distance from every voxel to the nearest one of the other kind, negative within the mask.
///
/// The surface lies between the voxels, so that no voxel has distance 0.
///
/// # Arguments
/// As of [`distance_transform`].
///
/// # Returns
/// Millimetres: above 0 outside the mask, below 0 within; infinite when there is no voxel of the
/// other kind.
///
/// # Errors
/// As of [`distance_transform`].
///
/// # Examples
/// ```
/// use ctl_imaging::distance::signed_distance_transform;
///
/// let mask = [false, false, true, true];
/// let distances = signed_distance_transform(&mask, [4, 1, 1], [0.5, 1.0, 1.0])?;
/// assert_eq!(distances, [1.0, 0.5, -0.5, -1.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn signed_distance_transform(
    mask: &[bool],
    shape: [usize; 3],
    spacing: [f64; 3],
) -> Result<Vec<f64>> {
    let inside = squared_distance(mask, shape, spacing, false)?;
    let mut distances = squared_distance(mask, shape, spacing, true)?;
    distances
        .par_iter_mut()
        .zip(inside)
        .zip(mask)
        .for_each(|((value, inside), &is_in)| {
            *value = if is_in { -inside.sqrt() } else { value.sqrt() };
        });
    Ok(distances)
}

/// Squared distance in mm² from every voxel to the nearest whose mark is `target`.
pub(crate) fn squared_distance(
    mask: &[bool],
    shape: [usize; 3],
    spacing: [f64; 3],
    target: bool,
) -> Result<Vec<f64>> {
    check_mask(mask, shape)?;
    check_spacing(spacing)?;
    let within = box_around(mask, shape, target);
    let mut squared = vec![0.0; mask.len()];
    for_each_row(&mut squared, shape, &within, |start, row| {
        scan(row, &mask[start..start + row.len()], spacing[0], target);
    });
    for axis in [1, 2] {
        if shape[axis] > 1 {
            let steps = Steps::new(within[axis].len(), spacing[axis]);
            for_each_bundle_within(&mut squared, shape, &within, axis, WIDTH, |bundle| {
                transform(bundle, &steps);
            });
        }
    }
    Ok(squared)
}

/// The box around all voxels that do not have the mark `target`, and one voxel more on each side
/// where the image goes on.
///
/// All voxels outside are targets. To one in the box, some target in it is as near as any other: of
/// one beyond a side, the voxel that lies before it in the margin is a target too, and nearer.
fn box_around(mask: &[bool], shape: [usize; 3], target: bool) -> [Range<usize>; 3] {
    let (mut starts, mut ends) = ([usize::MAX; 3], [0; 3]);
    for (number, row) in mask.chunks_exact(shape[0]).enumerate() {
        let asked = row.iter().map(|&mark| mark != target);
        // Without an exit, which lets many voxels be looked at together.
        if !asked.clone().fold(false, |any, one| any | one) {
            continue;
        }
        let first = asked.clone().position(|one| one).unwrap_or(0);
        let last = asked.clone().rposition(|one| one).unwrap_or(0);
        let (row, slice) = (number % shape[1], number / shape[1]);
        for (axis, (low, high)) in [(first, last), (row, row), (slice, slice)]
            .into_iter()
            .enumerate()
        {
            starts[axis] = starts[axis].min(low);
            ends[axis] = ends[axis].max(high + 1);
        }
    }
    [0, 1, 2].map(|axis: usize| {
        if ends[axis] == 0 {
            0..0
        } else {
            starts[axis].saturating_sub(1)..shape[axis].min(ends[axis] + 1)
        }
    })
}

/// Hands out the rows of a box in parallel, each with the index of its first voxel.
fn for_each_row(
    values: &mut [f64],
    shape: [usize; 3],
    within: &[Range<usize>; 3],
    change: impl Fn(usize, &mut [f64]) + Sync + Send,
) {
    let [columns, rows, slices] = within;
    let first = slices.start * shape[1];
    let all = values.par_chunks_mut(shape[0]).enumerate();
    all.skip(first)
        .take(slices.len() * shape[1])
        .filter(|(number, _)| rows.contains(&(number % shape[1])))
        .for_each(|(number, row)| {
            change(number * shape[0] + columns.start, &mut row[columns.clone()]);
        });
}

pub(crate) fn check_spacing(spacing: [f64; 3]) -> Result<()> {
    match spacing.iter().find(|side| !SPACING.contains(side)) {
        None => Ok(()),
        Some(wrong) => Err(ImagingError::argument(
            "spacing",
            "millimetres from 1e-50 to 1e50",
            wrong.to_string(),
        )),
    }
}

/// Squared distances along one row to its own marks.
fn scan(row: &mut [f64], marks: &[bool], spacing: f64, target: bool) {
    let mut steps = f64::INFINITY;
    for (value, &mark) in row.iter_mut().zip(marks) {
        steps = if mark == target { 0.0 } else { steps + 1.0 };
        *value = steps;
    }
    let mut steps = f64::INFINITY;
    for value in row.iter_mut().rev() {
        steps = value.min(steps + 1.0);
        *value = (steps * spacing) * (steps * spacing);
    }
}

/// What distances along lines of one axis are made of.
struct Steps {
    /// `s²`.
    squared: f64,
    /// `1 / (2 s² d)` at every distance `d` in voxels.
    inverse: Vec<f64>,
}

impl Steps {
    fn new(length: usize, spacing: f64) -> Self {
        let squared = spacing * spacing;
        let inverse = |steps: usize| 0.5 / (squared * steps as f64);
        Self {
            squared,
            inverse: (0..length).map(inverse).collect(),
        }
    }
}

/// Transforms a bundle of lines, a few at a time, each of them taken out of the strided memory.
fn transform(bundle: &mut [&mut [f64]], steps: &Steps) {
    let length = bundle.len();
    let width = bundle.first().map_or(0, |piece| piece.len());
    let mut lines = vec![0.0; length * TOGETHER];
    let mut envelope = Envelope::with_capacity(length);
    for first in (0..width).step_by(TOGETHER) {
        let together = TOGETHER.min(width - first);
        for (position, piece) in bundle.iter().enumerate() {
            for (line, value) in piece[first..first + together].iter().enumerate() {
                lines[line * length + position] = *value;
            }
        }
        for line in lines.chunks_exact_mut(length).take(together) {
            envelope.transform(line, steps);
        }
        for (position, piece) in bundle.iter_mut().enumerate() {
            for (line, value) in piece[first..first + together].iter_mut().enumerate() {
                *value = lines[line * length + position];
            }
        }
    }
}

/// A parabola of a lower envelope.
#[derive(Debug, Clone, Copy)]
struct Parabola {
    apex: usize,
    height: f64,
    /// Position from which it is the lowest.
    start: f64,
}

/// The parabolas that form the lower envelope of a line, from left to right.
struct Envelope {
    parabolas: Vec<Parabola>,
}

impl Envelope {
    fn with_capacity(length: usize) -> Self {
        Self {
            parabolas: Vec::with_capacity(length),
        }
    }

    /// Replaces `f(q)` by the minimum over `p` of `f(p) + (s (q − p))²`.
    fn transform(&mut self, line: &mut [f64], steps: &Steps) {
        // Most lines of a small mask lie wholly outside it.
        if line.iter().all(|&value| value <= 0.0) {
            return;
        }
        self.build(line, steps);
        let ends = self.parabolas.iter().skip(1).map(|next| next.start);
        let ends = ends.chain([f64::INFINITY]);
        let mut position = 0;
        for (parabola, end) in self.parabolas.iter().zip(ends) {
            while position < line.len() && position as f64 <= end {
                let apart = position as f64 - parabola.apex as f64;
                line[position] = parabola.height + apart * apart * steps.squared;
                position += 1;
            }
        }
    }

    fn build(&mut self, line: &[f64], steps: &Steps) {
        self.parabolas.clear();
        for (apex, &height) in line.iter().enumerate() {
            // A voxel that nothing has reached yet has no parabola.
            if height < f64::INFINITY {
                let start = self.make_room(apex, height, steps);
                self.parabolas.push(Parabola {
                    apex,
                    height,
                    start,
                });
            }
        }
    }

    /// Removes the parabolas that a new one hides, and says from where on the new one is lowest.
    fn make_room(&mut self, apex: usize, height: f64, steps: &Steps) -> f64 {
        while let Some(last) = self.parabolas.last() {
            let middle = 0.5 * (apex + last.apex) as f64;
            let crossing = middle + (height - last.height) * steps.inverse[apex - last.apex];
            if crossing > last.start {
                return crossing;
            }
            self.parabolas.pop();
        }
        f64::NEG_INFINITY
    }
}
