//! Correlations between two versions of a representation.

use candle_core::{D, Tensor};

use crate::Result;

/// Keeps the deviation of a feature that does not vary off 0.
const EPSILON: f64 = 1e-6;

/// `mean_i (C_ii − 1)² + w mean_{i≠j} C_ij²` with the correlations C between the columns of two
/// representations `[N, F]` of the same samples; 0 for one sample.
///
/// # Errors
/// When the shapes differ.
pub(crate) fn factorisation(first: &Tensor, second: &Tensor, off_diagonal: f64) -> Result<Tensor> {
    let (rows, width) = first.dims2()?;
    let standardised = |features: &Tensor| -> Result<Tensor> {
        let centred = features.broadcast_sub(&features.mean_keepdim(0)?)?;
        let variance = (centred.sqr()?.sum_keepdim(0)? / (rows as f64 - 1.0).max(1.0))?;
        Ok(centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?)
    };
    let correlation = standardised(first)?.t()?.matmul(&standardised(second)?)?;
    let correlation = (correlation / rows as f64)?;
    let unit = Tensor::eye(width, correlation.dtype(), correlation.device())?;
    let own = (correlation.mul(&unit)?.sum(D::Minus1)? - 1.0)?
        .sqr()?
        .mean_all()?;
    let across = (width * width.saturating_sub(1)).max(1) as f64;
    let others = (correlation.sqr()?.mul(&(1.0 - unit)?)?.sum_all()? / across)?;
    if rows < 2 {
        return Ok((own * 0.0)?);
    }
    Ok((own + (others * off_diagonal)?)?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn columns(first: [f64; 4], second: [f64; 4]) -> Tensor {
        let rows = first.into_iter().zip(second).flat_map(|(a, b)| [a, b]);
        Tensor::from_vec(rows.collect(), (4, 2), &Device::Cpu).unwrap()
    }

    fn value(first: &Tensor, second: &Tensor) -> f64 {
        factorisation(first, second, 0.5)
            .unwrap()
            .to_scalar()
            .unwrap()
    }

    /// Two uncorrelated columns of unbiased variance 4/3: correlations of a column with itself are
    /// 3/4, a mean over four of squares of √(3/4).
    #[test]
    fn correlations_by_hand() {
        let (a, b) = ([1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]);
        let plain = columns(a, b);
        assert!((value(&plain, &plain) - 0.0625).abs() < 1e-5);
        let moved = columns(a.map(|v| 7.0 * v + 2.0), b);
        assert!((value(&plain, &moved) - 0.0625).abs() < 1e-5);
        assert!((value(&plain, &columns(b, a)) - (1.0 + 0.5 * 0.5625)).abs() < 1e-5);
        let one = plain.narrow(0, 0, 1).unwrap();
        assert!(value(&one, &one).abs() < 1e-15);
    }

    /// A column that does not vary has a finite gradient too.
    #[test]
    fn gradient_by_differences() {
        let start = columns([0.3, 1.0, -0.7, 0.2], [0.5; 4]);
        let other = columns([0.1, 0.9, -1.0, 0.4], [1.0, 0.0, 2.0, 0.5]);
        let variable = Var::from_tensor(&start).unwrap();
        let loss = factorisation(&variable, &other, 0.5).unwrap();
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&variable).unwrap().to_vec2::<f64>().unwrap();
        for (row, column) in [(0, 0), (2, 0), (1, 1)] {
            let at = |offset: f64| {
                let mut values = start.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                values[2 * row + column] += offset;
                value(
                    &Tensor::from_vec(values, (4, 2), &Device::Cpu).unwrap(),
                    &other,
                )
            };
            let step = 1e-7;
            let expected = (at(step) - at(-step)) / (2.0 * step);
            let found = gradient[row][column];
            let near = (found - expected).abs() < 1e-5 * expected.abs().max(1.0);
            assert!(near, "{row} {column}: {found} {expected}");
        }
    }
}
