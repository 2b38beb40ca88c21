//! Which format a file is of, told by its content.

use crate::error::ImagingError;
use crate::{Result, bounded, metaimage, nrrd};
use std::path::Path;

/// Bytes by which formats are told apart.
const START: u64 = 512;
/// What can be read here, for errors.
const READ: &str = "DICOM, NIfTI, NRRD or MetaImage, which say where an image lies";

/// The format of a file, by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum VolumeFormat {
    /// DICOM: a file, or a folder of files.
    Dicom,
    /// `NIfTI`-1 or -2.
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
    /// [`ImagingError::Content`] when nothing tells a format; those of [`sniff`](Self::sniff).
    pub fn of(path: &Path) -> Result<Self> {
        Self::sniff(path)?.ok_or_else(|| ImagingError::content(path, READ, "something else"))
    }

    /// The format of a file as far as anything tells it.
    ///
    /// DICOM is told by `DICM` after 128 bytes, or by a first element of group 2 or 8 where there
    /// is no preamble; NRRD and `MetaImage` by their first line; `NIfTI` by magic string or size of
    /// the header, or compression. Where all these are damaged, the ending of the name tells one of
    /// the last three, whose reader then says what is wrong.
    ///
    /// # Returns
    /// `None` when it is none of these. Such a file may still be a DICOM data set without any of
    /// its marks: [`dicom::info`](crate::dicom::info()) tells what there is of one.
    ///
    /// # Errors
    /// [`ImagingError::Io`] and [`ImagingError::Content`] when there is no such file, it is empty,
    /// or of a format that does not say where an image lies (a picture, an array).
    ///
    /// # Examples
    /// ```
    /// use ctl_imaging::volume::VolumeFormat;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("a.nii");
    /// std::fs::write(&path, "NRRD0005\n")?;
    /// assert_eq!(VolumeFormat::sniff(&path)?, Some(VolumeFormat::Nrrd));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sniff(path: &Path) -> Result<Option<Self>> {
        if path.is_dir() {
            return Ok(Some(Self::Dicom));
        }
        let start = bounded::read_start(path, START)?;
        if is_half_of_a_pair(path) {
            return Ok(Some(Self::Nifti));
        }
        if start.get(128..132) == Some(b"DICM") {
            return Ok(Some(Self::Dicom));
        }
        if nrrd::can_read(&start) {
            return Ok(Some(Self::Nrrd));
        }
        if metaimage::can_read(&start) {
            return Ok(Some(Self::MetaImage));
        }
        if let Some(found) = placeless(&start) {
            return Err(ImagingError::content(path, READ, found));
        }
        if is_nifti(&start) {
            return Ok(Some(Self::Nifti));
        }
        if starts_with_an_element(&start) {
            return Ok(Some(Self::Dicom));
        }
        Ok(by_name(path))
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

/// Whether a file starts with a `NIfTI` header or with compression, as far as one of its two marks
/// is sound.
fn is_nifti(start: &[u8]) -> bool {
    let magic = start.get(344..348).unwrap_or_default();
    let size = start.first_chunk().map(|&size| i32::from_le_bytes(size));
    let sizes = [348, 540].map(|size: i32| [size, size.swap_bytes()]);
    [b"n+1\0", b"ni1\0"].iter().any(|mark| magic == *mark)
        || size.is_some_and(|size| sizes.as_flattened().contains(&size))
        || start.starts_with(&[0x1f, 0x8b])
}

/// The format of files that are named so, in part before `.gz`.
fn by_name(path: &Path) -> Option<VolumeFormat> {
    const ENDINGS: [(&str, VolumeFormat); 7] = [
        (".nii", VolumeFormat::Nifti),
        (".hdr", VolumeFormat::Nifti),
        (".img", VolumeFormat::Nifti),
        (".nrrd", VolumeFormat::Nrrd),
        (".nhdr", VolumeFormat::Nrrd),
        (".mha", VolumeFormat::MetaImage),
        (".mhd", VolumeFormat::MetaImage),
    ];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let known = ENDINGS.iter().find(|(end, _)| stem.ends_with(end));
    known.map(|&(_, format)| format)
}

/// Whether a file without preamble starts with an element of one of the first groups (PS3.10
/// section 7.1), of either order of bytes.
fn starts_with_an_element(start: &[u8]) -> bool {
    matches!(start, [2 | 8, 0, _, 0, ..] | [0, 2 | 8, 0, _, ..])
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
