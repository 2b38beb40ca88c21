//! Stochastic gradient descent with momentum and weight decay.

use std::cell::RefCell;

use candle_core::Var;
use candle_core::backprop::GradStore;

use super::inplace::{sizes, update_in_place};
use super::{Optimiser, OptimiserState};
use crate::{ComputeError, Result};

/// Settings of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdParams {
    /// Step size, positive.
    pub learning_rate: f64,
    /// Momentum, in `[0, 1)`.
    pub momentum: f64,
    /// Weight of the squared norm's gradient, not negative.
    pub weight_decay: f64,
}

/// `u ← μu + g + λθ`, `θ ← θ − ηu` (`PyTorch`'s form: the first `u` is the gradient itself).
pub struct Sgd {
    params: SgdParams,
    variables: Vec<Var>,
    velocity: Vec<RefCell<Vec<f32>>>,
    step: u64,
}

impl Sgd {
    /// An optimiser over `variables` (`f32`) at rest.
    ///
    /// # Errors
    /// When a setting lies outside its range.
    pub fn new(variables: Vec<Var>, params: SgdParams) -> Result<Self> {
        let fault = |key, expected, found: f64| {
            Err(ComputeError::Option {
                op: "sgd",
                key,
                expected,
                found: found.to_string(),
            })
        };
        if !(params.learning_rate.is_finite() && params.learning_rate > 0.0) {
            return fault("learning_rate", "positive and finite", params.learning_rate);
        }
        if !(0.0..1.0).contains(&params.momentum) {
            return fault("momentum", "in [0, 1)", params.momentum);
        }
        if !(params.weight_decay.is_finite() && params.weight_decay >= 0.0) {
            return fault(
                "weight_decay",
                "finite and not negative",
                params.weight_decay,
            );
        }
        let velocity = at_rest(&variables);
        Ok(Self {
            params,
            variables,
            velocity,
            step: 0,
        })
    }
}

fn at_rest(variables: &[Var]) -> Vec<RefCell<Vec<f32>>> {
    sizes(variables)
        .into_iter()
        .map(|n| RefCell::new(vec![0.0; n]))
        .collect()
}

/// Refuses a state whose buffers do not have the `expected` sizes.
pub(super) fn check_sizes(
    what: &'static str,
    expected: &[usize],
    state: &OptimiserState,
) -> Result<()> {
    let found: Vec<usize> = state.moments.iter().map(Vec::len).collect();
    if found == expected {
        return Ok(());
    }
    Err(ComputeError::State {
        what,
        expected: format!("{} buffers of sizes {expected:?}", expected.len()),
        found: format!("{} buffers of sizes {found:?}", found.len()),
    })
}

impl Optimiser for Sgd {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        self.step += 1;
        let rate = self.params.learning_rate as f32;
        let momentum = self.params.momentum as f32;
        let decay = self.params.weight_decay as f32;
        for (variable, velocity) in self.variables.iter().zip(&self.velocity) {
            let Some(gradient) = gradients.get(variable) else {
                continue;
            };
            update_in_place(variable, gradient, |parameters, gradient| {
                let mut velocity = velocity.borrow_mut();
                for ((theta, &g), u) in parameters.iter_mut().zip(gradient).zip(velocity.iter_mut())
                {
                    *u = momentum * *u + g + decay * *theta;
                    *theta -= rate * *u;
                }
            })?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.step = 0;
        self.velocity = at_rest(&self.variables);
    }

    fn state(&self) -> OptimiserState {
        OptimiserState {
            step: self.step,
            moments: self.velocity.iter().map(|v| v.borrow().clone()).collect(),
        }
    }

    fn restore(&mut self, state: &OptimiserState) -> Result<()> {
        check_sizes("sgd", &sizes(&self.variables), state)?;
        self.step = state.step;
        self.velocity = state.moments.iter().cloned().map(RefCell::new).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// f(θ) = θ²/2 from 1, η = 0.1, μ = 0.5: u₁ = 1, θ₁ = 0.9; u₂ = 0.5 + 0.9 = 1.4, θ₂ = 0.76.
    #[test]
    fn two_steps_by_hand() {
        let theta = Var::new(&[1f32], &Device::Cpu).unwrap();
        let params = SgdParams {
            learning_rate: 0.1,
            momentum: 0.5,
            weight_decay: 0.0,
        };
        let mut sgd = Sgd::new(vec![theta.clone()], params).unwrap();
        for _ in 0..2 {
            let loss = (theta.sqr().unwrap().sum_all().unwrap() * 0.5).unwrap();
            sgd.step(&loss.backward().unwrap()).unwrap();
        }
        assert!((theta.to_vec1::<f32>().unwrap()[0] - 0.76).abs() < 1e-6);
    }
}
