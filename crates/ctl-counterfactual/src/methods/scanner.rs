//! Training on acquisitions between those of the sources and beyond them.

use ctl_invariance::methods::erm::Erm;
use ctl_invariance::{
    Assumption, Augmentation, Batch, BuildContext, ConfigError, Family, Intervention, MethodConfig,
    MethodInfo, MethodParts, Needs, Result, Role, SearchDimension, Status, in_range,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::generated::{Generator, GeneratorSettings, Learning, Learnt, Place, each_labelled};
use super::pairs::another;

const ID: &str = "counterfactual-scanner";

/// Description of `counterfactual-scanner`.
pub const INFO: MethodInfo = MethodInfo {
    id: ID,
    name: "Counterfactual scanner",
    family: Family::Counterfactual,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::SoundCounterfactuals,
        Assumption::TargetExtrapolatesSources,
    ],
    paper: "Pearl 2009, Causality, section 7.1 (abduction, action, prediction); Billot et al. 2023, SynthSeg: Segmentation of brain MRI scans of any contrast and resolution without retraining (acquisition drawn wider than it is seen)",
    summary: "Trains on counterfactuals under acquisitions drawn on the way from each site to another and beyond it.",
};

/// Settings of `counterfactual-scanner`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CounterfactualScannerConfig {
    /// Chance that an image's acquisition is drawn, 0 to 1.
    pub probability: f64,
    /// How far an acquisition may lie on the way from the image's site to another, 0 to 16: 1 is the
    /// other site.
    pub reach: f64,
    /// What makes the counterfactuals: `statistics` of each site, or an `autoencoder`, for which the
    /// sides of images must be multiples of 4.
    pub generator: Generator,
    /// Updates of the autoencoder, 1 to 1000000.
    pub updates: u64,
    /// Whether a counterfactual keeps what the autoencoder cannot draw of the image: it is as sharp
    /// as the image then, and what a site leaves there stays.
    pub keep_detail: bool,
    /// Images of each source from which the generator learns, about and at most, 2 to 1000000.
    pub examples: usize,
}

impl Default for CounterfactualScannerConfig {
    fn default() -> Self {
        Self {
            probability: 1.0,
            reach: 2.0,
            generator: Generator::Statistics,
            updates: 2_000,
            keep_detail: true,
            examples: 1_000,
        }
    }
}

impl CounterfactualScannerConfig {
    fn generator(&self) -> GeneratorSettings {
        GeneratorSettings {
            generator: self.generator,
            updates: self.updates,
            keep_detail: self.keep_detail,
            examples: self.examples,
        }
    }
}

impl MethodConfig for CounterfactualScannerConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (0.0..=1.0).contains(&self.probability);
        in_range(method, "probability", &self.probability, "0 to 1", ok)?;
        let ok = (0.0..=16.0).contains(&self.reach);
        in_range(method, "reach", &self.reach, "0 to 16", ok)?;
        self.generator().validate(method)
    }

    fn search_space() -> Vec<SearchDimension> {
        let choice = |key, values: &[f64]| {
            SearchDimension::choice(key, values.iter().map(|&v| v.into()).collect())
        };
        vec![
            choice("probability", &[0.5, 0.75, 1.0]),
            choice("reach", &[1.0, 2.0, 4.0]),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let (place, learning) = Learning::of(ID, self.generator(), context);
        Ok(MethodParts {
            augmentations: vec![Box::new(Drawn {
                config: *self,
                place,
            })],
            preparation: Some(Box::new(learning)),
            ..MethodParts::objective(Erm::default())
        })
    }
}

/// With a chance, an image is taken by an acquisition drawn on the line from its own site to another:
/// `a = a_e + t (a_{e′} − a_e)`, `t ~ U(0, reach)`, in the terms of the generator. The other site
/// is drawn among all others. Labels and masks stay, image targets go the same way.
struct Drawn {
    config: CounterfactualScannerConfig,
    place: Place,
}

impl Drawn {
    fn drawn(&self, learnt: &Learnt, batch: &Batch, rng: &mut ChaCha8Rng) -> Result<Batch> {
        let (mut rows, mut acts) = (Vec::new(), Vec::new());
        for row in 0..batch.images.dim(0)? {
            let changed = rng.random::<f64>() < self.config.probability;
            let other = another(learnt.environments, batch.environment, rng);
            let extent = self.config.reach * rng.random::<f64>();
            if changed && other != batch.environment {
                rows.push(row);
                acts.push(Intervention::towards(other, extent));
            }
        }
        learnt.replaced(ID, batch, (&rows, &acts))
    }
}

impl Augmentation for Drawn {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        each_labelled((ID, &self.place), batches, |learnt, batch| {
            self.drawn(learnt, batch, rng)
        })
    }
}

#[cfg(test)]
mod tests {
    use ctl_compute::random::stream;
    use ctl_invariance::TargetKind;

    use super::*;
    use crate::methods::augmentation::tests::{Offsets, batch, flat};

    fn shifts(reach: f64, frequencies: &[&[f64]], before: &Batch) -> Vec<f32> {
        let method = Drawn {
            config: CounterfactualScannerConfig {
                reach,
                ..CounterfactualScannerConfig::default()
            },
            place: Learnt::of(Offsets, frequencies),
        };
        let rng = &mut stream(0, "t", "scanner");
        let after = method.apply(vec![before.clone()], rng).unwrap();
        let pairs = flat(&after[0].images).into_iter().zip(flat(&before.images));
        pairs.map(|(a, b)| a - b).collect()
    }

    /// From site 1 of 0, 1 and 2: up to three times the way to either side, uniformly.
    #[test]
    fn acquisitions_lie_on_the_way_and_beyond() {
        let before = batch(TargetKind::Classes);
        let shifts = shifts(3.0, &[&[1.0], &[1.0], &[1.0]], &before);
        assert!(shifts.iter().all(|s| s.abs() <= 3.0));
        for (low, high) in [(-3.0, -1.0), (-1.0, 0.0), (0.0, 1.0), (1.0, 3.0)] {
            let inside = |s: &&f32| (low..high).contains(*s);
            assert!(shifts.iter().filter(inside).count() >= 6, "{low} to {high}");
        }
    }

    #[test]
    fn nothing_moves_without_reach_or_another_site() {
        let before = batch(TargetKind::Classes);
        let all = shifts(0.0, &[&[1.0], &[1.0]], &before);
        assert!(all.iter().all(|s| s.abs() < 1e-6));
        let alone = Batch {
            environment: 0,
            ..before
        };
        assert!(
            shifts(3.0, &[&[1.0]], &alone)
                .iter()
                .all(|s| s.abs() < 1e-6)
        );
        let ill = CounterfactualScannerConfig {
            reach: 17.0,
            ..CounterfactualScannerConfig::default()
        };
        let error = ill.validate(ID).unwrap_err().to_string();
        assert!(error.contains("reach = 17"), "{error}");
    }
}
