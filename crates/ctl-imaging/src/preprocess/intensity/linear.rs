//! Steps with one formula for all voxels.

use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::check::{interval, within};
use crate::preprocess::image::Image;
use crate::preprocess::mask::Region;
use crate::preprocess::provenance::Measurements;
use crate::preprocess::quantile::{ascending, quantile};
use crate::preprocess::step::Apply;
use crate::preprocess::stream::Stream;
use serde::{Deserialize, Serialize};

/// Largest Hounsfield unit, centre or width that is accepted: beyond any 16-bit image.
const MOST_HOUNSFIELD: f64 = 1e6;

/// Largest exponent of a gamma curve, and one over the smallest.
pub(crate) const MOST_GAMMA: f64 = 20.0;

/// `x ← (x − μ) / σ`, with mean μ and standard deviation σ (divided by n) of a region.
///
/// A region of one value alone has σ = 0: it is an error, as no scale can be learned from it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ZScore {
    /// Where mean and deviation are taken; all voxels are changed.
    pub region: Region,
}

impl Apply for ZScore {
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn apply(&self, image: &mut Image, _stream: &mut Stream) -> Result<Measurements> {
        let values = image.region(self.region)?;
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        spread("z-score", 0.0, deviation)?;
        image.map(|value| (value - mean) / deviation);
        Ok(Measurements::one("mean", mean).with("standard-deviation", [deviation]))
    }
}

/// `x ← (min(max(x, p), q) − p) / (q − p)`, with percentiles p and q of a region.
///
/// Percentiles are linear between neighbours, as `numpy.percentile`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PercentileRescale {
    /// The lower and the upper percentile, 0 to 100.
    pub percentiles: [f64; 2],
    /// Where they are taken; all voxels are changed.
    pub region: Region,
}

impl Default for PercentileRescale {
    fn default() -> Self {
        Self {
            percentiles: [0.5, 99.5],
            region: Region::Whole,
        }
    }
}

impl Apply for PercentileRescale {
    fn validate(&self) -> Result<()> {
        interval(
            "percentile-rescale percentiles",
            self.percentiles,
            0.0..=100.0,
        )
    }

    fn apply(&self, image: &mut Image, _stream: &mut Stream) -> Result<Measurements> {
        let sorted = ascending(image.region(self.region)?);
        let [low, high] = self
            .percentiles
            .map(|percent| quantile(&sorted, percent / 100.0));
        spread("percentile-rescale", low, high)?;
        image.map(|value| (value.clamp(low, high) - low) / (high - low));
        Ok(Measurements::one("low", low).with("high", [high]))
    }
}

/// `x ← min(max((x − c) / w + ½, 0), 1)` for a window of centre c and width w.
///
/// # References
/// DICOM PS3.3 C.11.2.1.3.2, the function `LINEAR_EXACT`: that of C.11.2.1.2.1 is shifted by half
/// a unit and narrower by one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Centre, in the image's units (Hounsfield units for CT), −10⁶ to 10⁶.
    pub centre: f64,
    /// Width in the same units, 10⁻⁶ to 10⁶.
    pub width: f64,
}

impl Apply for Window {
    fn validate(&self) -> Result<()> {
        within(
            "window centre",
            self.centre,
            -MOST_HOUNSFIELD..=MOST_HOUNSFIELD,
        )?;
        within(
            "window width",
            self.width,
            1.0 / MOST_HOUNSFIELD..=MOST_HOUNSFIELD,
        )
    }

    fn apply(&self, image: &mut Image, _stream: &mut Stream) -> Result<Measurements> {
        let shown = |value: f64| (value - self.centre) / self.width + 0.5;
        let inside = |value: &&f32| (0.0..=1.0).contains(&shown(f64::from(**value)));
        let share = image.values.iter().filter(inside).count() as f64 / image.values.len() as f64;
        image.map(|value| shown(value).clamp(0.0, 1.0));
        Ok(Measurements::one("share-inside", share))
    }
}

/// `x ← (x − a) / (b − a)`, with the smallest and largest value a and b of a region.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinMax {
    /// Where they are taken; all voxels are changed, so that those outside may leave [0, 1].
    pub region: Region,
}

impl Apply for MinMax {
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn apply(&self, image: &mut Image, _stream: &mut Stream) -> Result<Measurements> {
        let values = image.region(self.region)?;
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        spread("min-max", low, high)?;
        image.map(|value| (value - low) / (high - low));
        Ok(Measurements::one("low", low).with("high", [high]))
    }
}

/// `x ← a + (b − a) ((x − a) / (b − a))^γ`, with the image's smallest and largest value a and b.
///
/// A flat image stays as it is, and every image does at γ = 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gamma {
    /// γ, 0.05 to 20; above 1 it darkens.
    pub exponent: f64,
}

impl Apply for Gamma {
    fn validate(&self) -> Result<()> {
        within(
            "gamma exponent",
            self.exponent,
            1.0 / MOST_GAMMA..=MOST_GAMMA,
        )
    }

    fn apply(&self, image: &mut Image, _stream: &mut Stream) -> Result<Measurements> {
        Ok(powered(image, self.exponent))
    }
}

pub(crate) fn powered(image: &mut Image, exponent: f64) -> Measurements {
    let (low, high) = image.range();
    let (low, high) = (f64::from(low), f64::from(high));
    // Not even rounding changes an image that is to stay as it is.
    if exponent.total_cmp(&1.0).is_ne() && high > low {
        image.map(|value| low + (high - low) * ((value - low) / (high - low)).powf(exponent));
    }
    Measurements::one("exponent", exponent)
        .with("low", [low])
        .with("high", [high])
}

/// Refuses an interval without length.
fn spread(subject: &'static str, low: f64, high: f64) -> Result<()> {
    if high > low {
        return Ok(());
    }
    Err(ImagingError::argument(
        subject,
        "a region of more than one value",
        "the same value throughout",
    ))
}
