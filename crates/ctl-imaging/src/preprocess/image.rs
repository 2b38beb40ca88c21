//! What steps work on.

use super::mask::{Mask, Region};
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Affine, Samples, Scaling, Volume};

/// A three-dimensional image between two steps.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// Voxels along each axis.
    pub(crate) shape: [usize; 3],
    /// Millimetres between voxel centres.
    pub(crate) spacing: [f64; 3],
    /// Finite values, first axis fastest.
    pub(crate) values: Vec<f32>,
    /// Of the same shape.
    pub(crate) mask: Option<Mask>,
    /// From voxel indices to mm.
    pub(crate) affine: Affine,
}

impl Image {
    pub(crate) fn new(volume: &Volume, mask: Option<&Mask>) -> Result<Self> {
        let single = volume.frames() == 1 && volume.components() == 1;
        if !single || volume.sample_type().is_complex() {
            return Err(ImagingError::argument(
                "image to process",
                "one frame of one real component",
                format!(
                    "{} frames of {} components of {}",
                    volume.frames(),
                    volume.components(),
                    volume.sample_type()
                ),
            ));
        }
        let shape = volume.spatial_shape();
        if let Some(mask) = mask.filter(|mask| mask.shape() != shape) {
            return Err(ImagingError::argument(
                "shape of the mask",
                format!("{shape:?}, as the image"),
                format!("{:?}", mask.shape()),
            ));
        }
        let image = Self {
            shape,
            spacing: volume.affine().spacing(),
            values: volume.to_f32(),
            mask: mask.cloned(),
            affine: *volume.affine(),
        };
        image.check_finite("image to process")?;
        Ok(image)
    }

    /// The image as a volume of as many axes as the one that it was made of.
    pub(crate) fn finish(self, original: &Volume) -> Result<Volume> {
        // Only a picture has two axes, and it may have become a volume.
        let axes = if original.shape().len() == 2 && self.shape[2] == 1 {
            2
        } else {
            3
        };
        let mut shape = self.shape[..axes].to_vec();
        shape.resize(original.shape().len().max(axes), 1);
        Volume::new(&shape, Samples::F32(self.values), self.affine)?
            .with_scaling(Scaling::NONE)?
            .with_series(original.series())
    }

    pub(crate) fn check_finite(&self, subject: &'static str) -> Result<()> {
        let Some(stray) = self.values.iter().position(|value| !value.is_finite()) else {
            return Ok(());
        };
        let [width, height, _] = self.shape;
        let voxel = [
            stray % width,
            stray / width % height,
            stray / (width * height),
        ];
        Err(ImagingError::argument(
            subject,
            "finite values",
            format!("{} at voxel {voxel:?}", self.values[stray]),
        ))
    }

    /// The values of a region in double precision, at least one.
    pub(crate) fn region(&self, region: Region) -> Result<Vec<f64>> {
        let all = self.values.iter().map(|&value| f64::from(value));
        if region == Region::Whole {
            return Ok(all.collect());
        }
        let classes = self.foreground()?;
        let inside = all.zip(classes).filter(|(_, class)| **class != 0);
        Ok(inside.map(|(value, _)| value).collect())
    }

    /// The classes of the mask, which must be there and not all background.
    pub(crate) fn foreground(&self) -> Result<&[u8]> {
        match &self.mask {
            None => Err(ImagingError::argument(
                "region of a step",
                "a mask with `region = \"mask\"`",
                "none",
            )),
            Some(mask) if mask.foreground() == 0 => Err(ImagingError::argument(
                "region of a step",
                "a mask with foreground",
                "background alone",
            )),
            Some(mask) => Ok(mask.classes()),
        }
    }

    /// Changes every value.
    pub(crate) fn map(&mut self, change: impl Fn(f64) -> f64) {
        for value in &mut self.values {
            *value = change(f64::from(*value)) as f32;
        }
    }

    /// Smallest and largest value.
    pub(crate) fn range(&self) -> (f32, f32) {
        let start = (f32::INFINITY, f32::NEG_INFINITY);
        self.values.iter().fold(start, |(low, high), &value| {
            (low.min(value), high.max(value))
        })
    }
}

/// Calls `change` with every line of values along an axis; what it leaves is written back.
pub(crate) fn for_each_line(
    values: &mut [f32],
    shape: [usize; 3],
    axis: usize,
    mut change: impl FnMut(&mut [f64]),
) {
    let length = shape[axis];
    let stride: usize = shape[..axis].iter().product();
    let mut line = vec![0.0; length];
    for block in values.chunks_exact_mut(stride * length) {
        for first in 0..stride {
            for (to, from) in line.iter_mut().zip(block[first..].iter().step_by(stride)) {
                *to = f64::from(*from);
            }
            change(&mut line);
            for (to, from) in block[first..].iter_mut().step_by(stride).zip(&line) {
                *to = *from as f32;
            }
        }
    }
}
