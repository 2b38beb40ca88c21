//! Resampling of `[B, …, C]` by nearest or linear interpolation, with `PyTorch`'s conventions.
//!
//! One sparse matrix per axis; its transpose is the gradient, so that both are exact adjoints.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::composite::{has_kernels, windows};
use super::custom::{by_dtype, check_floats};
use super::storage::slice;
use crate::kernels::resample::Sparse;
use crate::{ComputeError, Result};

/// Larger images than this on one axis are refused: a factor was meant otherwise.
const LARGEST_AXIS: f64 = 1e9;

/// How values between pixels are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The pixel at `⌊i · n / m⌋`.
    Nearest,
    /// Weights of the two pixels beside the place, along each axis.
    Linear {
        /// Whether the centres of the corner pixels stay where they are; otherwise their outer
        /// edges do.
        align_corners: bool,
    },
}

/// The input at another size.
///
/// # Arguments
/// - `input`: `[B, …, C]`
/// - `size`: the new sizes of the axes between, each at least 1
///
/// # Returns
/// `[B, size…, C]`
///
/// # Errors
/// When the rank and the number of sizes do not fit, a size is 0, or the values are not floats on
/// a served device.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{Interpolation, resize};
///
/// let row = Tensor::new(&[[[[0f32], [4.0]]]], &Device::Cpu)?;
/// let linear = Interpolation::Linear { align_corners: false };
/// let wide = resize(&row, &[1, 4], linear)?;
/// assert_eq!(wide.flatten_all()?.to_vec1::<f32>()?, [0.0, 1.0, 3.0, 4.0]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn resize(input: &Tensor, size: &[usize], interpolation: Interpolation) -> Result<Tensor> {
    let axes = |axis: usize, n: usize| (size[axis], n as f64 / size[axis] as f64);
    resample("resize", input, size.len(), axes, interpolation)
}

/// The input scaled by a factor per axis; the new size is `⌊n · factor⌋`.
///
/// Places are found from the factor itself, not from the rounded size, as `PyTorch` does.
///
/// # Errors
/// When the rank and the number of factors do not fit, a factor is not positive, a new size is 0,
/// or the values are not floats on a served device.
pub fn rescale(input: &Tensor, factors: &[f64], interpolation: Interpolation) -> Result<Tensor> {
    let largest = LARGEST_AXIS / input.dims().iter().copied().max().unwrap_or(1) as f64;
    if let Some(factor) = factors.iter().find(|&&f| !(f > 0.0 && f < largest)) {
        return Err(ComputeError::Option {
            op: "rescale",
            key: "factor",
            expected: "positive, the new size below 10⁹",
            found: factor.to_string(),
        });
    }
    let axes = |axis: usize, n: usize| {
        (
            (n as f64 * factors[axis]).floor() as usize,
            1.0 / factors[axis],
        )
    };
    resample("rescale", input, factors.len(), axes, interpolation)
}

fn resample(
    op: &'static str,
    input: &Tensor,
    axes: usize,
    target: impl Fn(usize, usize) -> (usize, f64),
    interpolation: Interpolation,
) -> Result<Tensor> {
    check_floats(op, &[input])?;
    let dims = input.dims().to_vec();
    if dims.len() != axes + 2 || dims.contains(&0) {
        let expected = format!("[B, …, C] with {axes} axes between, no size of 0");
        return Err(ComputeError::shape(op, expected, input.shape()));
    }
    let targets: Vec<_> = (0..axes).map(|axis| target(axis, dims[axis + 1])).collect();
    let count = targets
        .iter()
        .try_fold(dims[0] * dims[axes + 1], |product, &(size, _)| {
            product
                .checked_mul(size)
                .filter(|&p| p > 0 && p <= isize::MAX as usize / 8)
        });
    if count.is_none() {
        return Err(ComputeError::Option {
            op,
            key: "size",
            expected: "at least 1, with a product that memory can address",
            found: format!("{:?}", targets.iter().map(|t| t.0).collect::<Vec<_>>()),
        });
    }
    let mut out = input.contiguous()?;
    for (axis, &(size, step)) in targets.iter().enumerate() {
        let matrix = matrix(dims[axis + 1], size, step, interpolation);
        if matrix.is_identity() {
            continue;
        }
        out = if has_kernels(input) {
            let transpose = matrix.transposed();
            let op = AlongAxis {
                axis: axis + 1,
                matrices: Arc::new([matrix, transpose]),
                transposed: false,
            };
            out.apply_op1(op)?
        } else {
            windows::along_axis(&out, axis + 1, &matrix)?
        };
    }
    Ok(out)
}

/// The matrix from `n` pixels to `m`, whose centres lie `step` input pixels apart.
fn matrix(n: usize, m: usize, step: f64, interpolation: Interpolation) -> Sparse {
    let last = n - 1;
    let row = |i: usize| {
        let place = match interpolation {
            Interpolation::Nearest => {
                return vec![(((i as f64 * step).floor() as usize).min(last), 1.0)];
            }
            Interpolation::Linear {
                align_corners: true,
            } if m > 1 => i as f64 * (last as f64 / (m - 1) as f64),
            Interpolation::Linear {
                align_corners: true,
            } => 0.0,
            Interpolation::Linear {
                align_corners: false,
            } => ((i as f64 + 0.5) * step - 0.5).max(0.0),
        };
        let first = (place.floor() as usize).min(last);
        let share = place - first as f64;
        if first == last || share == 0.0 {
            return vec![(first, 1.0)];
        }
        vec![(first, 1.0 - share), (first + 1, share)]
    };
    Sparse::new(n, (0..m).map(row))
}

/// A sparse matrix, or its transpose, along one axis.
struct AlongAxis {
    axis: usize,
    matrices: Arc<[Sparse; 2]>,
    transposed: bool,
}

impl CustomOp1 for AlongAxis {
    fn name(&self) -> &'static str {
        "resampling"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let matrix = &self.matrices[usize::from(self.transposed)];
        let mut dims = l.dims().to_vec();
        let inner = dims[self.axis + 1..].iter().product();
        dims[self.axis] = matrix.rows();
        let out = by_dtype!(s, T => matrix.apply::<T>(inner, slice(s, l)?));
        Ok((out, Shape::from(dims)))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let op = Self {
            axis: self.axis,
            matrices: self.matrices.clone(),
            transposed: !self.transposed,
        };
        Ok(Some(dy.contiguous()?.apply_op1(op)?))
    }
}
