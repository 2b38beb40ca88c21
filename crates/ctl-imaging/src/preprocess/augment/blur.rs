//! A Gaussian blur.

use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::check::interval;
use crate::preprocess::image::{Image, for_each_line};
use crate::preprocess::provenance::Measurements;
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use serde::{Deserialize, Serialize};

/// Standard deviations at which the kernel is cut.
const REACH: f64 = 4.0;

/// Blurs with a Gaussian of drawn width, the same in millimetres along every axis.
///
/// The kernel is sampled at voxel centres out to 4 σ, its weights sum to 1, and beyond its border
/// the image is reflected about the edge of its last voxel: `scipy.ndimage.gaussian_filter` with
/// its defaults. Along an axis of one voxel that changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomBlur {
    /// Smallest and largest σ, mm, 0 to 1000, no more than the length of an axis that is blurred;
    /// uniform between.
    pub sigma: [f64; 2],
}

impl Apply for RandomBlur {
    fn validate(&self) -> Result<()> {
        interval("random-blur sigma", self.sigma, 0.0..=1000.0)
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let sigma = stream.between(self.sigma);
        let shape = image.shape;
        for axis in (0..3).filter(|&axis| shape[axis] > 1 && sigma > 0.0) {
            let voxels = sigma / image.spacing[axis];
            if voxels > image.shape[axis] as f64 {
                let length = image.shape[axis] as f64 * image.spacing[axis];
                return Err(ImagingError::argument(
                    "random-blur sigma",
                    format!("at most the {length} mm of axis {axis}"),
                    sigma.to_string(),
                ));
            }
            blur(image, axis, &kernel(voxels));
        }
        Ok(Measurements::one("sigma", sigma))
    }
}

/// Weights at distances 0, 1, 2, … voxels.
fn kernel(sigma: f64) -> Vec<f64> {
    let radius = (REACH * sigma + 0.5) as usize;
    let weight = |distance: usize| (-0.5 * (distance as f64 / sigma).powi(2)).exp();
    let half: Vec<f64> = (0..=radius).map(weight).collect();
    let sum = 2.0 * half.iter().sum::<f64>() - half[0];
    half.into_iter().map(|weight| weight / sum).collect()
}

fn blur(image: &mut Image, axis: usize, kernel: &[f64]) {
    let radius = kernel.len() - 1;
    let length = image.shape[axis];
    // Place `p` of the padded line is place `p − radius` of the line, reflected.
    let places: Vec<usize> = (0..length + 2 * radius)
        .map(|place| {
            let turn = 2 * length;
            let from = (place + turn * (radius / turn + 1) - radius) % turn;
            from.min(turn - 1 - from)
        })
        .collect();
    let mut padded = vec![0.0; places.len()];
    for_each_line(&mut image.values, image.shape, axis, |line| {
        for (to, &from) in padded.iter_mut().zip(&places) {
            *to = line[from];
        }
        for (at, value) in line.iter_mut().enumerate() {
            let centre = at + radius;
            let sides = kernel.iter().enumerate().skip(1);
            let sides = sides.map(|(away, w)| w * (padded[centre - away] + padded[centre + away]));
            *value = kernel[0] * padded[centre] + sides.sum::<f64>();
        }
    });
}
