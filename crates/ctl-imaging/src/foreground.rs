//! Masks of what was imaged, against the air around it.

use crate::Result;
use crate::error::ImagingError;
use crate::morphology::{Connectivity, Element, closed, holes_filled, largest_component};
use crate::volume::Volume;
use rayon::prelude::*;

/// Bins of the histogram that Otsu's threshold is found on.
const BINS: usize = 256;

/// How [`foreground_mask`] makes a mask of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForegroundOptions {
    /// Which voxels belong together when the largest part is kept.
    pub connectivity: Connectivity,
    /// Radius in mm of the ball that closes gaps, at least 0.
    pub closing_radius: f64,
}

impl Default for ForegroundOptions {
    /// Parts that touch by faces, gaps closed with a ball of 3 mm.
    fn default() -> Self {
        Self {
            connectivity: Connectivity::Faces,
            closing_radius: 3.0,
        }
    }
}

/// The threshold that separates numbers best into two classes.
///
/// The histogram has 256 bins of equal width from the smallest number to the largest, each without
/// its upper end but for the last. For every bin but the last, numbers up to that bin are one class
/// and those beyond it the other; the threshold is the centre of the first bin that maximises
/// `n₁ n₂ (m₁ − m₂)²`, where `n` are the classes' counts and `m` the means of their bins' centres.
///
/// # Arguments
/// * `values`: finite numbers, at least one.
///
/// # Returns
/// The threshold; foreground lies above it. Where all numbers are equal it is that number.
///
/// # Errors
/// [`ImagingError::Argument`] when there is no number, or one is not finite.
///
/// # References
/// Otsu, "A threshold selection method from gray-level histograms", 1979, eq. 14. Agrees with
/// scikit-image's `threshold_otsu` of floating-point images (for integers it counts each value).
///
/// # Examples
/// ```
/// use ctl_imaging::otsu_threshold;
///
/// let threshold = otsu_threshold(&[0.0, 1.0, 2.0, 100.0, 101.0, 102.0])?;
/// // The bin of 2 is number 5, of width 102/256.
/// assert_eq!(threshold, 5.5 * 102.0 / 256.0);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn otsu_threshold(values: &[f64]) -> Result<f64> {
    let wrong = values.iter().find(|value| !value.is_finite());
    if wrong.is_some() || values.is_empty() {
        return Err(ImagingError::argument(
            "values to separate",
            "finite numbers, at least one",
            wrong.map_or("none".into(), ToString::to_string),
        ));
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low >= high {
        return Ok(low);
    }
    let bins = Bins::new(low, high)?;
    let mut counts = [0_u64; BINS];
    for &value in values {
        counts[bins.of(value)] += 1;
    }
    Ok(bins.centre(best_split(&counts, &bins)))
}

/// A mask of the body, the head or whatever else was imaged.
///
/// Numbers above [`otsu_threshold`] are foreground; of its connected parts the largest is kept,
/// gaps in it are closed with a ball, and what it encloses is filled.
///
/// # Arguments
/// * `volume`: the image; numbers are averaged over frames and components first.
/// * `options`: how parts are kept and closed.
///
/// # Returns
/// One mark a voxel of space, first axis fastest; none in an image of one number.
///
/// # Errors
/// [`ImagingError::Argument`] when a number is not finite, the image is complex, or the radius is
/// negative or not finite.
///
/// # Examples
/// ```
/// use ctl_imaging::volume::{Affine, Samples, Volume};
/// use ctl_imaging::{ForegroundOptions, foreground_mask};
///
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let volume = Volume::new(&[6, 1], Samples::U8(vec![0, 90, 5, 95, 90, 1]), affine)?;
/// let options = ForegroundOptions { closing_radius: 1.0, ..Default::default() };
/// let mask = foreground_mask(&volume, &options)?;
/// assert_eq!(mask, [false, false, false, true, true, false]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn foreground_mask(volume: &Volume, options: &ForegroundOptions) -> Result<Vec<bool>> {
    let place = (volume.spatial_shape(), volume.affine().spacing());
    marks(&mean_image(volume)?, place, options)
}

/// Foreground of numbers, first axis fastest, of a shape and spacing.
pub(crate) fn marks(
    numbers: &[f64],
    (shape, spacing): ([usize; 3], [f64; 3]),
    options: &ForegroundOptions,
) -> Result<Vec<bool>> {
    let threshold = otsu_threshold(numbers)?;
    let above: Vec<bool> = numbers.par_iter().map(|&value| value > threshold).collect();
    let largest = largest_component(&above, shape, options.connectivity)?;
    let ball = Element::Ball {
        radius: options.closing_radius,
        spacing,
    };
    let whole = closed(&largest, shape, &ball)?;
    holes_filled(&whole, shape, Connectivity::Faces)
}

/// The mean over frames and components at every voxel of space.
fn mean_image(volume: &Volume) -> Result<Vec<f64>> {
    if volume.sample_type().is_complex() {
        return Err(ImagingError::argument(
            "image to make a mask of",
            "real values",
            volume.sample_type().name(),
        ));
    }
    let numbers = volume.to_f64();
    let (frames, components) = (volume.frames(), volume.components());
    if frames * components == 1 {
        return Ok(numbers);
    }
    let voxels: usize = volume.spatial_shape().iter().product();
    let mut means = vec![0.0; voxels];
    for frame in numbers.chunks_exact(voxels * components) {
        for (mean, values) in means.iter_mut().zip(frame.chunks_exact(components)) {
            *mean += values.iter().sum::<f64>() / (frames * components) as f64;
        }
    }
    Ok(means)
}

/// Bins of equal width.
struct Bins {
    low: f64,
    high: f64,
}

impl Bins {
    fn new(low: f64, high: f64) -> Result<Self> {
        if (high - low).is_finite() {
            return Ok(Self { low, high });
        }
        Err(ImagingError::argument(
            "values to separate",
            "numbers whose range is finite",
            format!("{low} to {high}"),
        ))
    }

    /// Where a bin starts.
    fn edge(&self, bin: usize) -> f64 {
        if bin == BINS {
            return self.high;
        }
        self.low + bin as f64 * ((self.high - self.low) / BINS as f64)
    }

    fn centre(&self, bin: usize) -> f64 {
        f64::midpoint(self.edge(bin), self.edge(bin + 1))
    }

    /// The bin of a number within the range; rounding of the quotient is set right at the edges.
    fn of(&self, value: f64) -> usize {
        let part = (value - self.low) / (self.high - self.low);
        let bin = ((part * BINS as f64) as usize).min(BINS - 1);
        if value < self.edge(bin) {
            bin - 1
        } else if bin + 1 < BINS && value >= self.edge(bin + 1) {
            bin + 1
        } else {
            bin
        }
    }
}

/// The last bin of the lower class of the best separation.
fn best_split(counts: &[u64; BINS], bins: &Bins) -> usize {
    let moment = |bin: usize| counts[bin] as f64 * bins.centre(bin);
    let all: f64 = counts.iter().map(|&count| count as f64).sum();
    let total: f64 = (0..BINS).map(moment).sum();
    let (mut below, mut sum) = (0.0, 0.0);
    let mut best = (0, f64::NEG_INFINITY);
    for (bin, &count) in counts.iter().enumerate().take(BINS - 1) {
        below += count as f64;
        sum += moment(bin);
        let above = all - below;
        // Neither class is empty: the first bin has the smallest number and the last the largest.
        let apart = sum / below - (total - sum) / above;
        let separation = below * above * apart * apart;
        if separation > best.1 {
            best = (bin, separation);
        }
    }
    best.0
}
