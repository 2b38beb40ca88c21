//! Fishr: variances of gradients are made alike.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gradients::{
    Reduction, gradient_variance, sample_gradients, smoothed_variance, variance_penalty,
};
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, ObjectiveError, ObjectiveState, Result, Role, SearchDimension, Status, Step, Value,
    in_range, pooled_risk,
};

/// Description of `fishr`.
pub const INFO: MethodInfo = MethodInfo {
    id: "fishr",
    name: "Fishr",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Rame, Dancette & Cord 2022, Fishr: Invariant Gradient Variances for Out-of-Distribution Generalization",
    summary: "Penalises differences between the environments' variances of the last layer's gradients.",
};

/// Settings of `fishr`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FishrConfig {
    /// Weight of the penalty from `anneal_steps` on, not negative.
    pub penalty_weight: f64,
    /// Steps before the penalty sets in, and the optimiser is reset.
    pub anneal_steps: u64,
    /// Share of the past in the moving average of the variances, in [0, 1).
    pub ema: f64,
    /// How squared differences become one number.
    pub reduction: Reduction,
}

impl Default for FishrConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            penalty_weight: 1000.0,
            anneal_steps: 1500,
            ema: 0.95,
            reduction: Reduction::Mean,
        }
    }
}

impl MethodConfig for FishrConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let weight = self.penalty_weight;
        let ok = weight.is_finite() && weight >= 0.0;
        in_range(
            method,
            "penalty_weight",
            &weight,
            "finite and not negative",
            ok,
        )?;
        let ok = (0.0..1.0).contains(&self.ema);
        in_range(method, "ema", &self.ema, "in [0, 1)", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("penalty_weight", 1.0, 4.0),
            SearchDimension::uniform_integer("anneal_steps", 0.0, 5000.0),
            SearchDimension::uniform("ema", 0.90, 0.99),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Fishr::new(*self)))
    }
}

/// `R + λ mean_e ‖v_e − mean v‖²`, `v_e` the variance over the samples of an environment of the
/// gradients with respect to the last linear layer, smoothed over steps.
///
/// # References
/// Rame et al. 2022, section 3; smoothing, the mean over entries and the optimiser's reset are those
/// of the authors' program, as `DomainBed` has it.
/// Of a network that does not end with a linear layer the gradient is that of an affine map of its
/// outputs at the identity.
pub struct Fishr {
    config: FishrConfig,
    averages: BTreeMap<usize, Tensor>,
}

const STATE: &str = "variance of environment ";

impl Fishr {
    /// The objective with the given settings.
    pub fn new(config: FishrConfig) -> Self {
        Self {
            config,
            averages: BTreeMap::new(),
        }
    }
}

impl Objective for Fishr {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risk = pooled_risk(step)?;
        let mut used = Vec::new();
        for environment in step.labelled()? {
            let slopes = environment.output_gradient(step.loss)?;
            let samples = sample_gradients(&environment.last_input()?, &slopes)?;
            let variance = gradient_variance(&samples)?;
            let previous = self.averages.get(&environment.environment);
            let (smoothed, kept) = smoothed_variance(previous, &variance, self.config.ema)?;
            self.averages.insert(environment.environment, kept);
            used.push(smoothed);
        }
        let penalty = variance_penalty(&used, self.config.reduction)?;
        let weight = if step.number >= self.config.anneal_steps {
            self.config.penalty_weight
        } else {
            0.0
        };
        Value::penalised(&risk, ("fishr-penalty", penalty), weight, false)
    }

    fn resets_optimiser_before(&self, number: u64) -> bool {
        number > 0 && number == self.config.anneal_steps
    }

    fn state(&self) -> Result<ObjectiveState> {
        let averages = self.averages.iter();
        averages
            .map(|(environment, average)| {
                let values = average.to_dtype(DType::F32)?.to_vec1()?;
                Ok((format!("{STATE}{environment}"), values))
            })
            .collect()
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        let mut averages = BTreeMap::new();
        for (key, values) in state {
            let environment = key.strip_prefix(STATE).and_then(|n| n.parse().ok());
            let environment = environment.ok_or_else(|| ObjectiveError::State {
                method: INFO.id,
                key: key.clone(),
                expected: format!("{STATE}N"),
                found: "another name".into(),
            })?;
            let average = Tensor::new(values.as_slice(), &Device::Cpu)?;
            averages.insert(environment, average);
        }
        self.averages = averages;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, evaluate_at};

    fn fishr(ema: f64) -> Fishr {
        Fishr::new(FishrConfig {
            penalty_weight: 2.0,
            anneal_steps: 1,
            ema,
            ..FishrConfig::default()
        })
    }

    /// Logits of 0: gradients of the biases are ±(½, −½), so their variance is ¼ where labels are
    /// mixed and 0 where they are not.
    #[test]
    fn penalty_by_hand_and_only_after_annealing() {
        let environments = [
            classification(0, &[[0.0, 0.0], [0.0, 0.0]], &[0, 1]),
            classification(1, &[[0.0, 0.0], [0.0, 0.0]], &[1, 1]),
        ];
        let mut objective = fishr(0.0);
        let before = evaluate_at(&mut objective, &environments, 0);
        let after = evaluate_at(&mut objective, &environments, 1);
        // Six entries, two of which differ by ±⅛ from their mean.
        let penalty = 2.0 / 64.0 / 6.0;
        let found = after.term("fishr-penalty").unwrap().unwrap();
        assert!((found - penalty).abs() < 1e-12, "{found}");
        let total = |value: &Value| value.total.to_scalar::<f64>().unwrap();
        assert!((total(&after) - total(&before) - 2.0 * penalty).abs() < 1e-12);
        assert!(objective.resets_optimiser_before(1) && !objective.resets_optimiser_before(2));
    }

    #[test]
    fn averages_go_on_where_they_were() {
        let environments = [
            classification(0, &[[0.0, 0.5], [1.0, 0.0]], &[0, 1]),
            classification(1, &[[0.25, 0.0], [0.0, 2.0]], &[1, 1]),
        ];
        let mut first = fishr(0.5);
        evaluate_at(&mut first, &environments, 0);
        let mut resumed = fishr(0.5);
        // What is stored is in single precision.
        let state = first.state().unwrap();
        resumed.restore(&state).unwrap();
        assert_eq!(resumed.state().unwrap(), state);
        let error = resumed.restore(&[("x".to_owned(), vec![0.0])].into());
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("variance of environment")
        );
    }
}
