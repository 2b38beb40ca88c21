//! Background around an image for what grows beyond it.

use crate::Result;
use crate::bounded::MAX_ARRAY_BYTES;
use crate::error::ImagingError;

/// Voxels added on both sides of every axis.
pub(super) struct Border {
    inner: [usize; 3],
    margin: [usize; 3],
}

impl Border {
    /// A border around an image, if it is one that we would allocate distances for.
    pub(super) fn new(inner: [usize; 3], margin: [usize; 3]) -> Result<Self> {
        let bytes = (0..3).try_fold(size_of::<f64>(), |bytes, axis| {
            let side = margin[axis].checked_mul(2)?.checked_add(inner[axis])?;
            bytes.checked_mul(side)
        });
        if bytes.is_none_or(|bytes| bytes as u64 > MAX_ARRAY_BYTES) {
            return Err(ImagingError::argument(
                "element to close or open with",
                format!("one that needs at most {MAX_ARRAY_BYTES} bytes"),
                format!("{margin:?} voxels on each side of {inner:?}"),
            ));
        }
        Ok(Self { inner, margin })
    }

    /// Voxels along each axis with the border.
    pub(super) fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.inner[axis] + 2 * self.margin[axis])
    }

    /// The mask with an empty border.
    pub(super) fn added(&self, mask: &[bool]) -> Vec<bool> {
        let mut outer = vec![false; self.shape().iter().product()];
        for (row, marks) in mask.chunks_exact(self.inner[0]).enumerate() {
            let start = self.row(row);
            outer[start..start + marks.len()].copy_from_slice(marks);
        }
        outer
    }

    /// What a mask with a border has within.
    pub(super) fn removed(&self, outer: &[bool]) -> Vec<bool> {
        let [width, height, depth] = self.inner;
        let rows = (0..height * depth).map(|row| self.row(row));
        rows.flat_map(|start| outer[start..start + width].iter().copied())
            .collect()
    }

    /// Where a row of the image starts in the mask with a border.
    fn row(&self, row: usize) -> usize {
        let [width, height, _] = self.shape();
        let j = row % self.inner[1] + self.margin[1];
        let k = row / self.inner[1] + self.margin[2];
        (k * height + j) * width + self.margin[0]
    }
}
