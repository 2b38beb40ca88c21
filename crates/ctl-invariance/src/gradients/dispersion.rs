//! Penalties on what environments' gradients have apart: IGA and Fishr.

use candle_core::Tensor;
use ctl_compute::ComputeError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ObjectiveError, Result};

/// IGA's penalty: `Σ_e ‖g_e − ḡ‖²` with the mean `ḡ` over environments.
///
/// # Arguments
/// - `gradients`: of each environment's risk, `[D]`, such as those of
///   [`mean_gradient`](super::mean_gradient) in a row; the penalty is differentiable in them.
///
/// # Returns
/// A scalar, 0 for a single environment.
///
/// # Errors
/// Without an environment, and where lengths differ.
///
/// # References
/// Koyama & Yamaguchi 2020, Out-of-Distribution Generalization with Maximal Invariant Predictor, the
/// trace of the gradients' variance in the IGA objective; a sum over environments as in `DomainBed`,
/// where the variance divides by their number.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::gradients::dispersion;
///
/// let gradient = |values: [f64; 2]| Tensor::new(&values, &Device::Cpu);
/// let penalty = dispersion(&[gradient([1.0, 0.0])?, gradient([3.0, 4.0])?])?;
/// assert_eq!(penalty.to_scalar::<f64>()?, 1.0 + 4.0 + 1.0 + 4.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dispersion(gradients: &[Tensor]) -> Result<Tensor> {
    Ok(squares_about_mean("iga", gradients)?.sum_all()?)
}

/// Variance of the samples' gradients, entry by entry: `mean_i (g_i − ḡ)²`.
///
/// # Arguments
/// - `samples`: `[n, D]`, as [`sample_gradients`](super::sample_gradients) gives them.
///
/// # Returns
/// `[D]`, differentiable; 0 for a single sample.
///
/// # Errors
/// When there is no sample, or the shape is another.
pub fn gradient_variance(samples: &Tensor) -> Result<Tensor> {
    let (count, _) = samples.dims2()?;
    if count == 0 {
        return Err(none("fishr", "sample"));
    }
    let centred = samples.broadcast_sub(&samples.mean_keepdim(0)?)?;
    Ok(centred.sqr()?.mean(0)?)
}

/// How the squared differences of the entries become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Their mean over the entries, as in the authors' program.
    Mean,
    /// Their sum, as in the paper.
    Sum,
}

/// Fishr's penalty: the mean over environments of `‖v_e − v̄‖²`, or of its mean over the entries.
///
/// # Arguments
/// - `variances`: of each environment, `[D]`, as [`gradient_variance`] gives them; the penalty is
///   differentiable in them.
///
/// # Returns
/// A scalar, 0 for a single environment.
///
/// # Errors
/// Without an environment, and where lengths differ.
///
/// # References
/// Rame, Dancette & Cord 2022, Fishr: Invariant Gradient Variances for Out-of-Distribution
/// Generalization, the regularisation `L_Fishr`.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::gradients::{Reduction, variance_penalty};
///
/// let variance = |values: [f64; 2]| Tensor::new(&values, &Device::Cpu);
/// let variances = [variance([1.0, 0.0])?, variance([3.0, 4.0])?];
/// let sum = variance_penalty(&variances, Reduction::Sum)?.to_scalar::<f64>()?;
/// let mean = variance_penalty(&variances, Reduction::Mean)?.to_scalar::<f64>()?;
/// assert_eq!((sum, mean), (5.0, 2.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn variance_penalty(variances: &[Tensor], reduction: Reduction) -> Result<Tensor> {
    let squares = squares_about_mean("fishr", variances)?;
    Ok(match reduction {
        Reduction::Mean => squares.mean_all()?,
        Reduction::Sum => (squares.sum_all()? / variances.len() as f64)?,
    })
}

/// One step of the moving average of an environment's gradient variance:
/// `m ← ema · m + (1 − ema) · v`.
///
/// # Arguments
/// - `previous`: `m` before, none in the first step, when it counts as zero; a constant.
/// - `variance`: `v` of this step's batch.
/// - `ema`: in \[0, 1).
///
/// # Returns
/// What the penalty uses, `m / (1 − ema)`, differentiable in `variance` with derivative 1, and the
/// new `m` as a constant.
///
/// # Errors
/// When lengths differ, or `ema` is out of range.
///
/// # References
/// Rame et al. 2022, as in the authors' program, whose starting value and division these are.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::gradients::smoothed_variance;
///
/// let variance = Tensor::new(&[2f64], &Device::Cpu)?;
/// let (used, kept) = smoothed_variance(None, &variance, 0.75)?;
/// assert_eq!((used.to_vec1::<f64>()?, kept.to_vec1::<f64>()?), (vec![2.0], vec![0.5]));
/// let (used, _) = smoothed_variance(Some(&kept), &variance, 0.75)?;
/// assert_eq!(used.to_vec1::<f64>()?, [3.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn smoothed_variance(
    previous: Option<&Tensor>,
    variance: &Tensor,
    ema: f64,
) -> Result<(Tensor, Tensor)> {
    if !(0.0..1.0).contains(&ema) {
        let found = ema.to_string();
        let (op, key, expected) = ("fishr", "ema", "within [0, 1)");
        let error = ComputeError::Option {
            op,
            key,
            expected,
            found,
        };
        return Err(error.into());
    }
    let new = (variance * (1.0 - ema))?;
    let average = match previous {
        Some(previous) => ((previous.detach() * ema)? + new)?,
        None => new,
    };
    Ok(((&average / (1.0 - ema))?, average.detach()))
}

/// `(t_e − t̄)²`, `[E, D]`.
fn squares_about_mean(method: &'static str, tensors: &[Tensor]) -> Result<Tensor> {
    if tensors.is_empty() {
        return Err(none(method, "environment"));
    }
    let stacked = Tensor::stack(tensors, 0)?;
    let centred = stacked.broadcast_sub(&stacked.mean_keepdim(0)?)?;
    Ok(centred.sqr()?)
}

fn none(method: &'static str, what: &str) -> ObjectiveError {
    ObjectiveError::Environments {
        method,
        expected: format!("one {what} or more"),
        found: "none".into(),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    /// Gradients 1, 2, 6 about 3: (4 + 1 + 9) / 3.
    #[test]
    fn variances_are_those_of_the_population() {
        let samples = Tensor::new(&[[1f64], [2.0], [6.0]], &Device::Cpu).unwrap();
        let found = gradient_variance(&samples)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap();
        assert!((found[0] - 14.0 / 3.0).abs() < 1e-12);
    }

    /// Whatever the decay, the penalty's gradient reaches the batch undiminished.
    #[test]
    fn a_moving_average_passes_gradients_of_the_batch_only() {
        let leaf = |value: f64| Var::from_tensor(&Tensor::new(&[value], &Device::Cpu).unwrap());
        let (previous, variance) = (leaf(4.0).unwrap(), leaf(1.0).unwrap());
        let (used, kept) = smoothed_variance(Some(&previous), &variance, 0.9).unwrap();
        let gradients = used.sum_all().unwrap().backward().unwrap();
        let slope = gradients.get(&variance).unwrap().to_vec1::<f64>().unwrap();
        assert!((slope[0] - 1.0).abs() < 1e-12);
        assert!(gradients.get(&previous).is_none() && !kept.track_op());
        assert!((kept.to_vec1::<f64>().unwrap()[0] - 3.7).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_compare_is_an_error() {
        let empty = Tensor::zeros((0, 3), DType::F64, &Device::Cpu).unwrap();
        assert!(gradient_variance(&empty).is_err());
        assert!(dispersion(&[]).is_err() && variance_penalty(&[], Reduction::Sum).is_err());
        let one = Tensor::ones(3, DType::F64, &Device::Cpu).unwrap();
        for ema in [-0.1, 1.0, f64::NAN] {
            let message = smoothed_variance(None, &one, ema).unwrap_err().to_string();
            assert!(message.contains("ema must be within [0, 1)"), "{message}");
        }
    }
}
