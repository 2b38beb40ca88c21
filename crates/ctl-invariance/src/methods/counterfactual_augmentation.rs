//! Training on images as other sites would have taken them.
//!
//! The method is not registered: it needs a [`CounterfactualGenerator`], which a crate that trains
//! one, or knows one, gives to [`CounterfactualAugmentationConfig::parts`].

use std::rc::Rc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::Erm;
use crate::{
    Assumption, Augmentation, Batch, ConfigError, CounterfactualGenerator, Family, Intervention,
    MethodInfo, MethodParts, Needs, ObjectiveError, Result, Role, SearchDimension, Status,
    TargetKind, in_range,
};

/// Description of `counterfactual-augmentation`.
pub const INFO: MethodInfo = MethodInfo {
    id: "counterfactual-augmentation",
    name: "Counterfactual augmentation",
    family: Family::Counterfactual,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::SoundCounterfactuals],
    paper: "Pearl 2009, Causality, section 7.1 (abduction, action, prediction); Ilse, Tomczak & Forré 2021, Selecting Data Augmentation for Simulating Interventions",
    summary: "Trains on counterfactuals of the images under interventions on the site, with the labels that they had.",
};

/// Settings of `counterfactual-augmentation`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CounterfactualAugmentationConfig {
    /// Chance that an image is replaced by a counterfactual, 0 to 1.
    pub probability: f64,
}

impl Default for CounterfactualAugmentationConfig {
    fn default() -> Self {
        Self { probability: 0.5 }
    }
}

impl CounterfactualAugmentationConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the setting outside its range, its value and what is allowed.
    pub fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (0.0..=1.0).contains(&self.probability);
        in_range(method, "probability", &self.probability, "0 to 1", ok)
    }

    /// Settings that a random search varies.
    pub fn search_space() -> Vec<SearchDimension> {
        let chances = [0.25, 0.5, 0.75].map(Into::into).to_vec();
        vec![SearchDimension::choice("probability", chances)]
    }

    /// The method with a generator.
    ///
    /// # Arguments
    /// - `environments`: number of environments that the generator knows, at least 1.
    pub fn parts(
        self,
        generator: Rc<dyn CounterfactualGenerator>,
        environments: usize,
    ) -> MethodParts {
        MethodParts {
            augmentations: vec![Box::new(CounterfactualAugmentation {
                config: self,
                generator,
                environments,
            })],
            ..MethodParts::objective(Erm::default())
        }
    }
}

/// With a chance, `x ← x_{do(e = e′)}` for an environment `e′` drawn among all that the generator
/// knows: in what the network sees, site and label are no longer tied together.
///
/// Classes and masks stay, because the site causes neither label nor anatomy; image targets become
/// what the generator makes of them under the same intervention. The batch stays that of the
/// environment in which its images were taken.
pub struct CounterfactualAugmentation {
    /// Settings.
    pub config: CounterfactualAugmentationConfig,
    /// Where counterfactuals come from.
    pub generator: Rc<dyn CounterfactualGenerator>,
    /// Number of environments that it knows.
    pub environments: usize,
}

impl CounterfactualAugmentation {
    fn augmented(&self, batch: &Batch, rng: &mut ChaCha8Rng) -> Result<Batch> {
        let (mut rows, mut interventions) = (Vec::new(), Vec::new());
        for row in 0..batch.images.dim(0)? {
            let replaced = rng.random::<f64>() < self.config.probability;
            let environment = rng.random_range(0..self.environments.max(1));
            if replaced {
                rows.push(row);
                interventions.push(Intervention::environment(environment));
            }
        }
        if rows.is_empty() {
            return Ok(batch.clone());
        }
        let mut augmented = batch.clone();
        augmented.images = self.replaced(batch, &rows, &interventions)?;
        if batch.kind == TargetKind::Images {
            for part in &mut augmented.targets {
                let targets = Batch {
                    images: part.target.clone(),
                    ..batch.clone()
                };
                part.target = self.replaced(&targets, &rows, &interventions)?;
            }
        }
        Ok(augmented)
    }

    /// The images of a batch, some rows replaced by counterfactuals.
    fn replaced(
        &self,
        batch: &Batch,
        rows: &[usize],
        interventions: &[Intervention],
    ) -> Result<candle_core::Tensor> {
        let chosen = batch.select(rows)?;
        let generated = self.generator.counterfactuals(&chosen, interventions)?;
        if generated.dims() != chosen.images.dims() {
            return Err(ObjectiveError::Environments {
                method: INFO.id,
                expected: format!("counterfactuals {:?}", chosen.images.dims()),
                found: format!("{:?}", generated.dims()),
            });
        }
        // What is generated stands behind the images, and every row picks its own.
        let both = candle_core::Tensor::cat(&[&batch.images, &generated], 0)?;
        let count = batch.images.dim(0)?;
        let mut order: Vec<u32> = (0..count as u32).collect();
        for (place, &row) in rows.iter().enumerate() {
            order[row] = (count + place) as u32;
        }
        let order = candle_core::Tensor::new(order, both.device())?;
        Ok(both.index_select(&order, 0)?)
    }
}

impl Augmentation for CounterfactualAugmentation {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let augmented = batches.iter().map(|batch| self.augmented(batch, rng));
        augmented.collect()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use ctl_compute::random::stream;

    use super::*;
    use crate::WeightedTarget;

    /// Site e adds e to every pixel: `x_{do(e = e′)} = x + e′ − e`.
    struct Offsets;

    impl CounterfactualGenerator for Offsets {
        fn counterfactuals(&self, batch: &Batch, interventions: &[Intervention]) -> Result<Tensor> {
            let offsets: Vec<f32> = interventions
                .iter()
                .map(|i| i.environment.unwrap() as f32 - batch.environment as f32)
                .collect();
            let offsets = Tensor::new(offsets, &Device::Cpu)?.reshape(((), 1, 1, 1))?;
            Ok(batch.images.broadcast_add(&offsets)?)
        }
    }

    struct Wrong;

    impl CounterfactualGenerator for Wrong {
        fn counterfactuals(&self, batch: &Batch, _: &[Intervention]) -> Result<Tensor> {
            Ok(batch.images.narrow(3, 0, 1)?)
        }
    }

    fn method(
        generator: Rc<dyn CounterfactualGenerator>,
        probability: f64,
    ) -> CounterfactualAugmentation {
        CounterfactualAugmentation {
            config: CounterfactualAugmentationConfig { probability },
            generator,
            environments: 3,
        }
    }

    /// Rows 10, 20, … of site 1, with targets 100 above the images.
    fn batch(kind: TargetKind) -> Batch {
        let rows: Vec<f32> = (1u8..=40).map(|row| 11.0 + 10.0 * f32::from(row)).collect();
        let images = Tensor::from_vec(rows, (40, 1, 1, 1), &Device::Cpu).unwrap();
        let images = images
            .broadcast_as((40, 1, 1, 2))
            .unwrap()
            .contiguous()
            .unwrap();
        Batch {
            targets: vec![WeightedTarget {
                weight: 1.0,
                target: (&images + 100.0).unwrap(),
            }],
            ..Batch::new(1, images, kind)
        }
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn images_and_image_targets_go_to_the_same_site() {
        let (before, rng) = (batch(TargetKind::Images), &mut stream(0, "t", "cf"));
        let after = method(Rc::new(Offsets), 1.0)
            .apply(vec![before.clone()], rng)
            .unwrap();
        let shifts: Vec<f32> = flat(&after[0].images)
            .iter()
            .zip(flat(&before.images))
            .map(|(a, b)| a - b)
            .collect();
        // Every site is drawn, its own among them.
        for shift in [-1.0f32, 0.0, 1.0] {
            let count = shifts.iter().filter(|s| (*s - shift).abs() < 1e-6).count();
            assert!(count >= 10, "{shift}: {count} of {}", shifts.len());
        }
        let targets = flat(&after[0].targets[0].target);
        let expected: Vec<f32> = flat(&after[0].images).iter().map(|v| v + 100.0).collect();
        assert_eq!(targets, expected);
        assert_eq!(after[0].environment, 1);
    }

    #[test]
    fn labels_stay_and_so_do_rows_that_are_not_drawn() {
        let before = batch(TargetKind::Classes);
        let rng = &mut stream(0, "t", "cf");
        let after = method(Rc::new(Offsets), 0.5)
            .apply(vec![before.clone()], rng)
            .unwrap();
        assert_eq!(
            flat(&after[0].targets[0].target),
            flat(&before.targets[0].target)
        );
        let pairs = flat(&after[0].images).into_iter().zip(flat(&before.images));
        let moved = pairs.filter(|(a, b)| (a - b).abs() > 0.5).count();
        // A third of the half that is drawn stays where it is: about 27 of 80 values move.
        assert!((12..=44).contains(&moved), "{moved}");
        let still = method(Rc::new(Offsets), 0.0)
            .apply(vec![before.clone()], rng)
            .unwrap();
        assert_eq!(flat(&still[0].images), flat(&before.images));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let rng = &mut stream(0, "t", "cf");
        let result = method(Rc::new(Wrong), 1.0).apply(vec![batch(TargetKind::Classes)], rng);
        let message = result.err().unwrap().to_string();
        assert!(
            message.contains("expected counterfactuals [40, 1, 1, 2], found [40, 1, 1, 1]"),
            "{message}"
        );
        let ill = CounterfactualAugmentationConfig { probability: 2.0 };
        assert!(
            ill.validate(INFO.id)
                .unwrap_err()
                .to_string()
                .contains("probability = 2")
        );
        let parts = CounterfactualAugmentationConfig::default().parts(Rc::new(Offsets), 3);
        assert_eq!(parts.augmentations.len(), 1);
    }
}
