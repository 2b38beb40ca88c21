//! Adam (Kingma & Ba 2015), in one pass over each variable.

use std::cell::RefCell;

use candle_core::Var;
use candle_core::backprop::GradStore;

use super::inplace::{sizes, update_in_place};
use super::{Optimiser, OptimiserState};
use crate::{ComputeError, Result};

/// Settings of [`Adam`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamParams {
    /// Step size, positive.
    pub learning_rate: f64,
    /// Decay of the first moment, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the second moment, in `[0, 1)`.
    pub beta2: f64,
    /// Added to the root of the second moment, positive.
    pub epsilon: f64,
    /// Weight of the squared norm's gradient (`g + weight_decay · θ`), not negative.
    pub weight_decay: f64,
}

impl Default for AdamParams {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

impl AdamParams {
    fn validate(&self) -> Result<()> {
        let fault = |key, expected, found: f64| {
            Err(ComputeError::Option {
                op: "adam",
                key,
                expected,
                found: found.to_string(),
            })
        };
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return fault("learning_rate", "positive and finite", self.learning_rate);
        }
        for (key, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return fault(key, "in [0, 1)", beta);
            }
        }
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return fault("epsilon", "positive and finite", self.epsilon);
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return fault("weight_decay", "finite and not negative", self.weight_decay);
        }
        Ok(())
    }
}

/// Adam with bias correction and (coupled) weight decay.
///
/// `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
/// `θ ← θ − η · m / (1−β₁ᵗ) / (√(v / (1−β₂ᵗ)) + ε)`
///
/// # References
/// Kingma & Ba 2015, algorithm 1.
pub struct Adam {
    params: AdamParams,
    variables: Vec<Var>,
    moments: Vec<RefCell<Moments>>,
    step: u64,
}

struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    /// An optimiser over `variables` (`f32`), all moments zero.
    ///
    /// # Errors
    /// When a setting lies outside its range.
    pub fn new(variables: Vec<Var>, params: AdamParams) -> Result<Self> {
        params.validate()?;
        let moments = zero_moments(&variables);
        Ok(Self {
            params,
            variables,
            moments,
            step: 0,
        })
    }
}

fn zero_moments(variables: &[Var]) -> Vec<RefCell<Moments>> {
    sizes(variables)
        .into_iter()
        .map(|n| {
            RefCell::new(Moments {
                first: vec![0.0; n],
                second: vec![0.0; n],
            })
        })
        .collect()
}

/// Constants of one update, shared by all variables.
struct Step {
    beta1: f32,
    beta2: f32,
    /// `1 − β₁` and `1 − β₂`, taken in double precision: in `f32` the second loses five digits.
    rest: [f32; 2],
    /// `η / (1 − β₁ᵗ)`
    rate: f32,
    /// `1 / √(1 − β₂ᵗ)`
    root_correction: f32,
    epsilon: f32,
    weight_decay: f32,
}

impl Step {
    fn new(p: &AdamParams, step: u64) -> Self {
        let t = i32::try_from(step).unwrap_or(i32::MAX);
        Self {
            beta1: p.beta1 as f32,
            beta2: p.beta2 as f32,
            rest: [(1.0 - p.beta1) as f32, (1.0 - p.beta2) as f32],
            rate: (p.learning_rate / (1.0 - p.beta1.powi(t))) as f32,
            root_correction: (1.0 / (1.0 - p.beta2.powi(t)).sqrt()) as f32,
            epsilon: p.epsilon as f32,
            weight_decay: p.weight_decay as f32,
        }
    }

    fn apply(&self, parameters: &mut [f32], gradient: &[f32], moments: &mut Moments) {
        let states = moments.first.iter_mut().zip(&mut moments.second);
        for ((theta, &g), (m, v)) in parameters.iter_mut().zip(gradient).zip(states) {
            let g = g + self.weight_decay * *theta;
            *m = self.beta1 * *m + self.rest[0] * g;
            *v = self.beta2 * *v + self.rest[1] * g * g;
            *theta -= self.rate * *m / (v.sqrt() * self.root_correction + self.epsilon);
        }
    }
}

impl Optimiser for Adam {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        self.step += 1;
        let step = Step::new(&self.params, self.step);
        for (variable, moments) in self.variables.iter().zip(&self.moments) {
            if let Some(gradient) = gradients.get(variable) {
                update_in_place(variable, gradient, |parameters, gradient| {
                    step.apply(parameters, gradient, &mut moments.borrow_mut());
                })?;
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.step = 0;
        self.moments = zero_moments(&self.variables);
    }

    fn state(&self) -> OptimiserState {
        let moments = self.moments.iter().flat_map(|m| {
            let m = m.borrow();
            [m.first.clone(), m.second.clone()]
        });
        OptimiserState {
            step: self.step,
            moments: moments.collect(),
        }
    }

    fn restore(&mut self, state: &OptimiserState) -> Result<()> {
        let expected: Vec<usize> = sizes(&self.variables)
            .into_iter()
            .flat_map(|n| [n, n])
            .collect();
        super::sgd::check_sizes("adam", &expected, state)?;
        self.step = state.step;
        self.moments = state
            .moments
            .chunks_exact(2)
            .map(|pair| {
                RefCell::new(Moments {
                    first: pair[0].clone(),
                    second: pair[1].clone(),
                })
            })
            .collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    /// Two steps on `f(θ) = θ²/2` from θ = 1 with η = 0.1, computed by hand from algorithm 1:
    /// step 1 moves by η·1/(1 + 1e-8); step 2 has m̂ = (0.09 + 0.1·0.9)/0.19, v̂ = (0.000999 +
    /// 0.001·0.81)/0.001999.
    #[test]
    fn two_steps_by_hand() {
        let theta = Var::new(&[1f32], &Device::Cpu).unwrap();
        let mut adam = Adam::new(
            vec![theta.clone()],
            AdamParams {
                learning_rate: 0.1,
                ..AdamParams::default()
            },
        )
        .unwrap();
        for _ in 0..2 {
            let loss = (theta.sqr().unwrap().sum_all().unwrap() * 0.5).unwrap();
            adam.step(&loss.backward().unwrap()).unwrap();
        }
        let m = (0.09 + 0.1 * 0.9) / 0.19;
        let v: f64 = (0.000_999 + 0.001 * 0.81) / 0.001_999;
        let expected = 0.9 - 0.1 * m / v.sqrt();
        let found = f64::from(theta.to_vec1::<f32>().unwrap()[0]);
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn restored_state_continues_alike_and_foreign_state_is_refused() {
        let run = |interrupt: bool| {
            let theta = Var::new(&[1f32, -2.0], &Device::Cpu).unwrap();
            let mut adam = Adam::new(vec![theta.clone()], AdamParams::default()).unwrap();
            for step in 0..4 {
                if interrupt && step == 2 {
                    let state = adam.state();
                    adam = Adam::new(vec![theta.clone()], AdamParams::default()).unwrap();
                    adam.restore(&state).unwrap();
                }
                let loss = theta.sqr().unwrap().sum_all().unwrap();
                adam.step(&loss.backward().unwrap()).unwrap();
            }
            theta.to_vec1::<f32>().unwrap()
        };
        assert_eq!(run(false), run(true));
        let other =
            Var::from_tensor(&Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap());
        let mut adam = Adam::new(vec![other.unwrap()], AdamParams::default()).unwrap();
        assert!(adam.restore(&OptimiserState::default()).is_err());
    }

    #[test]
    fn ill_settings_are_errors() {
        for params in [
            AdamParams {
                learning_rate: 0.0,
                ..AdamParams::default()
            },
            AdamParams {
                beta1: 1.0,
                ..AdamParams::default()
            },
            AdamParams {
                epsilon: f64::NAN,
                ..AdamParams::default()
            },
            AdamParams {
                weight_decay: -1.0,
                ..AdamParams::default()
            },
        ] {
            assert!(Adam::new(Vec::new(), params).is_err(), "{params:?}");
        }
    }
}
