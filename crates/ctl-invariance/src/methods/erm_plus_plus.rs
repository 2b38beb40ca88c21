//! Empirical risk minimisation with the means that help it most.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::{self, Erm};
use crate::running_mean::{TailMean, step_at};
use crate::{
    BuildContext, ConfigError, MethodConfig, MethodInfo, MethodParts, Objective, Result,
    SearchDimension, Status, Step, Value, in_range,
};

/// Description of `erm-plus-plus`.
pub const INFO: MethodInfo = MethodInfo {
    id: "erm-plus-plus",
    name: "ERM++",
    status: Status::Preview,
    paper: "Teterwak, Saito, Tsiligkaridis, Saenko & Plummer 2025, ERM++: An Improved Baseline for Domain Generalization",
    summary: "ERM with a warm-up of the learning rate and an average of the weights.",
    ..erm::INFO
};

/// Settings of `erm-plus-plus`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ErmPlusPlusConfig {
    /// Share of the steps in which the learning rate rises to its full value, from 0 to below 1.
    pub warm_up: f64,
    /// Share of the steps before weights are averaged, from 0 to below 1.
    pub average_from: f64,
}

impl Default for ErmPlusPlusConfig {
    /// `DomainBed`'s 500 steps of a warm start and 600 before the average, of 5000.
    fn default() -> Self {
        Self {
            warm_up: 0.1,
            average_from: 0.12,
        }
    }
}

impl MethodConfig for ErmPlusPlusConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        for (key, share) in [
            ("warm_up", self.warm_up),
            ("average_from", self.average_from),
        ] {
            let ok = (0.0..1.0).contains(&share);
            in_range(method, key, &share, "in [0, 1)", ok)?;
        }
        Ok(())
    }

    fn search_space() -> Vec<SearchDimension> {
        let shares = |all: [f64; 3]| all.map(Into::into).to_vec();
        vec![
            SearchDimension::choice("warm_up", shares([0.0, 0.05, 0.1])),
            SearchDimension::choice("average_from", shares([0.12, 0.25, 0.5])),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let first = step_at(self.average_from, context.steps);
        Ok(MethodParts {
            averaging: Some(Box::new(TailMean::new(INFO.id, first, 1))),
            ..MethodParts::objective(ErmPlusPlus::new(*self, context.steps))
        })
    }
}

/// `mean_e R_e` at a learning rate that rises linearly over the first `w` steps,
/// `η_n = η (n + 1) / (w + 1)`;
/// the weights after every later step are averaged, and the average is what is used.
///
/// # References
/// Teterwak et al. 2025, section 3. What becomes of its ingredients here:
/// - *Model parameter averaging* is taken over. Running statistics of batch
///   normalisation are averaged like weights; `DomainBed` passes each batch through the averaged
///   network instead.
/// - *Warm start* trains the new head alone before the pre-trained rest, so that gradients of a
///   random head do not spoil it. Our networks start from random weights, which need no such care;
///   what is left of it are small first steps.
/// - *Unfrozen batch normalisation* is the rule here.
/// - *Auto-LR* lowers the learning rate where the validation loss stays, which an average of the
///   weights makes up for in part: left out, as objectives do not hear of validation.
/// - *Full data*, a second training that includes the validation patients, is left out: selection
///   needs them.
/// - *Strong initialisation* and *attention tuning* are about pre-trained networks: left out.
pub struct ErmPlusPlus {
    risk: Erm,
    warm_up: u64,
}

impl ErmPlusPlus {
    /// The objective of a run of so many steps.
    pub fn new(config: ErmPlusPlusConfig, steps: u64) -> Self {
        Self {
            risk: Erm::default(),
            warm_up: step_at(config.warm_up, steps),
        }
    }
}

impl Objective for ErmPlusPlus {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        self.risk.evaluate(step)
    }

    fn learning_rate_factor(&self, number: u64) -> f64 {
        if number < self.warm_up {
            (number + 1) as f64 / (self.warm_up + 1) as f64
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{classification, context, evaluate};
    use crate::running_mean::tests::{Pair, first};

    /// Over three of 15 steps: a quarter, a half, three quarters, all.
    #[test]
    fn the_learning_rate_rises() {
        let config = ErmPlusPlusConfig {
            warm_up: 0.2,
            ..ErmPlusPlusConfig::default()
        };
        let objective = ErmPlusPlus::new(config, 15);
        let factors = [0, 1, 2, 3, 4, 14].map(|n| objective.learning_rate_factor(n));
        assert_eq!(factors.to_vec(), [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
        let config = ErmPlusPlusConfig {
            warm_up: 0.0,
            ..config
        };
        let at_once = ErmPlusPlus::new(config, 20).learning_rate_factor(0);
        assert!((at_once - 1.0).abs() < 1e-15);
    }

    /// Of 10 steps the last 7, whose weights are 3 to 9; the risk is that of ERM.
    #[test]
    fn later_weights_are_averaged() {
        let config = ErmPlusPlusConfig {
            average_from: 0.3,
            ..ErmPlusPlusConfig::default()
        };
        let mut parts = config.build(&context(10)).unwrap();
        let averaging = parts.averaging.as_mut().unwrap();
        let pair = Pair::new();
        for step in 0..10 {
            pair.set(step as f32);
            averaging.after_step(step, &pair.parameters).unwrap();
            assert_eq!(averaging.average().is_some(), step >= 3);
        }
        let found = first(averaging.average()).unwrap();
        assert!((found - 6.0).abs() < 1e-6, "{found}");
        let environments = [classification(0, &[[0.0, 0.0]], &[0])];
        let value = evaluate(parts.objective.as_mut(), &environments);
        let total = value.total.to_scalar::<f64>().unwrap();
        assert!((total - 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn settings() {
        crate::methods::testing::check_settings::<ErmPlusPlusConfig>(
            INFO,
            &[
                ("warm_up", "1", "[0, 1)"),
                ("average_from", "-0.1", "[0, 1)"),
            ],
        );
    }
}
