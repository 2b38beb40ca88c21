//! Mixed styles of inner maps.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use ctl_compute::random::{permutation, stream};
use ctl_nets::{
    Architecture, Linear, MapHook, Mode, Network, NetworkInput, NetworkOutput, NetworkSpec, Origin,
    Parameters,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::Erm;
use crate::style::{Style, flattened};
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Result, Role, SearchDimension, Status, in_range,
};

/// Description of `mixstyle`.
pub const INFO: MethodInfo = MethodInfo {
    id: "mixstyle",
    name: "MixStyle",
    family: Family::Correlation,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::StyleCarriesNoLabel],
    paper: "Zhou, Yang, Qiao & Xiang 2021, Domain Generalization with MixStyle",
    summary: "Mixes means and deviations of the first maps between images in training.",
};

/// Whose style an image is mixed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Partners {
    /// An image of another environment; any other where there is one environment.
    #[default]
    CrossEnvironment,
    /// Any image.
    Random,
}

/// Settings of `mixstyle`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MixStyleConfig {
    /// Probability that the maps of a stage are mixed in a step, 0 to 1.
    pub probability: f64,
    /// Both parameters of the Beta distribution of the mixing weight, above 0, at most 100.
    pub alpha: f64,
    /// Whose style an image is mixed with.
    pub partners: Partners,
}

impl Default for MixStyleConfig {
    /// The paper's values.
    fn default() -> Self {
        Self {
            probability: 0.5,
            alpha: 0.1,
            partners: Partners::CrossEnvironment,
        }
    }
}

impl MethodConfig for MixStyleConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let probability = self.probability;
        let ok = (0.0..=1.0).contains(&probability);
        in_range(method, "probability", &probability, "in [0, 1]", ok)?;
        let ok = self.alpha > 0.0 && self.alpha <= 100.0;
        in_range(method, "alpha", &self.alpha, "above 0 and at most 100", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        let choices = [0.1, 0.2, 0.3].map(Into::into).to_vec();
        vec![SearchDimension::choice("alpha", choices)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Erm::default()))
    }

    fn note_on(&self, spec: &NetworkSpec) -> Option<String> {
        let nothing = matches!(spec.architecture, Architecture::Mlp);
        nothing.then(|| {
            "mixstyle: an MLP has no maps whose style could be mixed: plain training".into()
        })
    }

    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        Ok(Box::new(MixStyle {
            inner: spec.build(seed, run)?,
            config: *self,
            seed,
            run: run.to_owned(),
        }))
    }
}

/// Added to a variance before its root is taken.
const EPSILON: f64 = 1e-6;

/// A network whose first two maps are given mixed styles in training:
/// `z ← σ′ (z − μ) / σ + μ′` with `μ′ = λ μ + (1 − λ) μ̃` and `σ′ = λ σ + (1 − λ) σ̃`, where `μ`, `σ`
/// are the mean and deviation of each channel of an image, `μ̃`, `σ̃` those of another image, and
/// `λ ~ Beta(α, α)` for each image; all of them constants of the gradient.
///
/// Each stage is mixed with its probability, all images of a step at once. An unrolled network has
/// its stages in every cascade, which are mixed alike. In evaluation the network is the plain one.
/// An MLP has no maps: it is trained plainly.
///
/// # References
/// Zhou et al. 2021, section 3.2; after the first two stages as in its experiments.
/// Deviation: between two domains the paper exchanges two halves of a batch; here each environment
/// takes its partners, in random order, from the next one in a random cycle, which for two is the
/// same.
pub struct MixStyle {
    inner: Box<dyn Network>,
    config: MixStyleConfig,
    seed: u64,
    run: String,
}

impl Network for MixStyle {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        let (Mode::Train, Some(origin)) = (mode, input.origin) else {
            return self.inner.forward(input, mode);
        };
        let mixing = Mixing {
            network: self,
            origin,
        };
        let input = NetworkInput {
            hook: Some(&mixing),
            ..input
        };
        self.inner.forward(input, mode)
    }

    fn feature_width(&self) -> usize {
        self.inner.feature_width()
    }

    fn head(&self) -> Option<&Linear> {
        self.inner.head()
    }

    fn parameters(&self) -> &Parameters {
        self.inner.parameters()
    }
}

/// The styles of one step.
struct Mixing<'a> {
    network: &'a MixStyle,
    origin: Origin<'a>,
}

impl MapHook for Mixing<'_> {
    fn at(&self, stage: usize, map: &Tensor) -> ctl_nets::Result<Tensor> {
        let MixStyle {
            config, seed, run, ..
        } = self.network;
        let purpose = format!("mixed styles of stage {stage} at step {}", self.origin.step);
        let rng = &mut stream(*seed, run, &purpose);
        // `validate` admits no α for which the distribution does not exist.
        let beta = Beta::new(config.alpha, config.alpha).ok();
        let mixed = rng.random::<f64>() < config.probability;
        let Some(beta) = beta.filter(|_| mixed) else {
            return Ok(map.clone());
        };
        let environments = self.origin.environments;
        let partners = Tensor::new(partners(environments, config.partners, rng), &Device::Cpu)?;
        let shares: Vec<f32> = environments
            .iter()
            .map(|_| beta.sample(rng) as f32)
            .collect();
        let shares = Tensor::from_vec(shares, (environments.len(), 1, 1), &Device::Cpu)?;
        Ok(restyled(map, &partners, &shares)?)
    }
}

/// Maps with `shares` `[B, 1, 1]` of their own style and the rest of that of their partners.
fn restyled(map: &Tensor, partners: &Tensor, shares: &Tensor) -> candle_core::Result<Tensor> {
    let maps = flattened(map)?;
    let style = Style::of(&maps, EPSILON)?.detach();
    let mixed = style.mixed(partners, shares)?;
    style.exchanged(&maps, &mixed)?.reshape(map.shape())
}

/// For every row the row that it is mixed with.
fn partners(environments: &[u32], whose: Partners, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, &environment) in environments.iter().enumerate() {
        groups.entry(environment).or_default().push(row);
    }
    let groups: Vec<Vec<usize>> = match whose {
        Partners::CrossEnvironment => groups.into_values().collect(),
        Partners::Random => vec![(0..environments.len()).collect()],
    };
    let cycle = permutation(rng, groups.len());
    let mut partners = vec![0; environments.len()];
    for (position, &group) in cycle.iter().enumerate() {
        let others = &groups[cycle[(position + 1) % cycle.len()]];
        let order = permutation(rng, others.len());
        for (index, &row) in groups[group].iter().enumerate() {
            partners[row] = others[order[index % order.len()]] as u32;
        }
    }
    partners
}

#[cfg(test)]
mod tests {
    use candle_core::Var;
    use ctl_compute::random::normal;
    use ctl_nets::Architecture;

    use super::*;
    use crate::methods::testing::check_settings;

    #[test]
    fn partners_are_of_another_environment_where_there_is_one() {
        let rng = &mut stream(0, "tests", "partners");
        let environments = [0, 0, 0, 1, 1, 2, 2, 2];
        for _ in 0..50 {
            let found = partners(&environments, Partners::CrossEnvironment, rng);
            for (row, &partner) in found.iter().enumerate() {
                assert_ne!(environments[row], environments[partner as usize]);
            }
            for (environments, whose) in [
                (&environments[..], Partners::Random),
                (&[3, 3, 3, 3], Partners::CrossEnvironment),
            ] {
                let mut found = partners(environments, whose, rng);
                found.sort_unstable();
                let all: Vec<u32> = (0..environments.len() as u32).collect();
                assert_eq!(found, all);
            }
        }
    }

    /// One channel of two pixels; deviations 1 and 2 mix to ¼·1 + ¾·2, and the gradient is that of
    /// a factor: the styles are constants.
    #[test]
    fn styles_are_constants() {
        let device = &Device::Cpu;
        let map = Tensor::new(&[[[[0.0], [2.0]]], [[[10.0], [14.0f64]]]], device).unwrap();
        let map = Var::from_tensor(&map).unwrap();
        let partners = Tensor::new(&[1u32, 0], device).unwrap();
        let shares = Tensor::new(&[[[0.25]], [[0.25f64]]], device).unwrap();
        let mixed = restyled(&map, &partners, &shares).unwrap();
        let near = |tensor: &Tensor, expected: [f64; 4]| {
            let found = tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let off = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
            assert!(off.fold(0.0, f64::max) < 1e-4, "{found:?}");
        };
        // Means 1 and 12 mix to 9.25 and 3.75, deviations to 1.75 and 1.25.
        near(&mixed, [7.5, 11.0, 2.5, 5.0]);
        let gradient = mixed.sum_all().unwrap().backward().unwrap();
        near(gradient.get(&map).unwrap(), [1.75, 1.75, 0.625, 0.625]);
    }

    fn outputs(network: &dyn Network, images: &Tensor, step: Option<u64>, mode: Mode) -> Vec<f32> {
        let environments = [0, 0, 1, 1];
        let origin = step.map(|step| Origin {
            environments: &environments,
            step,
        });
        let input = NetworkInput {
            origin,
            ..images.into()
        };
        let out = network.forward(input, mode).unwrap().outputs;
        out.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn training_differs_by_step_and_evaluation_is_plain() {
        let images = normal(&mut stream(0, "tests", "images"), (4, 1, 12, 12), 0.0, 1.0).unwrap();
        let config = MixStyleConfig {
            probability: 1.0,
            ..MixStyleConfig::default()
        };
        for (architecture, has_maps) in [(Architecture::SmallCnn, true), (Architecture::Mlp, false)]
        {
            let spec = NetworkSpec {
                architecture,
                channels: 1,
                height: 12,
                width: 12,
                outputs: 2,
                attributes: 0,
                hidden: None,
            };
            let plain = spec.build(1, "tests").unwrap();
            let mixed = config.network(&spec, (1, "tests")).unwrap();
            let expected = outputs(plain.as_ref(), &images, None, Mode::Train);
            let of = |step, mode| outputs(mixed.as_ref(), &images, step, mode);
            assert_eq!(of(Some(0), Mode::Evaluate), expected);
            assert_eq!(of(Some(0), Mode::Train), of(Some(0), Mode::Train));
            let first = of(Some(0), Mode::Train);
            assert_eq!(first != expected, has_maps);
            assert_eq!(first != of(Some(1), Mode::Train), has_maps);
            let never = MixStyleConfig {
                probability: 0.0,
                ..config
            };
            let never = never.network(&spec, (1, "tests")).unwrap();
            let found = outputs(never.as_ref(), &images, Some(0), Mode::Train);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn settings() {
        check_settings::<MixStyleConfig>(
            INFO,
            &[
                ("probability", "1.5", "[0, 1]"),
                ("alpha", "0", "above 0"),
                ("partners", "\"all\"", "cross-environment"),
            ],
        );
    }
}
