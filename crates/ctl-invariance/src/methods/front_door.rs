//! Front-door adjustment: features mediate, and the style of the image is averaged out.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{D, DType, Device, Tensor, Var};
use ctl_nets::{
    Architecture, Initialiser, Linear, LinearHead, MapHook, Mode, Network, NetworkInput,
    NetworkOutput, NetworkSpec, Origin, Parameters,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::Erm;
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Result, Role, SearchDimension, Status, in_range,
};

/// Description of `front-door`.
pub const INFO: MethodInfo = MethodInfo {
    id: "front-door",
    name: "Front-door adjustment",
    family: Family::ScmGuided,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::FeaturesMediate],
    paper: "Pearl 2009, Causality, section 3.3.2; Yang, Zhang, Qi & Cai 2021, Causal Attention for Vision-Language Tasks; Nguyen, Do, Nguyen, Duong & Nguyen 2023, Causal Inference via Style Transfer for Out-of-distribution Generalisation",
    summary: "Learns outputs from features and style together, and averages over the styles of the training images in use.",
};

/// Settings of `front-door`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FrontDoorConfig {
    /// Width of the style of an image, 1 to 256.
    pub style_width: usize,
    /// Share of a new batch in the remembered style, above 0 and at most 1; the first batches
    /// count alike.
    pub memory_rate: f64,
}

impl Default for FrontDoorConfig {
    fn default() -> Self {
        Self {
            style_width: 16,
            memory_rate: 0.02,
        }
    }
}

impl MethodConfig for FrontDoorConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (1..=256).contains(&self.style_width);
        in_range(
            method,
            "style_width",
            &self.style_width,
            "from 1 to 256",
            ok,
        )?;
        let ok = self.memory_rate > 0.0 && self.memory_rate <= 1.0;
        let allowed = "above 0 and at most 1";
        in_range(method, "memory_rate", &self.memory_rate, allowed, ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        let widths = [4, 16, 64].map(Into::into);
        vec![SearchDimension::choice("style_width", widths.to_vec())]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Erm::default()))
    }

    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        let inner = spec.build(seed, run)?;
        let own = Parameters::new(seed, run);
        Ok(Box::new(FrontDoor::around(inner, own, (spec, self))?))
    }
}

/// `P(y | do(x)) = Σ_x' P(y | m(x), x') P(x')` with the features `m(x)` as mediator and another
/// image `x'` seen through its style `s(x')`.
///
/// The last layer becomes `f(m, s) = W (m ⊙ (1 + U s)) + b + V s`, where m is what the layer is
/// given at a sample or pixel. Training fits `f(m(x), s(x))` to the label of x, the regression
/// inside the sum: what the style says of the label by itself is taken up by s. In use the output is
/// the mean of `f(m(x), s(x'))` over the training images `x'`, each environment counting the same;
/// since f is linear in s, that is `f` at the mean style, a running mean that is saved with the
/// weights. At first `U = V = 0`, and the network is the one inside.
///
/// The style is `tanh(A z + a)` of the means and deviations z of the channels of the first map, or of
/// the image where the network has no maps; no gradient passes through z. Networks that do not end
/// with a linear layer have their outputs themselves for m, channel by channel, with `W = 1` and
/// `b = 0`.
///
/// # References
/// Pearl 2009, *Causality*, theorem 3.3.4, equation 3.29; Yang et al. 2021, *Causal Attention for
/// Vision-Language Tasks*, for the sum over other samples by a mean inside the network; Nguyen et al.
/// 2023, *Causal Inference via Style Transfer for Out-of-distribution Generalisation*, for `x'` as a
/// style.
/// Deviations: the mean is over outputs, which for probabilities is their normalised geometric mean
/// (Yang et al. 2021, as Xu et al. 2015) and for images exact; `P(m | x)` is one point, since
/// features are a function of the image, so that pairs of features and a foreign style are beyond
/// the data and rest on the form of f; the second paper trains on swapped styles, here the
/// regression is trained on the pairs that were seen, as the formula has it.
pub struct FrontDoor {
    inner: Box<dyn Network>,
    parameters: Parameters,
    embed: Linear,
    /// U, `[F, S]`.
    gate: Var,
    /// V, `[K, S]`.
    shift: Var,
    /// Mean style, `[S]`.
    memory: Var,
    /// Batches that were remembered, `[1]`.
    remembered: Var,
    memory_rate: f64,
}

/// A variance below this is none.
const EPSILON: f64 = 1e-6;

impl FrontDoor {
    /// The network around `inner`, its own weights being added to `own`, an empty set.
    fn around(
        inner: Box<dyn Network>,
        own: Parameters,
        (spec, config): (&NetworkSpec, &FrontDoorConfig),
    ) -> ctl_nets::Result<Self> {
        let [statistics, mediator, outputs] = widths(inner.as_ref(), spec)?;
        let mut parameters = own;
        parameters.share(inner.parameters());
        let (p, width) = (&mut parameters, config.style_width);
        let zero = Initialiser::Constant(0.0);
        Ok(Self {
            embed: Linear::new(p, "front-door.embed", statistics, width)?,
            gate: p.add("front-door.gate", &[mediator, width], zero)?,
            shift: p.add("front-door.shift", &[outputs, width], zero)?,
            memory: p.add_buffer("front-door.memory", &[width], 0.0)?,
            remembered: p.add_buffer("front-door.remembered", &[1], 0.0)?,
            memory_rate: config.memory_rate,
            inner,
            parameters,
        })
    }

    /// What `f` makes of the mediator and a style `[B, S]`, or `[1, S]` for all samples alike.
    fn decide(&self, out: NetworkOutput, style: &Tensor) -> ctl_nets::Result<NetworkOutput> {
        let gate = (style.matmul(&self.gate.t()?)? + 1.0)?;
        let shift = style.matmul(&self.shift.t()?)?;
        let shape = out.outputs.shape().clone();
        let shift = per_channel(&shift, shape.rank())?;
        let Some(head) = out.head else {
            let gated = out
                .outputs
                .broadcast_mul(&per_channel(&gate, shape.rank())?)?;
            let outputs = gated.broadcast_add(&shift)?;
            return Ok(NetworkOutput { outputs, ..out });
        };
        let base = match &head.base {
            Some(base) => base.broadcast_add(&shift)?,
            None => shift.broadcast_as(shape)?,
        };
        let head = LinearHead {
            input: head
                .input
                .broadcast_mul(&per_pixel(&gate, head.input.rank())?)?,
            base: Some(base),
            ..head
        };
        let outputs = head.outputs(&head.input)?;
        Ok(NetworkOutput {
            outputs,
            head: Some(head),
            ..out
        })
    }

    /// Moves the mean style towards that of a batch, in which each environment counts the same.
    fn remember(&self, style: &Tensor, origin: Option<Origin<'_>>) -> ctl_nets::Result<()> {
        let rows = style.dim(0)?;
        let alike = vec![0; rows];
        let environments = origin.map_or(&alike[..], |origin| origin.environments);
        let mut sizes = BTreeMap::new();
        for environment in environments {
            *sizes.entry(environment).or_insert(0.0) += 1.0;
        }
        let count = sizes.len() as f64;
        let weights: Vec<f64> = environments
            .iter()
            .map(|e| 1.0 / (count * sizes[e]))
            .collect();
        let weights = Tensor::from_vec(weights, (1, rows), style.device())?;
        let mean = weights
            .to_dtype(style.dtype())?
            .matmul(&style.detach())?
            .squeeze(0)?;
        let seen = self.remembered.to_dtype(DType::F64)?.to_vec1::<f64>()?[0];
        let rate = self.memory_rate.max(1.0 / (seen + 1.0));
        let old = self.memory.as_detached_tensor();
        self.memory
            .set(&((old * (1.0 - rate))? + (mean * rate)?)?)?;
        self.remembered
            .set(&(self.remembered.as_detached_tensor() + 1.0)?)?;
        Ok(())
    }

    fn style(&self, statistics: &Tensor) -> ctl_nets::Result<Tensor> {
        Ok(self.embed.forward(statistics)?.tanh()?)
    }

    fn train(&self, input: NetworkInput<'_>) -> ctl_nets::Result<NetworkOutput> {
        let (out, statistics) = look(self.inner.as_ref(), input, Mode::Train)?;
        let style = self.style(&statistics)?;
        self.remember(&style, input.origin)?;
        self.decide(out, &style)
    }

    fn evaluate(&self, input: NetworkInput<'_>) -> ctl_nets::Result<NetworkOutput> {
        let out = self.inner.forward(input, Mode::Evaluate)?;
        self.decide(out, &self.memory.as_detached_tensor().unsqueeze(0)?)
    }
}

impl Network for FrontDoor {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        match mode {
            Mode::Train => self.train(input),
            Mode::Evaluate => self.evaluate(input),
        }
    }

    fn feature_width(&self) -> usize {
        self.inner.feature_width()
    }

    /// None: outputs depend on the style as well.
    fn head(&self) -> Option<&Linear> {
        None
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// Widths of statistics, mediator and outputs, found by a look at an empty image.
fn widths(inner: &dyn Network, spec: &NetworkSpec) -> ctl_nets::Result<[usize; 3]> {
    let weights = inner.parameters().trained();
    let dtype = weights.first().map_or(DType::F32, |weight| weight.dtype());
    let image = (1, spec.channels, spec.height, spec.width);
    let image = Tensor::zeros(image, dtype, &Device::Cpu)?;
    let beside = |width: usize| Tensor::ones((1, width), dtype, &Device::Cpu);
    let context = match spec.architecture {
        Architecture::FusionLate | Architecture::FusionIntermediate => {
            Some(beside(2 * spec.attributes)?)
        }
        Architecture::ReconUNet | Architecture::ReconUNetConsistent | Architecture::Unrolled => {
            Some(beside(spec.width)?)
        }
        _ => None,
    };
    let input = NetworkInput::new(&image, context.as_ref());
    let (out, statistics) = look(inner, input, Mode::Evaluate)?;
    let outputs = out.outputs.dim(1)?;
    let mediator = match &out.head {
        Some(head) => head.input.dim(D::Minus1)?,
        None => outputs,
    };
    Ok([statistics.dim(1)?, mediator, outputs])
}

/// What a network says, and the statistics of its first map, `[B, 2C]`.
fn look(
    network: &dyn Network,
    input: NetworkInput<'_>,
    mode: Mode,
) -> ctl_nets::Result<(NetworkOutput, Tensor)> {
    let recorder = Recorder {
        inner: input.hook,
        first: RefCell::new(None),
    };
    let hooked = NetworkInput {
        hook: Some(&recorder),
        ..input
    };
    let out = network.forward(hooked, mode)?;
    let statistics = match recorder.first.into_inner() {
        Some(statistics) => statistics,
        None => statistics_of(&input.images.flatten_from(2)?.transpose(1, 2)?)?,
    };
    Ok((out, statistics))
}

/// Passes maps on as they are, and keeps the statistics of the first.
struct Recorder<'a> {
    inner: Option<&'a dyn MapHook>,
    first: RefCell<Option<Tensor>>,
}

impl MapHook for Recorder<'_> {
    fn at(&self, stage: usize, map: &Tensor) -> ctl_nets::Result<Tensor> {
        let map = match self.inner {
            Some(inner) => inner.at(stage, map)?,
            None => map.clone(),
        };
        let mut first = self.first.borrow_mut();
        if first.is_none() {
            let channels = map.dim(D::Minus1)?;
            *first = Some(statistics_of(&map.reshape((map.dim(0)?, (), channels))?)?);
        }
        Ok(map)
    }
}

/// Mean and deviation of each channel, `[B, P, C]` to `[B, 2C]`, constant for gradients.
fn statistics_of(pixels: &Tensor) -> ctl_nets::Result<Tensor> {
    let pixels = pixels.detach();
    let mean = pixels.mean_keepdim(1)?;
    let variance = pixels.broadcast_sub(&mean)?.sqr()?.mean_keepdim(1)?;
    let deviation = (variance + EPSILON)?.sqrt()?;
    Ok(Tensor::cat(&[mean, deviation], D::Minus1)?.squeeze(1)?)
}

/// `[B, K]` as a factor of `[B, K]` or `[B, K, H, W]`.
fn per_channel(values: &Tensor, rank: usize) -> ctl_nets::Result<Tensor> {
    let mut shape = values.dims().to_vec();
    shape.resize(rank, 1);
    Ok(values.reshape(shape)?)
}

/// `[B, F]` as a factor of `[B, F]` or `[B, H, W, F]`.
fn per_pixel(values: &Tensor, rank: usize) -> ctl_nets::Result<Tensor> {
    let (rows, width) = values.dims2()?;
    let mut shape = vec![1; rank];
    (shape[0], shape[rank - 1]) = (rows, width);
    Ok(values.reshape(shape)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::check_settings;
    use ctl_compute::random::{normal, stream};

    const SIDE: usize = 16;

    fn spec(architecture: Architecture) -> NetworkSpec {
        let [channels, outputs] = match architecture {
            Architecture::ReconUNet
            | Architecture::ReconUNetConsistent
            | Architecture::Unrolled => [2, 2],
            Architecture::Autoencoder | Architecture::Vae => [1, 1],
            _ => [1, 3],
        };
        NetworkSpec {
            architecture,
            channels,
            height: SIDE,
            width: SIDE,
            outputs,
            attributes: 2,
            hidden: None,
        }
    }

    fn noise(shape: &[usize], purpose: &str) -> Tensor {
        normal(&mut stream(0, "front-door", purpose), shape, 0.0, 1.0).unwrap()
    }

    /// The network with first weights of U and V that are not 0, and in double precision if wanted.
    fn network(architecture: Architecture, memory_rate: f64, double: bool) -> FrontDoor {
        let spec = spec(architecture);
        let own = || {
            let own = Parameters::new(0, "test");
            if double {
                own.in_double_precision()
            } else {
                own
            }
        };
        let config = FrontDoorConfig {
            style_width: 3,
            memory_rate,
        };
        let inner = spec.build_from(own()).unwrap();
        let network = FrontDoor::around(inner, own(), (&spec, &config)).unwrap();
        for (var, purpose) in [(&network.gate, "gate"), (&network.shift, "shift")] {
            let drawn = noise(var.dims(), purpose).to_dtype(var.dtype()).unwrap();
            var.set(&drawn).unwrap();
        }
        network
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
        flat.to_vec1().unwrap()
    }

    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        let (a, b) = (values(a), values(b));
        assert_eq!(a.len(), b.len());
        a.iter()
            .zip(&b)
            .map(|(x, y)| (x - y).abs())
            .fold(0.0, f64::max)
    }

    /// In use the output is the mean over the batch that was remembered of `f(m(x), s(x'))`, written
    /// out pair by pair.
    #[test]
    fn the_style_is_averaged_out() {
        let network = network(Architecture::SmallCnn, 1.0, true);
        let images = noise(&[5, 1, SIDE, SIDE], "images")
            .to_dtype(DType::F64)
            .unwrap();
        network.forward((&images).into(), Mode::Train).unwrap();
        let used = network.forward((&images).into(), Mode::Evaluate).unwrap();
        let (out, statistics) =
            look(network.inner.as_ref(), (&images).into(), Mode::Evaluate).unwrap();
        let style = network.style(&statistics).unwrap();
        let mut sum = out.outputs.zeros_like().unwrap();
        for other in 0..5 {
            let foreign = style.narrow(0, other, 1).unwrap();
            let decided = network.decide(out.clone(), &foreign).unwrap().outputs;
            sum = (sum + decided).unwrap();
        }
        assert!(distance(&used.outputs, &(sum / 5.0).unwrap()) < 1e-12);
        // It is not what the own style gives.
        let own = network.decide(out, &style).unwrap().outputs;
        assert!(distance(&used.outputs, &own) > 0.01);
    }

    /// One image of one environment counts as much as two of another.
    #[test]
    fn environments_count_the_same_and_memory_is_a_running_mean() {
        let network = network(Architecture::Mlp, 0.25, false);
        let style = Tensor::new(
            &[[3f32, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]],
            &Device::Cpu,
        );
        let style = style.unwrap();
        let origin = Origin {
            environments: &[4, 7, 7],
            step: 0,
        };
        let mut expected = 0.0;
        for (batch, rate) in [1.0, 0.5, 1.0 / 3.0, 0.25, 0.25].into_iter().enumerate() {
            let scaled = (&style * (batch as f64)).unwrap();
            network.remember(&scaled, Some(origin)).unwrap();
            expected += rate * (2.25 * batch as f64 - expected);
            let memory = values(network.memory.as_tensor());
            assert!(
                (memory[0] - expected).abs() < 1e-5 && memory[1].abs() < 1e-9,
                "{memory:?}"
            );
        }
    }

    /// Statistics of two channels by hand: 1 and 3, and 2 and 2.
    #[test]
    fn statistics_are_means_and_deviations() {
        let pixels = Tensor::new(&[[[1f64, 2.0], [3.0, 2.0]]], &Device::Cpu).unwrap();
        let found = values(&statistics_of(&pixels).unwrap());
        let expected = [2.0, 2.0, (1.0 + EPSILON).sqrt(), EPSILON.sqrt()];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    /// With U = V = 0 the outputs are those of the network inside, whichever it is.
    #[test]
    fn it_begins_as_the_network_inside() {
        for architecture in Architecture::ALL {
            let network = network(architecture, 0.5, false);
            for var in [&network.gate, &network.shift] {
                var.set(&var.zeros_like().unwrap()).unwrap();
            }
            let spec = spec(architecture);
            let images = noise(&[2, spec.channels, SIDE, SIDE], "images");
            let context = match architecture {
                Architecture::FusionLate | Architecture::FusionIntermediate => {
                    Some(noise(&[2, 4], "attributes"))
                }
                _ if spec.channels == 2 => {
                    Some(Tensor::ones((2, SIDE), DType::F32, &Device::Cpu).unwrap())
                }
                _ => None,
            };
            let input = NetworkInput::new(&images, context.as_ref());
            let (own, inner) = (
                network.forward(input, Mode::Evaluate).unwrap(),
                network.inner.forward(input, Mode::Evaluate).unwrap(),
            );
            let name = architecture.name();
            assert!(distance(&own.outputs, &inner.outputs) < 1e-4, "{name}");
            let trained = network.forward(input, Mode::Train).unwrap();
            assert_eq!(trained.outputs.dims(), own.outputs.dims(), "{name}");
            assert_eq!(values(network.remembered.as_tensor()), [1.0], "{name}");
        }
    }

    /// Derivatives of the weights that were added, by central differences, with a linear head and
    /// with none.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        for architecture in [
            Architecture::SmallCnn,
            Architecture::SmallUNet,
            Architecture::Autoencoder,
        ] {
            let network = network(architecture, 0.5, true);
            let images = noise(&[3, 1, SIDE, SIDE], "images")
                .to_dtype(DType::F64)
                .unwrap();
            let loss = || {
                let out = network.forward((&images).into(), Mode::Train).unwrap();
                out.outputs.sqr().unwrap().mean_all().unwrap()
            };
            let gradients = loss().backward().unwrap();
            let (embed, _) = network.embed.weights();
            for var in [&network.gate, &network.shift, embed] {
                let found = values(gradients.get(var).unwrap());
                let base = values(var.as_tensor());
                let index = base.len() / 2;
                let at = |by: f64| {
                    let mut moved = base.clone();
                    moved[index] += by;
                    let moved = Tensor::from_slice(&moved, var.shape(), &Device::Cpu).unwrap();
                    var.set(&moved).unwrap();
                    loss().to_scalar::<f64>().unwrap()
                };
                let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
                at(0.0);
                let (found, name) = (found[index], architecture.name());
                assert!(
                    (found - expected).abs() < 1e-7,
                    "{name}: {found} {expected}"
                );
            }
        }
    }

    /// What the style says of the outputs by itself is the same for every image in use.
    #[test]
    fn in_use_the_style_of_the_image_at_hand_says_nothing() {
        let network = network(Architecture::SmallCnn, 1.0, false);
        let images = noise(&[4, 1, SIDE, SIDE], "images");
        network.forward((&images).into(), Mode::Train).unwrap();
        network
            .gate
            .set(&network.gate.zeros_like().unwrap())
            .unwrap();
        let inner = network
            .inner
            .forward((&images).into(), Mode::Evaluate)
            .unwrap();
        let said = |mode| {
            let out = network.forward((&images).into(), mode).unwrap();
            let added = (out.outputs - &inner.outputs).unwrap();
            distance(
                &added.narrow(0, 0, 1).unwrap(),
                &added.narrow(0, 1, 1).unwrap(),
            )
        };
        assert!(said(Mode::Evaluate) < 1e-5);
        assert!(said(Mode::Train) > 1e-3);
    }

    #[test]
    fn settings_are_checked() {
        check_settings::<FrontDoorConfig>(
            INFO,
            &[
                ("style_width", "0", "from 1 to 256"),
                ("memory_rate", "0.0", "above 0"),
            ],
        );
    }
}
