//! Batches as plain pixel values, of which only those that change are written back.

use candle_core::{DType, Device, Tensor};
use ctl_invariance::Batch;

use crate::{CounterfactualError, Result};

/// Images as pixel values in [0, 1], and as the values on the scale of their batch.
///
/// A value that is not changed goes back bit for bit, whatever scale and centre are.
#[derive(Clone, Debug)]
pub(crate) struct Pixels {
    values: Vec<f64>,
    stored: Vec<f64>,
    shape: [usize; 4],
    centre: f64,
    scale: f64,
    dtype: DType,
    device: Device,
}

impl Pixels {
    /// Pixel values of images `[B, C, H, W]` on the scale of `batch`.
    pub(crate) fn of(images: &Tensor, batch: &Batch) -> Result<Self> {
        let &[rows, channels, height, width] = images.dims() else {
            return Err(CounterfactualError::Shape {
                subject: "images",
                expected: "[B, C, H, W]".into(),
                found: format!("{:?}", images.dims()),
            });
        };
        let stored: Vec<f64> = images.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        Ok(Self {
            values: stored
                .iter()
                .map(|value| value * batch.scale + batch.centre)
                .collect(),
            stored,
            shape: [rows, channels, height, width],
            centre: batch.centre,
            scale: batch.scale,
            dtype: images.dtype(),
            device: images.device().clone(),
        })
    }

    /// Channels, height and width of an image.
    pub(crate) fn shape(&self) -> [usize; 3] {
        let [_, channels, height, width] = self.shape;
        [channels, height, width]
    }

    pub(crate) fn count(&self) -> usize {
        self.shape[0]
    }

    fn size(&self) -> usize {
        self.shape().iter().product()
    }

    /// One image, `[C, H, W]`.
    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.size()..(row + 1) * self.size()]
    }

    /// Puts another image in the place of one; what of it is not in [0, 1] is cut off, unless it
    /// was so before.
    pub(crate) fn set_row(&mut self, row: usize, image: &[f64]) {
        let first = row * self.size();
        for (index, &value) in image.iter().enumerate() {
            let place = first + index;
            if value.to_bits() == self.values[place].to_bits() {
                continue;
            }
            self.values[place] = value.clamp(0.0, 1.0);
            self.stored[place] = (self.values[place] - self.centre) / self.scale;
        }
    }

    /// The images on the scale that they came from.
    pub(crate) fn into_tensor(self) -> Result<Tensor> {
        let images = Tensor::from_vec(self.stored, self.shape.to_vec(), &self.device)?;
        Ok(images.to_dtype(self.dtype)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctl_invariance::TargetKind;

    #[test]
    fn only_what_changes_is_written_and_cut() {
        let stored = [0.1f32, -2.3, 9.0, 0.7];
        let images = Tensor::new(&[[[stored]]], &Device::Cpu).unwrap();
        let batch = Batch {
            centre: 0.1,
            scale: 0.3,
            ..Batch::new(0, images.clone(), TargetKind::Classes)
        };
        let mut pixels = Pixels::of(&images, &batch).unwrap();
        let mut row = pixels.row(0).to_vec();
        assert!((row[1] - (0.1 - 0.69)).abs() < 1e-6);
        (row[0], row[3]) = (0.4, 1.7);
        pixels.set_row(0, &row);
        let back = pixels.into_tensor().unwrap().flatten_all().unwrap();
        let back = back.to_vec1::<f32>().unwrap();
        assert_eq!(back[1..3], stored[1..3]);
        assert!((back[0] - 1.0).abs() < 1e-6 && (back[3] - 3.0).abs() < 1e-6);
        let flat = images.flatten_all().unwrap();
        let message = Pixels::of(&flat, &batch).unwrap_err().to_string();
        assert_eq!(message, "images: expected [B, C, H, W], found [4]");
    }
}
