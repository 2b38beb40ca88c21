//! Networks as data, in a run's specification.

use serde::{Deserialize, Serialize};

use crate::recon::COMPLEX;
use crate::{
    Autoencoder, AutoencoderSpec, ConvVae, FusionSpec, IntermediateFusion, LateFusion, Mlp,
    MlpSpec, MnistCnn, NetError, Network, Parameters, ReconUNet, ResNet18, Result, SmallCnn, UNet,
    UNetSpec, Unrolled, UnrolledSpec,
};

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
    /// A U-Net of five resolutions, for segmentation.
    #[serde(rename = "unet")]
    UNet,
    /// A U-Net of three narrow resolutions, for segmentation on one core.
    #[serde(rename = "small-unet")]
    SmallUNet,
    /// A small CNN and an attribute network, their logits averaged.
    FusionLate,
    /// A small CNN and an attribute network that meet before the head.
    FusionIntermediate,
    /// A residual U-Net of three resolutions on zero-filled complex images.
    #[serde(rename = "recon-unet")]
    ReconUNet,
    /// The same, followed by consistency with the measured frequencies.
    #[serde(rename = "recon-unet-consistent")]
    ReconUNetConsistent,
    /// Small CNNs alternating with consistency with the measured frequencies.
    Unrolled,
    /// A convolutional autoencoder, for anomaly detection.
    Autoencoder,
    /// A convolutional variational autoencoder, for anomaly detection.
    Vae,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Mlp,
        Self::SmallCnn,
        Self::MnistCnn,
        Self::ResNet18,
        Self::UNet,
        Self::SmallUNet,
        Self::FusionLate,
        Self::FusionIntermediate,
        Self::ReconUNet,
        Self::ReconUNetConsistent,
        Self::Unrolled,
        Self::Autoencoder,
        Self::Vae,
    ];

    /// The name in specifications.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::SmallCnn => "small-cnn",
            Self::MnistCnn => "mnist-cnn",
            Self::ResNet18 => "resnet18",
            Self::UNet => "unet",
            Self::SmallUNet => "small-unet",
            Self::FusionLate => "fusion-late",
            Self::FusionIntermediate => "fusion-intermediate",
            Self::ReconUNet => "recon-unet",
            Self::ReconUNetConsistent => "recon-unet-consistent",
            Self::Unrolled => "unrolled",
            Self::Autoencoder => "autoencoder",
            Self::Vae => "vae",
        }
    }

    /// Whether images and outputs are complex, two channels each.
    const fn is_complex(self) -> bool {
        matches!(
            self,
            Self::ReconUNet | Self::ReconUNetConsistent | Self::Unrolled
        )
    }

    /// Whether outputs are the images again.
    const fn is_autoencoder(self) -> bool {
        matches!(self, Self::Autoencoder | Self::Vae)
    }

    /// Whether outputs are images shaped like the input; they are logits else.
    pub const fn outputs_images(self) -> bool {
        self.is_complex() || self.is_autoencoder()
    }

    /// What height and width must be a multiple of, in pixels.
    pub const fn granularity(self) -> usize {
        match self {
            Self::Mlp
            | Self::SmallCnn
            | Self::MnistCnn
            | Self::ResNet18
            | Self::FusionLate
            | Self::FusionIntermediate
            | Self::Unrolled => 1,
            Self::SmallUNet | Self::ReconUNet | Self::ReconUNetConsistent => 4,
            Self::UNet | Self::Autoencoder | Self::Vae => 16,
        }
    }
}

/// A network as data.
///
/// # Examples
/// ```
/// use ctl_nets::{Architecture, NetworkSpec};
///
/// let spec = NetworkSpec {
///     architecture: Architecture::SmallUNet,
///     channels: 1,
///     height: 30,
///     width: 32,
///     outputs: 2,
///     attributes: 0,
///     hidden: None,
/// };
/// let refused = spec.build(0, "docs").err().map(|error| error.to_string());
/// let expected = "network small-unet: height must be a multiple of 4, at least 4, found 30";
/// assert_eq!(refused.as_deref(), Some(expected));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Which architecture.
    pub architecture: Architecture,
    /// Channels of an image, at least 1; 2 for complex images.
    pub channels: usize,
    /// Height of an image in pixels, a positive multiple of [`Architecture::granularity`].
    pub height: usize,
    /// Width of an image in pixels, a positive multiple of [`Architecture::granularity`].
    pub width: usize,
    /// Number of outputs, at least 1; as many as channels where images are reconstructed.
    pub outputs: usize,
    /// Number of attributes beside the image; networks of images alone pass it over.
    #[serde(default)]
    pub attributes: usize,
    /// Width of the hidden layers of an MLP, at least 1; 256 where it is not said. Other networks
    /// pass it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
}

/// Width of the hidden layers where a specification names the MLP.
const MLP_HIDDEN: usize = 256;
/// Channels at each resolution where a specification names the U-Net for reconstruction.
const RECON_WIDTHS: [usize; 3] = [16, 32, 64];

impl NetworkSpec {
    /// Builds the network with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn build(&self, seed: u64, run: &str) -> Result<Box<dyn Network>> {
        self.build_from(Parameters::new(seed, run))
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn build_from(&self, p: Parameters) -> Result<Box<dyn Network>> {
        self.validate()?;
        let (channels, outputs) = (self.channels, self.outputs);
        Ok(match self.architecture {
            Architecture::Mlp => {
                let spec = MlpSpec {
                    inputs: channels * self.height * self.width,
                    hidden: self.hidden.unwrap_or(MLP_HIDDEN),
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
            Architecture::UNet => {
                let spec = UNetSpec::images(channels, outputs);
                Box::new(UNet::from_parameters(p, &spec)?)
            }
            Architecture::SmallUNet => {
                let spec = UNetSpec::small(channels, outputs);
                Box::new(UNet::from_parameters(p, &spec)?)
            }
            Architecture::FusionLate => Box::new(LateFusion::from_parameters(p, &self.fusion())?),
            Architecture::FusionIntermediate => {
                Box::new(IntermediateFusion::from_parameters(p, &self.fusion())?)
            }
            Architecture::ReconUNet => {
                Box::new(ReconUNet::from_parameters(p, &RECON_WIDTHS, false)?)
            }
            Architecture::ReconUNetConsistent => {
                Box::new(ReconUNet::from_parameters(p, &RECON_WIDTHS, true)?)
            }
            Architecture::Unrolled => {
                Box::new(Unrolled::from_parameters(p, &UnrolledSpec::default())?)
            }
            Architecture::Autoencoder => {
                Box::new(Autoencoder::from_parameters(p, &self.autoencoder())?)
            }
            Architecture::Vae => Box::new(ConvVae::from_parameters(p, &self.autoencoder())?),
        })
    }

    fn fusion(&self) -> FusionSpec {
        FusionSpec {
            channels: self.channels,
            attributes: self.attributes,
            outputs: self.outputs,
        }
    }

    fn autoencoder(&self) -> AutoencoderSpec {
        AutoencoderSpec::small(self.channels, [self.height, self.width])
    }

    fn validate(&self) -> Result<()> {
        for (key, size) in [("channels", self.channels), ("outputs", self.outputs)] {
            self.require(key, size, size > 0, "at least 1")?;
            if self.architecture.is_complex() {
                let expected = "2, the parts of a complex image";
                self.require(key, size, size == COMPLEX, expected)?;
            }
        }
        if self.architecture.is_autoencoder() {
            let fits = self.outputs == self.channels;
            self.require("outputs", self.outputs, fits, "the number of channels")?;
        }
        let granularity = self.architecture.granularity();
        let expected = match granularity {
            1 => "at least 1",
            4 => "a multiple of 4, at least 4",
            _ => "a multiple of 16, at least 16",
        };
        for (key, side) in [("height", self.height), ("width", self.width)] {
            self.require(key, side, side > 0 && side % granularity == 0, expected)?;
        }
        Ok(())
    }

    fn require(
        &self,
        key: &'static str,
        found: usize,
        fits: bool,
        expected: &'static str,
    ) -> Result<()> {
        if fits {
            return Ok(());
        }
        Err(NetError::Size {
            architecture: self.architecture.name(),
            key,
            expected,
            found: found.to_string(),
        })
    }
}
