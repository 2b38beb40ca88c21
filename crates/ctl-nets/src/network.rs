//! The common face of all networks.

use candle_core::Tensor;

use crate::{Linear, NetError, Parameters, Result};

/// Whether layers that behave differently in training do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics are used and recorded, latent noise is added.
    Train,
    /// Running statistics are used and stay, latent variables are at their mean.
    Evaluate,
}

/// What a network looks at.
///
/// # Examples
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_nets::NetworkInput;
///
/// let images = Tensor::zeros((2, 1, 8, 8), DType::F32, &Device::Cpu)?;
/// let input: NetworkInput<'_> = (&images).into();
/// assert!(input.context.is_none());
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NetworkInput<'a> {
    /// `[B, C, H, W]`; for reconstruction the zero-filled complex image, real part first.
    pub images: &'a Tensor,
    /// What stands beside the images, if the network takes it:
    /// - fusion networks: attributes `[B, 2A]`, first `A` standardised values (0 where missing),
    ///   then `A` indicators of presence (1, or 0 where missing);
    /// - reconstruction: sampled phase-encoding columns `[B, W]`, 1 where sampled, else 0;
    /// - variational autoencoders: standard normal noise `[B, Z]` for training, none for the mean.
    pub context: Option<&'a Tensor>,
}

impl<'a> From<&'a Tensor> for NetworkInput<'a> {
    fn from(images: &'a Tensor) -> Self {
        Self {
            images,
            context: None,
        }
    }
}

impl<'a> NetworkInput<'a> {
    /// The context, of this number of columns.
    pub(crate) fn context_of(
        &self,
        architecture: &'static str,
        (columns, expected): (usize, &'static str),
    ) -> Result<&'a Tensor> {
        let batch = self.images.dims().first().copied().unwrap_or(0);
        match self.context {
            Some(context) if context.dims() == [batch, columns] => Ok(context),
            other => Err(NetError::Size {
                architecture,
                key: "context",
                expected,
                found: match other {
                    Some(context) => format!("{:?} for a batch of {batch}", context.dims()),
                    None => "none".into(),
                },
            }),
        }
    }
}

/// What a network computes.
#[derive(Clone, Debug)]
pub struct NetworkOutput {
    /// What invariance objectives look at, `[B, F]`.
    pub features: Tensor,
    /// `[B, K]` or `[B, K, H, W]`: logits in classification and segmentation, images in
    /// reconstruction and anomaly detection.
    pub outputs: Tensor,
    /// An inner map `[B, C', h, w]` for densities of features, of networks that offer one.
    pub feature_map: Option<Tensor>,
    /// What the network adds to the loss of each sample, `[B]`.
    pub penalty: Option<Tensor>,
}

impl NetworkOutput {
    /// Features and outputs alone.
    pub fn new(features: Tensor, outputs: Tensor) -> Self {
        Self {
            features,
            outputs,
            feature_map: None,
            penalty: None,
        }
    }
}

/// A network with features, trained by any objective.
pub trait Network {
    /// Features and outputs of a batch.
    ///
    /// # Errors
    /// When images or context do not fit the network.
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> Result<NetworkOutput>;

    /// Number of features `F`.
    fn feature_width(&self) -> usize;

    /// The linear head that maps the features to the outputs, of networks that have one.
    fn head(&self) -> Option<&Linear>;

    /// All weights.
    fn parameters(&self) -> &Parameters;
}
