//! Pooling by the mean.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::{Windows, pooled, unpooled};
use crate::Result;
use crate::kernels::pooling::{self, Average, PoolShape};
use crate::ops::composite::{has_kernels, windows};
use crate::ops::custom::by_dtype;
use crate::ops::storage::slice;

/// Mean of each window of an image.
///
/// # Arguments
/// - `input`: `[B, H, W, C]`
/// - `count_padding`: whether padding counts as zeros (as `PyTorch` does by default); otherwise
///   the mean is over the pixels inside the image
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
/// use ctl_compute::ops::{Windows, average_pool2d};
///
/// let image = Tensor::new(&[[[[1f32], [5.0]], [[3.0], [2.0]]]], &Device::Cpu)?;
/// let pooled = average_pool2d(&image, &Windows::tiles(2), true)?;
/// assert_eq!(pooled.flatten_all()?.to_vec1::<f32>()?, [2.75]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn average_pool2d(input: &Tensor, windows: &Windows<2>, count_padding: bool) -> Result<Tensor> {
    average(input, windows.over("average_pool2d", input)?, count_padding)
}

/// Mean of each window of a volume, `[B, D, H, W, C]`; see [`average_pool2d`].
///
/// # Errors
/// When the rank is not 5, the values are not floats on a served device, or a window does not fit.
pub fn average_pool3d(input: &Tensor, windows: &Windows<3>, count_padding: bool) -> Result<Tensor> {
    average(input, windows.over("average_pool3d", input)?, count_padding)
}

fn average(input: &Tensor, shape: PoolShape, count_padding: bool) -> Result<Tensor> {
    let op = Average {
        shape,
        count_padding,
    };
    if !has_kernels(input) {
        return Ok(windows::average(&op, input)?);
    }
    Ok(input.contiguous()?.apply_op1(Mean(op))?)
}

struct Mean(Average);

/// Transpose of [`Mean`].
struct Share(Average);

impl CustomOp1 for Mean {
    fn name(&self) -> &'static str {
        "average-pool"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => pooling::average(&self.0, slice::<T>(s, l)?));
        Ok((out, pooled(&self.0.shape, l.dims().len())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(dy.contiguous()?.apply_op1(Share(self.0))?))
    }
}

impl CustomOp1 for Share {
    fn name(&self) -> &'static str {
        "average-pool-gradient"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => pooling::share_out(&self.0, slice::<T>(s, l)?));
        Ok((out, unpooled(&self.0.shape, l.dims().len())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, u: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(u.contiguous()?.apply_op1(Mean(self.0))?))
    }
}
