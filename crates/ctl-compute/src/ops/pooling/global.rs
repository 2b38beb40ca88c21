//! Pooling over all pixels.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::Windows;
use super::max::max_pool;
use crate::kernels::{columns, parallel};
use crate::ops::composite::{has_kernels, windows};
use crate::ops::custom::{Element, by_dtype, check_floats};
use crate::ops::storage::slice;
use crate::{ComputeError, Result};

/// Mean over all pixels: `[B, …, C] -> [B, C]`.
///
/// Sums are taken in double precision over fixed pieces.
///
/// # Errors
/// When the rank is below 3, a size is 0, or the values are not floats on a served device.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::global_average_pool;
///
/// let image = Tensor::new(&[[[[1f32, 10.0], [3.0, 30.0]]]], &Device::Cpu)?;
/// assert_eq!(global_average_pool(&image)?.to_vec2::<f32>()?, [[2.0, 20.0]]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn global_average_pool(input: &Tensor) -> Result<Tensor> {
    let op = PixelMean(flat_shape("global_average_pool", input)?);
    if !has_kernels(input) {
        return Ok(windows::pixel_mean(input)?);
    }
    Ok(input.contiguous()?.apply_op1(op)?)
}

/// Largest value over all pixels: `[B, …, C] -> [B, C]`; ties as in [`super::max_pool2d`].
///
/// # Errors
/// When the rank is below 3, a size is 0, or the values are not floats on a served device.
pub fn global_max_pool(input: &Tensor) -> Result<Tensor> {
    let flat = flat_shape("global_max_pool", input)?;
    let row = input.reshape((flat.batch, 1, flat.pixels, flat.channels))?;
    let whole = Windows {
        kernel: [1, flat.pixels],
        stride: [1, 1],
        padding: [0, 0],
    };
    let pooled = max_pool(&row, whole.over("global_max_pool", &row)?)?;
    Ok(pooled.reshape((flat.batch, flat.channels))?)
}

/// `[batch, pixels, channels]`, and the dimensions they stand for.
#[derive(Clone)]
struct Flat {
    batch: usize,
    pixels: usize,
    channels: usize,
    dims: Vec<usize>,
}

fn flat_shape(op: &'static str, input: &Tensor) -> Result<Flat> {
    check_floats(op, &[input])?;
    let dims = input.dims();
    let (&[batch, ref spatial @ .., channels], true) = (dims, dims.len() >= 3) else {
        return Err(ComputeError::shape(op, "[B, …, C]", input.shape()));
    };
    let pixels = spatial.iter().product();
    if dims.contains(&0) {
        return Err(ComputeError::shape(op, "no size of 0", input.shape()));
    }
    Ok(Flat {
        batch,
        pixels,
        channels,
        dims: dims.to_vec(),
    })
}

struct PixelMean(Flat);

impl PixelMean {
    fn compute<T: Element>(&self, x: &[T]) -> Vec<T> {
        let Flat {
            batch,
            pixels,
            channels,
            ..
        } = self.0;
        let mut out = vec![T::ZERO; batch * channels];
        parallel::for_each_chunk(&mut out, channels, |b, out| {
            let image = &x[b * pixels * channels..][..pixels * channels];
            let sums = columns::column_sums(image, channels);
            for (slot, sum) in out.iter_mut().zip(sums) {
                *slot = T::of(sum / pixels as f64);
            }
        });
        out
    }
}

impl CustomOp1 for PixelMean {
    fn name(&self) -> &'static str {
        "global-average-pool"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => self.compute(slice::<T>(s, l)?));
        Ok((out, Shape::from((self.0.batch, self.0.channels))))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(
            dy.contiguous()?.apply_op1(PixelShare(self.0.clone()))?,
        ))
    }
}

/// Transpose of [`PixelMean`]: an equal share to every pixel.
struct PixelShare(Flat);

impl PixelShare {
    fn compute<T: Element>(&self, y: &[T]) -> Vec<T> {
        let Flat {
            batch,
            pixels,
            channels,
            ..
        } = self.0;
        let share = T::of(1.0 / pixels as f64);
        let mut out = Vec::with_capacity(batch * pixels * channels);
        for row in y.chunks(channels.max(1)) {
            let shared: Vec<T> = row.iter().map(|&v| v * share).collect();
            for _ in 0..pixels {
                out.extend_from_slice(&shared);
            }
        }
        out
    }
}

impl CustomOp1 for PixelShare {
    fn name(&self) -> &'static str {
        "global-average-pool-gradient"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = by_dtype!(s, T => self.compute(slice::<T>(s, l)?));
        Ok((out, Shape::from(self.0.dims.clone())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, u: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(u.contiguous()?.apply_op1(PixelMean(self.0.clone()))?))
    }
}
