//! The histogram of a reference.

use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::image::Image;
use crate::preprocess::mask::{Mask, Region};
use crate::preprocess::provenance::Measurements;
use crate::preprocess::quantile::{ascending, interpolate};
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use crate::volume::Volume;
use serde::{Deserialize, Serialize};

/// Gives an image the histogram of a reference: `x ← Q(F(x))`, where F(x) is the share of the
/// image's values that are at most x, and Q interpolates linearly between the reference's values
/// at their own shares.
///
/// Values of voxels outside of the region lie on the line between the region's neighbouring ones.
///
/// # References
/// Gonzalez & Woods, "Digital Image Processing", histogram specification; the interpolation is that
/// of scikit-image's `match_histograms`, with which it agrees on one channel.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::{HistogramMatch, Pipeline, Region, Step};
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let picture = |values| Volume::new(&[4, 1], Samples::U8(values), affine);
/// let step = HistogramMatch::to(&picture(vec![10, 20, 20, 40])?, None, Region::Whole)?;
/// let pipeline = Pipeline { steps: vec![Step::HistogramMatch(step)] };
/// let (matched, _) = pipeline.apply(&picture(vec![3, 1, 2, 9])?, None, 0)?;
/// assert_eq!(matched.to_f32(), [20.0, 10.0, 15.0, 40.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistogramMatch {
    /// Different values of the reference, strictly ascending.
    pub values: Vec<f64>,
    /// For each the share of the reference's values that are at most as large: strictly ascending,
    /// above 0, the last 1.
    pub shares: Vec<f64>,
    /// Which voxels the image's shares are of; all voxels are changed.
    #[serde(default)]
    pub region: Region,
}

impl HistogramMatch {
    /// The step that gives images the histogram of this one.
    ///
    /// # Arguments
    /// * `region`: which voxels count, in the reference and in the images.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the reference cannot be processed, or its mask is missing.
    pub fn to(reference: &Volume, mask: Option<&Mask>, region: Region) -> Result<Self> {
        let image = Image::new(reference, mask)?;
        let (values, shares) = distribution(image.region(region)?);
        Ok(Self {
            values,
            shares,
            region,
        })
    }
}

impl Apply for HistogramMatch {
    fn validate(&self) -> Result<()> {
        let climbs = |numbers: &[f64]| numbers.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = self.values.iter().all(|value| value.is_finite());
        let whole = self
            .shares
            .last()
            .is_some_and(|last| last.total_cmp(&1.0).is_eq());
        let positive = self.shares.first().is_some_and(|first| *first > 0.0);
        let same = self.values.len() == self.shares.len();
        if same && finite && whole && positive && climbs(&self.values) && climbs(&self.shares) {
            return Ok(());
        }
        Err(ImagingError::argument(
            "histogram-match values and shares",
            "as many of either, strictly ascending, shares above 0 and up to 1",
            format!("{} values, {} shares", self.values.len(), self.shares.len()),
        ))
    }

    fn apply(&self, image: &mut Image, _stream: &mut Stream) -> Result<Measurements> {
        let (own, shares) = distribution(image.region(self.region)?);
        let matched: Vec<f64> = shares
            .iter()
            .map(|&share| interpolate(share, &self.shares, &self.values))
            .collect();
        image.map(|value| interpolate(value, &own, &matched));
        let moved = own.iter().zip(&matched).map(|(from, to)| (from - to).abs());
        let most = moved.fold(0.0, f64::max);
        Ok(Measurements::one("different-values", own.len() as f64).with("largest-change", [most]))
    }
}

/// Different values and the share of all that are at most as large.
fn distribution(values: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
    let sorted = ascending(values);
    let count = sorted.len() as f64;
    let mut points: (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for (number, &value) in sorted.iter().enumerate() {
        let share = (number + 1) as f64 / count;
        match (points.0.last(), points.1.last_mut()) {
            // −0 and 0 are one value.
            (Some(last), Some(known)) if *last >= value => *known = share,
            _ => {
                points.0.push(value);
                points.1.push(share);
            }
        }
    }
    points
}
