//! Distances from one boundary to another, as both families of surface distances need them.

use super::search::Marks;
use crate::grid::Grid;
use crate::{MetricError, validate};

/// How far a distance may exceed a tolerance by rounding, relative to the tolerance.
const TOLERANCE_SLACK: f64 = 1e-12;

/// For every marked voxel of `from`, its index and its distance in mm to the nearest of `to`.
///
/// The distances are infinite when `to` has no mark.
pub(super) fn nearest(
    grid: &Grid,
    from: &[bool],
    to: &[bool],
) -> Result<Vec<(usize, f64)>, MetricError> {
    let mut to = Marks::new(grid, to)?;
    let marked = from.iter().enumerate().filter(|&(_, &marked)| marked);
    marked
        .map(|(index, _)| Ok((index, to.squared_distance(index)?.sqrt())))
        .collect()
}

/// The largest distance that counts as lying within a tolerance.
///
/// A distance that equals the tolerance but for rounding, such as `sqrt(0.36 + 0.64)` and 1, is
/// within it.
pub(super) fn reach(tolerance: f64) -> Result<f64, MetricError> {
    let allowed = tolerance >= 0.0 && tolerance.is_finite();
    validate::parameter("tolerance", tolerance, "a finite length from 0 on", allowed)?;
    Ok(tolerance * (1.0 + TOLERANCE_SLACK))
}

/// Checks a percentile.
pub(super) fn percentile(percent: f64) -> Result<(), MetricError> {
    let allowed = (0.0..=100.0).contains(&percent);
    validate::parameter("percent", percent, "a number in [0, 100]", allowed)
}
