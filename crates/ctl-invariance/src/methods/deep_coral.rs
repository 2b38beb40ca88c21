//! Deep CORAL as in its paper: covariances alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check_weight;
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, deep_coral_distance, mean_risk,
    pairwise_mean,
};

/// Description of `deep-coral`.
pub const INFO: MethodInfo = MethodInfo {
    id: "deep-coral",
    name: "Deep CORAL",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::InvariantFeatureMarginal],
    paper: "Sun & Saenko 2016, Deep CORAL: Correlation Alignment for Deep Domain Adaptation",
    summary: "Aligns covariances of the features between the sources, in the paper's scaling.",
};

/// Settings of `deep-coral`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeepCoralConfig {
    /// Weight of the mean distance over pairs of environments, not negative.
    pub penalty_weight: f64,
}

impl Default for DeepCoralConfig {
    fn default() -> Self {
        Self {
            penalty_weight: 1.0,
        }
    }
}

impl MethodConfig for DeepCoralConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "penalty_weight", self.penalty_weight)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("penalty_weight", -1.0, 1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(DeepCoral { config: *self }))
    }
}

/// Mean risk of the labelled environments plus the weighted mean [`deep_coral_distance`] over all
/// pairs of environments, an unlabelled target included.
///
/// # References
/// Sun & Saenko 2016, equation 1. Deviations: the mean over all pairs of sources where the
/// paper has one source and one target; features where it takes the last layer's outputs.
pub struct DeepCoral {
    /// Settings.
    pub config: DeepCoralConfig,
}

impl Objective for DeepCoral {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let features: Vec<_> = step.environments.iter().map(|e| &e.features).collect();
        let penalty = (
            "deep-coral-penalty",
            pairwise_mean(&features, deep_coral_distance)?,
        );
        let weight = self.config.penalty_weight;
        Value::penalised(&mean_risk(step)?, penalty, weight, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate, scalar, tensor,
        values,
    };

    fn deep_coral() -> DeepCoral {
        let config = DeepCoralConfig {
            penalty_weight: 3.0,
        };
        DeepCoral { config }
    }

    /// Covariances diag(2, 0) and diag(0, 8): (4 + 64) / 16; a shift of the means changes nothing.
    #[test]
    fn distance_by_hand() {
        let environments = [
            classification(0, &[[0.0, 0.0], [2.0, 0.0]], &[0, 0]),
            classification(1, &[[7.0, 0.0], [7.0, 4.0]], &[0, 0]),
        ];
        let value = evaluate(&mut deep_coral(), &environments);
        assert_near(value.term("deep-coral-penalty").unwrap().unwrap(), 4.25);
        let risk = value.term("risk").unwrap().unwrap();
        assert_near(scalar(&value.total), risk + 3.0 * 4.25);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let logits = tensor(&values(14, 1), &[7, 2]);
        let features = tensor(&values(21, 2), &[7, 3]);
        assert_gradient(&features, |x| {
            let environments = environments_of((x, &logits), &[0, 1, 0, 1, 1, 0, 0], &[3, 4]);
            evaluate(&mut deep_coral(), &environments).total
        });
    }
}
