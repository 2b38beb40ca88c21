//! Spectral decoupling.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check_weight;
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, pooled_risk,
};

/// Description of `sd`.
pub const INFO: MethodInfo = MethodInfo {
    id: "sd",
    name: "Spectral decoupling",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::GradientStarvation],
    paper: "Pezeshki et al. 2021, Gradient Starvation: A Learning Proclivity in Neural Networks",
    summary: "Penalises large outputs, so that one easy cue does not starve the others.",
};

/// Settings of `sd`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SdConfig {
    /// Weight of the mean squared output, not negative.
    pub penalty_weight: f64,
}

impl Default for SdConfig {
    /// The default of `DomainBed`.
    fn default() -> Self {
        Self {
            penalty_weight: 0.1,
        }
    }
}

impl MethodConfig for SdConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "penalty_weight", self.penalty_weight)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("penalty_weight", -5.0, -1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Sd { config: *self }))
    }
}

/// `R + λ mean z²`: the mean loss over all labelled samples, and the mean square of all their
/// outputs, over samples, classes and pixels.
///
/// # References
/// Pezeshki et al. 2021, equation 25. Deviation: a mean without the factor ½ where the paper sums
/// over the outputs, as in `DomainBed`.
pub struct Sd {
    /// Settings.
    pub config: SdConfig,
}

impl Objective for Sd {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let environments = step.labelled()?.into_iter();
        let outputs = environments.map(|e| Ok(e.outputs.flatten_all()?));
        let outputs = Tensor::cat(&outputs.collect::<Result<Vec<_>>>()?, 0)?;
        let penalty = ("sd-penalty", outputs.sqr()?.mean_all()?);
        Value::penalised(
            &pooled_risk(step)?,
            penalty,
            self.config.penalty_weight,
            false,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate, scalar, tensor,
        values,
    };

    /// Outputs (1, −1), (0, 0) and (3, 0): risks are pooled, squares are 11 in 6 entries.
    #[test]
    fn penalty_by_hand() {
        let environments = [
            classification(0, &[[1.0, -1.0], [0.0, 0.0]], &[0, 0]),
            classification(1, &[[3.0, 0.0]], &[1]),
        ];
        let config = SdConfig {
            penalty_weight: 0.5,
        };
        let value = evaluate(&mut Sd { config }, &environments);
        let risk = ((1.0 + (-2f64).exp()).ln() + 2f64.ln() + (1.0 + 3f64.exp()).ln()) / 3.0;
        assert_near(scalar(&value.total), risk + 0.5 * 11.0 / 6.0);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let logits = tensor(&values(10, 3), &[5, 2]);
        assert_gradient(&logits, |z| {
            let environments = environments_of((z, z), &[0, 1, 1, 0, 1], &[2, 3]);
            let config = SdConfig::default();
            evaluate(&mut Sd { config }, &environments).total
        });
    }
}
