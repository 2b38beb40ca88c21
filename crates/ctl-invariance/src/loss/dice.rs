//! Cross-entropy and soft Dice of segmentations.

use candle_core::Tensor;
use ctl_compute::ops::softmax;

use super::cross_entropy::{check_rank, one_hot};
use super::{PixelCrossEntropy, SampleLoss};
use crate::Result;

const NAME: &str = "segmentation loss";

/// Added to both sides of the fraction: an image without a class has no division by zero.
const SMOOTHING: f64 = 1.0;

/// Pixel cross-entropy plus one minus the soft Dice of the classes behind the background,
/// `ℓ = CE + (1/K′) Σ_k (1 − D_k)` with `D_k = (2 Σ p y + 1) / (Σ p + Σ y + 1)` over the pixels of an
/// image; outputs `[B, K, H, W]`, K ≥ 2, targets class indices `[B, H, W]` (`u32`), class 0 the
/// background.
///
/// Cross-entropy alone hardly sees a lesion of a few pixels; Dice alone has small gradients far
/// from an overlap.
///
/// # References
/// Milletari, Navab & Ahmadi 2016, section 3 (soft Dice, there with squared denominators); the sum
/// of both as in Isensee et al. 2021, nnU-Net.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::{SampleLoss, SegmentationLoss};
///
/// // One undecided pixel of the foreground: CE = log 2, Dice = (2·½ + 1) / (½ + 1 + 1) = 0.8.
/// let outputs = Tensor::zeros((1, 2, 1, 1), candle_core::DType::F64, &Device::Cpu)?;
/// let target = Tensor::new(&[[[1u32]]], &Device::Cpu)?;
/// let loss = SegmentationLoss.per_sample(&outputs, &target)?.to_vec1::<f64>()?;
/// assert!((loss[0] - (2f64.ln() + 0.2)).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SegmentationLoss;

/// Sums that the soft Dice of the foreground is made of, all `[B, K′, 1]`.
struct Overlap {
    /// Probabilities of the foreground classes, `[B, K′, P]`.
    probabilities: Tensor,
    /// Their targets, likewise.
    chosen: Tensor,
    /// `2 Σ p y + 1`
    numerator: Tensor,
    /// `Σ p + Σ y + 1`
    denominator: Tensor,
}

impl Overlap {
    fn of(probabilities: &Tensor, chosen: &Tensor) -> Result<Self> {
        let classes = probabilities.dim(1)?;
        let foreground = |t: &Tensor| t.narrow(1, 1, classes - 1);
        let (probabilities, chosen) = (foreground(probabilities)?, foreground(chosen)?);
        let both = probabilities.mul(&chosen)?.sum_keepdim(2)?;
        let sizes = (probabilities.sum_keepdim(2)? + chosen.sum_keepdim(2)?)?;
        Ok(Self {
            numerator: ((both * 2.0)? + SMOOTHING)?,
            denominator: (sizes + SMOOTHING)?,
            probabilities,
            chosen,
        })
    }

    /// `[B]`
    fn loss(&self) -> Result<Tensor> {
        let dice = self.numerator.div(&self.denominator)?;
        Ok((1.0 - dice.flatten_from(1)?.mean(1)?)?)
    }

    /// `∂ loss / ∂ p`, `[B, K′, P]`
    fn slope(&self) -> Result<Tensor> {
        let classes = self.probabilities.dim(1)? as f64;
        let squared = self.denominator.sqr()?;
        let doubled = (&self.chosen * 2.0)?;
        let rise = doubled.broadcast_mul(&self.denominator)?;
        let slope = rise
            .broadcast_sub(&self.numerator)?
            .broadcast_div(&squared)?;
        Ok((slope * (-1.0 / classes))?)
    }
}

/// Probabilities and one-hot targets, `[B, K, P]`.
fn flattened(outputs: &Tensor, targets: &Tensor) -> Result<(Tensor, Tensor)> {
    check_rank(NAME, outputs, true)?;
    let chosen = one_hot(NAME, outputs, targets)?.flatten_from(2)?;
    Ok((softmax(outputs, 1)?.flatten_from(2)?, chosen))
}

impl SampleLoss for SegmentationLoss {
    fn per_sample(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let (probabilities, chosen) = flattened(outputs, targets)?;
        let overlap = Overlap::of(&probabilities, &chosen)?;
        Ok((PixelCrossEntropy.per_sample(outputs, targets)? + overlap.loss()?)?)
    }

    /// Through the softmax: `∂ℓ/∂z_j = p_j (g_j − Σ_k g_k p_k)` with `g = ∂ℓ/∂p`, 0 for the
    /// background.
    fn output_gradient(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let (probabilities, chosen) = flattened(outputs, targets)?;
        let overlap = Overlap::of(&probabilities, &chosen)?;
        let slope = overlap.slope()?;
        let mean = slope.mul(&overlap.probabilities)?.sum_keepdim(1)?;
        let background = mean.neg()?;
        let centred = Tensor::cat(&[&background, &slope.broadcast_sub(&mean)?], 1)?;
        let own = probabilities.mul(&centred)?.reshape(outputs.shape())?;
        Ok((PixelCrossEntropy.output_gradient(outputs, targets)? + own)?)
    }
}
