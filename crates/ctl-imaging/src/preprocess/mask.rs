//! Which voxels belong to what.

use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Affine, Samples, Volume};
use serde::{Deserialize, Serialize};

/// A class for every voxel of a three-dimensional image: 0 is background, all others foreground.
///
/// Where a step restricts itself to the mask it means the foreground; where a step moves voxels
/// the classes move along.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::Mask;
///
/// let mask = Mask::new([3, 1, 1], vec![0, 2, 1])?;
/// assert_eq!(mask.foreground(), 2);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    shape: [usize; 3],
    classes: Vec<u8>,
}

/// The voxels from which a step takes its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// All of them.
    #[default]
    Whole,
    /// The foreground of the mask, which must be given.
    Mask,
}

impl Mask {
    /// A mask from the classes of its voxels.
    ///
    /// # Arguments
    /// * `shape`: voxels along each axis; 1 along the third of a picture.
    /// * `classes`: one a voxel, first axis fastest.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when an axis is empty or there are not as many classes as voxels.
    pub fn new(shape: [usize; 3], classes: Vec<u8>) -> Result<Self> {
        let voxels = shape
            .iter()
            .try_fold(1_usize, |count, &side| count.checked_mul(side));
        if voxels != Some(classes.len()) || classes.is_empty() {
            return Err(ImagingError::argument(
                "mask",
                "one class a voxel, at least one voxel",
                format!("{} classes for {shape:?}", classes.len()),
            ));
        }
        Ok(Self { shape, classes })
    }

    /// A mask from an image of class numbers.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the image has several frames or components, or a number is
    /// not a whole one from 0 to 255.
    pub fn from_volume(volume: &Volume) -> Result<Self> {
        if volume.frames() != 1 || volume.components() != 1 {
            return Err(ImagingError::argument(
                "mask",
                "one frame of one component",
                format!("{} of {}", volume.frames(), volume.components()),
            ));
        }
        let class = |value: f64| {
            let whole = value.fract() == 0.0 && (0.0..=255.0).contains(&value);
            whole.then_some(value as u8).ok_or_else(|| {
                ImagingError::argument("mask", "whole numbers from 0 to 255", value.to_string())
            })
        };
        let classes = volume.to_f64().into_iter().map(class);
        Self::new(volume.spatial_shape(), classes.collect::<Result<_>>()?)
    }

    /// The mask as an image of bytes.
    ///
    /// # Errors
    /// None that a mask can cause; those of [`Volume::new`].
    pub fn to_volume(&self, affine: Affine) -> Result<Volume> {
        Volume::new(&self.shape, Samples::U8(self.classes.clone()), affine)
    }

    /// Voxels along each axis.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The class of every voxel, first axis fastest.
    pub fn classes(&self) -> &[u8] {
        &self.classes
    }

    /// Number of voxels that are not background.
    pub fn foreground(&self) -> usize {
        self.classes.iter().filter(|&&class| class != 0).count()
    }
}
