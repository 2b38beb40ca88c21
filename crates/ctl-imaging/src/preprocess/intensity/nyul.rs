//! A standard scale of intensities by landmarks of the histogram.

use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::check::within;
use crate::preprocess::image::Image;
use crate::preprocess::mask::{Mask, Region};
use crate::preprocess::provenance::Measurements;
use crate::preprocess::quantile::{ascending, quantile};
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use crate::volume::Volume;
use serde::{Deserialize, Serialize};

/// Most landmarks of a scale.
const MOST_LANDMARKS: usize = 1001;

/// How a standard scale is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NyulTraining {
    /// Percentiles of the landmarks, ascending, 0 to 100, at least two.
    pub percentiles: Vec<f64>,
    /// Where the first and the last landmark of the scale lie, ascending.
    pub scale: [f64; 2],
    /// Where percentiles are taken, in training and in use.
    pub region: Region,
}

impl Default for NyulTraining {
    /// Deciles between the first and the last percentile, on a scale from 0 to 100.
    fn default() -> Self {
        let deciles = (1..10).map(|decile| f64::from(decile) * 10.0);
        Self {
            percentiles: std::iter::once(1.0).chain(deciles).chain([99.0]).collect(),
            scale: [0.0, 100.0],
            region: Region::Whole,
        }
    }
}

impl NyulTraining {
    /// Learns the scale of several images.
    ///
    /// Each image is stretched linearly so that its first and last landmark are the ends of the
    /// scale; a landmark of the scale is the mean of the images' stretched ones.
    ///
    /// # Arguments
    /// * `images`: at least one, each with its mask where the region is the mask.
    ///
    /// # Returns
    /// The step that brings an image onto the scale.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when there is no image, one cannot be processed or is flat
    /// between its ends, or a setting is out of range.
    ///
    /// # References
    /// Nyúl, Udupa & Zhang 2000, "New variants of a method of MRI scale standardization",
    /// section II, training.
    pub fn train<'a>(
        &self,
        images: impl IntoIterator<Item = (&'a Volume, Option<&'a Mask>)>,
    ) -> Result<Nyul> {
        within("nyul scale", self.scale[0], f64::MIN..=self.scale[1])?;
        let mut sums = vec![0.0; self.percentiles.len()];
        let mut count = 0_usize;
        let [first, last] = self.scale;
        check_percentiles(&self.percentiles)?;
        for (volume, mask) in images {
            let image = Image::new(volume, mask)?;
            let found = landmarks(&image, &self.percentiles, self.region)?;
            let (low, high) = (found[0], found[found.len() - 1]);
            for (sum, landmark) in sums.iter_mut().zip(found) {
                *sum += first + (landmark - low) / (high - low) * (last - first);
            }
            count += 1;
        }
        if count == 0 {
            return Err(ImagingError::argument("nyul training", "an image", "none"));
        }
        let step = Nyul {
            percentiles: self.percentiles.clone(),
            landmarks: sums.into_iter().map(|sum| sum / count as f64).collect(),
            region: self.region,
        };
        step.validate()?;
        Ok(step)
    }
}

/// `x ← s_k + (x − p_k) (s_{k+1} − s_k) / (p_{k+1} − p_k)` between an image's own landmarks `p_k`,
/// and on along the first and last piece beyond them; `s_k` are those of a standard scale.
///
/// Where two landmarks of an image coincide (many voxels of one value), the pieces around them
/// meet at the upper one of the scale.
///
/// # References
/// Nyúl, Udupa & Zhang 2000, section II, transformation.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::{NyulTraining, Pipeline, Step};
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let ramp = |slope: f32| {
///     let values = (0..101).map(|value| value as f32 * slope).collect();
///     Volume::new(&[101, 1], Samples::F32(values), affine)
/// };
/// let (one, two) = (ramp(1.0)?, ramp(7.0)?);
/// let scale = NyulTraining::default().train([(&one, None), (&two, None)])?;
/// let pipeline = Pipeline { steps: vec![Step::Nyul(scale)] };
/// let (first, _) = pipeline.apply(&one, None, 0)?;
/// let (second, _) = pipeline.apply(&two, None, 0)?;
/// let apart = first.to_f32().into_iter().zip(second.to_f32()).map(|(a, b)| (a - b).abs());
/// assert!(apart.fold(0.0, f32::max) < 1e-4);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nyul {
    /// Percentiles of the landmarks, strictly ascending, 0 to 100, 2 to 1001 of them.
    pub percentiles: Vec<f64>,
    /// Where they lie on the standard scale: finite, not descending, the ends apart.
    pub landmarks: Vec<f64>,
    /// Where an image's own percentiles are taken; all voxels are changed.
    #[serde(default)]
    pub region: Region,
}

impl Apply for Nyul {
    fn validate(&self) -> Result<()> {
        check_percentiles(&self.percentiles)?;
        let same = self.landmarks.len() == self.percentiles.len();
        let finite = self.landmarks.iter().all(|landmark| landmark.is_finite());
        let ordered = self.landmarks.windows(2).all(|pair| pair[0] <= pair[1]);
        let apart = self.landmarks.first() < self.landmarks.last();
        if same && finite && ordered && apart {
            return Ok(());
        }
        Err(ImagingError::argument(
            "nyul landmarks",
            "as many finite, ascending numbers as percentiles",
            format!("{:?}", self.landmarks),
        ))
    }

    fn apply(&self, image: &mut Image, _stream: &mut Stream) -> Result<Measurements> {
        let own = landmarks(image, &self.percentiles, self.region)?;
        let (from, to) = without_steps(&own, &self.landmarks);
        image.map(|value| piecewise(value, &from, &to));
        Ok(Measurements::default().with("landmarks", own))
    }
}

fn check_percentiles(percentiles: &[f64]) -> Result<()> {
    let few = (2..=MOST_LANDMARKS).contains(&percentiles.len());
    let range = percentiles
        .iter()
        .all(|percent| (0.0..=100.0).contains(percent));
    if few && range && percentiles.windows(2).all(|pair| pair[0] < pair[1]) {
        return Ok(());
    }
    Err(ImagingError::argument(
        "nyul percentiles",
        format!("2 to {MOST_LANDMARKS} strictly ascending numbers from 0 to 100"),
        format!("{percentiles:?}"),
    ))
}

/// An image's own landmarks, of which the last lies above the first.
fn landmarks(image: &Image, percentiles: &[f64], region: Region) -> Result<Vec<f64>> {
    let sorted = ascending(image.region(region)?);
    let shares = percentiles.iter().map(|percent| percent / 100.0);
    let found: Vec<f64> = shares.map(|share| quantile(&sorted, share)).collect();
    if found.first() < found.last() {
        return Ok(found);
    }
    Err(ImagingError::argument(
        "nyul",
        "an image whose first and last landmark differ",
        "the same value at both",
    ))
}

/// Points with strictly ascending abscissae: of several at one place the last.
fn without_steps(own: &[f64], scale: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let points = own.iter().copied().zip(scale.iter().copied());
    let mut kept: Vec<(f64, f64)> = Vec::with_capacity(own.len());
    for point in points {
        if kept.last().is_some_and(|last| last.0 >= point.0) {
            kept.pop();
        }
        kept.push(point);
    }
    kept.into_iter().unzip()
}

/// On the line through the two points around it, or through the first or last two beyond them.
fn piecewise(x: f64, from: &[f64], to: &[f64]) -> f64 {
    let above = from.partition_point(|&at| at <= x);
    let piece = above.saturating_sub(1).min(from.len() - 2);
    let slope = (to[piece + 1] - to[piece]) / (from[piece + 1] - from[piece]);
    to[piece] + (x - from[piece]) * slope
}
