//! Style-agnostic networks.

use candle_core::{Device, Tensor};
use ctl_compute::ops::log_softmax;
use ctl_compute::optim::AdamParams;
use ctl_compute::random::{permutation, stream, uniform};
use ctl_nets::{
    Architecture, HOOKED_STAGES, Linear, MapHook, Mode, Network, NetworkInput, NetworkOutput,
    NetworkSpec, Origin, Parameters,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::style::{Style, flattened};
use crate::wrapping::{Capture, Sizes};
use crate::{
    Assumption, Auxiliary, BuildContext, ConfigError, Discriminator, DiscriminatorSpec,
    EnvironmentOutputs, Family, MethodConfig, MethodInfo, MethodParts, Needs, Objective,
    ObjectiveState, Result, Role, SampleLoss, SearchDimension, SoftmaxCrossEntropy, Status, Step,
    Value, in_range, mean_risk,
};

/// Description of `sagnet`.
pub const INFO: MethodInfo = MethodInfo {
    id: "sagnet",
    name: "SagNet",
    family: Family::Correlation,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::StyleCarriesNoLabel],
    paper: "Nam, Lee, Park, Yoon & Yoo 2021, Reducing Domain Gap by Reducing Style Bias",
    summary: "Trains on maps of random style, and makes styles useless to a head that reads nothing else.",
};

/// Settings of `sagnet`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SagNetConfig {
    /// Weight of the adversarial loss, not negative.
    pub adversarial_weight: f64,
    /// Stage whose map has the styles, 0 for the finest or 1.
    pub stage: usize,
    /// Width of the style head's hidden layers, 1 to 4096.
    pub style_width: usize,
    /// Linear layers of the style head, 1 to 8.
    pub style_depth: usize,
    /// Step size of the style head's Adam, positive.
    pub style_learning_rate: f64,
}

impl Default for SagNetConfig {
    /// The weight of the paper and of `DomainBed`, at the latest stage that can be changed.
    fn default() -> Self {
        Self {
            adversarial_weight: 0.1,
            stage: HOOKED_STAGES - 1,
            style_width: 64,
            style_depth: 2,
            style_learning_rate: 1e-3,
        }
    }
}

impl MethodConfig for SagNetConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let weight = self.adversarial_weight;
        let ok = weight.is_finite() && weight >= 0.0;
        let allowed = "finite and not negative";
        in_range(method, "adversarial_weight", &weight, allowed, ok)?;
        let ok = self.stage < HOOKED_STAGES;
        in_range(method, "stage", &self.stage, "0 or 1", ok)?;
        let ok = (1..=4096).contains(&self.style_width);
        in_range(method, "style_width", &self.style_width, "1 to 4096", ok)?;
        let ok = (1..=8).contains(&self.style_depth);
        in_range(method, "style_depth", &self.style_depth, "1 to 8", ok)?;
        let rate = self.style_learning_rate;
        let ok = rate.is_finite() && rate > 0.0;
        in_range(
            method,
            "style_learning_rate",
            &rate,
            "positive and finite",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform(
            "adversarial_weight",
            -2.0,
            1.0,
        )]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let spec = DiscriminatorSpec {
            features: context.features,
            width: self.style_width,
            depth: self.style_depth,
            // Which of the two is guessed is known with the first step; the rest stays unused.
            environments: context.outputs.max(context.environments),
        };
        let head = Discriminator::new(spec, context.seed, context.run)?;
        let objective = SagNet::new(*self, head, context.environments);
        Ok(MethodParts::objective(objective))
    }

    fn note_on(&self, spec: &NetworkSpec) -> Option<String> {
        let nothing = matches!(spec.architecture, Architecture::Mlp);
        nothing.then(|| "sagnet: the style of an MLP is that of its image, which no weight makes: nothing is adversarial".into())
    }

    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        let inner = spec.build(seed, run)?;
        let on_images = spec.architecture == Architecture::Mlp;
        let stage = if on_images { 0 } else { self.stage };
        let channels = if on_images {
            spec.channels
        } else {
            Sizes::of(spec, inner.as_ref())?.maps[stage]
        };
        Ok(Box::new(StyleRandomised {
            inner,
            on_images,
            stage,
            channels,
            seed,
            run: run.to_owned(),
        }))
    }
}

/// Added to a variance before its root is taken.
const EPSILON: f64 = 1e-5;

/// A network whose map is given a random style in training, `z ← σ̂ (z − μ) / σ + μ̂` with
/// `μ̂ = α μ + (1 − α) μ̃` and `σ̂` likewise, where `μ̃`, `σ̃` are of another image of the step and
/// `α ~ U(0, 1)` for each image.
///
/// Its features are the style of the map before that, means and deviations of its channels,
/// `[B, 2C]`. In evaluation the map keeps its style, and outputs are those of the plain network.
/// The map of an MLP is the image itself, whose style no weight can change.
pub struct StyleRandomised {
    inner: Box<dyn Network>,
    /// Whether the images have the styles, of a network without maps.
    on_images: bool,
    /// The stage whose map has the styles otherwise.
    stage: usize,
    channels: usize,
    seed: u64,
    run: String,
}

impl Network for StyleRandomised {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        let hook = Randomising {
            network: self,
            origin: input.origin.filter(|_| mode == Mode::Train),
            seen: Capture::default(),
        };
        let mut out = if self.on_images {
            let last = input.images.permute((0, 2, 3, 1))?.contiguous()?;
            let changed = hook.at(0, &last)?.permute((0, 3, 1, 2))?.contiguous()?;
            let input = NetworkInput {
                images: &changed,
                ..input
            };
            self.inner.forward(input, mode)?
        } else {
            let input = NetworkInput {
                hook: Some(&hook),
                ..input
            };
            self.inner.forward(input, mode)?
        };
        if let Some(map) = hook.seen.map(self.stage) {
            out.features = Style::of(&flattened(&map)?, EPSILON)?.statistics()?;
        }
        Ok(out)
    }

    fn feature_width(&self) -> usize {
        2 * self.channels
    }

    fn head(&self) -> Option<&Linear> {
        self.inner.head()
    }

    fn parameters(&self) -> &Parameters {
        self.inner.parameters()
    }
}

/// The styles of one step.
struct Randomising<'a> {
    network: &'a StyleRandomised,
    /// None where styles stay.
    origin: Option<Origin<'a>>,
    seen: Capture,
}

impl MapHook for Randomising<'_> {
    fn at(&self, stage: usize, map: &Tensor) -> ctl_nets::Result<Tensor> {
        self.seen.at(stage, map)?;
        let Some(origin) = self.origin.filter(|_| stage == self.network.stage) else {
            return Ok(map.clone());
        };
        let purpose = format!("random styles at step {}", origin.step);
        let rng = &mut stream(self.network.seed, &self.network.run, &purpose);
        let rows = map.dim(0)?;
        let partners = permutation(rng, rows);
        let partners: Vec<u32> = partners.into_iter().map(|row| row as u32).collect();
        let partners = Tensor::new(partners, &Device::Cpu)?;
        let shares = uniform(rng, (rows, 1, 1), (0.0, 1.0))?;
        let maps = flattened(map)?;
        let style = Style::of(&maps, EPSILON)?;
        let mixed = style.mixed(&partners, &shares)?;
        Ok(style.exchanged(&maps, &mixed)?.reshape(map.shape())?)
    }
}

/// `R + λ A` for the network, `S` for the style head, in one step.
///
/// `R = mean_e R_e` is the risk on maps of random style. `S` is the cross-entropy of what the style
/// head makes of an image's style, against the class of the image; `A` is the cross-entropy of the
/// same against the uniform law, `−mean_k log p_k`, with the style head held constant.
///
/// # References
/// Nam et al. 2021, algorithm 1 and section 3.
///
/// Deviations:
/// - The paper's style network continues a map whose content is that of another image, so that
///   nothing but the style tells of the own one; here a small head is given the style alone, in
///   which there is no content to exchange.
/// - Both are updated at once and not in turns, with the style head held constant in `A` and the
///   styles in `S`.
/// - Where images have no class (segmentation, reconstruction, anomaly detection) the style head
///   guesses the environment.
/// - `DomainBed` mixes variances where the paper and this mix deviations.
pub struct SagNet {
    config: SagNetConfig,
    head: Discriminator,
    environments: usize,
}

impl SagNet {
    /// The objective with a given style head.
    ///
    /// # Arguments
    /// - `head`: with an output for each class, or for each environment where images have no class,
    ///   and perhaps more.
    /// - `environments`: how many there are.
    pub fn new(config: SagNetConfig, head: Discriminator, environments: usize) -> Self {
        Self {
            config,
            head,
            environments,
        }
    }

    /// What the style head guesses of every row, and how many guesses there are.
    fn guessed(&self, environments: &[&EnvironmentOutputs]) -> Result<(Vec<u32>, usize)> {
        let classes = environments.iter().map(|e| e.classes.clone());
        if let Some(classes) = classes.collect::<Option<Vec<_>>>() {
            return Ok((classes.concat(), environments[0].outputs.dim(1)?));
        }
        let mut all = Vec::new();
        for e in environments {
            let rows = e.features.dim(0)?;
            all.extend(std::iter::repeat_n(e.environment as u32, rows));
        }
        Ok((all, self.environments))
    }
}

impl Objective for SagNet {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let labelled = step.labelled()?;
        let styles: Vec<_> = labelled.iter().map(|e| &e.features).collect();
        let styles = Tensor::cat(&styles, 0)?;
        let (truth, guesses) = self.guessed(&labelled)?;
        let truth = Tensor::new(truth, styles.device())?;
        let used =
            |logits: Tensor| -> Result<Tensor> { Ok(logits.narrow(1, 0, guesses)?.contiguous()?) };
        let own = used(self.head.logits(&styles.detach())?)?;
        let own = SoftmaxCrossEntropy.per_sample(&own, &truth)?.mean_all()?;
        let frozen = used(self.head.frozen_logits(&styles)?)?;
        let adversarial = log_softmax(&frozen, 1)?.mean_all()?.neg()?;
        let risk = mean_risk(step)?;
        let total = (&risk + (&adversarial * self.config.adversarial_weight)?)?;
        let terms = vec![
            ("risk", risk),
            ("style-loss", own.clone()),
            ("adversarial-loss", adversarial),
        ];
        let mut value = Value::new(total, terms);
        value.auxiliary = Some(own);
        Ok(value)
    }

    fn auxiliary(&self) -> Option<Auxiliary> {
        Some(Auxiliary {
            variables: self.head.variables(),
            adam: AdamParams {
                learning_rate: self.config.style_learning_rate,
                ..AdamParams::default()
            },
        })
    }

    fn state(&self) -> Result<ObjectiveState> {
        self.head.state()
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        self.head.restore(state)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;
    use ctl_compute::random::normal;

    use super::*;
    use crate::methods::testing::{check_settings, classification, evaluate};

    fn style_head() -> Discriminator {
        // One layer of three guesses from two statistics.
        let weight = Tensor::new(&[[1.0, 0.0], [0.0, 2.0], [5.0, 5.0f64]], &Device::Cpu).unwrap();
        let bias = Tensor::new(&[0.0, -1.0, 0.0f64], &Device::Cpu).unwrap();
        Discriminator::from_weights(&[(weight, bias)]).unwrap()
    }

    /// Styles (1, 1) and (2, 0): of the two guesses in use logits (1, 1) and (2, −1).
    #[test]
    fn losses_by_hand_and_their_gradients_apart() {
        let config = SagNetConfig {
            adversarial_weight: 0.3,
            ..SagNetConfig::default()
        };
        let styles = Tensor::new(&[[1.0, 1.0], [2.0, 0.0f64]], &Device::Cpu).unwrap();
        let styles = Var::from_tensor(&styles).unwrap();
        let mut environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[0.0, 0.0]], &[0]),
        ];
        for (row, environment) in environments.iter_mut().enumerate() {
            environment.features = styles.narrow(0, row, 1).unwrap();
        }
        let tail = (1.0 + (-3f64).exp()).ln();
        let adversarial = f64::midpoint(2f64.ln(), tail + 1.5);
        // Where images have no class the environment is guessed: 0, then 1.
        for (classes, expected) in [(None, tail + 3.0), (Some(vec![0]), tail)] {
            for environment in &mut environments {
                environment.classes.clone_from(&classes);
            }
            let mut sagnet = SagNet::new(config, style_head(), 2);
            let value = evaluate(&mut sagnet, &environments);
            let number = |tensor: &Tensor| tensor.to_scalar::<f64>().unwrap();
            let own = value.auxiliary.as_ref().unwrap();
            assert!((number(own) - f64::midpoint(2f64.ln(), expected)).abs() < 1e-12);
            let total = 2f64.ln() + 0.3 * adversarial;
            assert!((number(&value.total) - total).abs() < 1e-12);
            let head = sagnet.auxiliary().unwrap().variables;
            let gradient = value.total.backward().unwrap();
            // p − ½ through the weights, times the weight of the loss and of one of two rows.
            let p = 1.0 / (1.0 + (-3f64).exp());
            let slope = 0.3 / 2.0 * (p - 0.5);
            let found = gradient.get(&styles).unwrap().to_vec2::<f64>().unwrap();
            for (found, expected) in found.concat().iter().zip([0.0, 0.0, slope, -2.0 * slope]) {
                assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
            }
            assert!(head.iter().all(|var| gradient.get(var).is_none()));
            let gradient = own.backward().unwrap();
            assert!(gradient.get(&styles).is_none());
            assert!(head.iter().all(|var| gradient.get(var).is_some()));
        }
    }

    fn spec(architecture: Architecture) -> NetworkSpec {
        NetworkSpec {
            architecture,
            channels: 1,
            height: 16,
            width: 16,
            outputs: 2,
            attributes: 0,
            hidden: None,
        }
    }

    #[test]
    fn styles_are_random_in_training_and_features_are_those_before() {
        let images = normal(&mut stream(0, "tests", "images"), (4, 1, 16, 16), 0.0, 1.0).unwrap();
        let origin = Origin {
            environments: &[0, 0, 1, 1],
            step: 3,
        };
        for (architecture, width) in [
            (Architecture::SmallCnn, 64),
            (Architecture::SmallUNet, 48),
            (Architecture::Mlp, 2),
        ] {
            let spec = spec(architecture);
            let plain = spec.build(1, "tests").unwrap();
            let network = SagNetConfig::default()
                .network(&spec, (1, "tests"))
                .unwrap();
            assert_eq!(network.feature_width(), width);
            let input = NetworkInput {
                origin: Some(origin),
                ..(&images).into()
            };
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let trained = network.forward(input, Mode::Train).unwrap();
            let evaluated = network.forward(input, Mode::Evaluate).unwrap();
            let expected = plain.forward((&images).into(), Mode::Train).unwrap();
            assert_ne!(values(&trained.outputs), values(&expected.outputs));
            let again = network.forward(input, Mode::Train).unwrap();
            assert_eq!(values(&trained.outputs), values(&again.outputs));
            assert_eq!(trained.features.dims(), [4, width]);
            if architecture == Architecture::SmallUNet {
                // Batch statistics and running ones differ.
                continue;
            }
            assert_eq!(values(&evaluated.outputs), values(&expected.outputs));
            assert_eq!(values(&trained.features), values(&evaluated.features));
        }
    }

    #[test]
    fn settings() {
        check_settings::<SagNetConfig>(
            INFO,
            &[
                ("adversarial_weight", "-1", "not negative"),
                ("stage", "2", "0 or 1"),
                ("style_width", "0", "1 to 4096"),
                ("style_depth", "9", "1 to 8"),
                ("style_learning_rate", "0", "positive"),
            ],
        );
    }
}
