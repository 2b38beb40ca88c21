//! Softmax cross-entropy for samples and for pixels.

use candle_core::{DType, Tensor};
use ctl_compute::ops::{log_softmax, softmax};

use super::{SampleLoss, mean_per_sample, mismatch, values_per_sample};
use crate::Result;

/// `ℓ(z, y) = −log softmax(z)_y`; outputs `[B, K]`, targets class indices `[B]` (`u32`).
///
/// `∂ℓ/∂z = softmax(z) − onehot(y)`
pub struct SoftmaxCrossEntropy;

/// Softmax cross-entropy at every pixel, its mean per image; outputs `[B, K, H, W]`, targets class
/// indices `[B, H, W]` (`u32`).
pub struct PixelCrossEntropy;

/// One-hot rows along dimension 1; `outputs` has at least two dimensions.
pub(crate) fn one_hot(loss: &'static str, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let mut expected = outputs.dims().to_vec();
    let classes = expected.remove(1);
    if targets.dims() != expected {
        return Err(mismatch(
            loss,
            format!("class indices {expected:?}"),
            targets,
        ));
    }
    let indices = targets
        .flatten_all()?
        .to_dtype(DType::U32)?
        .to_vec1::<u32>()?;
    if let Some(ill) = indices.iter().find(|&&i| i as usize >= classes) {
        let found = Tensor::new(&[*ill], outputs.device())?;
        return Err(mismatch(
            loss,
            format!("class indices below {classes}, not {ill}"),
            &found,
        ));
    }
    let pixels: usize = expected[1..].iter().product();
    let mut values = vec![0f32; outputs.elem_count()];
    for (position, &class) in indices.iter().enumerate() {
        let (sample, pixel) = (position / pixels, position % pixels);
        values[(sample * classes + class as usize) * pixels + pixel] = 1.0;
    }
    let flat = Tensor::from_vec(values, outputs.shape(), outputs.device())?;
    Ok(flat.to_dtype(outputs.dtype())?)
}

/// Fails unless the outputs have a class dimension and, for pixels, image dimensions.
pub(super) fn check_rank(loss: &'static str, outputs: &Tensor, images: bool) -> Result<()> {
    let (ok, expected) = if images {
        (outputs.rank() > 2, "outputs [B, K, H, W]")
    } else {
        (outputs.rank() == 2, "outputs [B, K]")
    };
    if ok {
        return Ok(());
    }
    Err(mismatch(loss, expected.into(), outputs))
}

fn cross_entropy(loss: &'static str, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let chosen = one_hot(loss, outputs, targets)?;
    Ok(log_softmax(outputs, 1)?.mul(&chosen)?.sum(1)?.neg()?)
}

impl SampleLoss for SoftmaxCrossEntropy {
    fn per_sample(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        check_rank("softmax cross-entropy", outputs, false)?;
        cross_entropy("softmax cross-entropy", outputs, targets)
    }

    fn output_gradient(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        check_rank("softmax cross-entropy", outputs, false)?;
        let chosen = one_hot("softmax cross-entropy", outputs, targets)?;
        Ok((softmax(outputs, 1)? - chosen)?)
    }
}

impl SampleLoss for PixelCrossEntropy {
    fn per_sample(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        check_rank("pixel cross-entropy", outputs, true)?;
        mean_per_sample(&cross_entropy("pixel cross-entropy", outputs, targets)?)
    }

    fn output_gradient(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        check_rank("pixel cross-entropy", outputs, true)?;
        let chosen = one_hot("pixel cross-entropy", outputs, targets)?;
        let pixels = values_per_sample(targets);
        Ok(((softmax(outputs, 1)? - chosen)? / pixels)?)
    }
}
