//! Stochastic weight averaging.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::{self, Erm};
use crate::running_mean::{TailMean, step_at};
use crate::{
    BuildContext, ConfigError, MethodConfig, MethodInfo, MethodParts, Objective, Result,
    SearchDimension, Status, Step, Value, in_range,
};

/// Description of `swa`.
pub const INFO: MethodInfo = MethodInfo {
    id: "swa",
    name: "SWA",
    status: Status::Preview,
    paper: "Izmailov, Podoprikhin, Garipov, Vetrov & Wilson 2018, Averaging Weights Leads to Wider Optima and Better Generalization",
    summary: "ERM whose weights are averaged over the last part of training.",
    ..erm::INFO
};

/// Settings of `swa`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SwaConfig {
    /// Share of the steps before weights are averaged, from 0 to below 1.
    pub start: f64,
    /// Steps of a cycle of the learning rate, at whose end weights are taken, at least 1.
    pub cycle: u64,
    /// Factor on the learning rate where a cycle begins, positive.
    pub rate_high: f64,
    /// Factor on the learning rate where a cycle ends, positive; alone in force where a cycle has
    /// one step.
    pub rate_low: f64,
}

impl Default for SwaConfig {
    /// The paper's three quarters of the usual training, then a constant learning rate.
    fn default() -> Self {
        Self {
            start: 0.75,
            cycle: 1,
            rate_high: 1.0,
            rate_low: 1.0,
        }
    }
}

impl MethodConfig for SwaConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (0.0..1.0).contains(&self.start);
        in_range(method, "start", &self.start, "in [0, 1)", ok)?;
        in_range(method, "cycle", &self.cycle, "at least 1", self.cycle >= 1)?;
        for (key, rate) in [("rate_high", self.rate_high), ("rate_low", self.rate_low)] {
            let ok = rate.is_finite() && rate > 0.0;
            in_range(method, key, &rate, "positive and finite", ok)?;
        }
        Ok(())
    }

    fn search_space() -> Vec<SearchDimension> {
        let shares = [0.25, 0.5, 0.75, 0.9].map(Into::into).to_vec();
        vec![
            SearchDimension::choice("start", shares),
            SearchDimension::log_uniform("rate_low", -1.0, 0.0),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let first = step_at(self.start, context.steps);
        Ok(MethodParts {
            averaging: Some(Box::new(TailMean::new(INFO.id, first, self.cycle))),
            ..MethodParts::objective(Swa::new(*self, context.steps))
        })
    }
}

/// `mean_e R_e`; from a share of the steps on the learning rate falls again and again from
/// `α₁ η` to `α₂ η`, `α(i) = (1 − t) α₁ + t α₂` with `t = (i − 1 mod c + 1) / c`, and the weights at
/// the end of each cycle are averaged, each counting the same.
///
/// # References
/// Izmailov et al. 2018, algorithm 1 and the schedule before it; `c = 1` is a constant rate.
///
/// Deviations: the paper trains with SGD and here it is the suite's Adam; with `c = 1` weights are
/// taken after every step and not after every epoch; instead of a pass over the training data that
/// measures the statistics of batch normalisation for the averaged weights, running statistics are
/// averaged like weights.
pub struct Swa {
    config: SwaConfig,
    first: u64,
    risk: Erm,
}

impl Swa {
    /// The objective of a run of so many steps.
    pub fn new(config: SwaConfig, steps: u64) -> Self {
        Self {
            first: step_at(config.start, steps),
            config,
            risk: Erm::default(),
        }
    }
}

impl Objective for Swa {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        self.risk.evaluate(step)
    }

    fn learning_rate_factor(&self, number: u64) -> f64 {
        let Some(since) = number.checked_sub(self.first) else {
            return 1.0;
        };
        let SwaConfig {
            cycle,
            rate_high,
            rate_low,
            ..
        } = self.config;
        let t = (since % cycle + 1) as f64 / cycle as f64;
        (1.0 - t) * rate_high + t * rate_low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{check_settings, context};
    use crate::running_mean::tests::{Pair, first};

    /// Of 12 steps the last 9 in cycles of four: two ends, after steps 6 and 10.
    #[test]
    fn cycles_of_rate_and_average() {
        let config = SwaConfig {
            start: 0.25,
            cycle: 4,
            rate_high: 2.0,
            rate_low: 0.4,
        };
        let mut parts = config.build(&context(12)).unwrap();
        let rates: Vec<f64> = (0..12)
            .map(|n| parts.objective.learning_rate_factor(n))
            .collect();
        let cycle = [1.6, 1.2, 0.8, 0.4];
        let expected = [&[1.0; 3][..], &cycle, &cycle, &cycle[..1]].concat();
        for (found, expected) in rates.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{rates:?}");
        }
        let averaging = parts.averaging.as_mut().unwrap();
        let pair = Pair::new();
        for step in 0..12 {
            pair.set(step as f32);
            averaging.after_step(step, &pair.parameters).unwrap();
            assert_eq!(averaging.average().is_some(), step >= 6, "{step}");
        }
        assert_eq!(first(averaging.average()), Some(8.0));
    }

    #[test]
    fn the_usual_rate_is_constant() {
        let swa = Swa::new(SwaConfig::default(), 8);
        for number in 0..8 {
            assert!((swa.learning_rate_factor(number) - 1.0).abs() < 1e-15);
        }
    }

    #[test]
    fn settings() {
        check_settings::<SwaConfig>(
            INFO,
            &[
                ("start", "1", "[0, 1)"),
                ("cycle", "0", "at least 1"),
                ("rate_high", "0", "positive"),
                ("rate_low", "-1", "positive"),
            ],
        );
    }
}
