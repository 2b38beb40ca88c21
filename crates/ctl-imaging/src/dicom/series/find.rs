//! Finding series in folders, by headers alone.

use super::plane::Header;
use super::read_headers;
use crate::Result;
use crate::bounded::read_start;
use crate::dicom::data::{Source, Until};
use crate::error::ImagingError;
use crate::folder::files_below;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
        let (files, foreign): (Vec<_>, Vec<_>) = files_below(folder)?
            .into_par_iter()
            .partition(|path| is_dicom(path));
        let mut series: BTreeMap<String, Vec<Header>> = BTreeMap::new();
        let mut skipped = Vec::new();
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
fn is_dicom(path: &Path) -> bool {
    let Ok(start) = read_start(path, 132) else {
        return false;
    };
    if start.get(128..) == Some(b"DICM") {
        return true;
    }
    // The first element of a file without preamble is of a low, even group.
    let plausible = matches!(start[..], [2 | 8, 0, ..] | [0, 2 | 8, ..]);
    plausible
        && Source::read_header(path).is_ok_and(|source| {
            let set = source.data_set(Until::Pixels);
            set.word(dicom_dictionary_std::tags::SOP_CLASS_UID)
                .is_some()
        })
}
