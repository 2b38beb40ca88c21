//! The fixed record at the start of a file, as it stands there.

use super::geometry;
use crate::volume::Scaling;

/// Version of the format: 348-byte headers in single precision, or 540-byte ones in double.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum Version {
    /// `NIfTI`-1 (2003): at most 32767 voxels along an axis.
    One,
    /// `NIfTI`-2 (2011).
    Two,
}

/// Order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Endianness {
    /// Lowest byte first.
    #[default]
    Little,
    /// Highest byte first.
    Big,
}

/// All fields of a header, unchanged: what is impossible in them stands here as it was found.
///
/// Names are those of the standard. Whole numbers and floats of both versions are widened, which
/// loses nothing. What the fields amount to ([`zooms`](Self::zooms), [`scaling`](Self::scaling),
/// [`sform`](Self::sform), [`qform`](Self::qform)) follows the rules that nibabel applies.
///
/// # References
/// Cox et al., *A (sort of) new image data format standard: `NIfTI`-1*, 2004; `nifti1.h` and
/// `nifti2.h` of the `NIfTI` Data Format Working Group.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Header {
    /// Version, told by the magic string.
    pub version: Version,
    /// Order of bytes in header and data.
    pub endianness: Endianness,
    /// Declared size of the header: 348 or 540.
    pub sizeof_hdr: i32,
    /// `n+1` or `n+2` for one file, `ni1` or `ni2` for a pair.
    pub magic: String,
    /// Number of axes, then voxels along each of seven.
    pub dim: [i64; 8],
    /// `qfac`, then the distance of neighbours along each axis.
    pub pixdim: [f64; 8],
    /// Code of the type of a voxel.
    pub datatype: i32,
    /// Declared bits of a voxel.
    pub bitpix: i32,
    /// Where data start, in bytes.
    pub vox_offset: f64,
    /// Factor from stored to true values; 0 or not finite for none.
    pub scl_slope: f64,
    /// Summand from stored to true values.
    pub scl_inter: f64,
    /// Largest value to display.
    pub cal_max: f64,
    /// Smallest value to display.
    pub cal_min: f64,
    /// Kind of space that the quaternion leads to; 0 if there is none.
    pub qform_code: i32,
    /// Kind of space that the matrix leads to; 0 if there is none.
    pub sform_code: i32,
    /// Last three parts of the unit quaternion.
    pub quatern: [f64; 3],
    /// Position of the first voxel, with the quaternion.
    pub qoffset: [f64; 3],
    /// Rows of the matrix from voxel indices to space.
    pub srow: [[f64; 4]; 3],
    /// Units of `pixdim`: of space in the low three bits, of the fourth axis in the next three.
    pub xyzt_units: i32,
    /// Which axes are frequency, phase and slice.
    pub dim_info: i32,
    /// Meaning of the values.
    pub intent_code: i32,
    /// Parameters of that meaning.
    pub intent_p: [f64; 3],
    /// Name of that meaning.
    pub intent_name: String,
    /// First slice that was acquired.
    pub slice_start: i64,
    /// Last slice that was acquired.
    pub slice_end: i64,
    /// Order in which slices were acquired.
    pub slice_code: i32,
    /// Time of one slice.
    pub slice_duration: f64,
    /// Shift of the time axis.
    pub toffset: f64,
    /// Free text.
    pub descrip: String,
    /// Name of another file.
    pub aux_file: String,
    /// Unused by version 1 but for `FreeSurfer`'s long vectors; 0 in version 2.
    pub glmin: i64,
    /// Damage detector of version 2: 13, 10, 26, 10; zeros in version 1.
    pub eol_check: [i32; 4],
}

impl Version {
    /// Bytes of a header, without the four that tell of extensions.
    pub fn header_bytes(self) -> usize {
        self.sizeof_hdr() as usize
    }

    /// The same, as the header itself says it.
    pub(super) fn sizeof_hdr(self) -> i32 {
        match self {
            Self::One => 348,
            Self::Two => 540,
        }
    }

    /// 1 or 2.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

impl std::fmt::Display for Endianness {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Little => "little",
            Self::Big => "big",
        })
    }
}

impl Header {
    /// A header of nothing: no axes, unscaled, no place in space.
    pub(super) fn empty(version: Version, endianness: Endianness) -> Self {
        Self {
            version,
            endianness,
            sizeof_hdr: version.sizeof_hdr(),
            magic: String::new(),
            dim: [0, 1, 1, 1, 1, 1, 1, 1],
            pixdim: [1.0; 8],
            datatype: 0,
            bitpix: 0,
            vox_offset: 0.0,
            scl_slope: 1.0,
            scl_inter: 0.0,
            cal_max: 0.0,
            cal_min: 0.0,
            qform_code: 0,
            sform_code: 0,
            quatern: [0.0; 3],
            qoffset: [0.0; 3],
            srow: [[0.0; 4]; 3],
            xyzt_units: 0,
            dim_info: 0,
            intent_code: 0,
            intent_p: [0.0; 3],
            intent_name: String::new(),
            slice_start: 0,
            slice_end: 0,
            slice_code: 0,
            slice_duration: 0.0,
            toffset: 0.0,
            descrip: String::new(),
            aux_file: String::new(),
            glmin: 0,
            eol_check: match version {
                Version::One => [0; 4],
                Version::Two => super::fields::EOL_CHECK,
            },
        }
    }

    /// Number of axes, if it is one of 1 to 7.
    pub fn axes(&self) -> Option<usize> {
        let axes = usize::try_from(self.dim[0]).ok()?;
        (1..=7).contains(&axes).then_some(axes)
    }

    /// Distance of neighbours along each axis that there is, in the header's units.
    ///
    /// # Returns
    /// Along the axes of space the absolute value of a negative `pixdim`, and 1 for one of 0;
    /// along the others what the header says.
    pub fn zooms(&self) -> Vec<f64> {
        let axes = self.axes().unwrap_or_default();
        self.sound_pixdim()[1..=axes].to_vec()
    }

    /// `pixdim` after those repairs, with a `qfac` of 1 where it is neither 1 nor −1.
    pub(super) fn sound_pixdim(&self) -> [f64; 8] {
        let mut pixdim = self.pixdim;
        if !self.has_qfac() {
            pixdim[0] = 1.0;
        }
        for zoom in &mut pixdim[1..4] {
            *zoom = if *zoom == 0.0 { 1.0 } else { zoom.abs() };
        }
        pixdim
    }

    /// Whether `pixdim[0]` is one of the two numbers that it may be.
    pub(super) fn has_qfac(&self) -> bool {
        [1.0, -1.0].contains(&self.pixdim[0])
    }

    /// What makes numbers of stored values.
    ///
    /// # Returns
    /// [`Scaling::NONE`] when the slope is 0, infinite or NaN, which all say "unscaled"; `None`
    /// when the slope is sound and the intercept is not finite.
    pub fn scaling(&self) -> Option<Scaling> {
        if self.scl_slope == 0.0 || !self.scl_slope.is_finite() {
            return Some(Scaling::NONE);
        }
        self.scl_inter.is_finite().then_some(Scaling {
            slope: self.scl_slope,
            intercept: self.scl_inter,
        })
    }

    /// The matrix of `srow`, in the header's units; whether it counts, `sform_code` says.
    pub fn sform(&self) -> [[f64; 4]; 3] {
        self.srow
    }

    /// The matrix of quaternion, `pixdim` and `qoffset`, in the header's units; whether it counts,
    /// `qform_code` says.
    ///
    /// # Returns
    /// `None` when the quaternion is that of no rotation: b² + c² + d² above 1 by more than
    /// rounding.
    pub fn qform(&self) -> Option<[[f64; 4]; 3]> {
        geometry::qform(self)
    }

    /// Millimetres in the header's unit of space; 1 where it is unknown.
    pub fn unit_mm(&self) -> f64 {
        match self.xyzt_units & 7 {
            1 => 1000.0,
            3 => 0.001,
            _ => 1.0,
        }
    }

    /// Whether the header says that data follow in the same file.
    pub fn is_single_file(&self) -> bool {
        self.magic.starts_with("n+")
    }
}
