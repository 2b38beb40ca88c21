//! An image from overlapping patches.

use super::voxels;
use crate::Result;
use crate::error::ImagingError;
use serde::{Deserialize, Serialize};

/// Part of a patch's side that is one standard deviation of Gaussian weights (Isensee et al. 2021,
/// nnU-Net, "Inference").
const SIGMA: f64 = 0.125;

/// How much the voxels of a patch count where several overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// All the same.
    Uniform,
    /// Less towards the border, where a network has seen less of the surroundings: a Gaussian about
    /// the middle, of standard deviation an eighth of each side.
    #[default]
    Gaussian,
}

/// Stitches patches of predictions together.
///
/// Each voxel becomes the weighted mean of all patches that hold it, `m ← m + (x − m) w / Σw`;
/// where all agree it is their value to the last bit.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::{Aggregator, Weighting};
///
/// let mut whole = Aggregator::new([3, 1, 1], [2, 1, 1], 1, Weighting::Uniform)?;
/// whole.add([0, 0, 0], &[1.0, 2.0])?;
/// whole.add([1, 0, 0], &[4.0, 5.0])?;
/// assert_eq!(whole.finish()?, [1.0, 3.0, 5.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Aggregator {
    shape: [usize; 3],
    size: [usize; 3],
    channels: usize,
    weights: [Vec<f64>; 3],
    means: Vec<f64>,
    totals: Vec<f64>,
}

impl Aggregator {
    /// An image without a patch yet.
    ///
    /// # Arguments
    /// * `shape`: voxels of the image along each axis.
    /// * `size`: voxels of every patch along each axis.
    /// * `channels`: values a voxel, at least 1.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a side is 0 or there is no channel.
    pub fn new(
        shape: [usize; 3],
        size: [usize; 3],
        channels: usize,
        weighting: Weighting,
    ) -> Result<Self> {
        let count = voxels(shape)?;
        voxels(size)?;
        let Some(values) = count.checked_mul(channels).filter(|&values| values > 0) else {
            return Err(ImagingError::argument(
                "channels of patches",
                "at least 1",
                channels.to_string(),
            ));
        };
        Ok(Self {
            shape,
            size,
            channels,
            weights: size.map(|side| weights(side, weighting)),
            means: vec![0.0; values],
            totals: vec![0.0; count],
        })
    }

    /// Adds a patch; what of it lies beyond the image is left out.
    ///
    /// # Arguments
    /// * `start`: its first voxel.
    /// * `values`: channel after channel, each first axis fastest.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there are not as many values as a patch has.
    pub fn add(&mut self, start: [isize; 3], values: &[f32]) -> Result<()> {
        let patch: usize = self.size.iter().product();
        if Some(values.len()) != patch.checked_mul(self.channels) {
            return Err(ImagingError::argument(
                "values of a patch",
                format!("{} channels of {:?}", self.channels, self.size),
                format!("{} values", values.len()),
            ));
        }
        let count = self.totals.len();
        let [columns, rows, slices] = self.size;
        for z in 0..slices {
            for y in 0..rows {
                for x in 0..columns {
                    let Some(voxel) = self.place(start, [x, y, z]) else {
                        continue;
                    };
                    let weight = self.weights[0][x] * self.weights[1][y] * self.weights[2][z];
                    self.totals[voxel] += weight;
                    let share = weight / self.totals[voxel];
                    let from = x + columns * (y + rows * z);
                    for channel in 0..self.channels {
                        let mean = &mut self.means[voxel + channel * count];
                        let value = f64::from(values[from + channel * patch]);
                        *mean += (value - *mean) * share;
                    }
                }
            }
        }
        Ok(())
    }

    /// The image, channel after channel.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when no patch held some voxel.
    pub fn finish(self) -> Result<Vec<f32>> {
        let missing = self.totals.iter().filter(|total| **total <= 0.0).count();
        if missing > 0 {
            return Err(ImagingError::argument(
                "patches",
                "some that cover the image",
                format!("{missing} of {} voxels in none", self.totals.len()),
            ));
        }
        Ok(self.means.into_iter().map(|mean| mean as f32).collect())
    }

    fn place(&self, start: [isize; 3], within: [usize; 3]) -> Option<usize> {
        let at = |axis: usize| {
            let voxel = start[axis].checked_add_unsigned(within[axis])?;
            let voxel = usize::try_from(voxel).ok()?;
            (voxel < self.shape[axis]).then_some(voxel)
        };
        Some(at(0)? + self.shape[0] * (at(1)? + self.shape[1] * at(2)?))
    }
}

fn weights(side: usize, weighting: Weighting) -> Vec<f64> {
    let middle = (side - 1) as f64 / 2.0;
    let sigma = SIGMA * side as f64;
    let weight = |at: usize| match weighting {
        Weighting::Uniform => 1.0,
        Weighting::Gaussian => (-0.5 * ((at as f64 - middle) / sigma).powi(2)).exp(),
    };
    (0..side).map(weight).collect()
}
