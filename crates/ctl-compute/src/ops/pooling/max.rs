//! Pooling by the largest value.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::{Windows, pooled, unpooled};
use crate::Result;
use crate::kernels::pooling::{self, PoolShape};
use crate::ops::composite::{has_kernels, windows};
use crate::ops::custom::by_dtype;
use crate::ops::storage::slice;

/// Largest value of each window of an image.
///
/// A tie goes to the first pixel, row by row; a window that holds a value that is not a number
/// gives that value.
/// Rows and columns that do not fill a window are left out; padding never wins.
/// The gradient goes to the pixel that won, and is differentiable in turn.
///
/// # Arguments
/// - `input`: `[B, H, W, C]`
///
/// # Returns
/// `[B, (H + 2p − k) / s + 1, (W + 2p − k) / s + 1, C]`
///
/// # Errors
/// When the rank is not 4, the values are not floats on a served device, or a window does not fit.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{Windows, max_pool2d};
///
/// let image = Tensor::new(&[[[[1f32], [5.0]], [[3.0], [2.0]]]], &Device::Cpu)?;
/// let pooled = max_pool2d(&image, &Windows::tiles(2))?;
/// assert_eq!(pooled.flatten_all()?.to_vec1::<f32>()?, [5.0]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn max_pool2d(input: &Tensor, windows: &Windows<2>) -> Result<Tensor> {
    max_pool(input, windows.over("max_pool2d", input)?)
}

/// Largest value of each window of a volume, `[B, D, H, W, C]`; see [`max_pool2d`].
///
/// # Errors
/// When the rank is not 5, the values are not floats on a served device, or a window does not fit.
pub fn max_pool3d(input: &Tensor, windows: &Windows<3>) -> Result<Tensor> {
    max_pool(input, windows.over("max_pool3d", input)?)
}

pub(super) fn max_pool(input: &Tensor, shape: PoolShape) -> Result<Tensor> {
    if !has_kernels(input) {
        let pooled_shape = pooled(&shape, input.rank());
        return Ok(windows::max(&shape, input)?.reshape(pooled_shape)?);
    }
    let op = MaxPool {
        shape,
        winner: Arc::default(),
    };
    Ok(input.contiguous()?.apply_op1(op)?)
}

/// The tap that won each window, set by the forward pass for the passes after it.
type Winner = Arc<OnceLock<Vec<u32>>>;

struct MaxPool {
    shape: PoolShape,
    winner: Winner,
}

/// `dy -> dx`
struct Spread {
    shape: PoolShape,
    winner: Winner,
}

/// `x -> x` at the pixels that won: the transpose of [`Spread`].
struct Select {
    shape: PoolShape,
    winner: Winner,
}

fn winners(winner: &Winner) -> &[u32] {
    winner.get().map_or(&[], Vec::as_slice)
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => {
            let (best, winner) = pooling::max(&self.shape, slice::<T>(s, l)?);
            // The operator is applied once, so that nothing is there before.
            self.winner.get_or_init(|| winner);
            best
        });
        Ok((out, pooled(&self.shape, l.dims().len())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let op = Spread {
            shape: self.shape,
            winner: self.winner.clone(),
        };
        Ok(Some(dy.contiguous()?.apply_op1(op)?))
    }
}

impl CustomOp1 for Spread {
    fn name(&self) -> &'static str {
        "max-pool-gradient"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let winner = winners(&self.winner);
        let out = by_dtype!(s, T => pooling::spread(&self.shape, slice::<T>(s, l)?, winner));
        Ok((out, unpooled(&self.shape, l.dims().len())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, u: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let op = Select {
            shape: self.shape,
            winner: self.winner.clone(),
        };
        Ok(Some(u.contiguous()?.apply_op1(op)?))
    }
}

impl CustomOp1 for Select {
    fn name(&self) -> &'static str {
        "max-pool-selection"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let winner = winners(&self.winner);
        let out = by_dtype!(s, T => pooling::select(&self.shape, slice::<T>(s, l)?, winner));
        Ok((out, pooled(&self.shape, l.dims().len())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let op = Spread {
            shape: self.shape,
            winner: self.winner.clone(),
        };
        Ok(Some(dy.contiguous()?.apply_op1(op)?))
    }
}
