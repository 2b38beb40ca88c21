//! A slice with its neighbours.

use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::check::count;
use crate::raster::Raster;
use crate::volume::Volume;
use serde::{Deserialize, Serialize};

/// A slice of a volume and its neighbours as channels of one picture ("2.5-D").
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::SliceStack;
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let volume = Volume::new(&[1, 1, 3], Samples::U8(vec![10, 20, 30]), affine)?;
/// let stack = SliceStack { axis: 2, neighbours: 1 };
/// assert_eq!(stack.cut(&volume, 1)?.samples(), [10.0, 20.0, 30.0]);
/// // Beyond the ends the outermost slice is repeated.
/// assert_eq!(stack.cut(&volume, 0)?.samples(), [10.0, 10.0, 20.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceStack {
    /// The axis across slices, 0 to 2.
    pub axis: usize,
    /// Neighbours on either side, 0 to 100.
    pub neighbours: usize,
}

impl SliceStack {
    /// Cuts one slice.
    ///
    /// # Arguments
    /// * `volume`: one frame of one real component.
    /// * `slice`: its index along the axis.
    ///
    /// # Returns
    /// `2 · neighbours + 1` channels, lowest slice first; of the other two axes the first runs
    /// along rows, so that it has the width.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a setting is out of range, the slice does not exist, or the
    /// volume has several frames or components or is complex.
    pub fn cut(&self, volume: &Volume, slice: usize) -> Result<Raster> {
        count("axis of slices", self.axis, 0..=2)?;
        count("neighbours of a slice", self.neighbours, 0..=100)?;
        let shape = volume.spatial_shape();
        count("slice", slice, 0..=shape[self.axis] - 1)?;
        let single = volume.frames() == 1 && volume.components() == 1;
        if !single || volume.sample_type().is_complex() {
            return Err(ImagingError::argument(
                "volume to cut slices from",
                "one frame of one real component",
                format!("{} of {}", volume.frames(), volume.components()),
            ));
        }
        let (width, height) = match self.axis {
            0 => (shape[1], shape[2]),
            1 => (shape[0], shape[2]),
            _ => (shape[0], shape[1]),
        };
        let mut samples = Vec::with_capacity(width * height * (2 * self.neighbours + 1));
        let last = shape[self.axis] - 1;
        for channel in 0..=2 * self.neighbours {
            let index = (slice + channel).saturating_sub(self.neighbours).min(last);
            samples.extend(self.plane(volume, index)?);
        }
        Raster::new(2 * self.neighbours + 1, height, width, samples)
    }

    fn plane(&self, volume: &Volume, index: usize) -> Result<Vec<f32>> {
        let mut start = [0; 3];
        let mut size = volume.spatial_shape();
        start[self.axis] = index.cast_signed();
        size[self.axis] = 1;
        Ok(volume.boxed(start, size, 0.0)?.to_f32())
    }
}
