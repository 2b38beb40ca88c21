//! Slices, frames, boxes and single voxels of an open file.

use super::Reader;
use super::elements::{Element, with_element};
use super::region::{self, Region};
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Affine, Value, Volume};

impl Reader {
    /// One slice, of all frames, one voxel thick.
    ///
    /// # Arguments
    /// * `axis`: axis of space that is cut: 0, 1 or 2.
    /// * `index`: voxel along it.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there is no such axis or index; else those of
    /// [`volume`](Self::volume).
    pub fn slice(&self, axis: usize, index: usize) -> Result<Volume> {
        if axis >= self.shape.len().min(3) {
            return Err(ImagingError::argument(
                "axis of a slice",
                format!("below {}", self.shape.len().min(3)),
                axis.to_string(),
            ));
        }
        let mut start = vec![0; self.shape.len()];
        let mut size = self.shape.clone();
        start[axis] = index;
        size[axis] = 1;
        self.boxed(&start, &size)
    }

    /// One three-dimensional image of a series.
    ///
    /// # Arguments
    /// * `index`: which, counted over all axes beyond the third, the fourth fastest.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there are not so many; else those of
    /// [`volume`](Self::volume).
    pub fn frame(&self, index: usize) -> Result<Volume> {
        let mut start = vec![0; self.shape.len()];
        let mut size = self.shape.clone();
        let mut left = index;
        for (axis, &side) in self.shape.iter().enumerate().skip(3) {
            start[axis] = left % side;
            size[axis] = 1;
            left /= side;
        }
        if left > 0 {
            let frames: usize = self.shape.iter().skip(3).product();
            return Err(ImagingError::argument(
                "frame",
                format!("below {frames}"),
                index.to_string(),
            ));
        }
        let frame = self.boxed(&start, &size)?;
        let spatial = &self.shape[..self.shape.len().min(3)];
        self.assembled(spatial, frame.into_samples(), self.affine()?)
    }

    /// A box of voxels; its affine leads to the same places as that of the whole.
    ///
    /// # Arguments
    /// * `start`: first voxel along each axis of [`shape`](Self::shape).
    /// * `size`: voxels along each, at least 1.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the box is not within the image; else those of
    /// [`volume`](Self::volume).
    pub fn boxed(&self, start: &[usize], size: &[usize]) -> Result<Volume> {
        let region = self.region(start, size)?;
        let affine = moved(&self.affine()?, start)?;
        let order = self.header.endianness;
        let samples = with_element!(self.sample_type(), T => {
            let decode = |bytes: &[u8], out: &mut [T]| T::decode(bytes, order, out, |value| value);
            let read = region::read(&self.source, &self.plan, &region, &decode)?;
            T::samples(self.together(read))
        });
        self.assembled(size, samples, affine)
    }

    /// The number at a voxel, scaled, of its first component.
    ///
    /// # Arguments
    /// * `voxel`: one index for each axis of [`shape`](Self::shape), or for each axis of the file,
    ///   where that has one alone, or a fifth that counts components.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when an index is missing, too many or out of range; else those
    /// of [`to_f32`](Self::to_f32).
    pub fn value(&self, voxel: &[usize]) -> Result<f64> {
        let (voxel, component) = match (self.plan.vector, self.shape.len(), voxel) {
            (None, 2, &[i]) if self.plan.shape.len() == 1 => (vec![i, 0], 0),
            (Some(_), 3, &[i, j, k, 0, component]) => (vec![i, j, k], component),
            (Some(_), 4, &[i, j, k, t, component]) => (vec![i, j, k, t], component),
            _ => (voxel.to_vec(), 0),
        };
        let region = self.region(&voxel, &vec![1; voxel.len()])?;
        let order = self.header.endianness;
        let numbers = with_element!(self.sample_type(), T => {
            let decode = |bytes: &[u8], out: &mut [f64]| T::decode(bytes, order, out, T::to_f64);
            region::read(&self.source, &self.plan, &region, &decode)
        })?;
        let stored = numbers.get(component).copied().ok_or_else(|| {
            let expected = format!("one below {}", numbers.len());
            ImagingError::argument("component of a voxel", expected, component.to_string())
        })?;
        Ok(self.scaling().apply(stored))
    }

    /// A box over the axes of the file.
    fn region(&self, start: &[usize], size: &[usize]) -> Result<Region> {
        let axes = self.shape.len();
        let within = start.len() == axes
            && size.len() == axes
            && (0..axes).all(|axis| {
                let end = start[axis].checked_add(size[axis]);
                size[axis] > 0 && end.is_some_and(|end| end <= self.shape[axis])
            });
        if !within {
            return Err(ImagingError::argument(
                "box of voxels",
                format!("one within {:?}", self.shape),
                format!("{size:?} from {start:?}"),
            ));
        }
        let (mut start, mut size) = (start.to_vec(), size.to_vec());
        start.resize(self.plan.shape.len(), 0);
        size.resize(self.plan.shape.len(), 1);
        if let Some(vector) = self.plan.vector {
            size[4] = vector;
        }
        Ok(Region { start, size })
    }
}

/// The affine of a box: its first voxel is another one.
fn moved(affine: &Affine, start: &[usize]) -> Result<Affine> {
    let first = [0, 1, 2].map(|axis| start.get(axis).map_or(0.0, |&start| start as f64));
    let origin = affine.to_world(first);
    let mut rows = affine.rows();
    for (row, origin) in rows.iter_mut().zip(origin) {
        row[3] = origin;
    }
    Affine::new(rows)
}
