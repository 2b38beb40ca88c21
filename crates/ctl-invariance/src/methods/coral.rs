//! Correlation alignment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, coral_distance, in_range,
    mean_risk, pairwise_mean,
};

/// Description of `coral`.
pub const INFO: MethodInfo = MethodInfo {
    id: "coral",
    name: "CORAL",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::InvariantFeatureMarginal],
    paper: "Sun & Saenko 2016, Deep CORAL",
    summary: "Aligns means and covariances of the features between the sources.",
};

/// Description of `coral-target`.
pub const TARGET_INFO: MethodInfo = MethodInfo {
    id: "coral-target",
    name: "CORAL with target images",
    role: Role::Adaptation,
    needs: Needs::TARGET,
    summary: "Aligns means and covariances of the features between sources and target.",
    ..INFO
};

/// Settings of `coral` and `coral-target`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CoralConfig {
    /// Weight of the mean distance over pairs of environments, not negative.
    pub penalty_weight: f64,
}

impl Default for CoralConfig {
    fn default() -> Self {
        Self {
            penalty_weight: 1.0,
        }
    }
}

impl MethodConfig for CoralConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let weight = self.penalty_weight;
        let ok = weight.is_finite() && weight >= 0.0;
        in_range(
            method,
            "penalty_weight",
            &weight,
            "finite and not negative",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("penalty_weight", -1.0, 1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Coral { config: *self }))
    }
}

/// Mean risk of the labelled environments plus the weighted mean [`coral_distance`] over all pairs
/// of environments, the unlabelled target included.
///
/// # References
/// Sun & Saenko 2016, in `DomainBed`'s scaling.
pub struct Coral {
    /// Settings.
    pub config: CoralConfig,
}

impl Objective for Coral {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let features: Vec<_> = step.environments.iter().map(|e| &e.features).collect();
        let penalty = pairwise_mean(&features, coral_distance)?;
        let weight = self.config.penalty_weight;
        Value::penalised(&mean_risk(step)?, ("coral-penalty", penalty), weight, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, evaluate};

    /// Features (0,0),(2,0) against (0,0),(0,4): means differ by (1,−2), covariances are diag(2,0)
    /// and diag(0,8): (1 + 4)/2 + (4 + 64)/4.
    #[test]
    fn distance_by_hand() {
        let environments = [
            classification(0, &[[0.0, 0.0], [2.0, 0.0]], &[0, 0]),
            classification(1, &[[0.0, 0.0], [0.0, 4.0]], &[0, 0]),
        ];
        let mut coral = Coral {
            config: CoralConfig::default(),
        };
        let value = evaluate(&mut coral, &environments);
        assert_eq!(value.term("coral-penalty").unwrap(), Some(2.5 + 17.0));
        let alone = evaluate(&mut coral, &environments[..1]);
        assert_eq!(alone.term("coral-penalty").unwrap(), Some(0.0));
    }
}
