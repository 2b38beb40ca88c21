//! Pooling with gradients that are right (candle's `max_pool2d` gives a quarter of it).

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Shape, Tensor};

use super::storage::slice;
use crate::gemm::Real;
use crate::{ComputeError, Result};

/// Mean over all pixels: `[B, C, H, W] -> [B, C]`.
///
/// # Errors
/// When the rank is not 4.
pub fn global_average_pool(input: &Tensor) -> Result<Tensor> {
    if input.rank() != 4 {
        return Err(ComputeError::shape(
            "global_average_pool",
            "[B, C, H, W]",
            input.shape(),
        ));
    }
    Ok(input.flatten_from(2)?.mean(2)?)
}

/// Largest value of each window; a tie sends its gradient to the first of the equal pixels, row by
/// row.
///
/// Rows and columns that do not fill a window are left out, as `PyTorch` does.
/// The gradient is exact; a derivative of the gradient treats the choice of pixel as constant.
///
/// # Arguments
/// - `input`: `[B, C, H, W]`
/// - `window`: side of the window in pixels; `stride`: step between windows
///
/// # Returns
/// `[B, C, (H − window) / stride + 1, (W − window) / stride + 1]`
///
/// # Errors
/// When the rank is not 4, a size is 0, or the window is larger than the image.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::max_pool2d;
///
/// let image = Tensor::new(&[[[[1f32, 5.0], [3.0, 2.0]]]], &Device::Cpu)?;
/// assert_eq!(max_pool2d(&image, 2, 2)?.flatten_all()?.to_vec1::<f32>()?, [5.0]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn max_pool2d(input: &Tensor, window: usize, stride: usize) -> Result<Tensor> {
    let &[batch, channels, height, width] = input.dims() else {
        return Err(ComputeError::shape(
            "max_pool2d",
            "[B, C, H, W]",
            input.shape(),
        ));
    };
    if window == 0 || stride == 0 || window > height || window > width {
        return Err(ComputeError::Option {
            op: "max_pool2d",
            key: "window, stride",
            expected: "at least 1, the window not larger than the image",
            found: format!("{window}, {stride} on {height}x{width}"),
        });
    }
    let shape = PoolShape {
        planes: batch * channels,
        batch,
        height,
        width,
        window,
        stride,
    };
    let input = input.contiguous()?;
    let choice = input.apply_op1_no_bwd(&Winner(shape))?;
    Ok(input.apply_op2(&choice, Select(shape))?)
}

#[derive(Clone, Copy)]
struct PoolShape {
    planes: usize,
    batch: usize,
    height: usize,
    width: usize,
    window: usize,
    stride: usize,
}

impl PoolShape {
    fn output(&self) -> [usize; 2] {
        let along = |size: usize| (size - self.window) / self.stride + 1;
        [along(self.height), along(self.width)]
    }

    fn output_shape(&self) -> Shape {
        let [height, width] = self.output();
        Shape::from((self.batch, self.planes / self.batch.max(1), height, width))
    }

    fn input_shape(&self) -> Shape {
        Shape::from((
            self.batch,
            self.planes / self.batch.max(1),
            self.height,
            self.width,
        ))
    }
}

/// Position of the largest pixel of every window, as an index into the whole input.
struct Winner(PoolShape);

fn winners<T: Real>(shape: &PoolShape, input: &[T]) -> Vec<u32> {
    let [out_h, out_w] = shape.output();
    let mut choice = Vec::with_capacity(shape.planes * out_h * out_w);
    for plane in 0..shape.planes {
        for y in 0..out_h {
            for x in 0..out_w {
                choice.push(winner_of(
                    shape,
                    input,
                    plane,
                    y * shape.stride,
                    x * shape.stride,
                ));
            }
        }
    }
    choice
}

fn winner_of<T: Real>(shape: &PoolShape, input: &[T], plane: usize, y: usize, x: usize) -> u32 {
    let first = (plane * shape.height + y) * shape.width + x;
    let mut best = first;
    for v in 0..shape.window {
        let row = first + v * shape.width;
        for index in row..row + shape.window {
            if input[index] > input[best] {
                best = index;
            }
        }
    }
    best as u32
}

impl CustomOp1 for Winner {
    fn name(&self) -> &'static str {
        "max-pool2d-winner"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let choice = match candle_core::backend::BackendStorage::dtype(s) {
            DType::F64 => winners(&self.0, slice::<f64>(s, l)?),
            _ => winners(&self.0, slice::<f32>(s, l)?),
        };
        Ok((CpuStorage::U32(choice), self.0.output_shape()))
    }
}

/// `(x, choice) -> x[choice]`
struct Select(PoolShape);
/// `(dy, choice) -> dx`
struct Spread(PoolShape);

fn select<T: Real>(values: &[T], choice: &[u32]) -> Vec<T> {
    choice.iter().map(|&index| values[index as usize]).collect()
}

fn spread<T: Real>(values: &[T], choice: &[u32], pixels: usize) -> Vec<T> {
    let mut out = vec![T::ZERO; pixels];
    for (&value, &index) in values.iter().zip(choice) {
        out[index as usize] += value;
    }
    out
}

impl CustomOp2 for Select {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let choice = slice::<u32>(s2, l2)?;
        let out = match candle_core::backend::BackendStorage::dtype(s1) {
            DType::F64 => CpuStorage::F64(select(slice::<f64>(s1, l1)?, choice)),
            _ => CpuStorage::F32(select(slice::<f32>(s1, l1)?, choice)),
        };
        Ok((out, self.0.output_shape()))
    }

    fn bwd(
        &self,
        _input: &Tensor,
        choice: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let spread = gradient.contiguous()?.apply_op2(choice, Spread(self.0))?;
        Ok((Some(spread), None))
    }
}

impl CustomOp2 for Spread {
    fn name(&self) -> &'static str {
        "max-pool2d-gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let choice = slice::<u32>(s2, l2)?;
        let pixels = self.0.planes * self.0.height * self.0.width;
        let out = match candle_core::backend::BackendStorage::dtype(s1) {
            DType::F64 => CpuStorage::F64(spread(slice::<f64>(s1, l1)?, choice, pixels)),
            _ => CpuStorage::F32(spread(slice::<f32>(s1, l1)?, choice, pixels)),
        };
        Ok((out, self.0.input_shape()))
    }

    fn bwd(
        &self,
        _gradient: &Tensor,
        choice: &Tensor,
        _res: &Tensor,
        upstream: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let selected = upstream.contiguous()?.apply_op2(choice, Select(self.0))?;
        Ok((Some(selected), None))
    }
}
