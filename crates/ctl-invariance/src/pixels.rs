//! Batches as plain pixel values.

use candle_core::{DType, Device, Tensor};

use crate::{Batch, Result, TargetKind};

/// Images as pixel values, row after row, and the scale that they come from.
#[derive(Clone, Debug)]
pub(crate) struct Pixels {
    values: Vec<f32>,
    shape: [usize; 4],
    centre: f64,
    scale: f64,
    dtype: DType,
}

impl Pixels {
    /// Pixel values of images `[B, C, H, W]` on the scale of `batch`.
    pub(crate) fn of(images: &Tensor, batch: &Batch) -> Result<Self> {
        let (rows, channels, height, width) = images.dims4()?;
        let pixels = images.affine(batch.scale, batch.centre)?.flatten_all()?;
        Ok(Self {
            values: pixels.to_dtype(DType::F32)?.to_vec1()?,
            shape: [rows, channels, height, width],
            centre: batch.centre,
            scale: batch.scale,
            dtype: images.dtype(),
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
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.size()..(row + 1) * self.size()]
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let size = self.size();
        &mut self.values[row * size..(row + 1) * size]
    }

    /// The images on the scale that they came from; what is not in [0, 1] is cut off.
    pub(crate) fn into_tensor(self) -> Result<Tensor> {
        let cut: Vec<f32> = self.values.iter().map(|v| v.clamp(0.0, 1.0)).collect();
        let images = Tensor::from_vec(cut, self.shape.to_vec(), &Device::Cpu)?;
        let images = images.affine(1.0 / self.scale, -self.centre / self.scale)?;
        Ok(images.to_dtype(self.dtype)?)
    }
}

/// What of a batch are pictures: its images, and its targets where they are images, which change
/// alike.
#[derive(Clone, Debug)]
pub(crate) struct Pictures {
    pub(crate) images: Pixels,
    pub(crate) targets: Vec<Pixels>,
}

impl Pictures {
    pub(crate) fn of(batch: &Batch) -> Result<Self> {
        let targets = match batch.kind {
            TargetKind::Images => &batch.targets[..],
            TargetKind::Classes | TargetKind::Masks => &[],
        };
        let targets = targets.iter().map(|part| Pixels::of(&part.target, batch));
        Ok(Self {
            images: Pixels::of(&batch.images, batch)?,
            targets: targets.collect::<Result<_>>()?,
        })
    }

    /// The images, then the targets.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Pixels> {
        std::iter::once(&self.images).chain(&self.targets)
    }

    /// The images, then the targets.
    pub(crate) fn parts_mut(&mut self) -> impl Iterator<Item = &mut Pixels> {
        std::iter::once(&mut self.images).chain(&mut self.targets)
    }

    /// The batch with these pictures in place of its own.
    pub(crate) fn put_into(self, batch: &Batch) -> Result<Batch> {
        let mut batch = batch.clone();
        batch.images = self.images.into_tensor()?;
        for (part, pixels) in batch.targets.iter_mut().zip(self.targets) {
            part.target = pixels.into_tensor()?;
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WeightedTarget;

    #[test]
    fn pixels_are_values_after_scale_and_centre_and_are_cut_on_the_way_back() {
        let images = Tensor::new(&[[[[-2f32, 0.0]]], [[[2.0, 1.0]]]], &Device::Cpu).unwrap();
        let batch = Batch {
            centre: 0.5,
            scale: 0.25,
            targets: vec![WeightedTarget {
                weight: 1.0,
                target: images.clone(),
            }],
            ..Batch::new(0, images, TargetKind::Images)
        };
        let mut pictures = Pictures::of(&batch).unwrap();
        assert_eq!(pictures.images.row(1), [1.0, 0.75]);
        assert_eq!(pictures.parts().count(), 2);
        pictures.images.row_mut(0)[1] = 7.0;
        let back = pictures.put_into(&batch).unwrap();
        let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(&back.images), [-2.0, 2.0, 2.0, 1.0]);
        assert_eq!(flat(&back.targets[0].target), [-2.0, 0.0, 2.0, 1.0]);
        let classes = Batch {
            kind: TargetKind::Classes,
            ..batch
        };
        assert_eq!(Pictures::of(&classes).unwrap().parts().count(), 1);
    }
}
