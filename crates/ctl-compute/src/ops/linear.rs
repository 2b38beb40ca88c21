//! Matrix products and `ReLU` on the calling thread, closed under differentiation.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Shape, Tensor};

use super::storage::slice;
use crate::gemm::{MatrixView, Real, matmul};
use crate::{ComputeError, Result};

/// What follows a linear map in the same pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`, with gradient 0 at 0.
    Relu,
}

/// `y = a(x Wᵀ + b)`
///
/// The input's gradient is not computed where the input is data (nothing upstream trains).
///
/// # Arguments
/// - `input`: `[B, I]`; `weight`: `[O, I]`; `bias`: `[O]`
///
/// # Errors
/// When a rank or a width does not fit.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_compute::ops::{Activation, linear};
///
/// let x = Tensor::new(&[[1f32, 2.0], [-1.0, 0.0]], &Device::Cpu)?;
/// let w = Tensor::new(&[[3f32, 4.0]], &Device::Cpu)?;
/// let b = Tensor::new(&[0.5f32], &Device::Cpu)?;
/// assert_eq!(linear(&x, &w, &b, Activation::Relu)?.to_vec2::<f32>()?, [[11.5], [0.0]]);
/// # Ok::<(), ctl_compute::ComputeError>(())
/// ```
pub fn linear(
    input: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    let (&[rows, inputs], &[outputs, weight_inputs]) = (input.dims(), weight.dims()) else {
        let expected = "an input [B, I] and a weight [O, I]";
        return Err(ComputeError::shape("linear", expected, input.shape()));
    };
    if inputs != weight_inputs {
        let expected = format!("a weight [O, {inputs}]");
        return Err(ComputeError::shape("linear", expected, weight.shape()));
    }
    if bias.dims() != [outputs] {
        let expected = format!("a bias [{outputs}]");
        return Err(ComputeError::shape("linear", expected, bias.shape()));
    }
    let op = Linear {
        sizes: [rows, outputs, inputs],
        activation,
    };
    let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
    Ok(input.contiguous()?.apply_op3(&weight, &bias, op)?)
}

/// `(x, w, b) -> a(x wᵀ + b)` over `[rows, outputs, inputs]`
struct Linear {
    sizes: [usize; 3],
    activation: Activation,
}

impl Linear {
    fn compute<T: Real>(&self, input: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let [rows, outputs, inputs] = self.sizes;
        let mut out = Vec::with_capacity(rows * outputs);
        for _ in 0..rows {
            out.extend_from_slice(bias);
        }
        let x = MatrixView::row_major(input, inputs);
        let w = MatrixView::row_major(weight, inputs).transposed();
        matmul(self.sizes, x, w, &mut out, true);
        if self.activation == Activation::Relu {
            for value in &mut out {
                *value = if *value > T::ZERO { *value } else { T::ZERO };
            }
        }
        out
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = match candle_core::backend::BackendStorage::dtype(s1) {
            DType::F64 => {
                CpuStorage::F64(self.compute(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?))
            }
            _ => CpuStorage::F32(self.compute(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?)),
        };
        Ok((out, Shape::from((self.sizes[0], self.sizes[1]))))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradient = gradient.contiguous()?;
        if self.activation == Activation::Relu {
            gradient = gradient.apply_op2(&output.detach(), Gate)?;
        }
        let product = Product {
            sizes: self.sizes,
            transposed: [false, true],
        };
        let dx = input
            .track_op()
            .then(|| product.left_gradient(&gradient, weight))
            .transpose()?;
        let dw = weight
            .track_op()
            .then(|| product.right_gradient(&gradient, input))
            .transpose()?;
        let db = bias
            .track_op()
            .then(|| gradient.apply_op1(ColumnSum))
            .transpose()?;
        Ok((dx, dw, db))
    }
}

/// `max(x, 0)`, with gradient 0 at 0.
///
/// # Errors
/// When the values are not floats.
pub fn relu(input: &Tensor) -> Result<Tensor> {
    Ok(input.contiguous()?.apply_op1(Relu)?)
}

/// `[rows, columns] -> [columns]`, row after row.
struct ColumnSum;

impl CustomOp1 for ColumnSum {
    fn name(&self) -> &'static str {
        "column-sum"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        fn sums<T: Real>(values: &[T], columns: usize) -> Vec<T> {
            let mut out = vec![T::ZERO; columns];
            for row in values.chunks_exact(columns) {
                for (sum, value) in out.iter_mut().zip(row) {
                    *sum += *value;
                }
            }
            out
        }
        let (_, columns) = l.shape().dims2()?;
        let out = match candle_core::backend::BackendStorage::dtype(s) {
            DType::F64 => CpuStorage::F64(sums(slice(s, l)?, columns)),
            _ => CpuStorage::F32(sums(slice(s, l)?, columns)),
        };
        Ok((out, Shape::from(columns)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(gradient.broadcast_as(input.shape())?.contiguous()?))
    }
}

/// `op(A) · op(B)` as `[m, n]` over `k`, where `op` transposes or not.
struct Product {
    sizes: [usize; 3],
    transposed: [bool; 2],
}

impl Product {
    fn compute<T: Real>(&self, a: &[T], b: &[T]) -> Vec<T> {
        let [m, n, k] = self.sizes;
        let view = |data, transposed: bool, rows: usize, columns: usize| {
            if transposed {
                MatrixView::row_major(data, rows).transposed()
            } else {
                MatrixView::row_major(data, columns)
            }
        };
        let mut out = vec![T::ZERO; m * n];
        let (a, b) = (
            view(a, self.transposed[0], m, k),
            view(b, self.transposed[1], k, n),
        );
        matmul(self.sizes, a, b, &mut out, false);
        out
    }

    /// `op(A) = X` or `Xᵀ` needs `dX = dC · op(B)ᵀ` or its transpose.
    fn left_gradient(&self, gradient: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
        let [m, n, k] = self.sizes;
        let [left, right] = self.transposed;
        if left {
            let op = Product {
                sizes: [k, m, n],
                transposed: [right, true],
            };
            return b.apply_op2(gradient, op);
        }
        let op = Product {
            sizes: [m, k, n],
            transposed: [false, !right],
        };
        gradient.apply_op2(b, op)
    }

    /// `op(B) = X` or `Xᵀ` needs `dX = op(A)ᵀ · dC` or its transpose.
    fn right_gradient(&self, gradient: &Tensor, a: &Tensor) -> candle_core::Result<Tensor> {
        let [m, n, k] = self.sizes;
        let [left, right] = self.transposed;
        if right {
            let op = Product {
                sizes: [n, k, m],
                transposed: [true, left],
            };
            return gradient.apply_op2(a, op);
        }
        let op = Product {
            sizes: [k, n, m],
            transposed: [!left, false],
        };
        a.apply_op2(gradient, op)
    }
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "matrix-product"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = match candle_core::backend::BackendStorage::dtype(s1) {
            DType::F64 => CpuStorage::F64(self.compute(slice(s1, l1)?, slice(s2, l2)?)),
            _ => CpuStorage::F32(self.compute(slice(s1, l1)?, slice(s2, l2)?)),
        };
        Ok((out, Shape::from((self.sizes[0], self.sizes[1]))))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let left = a
            .track_op()
            .then(|| self.left_gradient(&gradient, b))
            .transpose()?;
        let right = b
            .track_op()
            .then(|| self.right_gradient(&gradient, a))
            .transpose()?;
        Ok((left, right))
    }
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        fn positive<T: Real>(x: &[T]) -> Vec<T> {
            x.iter()
                .map(|&v| if v > T::ZERO { v } else { T::ZERO })
                .collect()
        }
        let out = match candle_core::backend::BackendStorage::dtype(s) {
            DType::F64 => CpuStorage::F64(positive(slice(s, l)?)),
            _ => CpuStorage::F32(positive(slice(s, l)?)),
        };
        Ok((out, l.shape().clone()))
    }

    fn bwd(
        &self,
        _input: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let gated = gradient.contiguous()?.apply_op2(&output.detach(), Gate)?;
        Ok(Some(gated))
    }
}

/// `(g, y) -> g` where `y > 0`, else 0.
pub(super) struct Gate;

impl CustomOp2 for Gate {
    fn name(&self) -> &'static str {
        "relu-gradient"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        fn gate<T: Real>(g: &[T], y: &[T]) -> Vec<T> {
            let open = |(&g, &y): (&T, &T)| if y > T::ZERO { g } else { T::ZERO };
            g.iter().zip(y).map(open).collect()
        }
        let out = match candle_core::backend::BackendStorage::dtype(s1) {
            DType::F64 => CpuStorage::F64(gate(slice(s1, l1)?, slice(s2, l2)?)),
            _ => CpuStorage::F32(gate(slice(s1, l1)?, slice(s2, l2)?)),
        };
        Ok((out, l1.shape().clone()))
    }

    fn bwd(
        &self,
        _gradient: &Tensor,
        output: &Tensor,
        _res: &Tensor,
        upstream: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(upstream.contiguous()?.apply_op2(output, Gate)?), None))
    }
}
