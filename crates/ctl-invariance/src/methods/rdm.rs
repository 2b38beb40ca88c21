//! Risk distribution matching.

use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{check_gammas, check_weight};
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, mmd_distance,
};

/// Description of `rdm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "rdm",
    name: "RDM",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Nguyen et al. 2024, Domain Generalisation via Risk Distribution Matching",
    summary: "Matches the distribution of the losses in the worst environment with that in all.",
};

/// Settings of `rdm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RdmConfig {
    /// Weight of the discrepancy of the losses from `anneal_steps` on, not negative; 0 before.
    pub penalty_weight: f64,
    /// Weight of the losses' variances from `anneal_steps` on, not negative; 0 before.
    pub variance_weight: f64,
    /// Steps before the weights set in.
    pub anneal_steps: u64,
    /// Inverse squared widths of the Gaussian kernels, at least one, all positive.
    pub gammas: Vec<f64>,
    /// Reset the optimiser when the weights set in.
    pub reset_optimiser: bool,
}

impl Default for RdmConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            penalty_weight: 5.0,
            variance_weight: 0.004,
            anneal_steps: 1500,
            gammas: vec![0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0],
            reset_optimiser: true,
        }
    }
}

impl MethodConfig for RdmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "penalty_weight", self.penalty_weight)?;
        check_weight(method, "variance_weight", self.variance_weight)?;
        check_gammas(method, &self.gammas)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::uniform("penalty_weight", 0.1, 10.0),
            SearchDimension::uniform("variance_weight", 0.001, 0.007),
            SearchDimension::uniform_integer("anneal_steps", 800.0, 2700.0),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        let config = self.clone();
        Ok(MethodParts::objective(Rdm { config }))
    }
}

/// `mean_e R_e + λ MMD²(losses of the worst environment, losses of all) + λ_v (Var(all) +
/// Var(worst))` with unbiased variances.
///
/// The worst environment is the one of the highest risk, the lowest index on ties; the choice is
/// not differentiated, and gradients flow through both samples of losses.
///
/// # References
/// Nguyen et al. 2024, with the maximum mean discrepancy, in the form of `DomainBed`, where the
/// variances were added. Deviation: the optimiser is reset when the weights set in, and keeps its
/// step size, which is lowered there.
pub struct Rdm {
    /// Settings.
    pub config: RdmConfig,
}

/// Position of the environment with the highest risk among the labelled ones of a step.
pub(crate) fn worst(step: &Step<'_>, risks: &[f64]) -> Result<usize> {
    let environments = step.labelled()?;
    let rank = |position: &usize| environments[*position].environment;
    let higher = |a: &usize, b: &usize| {
        let by_risk = risks[*a].total_cmp(&risks[*b]);
        by_risk.then_with(|| rank(b).cmp(&rank(a)))
    };
    Ok((0..risks.len()).max_by(higher).unwrap_or(0))
}

/// Unbiased variance of losses `[n]`; 0 for a single one.
fn variance(losses: &Tensor) -> Result<Tensor> {
    let count = losses.elem_count() as f64;
    let centred = losses.broadcast_sub(&losses.mean_all()?)?;
    Ok((centred.sqr()?.sum_all()? / (count - 1.0).max(1.0))?)
}

impl Objective for Rdm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let environments = step.labelled()?.into_iter();
        let losses = environments
            .map(|e| e.losses(step.loss))
            .collect::<Result<Vec<_>>>()?;
        let risks = losses.iter().map(|l| Ok(l.mean_all()?));
        let risks = Tensor::stack(&risks.collect::<Result<Vec<_>>>()?, 0)?;
        let numbers = risks.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let of_worst = &losses[worst(step, &numbers)?];
        let all = Tensor::cat(&losses, 0)?;
        let (column, columns) = (of_worst.unsqueeze(1)?, all.unsqueeze(1)?);
        let penalty = mmd_distance(&column, &columns, &self.config.gammas)?;
        let spread = (variance(&all)? + variance(of_worst)?)?;
        let risk = risks.mean_all()?;
        let mut total = risk.clone();
        if step.number >= self.config.anneal_steps {
            let matching = (&penalty * self.config.penalty_weight)?;
            total = ((total + matching)? + (&spread * self.config.variance_weight)?)?;
        }
        let terms = vec![
            ("risk", risk),
            ("rdm-penalty", penalty),
            ("loss-variance", spread),
        ];
        Ok(Value::new(total, terms))
    }

    fn resets_optimiser_before(&self, number: u64) -> bool {
        self.config.reset_optimiser && number > 0 && number == self.config.anneal_steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate_at, scalar, tensor,
        values,
    };

    fn rdm() -> Rdm {
        let config = RdmConfig {
            penalty_weight: 2.0,
            variance_weight: 0.5,
            anneal_steps: 3,
            gammas: vec![1.0],
            reset_optimiser: true,
        };
        Rdm { config }
    }

    /// Losses a and a against b > a: all are (a, a, b), the worst (b).
    #[test]
    fn penalties_by_hand() {
        let environments = [
            classification(0, &[[0.0, 0.0], [0.0, 0.0]], &[0, 1]),
            classification(1, &[[0.0, 2.0]], &[0]),
        ];
        let (a, b) = (2f64.ln(), (1.0 + 2f64.exp()).ln());
        let k = (-(b - a).powi(2)).exp();
        let penalty = 1.0 + (5.0 + 4.0 * k) / 9.0 - 2.0 * (1.0 + 2.0 * k) / 3.0;
        // Deviations from the mean: (a − b)/3 twice, 2 (b − a)/3; the single worst loss has none.
        let spread = (b - a).powi(2) * (6.0 / 9.0) / 2.0;
        let mut rdm = rdm();
        for (step, weight) in [(2, 0.0), (3, 1.0)] {
            let value = evaluate_at(&mut rdm, &environments, step);
            assert_near(value.term("rdm-penalty").unwrap().unwrap(), penalty);
            assert_near(value.term("loss-variance").unwrap().unwrap(), spread);
            let risk = f64::midpoint(a, b);
            assert_near(
                scalar(&value.total),
                risk + weight * (2.0 * penalty + 0.5 * spread),
            );
            assert_eq!(rdm.resets_optimiser_before(step), step == 3);
        }
    }

    /// Of equally bad environments the one of the lower index is the worst, wherever it stands.
    #[test]
    fn ties_do_not_depend_on_the_order() {
        let environments = [
            classification(3, &[[0.0, 1.0]], &[0]),
            classification(1, &[[0.0, 1.0]], &[0]),
            classification(2, &[[0.0, 0.0]], &[0]),
        ];
        let step = Step {
            number: 0,
            environments: &environments,
            loss: &crate::SoftmaxCrossEntropy,
        };
        assert_eq!(worst(&step, &[1.3, 1.3, 0.7]).unwrap(), 1);
        assert_eq!(worst(&step, &[0.3, 0.2, 0.7]).unwrap(), 2);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let logits = tensor(&values(14, 9), &[7, 2]);
        assert_gradient(&logits, |z| {
            let environments = environments_of((z, z), &[0, 1, 0, 1, 1, 0, 0], &[2, 2, 3]);
            evaluate_at(&mut rdm(), &environments, 3).total
        });
    }
}
