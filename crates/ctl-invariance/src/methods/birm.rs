//! Bayesian invariant risk minimisation.

use candle_core::Tensor;
use ctl_compute::random::stream;
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::irm::slopes;
use crate::config::check_weight;
use crate::{
    Assumption, BuildContext, ConfigError, EnvironmentOutputs, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, Result, Role, SearchDimension, Status, Step, Value, in_range,
};

/// Description of `birm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "birm",
    name: "Bayesian IRM",
    family: Family::Invariance,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Lin, Dong, Wang & Zhang 2022, Bayesian Invariant Risk Minimization",
    summary: "IRM's penalty averaged over a posterior of the classifier's scale, against overfitting.",
};

/// Settings of `birm`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BirmConfig {
    /// Weight of the penalty from `anneal_steps` on, not negative; 0 before.
    pub penalty_weight: f64,
    /// Steps before the weight sets in.
    pub anneal_steps: u64,
    /// Scales drawn for every environment in a step, 1 to 1000.
    pub samples: usize,
    /// Standard deviation of the scale's posterior around 1, not negative; at 0 all scales are 1.
    pub standard_deviation: f64,
    /// Divide the total by the penalty weight where it is above 1.
    pub rescale: bool,
    /// Reset the optimiser when the weight sets in.
    pub reset_optimiser: bool,
}

impl Default for BirmConfig {
    /// The authors' for coloured digits, with their deviation `1200 / n` at n = 20 000 images.
    fn default() -> Self {
        Self {
            penalty_weight: 10_000.0,
            anneal_steps: 200,
            samples: 10,
            standard_deviation: 0.06,
            rescale: true,
            reset_optimiser: false,
        }
    }
}

impl MethodConfig for BirmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "penalty_weight", self.penalty_weight)?;
        let ok = (1..=1000).contains(&self.samples);
        in_range(method, "samples", &self.samples, "1 to 1000", ok)?;
        check_weight(method, "standard_deviation", self.standard_deviation)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("penalty_weight", -1.0, 5.0),
            SearchDimension::log_uniform_integer("anneal_steps", 0.0, 4.0),
            SearchDimension::log_uniform("standard_deviation", -2.0, 0.0),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let objective = Birm::new(*self, context.seed, context.run);
        Ok(MethodParts::objective(objective))
    }
}

/// `mean_e E_w R_e(w·z) + λ mean_e E_w (d R_e(w·z) / dw)²`, w normal around 1 with deviation σ, the
/// expectations as means over a few draws, fresh ones for every environment and step.
///
/// With `r = ∂ℓ/∂z` at `w·z` the derivative is `mean ⟨r, z⟩`, so no second-order automatic
/// differentiation is needed. At σ = 0 it is `IRMv1`.
///
/// # References
/// Lin et al. 2022: IRM's classifier, here the scale of the outputs, is a posterior in place of a
/// point, and the gap between the posterior that is shared and that of an environment is measured
/// by the squared gradient of the risk, as in `IRMv1`.
/// Deviations: averages over environments where the paper sums; the risk is averaged over the draws
/// where the authors' program takes the last; σ is a setting, where their program divides one by the
/// number of images.
pub struct Birm {
    config: BirmConfig,
    seed: u64,
    run: String,
}

impl Birm {
    /// The objective with the given settings, whose scales are drawn for `(seed, run)`.
    pub fn new(config: BirmConfig, seed: u64, run: &str) -> Self {
        let run = run.to_owned();
        Self { config, seed, run }
    }

    fn scales(&self, environment: usize, step: u64) -> Vec<f64> {
        let purpose = format!("birm environment {environment} step {step}");
        let mut rng = stream(self.seed, &self.run, &purpose);
        let draw = |_| -> f64 {
            let noise: f64 = StandardNormal.sample(&mut rng);
            1.0 + self.config.standard_deviation * noise
        };
        (0..self.config.samples).map(draw).collect()
    }

    /// Mean risk and mean squared slope of one environment over its draws.
    fn averages(&self, environment: &EnvironmentOutputs, step: &Step<'_>) -> Result<[Tensor; 2]> {
        let (mut risks, mut penalties) = (Vec::new(), Vec::new());
        for scale in self.scales(environment.environment, step.number) {
            let mut scaled = environment.clone();
            scaled.outputs = (&environment.outputs * scale)?;
            let slope = slopes(&scaled, &environment.outputs, step.loss)?.mean_all()?;
            risks.push(scaled.risk(step.loss)?);
            penalties.push(slope.sqr()?);
        }
        let mean = |values: &[Tensor]| Tensor::stack(values, 0)?.mean_all();
        Ok([mean(&risks)?, mean(&penalties)?])
    }
}

impl Objective for Birm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let (mut risks, mut penalties) = (Vec::new(), Vec::new());
        for environment in step.labelled()? {
            let [risk, penalty] = self.averages(environment, step)?;
            risks.push(risk);
            penalties.push(penalty);
        }
        let risk = Tensor::stack(&risks, 0)?.mean_all()?;
        let penalty = ("birm-penalty", Tensor::stack(&penalties, 0)?.mean_all()?);
        let weight = if step.number >= self.config.anneal_steps {
            self.config.penalty_weight
        } else {
            0.0
        };
        Value::penalised(&risk, penalty, weight, self.config.rescale)
    }

    fn resets_optimiser_before(&self, number: u64) -> bool {
        self.config.reset_optimiser && number > 0 && number == self.config.anneal_steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::irm::{Irm, IrmConfig, PenaltyForm};
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate_at, scalar, tensor,
        values,
    };

    fn birm(standard_deviation: f64, samples: usize) -> Birm {
        let config = BirmConfig {
            penalty_weight: 5.0,
            anneal_steps: 2,
            samples,
            standard_deviation,
            rescale: false,
            reset_optimiser: true,
        };
        Birm::new(config, 1, "t")
    }

    fn environments() -> Vec<EnvironmentOutputs> {
        let logits = tensor(&values(14, 3), &[7, 2]);
        environments_of((&logits, &logits), &[0, 1, 0, 1, 1, 0, 0], &[3, 4])
    }

    #[test]
    fn without_a_deviation_it_is_irm() {
        let config = IrmConfig {
            penalty_weight: 5.0,
            penalty_weight_before: 0.0,
            anneal_steps: 2,
            penalty: PenaltyForm::Paper,
            ..IrmConfig::default()
        };
        let (mut irm, mut birm) = (Irm::new(config), birm(0.0, 3));
        for step in [1, 2] {
            let expected = evaluate_at(&mut irm, &environments(), step);
            let found = evaluate_at(&mut birm, &environments(), step);
            assert_near(scalar(&found.total), scalar(&expected.total));
            assert_eq!(birm.resets_optimiser_before(step), step == 2);
        }
    }

    /// One sample of logits (0, a), label 1, and one draw w: slope (σ(w a) − 1)·a.
    #[test]
    fn value_by_hand_at_a_drawn_scale() {
        let a = 1.5f64;
        let mut birm = birm(0.5, 1);
        let [scale] = birm.scales(4, 2)[..] else {
            panic!("one scale")
        };
        assert!((scale - 1.0).abs() > 1e-3 && (birm.scales(5, 2)[0] - scale).abs() > 1e-3);
        let value = evaluate_at(&mut birm, &[classification(4, &[[0.0, a]], &[1])], 2);
        let odds = (-scale * a).exp();
        let slope = (1.0 / (1.0 + odds) - 1.0) * a;
        assert_near(
            scalar(&value.total),
            (1.0 + odds).ln() + 5.0 * slope * slope,
        );
    }

    /// Draws have mean 1 and the deviation that is set.
    #[test]
    fn scales_are_normal_around_one() {
        let scales = birm(0.3, 1000).scales(0, 0);
        let mean = scales.iter().sum::<f64>() / 1000.0;
        let squares: f64 = scales.iter().map(|w| (w - 1.0).powi(2)).sum();
        assert!((mean - 1.0).abs() < 0.04, "{mean}");
        assert!(((squares / 1000.0).sqrt() - 0.3).abs() < 0.03);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let logits = tensor(&values(14, 3), &[7, 2]);
        assert_gradient(&logits, |z| {
            let environments = environments_of((z, z), &[0, 1, 0, 1, 1, 0, 0], &[3, 4]);
            evaluate_at(&mut birm(0.4, 4), &environments, 2).total
        });
    }
}
