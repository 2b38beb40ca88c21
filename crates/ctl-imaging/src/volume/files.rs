//! One door to every format that knows where an image lies.

use super::{SampleType, Scaling, Volume};
use crate::dicom::{self, SeriesOptions};
use crate::error::ImagingError;
use crate::metaimage::{self, MetaOptions};
use crate::nifti::{self, WriteOptions};
use crate::nrrd::{self, NrrdOptions};
use crate::{Result, bounded};
use std::path::Path;

/// Bytes by which formats are told apart.
const START: u64 = 512;
/// What can be read here, for errors.
const READ: &str = "DICOM, NIfTI, NRRD or MetaImage, which say where an image lies";
/// What can be written here, by name.
const WRITTEN: &str = "a name that ends in .nii, .nii.gz, .nrrd or .mha";

/// The format of a file, by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum VolumeFormat {
    /// DICOM: a file, or a folder of files.
    Dicom,
    /// `NIfTI`-1 or -2, or what is left to its reader.
    Nifti,
    /// NRRD.
    Nrrd,
    /// `MetaImage`.
    MetaImage,
}

impl VolumeFormat {
    /// The format of a file; a folder is taken for one of DICOM files.
    ///
    /// # Errors
    /// [`ImagingError::Io`] and [`ImagingError::Content`] when there is no such file, or it is of a
    /// format that does not say where an image lies (a picture, an array).
    pub fn of(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self::Dicom);
        }
        let start = bounded::read_start(path, START)?;
        if is_dicom(&start) && !is_half_of_a_pair(path) {
            return Ok(Self::Dicom);
        }
        if nrrd::can_read(&start) {
            return Ok(Self::Nrrd);
        }
        if metaimage::can_read(&start) {
            return Ok(Self::MetaImage);
        }
        match placeless(&start) {
            _ if is_half_of_a_pair(path) => Ok(Self::Nifti),
            Some(found) => Err(ImagingError::content(path, READ, found)),
            None => Ok(Self::Nifti),
        }
    }
}

/// Whether a file holds the numbers of a `NIfTI` pair, which may start with any bytes.
fn is_half_of_a_pair(path: &Path) -> bool {
    let header = [".hdr", ".hdr.gz"];
    let name = path.to_string_lossy();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.strip_suffix(".img");
    stem.is_some_and(|stem| {
        header
            .iter()
            .any(|end| Path::new(&format!("{stem}{end}")).exists())
    })
}

/// Whether a file starts like DICOM: with its mark, or, without preamble, with an element of one of
/// the first groups (PS3.10 section 7.1).
fn is_dicom(start: &[u8]) -> bool {
    let marked = start.get(128..132) == Some(b"DICM");
    marked || matches!(start, [2 | 8, 0, _, 0, ..] | [0, 2 | 8, 0, _, ..])
}

/// The name of a format that does not say where an image lies.
fn placeless(start: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 6] = [
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"II*\0", "a TIFF picture"),
        (b"MM\0*", "a TIFF picture"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x89HDF", "an HDF5 file"),
    ];
    let known = KNOWN.iter().find(|(magic, _)| start.starts_with(magic));
    known.map(|&(_, name)| name)
}

/// Reads an image with its place in the patient, whatever its format.
///
/// The format is told by content: DICOM by its mark, NRRD and `MetaImage` by their first line,
/// anything else is read as `NIfTI` (plain or gzip). A DICOM file is read as the series that it is
/// alone, a folder as the one series whose files lie in it; [`dicom::read_series`] reads several. Pictures and arrays, which do not say where they lie, are refused
/// here; their own modules take an affine from the caller.
///
/// # Arguments
/// * `path`: the file; either one of a `.hdr`/`.img` pair, the header of `.nhdr` or `.mhd`.
///
/// # Errors
/// [`ImagingError::Content`] when a folder holds several series; those of [`VolumeFormat::of`] and
/// of the format's own reader.
///
/// # Examples
/// ```
/// use ctl_imaging::volume::{Affine, Samples, Volume, read_volume, write_volume};
///
/// # let folder = tempfile::tempdir()?;
/// let affine = Affine::from_spacing([1.0, 1.0, 3.0], [0.0; 3])?;
/// let volume = Volume::new(&[2, 1, 1], Samples::I16(vec![-7, 7]), affine)?;
/// for name in ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"] {
///     let path = folder.path().join(name);
///     write_volume(&path, &volume)?;
///     assert_eq!(read_volume(&path)?.samples(), volume.samples());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_volume(path: &Path) -> Result<Volume> {
    match VolumeFormat::of(path)? {
        VolumeFormat::Dicom => read_dicom(path),
        VolumeFormat::Nrrd => nrrd::read_nrrd(path),
        VolumeFormat::MetaImage => metaimage::read_metaimage(path),
        VolumeFormat::Nifti => Ok(nifti::read(path)?.volume),
    }
}

/// The only series of a file or folder.
fn read_dicom(path: &Path) -> Result<Volume> {
    let options = SeriesOptions::default();
    let mut series = if path.is_dir() {
        dicom::read_series(path, &options)?
    } else {
        dicom::read_series_files(&[path.to_owned()], &options)?
    };
    let count = series.len();
    match (series.pop(), count) {
        (Some(only), 1) => Ok(only.volume),
        _ => Err(ImagingError::content(
            path,
            "one series of images",
            format!("{count}"),
        )),
    }
}

/// Writes an image in the format that its name asks for: `.nii`, `.nii.gz`, `.nrrd`, `.mha`.
///
/// Values keep their type and, in `NIfTI`, their scaling. NRRD and `MetaImage` have no scaling and
/// no half precision: scaled values and those of half precision are written as numbers of single
/// precision, or double where they were stored in more than 24 bits. NRRD and `MetaImage` are
/// compressed.
///
/// # Errors
/// [`ImagingError::Argument`] when the name asks for no format, or the format cannot hold the
/// image; [`ImagingError::Io`] when it cannot be written, which leaves an older file as it was.
pub fn write_volume(path: &Path, volume: &Volume) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let ends = |ending: &str| name.ends_with(ending);
    if ends(".nii") || ends(".nii.gz") {
        return nifti::write(path, volume, &WriteOptions::default());
    }
    if ends(".nrrd") {
        let options = NrrdOptions {
            compress: true,
            ..NrrdOptions::default()
        };
        return nrrd::write_nrrd(&unscaled(volume)?, path, &options);
    }
    if ends(".mha") {
        let options = MetaOptions { compress: true };
        return metaimage::write_metaimage(&unscaled(volume)?, path, options);
    }
    Err(ImagingError::argument("file to write", WRITTEN, name))
}

/// The image as a format without scaling holds it.
fn unscaled(volume: &Volume) -> Result<Volume> {
    let stored = volume.sample_type();
    if volume.scaling() == Scaling::NONE && stored != SampleType::Float16 {
        return Ok(volume.clone());
    }
    let is_wide = matches!(
        stored,
        SampleType::UInt32
            | SampleType::Int32
            | SampleType::UInt64
            | SampleType::Int64
            | SampleType::Float64
    );
    volume.to_type(match stored {
        SampleType::Complex64 | SampleType::Complex128 => stored,
        _ if is_wide => SampleType::Float64,
        _ => SampleType::Float32,
    })
}
