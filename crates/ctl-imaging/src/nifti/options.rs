//! How an image is to be written.

use super::NiftiImage;
use super::extension::Extension;
use super::geometry::xform_code;
use super::header::{Endianness, Version};
use crate::volume::{SampleType, Scaling};

/// In which form numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Encoding {
    /// As they are stored in the volume, with its scaling; half precision, which the format does
    /// not have, as single.
    #[default]
    Keep,
    /// The numbers themselves, rounded to whole ones in integer types.
    Unscaled(SampleType),
    /// `(number − intercept) / slope`, rounded to whole numbers in integer types.
    ///
    /// In version 1 slope and intercept are rounded to single precision first.
    Scaled(SampleType, Scaling),
    /// In an integer type that cannot hold the numbers themselves, scaled so that it covers the
    /// range from the smallest to the largest; else unscaled.
    Automatic(SampleType),
}

/// What kind of space the affine leads to, as the standard numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Space {
    /// That of the scanner (1).
    #[default]
    Scanner,
    /// That of another scan (2).
    Aligned,
    /// Talairach & Tournoux's atlas (3).
    Talairach,
    /// The 152-brain template of the Montreal Neurological Institute (4).
    Mni,
    /// Some other template (5).
    Template,
}

impl Space {
    /// Its number.
    pub fn code(self) -> i32 {
        match self {
            Self::Scanner => 1,
            Self::Aligned => 2,
            Self::Talairach => 3,
            Self::Mni => 4,
            Self::Template => 5,
        }
    }

    /// The space of a number; `None` for 0 and for numbers that the standard does not have.
    pub fn from_code(code: i32) -> Option<Self> {
        let all = [
            Self::Scanner,
            Self::Aligned,
            Self::Talairach,
            Self::Mni,
            Self::Template,
        ];
        all.into_iter().find(|space| space.code() == code)
    }
}

/// How an image is written by [`write`](super::write()).
///
/// # Examples
/// ```
/// use ctl_imaging::nifti::{self, Encoding, WriteOptions};
/// use ctl_imaging::volume::{Affine, SampleType, Samples, Volume};
///
/// let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
/// let path = folder.path().join("dose.nii");
/// let affine = Affine::from_spacing([1.0; 3], [0.0; 3])?;
/// let dose = Volume::new(&[3, 1], Samples::F32(vec![0.0, 0.5, 65.535]), affine)?;
/// let options = WriteOptions {
///     encoding: Encoding::Automatic(SampleType::UInt16),
///     ..WriteOptions::default()
/// };
/// nifti::write(&path, &dose, &options)?;
/// let read = nifti::read(&path)?.volume;
/// assert_eq!(read.samples(), &Samples::U16(vec![0, 500, 65535]));
/// assert!((read.to_f32()[1] - 0.5).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct WriteOptions {
    /// Version of the format; `None` takes 1 unless only 2 can hold the image.
    pub version: Option<Version>,
    /// Order of bytes in header and data.
    pub endianness: Endianness,
    /// In which form numbers are stored.
    pub encoding: Encoding,
    /// Effort of compression, 0 (none) to 9, for names that end in `.gz`.
    ///
    /// The default is 2: level 1 has fixed codes only, which hardly shrink noisy images, and
    /// higher levels take longer for a few per cent.
    pub level: u32,
    /// What kind of space the affine leads to.
    pub space: Space,
    /// Free text, at most 79 bytes.
    pub descrip: String,
    /// Header extensions.
    pub extensions: Vec<Extension>,
    /// Whether writing ends when the file is on the disk, so that it outlives a failure of the
    /// machine; otherwise when the system has it, as with most other software.
    ///
    /// Without, a failure of the machine soon after may leave a file that is not whole in place of
    /// the old one. A failure of the program cannot.
    pub durable: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            version: None,
            endianness: Endianness::Little,
            encoding: Encoding::Keep,
            level: 2,
            space: Space::Scanner,
            descrip: String::new(),
            extensions: Vec::new(),
            durable: true,
        }
    }
}

impl WriteOptions {
    /// Options that keep version, byte order, kind of space, text and extensions of an image.
    pub fn like(image: &NiftiImage) -> Self {
        let header = &image.header;
        let code = match xform_code(header.sform_code) {
            0 => header.qform_code,
            code => code,
        };
        Self {
            version: Some(header.version),
            endianness: header.endianness,
            space: Space::from_code(code).unwrap_or_default(),
            descrip: header.descrip.clone(),
            extensions: image.extensions.clone(),
            ..Self::default()
        }
    }
}
