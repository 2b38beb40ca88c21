//! Planes of slices along the closest axes of an image.

use super::Affine;
use crate::Result;
use crate::error::ImagingError;
use serde::{Deserialize, Serialize};

/// The plane of slices.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// From foot to head, seen from the feet.
    #[default]
    Axial,
    /// From back to front, seen from the front.
    Coronal,
    /// From left to right, seen from the left.
    Sagittal,
}

/// The values of a slice, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slice<T> {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) values: Vec<T>,
}

impl std::fmt::Display for Plane {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Axial => "axial",
            Self::Coronal => "coronal",
            Self::Sagittal => "sagittal",
        })
    }
}

impl std::str::FromStr for Plane {
    type Err = ImagingError;

    /// Reads `axial`, `coronal` or `sagittal`.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] for anything else.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "axial" => Ok(Self::Axial),
            "coronal" => Ok(Self::Coronal),
            "sagittal" => Ok(Self::Sagittal),
            _ => Err(ImagingError::argument(
                "plane",
                "axial, coronal or sagittal",
                format!("`{text}`"),
            )),
        }
    }
}

impl Plane {
    /// The axis of a turned image that slices follow each other along.
    pub(crate) fn across(self) -> usize {
        match self {
            Self::Axial => 2,
            Self::Coronal => 1,
            Self::Sagittal => 0,
        }
    }

    /// Its axes across and down a slice.
    pub(crate) fn along(self) -> [usize; 2] {
        match self {
            Self::Axial => [0, 1],
            Self::Coronal => [0, 2],
            Self::Sagittal => [1, 2],
        }
    }

    /// Millimetres of a pixel down and across.
    pub(crate) fn spacing(self, affine: &Affine) -> [f64; 2] {
        let [across, down] = self.along().map(|axis| affine.spacing()[axis]);
        [down, across]
    }

    /// A slice as radiologists look at it, of an image whose axes run to the right, the front and
    /// the head: the right of the patient, or the front, is on the left; the front, or the head,
    /// on top.
    ///
    /// # Arguments
    /// * `values`: first axis fastest.
    /// * `shape`: voxels along each axis, as many as values.
    ///
    /// # Returns
    /// `None` when there is no such slice.
    pub(crate) fn slice_of<T: Copy>(
        self,
        values: &[T],
        shape: [usize; 3],
        index: usize,
    ) -> Option<Slice<T>> {
        if index >= shape[self.across()] {
            return None;
        }
        let [width, height] = self.along().map(|axis| shape[axis]);
        let strides = [1, shape[0], shape[0] * shape[1]];
        let [across, down] = self.along().map(|axis| strides[axis]);
        let start = index * strides[self.across()];
        let mut pixels = Vec::with_capacity(width * height);
        for row in (0..height).rev() {
            let first = start + row * down;
            for column in (0..width).rev() {
                pixels.push(*values.get(first + column * across)?);
            }
        }
        Some(Slice {
            height,
            width,
            values: pixels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_and_front_are_on_the_left_and_head_and_front_on_top() {
        // Two voxels to the right, two to the front, two to the head, numbered in binary.
        let values: Vec<u8> = (0..8).collect();
        let slice = |plane: Plane, index| plane.slice_of(&values, [2, 2, 2], index).unwrap().values;
        // Top row: the front (2); from the right (1) to the left.
        assert_eq!(slice(Plane::Axial, 0), [3, 2, 1, 0]);
        assert_eq!(slice(Plane::Axial, 1), [7, 6, 5, 4]);
        // Top row: the head (4); from the right (1) to the left.
        assert_eq!(slice(Plane::Coronal, 0), [5, 4, 1, 0]);
        // Top row: the head (4); from the front (2) to the back.
        assert_eq!(slice(Plane::Sagittal, 1), [7, 5, 3, 1]);
        assert!(Plane::Axial.slice_of(&values, [2, 2, 2], 2).is_none());
    }
}
