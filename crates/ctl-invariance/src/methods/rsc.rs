//! Representation self-challenging.

mod challenged;

use candle_core::{DType, Tensor};
use ctl_compute::ops::softmax;
use ctl_nets::{Architecture, LinearHead, Network, NetworkSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use challenged::ChallengedAutoencoder;

use crate::loss::one_hot;
use crate::{
    Assumption, BuildContext, ConfigError, EnvironmentOutputs, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, Result, Role, SampleLoss, SearchDimension, Status, Step, Value,
    in_range,
};

/// Description of `rsc`.
pub const INFO: MethodInfo = MethodInfo {
    id: "rsc",
    name: "RSC",
    family: Family::Correlation,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::SeveralFeaturesPredict],
    paper: "Huang, Wang, Xing & Huang 2020, Self-Challenging Improves Cross-Domain Generalization",
    summary: "Mutes the features that speak loudest for the truth, so that others must learn to.",
};

/// Settings of `rsc`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RscConfig {
    /// Share of an image's features that are muted, from 0 to below 1.
    pub feature_share: f64,
    /// Share of the images of a step whose features are muted, 0 to 1.
    pub batch_share: f64,
}

impl Default for RscConfig {
    /// The values of the paper and of `DomainBed`.
    fn default() -> Self {
        Self {
            feature_share: 1.0 / 3.0,
            batch_share: 1.0 / 3.0,
        }
    }
}

impl MethodConfig for RscConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let share = self.feature_share;
        let ok = (0.0..1.0).contains(&share);
        in_range(method, "feature_share", &share, "in [0, 1)", ok)?;
        let share = self.batch_share;
        let ok = (0.0..=1.0).contains(&share);
        in_range(method, "batch_share", &share, "in [0, 1]", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::uniform("feature_share", 0.0, 0.5),
            SearchDimension::uniform("batch_share", 0.0, 0.5),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Rsc { config: *self }))
    }

    fn note_on(&self, spec: &NetworkSpec) -> Option<String> {
        let nothing = matches!(
            spec.architecture,
            Architecture::Unrolled | Architecture::ReconUNetConsistent
        );
        nothing.then(|| "rsc: the network does not end with a linear layer whose input could be muted: plain training".into())
    }

    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        let inner = spec.build(seed, run)?;
        let config = *self;
        Ok(match spec.architecture {
            Architecture::Autoencoder | Architecture::Vae => {
                Box::new(ChallengedAutoencoder::new(inner, config))
            }
            _ => inner,
        })
    }
}

/// Mean risk of outputs in which, for the `batch_share` of the images that lose most by it, the
/// `feature_share` of the features with the largest `g = ∂s/∂z` are muted: `ŷ = W (z ∘ m) + b`.
///
/// `z` are the inputs of the network's last linear layer and `s` is the score of the truth, the
/// output of the true class; so `g` is a row of `W`. What an image loses is the probability of its
/// class.
///
/// # References
/// Huang et al. 2020, equations 1 to 5 and section 3.3 (the share of the batch), in `DomainBed`'s
/// form, which chooses images by what they lose.
///
/// Deviations:
/// - Shares are met exactly, by rank; `DomainBed` mutes all that reaches a percentile.
/// - In segmentation a feature is muted in all pixels of an image or in none, by the mean of `g`
///   over pixels (the paper's muting of channels), and an image loses the mean probability of its
///   pixels' classes.
/// - Where outputs are images the score is the negative loss, `s = −ℓ`, and an image loses what its
///   loss grows by.
/// - Autoencoders end in a decoder and not in a linear layer: the channels of the encoder's second
///   map are muted, see [`ChallengedAutoencoder`].
/// - `unrolled` and `recon-unet-consistent`, which end with the measured frequencies, have no
///   linear layer whose inputs could be muted: they are trained plainly.
pub struct Rsc {
    /// Settings.
    pub config: RscConfig,
}

/// The `share` of the values that are largest, the first of equal ones.
fn largest(values: &[f64], share: f64) -> Vec<bool> {
    let count = (share * values.len() as f64).round() as usize;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let mut chosen = vec![false; values.len()];
    for &index in &order[..count] {
        chosen[index] = true;
    }
    chosen
}

/// 0 for the `share` of the features `[B, F]` with the largest gradient in a chosen row, else 1.
fn mask(
    gradient: &Tensor,
    share: f64,
    is_chosen: impl Fn(usize) -> bool,
) -> candle_core::Result<Tensor> {
    let rows = gradient.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let kept = rows.iter().enumerate().flat_map(|(row, values)| {
        let muted = largest(values, if is_chosen(row) { share } else { 0.0 });
        muted.into_iter().map(|muted| f64::from(u8::from(!muted)))
    });
    let kept: Vec<f64> = kept.collect();
    let mask = Tensor::from_vec(kept, gradient.shape(), gradient.device())?;
    mask.to_dtype(gradient.dtype())
}

/// Features `[B, …, F]` under a mask `[B, F]`.
fn muted(features: &Tensor, mask: &Tensor) -> candle_core::Result<Tensor> {
    let mut shape = vec![1; features.rank()];
    (shape[0], shape[features.rank() - 1]) = mask.dims2()?;
    features.broadcast_mul(&mask.reshape(shape)?)
}

/// Mean over pixels, `[B, K, …] -> [B, K]`.
fn over_pixels(values: &Tensor) -> candle_core::Result<Tensor> {
    if values.rank() == 2 {
        return Ok(values.clone());
    }
    values.flatten_from(2)?.mean(2)
}

/// Derivative of the score with respect to the inputs of the head, its mean over pixels, `[B, F]`.
fn gradient(e: &EnvironmentOutputs, head: &LinearHead, loss: &dyn SampleLoss) -> Result<Tensor> {
    let of_outputs = if e.is_categorical() {
        e.weighted(|outputs, target| one_hot(INFO.id, outputs, target))?
    } else {
        e.output_gradient(loss)?.neg()?
    };
    let of_outputs = over_pixels(&of_outputs.detach())?;
    Ok(of_outputs.matmul(&head.weight.detach())?)
}

/// Score of the truth of every image `[B]`: its probability, or the negative loss.
fn scores(e: &EnvironmentOutputs, loss: &dyn SampleLoss) -> Result<Vec<f64>> {
    let scores = if e.is_categorical() {
        e.weighted(|outputs, target| {
            let truth = one_hot(INFO.id, outputs, target)?;
            Ok(over_pixels(&softmax(outputs, 1)?.mul(&truth)?)?.sum(1)?)
        })?
    } else {
        e.losses(loss)?.neg()?
    };
    Ok(scores.to_dtype(DType::F64)?.to_vec1()?)
}

/// The environment with masked inputs of its head.
fn masked(e: &EnvironmentOutputs, head: &LinearHead, mask: &Tensor) -> Result<EnvironmentOutputs> {
    Ok(EnvironmentOutputs {
        outputs: head.outputs(&muted(&head.input, mask)?)?,
        ..e.clone()
    })
}

impl Objective for Rsc {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let RscConfig {
            feature_share,
            batch_share,
        } = self.config;
        let labelled = step.labelled()?;
        let mut losses = Vec::new();
        let mut gradients = Vec::new();
        for e in &labelled {
            let Some(head) = &e.head else { continue };
            let gradient = gradient(e, head, step.loss)?;
            let muted = masked(e, head, &mask(&gradient, feature_share, |_| true)?)?;
            let scores = scores(e, step.loss)?
                .into_iter()
                .zip(scores(&muted, step.loss)?);
            losses.extend(scores.map(|(before, after)| before - after));
            gradients.push((e, head, gradient));
        }
        let chosen = largest(&losses, batch_share);
        let mut first = 0;
        let mut risks = Vec::new();
        for (e, head, gradient) in gradients {
            let rows = gradient.dim(0)?;
            let mask = mask(&gradient, feature_share, |row| chosen[first + row])?;
            risks.push(masked(e, head, &mask)?.risk(step.loss)?);
            first += rows;
        }
        for e in labelled.iter().filter(|e| e.head.is_none()) {
            risks.push(e.risk(step.loss)?);
        }
        let risk = Tensor::stack(&risks, 0)?.mean_all()?;
        Ok(Value::new(risk.clone(), vec![("risk", risk)]))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use ctl_compute::random::{normal, stream};

    use super::*;
    use crate::methods::testing::check_settings;
    use crate::{SegmentationLoss, SoftmaxCrossEntropy};

    #[test]
    fn shares_are_met_by_rank() {
        assert_eq!(
            largest(&[1.0, 3.0, 3.0, 2.0], 0.5),
            [false, true, true, false]
        );
        assert_eq!(largest(&[3.0, 3.0, 3.0], 1.0 / 3.0), [true, false, false]);
        assert_eq!(largest(&[1.0], 1.0 / 3.0), [false]);
        assert!(largest(&[], 0.5).is_empty());
        let gradient = Tensor::new(&[[0.0, -1.0, 2.0], [5.0, 6.0, 4.0f32]], &Device::Cpu).unwrap();
        let mask = mask(&gradient, 1.0 / 3.0, |row| row == 1).unwrap();
        let mask = mask.to_vec2::<f32>().unwrap();
        assert_eq!(mask, [[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]);
    }

    /// Two classes of three features each: `W = ((3, 1, 0), (0, 2, 1))`.
    fn head(input: &Tensor) -> LinearHead {
        let weight = [[3.0, 1.0, 0.0], [0.0, 2.0, 1.0f64]];
        LinearHead {
            input: input.clone(),
            weight: Tensor::new(&weight, &Device::Cpu).unwrap(),
            bias: Tensor::zeros(2, DType::F64, &Device::Cpu).unwrap(),
            base: None,
        }
    }

    fn environment(index: usize, input: &Tensor, target: Tensor) -> EnvironmentOutputs {
        let head = head(input);
        let outputs = head.outputs(input).unwrap();
        EnvironmentOutputs::labelled(index, outputs.clone(), outputs, target).with_head(Some(head))
    }

    /// A third of the features, half of the images.
    fn risk_of(environments: &[EnvironmentOutputs], loss: &dyn SampleLoss) -> Tensor {
        let step = Step {
            number: 0,
            environments,
            loss,
        };
        let config = RscConfig {
            feature_share: 1.0 / 3.0,
            batch_share: 0.5,
        };
        Rsc { config }.evaluate(&step).unwrap().total
    }

    /// Class 0 speaks through feature 0, class 1 through feature 1, which are muted where the true
    /// class loses more: an image with (1, 0, 0) loses all it has, one with (0, 0, 2) nothing.
    #[test]
    fn risk_and_gradient_by_hand() {
        let rows = Tensor::new(&[[1.0, 0.0, 0.0], [0.0, 0.0, 2.0f64]], &Device::Cpu).unwrap();
        let input = Var::from_tensor(&rows).unwrap();
        let environments: Vec<_> = [0u32, 1]
            .into_iter()
            .map(|class| {
                let row = input.narrow(0, class as usize, 1).unwrap();
                let target = Tensor::new(&[class], &Device::Cpu).unwrap();
                environment(class as usize, &row, target)
            })
            .collect();
        let total = risk_of(&environments, &SoftmaxCrossEntropy);
        // Logits (0, 0) of the first once it is muted, and (0, 2) of the second.
        let second = (1.0 + (-2f64).exp()).ln();
        let expected = f64::midpoint(2f64.ln(), second);
        assert!((total.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
        let gradient = total.backward().unwrap();
        let gradient = gradient.get(&input).unwrap().to_vec2::<f64>().unwrap();
        // ½ (p − y) W under the mask.
        let p = 1.0 / (1.0 + 2f64.exp());
        let expected = [[0.0, 0.25, 0.25], [1.5 * p, -0.5 * p, -0.5 * p]];
        for (found, expected) in gradient.concat().iter().zip(expected.concat()) {
            assert!((found - expected).abs() < 1e-12, "{gradient:?}");
        }
    }

    /// Two pixels of class 1, one of class 0: the mean gradient is (1, 5/3, 2/3).
    #[test]
    fn channels_are_muted_in_masks() {
        let pixels = [[[[1.0, 2.0, 3.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]]];
        let input = Tensor::new(&pixels, &Device::Cpu).unwrap();
        let target = Tensor::new(&[[[1u32, 0, 1]]], &Device::Cpu).unwrap();
        let e = environment(0, &input, target);
        let found = gradient(&e, &head(&input), &SegmentationLoss).unwrap();
        let found = found.to_vec2::<f64>().unwrap();
        for (found, expected) in found[0].iter().zip([1.0, 5.0 / 3.0, 2.0 / 3.0]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
        let mut without = pixels;
        for pixel in &mut without[0][0] {
            pixel[1] = 0.0;
        }
        let without = Tensor::new(&without, &Device::Cpu).unwrap();
        let expected = environment(0, &without, e.targets[0].target.clone());
        let expected = expected.risk(&SegmentationLoss).unwrap();
        // One image: a half rounds to it.
        let total = risk_of(&[e], &SegmentationLoss);
        let [total, expected] = [total, expected].map(|t| t.to_scalar::<f64>().unwrap());
        assert!((total - expected).abs() < 1e-12, "{total} and {expected}");
    }

    /// The gradient of the negative squared error by finite differences.
    #[test]
    fn images_are_scored_by_their_loss() {
        let drawn = |shape: &[usize], purpose: &str| {
            let drawn = normal(&mut stream(0, "tests", purpose), shape, 0.0, 1.0).unwrap();
            drawn.to_dtype(DType::F64).unwrap()
        };
        let (input, target) = (
            drawn(&[1, 2, 2, 3], "input"),
            drawn(&[1, 2, 2, 2], "target"),
        );
        let e = environment(0, &input, target.clone());
        let found = gradient(&e, &head(&input), &crate::SquaredError).unwrap();
        let found = found.to_vec2::<f64>().unwrap();
        for (feature, found) in found[0].iter().enumerate() {
            let score = |by: f64| {
                let mut moved = vec![0.0; 3];
                moved[feature] = by;
                let moved = Tensor::from_vec(moved, (1, 1, 1, 3), &Device::Cpu).unwrap();
                let moved = environment(0, &input.broadcast_add(&moved).unwrap(), target.clone());
                scores(&moved, &crate::SquaredError).unwrap()[0]
            };
            let slope = (score(1e-5) - score(-1e-5)) / 2e-5;
            // The mean over four pixels of what the shift of all of them sums.
            assert!((found - slope / 4.0).abs() < 1e-8, "{found} and {slope}");
        }
    }

    #[test]
    fn networks_without_a_linear_end_are_trained_plainly() {
        let input = Tensor::new(&[[1.0, 2.0, 3.0f64]], &Device::Cpu).unwrap();
        let target = Tensor::new(&[0u32], &Device::Cpu).unwrap();
        let e = environment(0, &input, target).with_head(None);
        let plain = e
            .risk(&SoftmaxCrossEntropy)
            .unwrap()
            .to_scalar::<f64>()
            .unwrap();
        let total = risk_of(&[e], &SoftmaxCrossEntropy)
            .to_scalar::<f64>()
            .unwrap();
        assert!((total - plain).abs() < 1e-15);
    }

    #[test]
    fn settings() {
        check_settings::<RscConfig>(
            INFO,
            &[
                ("feature_share", "1", "[0, 1)"),
                ("batch_share", "1.1", "[0, 1]"),
            ],
        );
    }
}
