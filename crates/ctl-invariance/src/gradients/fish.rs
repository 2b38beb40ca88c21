//! Fish: gradient matching by a pass over the environments.

use candle_core::Tensor;

use super::meta::{EnvironmentRisk, InnerOptimiser, InnerRule};
use crate::Result;

/// Settings of [`fish`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FishSettings {
    /// Optimiser of the inner pass.
    pub rule: InnerRule,
    /// Its step size.
    pub inner_rate: f64,
    /// Share of the way to the end of the pass that is gone, usually in (0, 1].
    pub meta_rate: f64,
}

/// What [`fish`] gives.
#[derive(Clone, Debug)]
pub struct FishStep {
    /// Risk of each environment before its inner step, scalars.
    pub risks: Vec<Tensor>,
    /// Weights at the end of the inner pass.
    pub inner: Vec<Tensor>,
    /// Weights after the step.
    pub weights: Vec<Tensor>,
}

/// One step of Fish: from `θ` an inner pass takes one step on each environment in turn to `θ̃`,
/// then `θ ← θ + meta_rate · (θ̃ − θ)`.
///
/// To first order in the inner step size this ascends the inner products of the environments'
/// gradients. The result depends on the order of the environments, which should be drawn anew for
/// each step.
///
/// # Arguments
/// - `weights`: `θ`.
/// - `environments`: in the order of the pass; each is used with all of its rows.
///
/// # Returns
/// Constants.
///
/// # Errors
/// When an environment does not fit the weights.
///
/// # References
/// Shi et al. 2021, Gradient Matching for Domain Generalization, algorithm 1; the inner pass uses a
/// given optimiser, Adam as in `DomainBed` or gradient descent as in the algorithm.
///
/// # Examples
/// Two environments with risks `(w − 1)²` and `(w + 3)²`, from `w = 0`:
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_invariance::SquaredError;
/// use ctl_invariance::gradients::{
///     EnvironmentRisk, FishSettings, InnerRule, LinearHead, fish,
/// };
///
/// let constant = |value: f64| Tensor::new(&[[value]], &Device::Cpu);
/// let environment = |target: f64| -> Result<_, candle_core::Error> {
///     let (input, target) = (constant(0.0)?, constant(target)?);
///     Ok(LinearHead { input, target, loss: &SquaredError })
/// };
/// let (one, other) = (environment(1.0)?, environment(-3.0)?);
/// let environments: [&dyn EnvironmentRisk; 2] = [&one, &other];
/// let weights = [constant(0.0)?, Tensor::zeros(1, DType::F64, &Device::Cpu)?];
/// let settings = FishSettings { rule: InnerRule::Sgd, inner_rate: 0.25, meta_rate: 0.5 };
/// let step = fish(&weights, &environments, &settings)?;
/// // The bias goes to 0 + 0.25 · 2, then to 0.5 − 0.25 · 7, and half the way is kept.
/// assert_eq!(step.inner[1].to_vec1::<f64>()?, [-1.25]);
/// assert_eq!(step.weights[1].to_vec1::<f64>()?, [-0.625]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fish(
    weights: &[Tensor],
    environments: &[&dyn EnvironmentRisk],
    settings: &FishSettings,
) -> Result<FishStep> {
    let weights: Vec<Tensor> = weights.iter().map(Tensor::detach).collect();
    let mut optimiser = InnerOptimiser::new(settings.rule, settings.inner_rate, &weights)?;
    let (mut inner, mut risks) = (weights.clone(), Vec::new());
    for environment in environments {
        let found = environment.at(&inner, environment.rows())?;
        let gradient: Vec<Tensor> = found.gradient.iter().map(Tensor::detach).collect();
        inner = optimiser.step(&inner, &gradient)?;
        risks.push(found.risk.detach());
    }
    let moved = weights.iter().zip(&inner);
    let moved = moved.map(|(from, to)| Ok((from + ((to - from)? * settings.meta_rate)?)?));
    Ok(FishStep {
        weights: moved.collect::<Result<_>>()?,
        risks,
        inner,
    })
}
