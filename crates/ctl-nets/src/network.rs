//! The common face of all networks.

use std::fmt;

use candle_core::Tensor;

use crate::layers::to_channels_first;
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
#[derive(Clone, Copy)]
pub struct NetworkInput<'a> {
    /// `[B, C, H, W]`; for reconstruction the zero-filled complex image, real part first.
    pub images: &'a Tensor,
    /// What stands beside the images, if the network takes it:
    /// - fusion networks: attributes `[B, 2A]`, first `A` standardised values (0 where missing),
    ///   then `A` indicators of presence (1, or 0 where missing);
    /// - reconstruction: sampled phase-encoding columns `[B, W]`, 1 where sampled, else 0;
    /// - variational autoencoders: standard normal noise `[B, Z]` for training, none for the mean.
    pub context: Option<&'a Tensor>,
    /// What changes inner maps on their way, if anything.
    pub hook: Option<&'a dyn MapHook>,
    /// Where the rows come from, if that is known: in training only.
    pub origin: Option<Origin<'a>>,
}

/// Where the rows of a training batch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Index of the environment of every row, `[B]`.
    pub environments: &'a [u32],
    /// Number of the training step, from 0.
    pub step: u64,
}

/// A change to the first maps of a network, where images still differ by their style.
///
/// Networks on images call it after each of their first [`HOOKED_STAGES`] stages of convolutions;
/// an MLP, which has no maps, never does.
pub trait MapHook {
    /// The map to go on with, shaped like `map`.
    ///
    /// # Arguments
    /// - `stage`: 0 for the finest map, then 1.
    /// - `map`: channels last, `[B, H, W, C]`, or `[B, D, H, W, C]` for volumes.
    ///
    /// # Errors
    /// When the map does not suit the change.
    fn at(&self, stage: usize, map: &Tensor) -> Result<Tensor>;
}

/// Stages after which a [`MapHook`] is called.
pub const HOOKED_STAGES: usize = 2;

impl fmt::Debug for NetworkInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkInput")
            .field("images", self.images)
            .field("context", &self.context)
            .field("hook", &self.hook.map(|_| "a change of inner maps"))
            .field("origin", &self.origin)
            .finish()
    }
}

impl<'a> From<&'a Tensor> for NetworkInput<'a> {
    fn from(images: &'a Tensor) -> Self {
        Self::new(images, None)
    }
}

impl<'a> NetworkInput<'a> {
    /// Images and what stands beside them.
    pub fn new(images: &'a Tensor, context: Option<&'a Tensor>) -> Self {
        Self {
            images,
            context,
            hook: None,
            origin: None,
        }
    }

    /// A map after stage `stage`, changed where the input asks for it.
    pub(crate) fn at(&self, stage: usize, map: Tensor) -> Result<Tensor> {
        match self.hook {
            Some(hook) if stage < HOOKED_STAGES => hook.at(stage, &map),
            _ => Ok(map),
        }
    }

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
    /// The linear map that ends the network, of networks that end with one.
    pub head: Option<LinearHead>,
}

impl NetworkOutput {
    /// Features and outputs alone.
    pub fn new(features: Tensor, outputs: Tensor) -> Self {
        Self {
            features,
            outputs,
            feature_map: None,
            penalty: None,
            head: None,
        }
    }

    /// Features `[B, F]` and outputs of a linear layer on them.
    pub(crate) fn classified(features: Tensor, head: &Linear) -> Result<Self> {
        let outputs = head.forward(&features)?;
        let (weight, bias) = head.weights();
        let head = LinearHead {
            input: features.clone(),
            weight: weight.as_tensor().clone(),
            bias: bias.as_tensor().clone(),
            base: None,
        };
        Ok(Self {
            head: Some(head),
            ..Self::new(features, outputs)
        })
    }
}

/// The last layer of a network as a linear map, `outputs = base + W input + b` at every sample or
/// pixel: what methods on classifiers look at, in closed form.
#[derive(Clone, Debug)]
pub struct LinearHead {
    /// `[B, F]`, or `[B, H, W, F]` where each pixel has an output.
    pub input: Tensor,
    /// `[K, F]`, part of the graph of the network's weights.
    pub weight: Tensor,
    /// `[K]`, part of the graph of the network's weights.
    pub bias: Tensor,
    /// What is added to the outputs, shaped like them, such as the image of a residual network.
    pub base: Option<Tensor>,
}

impl LinearHead {
    /// The outputs `[B, K]` or `[B, K, H, W]` for another input of the same layout.
    ///
    /// # Errors
    /// When the input has another width.
    pub fn outputs(&self, input: &Tensor) -> Result<Tensor> {
        let (outputs, width) = self.weight.dims2()?;
        let flat = input.reshape(((), width))?;
        let mapped = flat.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?;
        let mut shape = input.dims().to_vec();
        let last = shape.len() - 1;
        shape[last] = outputs;
        let mapped = mapped.reshape(shape)?;
        let mapped = if mapped.rank() > 2 {
            to_channels_first(&mapped)?
        } else {
            mapped
        };
        Ok(match &self.base {
            Some(base) => (mapped + base)?,
            None => mapped,
        })
    }

    /// The same with constant weights, so that gradients reach the input only.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self {
            weight: self.weight.detach(),
            bias: self.bias.detach(),
            ..self.clone()
        }
    }

    /// Some rows of the batch.
    ///
    /// # Errors
    /// When there are fewer rows.
    pub fn narrow(&self, first: usize, rows: usize) -> Result<Self> {
        let base = self.base.as_ref();
        Ok(Self {
            input: self.input.narrow(0, first, rows)?,
            base: base.map(|b| b.narrow(0, first, rows)).transpose()?,
            ..self.clone()
        })
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
