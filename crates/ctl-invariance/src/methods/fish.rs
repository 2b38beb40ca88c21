//! Fish: gradients of the environments are made to point one way.

use std::cell::RefCell;

use ctl_compute::random::{permutation, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gradient_rule::TrialRisk;
use crate::gradients::{EnvironmentRisk, FishSettings, InnerRule, fish};
use crate::{
    Assumption, BuildContext, ConfigError, Family, GradientRule, MethodConfig, MethodInfo,
    MethodParts, Needs, Result, Role, Ruled, SearchDimension, Status, Trial, Update, in_range,
};

/// Description of `fish`.
pub const INFO: MethodInfo = MethodInfo {
    id: "fish",
    name: "Fish",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Shi, Seely, Torr, Siddharth, Hannun, Usunier & Synnaeve 2022, Gradient Matching for Domain Generalization",
    summary: "Moves towards the end of a pass over the environments, which favours gradients with a large inner product.",
};

/// Settings of `fish`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FishConfig {
    /// Share of the way to the end of the pass that is gone, in (0, 1].
    pub meta_rate: f64,
    /// Optimiser of the pass, which takes its steps at the network's learning rate.
    pub inner: InnerRule,
}

impl Default for FishConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            meta_rate: 0.5,
            inner: InnerRule::Adam,
        }
    }
}

impl MethodConfig for FishConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.meta_rate > 0.0 && self.meta_rate <= 1.0;
        in_range(
            method,
            "meta_rate",
            &self.meta_rate,
            "above 0, at most 1",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        let rates = vec![0.05.into(), 0.1.into(), 0.5.into()];
        vec![SearchDimension::choice("meta_rate", rates)]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::rule(Fish {
            config: *self,
            seed: context.seed,
            run: context.run.to_owned(),
        }))
    }
}

/// `θ ← θ + ε (θ̃ − θ)`, `θ̃` after one inner step on each environment, see [`fish`].
///
/// # References
/// Shi et al. 2022, algorithm 1, in a random order of the environments. Deviations: the inner
/// optimiser begins each pass anew, where `DomainBed` keeps its moments; weight decay is not part
/// of a pass.
pub struct Fish {
    config: FishConfig,
    seed: u64,
    run: String,
}

impl GradientRule for Fish {
    fn update(&mut self, trial: &mut dyn Trial) -> Result<Ruled> {
        let weights = trial.weights()?;
        let settings = FishSettings {
            rule: self.config.inner,
            inner_rate: trial.learning_rate(),
            meta_rate: self.config.meta_rate,
        };
        let count = trial.environments();
        let purpose = format!("order of environments at step {}", trial.number());
        let order = permutation(&mut stream(self.seed, &self.run, &purpose), count);
        let trial = RefCell::new(trial);
        let risks: Vec<TrialRisk<'_, '_>> = TrialRisk::all(&trial, count);
        let risks: Vec<&dyn EnvironmentRisk> = order.iter().map(|&e| &risks[e] as _).collect();
        let step = fish(&weights, &risks, &settings)?;
        let mut risk = 0.0;
        for environment in &step.risks {
            risk += f64::from(environment.to_scalar::<f32>()?) / count as f64;
        }
        Ok(Ruled {
            update: Update::Weights(step.weights),
            terms: vec![("risk", risk)],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::Lines;

    /// On lines gradients are constant: the pass goes down both, and half the way is kept.
    #[test]
    fn half_the_way_of_a_pass() {
        let mut lines = Lines::new(&[[1.0, 2.0], [3.0, -4.0]]);
        let config = FishConfig {
            inner: InnerRule::Sgd,
            ..FishConfig::default()
        };
        let mut rule = Fish {
            config,
            seed: 0,
            run: "tests".into(),
        };
        let ruled = rule.update(&mut lines).unwrap();
        let Update::Weights(weights) = ruled.update else {
            panic!("weights");
        };
        let weights = weights[0].to_vec1::<f32>().unwrap();
        let expected = [-0.5 * Lines::RATE * 4.0, 0.5 * Lines::RATE * 2.0];
        for (weight, expected) in weights.iter().zip(expected) {
            assert!((f64::from(*weight) - expected).abs() < 1e-7, "{weights:?}");
        }
    }
}
