//! Preprocessing and augmentation of volumes and pictures, in steps that can be written down.
//!
//! A [`Pipeline`] is a list of [`Step`]s that reads from and writes to TOML and JSON. Running it
//! gives the processed image, the mask that moved with it, and a [`Provenance`] of what every step
//! measured or drew. A picture is a volume one voxel deep: every step treats it as such, and none
//! treats a two-dimensional image otherwise than the same image one voxel deep.
//!
//! ```
//! use ctl_imaging::preprocess::Pipeline;
//! use ctl_imaging::volume::{Affine, Samples, Volume};
//!
//! let pipeline = Pipeline::from_toml(r#"
//!     [[steps]]
//!     step = "window"
//!     centre = 40.0
//!     width = 400.0
//! "#)?;
//! let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
//! let volume = Volume::new(&[3, 1], Samples::I16(vec![-1000, 40, 140]), affine)?;
//! let (windowed, provenance) = pipeline.apply(&volume, None, 7)?;
//! assert_eq!(windowed.to_f32(), [0.0, 0.5, 0.75]);
//! assert_eq!(provenance.steps[0].step, "window");
//! # Ok::<(), ctl_imaging::ImagingError>(())
//! ```
//!
//! Values are single precision between steps and double precision within them. Steps take one
//! three-dimensional image of one real component; a series is processed frame by frame.

mod augment;
mod check;
mod geometry;
mod image;
mod intensity;
mod lattice;
mod mask;
mod n4;
mod patch;
mod pipeline;
mod provenance;
mod quantile;
mod region;
mod step;
mod stream;

pub use augment::{
    NoiseKind, RandomAffine, RandomBias, RandomBlur, RandomElastic, RandomGamma, RandomGhosting,
    RandomMotion, RandomNoise, RandomResolution, Sometimes,
};
pub use geometry::{CentreBox, CropForeground, Orient, Resample};
pub use intensity::{
    Clahe, Gamma, HistogramMatch, MinMax, Nyul, NyulTraining, PercentileRescale, Window, ZScore,
};
pub use mask::{Mask, Region};
pub use n4::{BiasCorrection, N4};
pub use patch::{Aggregator, Border, PatchGrid, PatchPlace, PatchSampler, SliceStack, Weighting};
pub use pipeline::{Draw, Pipeline, Processed};
pub use provenance::{Measurements, Provenance, StepRecord};
pub use region::{DistanceMap, ForegroundMask, MaskOperation, ShapeMask};
pub use step::Step;
pub(crate) use stream::Stream;

/// Refuses a share that is none.
pub(crate) fn check_share(subject: &'static str, share: f64) -> crate::Result<()> {
    check::within(subject, share, 0.0..=1.0)
}
