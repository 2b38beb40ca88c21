//! What a header amounts to, by nibabel's rules: what is refused, what is put right with a warning.

use super::datatype::Datatype;
use super::fields::EOL_CHECK;
use super::geometry::{self, Rows};
use super::header::{Header, Version};
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Scaling, SeriesStep, SeriesUnit};
use std::path::Path;

/// Meanings by which the fifth axis counts the components of a vector: `NIFTI_INTENT_DISPVECT` and
/// `NIFTI_INTENT_VECTOR`.
const VECTOR_INTENTS: [i32; 2] = [1006, INTENT_VECTOR];

/// `NIFTI_INTENT_VECTOR`.
pub(super) const INTENT_VECTOR: i32 = 1007;

/// How data lie in their file, and what they mean.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Voxels along each axis of the file, 1 to 7 of them.
    pub(super) shape: Vec<usize>,
    /// Voxels, all together.
    pub(super) voxels: usize,
    pub(super) datatype: Datatype,
    /// Components of a vector, where the fifth axis counts them.
    pub(super) vector: Option<usize>,
    /// Where data start.
    pub(super) offset: u64,
    pub(super) scaling: Scaling,
    /// In the header's units.
    pub(super) affine: Rows,
    pub(super) unit_mm: f64,
    pub(super) series: SeriesStep,
    pub(super) warnings: Vec<String>,
}

impl Plan {
    /// The plan of a header.
    ///
    /// # Arguments
    /// * `paired`: whether data lie in a file of their own.
    pub(super) fn new(header: &Header, paired: bool, path: &Path) -> Result<Self> {
        let refuse = |expected: &str, found: String| {
            Err(ImagingError::content(path, expected.to_owned(), found))
        };
        check_ends_of_lines(header, path)?;
        let mut warnings = oddities(header);
        let datatype = match Datatype::from_code(header.datatype) {
            Ok(datatype) => datatype,
            Err(found) => return refuse("a datatype that can be read", found),
        };
        if header.bitpix != datatype.bits() {
            warnings.push(format!(
                "bitpix {} does not match datatype {}",
                header.bitpix, header.datatype
            ));
        }
        let shape = shape(header, path)?;
        let voxels = count(&shape, datatype, path)?;
        let Some(mut scaling) = header.scaling() else {
            let found = format!("{} with slope {}", header.scl_inter, header.scl_slope);
            return refuse("a finite scl_inter", found);
        };
        if datatype.components > 1 && scaling != Scaling::NONE {
            warnings.push("scl_slope of an image of colours is ignored".to_owned());
            scaling = Scaling::NONE;
        }
        let Some(affine) = geometry::best(header) else {
            let found = format!("{:?}", header.quatern);
            return refuse("quatern_b, c and d of a unit quaternion", found);
        };
        let vector = match shape[..] {
            [_, _, _, _, vector] if VECTOR_INTENTS.contains(&header.intent_code) => Some(vector),
            _ => None,
        };
        Ok(Self {
            offset: offset(header, paired, path)?,
            series: series(header, &shape, vector, &mut warnings),
            unit_mm: header.unit_mm(),
            shape,
            voxels,
            datatype,
            vector,
            scaling,
            affine,
            warnings,
        })
    }

    /// Bytes of all data.
    pub(super) fn bytes(&self) -> u64 {
        (self.voxels * self.datatype.bytes()) as u64
    }

    /// Voxels along each axis of the volume: without the axis of vectors, and at least two.
    pub(super) fn volume_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.vector.is_some() {
            shape.truncate(if shape[3] == 1 { 3 } else { 4 });
        }
        if shape.len() == 1 {
            shape.push(1);
        }
        shape
    }
}

/// What nibabel warns of, or puts right without a word.
fn oddities(header: &Header) -> Vec<String> {
    let mut warnings = Vec::new();
    let size = header.version.sizeof_hdr();
    if header.sizeof_hdr != size {
        warnings.push(format!("sizeof_hdr is {}, not {size}", header.sizeof_hdr));
    }
    if !header.has_qfac() {
        let qfac = header.pixdim[0];
        warnings.push(format!("qfac (pixdim[0]) is {qfac}, taken as 1"));
    }
    for (axis, zoom) in header.pixdim.iter().enumerate().skip(1).take(3) {
        if *zoom < 0.0 {
            warnings.push(format!("pixdim[{axis}] is {zoom}, its absolute value used"));
        } else if *zoom == 0.0 {
            warnings.push(format!("pixdim[{axis}] is 0, taken as 1"));
        }
    }
    let codes = [
        ("qform_code", header.qform_code),
        ("sform_code", header.sform_code),
    ];
    for (name, code) in codes {
        if geometry::xform_code(code) != code {
            warnings.push(format!("{name} is {code}, taken as 0"));
        }
    }
    if header.xyzt_units & 7 > 3 {
        warnings.push(format!(
            "xyzt_units {} have no unit of length, taken as mm",
            header.xyzt_units
        ));
    }
    warnings
}

fn check_ends_of_lines(header: &Header, path: &Path) -> Result<()> {
    let sound = [EOL_CHECK, [0; 4]].contains(&header.eol_check);
    if header.version == Version::One || sound {
        return Ok(());
    }
    let found = format!("{:?}, as a transfer in text mode leaves", header.eol_check);
    Err(ImagingError::content(path, "eol_check 13 10 26 10", found))
}

/// Voxels along each axis, with what `FreeSurfer` does where they do not fit version 1.
fn shape(header: &Header, path: &Path) -> Result<Vec<usize>> {
    let Some(axes) = header.axes() else {
        let found = header.dim[0].to_string();
        return Err(ImagingError::content(
            path,
            "1 to 7 axes (dim[0])".to_owned(),
            found,
        ));
    };
    let mut sides = header.dim[1..=axes].to_vec();
    if header.version == Version::One && axes >= 3 {
        // `save_nifti.m` of FreeSurfer: long vectors, and surfaces of the seventh icosahedron.
        if sides[..3] == [-1, 1, 1] {
            sides[0] = header.glmin;
        } else if sides[..3] == [27_307, 1, 6] {
            sides[0] = 163_842;
            sides[2] = 1;
        }
    }
    sides
        .iter()
        .map(|&side| usize::try_from(side).ok().filter(|&side| side > 0))
        .collect::<Option<_>>()
        .ok_or_else(|| {
            ImagingError::content(
                path,
                "1 voxel or more along each axis".to_owned(),
                format!("dim {:?}", header.dim),
            )
        })
}

fn count(shape: &[usize], datatype: Datatype, path: &Path) -> Result<usize> {
    let bytes = shape
        .iter()
        .try_fold(datatype.bytes(), |bytes, &side| bytes.checked_mul(side))
        .filter(|&bytes| isize::try_from(bytes).is_ok());
    match bytes {
        Some(bytes) => Ok(bytes / datatype.bytes()),
        None => Err(ImagingError::content(
            path,
            "an image that can be addressed".to_owned(),
            format!("shape {shape:?} of {} bytes", datatype.bytes()),
        )),
    }
}

/// Where data start; fractions are cut off.
///
/// nibabel takes an offset of 0 in a single file at its word and gives the header's own bytes as
/// voxels; here that is an error, as every other offset within the header is there too.
fn offset(header: &Header, paired: bool, path: &Path) -> Result<u64> {
    let offset = header.vox_offset;
    let lowest = if paired && (offset == 0.0 || !header.is_single_file()) {
        0.0
    } else {
        header.version.header_bytes() as f64 + 4.0
    };
    if offset >= lowest && offset < i64::MAX as f64 {
        Ok(offset as u64)
    } else {
        Err(ImagingError::content(
            path,
            format!("data at byte {lowest} or later (vox_offset)"),
            offset.to_string(),
        ))
    }
}

fn series(
    header: &Header,
    shape: &[usize],
    vector: Option<usize>,
    warnings: &mut Vec<String>,
) -> SeriesStep {
    let only_vectors = vector.is_some() && shape.get(3) == Some(&1);
    if shape.len() < 4 || only_vectors {
        return SeriesStep::default();
    }
    let unit = match header.xyzt_units & 0x38 {
        8 => SeriesUnit::Second,
        16 => SeriesUnit::Millisecond,
        24 => SeriesUnit::Microsecond,
        32 => SeriesUnit::Hertz,
        40 => SeriesUnit::PartsPerMillion,
        48 => SeriesUnit::RadiansPerSecond,
        _ => SeriesUnit::Unknown,
    };
    let step = header.pixdim[4];
    if step >= 0.0 && step.is_finite() {
        return SeriesStep { step, unit };
    }
    let used = if step.is_finite() { step.abs() } else { 0.0 };
    warnings.push(format!("pixdim[4] is {step}, taken as {used}"));
    SeriesStep { step: used, unit }
}
