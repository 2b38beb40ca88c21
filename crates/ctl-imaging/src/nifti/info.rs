//! What a listing shows of a file.

use super::Reader;
use super::elements::{Element, with_element};
use super::geometry::xform_code;
use super::header::Endianness;
use crate::Result;
use crate::json::{json_matrix, json_number, json_numbers, json_option, json_pair};
use crate::volume::{Scaling, Value};
use num_complex::Complex;
use serde::Serialize;
use std::path::Path;

/// Numbers that are added at once, in lanes of their own, so that rounding stays small and the
/// result does not depend on how data are cut into chunks.
const LANES: usize = 8;

/// Header and numbers of a file, named as nibabel names them.
///
/// What nibabel puts right when it reads is put right here too (`zooms`, `pixdim`, `bitpix`, codes
/// of forms); `scl_slope`, `scl_inter` and `vox_offset` are those of the file, which nibabel's
/// loaded header no longer shows. In JSON numbers that are not finite are the strings `"nan"`,
/// `"inf"` and `"-inf"`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NiftiInfo {
    /// 1 or 2.
    pub version: u8,
    /// Voxels along each axis of the file.
    pub shape: Vec<usize>,
    /// `NumPy`'s type on a little-endian machine: `int16`, or `>i2` of a big-endian file.
    pub dtype: String,
    /// Order of bytes.
    pub endian: Endianness,
    /// Distances of neighbours along each axis, in the header's units.
    #[serde(serialize_with = "json_numbers")]
    pub zooms: Vec<f64>,
    /// From voxel indices to space, in the header's units.
    #[serde(serialize_with = "json_matrix")]
    pub affine: [[f64; 4]; 4],
    /// Code of the type of a voxel.
    pub datatype: i32,
    /// Bits of a voxel.
    pub bitpix: i32,
    /// Where data start.
    pub vox_offset: u64,
    /// Factor from stored to true values.
    #[serde(serialize_with = "json_number")]
    pub scl_slope: f64,
    /// Summand from stored to true values.
    #[serde(serialize_with = "json_number")]
    pub scl_inter: f64,
    /// Kind of space of the quaternion.
    pub qform_code: i32,
    /// Kind of space of the matrix.
    pub sform_code: i32,
    /// Units of space and of the fourth axis.
    pub xyzt_units: i32,
    /// Meaning of the values.
    pub intent_code: i32,
    /// Largest value to display.
    #[serde(serialize_with = "json_number")]
    pub cal_max: f64,
    /// Smallest value to display.
    #[serde(serialize_with = "json_number")]
    pub cal_min: f64,
    /// Free text.
    pub descrip: String,
    /// Magic string.
    pub magic: String,
    /// Number of axes, and voxels along each of seven.
    pub dim: [i64; 8],
    /// `qfac`, and distances along each of seven axes.
    #[serde(serialize_with = "json_numbers")]
    pub pixdim: [f64; 8],
    /// Names of the components of colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<Vec<&'static str>>,
    /// Smallest number, scaled, or NaN where one is; of real images, as the next three.
    #[serde(
        serialize_with = "json_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub scaled_min: Option<f64>,
    /// Largest number, scaled.
    #[serde(
        serialize_with = "json_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub scaled_max: Option<f64>,
    /// Mean of the scaled numbers.
    #[serde(
        serialize_with = "json_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub scaled_mean: Option<f64>,
    /// Sum of the scaled numbers.
    #[serde(
        serialize_with = "json_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub scaled_sum: Option<f64>,
    /// Real and imaginary part of the sum; of complex images.
    #[serde(serialize_with = "json_pair", skip_serializing_if = "Option::is_none")]
    pub complex_sum: Option<[f64; 2]>,
    /// What was odd in the header and how it was taken.
    pub warnings: Vec<String>,
}

/// What a listing shows of a file: its header, and statistics of all its numbers.
///
/// Data are read once, a piece at a time.
///
/// # Errors
/// Those of [`Reader::open`], and of [`Reader::to_f32`] while the numbers are read.
pub fn info(path: &Path) -> Result<NiftiInfo> {
    Reader::open(path)?.info()
}

impl Reader {
    /// What a listing shows; see [`info`].
    ///
    /// # Errors
    /// Those of [`to_f32`](Self::to_f32).
    pub fn info(&self) -> Result<NiftiInfo> {
        let header = self.header();
        let plan = &self.plan;
        let kind = self.sample_type();
        let colours = plan.datatype.colours();
        let (mut scaled, mut complex_sum) = (None, None);
        if kind.is_complex() {
            complex_sum = Some(self.complex_sum()?);
        } else if colours.is_empty() {
            scaled = Some(self.tally()?);
        }
        let [x, y, z] = plan.affine;
        Ok(NiftiInfo {
            version: header.version.number(),
            shape: plan.shape.clone(),
            dtype: plan.datatype.numpy(header.endianness),
            endian: header.endianness,
            zooms: header.zooms(),
            affine: [x, y, z, [0.0, 0.0, 0.0, 1.0]],
            datatype: header.datatype,
            bitpix: plan.datatype.bits(),
            vox_offset: plan.offset,
            scl_slope: header.scl_slope,
            scl_inter: header.scl_inter,
            qform_code: xform_code(header.qform_code),
            sform_code: xform_code(header.sform_code),
            xyzt_units: header.xyzt_units,
            intent_code: header.intent_code,
            cal_max: header.cal_max,
            cal_min: header.cal_min,
            descrip: header.descrip.clone(),
            magic: header.magic.clone(),
            dim: header.dim,
            pixdim: header.sound_pixdim(),
            structured: (!colours.is_empty()).then(|| colours.to_vec()),
            scaled_min: scaled.as_ref().map(Tally::low),
            scaled_max: scaled.as_ref().map(Tally::high),
            scaled_mean: scaled.as_ref().map(|tally| tally.sum / tally.count as f64),
            scaled_sum: scaled.as_ref().map(|tally| tally.sum),
            complex_sum,
            warnings: self.warnings().to_vec(),
        })
    }

    fn tally(&self) -> Result<Tally> {
        let scaling = self.scaling();
        let order = self.header().endianness;
        let place = self.place();
        let mut tally = Tally::new();
        let mut numbers = Vec::new();
        with_element!(self.sample_type(), T => {
            self.source.for_each_chunk(place, |bytes| {
                numbers.resize(bytes.len() / T::BYTES, 0.0);
                T::decode(bytes, order, &mut numbers, |value| scaling.apply(value.to_f64()));
                tally.add(&numbers);
            })
        })?;
        Ok(tally)
    }

    fn complex_sum(&self) -> Result<[f64; 2]> {
        let Scaling { slope, intercept } = self.scaling();
        let order = self.header().endianness;
        let mut sums = [0.0; 2];
        let bytes = self.sample_type().bytes();
        let mut values = Vec::new();
        self.source.for_each_chunk(self.place(), |chunk| {
            values.resize(chunk.len() / bytes, Complex::default());
            if bytes == 8 {
                Complex::<f32>::decode(chunk, order, &mut values, |value| {
                    Complex::new(f64::from(value.re), f64::from(value.im))
                });
            } else {
                Complex::<f64>::decode(chunk, order, &mut values, |value| value);
            }
            for value in &values {
                sums[0] += value.re * slope + intercept;
                sums[1] += value.im * slope;
            }
        })?;
        Ok(sums)
    }
}

/// Statistics of numbers that come piece by piece.
struct Tally {
    low: f64,
    high: f64,
    sum: f64,
    count: usize,
    has_nan: bool,
}

impl Tally {
    fn new() -> Self {
        Self {
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            sum: 0.0,
            count: 0,
            has_nan: false,
        }
    }

    fn add(&mut self, numbers: &[f64]) {
        let mut sums = [0.0; LANES];
        let (eights, rest) = numbers.as_chunks::<LANES>();
        for eight in eights {
            for (sum, number) in sums.iter_mut().zip(eight) {
                *sum += number;
            }
        }
        for (sum, number) in sums.iter_mut().zip(rest) {
            *sum += number;
        }
        self.sum += sums.iter().sum::<f64>();
        self.count += numbers.len();
        for &number in numbers {
            self.low = self.low.min(number);
            self.high = self.high.max(number);
            self.has_nan |= number.is_nan();
        }
    }

    fn low(&self) -> f64 {
        if self.has_nan { f64::NAN } else { self.low }
    }

    fn high(&self) -> f64 {
        if self.has_nan { f64::NAN } else { self.high }
    }
}
