//! Empirical risk minimisation through an information bottleneck.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check_weight;
use crate::{
    Assumption, BuildContext, ConfigError, EnvironmentOutputs, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, Result, Role, SearchDimension, Status, Step, Value, mean_risk,
};

/// Description of `ib-erm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "ib-erm",
    name: "IB-ERM",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::LeastVariableFeatures,
    ],
    paper: "Ahuja et al. 2021, Invariance Principle Meets Information Bottleneck for Out-of-Distribution Generalization",
    summary: "Penalises the variance of the features within each environment.",
};

/// Settings of `ib-erm`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IbErmConfig {
    /// Weight of the features' variance from `anneal_steps` on, not negative; 0 before.
    pub penalty_weight: f64,
    /// Steps before the weight sets in.
    pub anneal_steps: u64,
    /// Reset the optimiser when the weight sets in.
    pub reset_optimiser: bool,
}

impl Default for IbErmConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            penalty_weight: 100.0,
            anneal_steps: 500,
            reset_optimiser: true,
        }
    }
}

impl MethodConfig for IbErmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "penalty_weight", self.penalty_weight)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("penalty_weight", -1.0, 5.0),
            SearchDimension::log_uniform_integer("anneal_steps", 0.0, 4.0),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(IbErm { config: *self }))
    }
}

/// `mean_e R_e + λ mean_e mean_f Var(φ_f)`
///
/// # References
/// Ahuja et al. 2021, with the variance of the features in place of their entropy. As in
/// `DomainBed` it is the variance within an environment, averaged over features.
pub struct IbErm {
    /// Settings.
    pub config: IbErmConfig,
}

/// Unbiased variance of an environment's features, averaged over the features; 0 where there is a
/// single sample.
///
/// # Errors
/// When the features are no matrix.
pub fn bottleneck(environment: &EnvironmentOutputs) -> Result<Tensor> {
    let features = &environment.features;
    let (rows, _) = features.dims2()?;
    let centred = features.broadcast_sub(&features.mean_keepdim(0)?)?;
    let scale = rows as f64 / (rows as f64 - 1.0).max(1.0);
    Ok((centred.sqr()?.mean_all()? * scale)?)
}

/// Mean of the [`bottleneck`]s of the labelled environments.
pub(crate) fn mean_bottleneck(step: &Step<'_>) -> Result<Tensor> {
    let environments = step.labelled()?.into_iter();
    let variances = environments.map(bottleneck).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::stack(&variances, 0)?.mean_all()?)
}

impl Objective for IbErm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let weight = if step.number >= self.config.anneal_steps {
            self.config.penalty_weight
        } else {
            0.0
        };
        let penalty = ("ib-penalty", mean_bottleneck(step)?);
        Value::penalised(&mean_risk(step)?, penalty, weight, false)
    }

    fn resets_optimiser_before(&self, number: u64) -> bool {
        self.config.reset_optimiser && number > 0 && number == self.config.anneal_steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate_at, scalar, tensor,
        values,
    };

    /// Features (0, 0), (2, 4): variances 2 and 8; one sample alone has none.
    #[test]
    fn penalty_by_hand_before_and_after_annealing() {
        let environments = [
            classification(0, &[[0.0, 0.0], [2.0, 4.0]], &[0, 1]),
            classification(1, &[[1.0, 1.0]], &[1]),
        ];
        let config = IbErmConfig {
            penalty_weight: 10.0,
            anneal_steps: 2,
            ..IbErmConfig::default()
        };
        let mut objective = IbErm { config };
        for (step, weight) in [(0, 0.0), (1, 0.0), (2, 10.0)] {
            let value = evaluate_at(&mut objective, &environments, step);
            let risk = value.term("risk").unwrap().unwrap();
            assert_near(scalar(&value.total), risk + weight * 2.5);
            assert_eq!(objective.resets_optimiser_before(step), step == 2);
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let logits = tensor(&values(10, 1), &[5, 2]);
        let features = tensor(&values(15, 4), &[5, 3]);
        assert_gradient(&features, |x| {
            let environments = environments_of((x, &logits), &[0, 1, 0, 1, 1], &[2, 3]);
            let config = IbErmConfig::default();
            evaluate_at(&mut IbErm { config }, &environments, 500).total
        });
    }
}
