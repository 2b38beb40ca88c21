//! Inter-environmental gradient alignment.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gradients::{dispersion, mean_gradient};
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, in_range, mean_risk,
};

/// Description of `iga`.
pub const INFO: MethodInfo = MethodInfo {
    id: "iga",
    name: "IGA",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Koyama & Yamaguchi 2020, When is invariance useful in an Out-of-Distribution Generalization problem?",
    summary: "Penalises differences between the environments' gradients of the last layer.",
};

/// Settings of `iga`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IgaConfig {
    /// Weight of the penalty, not negative.
    pub penalty_weight: f64,
}

impl Default for IgaConfig {
    /// The default of `DomainBed`.
    fn default() -> Self {
        Self {
            penalty_weight: 1000.0,
        }
    }
}

impl MethodConfig for IgaConfig {
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
        vec![SearchDimension::log_uniform("penalty_weight", 1.0, 5.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Iga::new(*self)))
    }
}

/// `R + λ Σ_e ‖∇R_e − mean ∇R‖²`, gradients with respect to the last linear layer.
///
/// # References
/// Koyama & Yamaguchi 2020, equation 10. Deviation: the gradient is that of the last layer, whose
/// closed form makes one differentiation enough, where the paper takes all weights; of a network
/// that does not end with a linear layer it is that of an affine map of its outputs at the identity.
pub struct Iga {
    config: IgaConfig,
}

impl Iga {
    /// The objective with the given settings.
    pub fn new(config: IgaConfig) -> Self {
        Self { config }
    }
}

impl Objective for Iga {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risk = mean_risk(step)?;
        let gradient = |e: &&crate::EnvironmentOutputs| -> Result<Tensor> {
            let parts = mean_gradient(&e.last_input()?, &e.output_gradient(step.loss)?)?;
            let [weight, bias] = parts;
            Ok(Tensor::cat(&[weight.flatten_all()?, bias], 0)?)
        };
        let gradients = step.labelled()?;
        let gradients = gradients.iter().map(gradient).collect::<Result<Vec<_>>>()?;
        let penalty = dispersion(&gradients)?;
        let weight = self.config.penalty_weight;
        Value::penalised(&risk, ("iga-penalty", penalty), weight, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, evaluate};

    /// Outputs stand for the last layer's input: gradients r zᵀ and r with r = softmax − one-hot.
    #[test]
    fn penalty_by_hand() {
        let environments = [
            classification(0, &[[0.0, 0.0]], &[1]),
            classification(1, &[[0.0, 0.0]], &[0]),
        ];
        let value = evaluate(&mut Iga::new(IgaConfig::default()), &environments);
        // Biases' gradients are ±(½, −½); the inputs are 0.
        assert_eq!(value.term("iga-penalty").unwrap(), Some(1.0));
        let alike = [
            classification(0, &[[0.3, -1.0]], &[1]),
            classification(1, &[[0.3, -1.0]], &[1]),
        ];
        let value = evaluate(&mut Iga::new(IgaConfig::default()), &alike);
        assert_eq!(value.term("iga-penalty").unwrap(), Some(0.0));
    }
}
