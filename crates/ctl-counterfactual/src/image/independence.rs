//! How far noises depend on parents.

use candle_core::{DType, Device, Tensor};

use crate::Result;

/// Widths of the kernel of the noises, as shares of the distance that two draws from the prior have.
const SCALES: [f64; 3] = [0.25, 1.0, 4.0];

/// Gaussian kernel of rows `[B, F]`, `[B, B]`: the mean over widths of `exp(−‖a − b‖² / (2 w F))`,
/// 0 on the diagonal.
fn kernel(rows: &Tensor, scales: &[f64]) -> Result<Tensor> {
    let (count, width) = rows.dims2()?;
    let squares = rows.sqr()?.sum_keepdim(1)?;
    let inner = rows.matmul(&rows.t()?.contiguous()?)?;
    let distances = (inner * -2.0)?
        .broadcast_add(&squares)?
        .broadcast_add(&squares.t()?)?;
    let mut sum = distances.zeros_like()?;
    for scale in scales {
        let factor = -1.0 / (2.0 * scale * width.max(1) as f64);
        sum = (sum + ((&distances * factor)?.exp()? / scales.len() as f64)?)?;
    }
    let others = Tensor::eye(count, DType::F32, &Device::Cpu)?.affine(-1.0, 1.0)?;
    Ok((sum * others.to_dtype(rows.dtype())?)?)
}

/// The unbiased Hilbert–Schmidt independence criterion of rows `[B, F]` and rows `[B, P]`, a scalar;
/// 0 in the mean where the two are independent, and where there are fewer than four rows or no
/// columns. It may be negative.
///
/// # References
/// Song, Smola, Gretton, Bedo & Borgwardt 2012, "Feature Selection via Dependence Maximization",
/// equation 5: `(tr KL + 1ᵀK1 1ᵀL1 / ((n − 1)(n − 2)) − 2 / (n − 2) 1ᵀKL1) / (n (n − 3))`.
pub(super) fn dependence(noises: &Tensor, parents: &Tensor) -> Result<Tensor> {
    let count = noises.dim(0)?;
    if count < 4 || noises.dim(1)? == 0 || parents.dim(1)? == 0 {
        return Ok(Tensor::zeros((), noises.dtype(), noises.device())?);
    }
    let (k, l) = (kernel(noises, &SCALES)?, kernel(parents, &[1.0])?);
    let n = count as f64;
    let trace = k.mul(&l)?.sum_all()?;
    let (rows_k, rows_l) = (k.sum(1)?, l.sum(1)?);
    let sums = (rows_k.sum_all()? * rows_l.sum_all()?)?;
    let across = rows_k.mul(&rows_l)?.sum_all()?;
    let total = ((trace + (sums / ((n - 1.0) * (n - 2.0)))?)? - (across * (2.0 / (n - 2.0)))?)?;
    Ok((total / (n * (n - 3.0)))?)
}

#[cfg(test)]
mod tests {
    use candle_core::Var;
    use ctl_compute::random::{normal, stream};

    use super::*;

    fn scalar(tensor: &Tensor) -> f64 {
        tensor
            .to_dtype(DType::F64)
            .unwrap()
            .to_scalar::<f64>()
            .unwrap()
    }

    /// Four rows of two kinds: noises 0, 0, a, a and parents of the same kinds. With `p` and `q` the
    /// kernels between kinds, `tr KL = 4 + 8 p q`, the sums are `4 + 8 p` and `4 + 8 q`, and every row has
    /// `1 + 2 p`.
    #[test]
    fn value_by_hand() {
        let rows = Tensor::new(&[[0f64], [0.0], [1.5], [1.5]], &Device::Cpu).unwrap();
        let found = scalar(&dependence(&rows, &rows).unwrap());
        let p = SCALES
            .iter()
            .map(|scale| (-2.25 / (2.0 * scale)).exp() / 3.0)
            .sum::<f64>();
        let q = (-2.25f64 / 2.0).exp();
        let (a, b) = (4.0 + 8.0 * p, 4.0 + 8.0 * q);
        let across = 4.0 * (1.0 + 2.0 * p) * (1.0 + 2.0 * q);
        let expected = (4.0 + 8.0 * p * q + a * b / 6.0 - across) / 4.0;
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        let few = rows.narrow(0, 0, 3).unwrap();
        assert!(scalar(&dependence(&few, &few).unwrap()).abs() < 1e-15);
    }

    /// Over many draws independent rows have a mean of 0, and dependent ones do not.
    #[test]
    fn independence_is_zero_in_the_mean() {
        let (mut free, mut bound) = (0.0, 0.0);
        for draw in 0..40 {
            let rng = &mut stream(draw, "t", "rows");
            let noises = normal(rng, (24, 3), 0.0, 1.0).unwrap();
            let parents = normal(rng, (24, 2), 0.0, 1.0).unwrap();
            free += scalar(&dependence(&noises, &parents).unwrap()) / 40.0;
            let parents = noises.narrow(1, 0, 2).unwrap().contiguous().unwrap();
            bound += scalar(&dependence(&noises, &parents).unwrap()) / 40.0;
        }
        assert!(free.abs() < 0.001, "{free}");
        assert!(bound > 0.01, "{bound}");
    }

    #[test]
    fn gradient_by_differences() {
        let values: Vec<f64> = (0..12).map(|i| f64::from(i * 7 % 12) / 6.0 - 1.0).collect();
        let parents =
            Tensor::new(&[[0f64], [1.0], [0.0], [1.0], [0.0], [0.0]], &Device::Cpu).unwrap();
        let at = |values: &[f64]| {
            let rows = Tensor::from_slice(values, (6, 2), &Device::Cpu).unwrap();
            scalar(&dependence(&rows, &parents).unwrap())
        };
        let rows = Tensor::from_slice(&values, (6, 2), &Device::Cpu).unwrap();
        let var = Var::from_tensor(&rows).unwrap();
        let gradient = dependence(&var, &parents).unwrap().backward().unwrap();
        let gradient = gradient.get(&var).unwrap().flatten_all().unwrap();
        for (index, found) in gradient.to_vec1::<f64>().unwrap().into_iter().enumerate() {
            let moved = |step: f64| {
                let mut values = values.clone();
                values[index] += step;
                at(&values)
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
    }
}
