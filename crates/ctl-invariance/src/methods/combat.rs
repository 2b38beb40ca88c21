//! Features of the target with the location and scale that they have at the sources.

use candle_core::{D, Device, Tensor, Var};
use ctl_nets::{Linear, Mode, Network, NetworkInput, NetworkOutput, NetworkSpec, Parameters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deployed::{SourcesOnly, Together};
use crate::empirical_bayes::{Adjustment, Moments, harmonise};
use crate::wrapping::Sizes;
use crate::{
    Assumption, Batch, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts,
    Needs, NetworkAdaptation, Result, Role, Site, Status,
};

/// Description of `combat`.
pub const INFO: MethodInfo = MethodInfo {
    id: "combat",
    name: "ComBat",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Adaptation,
    needs: Needs::TARGET,
    exceptions: &[],
    assumptions: &[
        Assumption::SiteShiftsAndScales,
        Assumption::InvariantFeatureMarginal,
    ],
    paper: "Johnson, Li & Rabinovic 2007, Adjusting Batch Effects in Microarray Expression Data Using Empirical Bayes Methods; Fortin et al. 2017, Harmonization of Multi-site Diffusion Tensor Imaging Data",
    summary: "Takes the target's location and scale, estimated by empirical Bayes over unlabelled images, out of the features that the head sees.",
};

/// `combat` has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CombatConfig {}

impl MethodConfig for CombatConfig {
    fn validate(&self, _method: &'static str) -> std::result::Result<(), ConfigError> {
        Ok(())
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(SourcesOnly)],
            ..MethodParts::network_adaptation(Combat)
        })
    }

    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        Ok(Box::new(Harmonised::new(spec, (seed, run))?))
    }
}

const SCALE: &str = "combat.scale";
const SHIFT: &str = "combat.shift";

/// A network whose features go through `x ← scale · x + shift` on the way to its linear head; in
/// training, and until an adaptation sets the two, they stay as they are.
///
/// A feature is a value that the head takes, at every pixel where each has an output. Networks that
/// end with no linear head give images of the size of those that they are given: there a feature is
/// a channel of the difference of the two, that is, of what the network changes.
pub struct Harmonised {
    inner: Box<dyn Network>,
    parameters: Parameters,
    scale: Var,
    shift: Var,
}

impl Harmonised {
    /// The network of a specification, with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Self> {
        let inner = spec.build(seed, run)?;
        let width = Sizes::of(spec, inner.as_ref())?
            .head
            .unwrap_or(spec.outputs);
        let mut parameters = Parameters::new(seed, run);
        parameters.share(inner.parameters());
        Ok(Self {
            scale: parameters.add_buffer(SCALE, &[width], 1.0)?,
            shift: parameters.add_buffer(SHIFT, &[width], 0.0)?,
            inner,
            parameters,
        })
    }

    fn is_identity(&self) -> ctl_nets::Result<bool> {
        let all = |var: &Var, value: f32| -> ctl_nets::Result<bool> {
            let values = var.to_vec1::<f32>()?;
            Ok(values.iter().all(|v| v.to_bits() == value.to_bits()))
        };
        Ok(all(&self.scale, 1.0)? && all(&self.shift, 0.0)?)
    }

    /// Features `[…, F]` as the head is to see them.
    fn moved(&self, features: &Tensor) -> ctl_nets::Result<Tensor> {
        let scaled = features.broadcast_mul(self.scale.as_tensor())?;
        Ok(scaled.broadcast_add(self.shift.as_tensor())?)
    }

    fn harmonised(&self, images: &Tensor, out: NetworkOutput) -> ctl_nets::Result<NetworkOutput> {
        let Some(mut head) = out.head.clone() else {
            let change = self.moved(&channels_last(&(&out.outputs - images)?)?)?;
            let outputs = (images + change.permute((0, 3, 1, 2))?)?;
            return Ok(NetworkOutput { outputs, ..out });
        };
        head.input = self.moved(&head.input)?;
        let features = if head.input.rank() == 2 {
            head.input.clone()
        } else {
            out.features.clone()
        };
        Ok(NetworkOutput {
            outputs: head.outputs(&head.input)?,
            features,
            head: Some(head),
            ..out
        })
    }
}

/// `[B, C, H, W] -> [B, H, W, C]`
fn channels_last(images: &Tensor) -> candle_core::Result<Tensor> {
    images.permute((0, 2, 3, 1))?.contiguous()
}

impl Network for Harmonised {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        let out = self.inner.forward(input, mode)?;
        if mode == Mode::Train || self.is_identity()? {
            return Ok(out);
        }
        self.harmonised(input.images, out)
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

/// Sets what a [`Harmonised`] network does to its features, for the target.
///
/// The sources are the reference: the mean of their values and the variance about the mean of each
/// site. Location and scale of the target against them are posterior means under priors that its
/// features share.
///
/// # References
/// Johnson, Li & Rabinovic 2007, section 3.2; Fortin et al. 2017, section 2.4.4.
/// Deviations: no covariate is kept, since labels of the target are not known, so that what a
/// different prevalence does to a feature is taken out with it; sources are not harmonised with one
/// another, because the network was trained on them as they are.
pub struct Combat;

/// Moments of the features of some batches, the network's adjustment being the identity.
fn moments(network: &dyn Network, batches: &[Batch]) -> Result<Moments> {
    let mut moments = Moments::default();
    for batch in batches {
        let out = Together::of(&[batch])?.forward(network, Mode::Evaluate)?;
        let features = match &out.head {
            Some(head) => head.input.clone(),
            None => channels_last(&(&out.outputs - &batch.images)?)?,
        };
        let width = features.dim(D::Minus1)?;
        let values: Vec<f32> = features.flatten_all()?.to_vec1()?;
        moments.add(batch.images.dim(0)?, &values, width);
    }
    Ok(moments)
}

fn set(parameters: &Parameters, adjustment: &Adjustment) -> Result<()> {
    for (name, values) in [(SCALE, &adjustment.scale), (SHIFT, &adjustment.shift)] {
        let buffer = parameters.buffers().find(|(other, _)| *other == name);
        if let Some((_, buffer)) = buffer {
            let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            buffer.set(&Tensor::new(values, &Device::Cpu)?)?;
        }
    }
    Ok(())
}

impl NetworkAdaptation for Combat {
    fn adapt(&self, site: &dyn Site) -> Result<Option<String>> {
        let network = site.network();
        let target = moments(network, &site.target()?)?;
        if target.images < 2.0 {
            return Ok(Some(format!(
                "combat needs at least two images of the target and has {}: features stay",
                target.images
            )));
        }
        let sources = site.sources()?;
        let sources = sources.iter().map(|batches| moments(network, batches));
        let sources = sources.collect::<Result<Vec<_>>>()?;
        set(network.parameters(), &harmonise(&sources, &target))?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;
    use ctl_nets::Architecture;

    use super::*;
    use crate::TargetKind;
    use crate::deployed::testing::{Place, images, place};

    fn spec(architecture: Architecture) -> NetworkSpec {
        let complex = architecture == Architecture::Unrolled;
        NetworkSpec {
            architecture,
            channels: if complex { 2 } else { 1 },
            height: 16,
            width: 16,
            outputs: if architecture.outputs_images() && !complex {
                1
            } else {
                2
            },
            attributes: 0,
            hidden: None,
        }
    }

    /// A site with a harmonised network; the target is brighter and of more contrast.
    fn site(architecture: Architecture) -> Place {
        let columns = Tensor::ones((4, 16), DType::F32, &Device::Cpu).unwrap();
        let batch = |seed, law| {
            let mut batch = images(4, seed, law);
            if architecture == Architecture::Unrolled {
                batch.images = Tensor::cat(&[&batch.images, &batch.images], 1).unwrap();
                // Some frequencies are measured, so that the network has something to change.
                let half = columns.narrow(1, 0, 8).unwrap();
                let unseen = half.zeros_like().unwrap();
                batch.context = Some(Tensor::cat(&[&half, &unseen], 1).unwrap());
            }
            batch
        };
        Place {
            network: Box::new(Harmonised::new(&spec(architecture), (0, "t")).unwrap()),
            target: vec![batch(1, (1.0, 2.0)), batch(2, (1.0, 2.0))],
            sources: vec![vec![batch(3, (0.0, 1.0)), batch(4, (0.0, 1.0))]],
        }
    }

    fn run(network: &dyn Network, batch: &Batch) -> NetworkOutput {
        Together::of(&[batch])
            .unwrap()
            .forward(network, Mode::Evaluate)
            .unwrap()
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Before it is adapted the network is the suite's own, whatever it ends with; afterwards its
    /// outputs are those of the head on the adjusted features, or the images with the adjusted
    /// change.
    #[test]
    fn every_kind_of_network_is_adjusted_where_it_ends() {
        for architecture in [
            Architecture::SmallCnn,
            Architecture::SmallUNet,
            Architecture::Unrolled,
            Architecture::Autoencoder,
        ] {
            let site = site(architecture);
            let plain = spec(architecture).build(0, "t").unwrap();
            let batch = &site.target[0];
            let before = run(plain.as_ref(), batch);
            assert_eq!(
                flat(&run(site.network(), batch).outputs),
                flat(&before.outputs)
            );
            assert_eq!(Combat.adapt(&site).unwrap(), None);
            let after = run(site.network(), batch);
            assert_ne!(
                flat(&after.outputs),
                flat(&before.outputs),
                "{architecture:?}"
            );
            let buffers = site.network().parameters().snapshot().unwrap();
            let (scale, shift) = (&buffers[SCALE], &buffers[SHIFT]);
            let width = scale.len();
            let moved = |features: Tensor| {
                let shape = features.shape().clone();
                let values = flat(&features).into_iter().enumerate();
                let moved = values.map(|(i, v)| scale[i % width] * v + shift[i % width]);
                Tensor::from_vec(moved.collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
            };
            let expected = if let Some(head) = &before.head {
                head.outputs(&moved(head.input.clone())).unwrap()
            } else {
                let change = (&before.outputs - &batch.images).unwrap();
                let change = moved(channels_last(&change).unwrap());
                (&batch.images + change.permute((0, 3, 1, 2)).unwrap()).unwrap()
            };
            for (found, expected) in flat(&after.outputs).iter().zip(flat(&expected)) {
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{architecture:?}: {found} {expected}"
                );
            }
            let trained = Together::of(&[batch])
                .unwrap()
                .forward(site.network(), Mode::Train)
                .unwrap();
            let plain = Together::of(&[batch])
                .unwrap()
                .forward(plain.as_ref(), Mode::Train)
                .unwrap();
            assert_eq!(flat(&trained.outputs), flat(&plain.outputs));
        }
    }

    /// The mean of a feature over the target comes close to that over the sources; shrinking keeps
    /// the rest.
    #[test]
    fn the_targets_features_come_to_those_of_the_sources() {
        let site = site(Architecture::SmallCnn);
        let mean = |batches: &[Batch]| -> Vec<f64> {
            let rows = batches
                .iter()
                .flat_map(|b| flat(&run(site.network(), b).features));
            let rows: Vec<f32> = rows.collect();
            let width = site.network().feature_width();
            let column = |f: usize| {
                rows.iter()
                    .skip(f)
                    .step_by(width)
                    .map(|&v| f64::from(v))
                    .sum::<f64>()
            };
            let count = (rows.len() / width) as f64;
            (0..width).map(|f| column(f) / count).collect()
        };
        let gap = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>();
        let (sources, before) = (mean(&site.sources[0]), mean(&site.target));
        Combat.adapt(&site).unwrap();
        let after = mean(&site.target);
        assert!(gap(&after, &sources) < 0.5 * gap(&before, &sources));
    }

    #[test]
    fn a_saved_network_keeps_its_adjustment_and_too_few_images_change_nothing() {
        let site = site(Architecture::SmallCnn);
        Combat.adapt(&site).unwrap();
        let copy = Harmonised::new(&spec(Architecture::SmallCnn), (5, "t")).unwrap();
        copy.parameters()
            .restore(&site.network().parameters().snapshot().unwrap())
            .unwrap();
        let batch = Batch::new(0, site.target[0].images.clone(), TargetKind::Classes);
        assert_eq!(
            flat(&run(&copy, &batch).outputs),
            flat(&run(site.network(), &batch).outputs)
        );

        let empty = Place {
            target: Vec::new(),
            ..place(Architecture::SmallCnn)
        };
        let note = Combat.adapt(&empty).unwrap().unwrap();
        assert!(note.contains("has 0: features stay"), "{note}");
    }
}
