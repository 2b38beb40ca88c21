//! Cohorts of digits: `MorphoMNIST`, `ColoredMNIST` and `RotatedMNIST` from the files of MNIST.
//!
//! One face serves four protocols ([`DigitKind`]). A [`DigitSpec`] says which, how many images and
//! with what seed; a [`DigitCohort`] holds the sites, the samples with attributes and noises, the
//! causal model and its diagram, and makes images on demand.
//!
//! ```text
//! morpho    digit, thickness ─► intensity; all three ─► image
//! coloured  digit ─► label ─► colour ◄─ site; digit and colour ─► image
//! rotated   site ─► angle; digit and angle ─► image
//! ```
//!
//! In the first the mechanisms are known in closed form, and so are the densities that the best
//! possible model of thickness and intensity reaches: [`log_density_of_thickness`] and
//! [`log_density_of_intensity`] average to -0.927 and -4.204. Whether a picture obeys an
//! intervention is measured on the picture, by [`morphology`].

mod cohort;
mod draw;
mod erlang;
mod error;
mod mnist;
mod model;
pub mod morphology;
mod plane;
mod render;
mod rotate;
mod sample;
mod spec;
mod write;

pub use cohort::DigitCohort;
pub use error::DigitError;
pub use model::{log_density_of_intensity, log_density_of_thickness};
pub use plane::Plane;
pub use rotate::rotate;
pub use sample::DigitSample;
pub use spec::{DigitKind, DigitSpec, ImageCount, Interpolation};
