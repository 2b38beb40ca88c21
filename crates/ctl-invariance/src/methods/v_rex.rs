//! Variance risk extrapolation.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, in_range,
};

/// Description of `v-rex`.
pub const INFO: MethodInfo = MethodInfo {
    id: "v-rex",
    name: "V-REx",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::TargetExtrapolatesSources,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Krueger et al. 2021, Out-of-Distribution Generalization via Risk Extrapolation",
    summary: "Penalises the variance of the environments' risks.",
};

/// Settings of `v-rex`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VRexConfig {
    /// Weight of the penalty from `anneal_steps` on, not negative.
    pub penalty_weight: f64,
    /// Weight of the penalty before, not negative.
    pub penalty_weight_before: f64,
    /// Steps before the full weight sets in.
    pub anneal_steps: u64,
    /// Divide the total by the penalty weight where it is above 1.
    pub rescale: bool,
    /// Reset the optimiser when the full weight sets in.
    pub reset_optimiser: bool,
}

impl Default for VRexConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            penalty_weight: 10.0,
            penalty_weight_before: 1.0,
            anneal_steps: 500,
            rescale: false,
            reset_optimiser: true,
        }
    }
}

impl MethodConfig for VRexConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        for (key, weight) in [
            ("penalty_weight", self.penalty_weight),
            ("penalty_weight_before", self.penalty_weight_before),
        ] {
            let ok = weight.is_finite() && weight >= 0.0;
            in_range(method, key, &weight, "finite and not negative", ok)?;
        }
        Ok(())
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("penalty_weight", -1.0, 5.0),
            SearchDimension::log_uniform_integer("anneal_steps", 0.0, 4.0),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(VRex::new(*self)))
    }
}

/// `mean_e R_e + λ mean_e (R_e − mean R)²`
///
/// # References
/// Krueger et al. 2021, equation 8. Deviation: the mean of the risks where the paper sums.
pub struct VRex {
    config: VRexConfig,
}

impl VRex {
    /// The objective with the given settings.
    pub fn new(config: VRexConfig) -> Self {
        Self { config }
    }
}

/// Population variance of the risks `[E]`.
fn variance(risks: &Tensor) -> Result<Tensor> {
    Ok(risks.broadcast_sub(&risks.mean_all()?)?.sqr()?.mean_all()?)
}

impl Objective for VRex {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risks = step.risks()?;
        let weight = if step.number >= self.config.anneal_steps {
            self.config.penalty_weight
        } else {
            self.config.penalty_weight_before
        };
        let penalty = ("v-rex-penalty", variance(&risks)?);
        Value::penalised(&risks.mean_all()?, penalty, weight, self.config.rescale)
    }

    fn resets_optimiser_before(&self, number: u64) -> bool {
        self.config.reset_optimiser && number > 0 && number == self.config.anneal_steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, evaluate_at};

    /// Two environments with risks log 2 and log(1 + e): variance ((log(1 + e) − log 2) / 2)².
    #[test]
    fn penalty_by_hand() {
        let environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[0.0, 1.0]], &[0]),
        ];
        let mut rex = VRex::new(VRexConfig::default());
        let value = evaluate_at(&mut rex, &environments, 500);
        let (r0, r1) = (2f64.ln(), (1.0 + 1f64.exp()).ln());
        let expected = f64::midpoint(r0, r1) + 10.0 * ((r1 - r0) / 2.0).powi(2);
        assert!((value.total.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
        assert!(rex.resets_optimiser_before(500) && !rex.resets_optimiser_before(499));
    }
}
