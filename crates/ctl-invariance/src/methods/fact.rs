//! Amplitudes mixed between images, and a teacher that must agree across them.

use candle_core::Tensor;
use ctl_nets::{
    Linear, Mode, NetError, Network, NetworkInput, NetworkOutput, NetworkSpec, Origin, Parameters,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::Erm;
pub use crate::amplitude::AmplitudePairs;
use crate::pairs::{divergence, squared_difference};
use crate::ramp::sigmoid_ramp;
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Result, Role, SearchDimension, Status, in_range,
};

/// Description of `fact`.
pub const INFO: MethodInfo = MethodInfo {
    id: "fact",
    name: "FACT",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::ContentInPhase],
    paper: "Xu et al. 2021, A Fourier-based Framework for Domain Generalization",
    summary: "Trains on images with mixed Fourier amplitudes, whose predictions must agree with a slower teacher's for the plain images, and the other way round.",
};

/// Settings of `fact`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactConfig {
    /// Largest share of another image's amplitude, above 0, at most 1.
    pub eta: f64,
    /// Weight of the agreement with the teacher, not negative.
    pub consistency_weight: f64,
    /// Steps over which that weight grows.
    pub ramp_steps: u64,
    /// Temperature of the predictions that are compared, positive.
    pub temperature: f64,
    /// Share of its own weights that the teacher keeps in a step, in [0, 1).
    pub momentum: f64,
}

impl Default for FactConfig {
    /// The paper's values; its ramp is a tenth of the training.
    fn default() -> Self {
        Self {
            eta: 1.0,
            consistency_weight: 2.0,
            ramp_steps: 100,
            temperature: 10.0,
            momentum: 0.9995,
        }
    }
}

impl MethodConfig for FactConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.eta > 0.0 && self.eta <= 1.0;
        in_range(method, "eta", &self.eta, "above 0 and at most 1", ok)?;
        let weight = self.consistency_weight;
        let ok = weight.is_finite() && weight >= 0.0;
        in_range(
            method,
            "consistency_weight",
            &weight,
            "finite and not negative",
            ok,
        )?;
        let temperature = self.temperature;
        let ok = temperature.is_finite() && temperature > 0.0;
        in_range(
            method,
            "temperature",
            &temperature,
            "positive and finite",
            ok,
        )?;
        let ok = (0.0..1.0).contains(&self.momentum);
        in_range(method, "momentum", &self.momentum, "in [0, 1)", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::choice("eta", [0.2, 0.5, 1.0].map(Into::into).to_vec()),
            SearchDimension::log_uniform("consistency_weight", -1.0, 2.5),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(AmplitudePairs { eta: self.eta })],
            ..MethodParts::objective(Erm::default())
        })
    }

    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        Ok(Box::new(CoTeacher::new(*self, spec, (seed, run))?))
    }
}

/// A network and its slower teacher, an exponential average of its weights.
///
/// In training every sample comes twice, plain and with a mixed amplitude, and a sample's loss has
/// beside it `2 β(t) KL(σ(teacher / T) ‖ σ(student / T))` of the student's output against the
/// teacher's for the other version. The mean over both versions is then
/// `½ ℓ(x) + ½ ℓ(x̂) + β(t) (KL of x̂ against x + KL of x against x̂)`.
/// Where outputs are images, the mean squared difference stands in for the divergence.
/// In use the network is the student alone.
///
/// # References
/// Xu et al. 2021, equations 5 to 9; ramp, the warm start of the average, `min(1 − 1/(t + 1), m)`,
/// and the direction of the divergence as in the authors' published code. The teacher's running
/// statistics are its own.
pub struct CoTeacher {
    config: FactConfig,
    /// Whether outputs are images.
    images: bool,
    student: Box<dyn Network>,
    teacher: Box<dyn Network>,
    parameters: Parameters,
}

impl CoTeacher {
    /// Student and teacher with the same weights, drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(config: FactConfig, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Self> {
        let (student, teacher) = (spec.build(seed, run)?, spec.build(seed, run)?);
        let mut parameters = Parameters::new(seed, run);
        parameters.share(student.parameters());
        parameters.share_as_buffers(teacher.parameters(), "teacher.");
        Ok(Self {
            config,
            images: spec.architecture.outputs_images(),
            student,
            teacher,
            parameters,
        })
    }

    /// Moves the teacher towards the student, `step` updates into the training.
    fn follow(&self, step: u64) -> ctl_nets::Result<()> {
        let kept = self.config.momentum.min(1.0 - 1.0 / (step + 1) as f64);
        let student = self.student.parameters().trained();
        for (slow, fast) in self.teacher.parameters().trained().iter().zip(student) {
            let moved = ((slow.as_detached_tensor() * kept)?
                + (fast.as_detached_tensor() * (1.0 - kept))?)?;
            slow.set(&moved)?;
        }
        Ok(())
    }

    /// What is added to the loss of every row, `[B]`.
    fn penalty(
        &self,
        outputs: &Tensor,
        teacher: &Tensor,
        origin: &Origin<'_>,
    ) -> ctl_nets::Result<Tensor> {
        let others = Tensor::new(others(origin.environments)?, outputs.device())?;
        let teacher = teacher.detach().index_select(&others, 0)?;
        let gap = if self.images {
            squared_difference(outputs, &teacher)?
        } else {
            divergence(outputs, &teacher, self.config.temperature)?
        };
        let ramp = sigmoid_ramp(origin.step, self.config.ramp_steps);
        Ok((gap * (2.0 * self.config.consistency_weight * ramp))?)
    }
}

/// The row of each row's other version, where the rows of an environment are its samples twice.
fn others(environments: &[u32]) -> ctl_nets::Result<Vec<u32>> {
    let mut others = Vec::with_capacity(environments.len());
    for group in environments.chunk_by(|a, b| a == b) {
        if group.len() % 2 == 1 {
            return Err(NetError::Size {
                architecture: INFO.id,
                key: "rows of an environment",
                expected: "an even number, every sample twice",
                found: group.len().to_string(),
            });
        }
        let (first, half) = (others.len(), group.len() / 2);
        others.extend((0..group.len()).map(|row| (first + (row + half) % group.len()) as u32));
    }
    Ok(others)
}

impl Network for CoTeacher {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        let mut out = self.student.forward(input, mode)?;
        let (Mode::Train, Some(origin)) = (mode, &input.origin) else {
            return Ok(out);
        };
        self.follow(origin.step)?;
        let teacher = self.teacher.forward(input, mode)?.outputs;
        let penalty = self.penalty(&out.outputs, &teacher, origin)?;
        out.penalty = Some(match out.penalty {
            Some(own) => (own + penalty)?,
            None => penalty,
        });
        Ok(out)
    }

    fn feature_width(&self) -> usize {
        self.student.feature_width()
    }

    fn head(&self) -> Option<&Linear> {
        self.student.head()
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use ctl_compute::random::{normal, stream};
    use ctl_nets::Architecture;

    use super::*;

    fn spec(architecture: Architecture) -> NetworkSpec {
        NetworkSpec {
            architecture,
            channels: 1,
            height: 16,
            width: 16,
            outputs: if architecture.outputs_images() { 1 } else { 2 },
            attributes: 0,
            hidden: None,
        }
    }

    fn images(rows: usize) -> Tensor {
        normal(&mut stream(0, "t", "images"), (rows, 1, 16, 16), 0.0, 1.0).unwrap()
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn rows_are_paired_within_their_environment() {
        assert_eq!(others(&[0, 0, 4, 4, 4, 4]).unwrap(), [1, 0, 4, 5, 2, 3]);
        let message = others(&[0, 0, 1]).unwrap_err().to_string();
        assert!(message.contains("every sample twice, found 1"), "{message}");
    }

    /// Before the first step both are the same network: a row's penalty is the divergence between
    /// the student's own outputs for the two versions.
    #[test]
    fn the_penalty_compares_the_two_versions() {
        let config = FactConfig {
            ramp_steps: 0,
            temperature: 1.0,
            ..FactConfig::default()
        };
        for architecture in [Architecture::SmallCnn, Architecture::Autoencoder] {
            let network = CoTeacher::new(config, &spec(architecture), (0, "t")).unwrap();
            // Images of a network that has learned nothing all but agree.
            let factor = if architecture.outputs_images() {
                2000.0
            } else {
                1.0
            };
            let trained = network.student.parameters().trained();
            let weight = &trained[trained.len() - 2];
            let larger = (weight.as_detached_tensor() * factor).unwrap();
            weight.set(&larger).unwrap();
            let images = images(4);
            let origin = Some(Origin {
                environments: &[7; 4],
                step: 0,
            });
            let input = NetworkInput {
                origin,
                ..(&images).into()
            };
            let out = network.forward(input, Mode::Train).unwrap();
            let swapped = out
                .outputs
                .index_select(&Tensor::new(&[2u32, 3, 0, 1], &Device::Cpu).unwrap(), 0)
                .unwrap();
            let expected: Vec<f32> = if architecture.outputs_images() {
                let squares = (&out.outputs - &swapped).unwrap().sqr().unwrap();
                flat(&squares)
                    .chunks_exact(256)
                    .map(|s| 4.0 * s.iter().sum::<f32>() / 256.0)
                    .collect()
            } else {
                let shares = |z: &[f32]| {
                    let p = 1.0 / (1.0 + (z[1] - z[0]).exp());
                    [p, 1.0 - p]
                };
                let rows = flat(&out.outputs);
                let other = flat(&swapped);
                let pairs = rows.chunks_exact(2).zip(other.chunks_exact(2));
                let kl = pairs.map(|(p, q)| {
                    let (p, q) = (shares(p), shares(q));
                    4.0 * (q[0] * (q[0] / p[0]).ln() + q[1] * (q[1] / p[1]).ln())
                });
                kl.collect()
            };
            for (found, expected) in flat(&out.penalty.unwrap()).iter().zip(&expected) {
                let near = (found - expected).abs() < 1e-3 * expected + 1e-6;
                assert!(near, "{architecture:?}: {found} {expected}");
            }
            assert!(
                expected.iter().all(|&p| p > 1e-4),
                "{architecture:?}: {expected:?}"
            );
            let used = network.forward((&images).into(), Mode::Evaluate).unwrap();
            assert!(used.penalty.is_none());
        }
    }

    /// A weight of the teacher is kept by half after one update of the student, later by the
    /// momentum.
    #[test]
    fn the_teacher_is_an_average_and_is_saved() {
        let config = FactConfig {
            momentum: 0.6,
            ..FactConfig::default()
        };
        let network = CoTeacher::new(config, &spec(Architecture::SmallCnn), (0, "t")).unwrap();
        let bias = |set: &std::collections::BTreeMap<String, Vec<f32>>, name: &str| set[name][0];
        let trained = network.student.parameters().trained();
        let last = trained.last().unwrap();
        last.set(&Tensor::full(1f32, last.shape(), &Device::Cpu).unwrap())
            .unwrap();
        let before = network.parameters().snapshot().unwrap();
        network.follow(1).unwrap();
        let after = network.parameters().snapshot().unwrap();
        let expected = 0.5 * bias(&before, "teacher.head.bias") + 0.5;
        assert!((bias(&after, "teacher.head.bias") - expected).abs() < 1e-6);
        network.follow(900).unwrap();
        let later = network.parameters().snapshot().unwrap();
        assert!((bias(&later, "teacher.head.bias") - (0.6 * expected + 0.4)).abs() < 1e-6);
        assert_eq!(network.parameters().trained().len(), trained.len());
        let copy = CoTeacher::new(config, &spec(Architecture::SmallCnn), (1, "t")).unwrap();
        copy.parameters().restore(&later).unwrap();
        assert_eq!(
            copy.teacher.parameters().snapshot().unwrap(),
            network.teacher.parameters().snapshot().unwrap()
        );
    }

    /// The gradient of the penalty reaches the student and not the teacher.
    #[test]
    fn the_teacher_is_not_trained() {
        let network = CoTeacher::new(
            FactConfig::default(),
            &spec(Architecture::SmallCnn),
            (0, "t"),
        )
        .unwrap();
        let images = images(2);
        let input = NetworkInput {
            origin: Some(Origin {
                environments: &[0, 0],
                step: 500,
            }),
            ..(&images).into()
        };
        let penalty = network
            .forward(input, Mode::Train)
            .unwrap()
            .penalty
            .unwrap();
        let gradients = penalty
            .to_dtype(DType::F32)
            .unwrap()
            .mean_all()
            .unwrap()
            .backward()
            .unwrap();
        let reached = |parameters: &Parameters| {
            parameters
                .trained()
                .iter()
                .filter(|v| gradients.get(v).is_some())
                .count()
        };
        assert_eq!(
            reached(network.student.parameters()),
            network.parameters().trained().len()
        );
        assert_eq!(reached(network.teacher.parameters()), 0);
    }

    #[test]
    fn ill_settings_are_named() {
        let config = FactConfig::default();
        for (ill, expected) in [
            (FactConfig { eta: 0.0, ..config }, "eta = 0"),
            (
                FactConfig {
                    momentum: 1.0,
                    ..config
                },
                "momentum = 1",
            ),
            (
                FactConfig {
                    temperature: 0.0,
                    ..config
                },
                "temperature = 0",
            ),
            (
                FactConfig {
                    consistency_weight: f64::NAN,
                    ..config
                },
                "consistency_weight = NaN",
            ),
        ] {
            let message = ill.validate("fact").unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
