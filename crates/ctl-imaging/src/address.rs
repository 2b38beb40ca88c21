//! Where a picture is: a file, one picture of an array file, or a slice of a volume.

use crate::Result;
use crate::error::ImagingError;
use crate::volume::Plane;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// File names after which a `#` addresses a picture inside the file.
const ARRAY_ENDINGS: [&str; 6] = [".npz", ".npy", ".idx", ".gz", "-ubyte", ".ubyte"];

/// Where a picture is, relative to the cohort's folder.
///
/// | written as | means |
/// |---|---|
/// | `img/a.png` | a picture file |
/// | `scan.npy` | an array `[H, W]` or `[H, W, C]` as one picture |
/// | `scans.npy#12` | the thirteenth picture of an array `[N, H, W]` or `[N, H, W, C]` |
/// | `archive.npz#train_images/12` | the same, of the array `train_images` of an archive |
/// | `images-idx3-ubyte.gz#12` | the same, of an IDX file (also named `.idx`), gzipped or not |
/// | `ct.nii.gz#axial/12` | the thirteenth axial slice of a volume, counted from the feet |
///
/// Indices count from 0. Channels come last in arrays. Slices are `axial` (from the feet),
/// `coronal` (from the back) or `sagittal` (from the left); cohorts with a section `[volumes]` name
/// the volume alone, and these addresses are made of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageAddress {
    file: String,
    array: Option<String>,
    index: Option<usize>,
    plane: Option<Plane>,
}

impl ImageAddress {
    /// The file, relative, without `.` and doubled separators.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The name of the array within an NPZ archive.
    pub fn array(&self) -> Option<&str> {
        self.array.as_deref()
    }

    /// The picture's index in its array, or the slice's in its volume, counted from 0.
    pub fn index(&self) -> Option<usize> {
        self.index
    }

    /// The plane of a slice of a volume.
    pub fn plane(&self) -> Option<Plane> {
        self.plane
    }

    /// The address of a slice of the volume that lies where this address says.
    pub(crate) fn slice(&self, plane: Plane, index: usize) -> Self {
        Self {
            file: self.file.clone(),
            array: None,
            index: Some(index),
            plane: Some(plane),
        }
    }

    /// The file below a cohort's folder.
    pub fn file_in(&self, root: &Path) -> PathBuf {
        root.join(&self.file)
    }

    pub(crate) fn is_npy(&self) -> bool {
        has_ending(&self.file, ".npy")
    }
}

impl FromStr for ImageAddress {
    type Err = ImagingError;

    /// Reads an address as a manifest writes it.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the path is empty, absolute or leaves its folder with
    /// `..`, and when what follows `#` is not a picture of an array.
    fn from_str(text: &str) -> Result<Self> {
        if let Some((file, plane, index)) = slice_of(text) {
            return Ok(Self {
                file: normalised(file)?,
                array: None,
                index: Some(index),
                plane: Some(plane),
            });
        }
        let (file, entry) = match text.rsplit_once('#') {
            Some((file, entry)) if is_array_file(file) => (file, Some(entry)),
            _ => (text, None),
        };
        let file = normalised(file)?;
        let needs_array = has_ending(&file, ".npz");
        let Some(entry) = entry else {
            if needs_array {
                return Err(wrong("`archive.npz#array/index`", text));
            }
            return Ok(Self {
                file,
                array: None,
                index: None,
                plane: None,
            });
        };
        let (array, index) = match entry.rsplit_once('/') {
            Some((array, index)) if needs_array && !array.is_empty() => (Some(array), index),
            None if !needs_array => (None, entry),
            _ if needs_array => return Err(wrong("`archive.npz#array/index`", text)),
            _ => return Err(wrong("`file#index`", text)),
        };
        let is_index = index.bytes().all(|byte| byte.is_ascii_digit());
        let index = index.parse().ok().filter(|_| is_index);
        let index = index.ok_or_else(|| wrong("an index after the `#`", text))?;
        Ok(Self {
            file,
            array: array.map(str::to_owned),
            index: Some(index),
            plane: None,
        })
    }
}

impl fmt::Display for ImageAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file)?;
        match (&self.array, self.plane, self.index) {
            (Some(array), _, Some(index)) => write!(formatter, "#{array}/{index}"),
            (None, Some(plane), Some(index)) => write!(formatter, "#{plane}/{index}"),
            (None, None, Some(index)) => write!(formatter, "#{index}"),
            (_, _, None) => Ok(()),
        }
    }
}

/// File, plane and index of a slice's address. Arrays of an NPZ archive may be called anything.
fn slice_of(text: &str) -> Option<(&str, Plane, usize)> {
    let (file, entry) = text.rsplit_once('#')?;
    let (plane, index) = entry.split_once('/')?;
    let plane = plane.parse().ok()?;
    let is_index = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    let index = index.parse().ok().filter(|_| is_index)?;
    (!has_ending(file, ".npz")).then_some((file, plane, index))
}

fn is_array_file(file: &str) -> bool {
    ARRAY_ENDINGS.iter().any(|ending| has_ending(file, ending))
}

fn has_ending(file: &str, ending: &str) -> bool {
    let start = file.len().wrapping_sub(ending.len());
    file.get(start..)
        .is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

/// The path with `/` between its parts, if it stays within its folder.
fn normalised(file: &str) -> Result<String> {
    let mut parts = Vec::new();
    for component in Path::new(file).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            Component::ParentDir => return Err(wrong("a path without `..`", file)),
            Component::RootDir | Component::Prefix(_) => {
                return Err(wrong("a relative path", file));
            }
        }
    }
    if parts.is_empty() || file.contains('\0') {
        return Err(wrong("a relative path", file));
    }
    Ok(parts.join("/"))
}

fn wrong(expected: &str, found: &str) -> ImagingError {
    ImagingError::argument("image address", expected, format!("`{found}`"))
}
