//! Dropout whose mask is drawn again from its key where it is needed.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::composite::has_kernels;
use super::custom::{Element, by_dtype, check_floats};
use super::storage::slice;
use crate::kernels::buffer::PIECE;
use crate::kernels::parallel::for_each_chunk;
use crate::{ComputeError, Result};

/// Sets each value to 0 with a probability and divides the others by the chance to stay.
///
/// `y = x · m / (1 − p)`, `m` 0 or 1; the expected value of `y` is `x`.
/// The mask is not stored: it comes from a key of its own, which this call draws from `rng`, and
/// the backward pass draws it again.
///
/// # Arguments
/// - `probability`: of a value to be dropped, in `[0, 1)`
///
/// # Errors
/// When the probability is out of range or the values are not floats on a served device.
///
/// # References
/// Srivastava et al. 2014, scaled during training instead of after it.
///
/// # Examples
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_compute::ops::dropout;
/// use ctl_compute::random::stream;
///
/// let x = Tensor::ones(1000, DType::F32, &Device::Cpu)?;
/// let y = dropout(&x, 0.5, &mut stream(0, "run", "dropout"))?.to_vec1::<f32>()?;
/// assert!(y.iter().all(|&v| v == 0.0 || v == 2.0));
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn dropout(input: &Tensor, probability: f64, rng: &mut ChaCha8Rng) -> Result<Tensor> {
    check_floats("dropout", &[input])?;
    if !(0.0..1.0).contains(&probability) {
        return Err(ComputeError::Option {
            op: "dropout",
            key: "probability",
            expected: "in [0, 1)",
            found: probability.to_string(),
        });
    }
    let mut key = [0; 32];
    rng.fill_bytes(&mut key);
    let mask = Mask { key, probability };
    if has_kernels(input) {
        return Ok(input.contiguous()?.apply_op1(mask)?);
    }
    // The same mask as on the CPU.
    let kept = Tensor::ones(input.shape(), input.dtype(), &Device::Cpu)?.apply_op1(mask)?;
    Ok((input * kept.to_device(input.device())?)?)
}

/// Multiplication with a diagonal matrix: its own transpose.
#[derive(Clone, Copy)]
struct Mask {
    key: [u8; 32],
    probability: f64,
}

impl Mask {
    fn compute<T: Element>(&self, x: &[T]) -> Vec<T> {
        let scale = T::of(1.0 / (1.0 - self.probability));
        let dropped = (self.probability * 2f64.powi(32)) as u64;
        let mut out = x.to_vec();
        for_each_chunk(&mut out, PIECE, |piece, out| {
            // A stream per piece: the mask does not depend on who draws it.
            let mut rng = ChaCha8Rng::from_seed(self.key);
            rng.set_stream(piece as u64);
            for value in out {
                let stays = u64::from(rng.next_u32()) >= dropped;
                *value = if stays { *value * scale } else { T::ZERO };
            }
        });
        out
    }
}

impl CustomOp1 for Mask {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => self.compute::<T>(slice(s, l)?));
        Ok((out, l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(dy.contiguous()?.apply_op1(*self)?))
    }
}
