//! Pooling over `[B, H, W, C]` and `[B, D, H, W, C]`, closed under differentiation.

mod average;
mod global;
mod max;

use candle_core::{Shape, Tensor};

pub use average::{average_pool2d, average_pool3d};
pub use global::{global_average_pool, global_max_pool};
pub use max::{max_pool2d, max_pool3d};

use super::custom::check_floats;
use crate::kernels::pooling::PoolShape;
use crate::{ComputeError, Result};

/// Windows of a pooling, one entry per spatial axis (`[height, width]` or `[depth, height,
/// width]`), in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows<const N: usize> {
    /// Size of a window, at least 1.
    pub kernel: [usize; N],
    /// Step between windows, at least 1.
    pub stride: [usize; N],
    /// Pixels added on both sides, at most half the kernel.
    pub padding: [usize; N],
}

impl<const N: usize> Windows<N> {
    /// Windows of side `size` that lie side by side.
    pub fn tiles(size: usize) -> Self {
        Self {
            kernel: [size; N],
            stride: [size; N],
            padding: [0; N],
        }
    }

    /// The shape of pooling `input`; a missing depth is 1.
    fn over(&self, op: &'static str, input: &Tensor) -> Result<PoolShape> {
        check_floats(op, &[input])?;
        let dims = input.dims();
        if dims.len() != N + 2 {
            let expected = if N == 2 {
                "[B, H, W, C]"
            } else {
                "[B, D, H, W, C]"
            };
            return Err(ComputeError::shape(op, expected, input.shape()));
        }
        if dims.contains(&0) {
            return Err(ComputeError::shape(op, "no size of 0", input.shape()));
        }
        let mut shape = PoolShape {
            batch: dims[0],
            channels: dims[N + 1],
            input: [1; 3],
            output: [1; 3],
            kernel: [1; 3],
            stride: [1; 3],
            padding: [0; 3],
        };
        for (i, &size) in dims[1..=N].iter().enumerate() {
            let axis = 3 - N + i;
            shape.input[axis] = size;
            shape.kernel[axis] = self.kernel[i];
            shape.stride[axis] = self.stride[i];
            shape.padding[axis] = self.padding[i];
            shape.output[axis] = self.outputs(op, i, size)?;
        }
        Ok(shape)
    }

    fn outputs(&self, op: &'static str, axis: usize, size: usize) -> Result<usize> {
        let [kernel, stride, padding] = [self.kernel[axis], self.stride[axis], self.padding[axis]];
        let padded = padding
            .checked_mul(2)
            .and_then(|twice| size.checked_add(twice));
        match padded {
            Some(padded)
                if stride > 0 && padding <= kernel / 2 && (1..=padded).contains(&kernel) =>
            {
                Ok((padded - kernel) / stride + 1)
            }
            _ => Err(ComputeError::Option {
                op,
                key: "kernel, stride, padding",
                expected: "at least 1, the padding at most half the kernel, the kernel at most \
                           the padded size",
                found: format!("{kernel}, {stride}, {padding} on {size} pixels"),
            }),
        }
    }
}

/// The shape of the pooled tensor, of the rank of `input`.
fn pooled(shape: &PoolShape, rank: usize) -> Shape {
    with_rank(shape, shape.output, rank)
}

/// The shape of the tensor before pooling.
fn unpooled(shape: &PoolShape, rank: usize) -> Shape {
    with_rank(shape, shape.input, rank)
}

fn with_rank(shape: &PoolShape, sizes: [usize; 3], rank: usize) -> Shape {
    let mut dims = vec![shape.batch];
    dims.extend(&sizes[5 - rank..]);
    dims.push(shape.channels);
    Shape::from(dims)
}
