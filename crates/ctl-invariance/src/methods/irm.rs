//! Invariant risk minimisation, the practical version `IRMv1`.

use candle_core::{D, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Assumption, BuildContext, ConfigError, EnvironmentOutputs, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, Result, Role, SampleLoss, SearchDimension, Status, Step, Value,
    in_range, mean_risk,
};

/// Description of `irm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "irm",
    name: "IRM",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Arjovsky, Bottou, Gulrajani & Lopez-Paz 2019, Invariant Risk Minimization",
    summary: "Penalises a classifier that each environment would like to rescale.",
};

/// How the squared gradient is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PenaltyForm {
    /// The square of the gradient over the batch: exact for full batches.
    Paper,
    /// The product of the gradients of even and odd samples: unbiased for minibatches.
    Split,
}

/// Settings of `irm`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IrmConfig {
    /// Weight of the penalty from `anneal_steps` on, not negative.
    pub penalty_weight: f64,
    /// Weight of the penalty before, not negative.
    pub penalty_weight_before: f64,
    /// Steps before the full weight sets in.
    pub anneal_steps: u64,
    /// Estimate of the squared gradient.
    pub penalty: PenaltyForm,
    /// Divide the total by the penalty weight where it is above 1.
    pub rescale: bool,
    /// Reset the optimiser when the full weight sets in.
    pub reset_optimiser: bool,
}

impl Default for IrmConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            penalty_weight: 100.0,
            penalty_weight_before: 1.0,
            anneal_steps: 500,
            penalty: PenaltyForm::Split,
            rescale: false,
            reset_optimiser: true,
        }
    }
}

impl MethodConfig for IrmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        for (key, weight) in [
            ("penalty_weight", self.penalty_weight),
            ("penalty_weight_before", self.penalty_weight_before),
        ] {
            let ok = weight.is_finite() && weight >= 0.0;
            in_range(method, key, &weight, "finite and not negative", ok)?;
        }
        Ok(())
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("penalty_weight", -1.0, 5.0),
            SearchDimension::log_uniform_integer("anneal_steps", 0.0, 4.0),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Irm::new(*self)))
    }
}

/// `mean_e R_e + λ mean_e (d R_e(w·z) / dw at w = 1)²`
///
/// With `r = ∂ℓ/∂z` of a sample the derivative is `mean ⟨r, z⟩`, so no second-order automatic
/// differentiation is needed.
///
/// # References
/// Arjovsky et al. 2019, objective `IRMv1`; the unbiased estimate is their appendix D.
/// Deviation: risks and penalties are averaged over environments where the paper sums.
pub struct Irm {
    config: IrmConfig,
}

impl Irm {
    /// The objective with the given settings.
    pub fn new(config: IrmConfig) -> Self {
        Self { config }
    }

    fn weight(&self, step: u64) -> f64 {
        if step >= self.config.anneal_steps {
            self.config.penalty_weight
        } else {
            self.config.penalty_weight_before
        }
    }
}

/// Penalty of one environment, a scalar.
///
/// # Errors
/// When the environment is unlabelled.
pub fn penalty(
    environment: &EnvironmentOutputs,
    loss: &dyn SampleLoss,
    form: PenaltyForm,
) -> Result<Tensor> {
    let slopes = slopes(environment, &environment.outputs, loss)?;
    let count = slopes.elem_count();
    if form == PenaltyForm::Paper || count < 2 {
        return Ok(slopes.mean_all()?.sqr()?);
    }
    let half = |first: usize| -> Result<Tensor> {
        let rows: Vec<u32> = (first..count).step_by(2).map(|i| i as u32).collect();
        let rows = Tensor::new(rows, slopes.device())?;
        Ok(slopes.index_select(&rows, 0)?.mean_all()?)
    };
    Ok(half(0)?.mul(&half(1)?)?)
}

/// `⟨∂ℓ/∂z, direction⟩` of every sample at the environment's outputs z, `[B]`: how its loss moves
/// with a step along `direction`, which has the shape of the outputs.
pub(crate) fn slopes(
    environment: &EnvironmentOutputs,
    direction: &Tensor,
    loss: &dyn SampleLoss,
) -> Result<Tensor> {
    let products = environment.output_gradient(loss)?.mul(direction)?;
    if products.rank() > 1 {
        return Ok(products.flatten_from(1)?.sum(D::Minus1)?);
    }
    Ok(products)
}

impl Objective for Irm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risk = mean_risk(step)?;
        let penalties = step
            .labelled()?
            .into_iter()
            .map(|e| penalty(e, step.loss, self.config.penalty))
            .collect::<Result<Vec<_>>>()?;
        let penalty = Tensor::stack(&penalties, 0)?.mean_all()?;
        let weight = self.weight(step.number);
        Value::penalised(&risk, ("irm-penalty", penalty), weight, self.config.rescale)
    }

    fn resets_optimiser_before(&self, number: u64) -> bool {
        self.config.reset_optimiser && number > 0 && number == self.config.anneal_steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, evaluate_at};

    /// One sample with logits (0, a) and label 1: slope is (σ(a) − 1)·a.
    #[test]
    fn penalty_by_hand_before_and_after_annealing() {
        let a = 1.5f64;
        let environments = [classification(0, &[[0.0, a]], &[1])];
        let config = IrmConfig {
            penalty_weight: 10.0,
            anneal_steps: 3,
            penalty: PenaltyForm::Paper,
            ..IrmConfig::default()
        };
        let mut irm = Irm::new(config);
        let risk = (1.0 + (-a).exp()).ln();
        let penalty = ((1.0 / (1.0 + (-a).exp()) - 1.0) * a).powi(2);
        for (step, weight) in [(0, 1.0), (2, 1.0), (3, 10.0)] {
            let value = evaluate_at(&mut irm, &environments, step);
            let total = value.total.to_scalar::<f64>().unwrap();
            assert!(
                (total - (risk + weight * penalty)).abs() < 1e-12,
                "step {step}"
            );
            assert_eq!(irm.resets_optimiser_before(step), step == 3);
        }
        let mut rescaled = Irm::new(IrmConfig {
            rescale: true,
            ..config
        });
        let value = evaluate_at(&mut rescaled, &environments, 3);
        let total = value.total.to_scalar::<f64>().unwrap();
        assert!((total - (risk / 10.0 + penalty)).abs() < 1e-12);
        assert!((value.risk_scale - 0.1).abs() < 1e-15);
    }

    #[test]
    fn constant_logits_of_zero_have_no_penalty() {
        let environments = [classification(0, &[[0.0, 0.0], [0.0, 0.0]], &[0, 1])];
        let value = evaluate_at(&mut Irm::new(IrmConfig::default()), &environments, 900);
        assert_eq!(value.term("irm-penalty").unwrap(), Some(0.0));
    }
}
