//! Batch normalisation by the target's own statistics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deployed::{RunningStatistics, SourcesOnly, Together};
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    NetworkAdaptation, Result, Role, Site, Status, in_range,
};

/// Description of `adabn`.
pub const INFO: MethodInfo = MethodInfo {
    id: "adabn",
    name: "AdaBN",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Adaptation,
    needs: Needs::TARGET,
    exceptions: &[],
    assumptions: &[
        Assumption::SiteShiftsAndScales,
        Assumption::InvariantFeatureMarginal,
    ],
    paper: "Li, Wang, Shi, Liu & Hou 2017, Revisiting Batch Normalization for Practical Domain Adaptation",
    summary: "Replaces the running statistics of batch normalisation by those of unlabelled target images.",
};

/// Settings of `adabn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdabnConfig {
    /// Images that go through the network in one pass at most, at least 2.
    pub images_at_once: usize,
}

impl Default for AdabnConfig {
    fn default() -> Self {
        Self {
            images_at_once: 256,
        }
    }
}

impl MethodConfig for AdabnConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let images = self.images_at_once;
        in_range(method, "images_at_once", &images, "at least 2", images >= 2)
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(SourcesOnly)],
            ..MethodParts::network_adaptation(Adabn { config: *self })
        })
    }
}

/// Mean and variance of every neuron of a batch normalisation over the target's images, layer after
/// layer, in place of those of the sources.
///
/// Networks without batch normalisation stay as they are, and a note says so.
///
/// # References
/// Li et al. 2017, algorithm 1: exactly, where one pass holds all images of the target. Else layers
/// beyond the first see what the statistics of their own pass make of the images.
pub struct Adabn {
    /// Settings.
    pub config: AdabnConfig,
}

impl NetworkAdaptation for Adabn {
    fn adapt(&self, site: &dyn Site) -> Result<Option<String>> {
        let network = site.network();
        let statistics = RunningStatistics::of(network.parameters());
        if statistics.is_empty() {
            let note = "the network has no batch normalisation: adabn leaves it as it is";
            return Ok(Some(note.into()));
        }
        let batches = Together::up_to(self.config.images_at_once, &site.target()?)?;
        if batches.is_empty() {
            return Ok(Some("there are no target images to adapt to".into()));
        }
        statistics.measure(network, &batches)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;
    use ctl_nets::{Architecture, Mode};

    use super::*;
    use crate::deployed::testing::{Place, place, snapshot};

    fn method() -> Adabn {
        Adabn {
            config: AdabnConfig::default(),
        }
    }

    /// Adapted in one pass, the network says of the target's images by its running statistics what
    /// it says of them by those of the batch, but for n/(n − 1) in the variance.
    #[test]
    fn running_statistics_are_those_of_the_target() {
        let place = place(Architecture::ResNet18);
        let both: Vec<_> = place.target.iter().collect();
        let together = Together::of(&both).unwrap();
        let outputs = |mode| -> Tensor { together.forward(place.network(), mode).unwrap().outputs };
        let before = outputs(Mode::Evaluate);
        assert_eq!(method().adapt(&place).unwrap(), None);
        let (after, batch) = (outputs(Mode::Evaluate), outputs(Mode::Train));
        let gap = |a: &Tensor, b: &Tensor| {
            let gap = (a - b).unwrap().abs().unwrap().max_all().unwrap();
            gap.to_scalar::<f32>().unwrap()
        };
        let gaps = [gap(&after, &batch), gap(&before, &batch)];
        assert!(gaps[0] < 0.1 * gaps[1], "{gaps:?}");
    }

    #[test]
    fn trained_weights_stay() {
        let place = place(Architecture::ResNet18);
        let before = snapshot(&place);
        method().adapt(&place).unwrap();
        let after = snapshot(&place);
        for (name, values) in &before {
            assert_eq!(values == &after[name], !name.contains("running"), "{name}");
        }
    }

    #[test]
    fn nothing_to_adapt_is_said() {
        let place_of = place(Architecture::SmallCnn);
        let before = snapshot(&place_of);
        let note = method().adapt(&place_of).unwrap().unwrap();
        assert!(note.contains("no batch normalisation"), "{note}");
        assert_eq!(snapshot(&place_of), before);
        let empty = Place {
            target: Vec::new(),
            ..place(Architecture::ResNet18)
        };
        assert!(
            method()
                .adapt(&empty)
                .unwrap()
                .unwrap()
                .contains("no target images")
        );
        let ill = AdabnConfig { images_at_once: 1 };
        assert!(
            ill.validate("adabn")
                .unwrap_err()
                .to_string()
                .contains("images_at_once = 1")
        );
    }
}
