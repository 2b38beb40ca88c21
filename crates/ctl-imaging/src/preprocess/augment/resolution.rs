//! Thicker slices.

use super::{check_axis, chosen_axis};
use crate::Result;
use crate::preprocess::check::interval;
use crate::preprocess::image::{Image, for_each_line};
use crate::preprocess::provenance::Measurements;
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use serde::{Deserialize, Serialize};

/// Lowers the resolution along one axis: as if it had been acquired in slices thicker by a drawn
/// factor, and then interpolated to the grid it has.
///
/// Of `n` voxels, `m = max(1, round(n / factor))` slabs of equal thickness are averaged, each over
/// exactly what it covers of every voxel; the result is linear between their centres and held
/// beyond the outermost. With `m = n` nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResolution {
    /// Smallest and largest factor, 1 to 100; uniform between.
    pub factor: [f64; 2],
    /// Along which axis, 0 to 2; drawn among those of more than one voxel unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<usize>,
}

impl Apply for RandomResolution {
    fn validate(&self) -> Result<()> {
        interval("random-resolution factor", self.factor, 1.0..=100.0)?;
        check_axis("random-resolution axis", self.axis)
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let factor = stream.between(self.factor);
        let axis = chosen_axis(self.axis, image, stream);
        let mut report = Measurements::one("factor", factor);
        if let Some(axis) = axis {
            let voxels = image.shape[axis];
            let slabs = ((voxels as f64 / factor).round() as usize).max(1);
            if slabs < voxels {
                for_each_line(&mut image.values, image.shape, axis, |line| {
                    let coarse = averaged(line, slabs);
                    widen(&coarse, line);
                });
            }
            report = report
                .with("axis", [axis as f64])
                .with("slabs", [slabs as f64]);
        }
        Ok(report)
    }
}

/// Means over slabs of equal thickness.
fn averaged(line: &[f64], slabs: usize) -> Vec<f64> {
    let thickness = line.len() as f64 / slabs as f64;
    let mean = |slab: usize| {
        let (start, end) = (slab as f64 * thickness, (slab + 1) as f64 * thickness);
        let first = start as usize;
        let last = (end.ceil() as usize).min(line.len());
        let parts = (first..last).map(|voxel| {
            let covered = end.min((voxel + 1) as f64) - start.max(voxel as f64);
            covered.max(0.0) * line[voxel]
        });
        parts.sum::<f64>() / thickness
    };
    (0..slabs).map(mean).collect()
}

/// Linear between the centres of slabs.
fn widen(coarse: &[f64], line: &mut [f64]) {
    let scale = coarse.len() as f64 / line.len() as f64;
    let last = coarse.len() - 1;
    for (voxel, value) in line.iter_mut().enumerate() {
        let place = ((voxel as f64 + 0.5) * scale - 0.5).clamp(0.0, last as f64);
        let below = place as usize;
        let above = (below + 1).min(last);
        *value = coarse[below] + (coarse[above] - coarse[below]) * (place - below as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_average_what_they_cover() {
        // Two slabs of 1.5 voxels.
        assert_eq!(averaged(&[3.0, 6.0, 9.0], 2), [4.0, 8.0]);
        let mut line = [0.0; 4];
        widen(&[4.0, 8.0], &mut line);
        assert_eq!(line.to_vec(), [4.0, 5.0, 7.0, 8.0]);
    }
}
