//! Invariant risk minimisation through an information bottleneck.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ib_erm::mean_bottleneck;
use super::irm::{self, PenaltyForm};
use crate::config::check_weight;
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, mean_risk,
};

/// Description of `ib-irm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "ib-irm",
    name: "IB-IRM",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
        Assumption::LeastVariableFeatures,
    ],
    paper: "Ahuja et al. 2021, Invariance Principle Meets Information Bottleneck for Out-of-Distribution Generalization",
    summary: "IRM's penalty and the variance of the features within each environment together.",
};

/// Settings of `ib-irm`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IbIrmConfig {
    /// Weight of IRM's penalty from `irm_anneal_steps` on, not negative.
    pub irm_weight: f64,
    /// Weight of IRM's penalty before, not negative.
    pub irm_weight_before: f64,
    /// Steps before IRM's full weight sets in.
    pub irm_anneal_steps: u64,
    /// Estimate of IRM's squared gradient.
    pub penalty: PenaltyForm,
    /// Weight of the features' variance from `ib_anneal_steps` on, not negative; 0 before.
    pub ib_weight: f64,
    /// Steps before the variance counts.
    pub ib_anneal_steps: u64,
    /// Reset the optimiser when either weight sets in.
    pub reset_optimiser: bool,
}

impl Default for IbIrmConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            irm_weight: 100.0,
            irm_weight_before: 1.0,
            irm_anneal_steps: 500,
            penalty: PenaltyForm::Split,
            ib_weight: 100.0,
            ib_anneal_steps: 500,
            reset_optimiser: true,
        }
    }
}

impl MethodConfig for IbIrmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "irm_weight", self.irm_weight)?;
        check_weight(method, "irm_weight_before", self.irm_weight_before)?;
        check_weight(method, "ib_weight", self.ib_weight)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("irm_weight", -1.0, 5.0),
            SearchDimension::log_uniform_integer("irm_anneal_steps", 0.0, 4.0),
            SearchDimension::log_uniform("ib_weight", -1.0, 5.0),
            SearchDimension::log_uniform_integer("ib_anneal_steps", 0.0, 4.0),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(IbIrm { config: *self }))
    }
}

/// `mean_e R_e + λ_irm mean_e (d R_e(w·z) / dw at w = 1)² + λ_ib mean_e mean_f Var(φ_f)`
///
/// # References
/// Ahuja et al. 2021, with [`irm::penalty`] and
/// [`bottleneck`](super::ib_erm::bottleneck); averages over environments as in `DomainBed`.
pub struct IbIrm {
    /// Settings.
    pub config: IbIrmConfig,
}

impl IbIrm {
    /// Weights of IRM's penalty and of the variance at a step.
    fn weights(&self, step: u64) -> [f64; 2] {
        let config = &self.config;
        let irm = if step >= config.irm_anneal_steps {
            config.irm_weight
        } else {
            config.irm_weight_before
        };
        let ib = if step >= config.ib_anneal_steps {
            config.ib_weight
        } else {
            0.0
        };
        [irm, ib]
    }
}

impl Objective for IbIrm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risk = mean_risk(step)?;
        let environments = step.labelled()?.into_iter();
        let penalties = environments
            .map(|e| irm::penalty(e, step.loss, self.config.penalty))
            .collect::<Result<Vec<_>>>()?;
        let irm = Tensor::stack(&penalties, 0)?.mean_all()?;
        let ib = mean_bottleneck(step)?;
        let [irm_weight, ib_weight] = self.weights(step.number);
        let penalties = ((&irm * irm_weight)? + (&ib * ib_weight)?)?;
        let terms = vec![
            ("risk", risk.clone()),
            ("irm-penalty", irm),
            ("ib-penalty", ib),
        ];
        Ok(Value::new((risk + penalties)?, terms))
    }

    fn resets_optimiser_before(&self, number: u64) -> bool {
        let sets_in = [self.config.irm_anneal_steps, self.config.ib_anneal_steps];
        self.config.reset_optimiser && number > 0 && sets_in.contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate_at, scalar, tensor,
        values,
    };

    /// Each weight sets in at its own step; logits (0, a) of label 1 have the slope (σ(a) − 1)·a.
    #[test]
    fn value_by_hand_at_every_stage() {
        let a = 1.5f64;
        let environments = [classification(0, &[[0.0, a], [0.0, a]], &[1, 1])];
        let config = IbIrmConfig {
            irm_weight: 10.0,
            irm_anneal_steps: 2,
            ib_weight: 7.0,
            ib_anneal_steps: 4,
            ..IbIrmConfig::default()
        };
        let mut objective = IbIrm { config };
        let risk = (1.0 + (-a).exp()).ln();
        let slope = (1.0 / (1.0 + (-a).exp()) - 1.0) * a;
        for (step, weight) in [(0, 1.0), (2, 10.0), (4, 10.0)] {
            let value = evaluate_at(&mut objective, &environments, step);
            assert_near(scalar(&value.total), risk + weight * slope * slope);
            assert_eq!(objective.resets_optimiser_before(step), step > 0);
        }
        assert!(!objective.resets_optimiser_before(3));
        let spread = [classification(0, &[[0.0, 0.0], [2.0, 2.0]], &[0, 1])];
        for (step, weight) in [(3, 0.0), (4, 7.0)] {
            let value = evaluate_at(&mut objective, &spread, step);
            assert_near(value.term("ib-penalty").unwrap().unwrap(), 2.0);
            assert_near(scalar(&value.total), 2f64.ln() + weight * 2.0);
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let both = tensor(&values(12, 5), &[6, 2]);
        assert_gradient(&both, |x| {
            let environments = environments_of((x, x), &[0, 1, 0, 1, 1, 0], &[2, 4]);
            let config = IbIrmConfig::default();
            evaluate_at(&mut IbIrm { config }, &environments, 500).total
        });
    }
}
