//! One representation for an image and for what it would have been elsewhere.

use candle_core::{DType, Tensor};
use ctl_compute::ops::log_softmax;
use ctl_compute::optim::AdamParams;
use ctl_invariance::methods::augment::{Augment, AugmentConfig};
use ctl_invariance::pairs::halves;
use ctl_invariance::{
    Assumption, Auxiliary, BuildContext, ConfigError, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, ObjectiveError, ObjectiveState, Projection, Result, Role,
    SearchDimension, Status, Step, Value, in_range, mean_risk,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::generated::{Generator, GeneratorSettings, Learning};
use super::pairs::{CounterfactualPairs, check_reach};

const ID: &str = "counterfactual-contrastive";

/// Description of `counterfactual-contrastive`.
pub const INFO: MethodInfo = MethodInfo {
    id: ID,
    name: "Counterfactual contrastive learning",
    family: Family::Counterfactual,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::SoundCounterfactuals],
    paper: "Roschewitz, De Sousa Ribeiro, Xia, Khara & Glocker 2024, Counterfactual Contrastive Learning: Robust Representations via Causal Image Synthesis; Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations",
    summary: "Draws the features of each image and of its counterfactual from another site together, and apart from those of all other patients.",
};

/// Settings of `counterfactual-contrastive`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CounterfactualContrastiveConfig {
    /// Weight of the contrastive loss, finite and not negative.
    pub contrastive_weight: f64,
    /// What similarities are divided by, 0.01 to 10.
    pub temperature: f64,
    /// Step size of the projection's Adam, positive and finite.
    pub projection_learning_rate: f64,
    /// How far beyond the other site a counterfactual may lie on the way there, 1 to 16: at 1 it is
    /// the other site's, else drawn between that and this.
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

impl Default for CounterfactualContrastiveConfig {
    fn default() -> Self {
        Self {
            contrastive_weight: 0.5,
            temperature: 0.5,
            projection_learning_rate: 1e-3,
            reach: 1.0,
            generator: Generator::Statistics,
            updates: 2_000,
            keep_detail: true,
            examples: 1_000,
        }
    }
}

impl CounterfactualContrastiveConfig {
    fn generator(&self) -> GeneratorSettings {
        GeneratorSettings {
            generator: self.generator,
            updates: self.updates,
            keep_detail: self.keep_detail,
            examples: self.examples,
        }
    }
}

impl MethodConfig for CounterfactualContrastiveConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let weight = self.contrastive_weight;
        let ok = weight.is_finite() && weight >= 0.0;
        let allowed = "finite and not negative";
        in_range(method, "contrastive_weight", &weight, allowed, ok)?;
        let ok = (0.01..=10.0).contains(&self.temperature);
        in_range(method, "temperature", &self.temperature, "0.01 to 10", ok)?;
        let rate = self.projection_learning_rate;
        let ok = rate.is_finite() && rate > 0.0;
        let allowed = "positive and finite";
        in_range(method, "projection_learning_rate", &rate, allowed, ok)?;
        check_reach(method, self.reach)?;
        self.generator().validate(method)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("contrastive_weight", -1.5, 0.5),
            SearchDimension::choice("temperature", [0.1, 0.2, 0.5].map(Into::into).to_vec()),
            SearchDimension::log_uniform("projection_learning_rate", -4.5, -2.5),
            SearchDimension::choice("reach", [1.0, 2.0, 4.0].map(Into::into).to_vec()),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let (place, learning) = Learning::of(ID, self.generator(), context);
        let projection = Projection::new(context.features, context.seed, context.run)?;
        Ok(MethodParts {
            augmentations: vec![
                Box::new(CounterfactualPairs {
                    method: ID,
                    reach: self.reach,
                    place,
                }),
                Box::new(Augment {
                    config: AugmentConfig::default(),
                }),
            ],
            preparation: Some(Box::new(learning)),
            ..MethodParts::objective(CounterfactualContrastive {
                config: *self,
                projection,
            })
        })
    }
}

/// Mean risk over both versions plus `λ` times the mean over all 2N samples of a step, of whatever
/// environment, of
/// `−ln( exp(s(i, p(i)) / τ) / Σ_{k ≠ i} exp(s(i, k) / τ) )`
/// with the cosine `s` of projected features and the other version `p(i)` of the same patient.
///
/// Both versions are changed at random as in `augment`, each for itself; the projection is
/// trained with the network.
///
/// # References
/// Chen et al. 2020, equation 1, with the positive pairs of Roschewitz et al. 2024, section 3
/// (an image and its domain counterfactual). Deviations: the paper pretrains by this loss and then
/// fits a classifier, here both are one training, as suits a registry in which every method has
/// the same budget; negatives are those of the step; the head is [`Projection`], three layers as
/// wide as the features and normalised over all samples of the step, where theirs has two; random
/// changes are those of `augment`, and the risk is that of the changed images.
pub struct CounterfactualContrastive {
    config: CounterfactualContrastiveConfig,
    projection: Projection,
}

/// `NT-Xent` of rows `[2N, F]` whose first half has its other versions in the second.
fn contrast(rows: &Tensor, temperature: f64) -> Result<Tensor> {
    let count = rows.dim(0)?;
    let norms = (rows.sqr()?.sum_keepdim(1)? + f64::from(f32::MIN_POSITIVE))?.sqrt()?;
    let unit = rows.broadcast_div(&norms)?;
    let similar = (unit.matmul(&unit.t()?.contiguous()?)? / temperature)?;
    // A sample is not compared with itself: the exponential of this is 0.
    let own = Tensor::eye(count, DType::F32, rows.device())?;
    let own = own.to_dtype(rows.dtype())?.affine(-1e9, 0.0)?;
    let shares = log_softmax(&(similar + own)?, 1)?;
    let half = count / 2;
    let mut other = vec![0f32; count * count];
    for row in 0..2 * half {
        other[row * count + (row + half) % (2 * half)] = 1.0;
    }
    let other = Tensor::from_vec(other, (count, count), rows.device())?;
    let chosen = (shares * other.to_dtype(rows.dtype())?)?;
    Ok((chosen.sum_all()? / -(count as f64))?)
}

impl Objective for CounterfactualContrastive {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let mut environments = step.labelled()?;
        environments.sort_by_key(|environment| environment.environment);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for environment in environments {
            let [one, other] = halves(ID, &environment.features)?;
            first.push(one);
            second.push(other);
        }
        first.extend(second);
        let features = Tensor::cat(&first, 0)?;
        if features.dim(0)? < 4 {
            return Err(ObjectiveError::Environments {
                method: ID,
                expected: "at least two patients in a step, to tell them apart".into(),
                found: format!("{} rows", features.dim(0)?),
            });
        }
        let projected = self.projection.forward(&features)?;
        let contrast = contrast(&projected, self.config.temperature)?;
        let risk = mean_risk(step)?;
        let total = (&risk + (&contrast * self.config.contrastive_weight)?)?;
        Ok(Value::new(
            total,
            vec![("risk", risk), ("contrast", contrast)],
        ))
    }

    fn auxiliary(&self) -> Option<Auxiliary> {
        Some(Auxiliary {
            variables: self.projection.variables(),
            adam: AdamParams {
                learning_rate: self.config.projection_learning_rate,
                ..AdamParams::default()
            },
        })
    }

    fn state(&self) -> Result<ObjectiveState> {
        self.projection.state()
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        self.projection.restore(state)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use ctl_invariance::{EnvironmentOutputs, SoftmaxCrossEntropy};

    use super::*;

    fn tensor(values: &[f64], rows: usize) -> Tensor {
        Tensor::from_slice(values, (rows, values.len() / rows), &Device::Cpu).unwrap()
    }

    fn scalar(tensor: &Tensor) -> f64 {
        tensor.to_scalar().unwrap()
    }

    /// Patients along the axes, each the same in both versions: the other version has cosine 1, the
    /// two of the other patient 0, so that the loss is ln(1 + 2 exp(−1 / τ)).
    #[test]
    fn loss_by_hand() {
        let rows = [2.0, 0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 3.0];
        for temperature in [0.5f64, 1.0] {
            let found = scalar(&contrast(&tensor(&rows, 4), temperature).unwrap());
            let expected = (1.0 + 2.0 * (-1.0 / temperature).exp()).ln();
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        // Versions that belong together stand in the same place of the two halves: here they lie
        // across, and each is closest to the wrong patient.
        let crossed = [2.0, 0.0, 0.0, 0.5, 0.0, 3.0, 1.0, 0.0];
        let found = scalar(&contrast(&tensor(&crossed, 4), 1.0).unwrap());
        assert!((found - (2.0 + 1f64.exp()).ln()).abs() < 1e-12, "{found}");
    }

    /// The definition term by term, of rows without any order.
    #[test]
    fn loss_by_the_definition_and_gradient_by_differences() {
        let rows: Vec<f64> = (0..18)
            .map(|i| f64::from(i * 37 % 19) / 10.0 - 0.8)
            .collect();
        let loss = |rows: &[f64]| -> f64 {
            let cosine = |i: usize, k: usize| {
                let (a, b) = (&rows[3 * i..3 * i + 3], &rows[3 * k..3 * k + 3]);
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
            };
            let of = |i: usize| {
                let others = (0..6).filter(|&k| k != i);
                let sum: f64 = others.map(|k| (cosine(i, k) / 0.2).exp()).sum();
                -((cosine(i, (i + 3) % 6) / 0.2).exp() / sum).ln()
            };
            (0..6).map(of).sum::<f64>() / 6.0
        };
        let var = Var::from_tensor(&tensor(&rows, 6)).unwrap();
        let value = contrast(&var, 0.2).unwrap();
        assert!((scalar(&value) - loss(&rows)).abs() < 1e-12);
        let gradient = value.backward().unwrap();
        let gradient = gradient.get(&var).unwrap().flatten_all().unwrap();
        for (index, found) in gradient.to_vec1::<f64>().unwrap().into_iter().enumerate() {
            let moved = |step: f64| {
                let mut rows = rows.clone();
                rows[index] += step;
                loss(&rows)
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        }
    }

    fn objective() -> CounterfactualContrastive {
        CounterfactualContrastive {
            config: CounterfactualContrastiveConfig::default(),
            projection: Projection::in_double_precision(2, 3, "t").unwrap(),
        }
    }

    fn environments(order: [usize; 2]) -> Vec<EnvironmentOutputs> {
        let rows = [
            [0.3, -0.4, 1.1, 0.2, -0.9, 0.6, 0.5, 0.1],
            [-0.2, 0.8, 0.4, 0.9, 1.3, -0.7, 0.2, 0.3],
        ];
        let of = |index: usize| {
            let outputs = tensor(&rows[index], 4);
            let target = Tensor::new(&[0u32, 1, 0, 1], &Device::Cpu).unwrap();
            EnvironmentOutputs::labelled(index, outputs.clone(), outputs, target)
        };
        order.map(of).into()
    }

    fn evaluate(environments: &[EnvironmentOutputs]) -> Result<Value> {
        objective().evaluate(&Step {
            number: 0,
            environments,
            loss: &SoftmaxCrossEntropy,
        })
    }

    /// Pairs are found across environments: rows 0 and 1 of each are its patients, rows 2 and 3 the
    /// same patients elsewhere. The order of environments does not matter.
    #[test]
    fn patients_are_paired_within_their_environment() {
        let value = evaluate(&environments([0, 1])).unwrap();
        let other = evaluate(&environments([1, 0])).unwrap();
        assert!((scalar(&value.total) - scalar(&other.total)).abs() < 1e-12);
        let rows = [
            [0.3, -0.4, 1.1, 0.2],
            [-0.2, 0.8, 0.4, 0.9],
            [-0.9, 0.6, 0.5, 0.1],
            [1.3, -0.7, 0.2, 0.3],
        ];
        let projected = objective().projection.forward(&tensor(&rows.concat(), 8));
        let expected = scalar(&contrast(&projected.unwrap(), 0.5).unwrap());
        assert!((value.term("contrast").unwrap().unwrap() - expected).abs() < 1e-12);
        let risk = value.term("risk").unwrap().unwrap();
        assert!((scalar(&value.total) - risk - 0.5 * expected).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_told_apart_is_an_error() {
        let outputs = tensor(&[0.1, 0.2, 0.3, 0.4], 2);
        let target = Tensor::new(&[0u32, 0], &Device::Cpu).unwrap();
        let alone = EnvironmentOutputs::labelled(0, outputs.clone(), outputs, target);
        let error = evaluate(&[alone]).err().unwrap().to_string();
        assert!(error.contains("at least two patients"), "{error}");
        let config = CounterfactualContrastiveConfig::default();
        for (ill, expected) in [
            (
                CounterfactualContrastiveConfig {
                    temperature: 0.0,
                    ..config
                },
                "temperature = 0",
            ),
            (
                CounterfactualContrastiveConfig {
                    contrastive_weight: -1.0,
                    ..config
                },
                "contrastive_weight = -1",
            ),
            (
                CounterfactualContrastiveConfig {
                    projection_learning_rate: 0.0,
                    ..config
                },
                "projection_learning_rate = 0",
            ),
        ] {
            let error = ill.validate(ID).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
