//! Stochastic gradient descent with momentum and weight decay.

use candle_core::Var;
use candle_core::backprop::GradStore;

use super::clipping::Clipping;
use super::groups::{ParameterGroup, Slot, sizes, slots};
use super::inplace::update_in_place;
use super::{
    Optimiser, OptimiserState, check_decay, check_not_negative, check_positive, check_sizes,
};
use crate::Result;
use crate::kernels::update::{self, SgdStep};

/// Settings of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdParams {
    /// Step size, positive.
    pub learning_rate: f64,
    /// Momentum, in `[0, 1)`.
    pub momentum: f64,
    /// Weight of the squared norm's gradient, not negative.
    pub weight_decay: f64,
    /// Whether to step along `g + μu`, where the velocity leads next (Nesterov 1983).
    pub nesterov: bool,
}

impl Default for SgdParams {
    fn default() -> Self {
        Self {
            learning_rate: 1e-2,
            momentum: 0.0,
            weight_decay: 0.0,
            nesterov: false,
        }
    }
}

/// `u ← μu + g + λθ`, `θ ← θ − ηu` (`PyTorch`'s form: the first `u` is the gradient itself).
pub struct Sgd {
    params: SgdParams,
    clipping: Clipping,
    slots: Vec<Slot>,
    velocity: Vec<Vec<f32>>,
    rate_factor: f64,
    step: u64,
}

impl Sgd {
    /// An optimiser over `variables` (`f32`) at rest.
    ///
    /// # Errors
    /// When a setting lies outside its range.
    pub fn new(variables: Vec<Var>, params: SgdParams) -> Result<Self> {
        Self::with_groups(vec![variables.into()], params)
    }

    /// An optimiser over groups of variables, some with settings of their own.
    ///
    /// # Errors
    /// When a setting lies outside its range.
    pub fn with_groups(groups: Vec<ParameterGroup>, params: SgdParams) -> Result<Self> {
        check_positive("sgd", "learning_rate", params.learning_rate)?;
        check_decay("sgd", "momentum", params.momentum)?;
        check_not_negative("sgd", "weight_decay", params.weight_decay)?;
        let slots = slots("sgd", groups, (params.learning_rate, params.weight_decay))?;
        Ok(Self {
            params,
            clipping: Clipping::default(),
            velocity: at_rest(&slots),
            slots,
            rate_factor: 1.0,
            step: 0,
        })
    }

    /// The same with bounds on its gradients.
    ///
    /// # Errors
    /// When a bound is not positive.
    pub fn clipped(mut self, clipping: Clipping) -> Result<Self> {
        clipping.validate()?;
        self.clipping = clipping;
        Ok(self)
    }
}

fn at_rest(slots: &[Slot]) -> Vec<Vec<f32>> {
    sizes(slots).into_iter().map(|n| vec![0.0; n]).collect()
}

impl Optimiser for Sgd {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        let clip = self
            .clipping
            .of(self.slots.iter().map(|s| &s.variable), gradients)?;
        self.step += 1;
        for (slot, velocity) in self.slots.iter().zip(&mut self.velocity) {
            let Some(gradient) = gradients.get(&slot.variable) else {
                continue;
            };
            let step = SgdStep {
                clip,
                rate: (slot.learning_rate * self.rate_factor) as f32,
                momentum: self.params.momentum as f32,
                decay: slot.weight_decay as f32,
                nesterov: self.params.nesterov,
            };
            update_in_place(
                &slot.variable,
                gradient,
                velocity,
                |theta, gradient, velocity| {
                    update::sgd(&step, gradient, theta, velocity);
                },
            )?;
        }
        Ok(())
    }

    fn set_rate_factor(&mut self, factor: f64) {
        self.rate_factor = factor;
    }

    fn reset(&mut self) {
        self.step = 0;
        self.velocity = at_rest(&self.slots);
    }

    fn state(&self) -> OptimiserState {
        OptimiserState {
            step: self.step,
            moments: self.velocity.clone(),
        }
    }

    fn restore(&mut self, state: &OptimiserState) -> Result<()> {
        check_sizes("sgd", &sizes(&self.slots), &state.moments)?;
        self.step = state.step;
        self.velocity.clone_from(&state.moments);
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
            ..SgdParams::default()
        };
        let mut sgd = Sgd::new(vec![theta.clone()], params).unwrap();
        for _ in 0..2 {
            let loss = (theta.sqr().unwrap().sum_all().unwrap() * 0.5).unwrap();
            sgd.step(&loss.backward().unwrap()).unwrap();
        }
        assert!((theta.to_vec1::<f32>().unwrap()[0] - 0.76).abs() < 1e-6);
    }
}
