//! Alignment by maximum mean discrepancy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{check_gammas, check_weight};
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, mean_risk, mmd_distance,
    pairwise_mean,
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

/// Description of `mmd-target`.
pub const TARGET_INFO: MethodInfo = MethodInfo {
    id: "mmd-target",
    name: "MMD with target images",
    role: Role::Adaptation,
    needs: Needs::TARGET,
    paper: "Long, Cao, Wang & Jordan 2015, Learning Transferable Features with Deep Adaptation \
            Networks; Gretton et al. 2012",
    summary: "Aligns the whole distribution of the features between sources and target by kernels.",
    ..INFO
};

/// Settings of `mmd` and `mmd-target`.
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
        check_weight(method, "penalty_weight", self.penalty_weight)?;
        check_gammas(method, &self.gammas)
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

/// Mean risk of the labelled environments plus the weighted mean [`mmd_distance`] over all pairs of
/// environments, the unlabelled target included.
///
/// # References
/// Li et al. 2018, in the form of `DomainBed`: no adversarial autoencoder. With a target as Long et
/// al. 2015, equation 4, on one layer; deviation: sources are aligned with one another as well.
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

    /// The target's features count, its labels are not there.
    #[test]
    fn an_unlabelled_target_is_aligned() {
        let source = classification(0, &[[0.0, 0.0]], &[0]);
        let mut target = classification(1, &[[1.0, 0.0]], &[0]);
        target.targets.clear();
        let config = MmdConfig {
            gammas: vec![1.0],
            ..MmdConfig::default()
        };
        let value = evaluate(&mut Mmd { config }, &[source, target]);
        let expected = 2f64.ln() + 2.0 - 2.0 * (-1f64).exp();
        assert!((value.total.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
    }

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
