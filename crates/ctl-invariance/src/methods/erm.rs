//! Empirical risk minimisation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, Status, Step, Value, mean_risk, pooled_risk,
};

/// Description of `erm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "erm",
    name: "ERM",
    family: Family::Baseline,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::InvariantLabelMechanismOnSharedSupport],
    paper: "Vapnik 1998, Statistical Learning Theory",
    summary: "Minimises the mean of the environments' risks.",
};

/// Description of `erm-oracle`.
pub const ORACLE_INFO: MethodInfo = MethodInfo {
    id: "erm-oracle",
    name: "ERM without the shortcut",
    family: Family::Baseline,
    role: Role::Oracle,
    needs: Needs {
        oracle_view: true,
        ..Needs::NOTHING
    },
    assumptions: &[Assumption::KnownShortcut],
    summary: "ERM on images from which the cohort removed the shortcut: what knowing it is worth.",
    ..INFO
};

/// How the risks of the environments become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// The mean over environments: each counts the same.
    #[default]
    EnvironmentMean,
    /// The mean over samples: large environments weigh more.
    Pooled,
}

/// Settings of `erm` and `erm-oracle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ErmConfig {
    /// How the risks of the environments become one.
    pub aggregation: Aggregation,
}

impl MethodConfig for ErmConfig {
    fn validate(&self, _method: &'static str) -> std::result::Result<(), ConfigError> {
        Ok(())
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Erm { config: *self }))
    }
}

/// `mean_e R_e`, or `Σ_e n_e R_e / Σ_e n_e` over the pooled samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Erm {
    /// Settings.
    pub config: ErmConfig,
}

impl Objective for Erm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risk = match self.config.aggregation {
            Aggregation::EnvironmentMean => mean_risk(step)?,
            Aggregation::Pooled => pooled_risk(step)?,
        };
        Ok(Value::new(risk.clone(), vec![("risk", risk)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, evaluate};

    /// Logits (0, 0): risk log 2 in every environment.
    #[test]
    fn risk_of_an_undecided_predictor() {
        let environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[0.0, 0.0]], &[1]),
        ];
        let value = evaluate(&mut Erm::default(), &environments);
        let total = value.total.to_scalar::<f64>().unwrap();
        assert!((total - std::f64::consts::LN_2).abs() < 1e-12);
    }

    /// Risks log 2 (two samples) and log(1 + e) (one): pooling weighs them 2 : 1.
    #[test]
    fn pooling_weighs_by_size() {
        let environments = [
            classification(0, &[[0.0, 0.0], [0.0, 0.0]], &[0, 1]),
            classification(1, &[[0.0, 1.0]], &[0]),
        ];
        let config = ErmConfig {
            aggregation: Aggregation::Pooled,
        };
        let value = evaluate(&mut Erm { config }, &environments);
        let expected = (2.0 * 2f64.ln() + (1.0 + 1f64.exp()).ln()) / 3.0;
        assert!((value.total.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
    }
}
