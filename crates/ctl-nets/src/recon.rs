//! Reconstruction of complex images from some of their frequencies.
//!
//! Images are two channels, real part first, of magnitudes near 1; the input is the zero-filled
//! image, whose transform holds the measured values at the sampled columns.

use candle_core::Tensor;
use ctl_compute::ops::fourier::data_consistency;
use ctl_compute::ops::{Activation, global_average_pool};

use crate::layers::{ConvSize, to_channels_first, to_channels_last};
use crate::{
    Conv, Linear, Mode, NetError, Network, NetworkInput, NetworkOutput, Parameters, Result, UNet,
    UNetSpec,
};

/// Channels of a complex image.
pub(crate) const COMPLEX: usize = 2;
const COLUMNS: &str = "[B, W], 1 for a sampled column and 0 for another";

/// The sampled columns that belong to the images.
fn columns<'a>(architecture: &'static str, input: &NetworkInput<'a>) -> Result<&'a Tensor> {
    let width = input.images.dims().last().copied().unwrap_or(0);
    input.context_of(architecture, (width, COLUMNS))
}

/// `x + UNet(x)` of the zero-filled image `x`, on request followed by consistency with the
/// measured frequencies.
///
/// Features are the means over pixels of the U-Net's innermost map.
///
/// # References
/// Jin et al. 2017, "Deep convolutional neural network for inverse problems in imaging" (the
/// residual U-Net); Schlemper et al. 2018, equation 7 (the consistency).
pub struct ReconUNet {
    unet: UNet,
    consistent: bool,
}

impl ReconUNet {
    /// A network with weights drawn for `(seed, run)`.
    ///
    /// # Arguments
    /// - `widths`: those of the U-Net, see [`UNetSpec`]
    /// - `consistent`: whether measured frequencies replace those of the output; the context must
    ///   then hold the sampled columns
    ///
    /// # Errors
    /// When a width is out of range.
    pub fn new(widths: &[usize], consistent: bool, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), widths, consistent)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a width is out of range.
    pub fn from_parameters(
        parameters: Parameters,
        widths: &[usize],
        consistent: bool,
    ) -> Result<Self> {
        let spec = UNetSpec {
            widths: widths.to_vec(),
            ..UNetSpec::images(COMPLEX, COMPLEX)
        };
        Ok(Self {
            unet: UNet::from_parameters(parameters, &spec)?,
            consistent,
        })
    }
}

impl Network for ReconUNet {
    fn forward(&self, input: NetworkInput<'_>, mode: Mode) -> Result<NetworkOutput> {
        let mut out = Network::forward(&self.unet, input, mode)?;
        out.outputs = (input.images + &out.outputs)?;
        if self.consistent {
            let columns = columns("recon-unet-consistent", &input)?;
            out.outputs = data_consistency(&out.outputs, input.images, columns)?;
            out.head = None;
        } else if let Some(head) = &mut out.head {
            head.base = Some(input.images.clone());
        }
        Ok(out)
    }

    fn feature_width(&self) -> usize {
        self.unet.feature_width()
    }

    fn head(&self) -> Option<&Linear> {
        None
    }

    fn parameters(&self) -> &Parameters {
        Network::parameters(&self.unet)
    }
}

/// Sizes of an [`Unrolled`] network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnrolledSpec {
    /// Number of cascades, at least 1.
    pub cascades: usize,
    /// Hidden convolutions of a cascade, at least 1.
    pub hidden: usize,
    /// Channels of the hidden convolutions, at least 1.
    pub width: usize,
}

impl Default for UnrolledSpec {
    /// Four cascades of three hidden convolutions with 16 channels, for small images on one core.
    fn default() -> Self {
        Self {
            cascades: 4,
            hidden: 3,
            width: 16,
        }
    }
}

impl UnrolledSpec {
    fn validate(&self) -> Result<()> {
        for (key, size) in [
            ("cascades", self.cascades),
            ("hidden", self.hidden),
            ("width", self.width),
        ] {
            if size == 0 {
                return Err(NetError::Size {
                    architecture: Unrolled::NAME,
                    key,
                    expected: "at least 1",
                    found: "0".into(),
                });
            }
        }
        Ok(())
    }
}

/// 3×3 convolutions with `ReLU` and a last one without, added to the image.
struct Cascade {
    hidden: Vec<Conv>,
    last: Conv,
}

impl Cascade {
    fn new(p: &mut Parameters, name: &str, spec: &UnrolledSpec) -> Result<Self> {
        let mut hidden = Vec::new();
        let mut inputs = COMPLEX;
        for index in 0..spec.hidden {
            let size = ConvSize::three(inputs, spec.width, 1);
            hidden.push(Conv::biased(p, &format!("{name}.hidden{index}"), size)?);
            inputs = spec.width;
        }
        let size = ConvSize::three(inputs, COMPLEX, 1);
        let last = Conv::biased(p, &format!("{name}.last"), size)?;
        Ok(Self { hidden, last })
    }

    /// The last hidden map `[B, H, W, width]` and the new image `[B, 2, H, W]`.
    fn forward(&self, image: &Tensor, input: &NetworkInput<'_>) -> Result<(Tensor, Tensor)> {
        let mut hidden = to_channels_last(image)?;
        for (stage, conv) in self.hidden.iter().enumerate() {
            hidden = input.at(stage, conv.forward_with(&hidden, Activation::Relu)?)?;
        }
        let change = to_channels_first(&self.last.forward(&hidden)?)?;
        Ok((hidden, (image + change)?))
    }
}

/// A cascade of small residual CNNs, each followed by consistency with the measured frequencies,
/// with weights of their own.
///
/// Features are the means over pixels of the last hidden map.
///
/// # References
/// Schlemper et al. 2018, "A deep cascade of convolutional neural networks for dynamic MR image
/// reconstruction", section III, for single images and noiseless measurements; their D5-C5 has
/// five cascades of four hidden layers with 64 channels.
pub struct Unrolled {
    parameters: Parameters,
    cascades: Vec<Cascade>,
    width: usize,
}

impl Unrolled {
    const NAME: &'static str = "unrolled";

    /// A network with weights drawn for `(seed, run)`: `PyTorch`'s defaults for every layer.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(spec: &UnrolledSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn from_parameters(mut parameters: Parameters, spec: &UnrolledSpec) -> Result<Self> {
        spec.validate()?;
        let p = &mut parameters;
        let cascades = (0..spec.cascades)
            .map(|index| Cascade::new(p, &format!("cascade{index}"), spec))
            .collect::<Result<_>>()?;
        Ok(Self {
            parameters,
            cascades,
            width: spec.width,
        })
    }
}

impl Network for Unrolled {
    fn forward(&self, input: NetworkInput<'_>, _mode: Mode) -> Result<NetworkOutput> {
        let columns = columns(Self::NAME, &input)?;
        let mut image = input.images.clone();
        let mut hidden = to_channels_last(&image)?;
        for cascade in &self.cascades {
            let changed;
            (hidden, changed) = cascade.forward(&image, &input)?;
            image = data_consistency(&changed, input.images, columns)?;
        }
        Ok(NetworkOutput::new(global_average_pool(&hidden)?, image))
    }

    fn feature_width(&self) -> usize {
        self.width
    }

    fn head(&self) -> Option<&Linear> {
        None
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
