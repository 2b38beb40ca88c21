//! Gradients with respect to a linear head, in closed form.

use candle_core::Tensor;
use ctl_compute::ComputeError;

use super::meta::{EnvironmentRisk, RiskGradient};
use crate::{ObjectiveError, Result, SampleLoss};

const NAME: &str = "linear head";

/// Gradient of every sample's loss with respect to the head's weight and bias.
///
/// `∂ℓ_i/∂W = Σ_p r_ip x_ipᵀ`, `∂ℓ_i/∂b = Σ_p r_ip`, over the sample's pixels `p` where it has any.
///
/// # Arguments
/// - `input`: what the head is given, `[n, F]`, or `[n, P, F]` for `P` pixels.
/// - `output_gradient`: `r`, shaped like the outputs: `[n, K]`, or `[n, K, …]` with `P` pixels.
///
/// # Returns
/// `[n, K·F + K]`: the weight's entries row by row, then the bias's; differentiable in both.
///
/// # Errors
/// When samples or pixels do not fit.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::gradients::sample_gradients;
///
/// let input = Tensor::new(&[[1f64, 2.0]], &Device::Cpu)?;
/// let residual = Tensor::new(&[[3f64]], &Device::Cpu)?;
/// assert_eq!(sample_gradients(&input, &residual)?.to_vec2::<f64>()?, [[3.0, 6.0, 3.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sample_gradients(input: &Tensor, output_gradient: &Tensor) -> Result<Tensor> {
    let (input, slopes) = by_pixel(input, output_gradient)?;
    let weight = slopes.matmul(&input)?.flatten_from(1)?;
    Ok(Tensor::cat(&[weight, slopes.sum(2)?], 1)?)
}

/// Gradient of the mean loss with respect to the head's weight `[K, F]` and bias `[K]`: the mean
/// of [`sample_gradients`], at less cost.
///
/// # Errors
/// When samples or pixels do not fit.
pub fn mean_gradient(input: &Tensor, output_gradient: &Tensor) -> Result<[Tensor; 2]> {
    let (input, slopes) = by_pixel(input, output_gradient)?;
    let samples = slopes.dim(0)? as f64;
    let slopes = slopes.transpose(0, 1)?.contiguous()?.flatten_from(1)?;
    let weight = slopes.matmul(&input.flatten_to(1)?)?;
    Ok([(weight / samples)?, (slopes.sum(1)? / samples)?])
}

/// Inputs `[n, P, F]` and output gradients `[n, K, P]`.
fn by_pixel(input: &Tensor, output_gradient: &Tensor) -> Result<(Tensor, Tensor)> {
    let pair = match (input.rank(), output_gradient.rank()) {
        (2, 2) => (input.unsqueeze(1)?, output_gradient.unsqueeze(2)?),
        (3, 3..) => (input.clone(), output_gradient.flatten_from(2)?),
        _ => return Err(misfit(input, output_gradient)),
    };
    if pair.0.dim(0)? != pair.1.dim(0)? || pair.0.dim(1)? != pair.1.dim(2)? {
        return Err(misfit(input, output_gradient));
    }
    Ok((pair.0.contiguous()?, pair.1.contiguous()?))
}

fn misfit(input: &Tensor, output_gradient: &Tensor) -> ObjectiveError {
    ComputeError::Shape {
        op: NAME,
        expected:
            "inputs [n, F] with output gradients [n, K], or [n, P, F] with [n, K, …] of P pixels"
                .into(),
        found: format!("{:?} with {:?}", input.dims(), output_gradient.dims()),
    }
    .into()
}

/// One environment's samples before a linear head; its weights are `W` as `[K, F]` and `b` as
/// `[K]`.
///
/// Its gradient is an expression of the weights, so that second-order rules are exact.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::SquaredError;
/// use ctl_invariance::gradients::{EnvironmentRisk, LinearHead};
///
/// let tensor = |values: &[f64]| Tensor::from_slice(values, (values.len(), 1), &Device::Cpu);
/// let head = LinearHead {
///     input: tensor(&[2.0, 1.0])?,
///     target: tensor(&[1.0, 0.0])?,
///     loss: &SquaredError,
/// };
/// let weights = [tensor(&[1.0])?, Tensor::new(&[0f64], &Device::Cpu)?];
/// let found = head.at(&weights, 2)?;
/// // Residuals 1 and 1: risk 1, gradients 2 (1·2 + 1·1) / 2 and 2 (1 + 1) / 2.
/// assert_eq!(found.risk.to_scalar::<f64>()?, 1.0);
/// assert_eq!(found.gradient[0].to_vec2::<f64>()?, [[3.0]]);
/// assert_eq!(found.gradient[1].to_vec1::<f64>()?, [2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LinearHead<'a> {
    /// `[n, F]`, or `[n, P, F]` for `P` pixels.
    pub input: Tensor,
    /// As the loss documents for outputs `[n, K]`, or `[n, K, P]`.
    pub target: Tensor,
    /// The task's loss.
    pub loss: &'a dyn SampleLoss,
}

impl LinearHead<'_> {
    /// `x Wᵀ + b` of some inputs, `[n, K]` or `[n, K, P]`.
    fn outputs(input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let (classes, features) = weight.dims2()?;
        let rows = input.reshape(((), features))?;
        let outputs = rows.matmul(&weight.t()?)?.broadcast_add(bias)?;
        if input.rank() == 2 {
            return Ok(outputs);
        }
        let (samples, pixels, _) = input.dims3()?;
        let outputs = outputs.reshape((samples, pixels, classes))?;
        Ok(outputs.transpose(1, 2)?.contiguous()?)
    }
}

impl EnvironmentRisk for LinearHead<'_> {
    fn rows(&self) -> usize {
        self.input.dims().first().copied().unwrap_or(0)
    }

    fn at(&self, weights: &[Tensor], rows: usize) -> Result<RiskGradient> {
        let [weight, bias] = weights else {
            return Err(ComputeError::Shape {
                op: NAME,
                expected: "a weight and a bias".into(),
                found: format!("{} tensors", weights.len()),
            }
            .into());
        };
        let input = self.input.narrow(0, 0, rows)?;
        let target = self.target.narrow(0, 0, rows)?;
        let outputs = Self::outputs(&input, weight, bias)?;
        let slopes = self.loss.output_gradient(&outputs, &target)?;
        Ok(RiskGradient {
            risk: self.loss.per_sample(&outputs, &target)?.mean_all()?,
            gradient: mean_gradient(&input, &slopes)?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// Two samples of two pixels, two features and one output.
    #[test]
    fn pixels_of_a_sample_are_summed() {
        let input = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]];
        let input = Tensor::new(&input, &Device::Cpu).unwrap();
        let slopes = Tensor::new(&[[[1.0, -1.0]], [[0.0, 2.0]]], &Device::Cpu).unwrap();
        let found = sample_gradients(&input, &slopes).unwrap();
        let expected = [[-2.0, -2.0, 0.0], [14.0, 16.0, 2.0]];
        assert_eq!(found.to_vec2::<f64>().unwrap(), expected);
        let [weight, bias] = mean_gradient(&input, &slopes).unwrap();
        assert_eq!(weight.to_vec2::<f64>().unwrap(), [[6.0, 7.0]]);
        assert_eq!(bias.to_vec1::<f64>().unwrap(), [1.0]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
        for (input, slopes) in [
            (&[2, 3][..], &[3, 1][..]),
            (&[2, 3], &[2, 1, 3]),
            (&[2, 4, 3], &[2, 1, 5]),
            (&[2, 4, 3], &[2, 1]),
            (&[2], &[2]),
        ] {
            let error = sample_gradients(&zeros(input), &zeros(slopes)).unwrap_err();
            let expected = format!("found {input:?} with {slopes:?}");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
}
