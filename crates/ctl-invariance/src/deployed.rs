//! What changes to a trained network share: batches put together, and layers of normalisation.

use candle_core::{Tensor, Var};
use ctl_nets::{BATCH_NORM_MOMENTUM, Mode, Network, NetworkInput, NetworkOutput, Parameters};
use rand_chacha::ChaCha8Rng;

use crate::{Augmentation, Batch, Result};

/// Leaves unlabelled batches out of training, for methods that look at the target only once the
/// network is trained.
pub(crate) struct SourcesOnly;

impl Augmentation for SourcesOnly {
    fn apply(&self, batches: Vec<Batch>, _rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        Ok(batches.into_iter().filter(Batch::is_labelled).collect())
    }
}

/// What a network is given of some batches, one after the other.
pub(crate) struct Together {
    images: Tensor,
    context: Option<Tensor>,
}

impl Together {
    pub(crate) fn of(batches: &[&Batch]) -> Result<Self> {
        let images: Vec<&Tensor> = batches.iter().map(|batch| &batch.images).collect();
        let contexts: Option<Vec<&Tensor>> = batches.iter().map(|b| b.context.as_ref()).collect();
        Ok(Self {
            images: Tensor::cat(&images, 0)?,
            context: contexts.map(|all| Tensor::cat(&all, 0)).transpose()?,
        })
    }

    /// Batches of at most `most` images, unless a single one of those given has more.
    pub(crate) fn up_to(most: usize, batches: &[Batch]) -> Result<Vec<Self>> {
        let mut groups: Vec<Vec<&Batch>> = Vec::new();
        let mut rows = usize::MAX;
        for batch in batches {
            let own = batch.images.dim(0)?;
            rows = rows.saturating_add(own);
            match groups.last_mut() {
                Some(group) if rows <= most => group.push(batch),
                _ => {
                    groups.push(vec![batch]);
                    rows = own;
                }
            }
        }
        groups.iter().map(|group| Self::of(group)).collect()
    }

    pub(crate) fn forward(&self, network: &dyn Network, mode: Mode) -> Result<NetworkOutput> {
        let input = NetworkInput::new(&self.images, self.context.as_ref());
        Ok(network.forward(input, mode)?)
    }

    fn rows(&self) -> Result<f64> {
        Ok(self.images.dim(0)? as f64)
    }
}

const MEAN: &str = ".running_mean";
const VARIANCE: &str = ".running_var";

/// Weights and biases of a network's layers of normalisation, by the names that layers have.
pub(crate) fn affine(parameters: &Parameters) -> Vec<Var> {
    let shapes = parameters.shapes();
    let named = shapes.iter().map(|(name, _)| *name);
    let is_affine = |name: &str| name.ends_with("norm.weight") || name.ends_with("norm.bias");
    let all = named.zip(parameters.trained());
    all.filter_map(|(name, var)| is_affine(name).then_some(var))
        .collect()
}

/// The running statistics of a network's batch normalisation.
pub(crate) struct RunningStatistics {
    /// Mean and variance of each layer.
    layers: Vec<[Var; 2]>,
}

impl RunningStatistics {
    pub(crate) fn of(parameters: &Parameters) -> Self {
        let named = |name: &str| parameters.buffers().find(|(other, _)| *other == name);
        let layers = parameters.buffers().filter_map(|(name, mean)| {
            let (_, variance) = named(&format!("{}{VARIANCE}", name.strip_suffix(MEAN)?))?;
            Some([mean.clone(), variance.clone()])
        });
        Self {
            layers: layers.collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Replaces the statistics by those of some batches: the mean over all their images, and the
    /// mean of the variances within batches plus the variance of their means.
    ///
    /// Every layer sees its input as the batch's own statistics normalise it.
    pub(crate) fn measure(&self, network: &dyn Network, batches: &[Together]) -> Result<()> {
        let mut measured = Vec::with_capacity(batches.len());
        for batch in batches {
            // From 0 the running statistics move to a known share of the batch's.
            for var in self.layers.iter().flatten() {
                var.set(&var.zeros_like()?)?;
            }
            batch.forward(network, Mode::Train)?;
            let whole = |var: &Var| var.as_tensor() / BATCH_NORM_MOMENTUM;
            let layers = self
                .layers
                .iter()
                .map(|[mean, variance]| Ok([whole(mean)?, whole(variance)?]));
            measured.push((batch.rows()?, layers.collect::<Result<Vec<_>>>()?));
        }
        let total: f64 = measured.iter().map(|(rows, _)| rows).sum();
        for (index, [mean, variance]) in self.layers.iter().enumerate() {
            let average = |f: &dyn Fn(&[Tensor; 2]) -> Result<Tensor>| -> Result<Tensor> {
                let mut sum = mean.zeros_like()?;
                for (rows, layers) in &measured {
                    sum = (sum + (f(&layers[index])? * (rows / total))?)?;
                }
                Ok(sum)
            };
            let centre = average(&|[mean, _]| Ok(mean.clone()))?;
            let spread = average(&|[mean, variance]| Ok(((mean - &centre)?.sqr()? + variance)?))?;
            mean.set(&centre)?;
            variance.set(&spread)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use ctl_nets::{Architecture, NetworkSpec};

    use super::*;
    use crate::{SampleLoss, Site, SoftmaxCrossEntropy, TargetKind, WeightedTarget};
    use candle_core::Device;
    use ctl_compute::random::{normal, stream};

    /// A site with given images, labels on the sources.
    pub(crate) struct Place {
        pub(crate) network: Box<dyn Network>,
        pub(crate) target: Vec<Batch>,
        pub(crate) sources: Vec<Vec<Batch>>,
    }

    impl Site for Place {
        fn network(&self) -> &dyn Network {
            self.network.as_ref()
        }

        fn loss(&self) -> &dyn SampleLoss {
            &SoftmaxCrossEntropy
        }

        fn target(&self) -> Result<Vec<Batch>> {
            Ok(self.target.clone())
        }

        fn sources(&self) -> Result<Vec<Vec<Batch>>> {
            Ok(self.sources.clone())
        }
    }

    /// Standard normal images of 16 × 16 pixels, moved and stretched.
    pub(crate) fn images(rows: usize, seed: u64, (centre, scale): (f64, f64)) -> Batch {
        let rng = &mut stream(seed, "t", "images");
        let images = normal(rng, (rows, 1, 16, 16), centre, scale).unwrap();
        Batch::new(1, images, TargetKind::Classes)
    }

    /// A network of two classes on images of 16 × 16 pixels.
    pub(crate) fn spec(architecture: Architecture) -> NetworkSpec {
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

    /// A network of two classes; two batches of the target, and a source of as many that is
    /// labelled.
    pub(crate) fn place(architecture: Architecture) -> Place {
        let spec = spec(architecture);
        let labelled = |seed| Batch {
            targets: vec![WeightedTarget {
                weight: 1.0,
                target: Tensor::new(&[0u32, 1, 0, 1], &Device::Cpu).unwrap(),
            }],
            environment: 0,
            ..images(4, seed, (0.0, 1.0))
        };
        Place {
            network: spec.build(0, "t").unwrap(),
            target: vec![images(4, 1, (1.0, 2.0)), images(4, 2, (1.0, 2.0))],
            sources: vec![vec![labelled(3), labelled(4)]],
        }
    }

    pub(crate) fn snapshot(place: &Place) -> std::collections::BTreeMap<String, Vec<f32>> {
        place.network.parameters().snapshot().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use ctl_nets::Architecture;

    use super::testing::{images, place};
    use super::*;

    #[test]
    fn batches_are_put_together_up_to_a_number_of_images() {
        let batches = [
            images(4, 1, (0.0, 1.0)),
            images(4, 2, (0.0, 1.0)),
            images(3, 3, (0.0, 1.0)),
        ];
        let sizes = |most| -> Vec<f64> {
            let together = Together::up_to(most, &batches).unwrap();
            together.iter().map(|t| t.rows().unwrap()).collect()
        };
        assert_eq!(sizes(100), [11.0]);
        assert_eq!(sizes(8), [8.0, 3.0]);
        assert_eq!(sizes(1), [4.0, 4.0, 3.0]);
    }

    /// The layers of each architecture, counted from its description.
    #[test]
    fn layers_of_normalisation_are_found() {
        let count = |architecture| {
            let place = place(architecture);
            let parameters = place.network.parameters();
            let running = RunningStatistics::of(parameters).layers.len();
            [affine(parameters).len(), running]
        };
        // A stem, eight blocks of two, three shortcuts; weight and bias each.
        assert_eq!(count(Architecture::ResNet18), [40, 20]);
        assert_eq!(count(Architecture::SmallCnn), [8, 0]);
        assert_eq!(count(Architecture::Mlp), [0, 0]);
        // Three levels down and two up, two each.
        assert_eq!(count(Architecture::SmallUNet), [20, 10]);
    }

    /// Statistics of the first layer, where the input is the same in one pass and in two: mean and
    /// variance of a convolution without bias, from its outputs by hand.
    #[test]
    fn statistics_are_those_of_the_images() {
        let place = place(Architecture::ResNet18);
        let network = place.network.as_ref();
        let statistics = RunningStatistics::of(network.parameters());
        let stem = |suffix: &str| {
            let name = format!("stem.norm{suffix}");
            network.parameters().snapshot().unwrap()[&name].clone()
        };
        let both: Vec<&Batch> = place.target.iter().collect();
        let together = [Together::of(&both).unwrap()];
        statistics.measure(network, &together).unwrap();
        let (mean, variance) = (stem(MEAN), stem(VARIANCE));
        let weights = network.parameters().snapshot().unwrap()["stem.conv.weight"].clone();
        let images: Vec<f32> = together[0].images.flatten_all().unwrap().to_vec1().unwrap();
        let mut values = Vec::new();
        for image in images.chunks_exact(256) {
            for (y, x) in (0..16isize).flat_map(|y| (0..16isize).map(move |x| (y, x))) {
                let tap = |i: isize| {
                    let (v, u) = (y + i / 3 - 1, x + i % 3 - 1);
                    let inside = (0..16).contains(&v) && (0..16).contains(&u);
                    let value = if inside {
                        image[(16 * v + u) as usize]
                    } else {
                        0.0
                    };
                    f64::from(weights[i as usize]) * f64::from(value)
                };
                values.push((0..9).map(tap).sum::<f64>());
            }
        }
        let n = values.len() as f64;
        let centre = values.iter().sum::<f64>() / n;
        let spread = values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (n - 1.0);
        assert!(
            (f64::from(mean[0]) - centre).abs() < 1e-4,
            "{} {centre}",
            mean[0]
        );
        assert!((f64::from(variance[0]) / spread - 1.0).abs() < 1e-4);

        let apart = Together::up_to(1, &place.target).unwrap();
        assert_eq!(apart.len(), 2);
        statistics.measure(network, &apart).unwrap();
        for (one, two) in mean.iter().zip(stem(MEAN)) {
            assert!((one - two).abs() < 1e-5, "{one} {two}");
        }
        // n/(n−1) differs between one pass and two by one in two thousand at most.
        for (one, two) in variance.iter().zip(stem(VARIANCE)) {
            assert!((one / two - 1.0).abs() < 1e-3, "{one} {two}");
        }
    }
}
