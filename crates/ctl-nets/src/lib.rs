//! Networks for medical images, built from the checked operators of `ctl-compute`.
//!
//! A [`Network`] maps images `[B, C, H, W]`, and what stands beside them, to features `[B, F]`
//! (what invariance objectives look at) and outputs: a linear head on the features for classes
//! ([`Mlp`], [`MnistCnn`], [`SmallCnn`], [`ResNet18`]), logits of the image's size ([`UNet`]), classes of images and
//! attributes ([`LateFusion`], [`IntermediateFusion`]).
//! Complex images are completed by [`ReconUNet`] and [`Unrolled`].
//! [`Autoencoder`], [`ConvVae`], [`ConditionalVae`], [`Hvae`], [`CouplingFlow`] and
//! [`DiffusionUNet`] model images; a [`UNet`] takes volumes as well.
//!
//! Images enter and leave with channels first; inside, channels are last.
//! Weights have the names and shapes of `PyTorch`'s modules.
//!
//! # Examples
//! ```
//! use ctl_nets::{Architecture, Mode, NetworkSpec};
//!
//! let spec = NetworkSpec {
//!     architecture: Architecture::SmallCnn,
//!     channels: 1,
//!     height: 48,
//!     width: 48,
//!     outputs: 2,
//!     attributes: 0,
//!     hidden: None,
//! };
//! let network = spec.build(0, "docs")?;
//! let images = candle_core::Tensor::zeros((3, 1, 48, 48), candle_core::DType::F32, &candle_core::Device::Cpu)?;
//! let out = network.forward((&images).into(), Mode::Evaluate)?;
//! assert_eq!(out.outputs.dims(), [3, 2]);
//! # Ok::<(), ctl_nets::NetError>(())
//! ```

mod autoencoder;
mod axes;
mod cnn;
mod coder;
mod conditional_vae;
mod context;
mod diffusion;
mod error;
mod flow;
mod fusion;
mod hvae;
mod image_encoder;
mod layers;
mod likelihood;
mod mlp;
mod network;
mod parameters;
mod recon;
mod resnet;
mod spec;
mod unet;
mod vae;
mod zero_conv;

pub use autoencoder::Autoencoder;
pub use cnn::{MnistCnn, SmallCnn};
pub use coder::AutoencoderSpec;
pub use conditional_vae::{ConditionalVae, ConditionalVaeOutput, ConditionalVaeSpec};
pub use context::ContextNet;
pub use diffusion::{DiffusionUNet, DiffusionUNetSpec};
pub use error::{NetError, Result};
pub use flow::{CouplingFlow, CouplingFlowSpec, FlowOutput};
pub use fusion::{FusionSpec, IntermediateFusion, LateFusion};
pub use hvae::{DecoderStage, EncoderStage, Hvae, HvaeOutput, HvaeSpec};
pub use image_encoder::{ImageEncoder, ImageEncoderSpec};
pub use layers::{BATCH_NORM_MOMENTUM, BatchNorm, Conv, GroupNorm, Linear, TransposedConv};
pub use mlp::{Mlp, MlpSpec};
pub use network::{
    HOOKED_STAGES, LinearHead, MapHook, Mode, Network, NetworkInput, NetworkOutput, Origin,
};
pub use parameters::{Initialiser, Parameters};
pub use recon::{ReconUNet, Unrolled, UnrolledSpec};
pub use resnet::ResNet18;
pub use spec::{Architecture, NetworkSpec};
pub use unet::{UNet, UNetSpec};
pub use vae::{ConvVae, VaeOutput};
