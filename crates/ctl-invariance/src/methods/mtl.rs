//! Marginal transfer learning.

use candle_core::{Device, Tensor, Var};
use ctl_nets::{
    Initialiser, Linear, Mode, NetError, Network, NetworkInput, NetworkOutput, NetworkSpec,
    Parameters,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::Erm;
use crate::wrapping::Groups;
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    ObjectiveError, Result, Role, SearchDimension, Status, in_range,
};

/// Description of `mtl`.
pub const INFO: MethodInfo = MethodInfo {
    id: "mtl",
    name: "MTL",
    family: Family::Correlation,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::ImagesTellTheEnvironment],
    paper: "Blanchard, Deshmukh, Dogan, Lee & Scott 2021, Domain Generalization by Marginal Transfer Learning",
    summary: "Gives the predictor the mean features of an image's environment beside those of the image.",
};

/// What stands for the environment in evaluation, where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// The mean embedding of the sources: an image is predicted alike whatever else is predicted.
    #[default]
    Sources,
    /// The mean features of the images that are predicted together, as if of one environment.
    Batch,
}

/// Settings of `mtl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MtlConfig {
    /// Weight of a new batch in the embedding of its environment, above 0, at most 1.
    pub ema: f64,
    /// Most environments that the network has room for, 1 to 4096.
    pub environments: usize,
    /// What stands for the environment in evaluation.
    pub unknown: Unknown,
}

impl Default for MtlConfig {
    /// The weight of `DomainBed`.
    fn default() -> Self {
        Self {
            ema: 0.99,
            environments: 64,
            unknown: Unknown::Sources,
        }
    }
}

impl MethodConfig for MtlConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.ema > 0.0 && self.ema <= 1.0;
        in_range(method, "ema", &self.ema, "above 0 and at most 1", ok)?;
        let ok = (1..=4096).contains(&self.environments);
        in_range(method, "environments", &self.environments, "1 to 4096", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        let choices = [0.5, 0.9, 0.99, 1.0].map(Into::into).to_vec();
        vec![SearchDimension::choice("ema", choices)]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        if context.environments > self.environments {
            return Err(ObjectiveError::Environments {
                method: INFO.id,
                expected: format!(
                    "at most {} environments, as the setting `environments` says",
                    self.environments
                ),
                found: context.environments.to_string(),
            });
        }
        Ok(MethodParts::objective(Erm::default()))
    }

    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        let inner = spec.build(seed, run)?;
        Ok(Box::new(Embedded::new(
            inner,
            (*self, spec.outputs),
            Parameters::new(seed, run),
        )?))
    }
}

/// A network whose outputs are moved by the embedding of the environment, `ŷ = f(x) + V e`.
///
/// The embedding of an environment is the running mean of its features,
/// `e ← m · mean_batch φ + (1 − m) e` from 0 on; gradients flow through the present batch. A linear
/// head on features and embedding side by side is the sum of a head on either, so `V`, `[K, F]`,
/// beside the network's own head is the paper's predictor with linear dependence; in segmentation
/// and where outputs are images `V e` is the same for all pixels.
///
/// # References
/// Blanchard et al. 2021 (first 2011), the predictor `f(P_X, x)` on marginals and images; as a
/// network in `DomainBed`, whose setting of `m` this is.
///
/// Deviations:
/// - `DomainBed` overwrites the embedding with noise before the head (`normal_` in its
///   `predict`), so that the head hears nothing of the environment; here the head is given the
///   embedding.
/// - The paper and `DomainBed` take the marginal of the target from the images to predict, which
///   is [`Unknown::Batch`]; the default is the mean embedding of the sources, since single
///   patients arrive one by one.
pub struct Embedded {
    inner: Box<dyn Network>,
    config: MtlConfig,
    parameters: Parameters,
    /// `[K, F]`
    weight: Var,
    /// The embedding of every environment, `[E, F]`.
    embeddings: Var,
    /// 1 for an environment that has been seen, `[E]`.
    seen: Var,
}

impl Embedded {
    fn new(
        inner: Box<dyn Network>,
        (config, outputs): (MtlConfig, usize),
        mut parameters: Parameters,
    ) -> Result<Self> {
        parameters.share(inner.parameters());
        let (width, room) = (inner.feature_width(), config.environments);
        let init = Initialiser::fan_in_uniform(2 * width);
        Ok(Self {
            weight: parameters.add("mtl.weight", &[outputs, width], init)?,
            embeddings: parameters.add_buffer("mtl.embeddings", &[room, width], 0.0)?,
            seen: parameters.add_buffer("mtl.seen", &[room], 0.0)?,
            inner,
            config,
            parameters,
        })
    }

    /// The embeddings after a batch of some environments with given mean features `[E, F]`.
    fn update(&self, environments: &[u32], means: &Tensor) -> ctl_nets::Result<Tensor> {
        let room = self.config.environments;
        if let Some(ill) = environments.iter().find(|&&e| e as usize >= room) {
            return Err(NetError::Size {
                architecture: INFO.id,
                key: "environments",
                expected: "at least the number of environments",
                found: format!("{room} and an environment of index {ill}"),
            });
        }
        let index = Tensor::new(environments, &Device::Cpu)?;
        let old = self.embeddings.index_select(&index, 0)?;
        let new = ((means * self.config.ema)? + (old * (1.0 - self.config.ema))?)?;
        let mut all = self.embeddings.to_vec2::<f32>()?;
        let mut seen = self.seen.to_vec1::<f32>()?;
        for (&environment, row) in environments.iter().zip(new.to_vec2::<f32>()?) {
            all[environment as usize] = row;
            seen[environment as usize] = 1.0;
        }
        self.embeddings.set(&Tensor::new(all, &Device::Cpu)?)?;
        self.seen.set(&Tensor::new(seen, &Device::Cpu)?)?;
        Ok(new)
    }

    /// Mean embedding of the environments that have been seen, `[1, F]`.
    fn of_sources(&self) -> candle_core::Result<Tensor> {
        // Those that have not been seen are 0.
        let count = self.seen.sum_all()?.to_scalar::<f32>()?.max(1.0);
        self.embeddings.detach().sum_keepdim(0)? / f64::from(count)
    }

    /// The embedding that belongs to every row, `[B, F]`.
    fn embedding(
        &self,
        input: &NetworkInput<'_>,
        features: &Tensor,
        mode: Mode,
    ) -> ctl_nets::Result<Tensor> {
        let rows = features.dim(0)?;
        let origin = input.origin.filter(|_| mode == Mode::Train);
        let groups = Groups::of(origin, rows)?;
        let means = groups.means(features)?;
        let embeddings = match (origin, self.config.unknown) {
            (Some(_), _) => self.update(&groups.environments, &means)?,
            (None, Unknown::Batch) => means,
            (None, Unknown::Sources) => self.of_sources()?,
        };
        Ok(groups.spread(&embeddings)?)
    }
}

impl Network for Embedded {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        let mut out = self.inner.forward(input, mode)?;
        let embedding = self.embedding(&input, &out.features, mode)?;
        let mut shift = embedding.matmul(&self.weight.t()?)?;
        while shift.rank() < out.outputs.rank() {
            shift = shift.unsqueeze(shift.rank())?;
        }
        let shift = shift.broadcast_as(out.outputs.shape())?;
        out.outputs = (&out.outputs + &shift)?;
        if let Some(head) = &mut out.head {
            head.base = Some(match &head.base {
                Some(base) => (base + &shift)?,
                None => shift,
            });
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

#[cfg(test)]
mod tests {
    use candle_core::DType;
    use ctl_compute::random::{normal, stream};
    use ctl_nets::{Architecture, Origin};

    use super::*;
    use crate::methods::testing::check_settings;

    fn network(architecture: Architecture, config: MtlConfig) -> (Box<dyn Network>, Embedded) {
        let spec = NetworkSpec {
            architecture,
            channels: 1,
            height: 8,
            width: 8,
            outputs: 2,
            attributes: 0,
            hidden: None,
        };
        let plain = spec.build(0, "tests").unwrap();
        let inner = spec.build(0, "tests").unwrap();
        let own = Parameters::new(0, "tests");
        (plain, Embedded::new(inner, (config, 2), own).unwrap())
    }

    fn images(rows: usize) -> Tensor {
        let shape = (rows, 1, 8, 8);
        normal(&mut stream(0, "tests", "images"), shape, 0.0, 1.0).unwrap()
    }

    fn trained<'a>(images: &'a Tensor, environments: &'a [u32]) -> NetworkInput<'a> {
        NetworkInput {
            origin: Some(Origin {
                environments,
                step: 0,
            }),
            ..images.into()
        }
    }

    /// What the embedding adds to the outputs of every row, by plain sums.
    fn shifts(network: &Embedded, embeddings: &[Vec<f32>]) -> Vec<[f32; 2]> {
        let weight = network.weight.to_vec2::<f32>().unwrap();
        let product = |k: usize, e: &[f32]| weight[k].iter().zip(e).map(|(w, e)| w * e).sum();
        let shift = |e: &Vec<f32>| [product(0, e), product(1, e)];
        embeddings.iter().map(shift).collect()
    }

    fn mean(rows: &[&Vec<f32>]) -> Vec<f32> {
        let sum = |column: usize| rows.iter().map(|row| row[column]).sum::<f32>();
        let width = rows[0].len();
        (0..width).map(|c| sum(c) / rows.len() as f32).collect()
    }

    /// Two steps of environments 1, 3, 1: embeddings are running means, outputs follow from them.
    #[test]
    fn embeddings_and_outputs_by_hand() {
        let config = MtlConfig {
            ema: 0.75,
            environments: 5,
            ..MtlConfig::default()
        };
        let (plain, network) = network(Architecture::SmallCnn, config);
        let images = images(3);
        let out = plain.forward((&images).into(), Mode::Train).unwrap();
        let features = out.features.to_vec2::<f32>().unwrap();
        let logits = out.outputs.to_vec2::<f32>().unwrap();
        let one = mean(&[&features[0], &features[2]]);
        let scaled = |by: f32, row: &[f32]| -> Vec<f32> { row.iter().map(|v| by * v).collect() };
        for factor in [0.75, 0.75 + 0.25 * 0.75] {
            let found = network
                .forward(trained(&images, &[1, 3, 1]), Mode::Train)
                .unwrap();
            let [first, second] = [scaled(factor, &one), scaled(factor, &features[1])];
            let added = shifts(&network, &[first.clone(), second, first]);
            let found = found.outputs.to_vec2::<f32>().unwrap();
            let expected = logits.iter().zip(&added);
            for (found, (logits, added)) in found.iter().zip(expected) {
                for (found, (logit, added)) in found.iter().zip(logits.iter().zip(added)) {
                    assert!((found - logit - added).abs() < 1e-5);
                }
            }
        }
        assert_eq!(
            network.seen.to_vec1::<f32>().unwrap(),
            [0.0, 1.0, 0.0, 1.0, 0.0]
        );
        // In evaluation the mean of both environments, 1 and 3.
        let found = network.forward((&images).into(), Mode::Evaluate).unwrap();
        let all = scaled(0.9375, &mean(&[&one, &features[1]]));
        let added = shifts(&network, &[all])[0];
        let found = found.outputs.to_vec2::<f32>().unwrap();
        for (found, logits) in found.iter().zip(&logits) {
            assert!((found[0] - logits[0] - added[0]).abs() < 1e-5);
        }
    }

    #[test]
    fn the_batch_may_stand_for_the_environment() {
        let config = MtlConfig {
            unknown: Unknown::Batch,
            ..MtlConfig::default()
        };
        let (plain, network) = network(Architecture::SmallUNet, config);
        let images = images(2);
        let out = plain.forward((&images).into(), Mode::Evaluate).unwrap();
        let features = out.features.to_vec2::<f32>().unwrap();
        let added = shifts(&network, &[mean(&[&features[0], &features[1]])])[0];
        let found = network.forward((&images).into(), Mode::Evaluate).unwrap();
        let moved = (&found.outputs - &out.outputs).unwrap();
        assert_eq!(moved.dims(), [2, 2, 8, 8]);
        for (k, added) in added.into_iter().enumerate() {
            let off = (moved.narrow(1, k, 1).unwrap() - f64::from(added)).unwrap();
            let off = off.abs().unwrap().max_all().unwrap();
            assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
        }
        // The head knows of what was added.
        let head = found.head.unwrap();
        let again = head.outputs(&head.input).unwrap();
        let off = (again - found.outputs)
            .unwrap()
            .abs()
            .unwrap()
            .max_all()
            .unwrap();
        assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
        let seen = network.seen.sum_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(seen.abs() < f32::EPSILON, "{seen}");
    }

    /// With `m = 1` and one image an environment the embedding is the features: the derivative of
    /// the sum of all outputs by `V` are the features, and the network hears of it.
    #[test]
    fn gradients_flow_through_the_batch() {
        let config = MtlConfig {
            ema: 1.0,
            ..MtlConfig::default()
        };
        let (_, network) = network(Architecture::Mlp, config);
        let zero = network.weight.zeros_like().unwrap();
        let images = images(1);
        let gradient = |network: &Embedded| {
            let out = network
                .forward(trained(&images, &[0]), Mode::Train)
                .unwrap();
            let gradients = out.outputs.sum_all().unwrap().backward().unwrap();
            let first = &network.parameters.trained()[0];
            let of = |var: &Var| gradients.get(var).unwrap().to_dtype(DType::F64).unwrap();
            (of(&network.weight), of(first), out.features)
        };
        let (by_weight, with, features) = gradient(&network);
        let features = features.to_dtype(DType::F64).unwrap();
        let off = by_weight.broadcast_sub(&features).unwrap().abs().unwrap();
        assert!(off.max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-6);
        network.weight.set(&zero).unwrap();
        let (_, without, _) = gradient(&network);
        let off = (with - without).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f64>().unwrap() > 1e-3);
    }

    #[test]
    fn an_environment_without_room_is_an_error() {
        let config = MtlConfig {
            environments: 2,
            ..MtlConfig::default()
        };
        let (_, network) = network(Architecture::SmallCnn, config);
        let images = images(2);
        let error = network.forward(trained(&images, &[0, 2]), Mode::Train);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("index 2"), "{error}");
    }

    #[test]
    fn settings() {
        check_settings::<MtlConfig>(
            INFO,
            &[
                ("ema", "0", "above 0"),
                ("environments", "0", "1 to 4096"),
                ("unknown", "\"none\"", "sources"),
            ],
        );
    }
}
