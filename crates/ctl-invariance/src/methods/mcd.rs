//! Maximum classifier discrepancy.

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::ops::softmax;
use ctl_nets::{
    Initialiser, Linear, LinearHead, Mode, Network, NetworkInput, NetworkOutput, NetworkSpec,
    Parameters,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wrapping::Sizes;
use crate::{
    Assumption, BuildContext, ConfigError, EnvironmentOutputs, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, ObjectiveError, Result, Role, SampleLoss, SearchDimension,
    Status, Step, Value, in_range,
};

/// Description of `mcd`.
pub const INFO: MethodInfo = MethodInfo {
    id: "mcd",
    name: "MCD",
    family: Family::Correlation,
    status: Status::Preview,
    role: Role::Adaptation,
    needs: Needs::TARGET,
    exceptions: &[],
    assumptions: &[Assumption::InvariantPredictor],
    paper: "Saito, Watanabe, Ushiku & Harada 2018, Maximum Classifier Discrepancy for Unsupervised Domain Adaptation",
    summary: "Trains two heads that differ on the target as much as they can, and features on which they cannot.",
};

/// Settings of `mcd`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McdConfig {
    /// Weight of the discrepancy, not negative.
    pub lambda: f64,
}

impl Default for McdConfig {
    /// The paper weighs nothing.
    fn default() -> Self {
        Self { lambda: 1.0 }
    }
}

impl MethodConfig for McdConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.lambda.is_finite() && self.lambda >= 0.0;
        in_range(
            method,
            "lambda",
            &self.lambda,
            "finite and not negative",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("lambda", -2.0, 1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Mcd { config: *self }))
    }

    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        let inner = spec.build(seed, run)?;
        let sizes = Sizes::of(spec, inner.as_ref())?;
        let parameters = Parameters::new(seed, run);
        let width = sizes.head.unwrap_or(spec.outputs);
        let network = TwoHeads::new(inner, parameters, [spec.outputs, width])?;
        Ok(Box::new(network))
    }
}

/// A network with a second head on the inputs of its last linear layer.
///
/// Its head gives the outputs of both, the network's own first, `[B, 2K]` or `[B, 2K, H, W]`;
/// outputs are the own ones. In evaluation it is the plain network.
/// The second head of a network that does not end with a linear layer is an affine map of its
/// outputs, and the first is the identity.
pub struct TwoHeads {
    inner: Box<dyn Network>,
    parameters: Parameters,
    weight: Var,
    bias: Var,
}

impl TwoHeads {
    fn new(
        inner: Box<dyn Network>,
        mut parameters: Parameters,
        [outputs, width]: [usize; 2],
    ) -> Result<Self> {
        parameters.share(inner.parameters());
        let init = Initialiser::fan_in_uniform(width);
        Ok(Self {
            weight: parameters.add("second.weight", &[outputs, width], init)?,
            bias: parameters.add("second.bias", &[outputs], init)?,
            inner,
            parameters,
        })
    }

    /// Both heads as one.
    fn both(&self, own: LinearHead) -> candle_core::Result<LinearHead> {
        let twice = |base: Tensor| Tensor::cat(&[&base, &base], 1);
        Ok(LinearHead {
            weight: Tensor::cat(&[&own.weight, self.weight.as_tensor()], 0)?,
            bias: Tensor::cat(&[&own.bias, self.bias.as_tensor()], 0)?,
            base: own.base.map(twice).transpose()?,
            input: own.input,
        })
    }
}

/// Outputs `[B, K]` or `[B, K, H, W]` as a head that changes nothing.
fn identity(outputs: &Tensor) -> candle_core::Result<LinearHead> {
    let (width, dtype) = (outputs.dim(1)?, outputs.dtype());
    let input = match outputs.rank() {
        2 => outputs.clone(),
        _ => outputs.permute((0, 2, 3, 1))?.contiguous()?,
    };
    Ok(LinearHead {
        input,
        weight: Tensor::eye(width, dtype, &Device::Cpu)?,
        bias: Tensor::zeros(width, dtype, &Device::Cpu)?,
        base: None,
    })
}

impl Network for TwoHeads {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        let mut out = self.inner.forward(input, mode)?;
        if mode == Mode::Train {
            let own = match out.head.take() {
                Some(head) => head,
                None => identity(&out.outputs)?,
            };
            out.head = Some(self.both(own)?);
        }
        Ok(out)
    }

    fn feature_width(&self) -> usize {
        self.inner.feature_width()
    }

    fn head(&self) -> Option<&Linear> {
        self.inner.head()
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// `R₁ + R₂ + λ D` for the features and `R₁ + R₂ − λ D` for the two heads, in one step.
///
/// `R₁`, `R₂` are the mean risks of the environments under either head, `D` the mean over the
/// target's images, pixels and classes of `|p₁ − p₂|`, the difference of their probabilities.
/// Features are given `D` with constant heads, and heads `−D` on constant features.
///
/// # References
/// Saito et al. 2018, section 3, the discrepancy and training steps A to C.
///
/// Deviations:
/// - The paper takes turns in a step: features and heads on the sources, heads against the target,
///   features four times against the heads; here all are updated at once, as in
///   [`Dann`](super::dann::Dann).
/// - Where outputs are images `D` is the mean absolute difference of the outputs.
/// - Networks that do not end with a linear layer (`unrolled`, `recon-unet-consistent` and
///   autoencoders) have their outputs and an affine map of them for heads, see [`TwoHeads`].
pub struct Mcd {
    /// Settings.
    pub config: McdConfig,
}

/// Outputs of either head.
fn halves(e: &EnvironmentOutputs, of: impl Fn(&LinearHead) -> LinearHead) -> Result<[Tensor; 2]> {
    let outputs = e.outputs.dim(1)?;
    let head = e.head.as_ref().filter(|head| {
        let rows = head.weight.dims().first();
        rows == Some(&(2 * outputs))
    });
    let head = head.ok_or_else(|| ObjectiveError::Environments {
        method: INFO.id,
        expected: "a network with two heads".into(),
        found: "one without".into(),
    })?;
    let head = of(head);
    let both = head.outputs(&head.input)?;
    let half = |first| -> Result<Tensor> { Ok(both.narrow(1, first, outputs)?.contiguous()?) };
    Ok([half(0)?, half(outputs)?])
}

/// `|p₁ − p₂|`, its mean over everything.
fn discrepancy([first, second]: &[Tensor; 2], are_logits: bool) -> Result<Tensor> {
    if !are_logits {
        return Ok((first - second)?.abs()?.mean_all()?);
    }
    Ok((softmax(first, 1)? - softmax(second, 1)?)?
        .abs()?
        .mean_all()?)
}

fn mean(values: &[Tensor]) -> Result<Tensor> {
    if values.is_empty() {
        return Ok(Tensor::zeros((), DType::F32, &Device::Cpu)?);
    }
    Ok(Tensor::stack(values, 0)?.mean_all()?)
}

fn second_risk(e: &EnvironmentOutputs, loss: &dyn SampleLoss) -> Result<Tensor> {
    let [_, outputs] = halves(e, Clone::clone)?;
    EnvironmentOutputs {
        outputs,
        ..e.clone()
    }
    .risk(loss)
}

impl Objective for Mcd {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let labelled = step.labelled()?;
        let are_logits = labelled.iter().all(|e| e.is_categorical());
        let first = step.risks()?.mean_all()?;
        let second = labelled.iter().map(|e| second_risk(e, step.loss));
        let second = mean(&second.collect::<Result<Vec<_>>>()?)?;
        let mut gaps = [Vec::new(), Vec::new()];
        for e in step.environments.iter().filter(|e| !e.is_labelled()) {
            let constant_input = |head: &LinearHead| LinearHead {
                input: head.input.detach(),
                ..head.clone()
            };
            gaps[0].push(discrepancy(&halves(e, LinearHead::frozen)?, are_logits)?);
            gaps[1].push(discrepancy(&halves(e, constant_input)?, are_logits)?);
        }
        let risk = (&first + &second)?;
        let [of_features, of_heads] = [mean(&gaps[0])?, mean(&gaps[1])?];
        let game = ((&of_features - of_heads)?.to_dtype(risk.dtype())? * self.config.lambda)?;
        let terms = vec![
            ("risk", first),
            ("second-risk", second),
            ("discrepancy", of_features),
        ];
        Ok(Value::new((risk + game)?, terms))
    }
}

#[cfg(test)]
mod tests {
    use ctl_compute::random::{normal, stream};
    use ctl_nets::Architecture;

    use super::*;
    use crate::methods::testing::{check_settings, evaluate};

    const WIDTH: usize = 3;
    const CLASSES: usize = 2;

    fn drawn(shape: &[usize], purpose: &str) -> Tensor {
        let drawn = normal(&mut stream(0, "tests", purpose), shape, 0.0, 1.0).unwrap();
        drawn.to_dtype(DType::F64).unwrap()
    }

    /// Features and weights of the two heads, which a test may differentiate by.
    struct Parts {
        features: [Var; 2],
        weight: Var,
        bias: Var,
    }

    impl Parts {
        fn new() -> Self {
            let var = |shape: &[usize], purpose: &str| Var::from_tensor(&drawn(shape, purpose));
            Self {
                features: [
                    var(&[3, WIDTH], "source").unwrap(),
                    var(&[4, WIDTH], "target").unwrap(),
                ],
                weight: var(&[2 * CLASSES, WIDTH], "weight").unwrap(),
                bias: var(&[2 * CLASSES], "bias").unwrap(),
            }
        }

        fn environments(&self) -> Vec<EnvironmentOutputs> {
            let environment = |index: usize| {
                let features = self.features[index].as_tensor();
                let head = LinearHead {
                    input: features.clone(),
                    weight: self.weight.as_tensor().clone(),
                    bias: self.bias.as_tensor().clone(),
                    base: None,
                };
                let both = head.outputs(features).unwrap();
                let outputs = both.narrow(1, 0, CLASSES).unwrap().contiguous().unwrap();
                let target = Tensor::new(&[0u32, 1, 1], &Device::Cpu).unwrap();
                EnvironmentOutputs::labelled(index, features.clone(), outputs, target)
                    .with_head(Some(head))
            };
            let mut all = vec![environment(0), environment(1)];
            all[1].targets.clear();
            all
        }
    }

    /// Softmax of one row under one head, by hand.
    fn probabilities(row: &[f64], weight: &[Vec<f64>], bias: &[f64]) -> Vec<f64> {
        let logit =
            |(w, b): (&Vec<f64>, &f64)| b + w.iter().zip(row).map(|(w, x)| w * x).sum::<f64>();
        let powers: Vec<f64> = weight.iter().zip(bias).map(|p| logit(p).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|p| p / sum).collect()
    }

    /// Both risks and the discrepancy, by hand.
    fn by_hand(parts: &Parts) -> [f64; 2] {
        let rows = |var: &Var| var.to_vec2::<f64>().unwrap();
        let weight = rows(&parts.weight);
        let bias = parts.bias.to_vec1::<f64>().unwrap();
        let said = |row: &[f64]| {
            [0, CLASSES].map(|first| {
                let own = first..first + CLASSES;
                probabilities(row, &weight[own.clone()], &bias[own])
            })
        };
        let (mut risk, mut gap) = (0.0, 0.0);
        for (row, class) in rows(&parts.features[0]).iter().zip([0, 1, 1]) {
            risk -= said(row).iter().map(|p| p[class].ln()).sum::<f64>() / 3.0;
        }
        for row in rows(&parts.features[1]) {
            let [first, second] = said(&row);
            let differences = first.iter().zip(second).map(|(a, b)| (a - b).abs());
            gap += differences.sum::<f64>() / (4 * CLASSES) as f64;
        }
        [risk, gap]
    }

    /// Features descend `R + λ D` and heads `R − λ D`, by finite differences of values by hand.
    #[test]
    fn values_and_gradients_of_the_game() {
        let (parts, lambda) = (Parts::new(), 0.7);
        let mut mcd = Mcd {
            config: McdConfig { lambda },
        };
        let value = evaluate(&mut mcd, &parts.environments());
        let [risk, gap] = by_hand(&parts);
        let term = |name: &str| value.term(name).unwrap().unwrap();
        assert!((term("risk") + term("second-risk") - risk).abs() < 1e-12);
        assert!((term("discrepancy") - gap).abs() < 1e-12);
        let gradients = value.total.backward().unwrap();
        for (var, sign) in [
            (&parts.features[0], 1.0),
            (&parts.features[1], 1.0),
            (&parts.weight, -1.0),
            (&parts.bias, -1.0),
        ] {
            let found = gradients.get(var).unwrap().flatten_all().unwrap();
            let start = var.as_detached_tensor().copy().unwrap();
            let flat = start.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for (index, found) in found.to_vec1::<f64>().unwrap().into_iter().enumerate() {
                let at = |by: f64| {
                    let mut moved = flat.clone();
                    moved[index] += by;
                    let moved = Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap();
                    var.set(&moved).unwrap();
                    let [risk, gap] = by_hand(&parts);
                    risk + sign * lambda * gap
                };
                let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((found - expected).abs() < 1e-8, "{found} and {expected}");
            }
            var.set(&start).unwrap();
        }
    }

    #[test]
    fn images_differ_by_their_values() {
        let first = Tensor::new(&[[[[1.0, 2.0f64]]]], &Device::Cpu).unwrap();
        let second = Tensor::new(&[[[[0.0, 4.0f64]]]], &Device::Cpu).unwrap();
        let found = discrepancy(&[first, second], false).unwrap();
        assert!((found.to_scalar::<f64>().unwrap() - 1.5).abs() < 1e-12);
    }

    #[test]
    fn a_network_with_one_head_is_refused() {
        let environment = crate::methods::testing::classification(0, &[[0.0, 1.0]], &[0]);
        let step = Step {
            number: 0,
            environments: &[environment],
            loss: &crate::SoftmaxCrossEntropy,
        };
        let config = McdConfig::default();
        let error = Mcd { config }.evaluate(&step).unwrap_err().to_string();
        assert!(error.contains("two heads"), "{error}");
    }

    /// The first half of both heads' outputs are the network's, the second half others.
    #[test]
    fn the_own_head_comes_first() {
        for (architecture, channels, outputs) in [
            (Architecture::SmallCnn, 1, 3),
            (Architecture::SmallUNet, 1, 2),
            (Architecture::ReconUNet, 2, 2),
            (Architecture::Unrolled, 2, 2),
            (Architecture::Autoencoder, 1, 1),
        ] {
            let spec = NetworkSpec {
                architecture,
                channels,
                height: 16,
                width: 16,
                outputs,
                attributes: 0,
                hidden: None,
            };
            let network = McdConfig::default().network(&spec, (0, "tests")).unwrap();
            let images = drawn(&[2, channels, 16, 16], "images");
            let images = images.to_dtype(DType::F32).unwrap();
            let columns = Tensor::ones((2, 16), DType::F32, &Device::Cpu).unwrap();
            let columns = (channels == 2).then_some(&columns);
            let input = NetworkInput::new(&images, columns);
            let out = network.forward(input, Mode::Train).unwrap();
            let head = out.head.as_ref().unwrap();
            let both = head.outputs(&head.input).unwrap();
            let gap = |first: usize| {
                let half = both.narrow(1, first, outputs).unwrap();
                let gap = (half - &out.outputs).unwrap().abs().unwrap();
                gap.max_all().unwrap().to_scalar::<f32>().unwrap()
            };
            assert!(gap(0) < 1e-5, "{}: {}", architecture.name(), gap(0));
            assert!(gap(outputs) > 1e-3, "{}", architecture.name());
        }
    }

    #[test]
    fn settings() {
        check_settings::<McdConfig>(INFO, &[("lambda", "-1", "not negative")]);
    }
}
