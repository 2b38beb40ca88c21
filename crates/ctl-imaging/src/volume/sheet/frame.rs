//! One frame of an image, turned to its closest axes.

use super::Plane;
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{
    Affine, Display, Grid, LabelInterpolation, Samples, Value, Volume, for_any_type, map_any_type,
};

/// A frame of single-precision numbers along its closest axes.
pub(super) struct Frame {
    volume: Volume,
}

impl Frame {
    /// A frame of an image: the mean of the values of each voxel, NaN where one is padding.
    pub(super) fn of_image(image: &Volume, frame: usize, display: &Display) -> Result<Self> {
        let cut = cut(image, frame, "frame")?;
        let (components, scaling) = (cut.components(), cut.scaling());
        let number = |stored: f64| {
            if display.is_padding(stored) {
                f64::NAN
            } else {
                scaling.apply(stored)
            }
        };
        let numbers: Vec<f32> = for_any_type!(cut.samples(), values => values
            .chunks_exact(components)
            .map(|values| {
                let sum: f64 = values.iter().map(|&value| number(Value::to_f64(value))).sum();
                (sum / components as f64) as f32
            })
            .collect());
        Self::turned(&Volume::new(
            cut.shape(),
            Samples::F32(numbers),
            *cut.affine(),
        )?)
    }

    /// The labels that belong to a frame, on its grid.
    pub(super) fn of_labels(labels: &Volume, frame: usize, image: &Self) -> Result<Self> {
        if labels.components() > 1 || labels.sample_type().is_complex() {
            return Err(ImagingError::argument(
                "overlay",
                "one real label a voxel",
                format!("{} of {}", labels.components(), labels.sample_type()),
            ));
        }
        let frame = if labels.frames() == 1 { 0 } else { frame };
        let cut = cut(labels, frame, "frame of the overlay")?;
        let numbers = cut.to_f64();
        if let Some(stray) = numbers.iter().find(|number| number.fract() != 0.0) {
            return Err(ImagingError::argument(
                "labels of the overlay",
                "whole numbers",
                stray.to_string(),
            ));
        }
        let numbers = numbers.into_iter().map(|number| number as f32).collect();
        let whole = Volume::new(cut.shape(), Samples::F32(numbers), *cut.affine())?;
        let grid = Grid::new(image.shape(), *image.affine())?;
        let volume = whole.labels_resampled_to(&grid, LabelInterpolation::Nearest, 0)?;
        Ok(Self { volume })
    }

    fn turned(volume: &Volume) -> Result<Self> {
        Ok(Self {
            volume: volume.to_canonical()?,
        })
    }

    pub(super) fn shape(&self) -> [usize; 3] {
        self.volume.spatial_shape()
    }

    pub(super) fn affine(&self) -> &Affine {
        self.volume.affine()
    }

    /// Rows and columns of a slice.
    pub(super) fn shape_of(&self, plane: Plane) -> [usize; 2] {
        let [across, down] = plane.along().map(|axis| self.shape()[axis]);
        [down, across]
    }

    pub(super) fn numbers(&self) -> &[f32] {
        match self.volume.samples() {
            Samples::F32(numbers) => numbers,
            _ => &[],
        }
    }

    /// The numbers of a slice as it is looked at, row by row.
    pub(super) fn slice(&self, plane: Plane, slice: usize) -> Result<Vec<f32>> {
        let found = plane.slice_of(self.numbers(), self.shape(), slice);
        let found = found.ok_or_else(|| {
            let expected = format!("a number below {}", self.shape()[plane.across()]);
            ImagingError::argument("slice", expected, slice.to_string())
        })?;
        Ok(found.values)
    }
}

/// One frame of a series, its values as they are stored.
fn cut(volume: &Volume, frame: usize, subject: &'static str) -> Result<Volume> {
    if frame >= volume.frames() {
        return Err(ImagingError::argument(
            subject,
            format!("a number below {}", volume.frames()),
            frame.to_string(),
        ));
    }
    let shape = volume.spatial_shape();
    let count = volume.samples().len() / volume.frames();
    let part = frame * count..(frame + 1) * count;
    let samples = map_any_type!(volume.samples(), values => values[part].to_vec());
    Volume::with_components(&shape, volume.components(), samples, *volume.affine())?
        .with_scaling(volume.scaling())
}
