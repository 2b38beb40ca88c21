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
    exceptions: &[],
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
    /// The smallest weight before; none minimises the mean risk.
    pub lambda_min_before: Option<f64>,
    /// Steps before `lambda_min` sets in.
    pub anneal_steps: u64,
    /// Divide the total by `−λ` of the step where that is above 1.
    pub rescale: bool,
    /// Reset the optimiser when the extrapolation sets in.
    pub reset_optimiser: bool,
}

impl Default for MmRexConfig {
    fn default() -> Self {
        Self {
            lambda_min: -1.0,
            lambda_min_before: None,
            anneal_steps: 500,
            rescale: false,
            reset_optimiser: true,
        }
    }
}

impl MethodConfig for MmRexConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        for (key, lambda) in [
            ("lambda_min", Some(self.lambda_min)),
            ("lambda_min_before", self.lambda_min_before),
        ] {
            let Some(lambda) = lambda else { continue };
            let ok = lambda.is_finite() && lambda <= 0.0;
            in_range(method, key, &lambda, "finite and at most 0", ok)?;
        }
        Ok(())
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
/// Krueger et al. 2021, equation 7. Before `anneal_steps`, λ is `lambda_min_before`; without it
/// the mean risk is minimised.
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
        let lambda = if step.number < self.config.anneal_steps {
            self.config.lambda_min_before
        } else {
            Some(self.config.lambda_min)
        };
        let Some(lambda) = lambda else {
            return Ok(Value::new(risk.clone(), vec![("risk", risk)]));
        };
        let worst = worst_risk(&risks)?;
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

    /// Total at a step over two environments with risks log 2 and log(1 + e).
    fn total(config: MmRexConfig, step: u64) -> f64 {
        let environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[0.0, 1.0]], &[0]),
        ];
        let value = evaluate_at(&mut MmRex::new(config), &environments, step);
        value.total.to_scalar::<f64>().unwrap()
    }

    fn risks() -> (f64, f64) {
        (2f64.ln(), (1.0 + 1f64.exp()).ln())
    }

    /// λ = −1, E = 2: 3·max − (R₀ + R₁).
    #[test]
    fn value_by_hand() {
        let (r0, r1) = risks();
        let found = total(MmRexConfig::default(), 500);
        assert!((found - (3.0 * r1 - (r0 + r1))).abs() < 1e-12);
    }

    /// Mean risk without a weight of its own; λ = 0 is the worst risk, λ = −½ is 2·max − ½ΣR.
    #[test]
    fn before_annealing() {
        let (r0, r1) = risks();
        let cases = [
            (None, f64::midpoint(r0, r1)),
            (Some(0.0), r1),
            (Some(-0.5), 2.0 * r1 - f64::midpoint(r0, r1)),
        ];
        for (lambda_min_before, expected) in cases {
            let config = MmRexConfig {
                lambda_min_before,
                ..MmRexConfig::default()
            };
            assert!((total(config, 499) - expected).abs() < 1e-12);
        }
    }
}
