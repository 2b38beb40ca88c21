//! Alignment by maximum mean discrepancy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, in_range, mean_risk,
    mmd_distance, pairwise_mean,
};

/// Description of `mmd`.
pub const INFO: MethodInfo = MethodInfo {
    id: "mmd",
    name: "MMD",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::InvariantFeatureMarginal],
    paper: "Li, Pan, Wang & Kot 2018, Domain Generalization with Adversarial Feature Learning; \
            Gretton et al. 2012",
    summary: "Aligns the whole distribution of the features between the sources by kernels.",
};

/// Settings of `mmd`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MmdConfig {
    /// Weight of the mean distance over pairs of environments, not negative.
    pub penalty_weight: f64,
    /// Inverse squared widths of the Gaussian kernels, at least one, all positive.
    pub gammas: Vec<f64>,
}

impl Default for MmdConfig {
    /// The kernel set of `DomainBed`.
    fn default() -> Self {
        Self {
            penalty_weight: 1.0,
            gammas: vec![0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0],
        }
    }
}

impl MethodConfig for MmdConfig {
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
        let ok = !self.gammas.is_empty() && self.gammas.iter().all(|g| g.is_finite() && *g > 0.0);
        let shown = format!("{:?}", self.gammas);
        in_range(
            method,
            "gammas",
            &shown,
            "a list of at least one positive number",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("penalty_weight", -1.0, 1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Mmd {
            config: self.clone(),
        }))
    }
}

/// Mean risk plus the weighted mean [`mmd_distance`] over all pairs of environments.
pub struct Mmd {
    /// Settings.
    pub config: MmdConfig,
}

impl Objective for Mmd {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let features: Vec<_> = step.environments.iter().map(|e| &e.features).collect();
        let gammas = &self.config.gammas;
        let penalty = pairwise_mean(&features, |a, b| mmd_distance(a, b, gammas))?;
        let weight = self.config.penalty_weight;
        Value::penalised(&mean_risk(step)?, ("mmd-penalty", penalty), weight, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, evaluate};

    /// One point each at distance 1, γ = 1: 1 + 1 − 2/e.
    #[test]
    fn distance_by_hand() {
        let environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[1.0, 0.0]], &[0]),
        ];
        let config = MmdConfig {
            gammas: vec![1.0],
            ..MmdConfig::default()
        };
        let value = evaluate(&mut Mmd { config }, &environments);
        let penalty = value.term("mmd-penalty").unwrap().unwrap();
        assert!((penalty - (2.0 - 2.0 * (-1f64).exp())).abs() < 1e-12);
    }
}
