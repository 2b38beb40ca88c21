//! Rules that combine the gradients of the environments.

use std::cell::RefCell;

use candle_core::{Device, Tensor};

use crate::gradients::{EnvironmentRisk, RiskGradient};
use crate::{ObjectiveState, Result};

/// A network in the middle of a step, whose weights a rule may move to see what follows.
///
/// Weights and gradients are lists in one order, that of the network's trained weights.
pub trait Trial {
    /// Number of the step, from 0.
    fn number(&self) -> u64;

    /// Number of labelled environments, at least 1.
    fn environments(&self) -> usize;

    /// Number of samples of an environment's batch; 0 of one that does not exist.
    fn rows(&self, environment: usize) -> usize;

    /// Step size of the network's optimiser.
    fn learning_rate(&self) -> f64;

    /// The present weights.
    ///
    /// # Errors
    /// When a weight cannot be copied.
    fn weights(&self) -> Result<Vec<Tensor>>;

    /// Moves to other weights; the step ends at the first ones, unless an [`Update::Weights`] says
    /// otherwise.
    ///
    /// # Errors
    /// When a weight has another shape.
    fn set_weights(&mut self, weights: &[Tensor]) -> Result<()>;

    /// Risk of the first `rows` samples of an environment at the present weights, and its gradient.
    ///
    /// # Errors
    /// When the environment does not exist or its batch does not fit the network.
    fn gradient(&mut self, environment: usize, rows: usize) -> Result<(f64, Vec<Tensor>)>;
}

/// Risks and gradients of all environments at the first weights.
pub(crate) struct AllGradients {
    /// Mean of the risks.
    risk: f64,
    /// One list for each environment.
    pub(crate) gradients: Vec<Vec<Tensor>>,
}

impl AllGradients {
    pub(crate) fn of(trial: &mut dyn Trial) -> Result<Self> {
        let count = trial.environments();
        let mut all = Self {
            risk: 0.0,
            gradients: Vec::with_capacity(count),
        };
        for environment in 0..count {
            let rows = trial.rows(environment);
            let (risk, gradient) = trial.gradient(environment, rows)?;
            all.risk += risk / count as f64;
            all.gradients.push(gradient);
        }
        Ok(all)
    }

    /// The direction that a rule made of them.
    pub(crate) fn ruled(&self, direction: Vec<Tensor>) -> Ruled {
        Ruled {
            update: Update::Gradient(direction),
            terms: vec![("risk", self.risk)],
        }
    }
}

/// An environment of a trial as a function of the weights.
pub(crate) struct TrialRisk<'a, 't> {
    trial: &'a RefCell<&'t mut dyn Trial>,
    environment: usize,
}

impl<'a, 't> TrialRisk<'a, 't> {
    /// The first `count` environments.
    pub(crate) fn all(trial: &'a RefCell<&'t mut dyn Trial>, count: usize) -> Vec<Self> {
        let of = |environment| Self { trial, environment };
        (0..count).map(of).collect()
    }
}

impl EnvironmentRisk for TrialRisk<'_, '_> {
    fn rows(&self) -> usize {
        self.trial.borrow().rows(self.environment)
    }

    fn at(&self, weights: &[Tensor], rows: usize) -> Result<RiskGradient> {
        let mut trial = self.trial.borrow_mut();
        trial.set_weights(weights)?;
        let (risk, gradient) = trial.gradient(self.environment, rows)?;
        Ok(RiskGradient {
            risk: Tensor::new(risk as f32, &Device::Cpu)?,
            gradient,
        })
    }
}

/// What a rule makes of a step.
#[derive(Debug)]
pub enum Update {
    /// A direction that the network's optimiser descends.
    Gradient(Vec<Tensor>),
    /// The weights after the step; the network's optimiser is left out.
    Weights(Vec<Tensor>),
}

/// An update and what the log says of it.
#[derive(Debug)]
pub struct Ruled {
    /// The update.
    pub update: Update,
    /// Named numbers for the log, the mean `risk` at the first weights among them.
    pub terms: Vec<(&'static str, f64)>,
}

/// A rule from the gradients of the environments to one update of the weights.
///
/// It stands in for the objective of a method: the risks are the task's own.
pub trait GradientRule {
    /// The update of one step; may change the rule's own state.
    ///
    /// # Errors
    /// When the environments do not suit the rule.
    fn update(&mut self, trial: &mut dyn Trial) -> Result<Ruled>;

    /// What must be kept to continue after an interruption.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    fn state(&self) -> Result<ObjectiveState> {
        Ok(ObjectiveState::new())
    }

    /// Puts a state back.
    ///
    /// # Errors
    /// When the state is another rule's.
    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        let _ = state;
        Ok(())
    }
}
