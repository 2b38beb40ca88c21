//! Training on images as other sites would have taken them.

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

const ID: &str = "counterfactual-augmentation";

/// Description of `counterfactual-augmentation`.
pub const INFO: MethodInfo = MethodInfo {
    id: ID,
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

/// Where counterfactual augmentation sends images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Destination {
    /// To a source drawn uniformly, its own among them: the site no longer depends on anything.
    #[default]
    Uniform,
    /// From sources that have more than their share of a class to those that have less, as few
    /// images as make sites and classes independent where every image may be sent.
    Balance,
}

/// Settings of `counterfactual-augmentation`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CounterfactualAugmentationConfig {
    /// Chance that an image is sent anywhere, 0 to 1.
    pub probability: f64,
    /// Where to: `uniform` to any source, `balance` only as far as it parts sites from classes.
    pub destination: Destination,
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

impl Default for CounterfactualAugmentationConfig {
    fn default() -> Self {
        Self {
            probability: 1.0,
            destination: Destination::Uniform,
            generator: Generator::Statistics,
            updates: 2_000,
            keep_detail: true,
            examples: 1_000,
        }
    }
}

impl CounterfactualAugmentationConfig {
    fn generator(&self) -> GeneratorSettings {
        GeneratorSettings {
            generator: self.generator,
            updates: self.updates,
            keep_detail: self.keep_detail,
            examples: self.examples,
        }
    }
}

impl MethodConfig for CounterfactualAugmentationConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (0.0..=1.0).contains(&self.probability);
        in_range(method, "probability", &self.probability, "0 to 1", ok)?;
        self.generator().validate(method)
    }

    fn search_space() -> Vec<SearchDimension> {
        let chances = [0.5, 0.75, 1.0].map(Into::into).to_vec();
        vec![SearchDimension::choice("probability", chances)]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let (place, learning) = Learning::of(ID, self.generator(), context);
        Ok(MethodParts {
            augmentations: vec![Box::new(CounterfactualAugmentation {
                config: *self,
                place,
            })],
            preparation: Some(Box::new(learning)),
            ..MethodParts::objective(Erm::default())
        })
    }
}

/// With a chance, `x ← x_{do(e = e′)}` for a source `e′`: in what the network sees, site and label
/// are no longer tied together.
///
/// Classes and masks stay, because the site causes neither label nor anatomy; image targets become
/// what the generator makes of them under the same intervention. The batch stays that of the
/// environment in which its images were taken.
///
/// [`Destination::Balance`] takes of every class `y` what a source has beyond an equal share,
/// `s_e = P(y | e) / Σ_k P(y | k)` above `1 / E`, and divides it among the sources that have less, in
/// proportion to what they lack. Images without classes, which are as many in each source, stay.
struct CounterfactualAugmentation {
    config: CounterfactualAugmentationConfig,
    place: Place,
}

/// Where the images of one class go from one source: the chance of each source, its own among them.
fn balanced(frequencies: &[Vec<f64>], class: usize, own: usize) -> Vec<f64> {
    let count = frequencies.len();
    let of_class: Vec<f64> = frequencies.iter().map(|f| f[class]).collect();
    let sum: f64 = of_class.iter().sum();
    let mut chances = vec![0.0; count];
    chances[own] = 1.0;
    if sum <= 0.0 || of_class[own] <= 0.0 {
        return chances;
    }
    let (equal, share) = (1.0 / count as f64, of_class[own] / sum);
    let lacks: Vec<f64> = of_class
        .iter()
        .map(|f| (equal - f / sum).max(0.0))
        .collect();
    let lacking: f64 = lacks.iter().sum();
    let leaving = (share - equal).max(0.0) / share;
    if lacking <= 0.0 || leaving <= 0.0 {
        return chances;
    }
    chances[own] = 1.0 - leaving;
    for (chance, lack) in chances.iter_mut().zip(lacks) {
        *chance += leaving * lack / lacking;
    }
    chances
}

/// The place of a number in [0, 1) among chances that sum to 1.
fn place_of(number: f64, chances: &[f64]) -> usize {
    let mut sum = 0.0;
    let place = chances.iter().position(|chance| {
        sum += chance;
        number < sum
    });
    // Rounding may leave the sum below the number.
    place.unwrap_or_else(|| chances.iter().rposition(|&c| c > 0.0).unwrap_or(0))
}

impl CounterfactualAugmentation {
    fn augmented(&self, learnt: &Learnt, batch: &Batch, rng: &mut ChaCha8Rng) -> Result<Batch> {
        let (mut rows, mut acts) = (Vec::new(), Vec::new());
        for row in 0..batch.images.dim(0)? {
            let sent = rng.random::<f64>() < self.config.probability;
            let number: f64 = rng.random();
            let chances = match self.config.destination {
                Destination::Uniform => {
                    let count = learnt.environments.max(1);
                    vec![1.0 / count as f64; count]
                }
                Destination::Balance => {
                    let class = batch.classes.as_ref().map_or(0, |all| all[row] as usize);
                    balanced(&learnt.frequencies, class, batch.environment)
                }
            };
            let environment = place_of(number, &chances);
            // An image of its own source is itself.
            if sent && environment != batch.environment {
                rows.push(row);
                acts.push(Intervention::environment(environment));
            }
        }
        learnt.replaced(ID, batch, (&rows, &acts))
    }
}

impl Augmentation for CounterfactualAugmentation {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        each_labelled((ID, &self.place), batches, |learnt, batch| {
            self.augmented(learnt, batch, rng)
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use candle_core::{Device, Tensor};
    use ctl_compute::random::stream;
    use ctl_invariance::{CounterfactualGenerator, TargetKind, WeightedTarget};

    use super::*;

    /// Site e adds e to every pixel: `x_{do(e = e′)} = x + t (e′ − e)`.
    pub(in crate::methods) struct Offsets;

    impl CounterfactualGenerator for Offsets {
        fn counterfactuals(&self, batch: &Batch, interventions: &[Intervention]) -> Result<Tensor> {
            let offsets: Vec<f32> = interventions
                .iter()
                .map(|i| {
                    let way = i.environment.unwrap() as f32 - batch.environment as f32;
                    i.extent as f32 * way
                })
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

    /// Three sources of one class.
    const PLAIN: [&[f64]; 3] = [&[1.0], &[1.0], &[1.0]];

    fn method(probability: f64, destination: Destination, place: Place) -> impl Augmentation {
        CounterfactualAugmentation {
            config: CounterfactualAugmentationConfig {
                probability,
                destination,
                ..CounterfactualAugmentationConfig::default()
            },
            place,
        }
    }

    /// Rows 10, 20, … of site 1, with targets 100 above the images.
    pub(in crate::methods) fn batch(kind: TargetKind) -> Batch {
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

    pub(in crate::methods) fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn shifts(after: &Batch, before: &Batch) -> Vec<f32> {
        let pairs = flat(&after.images).into_iter().zip(flat(&before.images));
        pairs.map(|(a, b)| a - b).collect()
    }

    #[test]
    fn images_and_image_targets_go_to_the_same_site() {
        let (before, rng) = (batch(TargetKind::Images), &mut stream(0, "t", "cf"));
        let place = Learnt::of(Offsets, &PLAIN);
        let after = method(1.0, Destination::Uniform, place)
            .apply(vec![before.clone()], rng)
            .unwrap();
        let shifts = shifts(&after[0], &before);
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
        let after = method(0.5, Destination::Uniform, Learnt::of(Offsets, &PLAIN))
            .apply(vec![before.clone()], rng)
            .unwrap();
        assert_eq!(
            flat(&after[0].targets[0].target),
            flat(&before.targets[0].target)
        );
        let moved = shifts(&after[0], &before);
        let moved = moved.iter().filter(|shift| shift.abs() > 0.5).count();
        // A third of the half that is drawn stays where it is: about 27 of 80 values move.
        assert!((12..=44).contains(&moved), "{moved}");
        let still = method(0.0, Destination::Uniform, Learnt::of(Offsets, &PLAIN))
            .apply(vec![before.clone()], rng)
            .unwrap();
        assert_eq!(flat(&still[0].images), flat(&before.images));
        let unlabelled = Batch {
            targets: Vec::new(),
            ..before.clone()
        };
        let kept = method(1.0, Destination::Uniform, Learnt::of(Offsets, &PLAIN))
            .apply(vec![unlabelled], rng)
            .unwrap();
        assert_eq!(flat(&kept[0].images), flat(&before.images));
    }

    /// Class 1 has shares 6/10, 3/10 and 1/10 of the three sources: the first gives 4/9 of its own,
    /// 8/30 of the class, and the others lack 1/30 and 7/30 of it.
    #[test]
    fn as_few_as_balance_go_to_whom_they_lack_at() {
        let frequencies = [vec![0.4, 0.6], vec![0.7, 0.3], vec![0.9, 0.1]];
        let from = balanced(&frequencies, 1, 0);
        for (found, expected) in from.iter().zip([5.0 / 9.0, 1.0 / 18.0, 7.0 / 18.0]) {
            assert!((found - expected).abs() < 1e-12, "{from:?}");
        }
        assert_eq!(balanced(&frequencies, 1, 1), [0.0, 1.0, 0.0]);
        // Afterwards every source has a third of each class.
        for class in 0..2 {
            let sum: f64 = frequencies.iter().map(|f| f[class]).sum();
            for other in 0..3 {
                let share: f64 = (0..3)
                    .map(|own| {
                        balanced(&frequencies, class, own)[other] * frequencies[own][class] / sum
                    })
                    .sum();
                assert!(
                    (share - 1.0 / 3.0).abs() < 1e-12,
                    "{class} {other}: {share}"
                );
            }
        }
        // A source without the class, and a class that nobody has.
        assert_eq!(
            balanced(&[vec![1.0, 0.0], vec![0.5, 0.5]], 1, 0),
            [1.0, 0.0]
        );
        assert_eq!(
            balanced(&[vec![1.0, 0.0], vec![1.0, 0.0]], 1, 1),
            [0.0, 1.0]
        );
        assert_eq!(
            [0.0, 0.49, 0.51, 0.999].map(|u| place_of(u, &[0.5, 0.0, 0.5])),
            [0, 0, 2, 2]
        );
        assert_eq!(place_of(1.0, &[0.5, 0.5, 0.0]), 1);
    }

    #[test]
    fn balance_moves_classes_that_are_too_many() {
        let before = Batch {
            classes: Some([0, 1].repeat(20)),
            ..batch(TargetKind::Classes)
        };
        // Site 1 has more than its share of class 1, and less of class 0.
        let frequencies: [&[f64]; 3] = [&[0.9, 0.1], &[0.2, 0.8], &[0.9, 0.1]];
        let rng = &mut stream(0, "t", "cf");
        let after = method(1.0, Destination::Balance, Learnt::of(Offsets, &frequencies))
            .apply(vec![before.clone()], rng)
            .unwrap();
        let moved: Vec<bool> = shifts(&after[0], &before)
            .chunks(2)
            .map(|row| row[0].abs() > 0.5)
            .collect();
        assert!(moved.iter().step_by(2).all(|moved| !moved));
        // 0.8 of all 1.0: the excess over a third is 7/12 of it.
        let count = moved.iter().skip(1).step_by(2).filter(|m| **m).count();
        assert!((6..=17).contains(&count), "{count} of 20");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let rng = &mut stream(0, "t", "cf");
        let method = |place| method(1.0, Destination::Uniform, place);
        let result = method(Learnt::of(Wrong, &PLAIN)).apply(vec![batch(TargetKind::Classes)], rng);
        let message = result.err().unwrap().to_string();
        assert!(message.contains("expected counterfactuals ["), "{message}");
        let result = method(Place::default()).apply(vec![batch(TargetKind::Classes)], rng);
        let message = result.err().unwrap().to_string();
        assert!(message.contains("found no preparation"), "{message}");
        let config = CounterfactualAugmentationConfig::default();
        let cases = [
            (
                CounterfactualAugmentationConfig {
                    probability: 2.0,
                    ..config
                },
                "probability = 2",
            ),
            (
                CounterfactualAugmentationConfig {
                    updates: 0,
                    ..config
                },
                "updates = 0",
            ),
            (
                CounterfactualAugmentationConfig {
                    examples: 1,
                    ..config
                },
                "examples = 1",
            ),
        ];
        for (ill, expected) in cases {
            let error = ill.validate(ID).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
