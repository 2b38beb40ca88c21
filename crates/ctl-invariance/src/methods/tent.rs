//! Normalisation layers that make predictions on the target confident.

use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_nets::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deployed::{RunningStatistics, SourcesOnly, Together, affine};
use crate::{
    Assumption, BuildContext, ConfigError, Exception, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, NetworkAdaptation, Result, Role, SearchDimension, Site, Status, in_range,
    softmax_entropy,
};

/// Description of `tent`.
pub const INFO: MethodInfo = MethodInfo {
    id: "tent",
    name: "Tent",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Adaptation,
    needs: Needs::TARGET,
    exceptions: WITHOUT_DISTRIBUTION,
    assumptions: &[
        Assumption::ConfidenceIsRight,
        Assumption::SiteShiftsAndScales,
    ],
    paper: "Wang, Shelhamer, Liu, Olshausen & Darrell 2021, Tent: Fully Test-Time Adaptation by Entropy Minimization",
    summary: "Minimises the entropy of predictions on unlabelled target images over scales and shifts of the normalisation layers.",
};

/// The tasks whose outputs are images, not distributions over classes.
pub(crate) const WITHOUT_DISTRIBUTION: &[Exception] = &[
    Exception {
        task: "reconstruction",
        reason: "it rests on how sure a prediction is of its class, and an image has no classes",
    },
    Exception {
        task: "anomaly",
        reason: "it rests on how sure a prediction is of its class, and the network gives images",
    },
];

/// Settings of `tent`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TentConfig {
    /// Steps on batches of the target, at least 1; batches come round again.
    pub steps: u64,
    /// Step size of Adam, positive.
    pub learning_rate: f64,
}

impl Default for TentConfig {
    fn default() -> Self {
        Self {
            steps: 20,
            learning_rate: 1e-3,
        }
    }
}

impl MethodConfig for TentConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        in_range(method, "steps", &self.steps, "at least 1", self.steps > 0)?;
        let rate = self.learning_rate;
        let ok = rate.is_finite() && rate > 0.0;
        in_range(method, "learning_rate", &rate, "positive and finite", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("learning_rate", -4.0, -2.0),
            SearchDimension::choice("steps", [5, 20, 80].map(Into::into).to_vec()),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(SourcesOnly)],
            ..MethodParts::network_adaptation(Tent { config: *self })
        })
    }
}

/// `min mean −Σ_k p_k log p_k` on batches of the target over scales and shifts of the layers of
/// normalisation, where batch normalisation is by each batch's own statistics; in the end its
/// running statistics are those of all target images under the new scales.
///
/// Layers that normalise each image by itself have scales and shifts as well, which count where
/// there is no batch normalisation. A network without layers of normalisation stays as it is, and a
/// note says so.
///
/// # References
/// Wang et al. 2021, section 3, with Adam.
/// Deviations: the paper adapts on the very images that are scored, one step to a batch as they
/// come; here other images of the target are adapted to, for a number of steps, and images are
/// scored by running statistics, so that what is said of one does not depend on the others.
pub struct Tent {
    /// Settings.
    pub config: TentConfig,
}

impl NetworkAdaptation for Tent {
    fn adapt(&self, site: &dyn Site) -> Result<Option<String>> {
        let network = site.network();
        let variables = affine(network.parameters());
        if variables.is_empty() {
            let note = "the network has no layers of normalisation: tent leaves it as it is";
            return Ok(Some(note.into()));
        }
        let batches = site.target()?;
        let batches = batches.iter().map(|batch| Together::of(&[batch]));
        let batches = batches.collect::<Result<Vec<_>>>()?;
        if batches.is_empty() {
            return Ok(Some("there are no target images to adapt to".into()));
        }
        let adam = AdamParams {
            learning_rate: self.config.learning_rate,
            ..AdamParams::default()
        };
        let mut adam = Adam::new(variables, adam)?;
        for batch in batches.iter().cycle().take(self.config.steps as usize) {
            let outputs = batch.forward(network, Mode::Train)?.outputs;
            adam.step(&softmax_entropy(&outputs)?.mean_all()?.backward()?)?;
        }
        let statistics = RunningStatistics::of(network.parameters());
        if !statistics.is_empty() {
            statistics.measure(network, &batches)?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use ctl_nets::Architecture;

    use super::*;
    use crate::deployed::testing::{Place, place, snapshot};

    /// Entropy on the target falls; only layers of normalisation are changed.
    #[test]
    fn predictions_become_surer_by_scales_and_shifts_alone() {
        for architecture in [Architecture::ResNet18, Architecture::SmallCnn] {
            let place = place(architecture);
            let both: Vec<_> = place.target.iter().collect();
            let together = Together::of(&both).unwrap();
            let now = || {
                let outputs = together
                    .forward(place.network(), Mode::Train)
                    .unwrap()
                    .outputs;
                f64::from(
                    softmax_entropy(&outputs)
                        .unwrap()
                        .mean_all()
                        .unwrap()
                        .to_scalar::<f32>()
                        .unwrap(),
                )
            };
            let (start, before) = (now(), snapshot(&place));
            let config = TentConfig {
                steps: 10,
                learning_rate: 1e-2,
            };
            assert_eq!(Tent { config }.adapt(&place).unwrap(), None);
            let after = snapshot(&place);
            assert!(now() < start, "{architecture:?}: {} {start}", now());
            for (name, values) in &before {
                let changed = values != &after[name];
                assert_eq!(changed, name.contains("norm."), "{architecture:?}: {name}");
            }
        }
    }

    #[test]
    fn nothing_to_adapt_is_said() {
        let tent = Tent {
            config: TentConfig::default(),
        };
        let plain = place(Architecture::Mlp);
        let before = snapshot(&plain);
        let note = tent.adapt(&plain).unwrap().unwrap();
        assert!(note.contains("no layers of normalisation"), "{note}");
        assert_eq!(snapshot(&plain), before);
        let empty = Place {
            target: Vec::new(),
            ..place(Architecture::SmallCnn)
        };
        assert!(
            tent.adapt(&empty)
                .unwrap()
                .unwrap()
                .contains("no target images")
        );
        for (ill, expected) in [
            (
                TentConfig {
                    steps: 0,
                    ..TentConfig::default()
                },
                "steps = 0",
            ),
            (
                TentConfig {
                    learning_rate: 0.0,
                    ..TentConfig::default()
                },
                "learning_rate = 0",
            ),
        ] {
            let message = ill.validate("tent").unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
