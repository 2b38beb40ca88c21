//! Minimax risk extrapolation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, in_range,
};

/// Description of `mm-rex`.
pub const INFO: MethodInfo = MethodInfo {
    id: "mm-rex",
    name: "MM-REx",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::TargetExtrapolatesSources,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Krueger et al. 2021, Out-of-Distribution Generalization via Risk Extrapolation",
    summary: "Minimises the worst affine combination of the risks, negative weights allowed.",
};

/// Settings of `mm-rex`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MmRexConfig {
    /// Smallest weight an environment may get from `anneal_steps` on; at most 0 (at 0 it is the
    /// worst risk alone).
    pub lambda_min: f64,
    /// Steps of plain training before.
    pub anneal_steps: u64,
    /// Divide the total by `−lambda_min` where that is above 1.
    pub rescale: bool,
    /// Reset the optimiser when the extrapolation sets in.
    pub reset_optimiser: bool,
}

impl Default for MmRexConfig {
    fn default() -> Self {
        Self {
            lambda_min: -1.0,
            anneal_steps: 500,
            rescale: false,
            reset_optimiser: true,
        }
    }
}

impl MethodConfig for MmRexConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.lambda_min.is_finite() && self.lambda_min <= 0.0;
        in_range(
            method,
            "lambda_min",
            &self.lambda_min,
            "finite and at most 0",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        let weights = [-0.1, -1.0, -10.0, -100.0, -1000.0, -10_000.0];
        vec![
            SearchDimension::choice("lambda_min", weights.map(Into::into).to_vec()),
            SearchDimension::log_uniform_integer("anneal_steps", 0.0, 4.0),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(MmRex::new(*self)))
    }
}

/// `(1 − E λ) max_e R_e + λ Σ_e R_e`
///
/// # References
/// Krueger et al. 2021, equation 7. Before `anneal_steps` the mean risk is minimised.
pub struct MmRex {
    config: MmRexConfig,
}

impl MmRex {
    /// The objective with the given settings.
    pub fn new(config: MmRexConfig) -> Self {
        Self { config }
    }
}

impl Objective for MmRex {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risks = step.risks()?;
        let risk = risks.mean_all()?;
        if step.number < self.config.anneal_steps {
            return Ok(Value::new(risk.clone(), vec![("risk", risk)]));
        }
        let worst = worst_risk(&risks)?;
        let lambda = self.config.lambda_min;
        let environments = risks.elem_count() as f64;
        let worst_part = (&worst * (1.0 - environments * lambda))?;
        let total = (worst_part + (risks.sum_all()? * lambda)?)?;
        let scale = if self.config.rescale && lambda < -1.0 {
            -1.0 / lambda
        } else {
            1.0
        };
        let terms = vec![("risk", risk), ("worst-risk", worst)];
        let mut value = Value::new((total * scale)?, terms);
        value.risk_scale = scale;
        Ok(value)
    }

    fn resets_optimiser_before(&self, number: u64) -> bool {
        self.config.reset_optimiser && number > 0 && number == self.config.anneal_steps
    }
}

/// The largest risk; a tie goes to the first.
fn worst_risk(risks: &candle_core::Tensor) -> Result<candle_core::Tensor> {
    let values = risks.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>()?;
    let mut worst = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[worst] {
            worst = index;
        }
    }
    Ok(risks.get(worst)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, evaluate_at};

    /// λ = −1, E = 2: 3·max − (R₀ + R₁).
    #[test]
    fn value_by_hand() {
        let environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[0.0, 1.0]], &[0]),
        ];
        let value = evaluate_at(&mut MmRex::new(MmRexConfig::default()), &environments, 500);
        let (r0, r1) = (2f64.ln(), (1.0 + 1f64.exp()).ln());
        let total = value.total.to_scalar::<f64>().unwrap();
        assert!((total - (3.0 * r1 - (r0 + r1))).abs() < 1e-12);
    }
}
