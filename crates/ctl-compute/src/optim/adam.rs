//! Adam (Kingma & Ba 2015) and `AdamW` (Loshchilov & Hutter 2019), in one pass over each variable.

use candle_core::Var;
use candle_core::backprop::GradStore;

use super::clipping::Clipping;
use super::groups::{ParameterGroup, Slot, sizes, slots};
use super::inplace::update_in_place;
use super::{
    Optimiser, OptimiserState, check_decay, check_not_negative, check_positive, check_sizes,
};
use crate::Result;
use crate::kernels::update::{self, AdamStep, Clip};

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
        check_positive("adam", "learning_rate", self.learning_rate)?;
        check_decay("adam", "beta1", self.beta1)?;
        check_decay("adam", "beta2", self.beta2)?;
        check_positive("adam", "epsilon", self.epsilon)?;
        check_not_negative("adam", "weight_decay", self.weight_decay)
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
    decoupled: bool,
    clipping: Clipping,
    slots: Vec<Slot>,
    moments: Vec<Moments>,
    rate_factor: f64,
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
        Self::with_groups(vec![variables.into()], params)
    }

    /// An optimiser over groups of variables, some with settings of their own.
    ///
    /// # Errors
    /// When a setting lies outside its range.
    pub fn with_groups(groups: Vec<ParameterGroup>, params: AdamParams) -> Result<Self> {
        params.validate()?;
        let slots = slots("adam", groups, (params.learning_rate, params.weight_decay))?;
        Ok(Self {
            params,
            decoupled: false,
            clipping: Clipping::default(),
            moments: zero_moments(&slots),
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

    /// Constants of the current step for one variable.
    fn constants(&self, slot: &Slot, clip: Clip) -> AdamStep {
        let (p, t) = (&self.params, i32::try_from(self.step).unwrap_or(i32::MAX));
        let rate = slot.learning_rate * self.rate_factor;
        let (coupled, shrink) = if self.decoupled {
            (0.0, 1.0 - rate * slot.weight_decay)
        } else {
            (slot.weight_decay, 1.0)
        };
        AdamStep {
            clip,
            beta: [p.beta1 as f32, p.beta2 as f32],
            rest: [(1.0 - p.beta1) as f32, (1.0 - p.beta2) as f32],
            rate: (rate / (1.0 - p.beta1.powi(t))) as f32,
            root_correction: (1.0 / (1.0 - p.beta2.powi(t)).sqrt()) as f32,
            epsilon: p.epsilon as f32,
            coupled_decay: coupled as f32,
            shrink: shrink as f32,
        }
    }
}

fn zero_moments(slots: &[Slot]) -> Vec<Moments> {
    let zero = |n: usize| Moments {
        first: vec![0.0; n],
        second: vec![0.0; n],
    };
    sizes(slots).into_iter().map(zero).collect()
}

impl Optimiser for Adam {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        let clip = self
            .clipping
            .of(self.slots.iter().map(|s| &s.variable), gradients)?;
        self.step += 1;
        let steps: Vec<_> = self.slots.iter().map(|s| self.constants(s, clip)).collect();
        for ((slot, moments), step) in self.slots.iter().zip(&mut self.moments).zip(&steps) {
            if let Some(gradient) = gradients.get(&slot.variable) {
                update_in_place(
                    &slot.variable,
                    gradient,
                    moments,
                    |theta, gradient, moments| {
                        let states = [theta, &mut moments.first[..], &mut moments.second[..]];
                        update::adam(step, gradient, states);
                    },
                )?;
            }
        }
        Ok(())
    }

    fn set_rate_factor(&mut self, factor: f64) {
        self.rate_factor = factor;
    }

    fn reset(&mut self) {
        self.step = 0;
        self.moments = zero_moments(&self.slots);
    }

    fn state(&self) -> OptimiserState {
        let moments = self
            .moments
            .iter()
            .flat_map(|m| [m.first.clone(), m.second.clone()]);
        OptimiserState {
            step: self.step,
            moments: moments.collect(),
        }
    }

    fn restore(&mut self, state: &OptimiserState) -> Result<()> {
        let expected: Vec<usize> = sizes(&self.slots)
            .into_iter()
            .flat_map(|n| [n, n])
            .collect();
        check_sizes("adam", &expected, &state.moments)?;
        self.step = state.step;
        let pairs = state.moments.chunks_exact(2).map(|pair| Moments {
            first: pair[0].clone(),
            second: pair[1].clone(),
        });
        self.moments = pairs.collect();
        Ok(())
    }
}

/// Adam whose weight decay shrinks the parameters themselves: `θ ← (1 − ηλ)θ − …`
///
/// # References
/// Loshchilov & Hutter 2019, algorithm 2, with the decay scaled by the learning rate as `PyTorch`
/// does.
pub struct AdamW(Adam);

impl AdamW {
    /// An optimiser over `variables` (`f32`), all moments zero.
    ///
    /// # Errors
    /// When a setting lies outside its range.
    pub fn new(variables: Vec<Var>, params: AdamParams) -> Result<Self> {
        Self::with_groups(vec![variables.into()], params)
    }

    /// An optimiser over groups of variables, some with settings of their own.
    ///
    /// # Errors
    /// When a setting lies outside its range.
    pub fn with_groups(groups: Vec<ParameterGroup>, params: AdamParams) -> Result<Self> {
        let adam = Adam::with_groups(groups, params)?;
        Ok(Self(Adam {
            decoupled: true,
            ..adam
        }))
    }

    /// The same with bounds on its gradients.
    ///
    /// # Errors
    /// When a bound is not positive.
    pub fn clipped(self, clipping: Clipping) -> Result<Self> {
        Ok(Self(self.0.clipped(clipping)?))
    }
}

impl Optimiser for AdamW {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        self.0.step(gradients)
    }

    fn set_rate_factor(&mut self, factor: f64) {
        self.0.set_rate_factor(factor);
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn state(&self) -> OptimiserState {
        self.0.state()
    }

    fn restore(&mut self, state: &OptimiserState) -> Result<()> {
        self.0.restore(state)
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
