//! What rules need that take steps of their own within a step.

use candle_core::Tensor;
use ctl_compute::optim::AdamParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Result;

/// A risk and its gradient at given weights.
#[derive(Clone, Debug)]
pub struct RiskGradient {
    /// A scalar.
    pub risk: Tensor,
    /// One tensor for each of the weights.
    pub gradient: Vec<Tensor>,
}

/// The risk of one environment as a function of the weights.
pub trait EnvironmentRisk {
    /// Number of samples.
    fn rows(&self) -> usize;

    /// The mean loss of the first `rows` samples at `weights`, and its gradient.
    ///
    /// Rules of second order also differentiate the risk and the gradient with respect to
    /// `weights`, which must then be expressions of them.
    ///
    /// # Errors
    /// When the weights do not fit, or there are fewer rows.
    fn at(&self, weights: &[Tensor], rows: usize) -> Result<RiskGradient>;
}

/// The optimiser of inner steps, in its initial state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InnerRule {
    /// Gradient descent.
    Sgd,
    /// Adam with decays 0.9 and 0.999 and epsilon 1e-8.
    Adam,
}

/// An optimiser over tensors of any float type; those of `ctl-compute` work in place on `f32`.
pub(super) struct InnerOptimiser {
    rule: InnerRule,
    rate: f64,
    step: i32,
    /// First and second moments of each weight.
    moments: Vec<[Tensor; 2]>,
}

impl InnerOptimiser {
    pub(super) fn new(rule: InnerRule, rate: f64, weights: &[Tensor]) -> Result<Self> {
        let zeros = |weight: &Tensor| Ok([weight.zeros_like()?, weight.zeros_like()?]);
        Ok(Self {
            rule,
            rate,
            step: 0,
            moments: weights.iter().map(zeros).collect::<Result<_>>()?,
        })
    }

    /// The weights after one more step.
    pub(super) fn step(&mut self, weights: &[Tensor], gradient: &[Tensor]) -> Result<Vec<Tensor>> {
        self.step += 1;
        let (rule, rate, step) = (self.rule, self.rate, self.step);
        let moved = weights.iter().zip(gradient).zip(&mut self.moments);
        let moved = moved.map(|((weight, gradient), moments)| {
            let direction = match rule {
                InnerRule::Sgd => gradient.clone(),
                InnerRule::Adam => adam(moments, gradient, step)?,
            };
            Ok((weight - (direction * rate)?)?)
        });
        moved.collect()
    }
}

/// Adam's direction, `m̂ / (√v̂ + ε)`.
fn adam(moments: &mut [Tensor; 2], gradient: &Tensor, step: i32) -> Result<Tensor> {
    let p = AdamParams::default();
    let [first, second] = moments;
    *first = ((&*first * p.beta1)? + (gradient * (1.0 - p.beta1))?)?;
    *second = ((&*second * p.beta2)? + (gradient.sqr()? * (1.0 - p.beta2))?)?;
    let mean = (&*first / (1.0 - p.beta1.powi(step)))?;
    let root = (&*second / (1.0 - p.beta2.powi(step)))?.sqrt()?;
    Ok(mean.div(&(root + p.epsilon)?)?)
}

/// The direction of an optimiser's first step, differentiable in the gradient: Adam's is
/// `g / (|g| + ε)`, in which no root of 0 is taken.
pub(super) fn first_direction(rule: InnerRule, gradient: &Tensor) -> Result<Tensor> {
    Ok(match rule {
        InnerRule::Sgd => gradient.clone(),
        InnerRule::Adam => gradient.div(&(gradient.abs()? + AdamParams::default().epsilon)?)?,
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// By hand: the first step has length `rate` whatever the gradient, the second follows from
    /// m = 0.09 · 1 + 0.1 · 3 and v = 0.000999 · 1 + 0.001 · 9.
    #[test]
    fn adam_by_hand() {
        let tensor = |value: f64| vec![Tensor::new(&[value], &Device::Cpu).unwrap()];
        let value = |weights: &[Tensor]| weights[0].to_vec1::<f64>().unwrap()[0];
        let mut adam = InnerOptimiser::new(InnerRule::Adam, 0.1, &tensor(2.0)).unwrap();
        let once = adam.step(&tensor(2.0), &tensor(1.0)).unwrap();
        assert!((value(&once) - 1.9).abs() < 1e-8);
        let direction = first_direction(InnerRule::Adam, &tensor(1.0)[0]).unwrap();
        assert!((direction.to_vec1::<f64>().unwrap()[0] - 1.0).abs() < 2e-8);
        let twice = adam.step(&once, &tensor(3.0)).unwrap();
        let (mean, square) = (0.39 / 0.19, 0.009_999 / (1.0 - 0.999f64.powi(2)));
        assert!((value(&once) - value(&twice) - 0.1 * mean / square.sqrt()).abs() < 1e-8);
    }
}
