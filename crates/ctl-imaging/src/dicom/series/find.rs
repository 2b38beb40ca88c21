//! Finding series in folders, by headers alone.

use super::plane::{Header, unplaced_kind};
use super::read_headers;
use crate::Result;
use crate::bounded::read_start;
use crate::dicom::data::{Source, Until};
use crate::error::ImagingError;
use crate::folder::files_below;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Bytes of a preamble with its mark (PS3.10 section 7.1).
const PREAMBLE: u64 = 132;

/// What a folder holds.
#[derive(Debug)]
pub struct Discovery {
    /// Series of images, in the order of their UIDs.
    pub series: Vec<SeriesFiles>,
    /// DICOM files that are no such images, each with the reason.
    pub skipped: Vec<(PathBuf, ImagingError)>,
    /// Files that are no DICOM.
    pub foreign: Vec<PathBuf>,
}

/// A series of images, of which only headers have been read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SeriesFiles {
    /// `SeriesInstanceUID`.
    pub uid: String,
    /// `StudyInstanceUID`, empty where it is absent.
    pub study: String,
    /// `Modality`, empty where it is absent.
    pub modality: String,
    /// `SeriesDescription`, empty where it is absent.
    pub description: String,
    /// Number of slices.
    pub slices: usize,
    /// Its files, by name.
    pub files: Vec<PathBuf>,
}

/// Finds the series of a folder, reading headers alone.
///
/// # Arguments
/// * `folder`: is searched through with all folders in it.
///
/// # Returns
/// Series by UID; files that are left out, each with the reason.
///
/// # Errors
/// [`ImagingError::Io`] when a folder cannot be read.
pub fn discover_series(folder: &Path) -> Result<Discovery> {
    let found = Found::in_folder(folder)?;
    let of_one = |headers: &Vec<Header>| {
        let first = headers.first()?;
        Some(SeriesFiles {
            uid: first.series.clone(),
            study: first.study.clone(),
            modality: first.modality.clone(),
            description: first.description.clone(),
            slices: headers.iter().map(|header| header.planes.len()).sum(),
            files: headers.iter().map(|header| header.path.clone()).collect(),
        })
    };
    Ok(Discovery {
        series: found.series.iter().filter_map(of_one).collect(),
        skipped: found.skipped,
        foreign: found.foreign,
    })
}

impl Discovery {
    /// Why a folder has no series: the reason for which a file was left out, if one was.
    pub(crate) fn nothing_in(self, folder: &Path) -> ImagingError {
        nothing(folder, self.skipped)
    }
}

/// The first file that should have been read and was not: one that is damaged or cannot be opened,
/// and no other object than an image of the patient.
///
/// # Errors
/// The reason for which it was left out.
pub(crate) fn refuse_damaged(skipped: &mut Vec<(PathBuf, ImagingError)>) -> Result<()> {
    let is_damaged = |(path, _): &(PathBuf, ImagingError)| {
        // What does not even begin as DICOM has no kind.
        !is_dicom(path).unwrap_or(false) || !matches!(unplaced_kind(path), Ok(Some(_)))
    };
    match skipped.iter().position(is_damaged) {
        Some(first) => Err(skipped.swap_remove(first).1),
        None => Ok(()),
    }
}

/// Why a folder has no series.
pub(super) fn nothing(folder: &Path, skipped: Vec<(PathBuf, ImagingError)>) -> ImagingError {
    match skipped.into_iter().next() {
        Some((_, error)) => error,
        None => ImagingError::content(folder, "DICOM images", "none"),
    }
}

/// What a folder holds, with the headers that told it.
pub(super) struct Found {
    /// Headers of each series, by UID, those of a series in the order of their paths.
    pub(super) series: Vec<Vec<Header>>,
    pub(super) skipped: Vec<(PathBuf, ImagingError)>,
    foreign: Vec<PathBuf>,
}

impl Found {
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        let all = files_below(folder)?;
        let kinds: Vec<Result<bool>> = all.par_iter().map(|path| is_dicom(path)).collect();
        let (mut files, mut foreign, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for (path, kind) in all.into_iter().zip(kinds) {
            match kind {
                Ok(true) => files.push(path),
                Ok(false) => foreign.push(path),
                Err(error) => skipped.push((path, error)),
            }
        }
        let mut series: BTreeMap<String, Vec<Header>> = BTreeMap::new();
        for (path, read) in files.iter().zip(read_headers(&files)) {
            match read {
                Ok(mut header) => {
                    let all = series.entry(header.series.clone()).or_default();
                    // Planes name their files by their number within the series.
                    for plane in &mut header.planes {
                        plane.file = all.len();
                    }
                    all.push(header);
                }
                Err(error) => skipped.push((path.clone(), error)),
            }
        }
        Ok(Self {
            series: series.into_values().collect(),
            skipped,
            foreign,
        })
    }
}

/// Whether a file starts as DICOM does; of those without preamble, whether its class can be read.
///
/// # Errors
/// When it cannot be opened, or is too short for its kind and named as slices are.
fn is_dicom(path: &Path) -> Result<bool> {
    let start = match read_start(path, PREAMBLE) {
        Ok(start) => start,
        Err(error @ ImagingError::Io { .. }) => return Err(error),
        Err(error) if is_named_as_slice(path) => return Err(error),
        Err(_) => return Ok(false),
    };
    if start.get(128..) == Some(b"DICM") {
        return Ok(true);
    }
    // The first element of a file without preamble is of a low, even group.
    let plausible = matches!(start[..], [2 | 8, 0, ..] | [0, 2 | 8, ..]);
    let has_class = plausible
        && Source::read_header(path).is_ok_and(|source| {
            let set = source.data_set(Until::Pixels);
            set.word(dicom_dictionary_std::tags::SOP_CLASS_UID)
                .is_some()
        });
    if !has_class && (start.len() as u64) < PREAMBLE && is_named_as_slice(path) {
        let found = format!("{} bytes", start.len());
        return Err(ImagingError::content(path, "a whole DICOM file", found));
    }
    Ok(has_class)
}

/// Whether a name is one that slices are given: with an ending of DICOM, or with none.
fn is_named_as_slice(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    let is_ending = ["dcm", "dicom", "ima"].iter().any(|known| ending == *known);
    is_ending || (ending.is_empty() && !name.starts_with('.'))
}
