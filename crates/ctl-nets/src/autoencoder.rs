//! The convolutional autoencoder.

use crate::coder::{AutoencoderSpec, Coder};
use crate::layers::to_channels_first;
use crate::{Linear, Mode, Network, NetworkInput, NetworkOutput, Parameters, Result};

/// Strided 4×4 convolutions to a short code, and their mirror image back to the image.
///
/// Features are the code; the feature map is the encoder's at a quarter of the sides; outputs are
/// the reconstruction.
///
/// # References
/// Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction";
/// for finding lesions Baur et al. 2021, "Autoencoders for unsupervised anomaly segmentation in
/// brain MR images", section 3.3 (dense bottleneck).
/// Deviation: no normalisation, so that a lesion does not move the statistics of its image.
pub struct Autoencoder {
    parameters: Parameters,
    coder: Coder,
}

impl Autoencoder {
    /// A network with weights drawn for `(seed, run)`: `PyTorch`'s defaults for every layer.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn new(spec: &AutoencoderSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is out of range.
    pub fn from_parameters(mut parameters: Parameters, spec: &AutoencoderSpec) -> Result<Self> {
        let coder = Coder::new(&mut parameters, spec, "autoencoder", ("code", 1))?;
        Ok(Self { parameters, coder })
    }
}

impl Network for Autoencoder {
    fn forward(&self, input: NetworkInput<'_>, _mode: Mode) -> Result<NetworkOutput> {
        let (code, map) = self.coder.encode(input)?;
        let outputs = self.coder.decode(&code)?;
        Ok(NetworkOutput {
            feature_map: Some(to_channels_first(&map)?),
            ..NetworkOutput::new(code, outputs)
        })
    }

    fn feature_width(&self) -> usize {
        self.coder.spec().latent
    }

    fn head(&self) -> Option<&Linear> {
        None
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
