//! Meta-learning domain generalisation.

use std::cell::RefCell;

use ctl_compute::random::{permutation, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gradient_rule::TrialRisk;
use crate::gradients::{EnvironmentRisk, InnerRule, MldgOrder, MldgSettings, mldg};
use crate::{
    Assumption, BuildContext, ConfigError, Family, GradientRule, MethodConfig, MethodInfo,
    MethodParts, Needs, Result, Role, Ruled, SearchDimension, Status, Trial, Update, in_range,
};

/// Description of `mldg`.
pub const INFO: MethodInfo = MethodInfo {
    id: "mldg",
    name: "MLDG",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::TargetIsMixtureOfSources],
    paper: "Li, Yang, Song & Hospedales 2018, Learning to Generalize: Meta-Learning for Domain Generalization",
    summary: "Asks of a step on one environment that it also lowers the risk of another.",
};

/// Settings of `mldg`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MldgConfig {
    /// Weight of the risks after the inner step, not negative.
    pub beta: f64,
    /// Optimiser of the inner step, which it takes at the network's learning rate.
    pub inner: InnerRule,
}

impl Default for MldgConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            beta: 1.0,
            inner: InnerRule::Adam,
        }
    }
}

impl MethodConfig for MldgConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.beta.is_finite() && self.beta >= 0.0;
        in_range(method, "beta", &self.beta, "finite and not negative", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("beta", -1.0, 1.0)]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::rule(Mldg {
            config: *self,
            seed: context.seed,
            run: context.run.to_owned(),
        }))
    }
}

/// `Σ (∇R_i(θ) + β ∇R_j(θ′)) / E` over a random cycle of the environments, with `θ′` one inner step
/// down `R_i` from `θ`, see [`mldg`].
///
/// # References
/// Li et al. 2018, algorithm 1. Deviation: of first order, as in `DomainBed`: the inner step is
/// taken as a constant.
pub struct Mldg {
    config: MldgConfig,
    seed: u64,
    run: String,
}

impl GradientRule for Mldg {
    fn update(&mut self, trial: &mut dyn Trial) -> Result<Ruled> {
        let weights = trial.weights()?;
        let settings = MldgSettings {
            rule: self.config.inner,
            inner_rate: trial.learning_rate(),
            beta: self.config.beta,
            order: MldgOrder::First,
        };
        let count = trial.environments();
        let purpose = format!("pairs of environments at step {}", trial.number());
        let cycle = permutation(&mut stream(self.seed, &self.run, &purpose), count);
        let following = cycle.iter().cycle().skip(1);
        let pairs: Vec<_> = cycle.iter().copied().zip(following.copied()).collect();
        let trial = RefCell::new(trial);
        let risks: Vec<TrialRisk<'_, '_>> = TrialRisk::all(&trial, count);
        let risks: Vec<&dyn EnvironmentRisk> = risks.iter().map(|r| r as _).collect();
        let step = mldg(&weights, &risks, &pairs, &settings)?;
        let total = f64::from(step.total.to_scalar::<f32>()?);
        Ok(Ruled {
            update: Update::Gradient(step.gradient),
            terms: vec![("risk-before-and-after", total)],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::Lines;

    /// On lines each gradient is met once before and once after an inner step.
    #[test]
    fn on_lines_it_is_the_mean_gradient_and_beta_times_it() {
        let mut lines = Lines::new(&[[1.0, 2.0], [3.0, -4.0]]);
        let mut rule = Mldg {
            config: MldgConfig {
                beta: 0.5,
                inner: InnerRule::Sgd,
            },
            seed: 0,
            run: "tests".into(),
        };
        let ruled = rule.update(&mut lines).unwrap();
        let Update::Gradient(gradient) = ruled.update else {
            panic!("a gradient");
        };
        let gradient = gradient[0].to_vec1::<f32>().unwrap();
        assert!((gradient[0] - 1.5 * 2.0).abs() < 1e-5 && (gradient[1] + 1.5).abs() < 1e-5);
        // β/E of both risks after a step of length RATE down the other's gradient.
        let after = -Lines::RATE * (1.0 * 3.0 - 2.0 * 4.0) * 2.0;
        assert!((ruled.terms[0].1 - 0.5 * after / 2.0).abs() < 1e-6);
    }
}
