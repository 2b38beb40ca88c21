//! The trait of all training objectives.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use ctl_compute::optim::AdamParams;

use crate::{EnvironmentOutputs, ObjectiveError, Result, SampleLoss};

/// Everything an objective may look at in one step.
pub struct Step<'a> {
    /// Number of the step, from 0.
    pub number: u64,
    /// Outputs of every environment, labelled ones first in a fixed order.
    pub environments: &'a [EnvironmentOutputs],
    /// The task's loss.
    pub loss: &'a dyn SampleLoss,
}

impl Step<'_> {
    /// The environments that have targets.
    ///
    /// # Errors
    /// When there is none.
    pub fn labelled(&self) -> Result<Vec<&EnvironmentOutputs>> {
        let labelled: Vec<_> = self
            .environments
            .iter()
            .filter(|e| e.is_labelled())
            .collect();
        if labelled.is_empty() {
            return Err(ObjectiveError::Environments {
                method: "objective",
                expected: "at least one labelled environment".into(),
                found: format!("{} without labels", self.environments.len()),
            });
        }
        Ok(labelled)
    }

    /// Risk of every labelled environment, `[E]`.
    ///
    /// # Errors
    /// When there is none, or targets do not fit the outputs.
    pub fn risks(&self) -> Result<Tensor> {
        let risks = self
            .labelled()?
            .iter()
            .map(|e| e.risk(self.loss))
            .collect::<Result<Vec<_>>>()?;
        Ok(Tensor::stack(&risks, 0)?)
    }
}

/// The value of an objective at one step.
#[derive(Debug)]
pub struct Value {
    /// Scalar that the network's weights minimise.
    pub total: Tensor,
    /// Scalar that the objective's own weights minimise, such as a discriminator's loss; none where
    /// they minimise `total` together with the network.
    pub auxiliary: Option<Tensor>,
    /// Factor by which the risk enters `total` (an objective may divide by its penalty weight).
    pub risk_scale: f64,
    /// Named scalars for the log.
    pub terms: Vec<(&'static str, Tensor)>,
}

impl Value {
    /// A value that is its total and nothing else.
    pub fn new(total: Tensor, terms: Vec<(&'static str, Tensor)>) -> Self {
        Self {
            total,
            auxiliary: None,
            risk_scale: 1.0,
            terms,
        }
    }

    /// `total = risk + weight · penalty`, all divided by the weight where `rescale` and it is
    /// above 1.
    pub(crate) fn penalised(
        risk: &Tensor,
        (name, penalty): (&'static str, Tensor),
        weight: f64,
        rescale: bool,
    ) -> Result<Self> {
        let total = (risk + (&penalty * weight)?)?;
        let risk_scale = if rescale && weight > 1.0 {
            1.0 / weight
        } else {
            1.0
        };
        Ok(Self {
            total: (total * risk_scale)?,
            auxiliary: None,
            risk_scale,
            terms: vec![("risk", risk.clone()), (name, penalty)],
        })
    }

    /// A term by name, as a number.
    ///
    /// # Errors
    /// When the tensor cannot be read.
    pub fn term(&self, name: &str) -> Result<Option<f64>> {
        let Some((_, tensor)) = self.terms.iter().find(|(term, _)| *term == name) else {
            return Ok(None);
        };
        let tensor = tensor.to_dtype(candle_core::DType::F64)?;
        Ok(Some(tensor.to_scalar::<f64>()?))
    }
}

/// Weights that an objective trains for itself.
pub struct Auxiliary {
    /// The weights.
    pub variables: Vec<Var>,
    /// How they are trained.
    pub adam: AdamParams,
}

/// What an objective remembers between steps, as plain numbers by name.
pub type ObjectiveState = BTreeMap<String, Vec<f32>>;

/// A training objective over environments.
///
/// The order of the environments must not matter, beyond the index that each carries.
pub trait Objective {
    /// The value at one step; may update the objective's own state.
    ///
    /// # Errors
    /// When the environments do not suit the objective.
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value>;

    /// Whether the network's optimiser forgets its moments before step `number`, as IRM and V-REx
    /// ask when their penalty sets in.
    fn resets_optimiser_before(&self, number: u64) -> bool {
        let _ = number;
        false
    }

    /// Factor on the learning rates at step `number`, not negative.
    fn learning_rate_factor(&self, number: u64) -> f64 {
        let _ = number;
        1.0
    }

    /// Weights of the objective's own.
    fn auxiliary(&self) -> Option<Auxiliary> {
        None
    }

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
    /// When the state is another objective's.
    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

/// Mean of the environments' risks, the default aggregation.
///
/// # Errors
/// When no environment is labelled.
pub fn mean_risk(step: &Step<'_>) -> Result<Tensor> {
    Ok(step.risks()?.mean_all()?)
}

/// Mean loss over the samples of all labelled environments, so that large environments weigh more.
///
/// # Errors
/// When no environment is labelled.
pub fn pooled_risk(step: &Step<'_>) -> Result<Tensor> {
    let losses = step
        .labelled()?
        .into_iter()
        .map(|e| e.losses(step.loss))
        .collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(&losses, 0)?.mean_all()?)
}
