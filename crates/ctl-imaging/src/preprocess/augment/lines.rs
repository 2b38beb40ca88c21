//! Phase errors of lines of k-space.

use super::{check_axis, chosen_axis};
use crate::Result;
use crate::error::ImagingError;
use crate::kspace::{LineTransform, Transform};
use crate::preprocess::check::{count, within};
use crate::preprocess::image::{Image, for_each_line};
use crate::preprocess::provenance::Measurements;
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use num_complex::Complex;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Movement of the patient along the axis of phase encoding during the acquisition.
///
/// Lines of k-space along the axis are acquired one after another, lowest frequency first. At
/// `moves` times, uniform over the acquisition, the patient jumps to a place uniform within
/// ±`translation` of where it lay at first; line `k` of a place shifted by `d` has the factor
/// `exp(−2πi (k − ⌊n/2⌋) d / L)`, with L the axis's length. The result is the magnitude.
///
/// # References
/// Wood & Henkelman 1985, "MR image artifacts from periodic motion", eq. 2 for the phase of a
/// translation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomMotion {
    /// Largest distance from the first place, mm, 0 to 1000.
    pub translation: f64,
    /// Number of jumps, 0 to 100.
    pub moves: usize,
    /// Axis of phase encoding, 0 to 2; drawn among those of more than one voxel unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<usize>,
}

impl Apply for RandomMotion {
    fn validate(&self) -> Result<()> {
        within("random-motion translation", self.translation, 0.0..=1000.0)?;
        count("random-motion moves", self.moves, 0..=100)?;
        check_axis("random-motion axis", self.axis)
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let axis = chosen_axis(self.axis, image, stream);
        let mut jumps: Vec<(f64, f64)> = (0..self.moves)
            .map(|_| (stream.uniform(), stream.at_most(self.translation)))
            .collect();
        jumps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let report = Measurements::default()
            .with("times", jumps.iter().map(|jump| jump.0))
            .with("places", jumps.iter().map(|jump| jump.1));
        let Some(axis) = axis else { return Ok(report) };
        if self.translation > 0.0 && self.moves > 0 {
            let length = image.shape[axis];
            let extent = length as f64 * image.spacing[axis];
            let phases = (0..length).map(|line| {
                let time = line as f64 / length as f64;
                let before = jumps.partition_point(|jump| jump.0 <= time);
                let place = before.checked_sub(1).map_or(0.0, |last| jumps[last].1);
                -TAU * (line as f64 - (length / 2) as f64) * place / extent
            });
            turn_lines("random-motion", image, axis, phases)?;
        }
        Ok(report.with("axis", [axis as f64]))
    }
}

/// Phase errors that return with every few lines, as from breathing or from a mismatch of odd and
/// even echoes: the image appears again, fainter, at distances of a part of the field of view.
///
/// Of every `period` lines the first is right and the others have errors uniform within ±`phase`,
/// the same in every group. The result is the magnitude.
///
/// # References
/// Wood & Henkelman 1985, section on periodic motion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomGhosting {
    /// Largest error, degrees, 0 to 180.
    pub phase: f64,
    /// Lines after which errors return, 2 to 64.
    pub period: usize,
    /// Axis of phase encoding, 0 to 2; drawn among those of more than one voxel unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<usize>,
}

impl Apply for RandomGhosting {
    fn validate(&self) -> Result<()> {
        within("random-ghosting phase", self.phase, 0.0..=180.0)?;
        count("random-ghosting period", self.period, 2..=64)?;
        check_axis("random-ghosting axis", self.axis)
    }

    fn apply(&self, image: &mut Image, stream: &mut Stream) -> Result<Measurements> {
        let axis = chosen_axis(self.axis, image, stream);
        let others = (1..self.period).map(|_| stream.at_most(self.phase));
        let errors: Vec<f64> = std::iter::once(0.0).chain(others).collect();
        let report = Measurements::default().with("phases", errors.iter().copied());
        let Some(axis) = axis else { return Ok(report) };
        if self.phase > 0.0 {
            let phases = (0..image.shape[axis]).map(|line| errors[line % self.period].to_radians());
            turn_lines("random-ghosting", image, axis, phases)?;
        }
        Ok(report.with("axis", [axis as f64]))
    }
}

/// Turns every line of k-space along an axis by its phase and takes magnitudes.
fn turn_lines(
    subject: &'static str,
    image: &mut Image,
    axis: usize,
    phases: impl Iterator<Item = f64>,
) -> Result<()> {
    let (low, _) = image.range();
    if low < 0.0 {
        return Err(ImagingError::argument(
            subject,
            "magnitudes, none below 0 (before a step that makes them negative)",
            low.to_string(),
        ));
    }
    let factors: Vec<Complex<f64>> = phases
        .map(|phase| Complex::from_polar(1.0, phase))
        .collect();
    let forward = LineTransform::new(image.shape[axis], Transform::ToFrequencies);
    let inverse = LineTransform::new(image.shape[axis], Transform::ToImage);
    let (mut there, mut back) = (forward.scratch(), inverse.scratch());
    let mut buffer = vec![Complex::default(); image.shape[axis]];
    for_each_line(&mut image.values, image.shape, axis, |line| {
        for (to, from) in buffer.iter_mut().zip(&*line) {
            *to = Complex::from(*from);
        }
        forward.apply(&mut buffer, &mut there);
        for (value, factor) in buffer.iter_mut().zip(&factors) {
            *value *= factor;
        }
        inverse.apply(&mut buffer, &mut back);
        for (to, from) in line.iter_mut().zip(&buffer) {
            *to = from.norm();
        }
    });
    Ok(())
}
