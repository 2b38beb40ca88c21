//! Images with geometry: where every value lies in the patient.
//!
//! A [`Volume`] keeps values in the type of its file, with the scaling that makes numbers of them,
//! and an [`Affine`] from voxel indices to millimetres. There is no default affine: who makes a
//! volume says where it is.

mod affine;
mod convert;
mod display;
mod files;
mod format;
mod grid;
mod header;
mod info;
mod layout;
mod plane;
mod resample;
mod samples;
mod sheet;

pub use affine::{Affine, AxisDirection, Orientation};
pub use display::Display;
pub use files::{VolumeFile, read_volume, read_volume_file, write_volume};
pub use format::VolumeFormat;
pub use grid::Grid;
pub(crate) use header::of_shape;
pub use header::{VolumeHeader, read_volume_header};
pub use info::VolumeInfo;
pub use plane::Plane;
pub use resample::{Interpolation, LabelInterpolation};
pub use samples::{SampleType, Samples};
pub(crate) use samples::{Value, for_any_type, map_any_type};
pub use sheet::SheetOptions;

use crate::Result;
use crate::error::ImagingError;
use crate::parallel::each_piece;

/// Most axes of a volume, as in `NIfTI`.
pub const MAX_AXES: usize = 7;

/// What makes numbers of stored values: `value · slope + intercept`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Scaling {
    /// Factor, finite and not 0.
    pub slope: f64,
    /// Summand, finite.
    pub intercept: f64,
}

impl Scaling {
    /// Stored values are the numbers.
    pub const NONE: Self = Self {
        slope: 1.0,
        intercept: 0.0,
    };

    /// The number that a stored value stands for, in double precision.
    pub fn apply(self, stored: f64) -> f64 {
        if self == Self::NONE {
            stored
        } else {
            stored * self.slope + self.intercept
        }
    }

    /// Slope and intercept in single precision, where they give the same numbers, rounded to single
    /// precision, for every value of a type: whole ones that never leave those that it has.
    pub(crate) fn in_single_precision(self, kind: SampleType) -> Option<(f32, f32)> {
        /// Whole numbers up to this are exact.
        const LARGEST: f64 = 16_777_216.0;
        let Self { slope, intercept } = self;
        let (low, high) = kind.integer_range()?;
        let is_whole = slope.fract() == 0.0 && intercept.fract() == 0.0;
        let largest = high.max(-low) * slope.abs() + intercept.abs();
        (is_whole && largest <= LARGEST).then_some((slope as f32, intercept as f32))
    }
}

/// What the fourth axis of a volume counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesUnit {
    /// Not said.
    #[default]
    Unknown,
    /// Seconds.
    Second,
    /// Thousandths of a second.
    Millisecond,
    /// Millionths of a second.
    Microsecond,
    /// Hertz.
    Hertz,
    /// Parts per million.
    PartsPerMillion,
    /// Radians per second.
    RadiansPerSecond,
}

/// The distance of neighbours along the fourth axis.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct SeriesStep {
    /// How far, at least 0.
    pub step: f64,
    /// In what.
    pub unit: SeriesUnit,
}

/// An image of two to seven axes with its place in the patient.
///
/// Values lie with the first axis fastest, as in `NIfTI` and `MetaImage`: the value of component
/// `c` at `(i, j, k, t)` is number `c + C·(i + nᵢ·(j + nⱼ·(k + nₖ·t)))`. The first three axes are
/// those of space (a two-dimensional image is one voxel deep), the fourth is time or a series.
/// Vector values (colours, displacements) have `C` components at every voxel.
///
/// # Examples
/// ```
/// use ctl_imaging::volume::{Affine, Samples, Volume};
///
/// let affine = Affine::from_spacing([1.0, 1.0, 3.0], [0.0; 3])?;
/// let volume = Volume::new(&[2, 1, 2], Samples::I16(vec![1, 2, 3, 4]), affine)?;
/// assert_eq!(volume.value(&[1, 0, 1]), Some(4.0));
/// assert_eq!(volume.affine().to_world([1.0, 0.0, 1.0]), [1.0, 0.0, 3.0]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    shape: Vec<usize>,
    components: usize,
    samples: Samples,
    scaling: Scaling,
    affine: Affine,
    series: SeriesStep,
}

impl Volume {
    /// A volume of one value a voxel.
    ///
    /// # Arguments
    /// * `shape`: voxels along each of 2 to 7 axes, each at least 1.
    /// * `samples`: stored values, first axis fastest.
    /// * `affine`: from voxel indices to mm.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the shape has too few or too many axes or an empty one, or
    /// does not have as many voxels as there are values.
    pub fn new(shape: &[usize], samples: Samples, affine: Affine) -> Result<Self> {
        Self::with_components(shape, 1, samples, affine)
    }

    /// A volume of several values a voxel, which lie together.
    ///
    /// # Arguments
    /// * `components`: values a voxel, at least 1; the rest as for [`new`](Self::new).
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn with_components(
        shape: &[usize],
        components: usize,
        samples: Samples,
        affine: Affine,
    ) -> Result<Self> {
        let values = shape
            .iter()
            .try_fold(components, |count, &side| count.checked_mul(side));
        let axes = (2..=MAX_AXES).contains(&shape.len());
        if !axes || values.is_none_or(|values| values == 0) {
            return Err(ImagingError::argument(
                "shape of a volume",
                format!("2 to {MAX_AXES} axes, none empty"),
                format!("{shape:?} of {components} components"),
            ));
        }
        if values != Some(samples.len()) {
            return Err(ImagingError::argument(
                "values of a volume",
                format!("as many as {shape:?} of {components} components has"),
                format!("{} values", samples.len()),
            ));
        }
        Ok(Self {
            shape: shape.to_vec(),
            components,
            samples,
            scaling: Scaling::NONE,
            affine,
            series: SeriesStep::default(),
        })
    }

    /// The same with another scaling of its stored values.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the slope is 0, or slope or intercept are not finite.
    pub fn with_scaling(mut self, scaling: Scaling) -> Result<Self> {
        let Scaling { slope, intercept } = scaling;
        if slope == 0.0 || !slope.is_finite() || !intercept.is_finite() {
            return Err(ImagingError::argument(
                "scaling of a volume",
                "a finite slope that is not 0 and a finite intercept",
                format!("slope {slope}, intercept {intercept}"),
            ));
        }
        self.scaling = scaling;
        Ok(self)
    }

    /// The same with another step along its fourth axis.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the step is negative or not finite.
    pub fn with_series(mut self, series: SeriesStep) -> Result<Self> {
        if !(series.step >= 0.0 && series.step.is_finite()) {
            return Err(ImagingError::argument(
                "step along the fourth axis",
                "a finite number of at least 0",
                series.step.to_string(),
            ));
        }
        self.series = series;
        Ok(self)
    }

    /// Voxels along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Voxels along the three axes of space; 1 along the third of a two-dimensional image.
    pub fn spatial_shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.shape.get(axis).copied().unwrap_or(1))
    }

    /// How many three-dimensional images it holds, one after the other (times, directions): the
    /// product of all axes beyond the third.
    pub fn frames(&self) -> usize {
        self.shape.iter().skip(3).product()
    }

    /// Values a voxel.
    pub fn components(&self) -> usize {
        self.components
    }

    /// Voxels, all frames together.
    pub fn voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Stored values.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// The stored values themselves, without a copy.
    pub fn into_samples(self) -> Samples {
        self.samples
    }

    /// Type of the stored values.
    pub fn sample_type(&self) -> SampleType {
        self.samples.sample_type()
    }

    /// What makes numbers of stored values.
    pub fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// From voxel indices to mm.
    pub fn affine(&self) -> &Affine {
        &self.affine
    }

    /// The distance of neighbours along the fourth axis.
    pub fn series(&self) -> SeriesStep {
        self.series
    }

    /// The number at a voxel, scaled, of its first component.
    ///
    /// # Arguments
    /// * `voxel`: one index for each axis.
    ///
    /// # Returns
    /// `None` when an index is missing, too many or out of range.
    pub fn value(&self, voxel: &[usize]) -> Option<f64> {
        let position = self.position(voxel)?;
        let stored = self.samples.get(position * self.components)?;
        Some(self.scaling.apply(stored))
    }

    /// All numbers in single precision, scaled in double precision before they are rounded.
    ///
    /// # Returns
    /// Values in the order in which they are stored; of complex ones the real parts.
    pub fn to_f32(&self) -> Vec<f32> {
        let scaling = self.scaling;
        if let (Samples::F32(values), Scaling::NONE) = (&self.samples, scaling) {
            return values.clone();
        }
        if scaling == Scaling::NONE {
            return for_any_type!(&self.samples, values => numbers(values, Value::to_f32));
        }
        if let Some((slope, intercept)) = scaling.in_single_precision(self.sample_type()) {
            let number = |value: f32| value * slope + intercept;
            return for_any_type!(&self.samples, values => {
                numbers(values, |value| number(Value::to_f32(value)))
            });
        }
        for_any_type!(&self.samples, values => {
            numbers(values, |value| scaling.apply(Value::to_f64(value)) as f32)
        })
    }

    /// All numbers in double precision, scaled; see [`to_f32`](Self::to_f32).
    pub fn to_f64(&self) -> Vec<f64> {
        let scaling = self.scaling;
        for_any_type!(&self.samples, values => {
            numbers(values, |value| scaling.apply(Value::to_f64(value)))
        })
    }

    /// The same image with its numbers stored in another type, unscaled.
    ///
    /// Unscaled integers keep all digits in other integer types; of complex values both parts are
    /// kept.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a number does not fit the type, or a complex image is to
    /// become real.
    pub fn to_type(&self, kind: SampleType) -> Result<Self> {
        if kind == self.sample_type() && self.scaling == Scaling::NONE {
            return Ok(self.clone());
        }
        let samples = convert::converted(self, kind)?;
        Ok(Self {
            samples,
            scaling: Scaling::NONE,
            ..self.without_samples()
        })
    }

    /// The position of a voxel among all voxels.
    fn position(&self, voxel: &[usize]) -> Option<usize> {
        let inside = voxel.len() == self.shape.len()
            && voxel.iter().zip(&self.shape).all(|(&at, &side)| at < side);
        inside.then(|| {
            voxel
                .iter()
                .zip(&self.shape)
                .rev()
                .fold(0, |position, (&at, &side)| position * side + at)
        })
    }

    /// Everything but the values.
    pub(crate) fn without_samples(&self) -> Self {
        Self {
            shape: self.shape.clone(),
            samples: Samples::U8(Vec::new()),
            ..*self
        }
    }
}

fn numbers<T: Value, N: Copy + Default + Send>(
    values: &[T],
    number: impl Fn(T) -> N + Sync + Send,
) -> Vec<N> {
    /// Values that one thread converts at a time.
    const PIECE: usize = 1 << 16;
    if rayon::current_num_threads() == 1 {
        // Memory is written once, without being zeroed first.
        return values.iter().map(|&value| number(value)).collect();
    }
    let mut all = vec![N::default(); values.len()];
    each_piece(&mut all, PIECE, |piece, numbers| {
        for (out, &value) in numbers.iter_mut().zip(&values[piece * PIECE..]) {
            *out = number(value);
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalings_are_taken_in_single_precision_where_that_is_the_same() {
        for (slope, intercept) in [(1.0, -1024.0), (-3.0, 0.0), (511.0, 32.0), (0.0, 5.0)] {
            let scaling = Scaling { slope, intercept };
            let (factor, summand) = scaling.in_single_precision(SampleType::Int16).unwrap();
            for stored in i16::MIN..=i16::MAX {
                let exact = scaling.apply(stored.into()) as f32;
                let found = f32::from(stored) * factor + summand;
                assert_eq!(found.to_bits(), exact.to_bits(), "{stored}");
            }
        }
    }

    #[test]
    fn other_scalings_are_not() {
        for (slope, intercept, kind) in [
            (0.5, 0.0, SampleType::Int16),
            (1.0, 0.25, SampleType::UInt8),
            // One value leaves the whole numbers that single precision has.
            (512.0, 1.0, SampleType::Int16),
            (1.0, 0.0, SampleType::Int32),
            (1.0, 1.0, SampleType::Float32),
            (1e300, 0.0, SampleType::Int16),
        ] {
            let scaling = Scaling { slope, intercept };
            assert_eq!(
                scaling.in_single_precision(kind),
                None,
                "{scaling:?} {kind}"
            );
        }
    }
}
