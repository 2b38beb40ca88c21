//! The common face of all networks, and their description in a run's specification.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Linear, Mlp, MlpSpec, MnistCnn, NetError, Parameters, ResNet18, Result, SmallCnn};

/// Whether layers that behave differently in training do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics are used and recorded.
    Train,
    /// Running statistics are used and stay.
    Evaluate,
}

/// What a network computes.
#[derive(Clone, Debug)]
pub struct NetworkOutput {
    /// Input of the head, `[B, F]`.
    pub features: Tensor,
    /// Output of the head, `[B, K]`: logits in classification.
    pub outputs: Tensor,
}

/// A network with a linear head on features.
pub trait Network {
    /// `[B, C, H, W]` to features and outputs.
    ///
    /// # Errors
    /// When the images do not fit the network.
    fn forward(&self, images: &Tensor, mode: Mode) -> Result<NetworkOutput>;

    /// The head.
    fn head(&self) -> &Linear;

    /// All weights.
    fn parameters(&self) -> &Parameters;
}

/// The architectures that a specification can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Two hidden `ReLU` layers of 256 units on the flattened image.
    Mlp,
    /// Four strided convolutions, seconds per run on one core.
    SmallCnn,
    /// `DomainBed`'s network for digits.
    MnistCnn,
    /// ResNet-18 with a stem for small images.
    #[serde(rename = "resnet18")]
    ResNet18,
}

/// A network as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Which architecture.
    pub architecture: Architecture,
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Height of an image in pixels, at least 1.
    pub height: usize,
    /// Width of an image in pixels, at least 1.
    pub width: usize,
    /// Number of outputs, at least 1.
    pub outputs: usize,
}

/// Width of the hidden layers where a specification names the MLP.
const MLP_HIDDEN: usize = 256;

impl NetworkSpec {
    /// Builds the network with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn build(&self, seed: u64, run: &str) -> Result<Box<dyn Network>> {
        self.build_from(Parameters::new(seed, run))
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn build_from(&self, parameters: Parameters) -> Result<Box<dyn Network>> {
        for (key, size) in [
            ("channels", self.channels),
            ("height", self.height),
            ("width", self.width),
            ("outputs", self.outputs),
        ] {
            if size == 0 {
                return Err(NetError::Size {
                    architecture: "specification",
                    key,
                    expected: "at least 1",
                    found: "0".into(),
                });
            }
        }
        let (channels, outputs, p) = (self.channels, self.outputs, parameters);
        Ok(match self.architecture {
            Architecture::Mlp => {
                let spec = MlpSpec {
                    inputs: channels * self.height * self.width,
                    hidden: MLP_HIDDEN,
                    outputs,
                };
                Box::new(Mlp::from_parameters(p, spec)?)
            }
            Architecture::SmallCnn => Box::new(SmallCnn::from_parameters(p, channels, outputs)?),
            Architecture::MnistCnn => Box::new(MnistCnn::from_parameters(p, channels, outputs)?),
            Architecture::ResNet18 => {
                let side = self.height.min(self.width);
                Box::new(ResNet18::from_parameters(p, [channels, side, outputs])?)
            }
        })
    }
}
