//! Steps that draw random numbers.
//!
//! Each takes its numbers from a stream of its own, keyed by seed, image and place in the pipeline,
//! and reports what it drew. At zero strength an image stays as it is, to the last bit.

mod affine;
mod bias;
mod blur;
mod elastic;
mod lines;
mod noise;
mod resolution;
mod sampler;
mod sometimes;

pub use affine::RandomAffine;
pub use bias::RandomBias;
pub use blur::RandomBlur;
pub use elastic::RandomElastic;
pub use lines::{RandomGhosting, RandomMotion};
pub use noise::{NoiseKind, RandomGamma, RandomNoise};
pub use resolution::RandomResolution;
pub use sometimes::Sometimes;

use super::check::count;
use super::image::Image;
use super::stream::Stream;
use crate::Result;

/// Checks an axis of space that a pipeline names.
fn check_axis(subject: &'static str, axis: Option<usize>) -> Result<()> {
    count(subject, axis.unwrap_or_default(), 0..=2)
}

/// The axis that a step names, or one drawn among those of more than one voxel; `None` where there
/// is nothing along it.
fn chosen_axis(axis: Option<usize>, image: &Image, stream: &mut Stream) -> Option<usize> {
    let long: Vec<usize> = (0..3).filter(|&axis| image.shape[axis] > 1).collect();
    let drawn = stream.below(long.len().max(1));
    match axis {
        Some(axis) => long.contains(&axis).then_some(axis),
        None => long.get(drawn).copied(),
    }
}
