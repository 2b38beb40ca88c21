//! Pooling by gathered windows, and sparse matrices along one axis as dense products.

use candle_core::{Result, Tensor};

use crate::kernels::pooling::{Average, PoolShape};
use crate::kernels::resample::Sparse;

/// Multiplies one axis of `x` by a matrix.
pub(in crate::ops) fn along_axis(x: &Tensor, axis: usize, matrix: &Sparse) -> Result<Tensor> {
    let last = x.rank() - 1;
    let (n, m) = (x.dim(axis)?, matrix.rows());
    let dense = Tensor::from_vec(matrix.transposed().dense(), (n, m), x.device())?;
    let x = x.transpose(axis, last)?.contiguous()?;
    let mut dims = x.dims().to_vec();
    let y = x.reshape(((), n))?.matmul(&dense.to_dtype(x.dtype())?)?;
    dims[last] = m;
    y.reshape(dims)?.transpose(axis, last)?.contiguous()
}

/// Mean of each window, one axis after the other.
pub(in crate::ops) fn average(op: &Average, x: &Tensor) -> Result<Tensor> {
    let spatial = x.rank() - 2;
    let mut out = x.clone();
    for axis in 0..spatial {
        let of = axis + 3 - spatial;
        out = along_axis(&out, axis + 1, &means(op, of))?;
    }
    Ok(out)
}

/// The matrix of the means along one axis.
fn means(op: &Average, axis: usize) -> Sparse {
    let (shape, size) = (&op.shape, op.shape.input[axis]);
    let rows = (0..shape.output[axis]).map(|output| {
        let inside = taps(shape, axis, output);
        let count = if op.count_padding {
            shape.kernel[axis]
        } else {
            inside.len()
        };
        inside
            .into_iter()
            .map(|i| (i, 1.0 / count as f64))
            .collect()
    });
    Sparse::new(size, rows)
}

/// Pixels of a window that lie inside, along one axis.
fn taps(shape: &PoolShape, axis: usize, output: usize) -> Vec<usize> {
    let start = output * shape.stride[axis];
    (start..start + shape.kernel[axis])
        .filter_map(|i| i.checked_sub(shape.padding[axis]))
        .filter(|&i| i < shape.input[axis])
        .collect()
}

/// Largest value of each window; a tie goes to the first pixel, what is not a number wins.
pub(in crate::ops) fn max(shape: &PoolShape, x: &Tensor) -> Result<Tensor> {
    let pixels: usize = shape.input.iter().product();
    let windows = shape.output.iter().product::<usize>();
    let count = shape.kernel.iter().product::<usize>();
    let places = Tensor::from_vec(places(shape), windows * count, x.device())?;
    let x = x.reshape((shape.batch, pixels, shape.channels))?;
    let gathered = x.index_select(&places, 1)?;
    let gathered = gathered.reshape((shape.batch, windows, count, shape.channels))?;
    let winner = winner(&gathered.detach())?;
    winner
        .where_cond(&gathered, &gathered.zeros_like()?)?
        .sum(2)
}

/// The pixels of each window, first to last; those outside repeat the first inside, which a tie
/// leaves the winner.
fn places(shape: &PoolShape) -> Vec<u32> {
    let [_, height, width] = shape.input;
    let count = shape.kernel.iter().product::<usize>();
    let mut places = Vec::new();
    for z in 0..shape.output[0] {
        for y in 0..shape.output[1] {
            for x in 0..shape.output[2] {
                let before = places.len();
                for i in taps(shape, 0, z) {
                    for j in taps(shape, 1, y) {
                        let row = (i * height + j) * width;
                        places.extend(taps(shape, 2, x).into_iter().map(|k| (row + k) as u32));
                    }
                }
                // At least one pixel of a window lies inside: the padding is at most half of it.
                places.resize(before + count, places[before]);
            }
        }
    }
    places
}

/// 1 at the first of the largest along axis 2.
fn winner(windows: &Tensor) -> Result<Tensor> {
    // Only what is not a number differs from itself; where there is one, nothing else counts.
    let lost = windows.ne(windows)?.to_dtype(windows.dtype())?;
    let any = lost
        .max_keepdim(2)?
        .broadcast_as(windows.shape())?
        .gt(0.0)?;
    let ranked = any.where_cond(&lost, windows)?;
    let largest = ranked.broadcast_eq(&ranked.max_keepdim(2)?)?;
    let count = windows.dim(2)?;
    let numbers = Tensor::arange(0, count as u32, windows.device())?.to_dtype(windows.dtype())?;
    let numbers = numbers
        .reshape((1, 1, count, 1))?
        .broadcast_as(windows.shape())?;
    let later = (numbers.ones_like()? * count as f64)?;
    let first = largest.where_cond(&numbers, &later)?.min_keepdim(2)?;
    numbers.broadcast_eq(&first)
}

/// Mean over everything between batch and channels.
pub(in crate::ops) fn pixel_mean(x: &Tensor) -> Result<Tensor> {
    x.flatten(1, x.rank() - 2)?.mean(1)
}
