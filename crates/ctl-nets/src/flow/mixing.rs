//! The invertible 1×1 convolution.

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::ops::{Activation, linear};

use crate::{Initialiser, NetError, Parameters, Result};

/// `y = W x` at every pixel, `W = P (L + I) (U + diag(sign · exp(log_diagonal)))`, `L` and `U`
/// strictly triangular.
pub(super) struct Mixing {
    lower: Var,
    upper: Var,
    log_diagonal: Var,
    permutation: Var,
    sign: Var,
    /// Ones below the diagonal.
    below: Tensor,
    channels: usize,
}

impl Mixing {
    /// A random rotation, up to a reflection.
    pub(super) fn new(p: &mut Parameters, name: &str, channels: usize) -> Result<Self> {
        let square = [channels, channels];
        // Normal values from the weight's own stream, from which the rotation is made.
        let drawn = Initialiser::Normal {
            standard_deviation: 1.0,
        };
        let zero = Initialiser::Constant(0.0);
        let lower = p.add(&format!("{name}.lower"), &square, drawn)?;
        let upper = p.add(&format!("{name}.upper"), &square, zero)?;
        let log_diagonal = p.add(&format!("{name}.log_diagonal"), &[channels], zero)?;
        let permutation = p.add_buffer(&format!("{name}.permutation"), &square, 0.0)?;
        let sign = p.add_buffer(&format!("{name}.sign"), &[channels], 1.0)?;
        let below =
            (0..channels * channels).map(|i| f64::from(u8::from(i % channels < i / channels)));
        let below = Tensor::from_iter(below, &Device::Cpu)?.reshape(&square)?;
        let mixing = Self {
            below: below.to_dtype(lower.dtype())?,
            lower,
            upper,
            log_diagonal,
            permutation,
            sign,
            channels,
        };
        mixing.set(&Factors::of(
            &rotation(&read(&mixing.lower)?, channels),
            channels,
        ))?;
        Ok(mixing)
    }

    fn set(&self, factors: &Factors) -> Result<()> {
        let n = self.channels;
        let (mut lower, mut upper, mut permutation) =
            (vec![0.0; n * n], vec![0.0; n * n], vec![0.0; n * n]);
        for row in 0..n {
            for column in 0..n {
                let part = if column < row { &mut lower } else { &mut upper };
                if column != row {
                    part[row * n + column] = factors.packed[row * n + column];
                }
            }
            permutation[factors.order[row] * n + row] = 1.0;
        }
        let diagonal: Vec<f64> = (0..n).map(|i| factors.packed[i * n + i]).collect();
        write(&self.lower, lower)?;
        write(&self.upper, upper)?;
        write(&self.permutation, permutation)?;
        write(&self.sign, diagonal.iter().map(|d| d.signum()).collect())?;
        write(
            &self.log_diagonal,
            diagonal.iter().map(|d| d.abs().ln()).collect(),
        )
    }

    /// `W`, `[K, K]`.
    pub(super) fn weight(&self) -> Result<Tensor> {
        let n = self.channels;
        let eye = Tensor::eye(n, self.below.dtype(), self.below.device())?;
        let lower = (self.lower.mul(&self.below)? + &eye)?;
        let diagonal = self.log_diagonal.exp()?.mul(&self.sign)?;
        let above = self.below.t()?.contiguous()?;
        let upper = (self.upper.mul(&above)? + eye.broadcast_mul(&diagonal)?)?;
        Ok(self.permutation.matmul(&lower)?.matmul(&upper)?)
    }

    /// `ln |det W|`, a scalar.
    pub(super) fn log_determinant(&self) -> Result<Tensor> {
        Ok(self.log_diagonal.sum_all()?)
    }

    /// `[B, h, w, K]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(linear(x, &self.weight()?, None, Activation::Identity)?)
    }

    /// The same backwards; gradients do not reach the weights.
    pub(super) fn inverse(&self, y: &Tensor) -> Result<Tensor> {
        let weight = read(&self.weight()?)?;
        let Some(inverse) = inverted(&weight, self.channels) else {
            return Err(NetError::Size {
                architecture: "coupling flow",
                key: "mixing",
                expected: "finite weights of an invertible matrix",
                found: "a singular matrix".into(),
            });
        };
        let inverse = Tensor::from_vec(inverse, self.below.shape(), &Device::Cpu)?;
        let inverse = inverse.to_dtype(y.dtype())?;
        Ok(linear(y, &inverse, None, Activation::Identity)?)
    }
}

fn read(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
}

fn write(var: &Var, values: Vec<f64>) -> Result<()> {
    let values = Tensor::from_vec(values, var.shape(), &Device::Cpu)?;
    Ok(var.set(&values.to_dtype(var.dtype())?)?)
}

/// The rows of a square matrix made orthonormal, one after the other (Gram-Schmidt).
fn rotation(matrix: &[f64], n: usize) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for row in matrix.chunks_exact(n) {
        let mut row = row.to_vec();
        for done in &rows {
            let along: f64 = row.iter().zip(done).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(done).for_each(|(a, b)| *a -= along * b);
        }
        let length = row.iter().map(|a| a * a).sum::<f64>().sqrt();
        rows.push(row.into_iter().map(|a| a / length).collect());
    }
    rows.concat()
}

/// `P L U` with `L` below and `U` on and above the diagonal of one matrix.
struct Factors {
    packed: Vec<f64>,
    /// The row of the matrix that each row of the factors came from.
    order: Vec<usize>,
}

impl Factors {
    /// Gaussian elimination with the largest pivot of each column.
    fn of(matrix: &[f64], n: usize) -> Self {
        let mut rows: Vec<Vec<f64>> = matrix.chunks_exact(n).map(<[f64]>::to_vec).collect();
        let mut order: Vec<usize> = (0..n).collect();
        for step in 0..n {
            let best = largest(&rows, step);
            rows.swap(step, best);
            order.swap(step, best);
            let (done, rest) = rows.split_at_mut(step + 1);
            let pivot = &done[step];
            for row in rest {
                row[step] /= pivot[step];
                let factor = row[step];
                for (value, above) in row.iter_mut().zip(pivot).skip(step + 1) {
                    *value -= factor * above;
                }
            }
        }
        Self {
            packed: rows.concat(),
            order,
        }
    }
}

/// The row from `step` on whose value in column `step` is the largest.
fn largest(rows: &[Vec<f64>], step: usize) -> usize {
    let size = |&row: &usize| rows[row][step].abs();
    (step..rows.len())
        .max_by(|a, b| size(a).total_cmp(&size(b)))
        .unwrap_or(step)
}

/// The inverse by Gauss-Jordan elimination, in double precision so that a pass there and back
/// loses no more than the single precision of the pixels; none for a singular matrix.
fn inverted(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let beside = |(index, row): (usize, &[f64])| {
        let unit = (0..n).map(|column| f64::from(u8::from(column == index)));
        row.iter().copied().chain(unit).collect()
    };
    let mut rows: Vec<Vec<f64>> = matrix.chunks_exact(n).enumerate().map(beside).collect();
    for step in 0..n {
        let best = largest(&rows, step);
        rows.swap(step, best);
        let pivot = rows[step][step];
        if !(pivot.is_finite() && pivot != 0.0) {
            return None;
        }
        rows[step].iter_mut().for_each(|value| *value /= pivot);
        let done = rows[step].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            if index != step {
                let factor = row[step];
                row.iter_mut()
                    .zip(&done)
                    .for_each(|(a, b)| *a -= factor * b);
            }
        }
    }
    Some(rows.iter().flat_map(|row| row[n..].to_vec()).collect())
}
