//! Source images in the colours of the target: low frequencies of the amplitude are exchanged.

use candle_core::Tensor;
use ctl_compute::ops::{log_softmax, softmax};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::amplitude::{Loan, with_loans};
use crate::pairs::outputs_images;
use crate::pixels::Pictures;
use crate::{
    Assumption, Augmentation, Batch, BuildContext, ConfigError, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, Result, Role, SearchDimension, Status, Step, Value, in_range,
    mean_risk,
};

/// Description of `fda`.
pub const INFO: MethodInfo = MethodInfo {
    id: "fda",
    name: "FDA",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Adaptation,
    needs: Needs::TARGET,
    exceptions: &[],
    assumptions: &[Assumption::ContentInPhase],
    paper: "Yang & Soatto 2020, FDA: Fourier Domain Adaptation for Semantic Segmentation",
    summary: "Trains on source images whose low frequencies have the amplitude of a target image.",
};

/// Settings of `fda`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FdaConfig {
    /// Half side of the window of exchanged frequencies as a share of the image's shorter side,
    /// 0 to 0.5; at 0 only the mean is exchanged.
    pub beta: f64,
    /// Weight of the entropy on the target, not negative.
    pub entropy_weight: f64,
    /// Exponent of the penalty on the entropy, positive, at most 8.
    pub entropy_exponent: f64,
}

impl Default for FdaConfig {
    /// The widest of the paper's three windows, because images are small here.
    fn default() -> Self {
        Self {
            beta: 0.09,
            entropy_weight: 0.005,
            entropy_exponent: 2.0,
        }
    }
}

impl MethodConfig for FdaConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (0.0..=0.5).contains(&self.beta);
        in_range(method, "beta", &self.beta, "0 to 0.5", ok)?;
        let weight = self.entropy_weight;
        let ok = weight.is_finite() && weight >= 0.0;
        in_range(
            method,
            "entropy_weight",
            &weight,
            "finite and not negative",
            ok,
        )?;
        let exponent = self.entropy_exponent;
        let ok = exponent > 0.0 && exponent <= 8.0;
        in_range(
            method,
            "entropy_exponent",
            &exponent,
            "above 0 and at most 8",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        let windows = [0.01, 0.05, 0.09].map(Into::into).to_vec();
        vec![SearchDimension::choice("beta", windows)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(Exchanged { config: *self })],
            ..MethodParts::objective(Fda { config: *self })
        })
    }
}

/// `x ← F⁻¹(M |F t| + (1 − M) |F x|, arg F x)` with a target image `t` drawn for each source image
/// and `M` the window of frequencies that are at most `⌊β min(H, W)⌋` from 0 along both axes.
///
/// # References
/// Yang & Soatto 2020, equations 2 and 3, the window of the authors' code.
/// Deviation: pixels that leave [0, 1] are cut off. An image target of a source takes the amplitude
/// of the same target image, which has no other.
pub struct Exchanged {
    /// Settings.
    pub config: FdaConfig,
}

impl Augmentation for Exchanged {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let pictures = batches.iter().map(Pictures::of);
        let pictures = pictures.collect::<Result<Vec<_>>>()?;
        let unlabelled = batches.iter().enumerate().filter(|(_, b)| !b.is_labelled());
        let donors: Vec<(usize, usize)> = unlabelled
            .flat_map(|(batch, _)| (0..pictures[batch].images.count()).map(move |row| (batch, row)))
            .collect();
        if donors.is_empty() {
            return Ok(batches);
        }
        let mut exchanged = Vec::with_capacity(batches.len());
        for (index, batch) in batches.into_iter().enumerate() {
            if !batch.is_labelled() {
                exchanged.push(batch);
                continue;
            }
            let mut loan = || {
                let (batch, row) = donors[rng.random_range(0..donors.len())];
                let share = 1.0;
                Loan { batch, row, share }
            };
            let images = &pictures[index].images;
            let loans: Vec<Loan> = (0..images.count()).map(|_| loan()).collect();
            let [_, height, width] = images.shape();
            let reach = (self.config.beta * height.min(width) as f64).floor() as usize;
            let changed = with_loans(&pictures, index, &loans, reach)?;
            exchanged.push(changed.put_into(&batch)?);
        }
        Ok(exchanged)
    }
}

/// `R + λ mean (h² + 0.001²)^η` over the samples, and the pixels of samples, of the target, with
/// `h` the entropy of a prediction over that of a uniform one; the risk alone where outputs are
/// images, which have no entropy.
///
/// # References
/// Yang & Soatto 2020, equations 5 and 6, entropies divided by `log K` as in the authors' code.
/// Deviation: no rounds of self-training on the predictions of several windows (section 3.4).
pub struct Fda {
    /// Settings.
    pub config: FdaConfig,
}

/// Keeps the penalty's slope finite at no entropy.
const FLOOR: f64 = 1e-6;

/// Penalised entropy of logits `[B, K, …]`, a scalar.
fn entropy_penalty(logits: &Tensor, exponent: f64) -> Result<Tensor> {
    let most = (logits.dim(1)? as f64).ln();
    let entropy = softmax(logits, 1)?.mul(&log_softmax(logits, 1)?)?.sum(1)?;
    let share = (entropy / most)?.sqr()?;
    Ok((share + FLOOR)?.powf(exponent)?.mean_all()?)
}

impl Objective for Fda {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risk = mean_risk(step)?;
        let images = step.labelled()?.into_iter().any(outputs_images);
        let target = step.environments.iter().filter(|e| !e.is_labelled());
        let outputs: Vec<&Tensor> = target.map(|e| &e.outputs).collect();
        let many = outputs
            .first()
            .is_some_and(|o| o.dim(1).is_ok_and(|k| k > 1));
        if images || !many {
            return Ok(Value::new(risk.clone(), vec![("risk", risk)]));
        }
        let outputs = Tensor::cat(&outputs, 0)?;
        let penalty = entropy_penalty(&outputs, self.config.entropy_exponent)?;
        let weight = self.config.entropy_weight;
        Value::penalised(&risk, ("entropy-penalty", penalty), weight, false)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use ctl_compute::random::stream;

    use super::*;
    use crate::methods::testing::{classification, evaluate};
    use crate::{TargetKind, WeightedTarget};

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// At β = 0 the mean alone is exchanged: the source keeps its pattern about the target's mean.
    #[test]
    fn the_mean_of_the_target_by_hand() {
        let source = Tensor::new(&[[[[0.2f32, 0.4], [0.4, 0.2]]]], &Device::Cpu).unwrap();
        let target = Tensor::new(&[[[[0.6f32, 0.6], [0.4, 0.4]]]], &Device::Cpu).unwrap();
        let batch = Batch {
            targets: vec![WeightedTarget {
                weight: 1.0,
                target: source.clone(),
            }],
            ..Batch::new(0, source, TargetKind::Images)
        };
        let unlabelled = Batch::new(1, target.clone(), TargetKind::Images);
        let config = FdaConfig {
            beta: 0.0,
            ..FdaConfig::default()
        };
        let method = Exchanged { config };
        let rng = &mut stream(0, "t", "fda");
        let out = method.apply(vec![batch.clone(), unlabelled], rng).unwrap();
        for tensor in [&out[0].images, &out[0].targets[0].target] {
            for (found, expected) in flat(tensor).iter().zip([0.4, 0.6, 0.6, 0.4]) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
        assert_eq!(flat(&out[1].images), flat(&target));
        let alone = method.apply(vec![batch.clone()], rng).unwrap();
        assert_eq!(flat(&alone[0].images), flat(&batch.images));
    }

    /// A uniform prediction has h = 1; ln 3 and 0 give shares ¾ and ¼.
    #[test]
    fn the_penalty_by_hand_and_by_differences() {
        let logits = Tensor::new(&[[0.0, 0.0], [3f64.ln(), 0.0]], &Device::Cpu).unwrap();
        let found = entropy_penalty(&logits, 2.0)
            .unwrap()
            .to_scalar::<f64>()
            .unwrap();
        let h = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln()) / 2f64.ln();
        let expected = f64::midpoint(1.000_001f64.powi(2), (h * h + 1e-6).powi(2));
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");

        let variable = Var::from_tensor(&logits).unwrap();
        let gradients = entropy_penalty(&variable, 2.0).unwrap().backward().unwrap();
        let gradient = gradients.get(&variable).unwrap().to_vec2::<f64>().unwrap();
        let at = |value: f64| {
            let moved = Tensor::new(&[[0.0, 0.0], [value, 0.0]], &Device::Cpu).unwrap();
            entropy_penalty(&moved, 2.0)
                .unwrap()
                .to_scalar::<f64>()
                .unwrap()
        };
        let step = 1e-5;
        let expected = (at(3f64.ln() + step) - at(3f64.ln() - step)) / (2.0 * step);
        assert!((gradient[1][0] - expected).abs() < 1e-9);
    }

    #[test]
    fn entropy_counts_on_the_target_alone() {
        let mut environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[0.0, 0.0]], &[0]),
        ];
        environments[1].targets.clear();
        let config = FdaConfig {
            entropy_weight: 10.0,
            ..FdaConfig::default()
        };
        let mut objective = Fda { config };
        let total = |value: Value| value.total.to_scalar::<f64>().unwrap();
        let expected = 2f64.ln() + 10.0 * 1.000_001f64.powi(2);
        assert!((total(evaluate(&mut objective, &environments)) - expected).abs() < 1e-12);
        let alone = total(evaluate(&mut objective, &environments[..1]));
        assert!((alone - 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn ill_settings_are_named() {
        let config = FdaConfig::default();
        for (ill, expected) in [
            (
                FdaConfig {
                    beta: 0.6,
                    ..config
                },
                "beta = 0.6",
            ),
            (
                FdaConfig {
                    entropy_weight: -1.0,
                    ..config
                },
                "entropy_weight = -1",
            ),
            (
                FdaConfig {
                    entropy_exponent: 0.0,
                    ..config
                },
                "entropy_exponent = 0",
            ),
        ] {
            let message = ill.validate("fda").unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
