//! Patches at random places, with a share of them on the foreground.

use super::{centred, voxels};
use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::check::within;
use crate::preprocess::mask::Mask;
use crate::preprocess::pipeline::Draw;
use crate::preprocess::stream::Stream;
use serde::{Deserialize, Serialize};

/// What happens to a patch on the foreground that would reach beyond the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Border {
    /// It is moved inside; it still holds the foreground voxel that was drawn, not in its centre.
    #[default]
    Shift,
    /// It stays, with the foreground voxel in its centre.
    Pad,
}

/// Patches at random places.
///
/// The first `⌈foreground · count⌉` patches each hold a foreground voxel drawn uniformly among all
/// (at index `size / 2` of the patch, unless it was moved inside); the others lie uniformly within
/// the image. Along an axis shorter than the patch, a patch that is not padded about its voxel lies
/// in the middle and reaches beyond at both ends.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::{Border, Draw, Mask, PatchSampler};
///
/// let mut classes = vec![0; 100];
/// classes[37] = 1;
/// let sampler = PatchSampler {
///     size: [3, 3, 1],
///     count: 4,
///     foreground: 0.5,
///     border: Border::Pad,
/// };
/// let mask = Mask::new([10, 10, 1], classes)?;
/// let places = sampler.draw([10, 10, 1], Some(&mask), Draw { seed: 5, index: 0 })?;
/// assert_eq!(places[1].start, [6, 2, 0]);
/// assert!(places[1].foreground && !places[2].foreground);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchSampler {
    /// Voxels of a patch along each axis, at least 1; 1 along the third of a picture.
    pub size: [usize; 3],
    /// How many patches.
    pub count: usize,
    /// Least share of patches on the foreground, 0 to 1.
    pub foreground: f64,
    /// What happens at the border.
    #[serde(default)]
    pub border: Border,
}

/// Where a patch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchPlace {
    /// Its first voxel, as [`Volume::boxed`](crate::volume::Volume::boxed) takes it.
    pub start: [isize; 3],
    /// Whether it was drawn on a foreground voxel.
    pub foreground: bool,
}

impl PatchSampler {
    /// Draws places.
    ///
    /// # Arguments
    /// * `shape`: voxels of the image along each axis.
    /// * `mask`: of the same shape; needed where `foreground` is above 0.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a side is 0, the share is not in [0, 1], the mask is missing,
    /// has another shape or no foreground.
    pub fn draw(
        &self,
        shape: [usize; 3],
        mask: Option<&Mask>,
        draw: Draw,
    ) -> Result<Vec<PatchPlace>> {
        voxels(self.size)?;
        voxels(shape)?;
        within("foreground share of patches", self.foreground, 0.0..=1.0)?;
        let balanced = (self.foreground * self.count as f64).ceil() as usize;
        let inside = if balanced > 0 {
            foreground(shape, mask)?
        } else {
            Vec::new()
        };
        let mut stream = Stream::of_patches(draw.seed, draw.index);
        let places = (0..self.count).map(|number| {
            let foreground = number < balanced;
            let start = if foreground {
                self.around(inside[stream.below(inside.len())], shape)
            } else {
                self.anywhere(shape, &mut stream)
            };
            PatchPlace { start, foreground }
        });
        Ok(places.collect())
    }

    fn around(&self, voxel: usize, shape: [usize; 3]) -> [isize; 3] {
        let [width, height, _] = shape;
        let at = [
            voxel % width,
            voxel / width % height,
            voxel / (width * height),
        ];
        [0, 1, 2].map(|axis| {
            let (side, patch) = (shape[axis], self.size[axis]);
            let start = at[axis].cast_signed() - (patch / 2).cast_signed();
            match self.border {
                Border::Pad => start,
                Border::Shift if patch > side => centred(side, patch),
                Border::Shift => start.clamp(0, (side - patch).cast_signed()),
            }
        })
    }

    fn anywhere(&self, shape: [usize; 3], stream: &mut Stream) -> [isize; 3] {
        [0, 1, 2].map(|axis| {
            let (side, patch) = (shape[axis], self.size[axis]);
            // A number is taken for every axis, so that axes do not disturb each other.
            let start = stream.below(side.saturating_sub(patch) + 1);
            if patch > side {
                centred(side, patch)
            } else {
                start.cast_signed()
            }
        })
    }
}

fn foreground(shape: [usize; 3], mask: Option<&Mask>) -> Result<Vec<usize>> {
    let fault = |found: String| {
        let expected = format!("foreground in a mask of {shape:?}");
        ImagingError::argument("mask of patches", expected, found)
    };
    let mask = mask.ok_or_else(|| fault("no mask".into()))?;
    if mask.shape() != shape {
        return Err(fault(format!("{:?}", mask.shape())));
    }
    let classes = mask.classes().iter().enumerate();
    let inside: Vec<usize> = classes
        .filter_map(|(voxel, &class)| (class != 0).then_some(voxel))
        .collect();
    if inside.is_empty() {
        return Err(fault("background alone".into()));
    }
    Ok(inside)
}
