//! Empirical risk minimisation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, Status, Step, Value, mean_risk,
};

/// Description of `erm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "erm",
    name: "ERM",
    family: Family::Baseline,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
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

/// `erm` has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErmConfig {}

impl MethodConfig for ErmConfig {
    fn validate(&self, _method: &'static str) -> std::result::Result<(), ConfigError> {
        Ok(())
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Erm))
    }
}

/// `mean_e R_e`
pub struct Erm;

impl Objective for Erm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risk = mean_risk(step)?;
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
        let value = evaluate(&mut Erm, &environments);
        let total = value.total.to_scalar::<f64>().unwrap();
        assert!((total - std::f64::consts::LN_2).abs() < 1e-12);
    }
}
