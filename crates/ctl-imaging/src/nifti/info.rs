//! What a listing shows of a file.

use super::Reader;
use super::elements::{Element, with_element};
use super::geometry::xform_code;
use super::header::Endianness;
use super::source::Source;
use super::tally::{RawHash, Tally};
use crate::Result;
use crate::json::{json_matrix, json_number, json_numbers, json_option, json_pair};
use crate::volume::{Scaling, Value};
use num_complex::Complex;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Header and numbers of a file, named as nibabel names them.
///
/// Fields that nibabel's header has, have the values that it has once the image is loaded: what
/// nibabel puts right is put right here too (`zooms`, `pixdim`, `bitpix`, codes of forms), and what
/// it takes out of the header when it starts to look after data and scaling itself (`vox_offset`,
/// `scl_slope`, `scl_inter`) is gone here too. The file's own values of those three are
/// `file_vox_offset`, `file_scl_slope` and `file_scl_inter`.
///
/// In JSON numbers that are not finite are the strings `"nan"`, `"inf"` and `"-inf"`.
///
/// # References
/// nibabel 5.4, `nibabel.load` and `Nifti1Header`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NiftiInfo {
    /// The file that was asked for: of a pair, either.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256_file: String,
    /// nibabel's class of such images: `Nifti1Image`, `Nifti1Pair`, `Nifti2Image`, `Nifti2Pair`.
    pub loader: String,
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
    /// 0, as in every header that nibabel has loaded; see [`file_vox_offset`](Self::file_vox_offset).
    pub vox_offset: u64,
    /// NaN, as in every header that nibabel has loaded; see [`file_scl_slope`](Self::file_scl_slope).
    #[serde(serialize_with = "json_number")]
    pub scl_slope: f64,
    /// NaN, as in every header that nibabel has loaded; see [`file_scl_inter`](Self::file_scl_inter).
    #[serde(serialize_with = "json_number")]
    pub scl_inter: f64,
    /// Where data start in the file.
    pub file_vox_offset: u64,
    /// Factor from stored to true values, as the file has it.
    #[serde(serialize_with = "json_number")]
    pub file_scl_slope: f64,
    /// Summand from stored to true values, as the file has it.
    #[serde(serialize_with = "json_number")]
    pub file_scl_inter: f64,
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
    /// Magic string of such files; that of the file may be the other one.
    pub magic: String,
    /// Number of axes, and voxels along each of seven.
    pub dim: [i64; 8],
    /// `qfac`, and distances along each of seven axes.
    #[serde(serialize_with = "json_numbers")]
    pub pixdim: [f64; 8],
    /// Names of the components of colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<Vec<&'static str>>,
    /// SHA-256 of the stored values as little-endian bytes, first axis fastest.
    pub raw_sha256_le_fortran: String,
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
        let colours = plan.datatype.colours();
        let asked;
        let file = if self.source.path() == self.path {
            &self.source
        } else {
            asked = Source::open(&self.path)?;
            &asked
        };
        let (hash, scaled, complex_sum) = self.walked()?;
        let [x, y, z] = plan.affine;
        let number = header.version.number();
        let kind = if self.paired { "Pair" } else { "Image" };
        Ok(NiftiInfo {
            path: self.path.clone(),
            bytes: file.length(),
            sha256_file: file.sha256()?,
            loader: format!("Nifti{number}{kind}"),
            version: number,
            shape: plan.shape.clone(),
            dtype: plan.datatype.numpy(header.endianness),
            endian: header.endianness,
            zooms: header.zooms(),
            affine: [x, y, z, [0.0, 0.0, 0.0, 1.0]],
            datatype: header.datatype,
            bitpix: plan.datatype.bits(),
            vox_offset: 0,
            scl_slope: f64::NAN,
            scl_inter: f64::NAN,
            file_vox_offset: plan.offset,
            file_scl_slope: header.scl_slope,
            file_scl_inter: header.scl_inter,
            qform_code: xform_code(header.qform_code),
            sform_code: xform_code(header.sform_code),
            xyzt_units: header.xyzt_units,
            intent_code: header.intent_code,
            cal_max: header.cal_max,
            cal_min: header.cal_min,
            descrip: header.descrip.clone(),
            magic: format!("n{}{number}", if self.paired { 'i' } else { '+' }),
            dim: header.dim,
            pixdim: header.sound_pixdim(),
            structured: (!colours.is_empty()).then(|| colours.to_vec()),
            raw_sha256_le_fortran: hash,
            scaled_min: scaled.as_ref().map(Tally::low),
            scaled_max: scaled.as_ref().map(Tally::high),
            scaled_mean: scaled.as_ref().map(Tally::mean),
            scaled_sum: scaled.as_ref().map(Tally::sum),
            complex_sum,
            warnings: self.warnings().to_vec(),
        })
    }

    /// The hash of all stored values, and their statistics: of real numbers and of complex ones.
    fn walked(&self) -> Result<(String, Option<Tally>, Option<[f64; 2]>)> {
        let kind = self.sample_type();
        let mut hash = RawHash::new(kind, self.header().endianness);
        if kind.is_complex() {
            let sum = self.complex_sum(&mut hash)?;
            return Ok((hash.digits(), None, Some(sum)));
        }
        if !self.plan.datatype.colours().is_empty() {
            self.source
                .for_each_chunk(self.place(), |bytes| hash.add(bytes))?;
            return Ok((hash.digits(), None, None));
        }
        let tally = self.tally(&mut hash)?;
        Ok((hash.digits(), Some(tally), None))
    }

    fn tally(&self, hash: &mut RawHash) -> Result<Tally> {
        let scaling = self.scaling();
        let order = self.header().endianness;
        let place = self.place();
        let mut tally = Tally::new();
        let mut numbers = Vec::new();
        with_element!(self.sample_type(), T => {
            self.source.for_each_chunk(place, |bytes| {
                hash.add(bytes);
                numbers.resize(bytes.len() / T::BYTES, 0.0);
                T::decode(bytes, order, &mut numbers, |value| scaling.apply(value.to_f64()));
                tally.add(&numbers);
            })
        })?;
        Ok(tally)
    }

    fn complex_sum(&self, hash: &mut RawHash) -> Result<[f64; 2]> {
        let Scaling { slope, intercept } = self.scaling();
        let order = self.header().endianness;
        let mut sums = [0.0; 2];
        let bytes = self.sample_type().bytes();
        let mut values = Vec::new();
        self.source.for_each_chunk(self.place(), |chunk| {
            hash.add(chunk);
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
