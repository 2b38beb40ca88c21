//! Adaptive risk minimisation with a context network.

use candle_core::Tensor;
use ctl_nets::{
    ContextNet, Linear, MapHook, Mode, Network, NetworkInput, NetworkOutput, NetworkSpec,
    Parameters,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erm::Erm;
use crate::wrapping::{Groups, Sizes};
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Result, Role, SearchDimension, Status, in_range,
};

/// Description of `arm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "arm",
    name: "ARM-CML",
    family: Family::Correlation,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::ImagesTellTheEnvironment],
    paper: "Zhang, Marklund, Dhawan, Gupta, Levine & Finn 2021, Adaptive Risk Minimization: Learning to Adapt to Domain Shift",
    summary: "Gives the network, beside an image, what a second network says of all images of the environment.",
};

/// Settings of `arm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ArmConfig {
    /// Channels that are added to the images, 1 to 64; without effect in reconstruction and
    /// anomaly detection.
    pub context_channels: usize,
    /// Channels of the context network's hidden maps, 1 to 512.
    pub context_width: usize,
}

impl Default for ArmConfig {
    /// One channel as in `DomainBed`, whose context network is four times as wide.
    fn default() -> Self {
        Self {
            context_channels: 1,
            context_width: 16,
        }
    }
}

impl MethodConfig for ArmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let (channels, width) = (self.context_channels, self.context_width);
        let ok = (1..=64).contains(&channels);
        in_range(method, "context_channels", &channels, "1 to 64", ok)?;
        let ok = (1..=512).contains(&width);
        in_range(method, "context_width", &width, "1 to 512", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        let choices = [1, 3].map(Into::into).to_vec();
        vec![SearchDimension::choice("context_channels", choices)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Erm::default()))
    }

    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        let on_map = spec.architecture.outputs_images();
        let inner = if on_map {
            spec.build(seed, run)?
        } else {
            let channels = spec.channels + self.context_channels;
            NetworkSpec { channels, ..*spec }.build(seed, run)?
        };
        let added = if on_map {
            Sizes::of(spec, inner.as_ref())?.maps[0]
        } else {
            self.context_channels
        };
        let mut parameters = Parameters::new(seed, run);
        parameters.share(inner.parameters());
        let sizes = [spec.channels, self.context_width, added];
        Ok(Box::new(Contextual {
            context: ContextNet::new(&mut parameters, "context.", sizes)?,
            inner,
            parameters,
            on_map,
        }))
    }
}

/// A network on images and the mean context of their environment, `f(x, c)` with
/// `c = mean_{x′ in the environment's batch} h(x′)`, where `h` is a [`ContextNet`].
///
/// The context is a few channels of the images' size, which stand behind those of the images.
/// In evaluation the images that are predicted together are the support, as many of one site as the
/// task predicts at once: predictions depend on which images of the site there are.
///
/// # References
/// Zhang et al. 2021, algorithm 1 with the contextual model ARM-CML; the context network of
/// `DomainBed`.
///
/// Deviations:
/// - In reconstruction and anomaly detection the channels of a network's images are those of its
///   outputs, and measured frequencies must stay as they are. There `h` has as many channels as
///   the network's first map, and its mean over support and pixels is added to that map.
/// - Batch normalisation in `h` is over all environments of a step, as in `DomainBed`.
pub struct Contextual {
    inner: Box<dyn Network>,
    context: ContextNet,
    parameters: Parameters,
    /// Whether the context is added to the first map.
    on_map: bool,
}

/// Adds a number to every channel of the first map.
struct Shift {
    /// `[B, C]`
    by: Tensor,
}

impl MapHook for Shift {
    fn at(&self, stage: usize, map: &Tensor) -> ctl_nets::Result<Tensor> {
        if stage > 0 {
            return Ok(map.clone());
        }
        Ok(map.broadcast_add(&self.by.unsqueeze(1)?.unsqueeze(1)?)?)
    }
}

impl Network for Contextual {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> ctl_nets::Result<NetworkOutput> {
        let map = self.context.forward(input.images, mode)?;
        let (rows, height, width, channels) = map.dims4()?;
        let groups = Groups::of(input.origin.filter(|_| mode == Mode::Train), rows)?;
        let shared = |values: &Tensor| groups.spread(&groups.means(values)?);
        if self.on_map {
            let shift = Shift {
                by: shared(&map.flatten(1, 2)?.mean(1)?)?,
            };
            let input = NetworkInput {
                hook: Some(&shift),
                ..input
            };
            return self.inner.forward(input, mode);
        }
        let context = shared(&map.flatten_from(1)?)?.reshape((rows, height, width, channels))?;
        let context = context.permute((0, 3, 1, 2))?.contiguous()?;
        let images = Tensor::cat(&[input.images, &context], 1)?;
        let input = NetworkInput {
            images: &images,
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
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use ctl_compute::ops::fourier::fft2;
    use ctl_compute::random::{normal, stream};
    use ctl_nets::{Architecture, Origin};

    use super::*;
    use crate::methods::testing::check_settings;

    const SIDE: usize = 16;

    fn network(architecture: Architecture) -> Box<dyn Network> {
        let channels = match architecture {
            Architecture::Unrolled => 2,
            _ => 1,
        };
        let spec = NetworkSpec {
            architecture,
            channels,
            height: SIDE,
            width: SIDE,
            outputs: match architecture {
                Architecture::Autoencoder => 1,
                _ => 2,
            },
            attributes: 0,
            hidden: None,
        };
        let config = ArmConfig {
            context_width: 4,
            ..ArmConfig::default()
        };
        config.network(&spec, (0, "tests")).unwrap()
    }

    fn images(rows: usize, channels: usize, purpose: &str) -> Tensor {
        let shape = (rows, channels, SIDE, SIDE);
        normal(&mut stream(0, "tests", purpose), shape, 0.0, 1.0).unwrap()
    }

    fn rows_of(out: &NetworkOutput) -> Vec<Vec<f32>> {
        out.outputs.flatten_from(1).unwrap().to_vec2().unwrap()
    }

    /// Row 0 hears of row 2, of its environment, and not of row 1. Batch normalisation in the
    /// context network mixes rows in training, so the running statistics are used.
    #[test]
    fn the_context_is_that_of_the_environment() {
        for architecture in [
            Architecture::SmallCnn,
            Architecture::Mlp,
            Architecture::SmallUNet,
            Architecture::Autoencoder,
        ] {
            let network = network(architecture);
            let (first, second) = (images(3, 1, "first"), images(3, 1, "second"));
            let row = |of: &Tensor, row: usize| of.narrow(0, row, 1).unwrap();
            let predicted = |rows: &[Tensor]| {
                let images = Tensor::cat(rows, 0).unwrap();
                rows_of(&network.forward((&images).into(), Mode::Evaluate).unwrap())
            };
            let pair = predicted(&[row(&first, 0), row(&first, 2)]);
            let swapped = predicted(&[row(&first, 2), row(&first, 0)]);
            for (one, other) in pair[0].iter().zip(&swapped[1]) {
                assert!((one - other).abs() < 1e-5, "{}", architecture.name());
            }
            let other = predicted(&[row(&first, 0), row(&second, 2)]);
            assert_ne!(pair[0], other[0], "{}", architecture.name());
            // A support of copies is the image alone.
            let alone = predicted(&[row(&first, 0)]);
            let copies = predicted(&[row(&first, 0), row(&first, 0)]);
            for (one, other) in alone[0].iter().zip(&copies[1]) {
                assert!((one - other).abs() < 1e-5, "{}", architecture.name());
            }
        }
    }

    #[test]
    fn environments_are_told_apart_in_training() {
        let network = network(Architecture::SmallCnn);
        let images = images(3, 1, "first");
        let predicted = |environments: &[u32]| {
            let origin = Origin {
                environments,
                step: 0,
            };
            let input = NetworkInput {
                origin: Some(origin),
                ..(&images).into()
            };
            rows_of(&network.forward(input, Mode::Train).unwrap())
        };
        let (together, apart) = (predicted(&[0, 0, 0]), predicted(&[0, 1, 0]));
        assert!((0..3).all(|row| together[row] != apart[row]));
        assert_eq!(apart, predicted(&[7, 3, 7]));
    }

    /// The context moves what the network adds and no frequency that was measured.
    #[test]
    fn measured_frequencies_stay() {
        let network = network(Architecture::Unrolled);
        let images = images(2, 2, "first");
        let sampled: Vec<f32> = (0..2 * SIDE)
            .map(|i| f32::from(u8::from(i % 3 == 0)))
            .collect();
        let columns = Tensor::from_vec(sampled, (2, SIDE), &Device::Cpu).unwrap();
        let input = NetworkInput::new(&images, Some(&columns));
        let out = network.forward(input, Mode::Train).unwrap().outputs;
        let gap = (fft2(&out).unwrap() - fft2(&images).unwrap()).unwrap();
        let kept = columns.reshape((2, 1, 1, SIDE)).unwrap();
        let largest = |gap: &Tensor| {
            let largest = gap.abs().unwrap().max_all().unwrap();
            largest
                .to_dtype(DType::F64)
                .unwrap()
                .to_scalar::<f64>()
                .unwrap()
        };
        assert!(largest(&gap.broadcast_mul(&kept).unwrap()) < 1e-4);
        assert!(largest(&gap) > 1e-2);
    }

    #[test]
    fn settings() {
        check_settings::<ArmConfig>(
            INFO,
            &[
                ("context_channels", "0", "1 to 64"),
                ("context_width", "513", "1 to 512"),
            ],
        );
    }
}
