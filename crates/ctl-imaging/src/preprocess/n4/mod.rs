//! N4 bias-field correction.

mod fit;
mod sharpen;

use super::check::{count, within};
use super::image::Image;
use super::mask::{Mask, Region};
use super::pipeline::with_values;
use super::provenance::Measurements;
use super::step::Apply;
use super::stream::Stream;
use crate::Result;
use crate::error::ImagingError;
use crate::volume::Volume;
use serde::{Deserialize, Serialize};

/// N4: finds the smooth multiplicative field of a coil's sensitivity and divides it out.
///
/// With the image `v = u·f`, the log field is a cubic B-spline. In turns, the histogram of
/// `log v − log f` is sharpened by deconvolving it with a Gaussian (Wiener filter), every voxel is
/// moved to the expectation of the true value given its own, and a B-spline is fitted to what is
/// left and added to the field; until the coefficient of variation of the ratio of two successive
/// fields falls below `convergence`. Then the spline is refined to twice as many pieces. The field
/// is evaluated at full resolution, from the lattice, whatever `shrink` was.
///
/// Voxels that are not above 0 have no logarithm and take no part; they are divided all the same.
/// The field is not brought to mean 1: as in the paper the total intensity may change a little.
///
/// # References
/// Tustison et al. 2010, "N4ITK: improved N3 bias correction", IEEE TMI 29(6); the sharpening is
/// that of Sled, Zijdenbos & Evans 1998, section II; the fit that of Lee, Wolberg & Shin 1997,
/// eq. 5. Deviation from ITK's filter: shrinking takes every n-th voxel at its own place, and the
/// lattice spans the image at full resolution.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::{Mask, N4, Region};
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// // Two tissues in stripes, brighter towards one side.
/// let field = |i: usize| (0.4 * i as f64 / 31.0).exp();
/// let tissue = |i: usize, j: usize| if (i / 3 + j / 3) % 2 == 0 { 100.0 } else { 150.0 };
/// let values = (0..32 * 32).map(|v| (tissue(v % 32, v / 32) * field(v % 32)) as f32);
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let volume = Volume::new(&[32, 32], Samples::F32(values.collect()), affine)?;
/// let found = N4::default().correct(&volume, None)?;
/// let bias = found.bias.to_f64();
/// let growth = (bias[31] / bias[0]).ln();
/// assert!((growth - 0.4).abs() < 0.08, "{growth}");
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct N4 {
    /// Most iterations at each level of the spline, 1 to 1000 each, 1 to 8 levels.
    pub iterations: Vec<usize>,
    /// Coefficient of variation of the ratio of two fields below which a level ends, 0 to 1.
    pub convergence: f64,
    /// Control points along each axis at the first level, 4 to 32; pieces double at every level.
    pub control_points: usize,
    /// Bins of the histogram, 8 to 4096.
    pub bins: usize,
    /// Full width at half maximum of the Gaussian, in units of the logarithm, 0.001 to 10.
    pub fwhm: f64,
    /// Noise of the Wiener filter, 10⁻⁶ to 10.
    pub wiener_noise: f64,
    /// Every how many voxels one is looked at, along each axis, 1 to 16; lowered along axes that
    /// would keep fewer than 16 voxels.
    pub shrink: usize,
    /// Which voxels the field is estimated from; all are corrected.
    pub region: Region,
}

impl Default for N4 {
    /// Four levels of 50 iterations, every fourth voxel.
    fn default() -> Self {
        Self {
            iterations: vec![50; 4],
            convergence: 0.001,
            control_points: 4,
            bins: 200,
            fwhm: 0.15,
            wiener_noise: 0.01,
            shrink: 4,
            region: Region::Whole,
        }
    }
}

/// An image without its bias, and the bias.
#[derive(Debug, Clone, PartialEq)]
pub struct BiasCorrection {
    /// The image divided by the field.
    pub corrected: Volume,
    /// The field at every voxel, above 0.
    pub bias: Volume,
    /// Iterations and last convergence of every level, smallest and largest value of the field,
    /// the distance of the voxels that were looked at.
    pub measured: Measurements,
}

impl N4 {
    /// Corrects an image and returns the field as well.
    ///
    /// # Arguments
    /// * `volume`: one frame of one real component.
    /// * `mask`: needed where the region is the mask.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a setting is out of range, the image cannot be processed, or
    /// the region has no two different values above 0.
    ///
    /// # Complexity
    /// Linear in the voxels looked at times the iterations, plus once all voxels.
    pub fn correct(&self, volume: &Volume, mask: Option<&Mask>) -> Result<BiasCorrection> {
        self.validate()?;
        let mut image = Image::new(volume, mask)?;
        let (field, measured) = self.divide(&mut image)?;
        image.check_finite("values after N4")?;
        let bias = field.into_iter().map(|value| value as f32).collect();
        Ok(BiasCorrection {
            corrected: with_values(volume, image.values)?,
            bias: with_values(volume, bias)?,
            measured,
        })
    }

    fn divide(&self, image: &mut Image) -> Result<(Vec<f64>, Measurements)> {
        let found = fit::field(self, image)?;
        let mut field = found.lattice.evaluate(&found.full_axes);
        for (value, bias) in image.values.iter_mut().zip(&mut field) {
            *bias = bias.exp();
            *value = (f64::from(*value) / *bias) as f32;
        }
        let low = field.iter().copied().fold(f64::INFINITY, f64::min);
        let high = field.iter().copied().fold(0.0, f64::max);
        let measured = Measurements::one("lowest-bias", low)
            .with("highest-bias", [high])
            .with("shrink", found.shrink.map(|factor| factor as f64))
            .with("iterations", found.iterations)
            .with("convergence", found.convergence);
        Ok((field, measured))
    }
}

impl Apply for N4 {
    fn validate(&self) -> Result<()> {
        count("n4 levels (`iterations`)", self.iterations.len(), 1..=8)?;
        for &iterations in &self.iterations {
            count("n4 iterations", iterations, 1..=1000)?;
        }
        within("n4 convergence", self.convergence, 0.0..=1.0)?;
        count("n4 control_points", self.control_points, 4..=32)?;
        count("n4 bins", self.bins, 8..=4096)?;
        within("n4 fwhm", self.fwhm, 0.001..=10.0)?;
        within("n4 wiener_noise", self.wiener_noise, 1e-6..=10.0)?;
        count("n4 shrink", self.shrink, 1..=16)?;
        let pieces = (self.control_points - 3) << (self.iterations.len() - 1);
        // With more pieces along an axis the lattice would take more memory than the image.
        if pieces <= 256 {
            return Ok(());
        }
        Err(ImagingError::argument(
            "n4 control_points and levels",
            "at most 256 pieces of the spline at the last level",
            pieces.to_string(),
        ))
    }

    fn apply(&self, image: &mut Image, _stream: &mut Stream) -> Result<Measurements> {
        self.divide(image).map(|(_, measured)| measured)
    }
}
