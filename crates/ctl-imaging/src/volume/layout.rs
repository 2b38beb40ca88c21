//! Turning, cutting and padding volumes: voxels move, their places in the patient do not.

use super::{Affine, Orientation, Samples, Value, Volume, map_any_type};
use crate::Result;
use crate::bounded::MAX_ARRAY_BYTES;
use crate::error::ImagingError;

impl Volume {
    /// The same image with its voxel axes along other world axes.
    ///
    /// Axes are exchanged and reversed, no value is changed; an oblique image stays as oblique as
    /// it was.
    ///
    /// # Arguments
    /// * `orientation`: the world axis closest to each voxel axis of the result.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the result of an image of two axes would not be one voxel
    /// deep along its third.
    ///
    /// # Complexity
    /// Linear in the number of values.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::volume::{Affine, Orientation, Samples, Volume};
    ///
    /// let affine = Affine::new([
    ///     [-1.0, 0.0, 0.0, 10.0],
    ///     [0.0, 1.0, 0.0, 0.0],
    ///     [0.0, 0.0, 1.0, 0.0],
    /// ])?;
    /// let left = Volume::new(&[3, 1, 1], Samples::U8(vec![1, 2, 3]), affine)?;
    /// let right = left.reoriented(Orientation::RAS)?;
    /// assert_eq!(right.samples(), &Samples::U8(vec![3, 2, 1]));
    /// assert_eq!(right.affine().to_world([2.0, 0.0, 0.0]), [10.0, 0.0, 0.0]);
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn reoriented(&self, orientation: Orientation) -> Result<Self> {
        let from = self.affine.orientation().axes();
        let wanted = orientation.axes();
        let source = wanted.map(|axis| {
            let is_same = |from: &super::AxisDirection| from.world == axis.world;
            from.iter().position(is_same).unwrap_or_default()
        });
        let flipped = [0, 1, 2].map(|axis| from[source[axis]].positive != wanted[axis].positive);
        self.turned(source, flipped)
    }

    /// The same image with its voxel axes as close to right, anterior, superior as exchanging and
    /// reversing brings them.
    ///
    /// # Errors
    /// Those of [`reoriented`](Self::reoriented).
    pub fn to_canonical(&self) -> Result<Self> {
        self.reoriented(Orientation::RAS)
    }

    /// The same image with the order of voxels along one axis of space reversed.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there is no such axis of space.
    pub fn flipped(&self, axis: usize) -> Result<Self> {
        if axis >= 3 {
            return Err(ImagingError::argument(
                "axis to flip",
                "0, 1 or 2",
                axis.to_string(),
            ));
        }
        self.turned([0, 1, 2], [0, 1, 2].map(|other| other == axis))
    }

    /// The same image with its axes of space in another order.
    ///
    /// # Arguments
    /// * `order`: for each axis of the result, the axis of this image that it is.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when an axis is missing, or those of
    /// [`reoriented`](Self::reoriented).
    pub fn permuted(&self, order: [usize; 3]) -> Result<Self> {
        if !(0..3).all(|axis| order.contains(&axis)) {
            return Err(ImagingError::argument(
                "order of axes",
                "0, 1 and 2, each once",
                format!("{order:?}"),
            ));
        }
        self.turned(order, [false; 3])
    }

    /// A box of the image.
    ///
    /// # Arguments
    /// * `start`: first voxel of the box; may be negative.
    /// * `size`: voxels of the box, each at least 1.
    /// * `fill`: stored value of voxels outside the image (not scaled).
    ///
    /// # Returns
    /// The box from every frame; a box within the image cuts, one beyond it pads.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a side is 0 or the box takes more than 4 GiB, when the
    /// fill does not fit the type, or when the box of a two-dimensional image is deeper than one
    /// voxel.
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::volume::{Affine, Samples, Volume};
    ///
    /// let affine = Affine::from_spacing([2.0; 3], [0.0; 3])?;
    /// let volume = Volume::new(&[3, 1, 1], Samples::U8(vec![1, 2, 3]), affine)?;
    /// let moved = volume.boxed([1, 0, 0], [3, 1, 1], 0.0)?;
    /// assert_eq!(moved.samples(), &Samples::U8(vec![2, 3, 0]));
    /// assert_eq!(moved.affine().origin(), [2.0, 0.0, 0.0]);
    /// # Ok::<(), ctl_imaging::ImagingError>(())
    /// ```
    pub fn boxed(&self, start: [isize; 3], size: [usize; 3], fill: f64) -> Result<Self> {
        let shape = self.shape_with(size)?;
        let values = shape
            .iter()
            .try_fold(self.components, |count, &side| count.checked_mul(side))
            .filter(|&values| {
                let bytes = values.checked_mul(self.sample_type().bytes());
                values > 0 && bytes.is_some_and(|bytes| bytes as u64 <= MAX_ARRAY_BYTES)
            });
        let values = values.ok_or_else(|| {
            let expected = format!("sides of at least 1 voxel and at most {MAX_ARRAY_BYTES} bytes");
            ImagingError::argument("box", expected, format!("{size:?}"))
        })?;
        // Says whether the type has such a value.
        Samples::from_f64([fill], self.sample_type())?;
        let cut = Box3 {
            from: self.spatial_shape(),
            start,
            size,
            components: self.components,
        };
        let samples = map_any_type!(&self.samples, stored => {
            cut.apply(stored, Value::from_f64(fill), values)
        });
        let moved = start.map(|start| start as f64);
        let origin = self.affine.to_world(moved);
        let mut rows = self.affine.rows();
        for (row, origin) in rows.iter_mut().zip(origin) {
            row[3] = origin;
        }
        Ok(Self {
            shape,
            samples,
            affine: Affine::new(rows)?,
            ..self.without_samples()
        })
    }

    /// Axis `axis` of the result is axis `source[axis]`, reversed where `flipped[axis]`.
    fn turned(&self, source: [usize; 3], flipped: [bool; 3]) -> Result<Self> {
        let from = self.spatial_shape();
        let size = source.map(|axis| from[axis]);
        let shape = self.shape_with(size)?;
        let strides = [1, from[0], from[0] * from[1]];
        let turn = Turn {
            size,
            strides: source.map(|axis| strides[axis]),
            flipped,
            components: self.components,
        };
        let samples = map_any_type!(&self.samples, stored => turn.apply(stored));
        let mut rows = [[0.0; 4]; 3];
        for (world, row) in rows.iter_mut().enumerate() {
            row[3] = self.affine.origin()[world];
            for axis in 0..3 {
                let column = self.affine.rows()[world][source[axis]];
                let last = (size[axis] - 1) as f64;
                row[axis] = if flipped[axis] { -column } else { column };
                row[3] += if flipped[axis] { column * last } else { 0.0 };
            }
        }
        Ok(Self {
            shape,
            samples,
            affine: Affine::new(rows)?,
            ..self.without_samples()
        })
    }

    /// The shape with other axes of space.
    pub(crate) fn shape_with(&self, size: [usize; 3]) -> Result<Vec<usize>> {
        if self.shape.len() > 2 {
            return Ok(size
                .into_iter()
                .chain(self.shape.iter().skip(3).copied())
                .collect());
        }
        match size {
            [width, height, 1] => Ok(vec![width, height]),
            _ => Err(ImagingError::argument(
                "grid of a two-dimensional image",
                "one voxel along its third axis",
                format!("{size:?}"),
            )),
        }
    }
}

/// How axes of space are exchanged and reversed.
struct Turn {
    size: [usize; 3],
    /// Voxels between neighbours in the source, along each axis of the result.
    strides: [usize; 3],
    flipped: [bool; 3],
    components: usize,
}

impl Turn {
    fn apply<T: Copy>(&self, stored: &[T]) -> Vec<T> {
        let frame: usize = self.size.iter().product::<usize>() * self.components;
        let mut turned = Vec::with_capacity(stored.len());
        for frame in stored.chunks_exact(frame) {
            for k in 0..self.size[2] {
                for j in 0..self.size[1] {
                    let row = self.offset(1, j) + self.offset(2, k);
                    for i in 0..self.size[0] {
                        let voxel = (row + self.offset(0, i)) * self.components;
                        turned.extend_from_slice(&frame[voxel..voxel + self.components]);
                    }
                }
            }
        }
        turned
    }

    fn offset(&self, axis: usize, index: usize) -> usize {
        let index = if self.flipped[axis] {
            self.size[axis] - 1 - index
        } else {
            index
        };
        index * self.strides[axis]
    }
}

/// A box cut out of every frame.
struct Box3 {
    from: [usize; 3],
    start: [isize; 3],
    size: [usize; 3],
    components: usize,
}

impl Box3 {
    fn apply<T: Copy>(&self, stored: &[T], fill: T, values: usize) -> Vec<T> {
        let mut cut = vec![fill; values];
        let frame = self.from.iter().product::<usize>() * self.components;
        let boxed = self.size.iter().product::<usize>() * self.components;
        // What of each axis lies in both: where it starts in the box and in the image, how long.
        let shared = [0, 1, 2].map(|axis| self.shared(axis));
        if shared.iter().any(|shared| shared.length == 0) {
            return cut;
        }
        let [columns, rows, planes] = shared;
        for (from, to) in stored.chunks_exact(frame).zip(cut.chunks_exact_mut(boxed)) {
            for plane in 0..planes.length {
                for row in 0..rows.length {
                    let source = ((planes.image + plane) * self.from[1] + rows.image + row)
                        * self.from[0]
                        + columns.image;
                    let target = ((planes.boxed + plane) * self.size[1] + rows.boxed + row)
                        * self.size[0]
                        + columns.boxed;
                    let length = columns.length * self.components;
                    let (source, target) = (source * self.components, target * self.components);
                    to[target..target + length].copy_from_slice(&from[source..source + length]);
                }
            }
        }
        cut
    }

    fn shared(&self, axis: usize) -> Shared {
        let start = self.start[axis];
        let image = start.max(0).unsigned_abs();
        let boxed = start.min(0).unsigned_abs();
        let length = self.from[axis]
            .saturating_sub(image)
            .min(self.size[axis].saturating_sub(boxed));
        Shared {
            image,
            boxed,
            length,
        }
    }
}

struct Shared {
    image: usize,
    boxed: usize,
    length: usize,
}
