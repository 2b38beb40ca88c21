//! The steps of a pipeline.

use super::augment::{
    RandomAffine, RandomBias, RandomBlur, RandomElastic, RandomGamma, RandomGhosting, RandomMotion,
    RandomNoise, RandomResolution, Sometimes,
};
use super::geometry::{CentreBox, CropForeground, Orient, Resample};
use super::image::Image;
use super::intensity::{
    Clahe, Gamma, HistogramMatch, MinMax, Nyul, PercentileRescale, Window, ZScore,
};
use super::n4::N4;
use super::provenance::Measurements;
use super::region::{DistanceMap, ForegroundMask, ShapeMask};
use super::stream::Stream;
use crate::Result;
use serde::{Deserialize, Serialize};

/// One thing to do to an image, with its settings.
///
/// In TOML and JSON the key `step` names it; the other keys are its settings, of which none may be
/// unknown.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::{Gamma, Step};
///
/// let step = Step::Gamma(Gamma { exponent: 2.0 });
/// assert_eq!(step.name(), "gamma");
/// assert_eq!(serde_json::to_string(&step)?, r#"{"step":"gamma","exponent":2.0}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Mean 0, standard deviation 1.
    ZScore(ZScore),
    /// Percentiles to 0 and 1, the rest cut off.
    PercentileRescale(PercentileRescale),
    /// A window of Hounsfield units to 0 and 1.
    Window(Window),
    /// Smallest and largest value to 0 and 1.
    MinMax(MinMax),
    /// A standard scale of intensities by landmarks.
    Nyul(Nyul),
    /// The histogram of a reference.
    HistogramMatch(HistogramMatch),
    /// Local contrast.
    Clahe(Clahe),
    /// A power of the intensities.
    Gamma(Gamma),
    /// Bias-field correction.
    N4(N4),
    /// Other spacing.
    Resample(Resample),
    /// Another order and direction of axes.
    Orient(Orient),
    /// The box about the mask's foreground.
    CropForeground(CropForeground),
    /// A box about the middle.
    CentreBox(CentreBox),
    /// A mask of what was imaged.
    ForegroundMask(ForegroundMask),
    /// Another shape of the mask.
    ShapeMask(ShapeMask),
    /// Distances to the mask's border.
    DistanceMap(DistanceMap),
    /// Rotation, scale, shear and translation.
    RandomAffine(RandomAffine),
    /// A smooth displacement.
    RandomElastic(RandomElastic),
    /// A power of the intensities, drawn.
    RandomGamma(RandomGamma),
    /// Noise of a receiver.
    RandomNoise(RandomNoise),
    /// A smooth multiplicative field.
    RandomBias(RandomBias),
    /// A Gaussian blur.
    RandomBlur(RandomBlur),
    /// Thicker slices.
    RandomResolution(RandomResolution),
    /// Movement of the patient during acquisition.
    RandomMotion(RandomMotion),
    /// Periodic phase errors of lines of k-space.
    RandomGhosting(RandomGhosting),
    /// Another step, with a probability.
    Sometimes(Sometimes),
}

/// What every step can do.
pub(crate) trait Apply {
    /// Says which setting is out of range.
    fn validate(&self) -> Result<()>;

    /// Does it, with settings that have been found valid.
    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements>;
}

impl Step {
    /// Its name in TOML and JSON.
    pub fn name(&self) -> &'static str {
        self.parts().0
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`ImagingError::Argument`](crate::ImagingError::Argument) that names the step's setting, the
    /// range and the value.
    pub fn validate(&self) -> Result<()> {
        self.parts().1.validate()
    }

    /// Whether it draws random numbers.
    pub fn is_random(&self) -> bool {
        match self {
            Self::ZScore(_)
            | Self::PercentileRescale(_)
            | Self::Window(_)
            | Self::MinMax(_)
            | Self::Nyul(_)
            | Self::HistogramMatch(_)
            | Self::Clahe(_)
            | Self::Gamma(_)
            | Self::N4(_)
            | Self::Resample(_)
            | Self::Orient(_)
            | Self::CropForeground(_)
            | Self::CentreBox(_)
            | Self::ForegroundMask(_)
            | Self::ShapeMask(_)
            | Self::DistanceMap(_) => false,
            Self::RandomAffine(_)
            | Self::RandomElastic(_)
            | Self::RandomGamma(_)
            | Self::RandomNoise(_)
            | Self::RandomBias(_)
            | Self::RandomBlur(_)
            | Self::RandomResolution(_)
            | Self::RandomMotion(_)
            | Self::RandomGhosting(_)
            | Self::Sometimes(_) => true,
        }
    }

    /// Whether voxels of the image may lie elsewhere, or be others, afterwards.
    pub fn moves_voxels(&self) -> bool {
        matches!(
            self,
            Self::Resample(_)
                | Self::Orient(_)
                | Self::CropForeground(_)
                | Self::CentreBox(_)
                | Self::RandomAffine(_)
                | Self::RandomElastic(_)
        ) || matches!(self, Self::Sometimes(step) if step.then.moves_voxels())
    }

    pub(crate) fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        self.parts().1.apply(image, stream)
    }

    fn parts(&self) -> (&'static str, &dyn Apply) {
        match self {
            Self::ZScore(step) => ("z-score", step),
            Self::PercentileRescale(step) => ("percentile-rescale", step),
            Self::Window(step) => ("window", step),
            Self::MinMax(step) => ("min-max", step),
            Self::Nyul(step) => ("nyul", step),
            Self::HistogramMatch(step) => ("histogram-match", step),
            Self::Clahe(step) => ("clahe", step),
            Self::Gamma(step) => ("gamma", step),
            Self::N4(step) => ("n4", step),
            Self::Resample(step) => ("resample", step),
            Self::Orient(step) => ("orient", step),
            Self::CropForeground(step) => ("crop-foreground", step),
            Self::CentreBox(step) => ("centre-box", step),
            Self::ForegroundMask(step) => ("foreground-mask", step),
            Self::ShapeMask(step) => ("shape-mask", step),
            Self::DistanceMap(step) => ("distance-map", step),
            Self::RandomAffine(step) => ("random-affine", step),
            Self::RandomElastic(step) => ("random-elastic", step),
            Self::RandomGamma(step) => ("random-gamma", step),
            Self::RandomNoise(step) => ("random-noise", step),
            Self::RandomBias(step) => ("random-bias", step),
            Self::RandomBlur(step) => ("random-blur", step),
            Self::RandomResolution(step) => ("random-resolution", step),
            Self::RandomMotion(step) => ("random-motion", step),
            Self::RandomGhosting(step) => ("random-ghosting", step),
            Self::Sometimes(step) => ("sometimes", step),
        }
    }
}
