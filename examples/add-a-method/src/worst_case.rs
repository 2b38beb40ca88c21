//! Steps 1 to 3 of "Add a method": settings, objective, description.

use candle_core::Tensor;
use ctl_invariance::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, in_range,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Description of `worst-case`.
pub const INFO: MethodInfo = MethodInfo {
    id: "worst-case",
    name: "Smooth worst case",
    family: Family::Invariance,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::TargetIsMixtureOfSources],
    paper: "Ben-Tal, El Ghaoui & Nemirovski 2009, Robust Optimization (soft maximum of the risks)",
    summary: "Minimises a soft maximum of the environments' risks.",
};

/// Settings of `worst-case`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorstCaseConfig {
    /// Sharpness of the maximum, positive: towards 0 the mean, large the worst environment.
    pub sharpness: f64,
}

impl Default for WorstCaseConfig {
    fn default() -> Self {
        Self { sharpness: 5.0 }
    }
}

impl MethodConfig for WorstCaseConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.sharpness.is_finite() && self.sharpness > 0.0;
        in_range(
            method,
            "sharpness",
            &self.sharpness,
            "positive and finite",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("sharpness", -1.0, 2.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(WorstCase { config: *self }))
    }
}

/// `(1/s) log mean_e exp(s R_e)`
pub struct WorstCase {
    /// Settings.
    pub config: WorstCaseConfig,
}

impl Objective for WorstCase {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risks = step.risks()?;
        let total = soft_maximum(&risks, self.config.sharpness)?;
        let terms = vec![("risk", risks.mean_all()?), ("soft-maximum", total.clone())];
        Ok(Value::new(total, terms))
    }
}

/// Shifted by the largest risk, so that no exponential overflows.
fn soft_maximum(risks: &Tensor, sharpness: f64) -> Result<Tensor> {
    let largest = risks.max_all()?.detach();
    let powers = (risks.broadcast_sub(&largest)? * sharpness)?.exp()?;
    Ok(((powers.mean_all()?.log()? / sharpness)? + largest)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Risks 0 and log 2 at s = 1: log((1 + 2)/2).
    #[test]
    fn soft_maximum_by_hand() {
        let risks = Tensor::new(&[0.0, 2f64.ln()], &Device::Cpu).unwrap();
        let value = soft_maximum(&risks, 1.0)
            .unwrap()
            .to_scalar::<f64>()
            .unwrap();
        assert!((value - 1.5f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn between_mean_and_maximum() {
        let risks = Tensor::new(&[0.3, 0.9, 0.4], &Device::Cpu).unwrap();
        for sharpness in [0.1, 1.0, 10.0, 1000.0] {
            let value = soft_maximum(&risks, sharpness)
                .unwrap()
                .to_scalar::<f64>()
                .unwrap();
            assert!((0.533..=0.9).contains(&value), "{sharpness}: {value}");
        }
    }

    #[test]
    fn an_ill_setting_is_named() {
        let ill = WorstCaseConfig { sharpness: -1.0 };
        let message = ill.validate("worst-case").unwrap_err().to_string();
        assert!(message.contains("sharpness = -1"), "{message}");
    }
}
