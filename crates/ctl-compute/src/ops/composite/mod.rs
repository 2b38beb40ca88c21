//! Every operator made of candle's own, for devices that have no kernels of this crate.
//!
//! Only operations whose gradients are right take part (`docs/DESIGN.md` lists those that are not),
//! so that first and second derivatives follow from candle's graph.
//! On the CPU they serve as a second opinion: a test compares each with its kernel.

pub(super) mod convolution;
pub(super) mod laws;
pub(super) mod normalisation;
pub(super) mod pointwise;
pub(super) mod windows;

use std::cell::Cell;

use candle_core::Tensor;

thread_local! {
    static AVOIDED: Cell<bool> = const { Cell::new(false) };
}

/// Puts the switch back where it was, also when a panic unwinds.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        AVOIDED.set(self.0);
    }
}

/// Runs `body` with every operator that this thread builds made of candle's own, as on devices
/// without kernels; for tests and measurements.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{silu, without_kernels};
///
/// let x = Tensor::new(&[-1f64, 0.0, 2.0], &Device::Cpu)?;
/// let (ours, theirs) = (silu(&x)?, without_kernels(|| silu(&x))?);
/// let gap = (ours - theirs)?.abs()?.max(0)?.to_scalar::<f64>()?;
/// assert!(gap < 1e-15);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn without_kernels<R>(body: impl FnOnce() -> R) -> R {
    let _restore = Restore(AVOIDED.replace(true));
    body()
}

/// Whether an operator on `tensor` has a kernel of this crate that may be used.
pub(crate) fn has_kernels(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && !AVOIDED.get()
}
